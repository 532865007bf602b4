"""What the policy decided, and why."""

from __future__ import annotations

from dataclasses import dataclass


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
    outcome: 'accept', 'reject' or 'ask'.
    intent: the accepted intent, '' unless accepted.
    rule: name of the policy rule that decided.
    reason: one plain sentence for people.
    heard, seen, fused: the best label of each head when the decision fell.
    """

    stamp_ns: int
    outcome: str
    intent: str
    rule: str
    reason: str
    heard: Score
    seen: Score
    fused: Score
