"""The policy's table bound to the labels of a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kws_imu_ros.decision.decision import Rule
from kws_imu_ros.decision.table import (
    ALONE_THRESHOLD,
    GESTURE_THRESHOLD,
    VOICE_THRESHOLD,
    PolicyTable,
)


@dataclass(frozen=True)
class Vocabulary:
    """
    What each label of a model is to the policy.

    table: the policy's table.
    voice, gesture, intent: label names of the heads, in the order of the posteriors.
    voice_thresholds, gesture_thresholds, alone_thresholds: posterior from which a label counts, in
        the same order; those of gestures beside a word, and without one.
    words, unknown, stop_words: indices of the commands but stop, of words that are no command, and
        of those that mean stop.
    gestures, stop_gestures: indices of the gestures with a meaning, and of those that mean stop.
    disabled: rules that are switched off.
    """

    table: PolicyTable
    voice: tuple[str, ...]
    gesture: tuple[str, ...]
    intent: tuple[str, ...]
    voice_thresholds: tuple[float, ...]
    gesture_thresholds: tuple[float, ...]
    alone_thresholds: tuple[float, ...]
    words: tuple[int, ...]
    unknown: tuple[int, ...]
    stop_words: tuple[int, ...]
    gestures: tuple[int, ...]
    stop_gestures: tuple[int, ...]
    disabled: frozenset[Rule]

    def is_enabled(self, rule: Rule) -> bool:
        """Return whether a rule may decide."""
        return rule not in self.disabled

    def is_direction(self, label: str) -> bool:
        """Return whether a word, or what a gesture means, is a direction."""
        return label in self.table.directions


def bind(
    table: PolicyTable,
    labels: Mapping[str, Sequence[str]],
    calibrated: Mapping[str, Mapping[str, float]] | None = None,
) -> Vocabulary:
    """
    Bind a table to a model's labels.

    Args:
        table: the policy's table.
        labels: label names of the heads 'voice', 'gesture' and 'intent'.
        calibrated: thresholds from the model's manifest, head -> label -> posterior, that stand
            for 'auto'; those of the gesture head are for gestures without a word.

    Raises:
        KwsImuError: the table names a label that the model does not know.

    """
    table.check_labels(labels)
    calibrated = calibrated or {}
    voice, gesture, intent = (tuple(labels[head]) for head in ('voice', 'gesture', 'intent'))
    idle = {table.voice_background, *table.voice_unknown, *table.stop_words}
    return Vocabulary(
        table=table,
        voice=voice,
        gesture=gesture,
        intent=intent,
        voice_thresholds=table.voice_thresholds.resolve(
            voice, calibrated.get('voice', {}), VOICE_THRESHOLD, table.voice_offset
        ),
        gesture_thresholds=table.gesture_thresholds.resolve(
            gesture, {}, GESTURE_THRESHOLD, table.gesture_offset
        ),
        alone_thresholds=table.alone_thresholds.resolve(
            gesture, calibrated.get('gesture', {}), ALONE_THRESHOLD, table.gesture_offset
        ),
        words=tuple(i for i, label in enumerate(voice) if label not in idle),
        unknown=tuple(map(voice.index, table.voice_unknown)),
        stop_words=tuple(map(voice.index, table.stop_words)),
        gestures=tuple(
            i
            for i, label in enumerate(gesture)
            if label in table.meanings and label != table.gesture_background
        ),
        stop_gestures=tuple(map(gesture.index, table.stop_gestures)),
        disabled=frozenset(map(Rule, table.disabled)),
    )
