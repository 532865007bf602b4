"""What the policy decided, and why."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class _Named(str, Enum):
    """An enum whose members are printed, formatted and published as their values."""

    def __str__(self) -> str:
        return str(self.value)


class Outcome(_Named):
    """What becomes of what was heard and seen."""

    ACCEPT = 'accept'
    REJECT = 'reject'
    ASK = 'ask'


class Rule(_Named):
    """The rules of the policy, strongest first; their names are those of ``config/policy.yaml``."""

    STOP = 'stop'
    STOP_GESTURE = 'stop_gesture'
    GESTURE_CORRECTS_VOICE = 'gesture_corrects_voice'
    VOICE = 'voice'
    AGREEMENT = 'agreement'
    GESTURE_ALONE = 'gesture_alone'
    FUSED_DECIDES = 'fused_decides'
    CONFLICT = 'conflict'
    UNKNOWN_WORD = 'unknown_word'
    WEAK_VOICE = 'weak_voice'
    WEAK_GESTURE = 'weak_gesture'
    GESTURE_NOT_ALLOWED = 'gesture_not_allowed'

    @property
    def outcome(self) -> Outcome:
        """Return the outcome of the decisions that this rule makes."""
        if self is Rule.CONFLICT:
            return Outcome.ASK
        return Outcome.REJECT if self in _REJECTING else Outcome.ACCEPT


_REJECTING = frozenset(
    (Rule.UNKNOWN_WORD, Rule.WEAK_VOICE, Rule.WEAK_GESTURE, Rule.GESTURE_NOT_ALLOWED)
)


@dataclass(frozen=True)
class Score:
    """A label with its smoothed posterior (0 to 1)."""

    label: str
    score: float


@dataclass(frozen=True)
class Decision:
    """
    One decision of the policy.

    stamp_ns: time of the hop that decided, integer nanoseconds.
    outcome: what becomes of what was heard and seen.
    intent: the accepted intent, '' unless accepted.
    rule: the rule that decided.
    reason: one plain sentence for people.
    heard, seen, fused: the best label of each head when the decision fell.
    """

    stamp_ns: int
    outcome: Outcome
    intent: str
    rule: Rule
    reason: str
    heard: Score
    seen: Score
    fused: Score
