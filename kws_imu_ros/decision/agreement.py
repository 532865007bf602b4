"""
Whether what the policy means is what the motion table does, above all that stop stops.

The two tables are read by different nodes, so what the motion table does comes as plain data:
intent to whether it stops the robot.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kws_imu_ros.configuration.names import nearest
from kws_imu_ros.decision.table import PolicyTable
from kws_imu_ros.errors import KwsImuError


def check_stop(table: PolicyTable, stops: Mapping[str, bool], motion: str) -> None:
    """
    Refuse a pair of tables in which what means stop does not stop.

    Args:
        table: the policy's table.
        stops: each intent of the motion table, and whether it leads to a profile with stop: true.
        motion: the motion table's file, for the error.

    Raises:
        KwsImuError: the policy's stop intent, or a stop word that is an intent as well, is unknown
            to the motion table or does something else there.

    """
    means = f'the words {", ".join(table.stop_words)}'
    if table.stop_gestures:
        means += f' and the gestures {", ".join(table.stop_gestures)}'
    # A stop word may be an intent too: a person sends it, or another policy did.
    for intent in (table.stop_intent, *(word for word in table.stop_words if word in stops)):
        if stops.get(intent):
            continue
        if intent in stops:
            problem = f"'intents.{intent}' does not lead to a profile with stop: true"
        else:
            meant = nearest(intent, stops)
            problem = f"there is no intent '{intent}'"
            problem += f' (there is {meant})' if meant else ''
        raise KwsImuError(
            f'{_capital(motion)}: {problem}, but in {_lower(table.source)} {means} mean stop by '
            f"'stop.intent: {table.stop_intent}'; a robot must stop when it is told to, so correct "
            'one of the two files.'
        )


def doubts(
    table: PolicyTable, labels: Mapping[str, Sequence[str]], stops: Mapping[str, bool], motion: str
) -> list[str]:
    """
    Return what a person should know of a pair of tables that may start, one sentence each.

    Args:
        table: the policy's table.
        labels: the labels of the model's heads.
        stops: each intent of the motion table, and whether it stops the robot.
        motion: the motion table's file.

    """
    silent = (table.voice_background, *table.voice_unknown)
    words = [label for label in labels['voice'] if label not in silent]
    sources = {word: f'the word {word}' for word in words if word not in table.stop_words}
    for gesture, meaning in table.meanings.items():
        if gesture not in table.stop_gestures:
            sources.setdefault(meaning, f'the gesture {gesture}')
    found = []
    for intent, source in sources.items():
        if intent not in stops:
            found.append(
                f"The policy can mean '{intent}' ({source}), which {_lower(motion)} lacks: the "
                "robot will not obey it; add it to 'intents' there."
            )
        elif stops[intent]:
            found.append(
                f'{_capital(source)} stops the robot by {_lower(motion)} but is not in the '
                "policy's 'stop', so it is averaged and waits its turn; add it there if it is to "
                'stop at once.'
            )
    return found


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _lower(text: str) -> str:
    """Return text for the middle of a sentence."""
    return text[:1].lower() + text[1:] if text.startswith('The ') else text
