"""
The disambiguation policy: from posteriors of words, gestures and both to one decision a hop.

The rules and their order are in ``config/policy.yaml``; ``rules.py`` gives them their meaning and
``evidence.py`` holds what is in mind. The policy is deterministic and reads no clock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kws_imu_ros.decision.decision import Decision
from kws_imu_ros.decision.evidence import Evidence, make_hop
from kws_imu_ros.decision.rules import RULES_IN_ORDER, Case
from kws_imu_ros.decision.table import PolicyTable
from kws_imu_ros.decision.vocabulary import bind
from kws_imu_ros.model.outputs import Posteriors

# Steps back in time up to this are jitter between two sensors' clocks, beyond it a new time.
JITTER_NS = 1_000_000_000


class Policy:
    """Decide, hop by hop, what was meant."""

    def __init__(
        self,
        table: PolicyTable,
        labels: Mapping[str, Sequence[str]],
        calibrated: Mapping[str, Mapping[str, float]] | None = None,
    ) -> None:
        """
        Bind a table to a model's labels.

        Args:
            table: the policy's table.
            labels: label names of the heads 'voice', 'gesture' and 'intent'.
            calibrated: thresholds from the model's manifest, head -> label -> posterior, that
                stand for 'auto'; those of the gesture head are for gestures without a word.

        Raises:
            KwsImuError: the table names a label that the model does not know.

        """
        self.table = table
        self._vocabulary = bind(table, labels, calibrated)
        self.reset()

    def reset(self) -> None:
        """Forget all that was heard and seen, as after a jump of the clock."""
        self._now_ns: int | None = None
        self._evidence = Evidence(self._vocabulary)

    def step(self, stamp_ns: int, raw: Posteriors, smoothed: Posteriors) -> Decision | None:
        """
        Take one hop and return the decision that falls on it, if any.

        Args:
            stamp_ns: time of the hop.
            raw: posteriors before smoothing.
            smoothed: posteriors after smoothing.

        """
        hop = make_hop(self._advance(stamp_ns), raw, smoothed)
        self._evidence.observe(hop)
        case = Case(hop, self._evidence, self._vocabulary)
        for rule in RULES_IN_ORDER:
            decision = rule(case)
            if decision is not None:
                return decision
        return None

    def _advance(self, stamp_ns: int) -> int:
        """Return the time of a hop, never before the last one's; forget all where it jumps back."""
        if self._now_ns is not None and stamp_ns < self._now_ns:
            if self._now_ns - stamp_ns > JITTER_NS:
                self.reset()
            else:
                stamp_ns = self._now_ns
        self._now_ns = stamp_ns
        return stamp_ns
