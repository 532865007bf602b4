"""Decisions as `diagnostic_msgs/DiagnosticStatus`, and intents as `std_msgs/String`."""

from __future__ import annotations

from typing import Any

from kws_imu_ros.decision.decision import Decision, Outcome, Rule, Score
from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.messages.factory import ROS, MessageFactory
from kws_imu_ros.messages.fields import key_values

# DiagnosticStatus OK and WARN
DECISION_LEVELS = {Outcome.ACCEPT: 0, Outcome.REJECT: 0, Outcome.ASK: 1}


def decision_to_message(decision: Decision, messages: MessageFactory = ROS) -> Any:
    """Return a decision as diagnostic_msgs/DiagnosticStatus: reason as message, rest as values."""
    pairs = {
        'stamp_ns': decision.stamp_ns,
        'outcome': decision.outcome.value,
        'intent': decision.intent,
        'rule': decision.rule.value,
    }
    for name in ('heard', 'seen', 'fused'):
        score = getattr(decision, name)
        pairs[name] = score.label
        pairs[f'{name}_score'] = f'{score.score:.6f}'
    return messages.make(
        'diagnostic_msgs/msg/DiagnosticStatus',
        level=messages.octet(DECISION_LEVELS[decision.outcome]),
        name='decision',
        message=decision.reason,
        hardware_id='',
        values=key_values(pairs, messages),
    )


def decision_from_message(message: Any) -> Decision:
    """
    Return a diagnostic_msgs/DiagnosticStatus of the `decision` topic as a decision.

    Raises:
        KwsImuError: a value is missing or is not what it should be.

    """
    pairs = {pair.key: pair.value for pair in message.values}
    try:
        return Decision(
            stamp_ns=int(pairs['stamp_ns']),
            outcome=Outcome(pairs['outcome']),
            intent=pairs['intent'],
            rule=Rule(pairs['rule']),
            reason=message.message,
            heard=Score(pairs['heard'], float(pairs['heard_score'])),
            seen=Score(pairs['seen'], float(pairs['seen_score'])),
            fused=Score(pairs['fused'], float(pairs['fused_score'])),
        )
    except KeyError as error:
        raise KwsImuError(f'Decision message lacks the value {error}.') from error
    except ValueError as error:
        raise KwsImuError(f'Decision message has a value that cannot be read: {error}.') from error


def intent_to_message(intent: str, messages: MessageFactory = ROS) -> Any:
    """Return an intent's name as std_msgs/String."""
    return messages.make('std_msgs/msg/String', data=intent)


def intent_from_message(message: Any) -> str:
    """Return a std_msgs/String as an intent's name, without surrounding blanks, in lower case."""
    return str(message.data).strip().lower()
