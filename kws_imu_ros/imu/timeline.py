"""Judge the time stamps of a sensor stream: gaps, duplicates and jumps of the clock."""

from __future__ import annotations

from collections import deque
from enum import Enum
from typing import Generic, TypeVar

Reading = TypeVar('Reading')


class StampVerdict(Enum):
    """What a time stamp says about a reading."""

    CONTINUES = 'continues'
    DUPLICATE = 'duplicate'
    OUT_OF_ORDER = 'out of order'
    SUSPECT = 'suspect'
    GAP = 'gap'
    CLOCK_JUMP = 'clock jump'


class Timeline(Generic[Reading]):
    """
    Follow the time stamps of one stream and decide which readings belong to it.

    A reading that lies more than `max_gap_ns` ahead of the newest one, or more than that behind
    it, may be a pause, a jump of the clock or just one corrupt stamp. It is kept back as a suspect
    until the next reading: if that one follows the suspect, the stream really moved (GAP or
    CLOCK_JUMP, and the history before it is void); if it follows the old newest reading, the
    suspect was corrupt and is dropped. One broken stamp therefore costs one reading, not the
    window.
    """

    def __init__(self, max_gap_ns: int, clock_jump_ns: int = 5_000_000_000) -> None:
        """
        Start an empty timeline.

        max_gap_ns: longest step between readings that still counts as one motion.
        clock_jump_ns: forward steps beyond this are called a jump of the clock, not a gap.
        """
        self._max_gap_ns = max_gap_ns
        self._clock_jump_ns = clock_jump_ns
        self.newest_ns: int | None = None
        self.corrupt_stamps = 0
        self._suspect: tuple[int, Reading] | None = None

    def push(
        self, stamp_ns: int, reading: Reading
    ) -> tuple[StampVerdict, list[tuple[int, Reading]]]:
        """
        Judge a reading.

        Returns the verdict and the readings, with their stamps and oldest first, to append to the
        stream. After GAP and CLOCK_JUMP the stream starts anew with the returned readings.
        """
        if self.newest_ns is None:
            self.newest_ns = stamp_ns
            return StampVerdict.CONTINUES, [(stamp_ns, reading)]
        step_ns = stamp_ns - self.newest_ns
        if abs(step_ns) <= self._max_gap_ns:
            if self._suspect is not None:
                self.corrupt_stamps += 1
                self._suspect = None
            if step_ns == 0:
                return StampVerdict.DUPLICATE, []
            if step_ns < 0:
                return StampVerdict.OUT_OF_ORDER, []
            self.newest_ns = stamp_ns
            return StampVerdict.CONTINUES, [(stamp_ns, reading)]
        if self._suspect is None:
            self._suspect = (stamp_ns, reading)
            return StampVerdict.SUSPECT, []
        suspect_ns, suspect = self._suspect
        if stamp_ns == suspect_ns:
            return StampVerdict.DUPLICATE, []
        if not 0 < stamp_ns - suspect_ns <= self._max_gap_ns:
            self.corrupt_stamps += 1
            self._suspect = (stamp_ns, reading)
            return StampVerdict.SUSPECT, []
        moved_ns = suspect_ns - self.newest_ns
        self._suspect = None
        self.newest_ns = stamp_ns
        forward_pause = 0 < moved_ns <= self._clock_jump_ns
        verdict = StampVerdict.GAP if forward_pause else StampVerdict.CLOCK_JUMP
        return verdict, [(suspect_ns, suspect), (stamp_ns, reading)]


class StampRepair(Generic[Reading]):
    """
    Give readings the time of their arrival where their own stamps stand still.

    Drivers leave the header empty, fill in the seconds only, or write microseconds where
    nanoseconds belong: then messages come and the stamps hardly move. Half a second of that is
    judged; the readings of that time are given again, so that nothing is lost.
    """

    STANDING_NS = 500_000_000
    # Stamps that move at less than a twentieth of the speed of time stand; a bag may be played at a
    # tenth of its speed.
    SLOWEST = 20
    LEAST_READINGS = 10
    # Stamps of whole seconds stand and jump by turns.
    TRUSTED_AGAIN_NS = 3_000_000_000

    def __init__(self) -> None:
        """Trust the stamps."""
        self._recent: deque[tuple[int, int, Reading]] = deque()
        self._stood_ns: int | None = None
        self._given_ns: int | None = None

    @property
    def by_arrival(self) -> bool:
        """Return whether the time of arrival is used in place of the stamps."""
        return self._stood_ns is not None

    def push(
        self, stamp_ns: int, arrived_ns: int, reading: Reading
    ) -> tuple[bool, list[tuple[int, Reading]]]:
        """
        Take a reading.

        Returns whether the stream starts anew, on another clock, and the readings to go on with,
        with their times.
        """
        recent = self._recent
        if recent and not 0 <= arrived_ns - recent[-1][0] <= self.STANDING_NS:
            recent.clear()  # A pause, or time itself was set.
        recent.append((arrived_ns, stamp_ns, reading))
        stands = self._stands()
        while arrived_ns - recent[0][0] > self.STANDING_NS:
            recent.popleft()
        if stands:
            first = self._stood_ns is None
            self._stood_ns = arrived_ns
            if first:
                self._given_ns = None
                return True, [(self._next(at), held) for at, _, held in recent]
        elif self._stood_ns is not None and not (
            0 <= arrived_ns - self._stood_ns <= self.TRUSTED_AGAIN_NS
        ):
            self._stood_ns = None
            return True, [(stamp_ns, reading)]
        if self._stood_ns is None:
            return False, [(stamp_ns, reading)]
        return False, [(self._next(arrived_ns), reading)]

    def _stands(self) -> bool:
        """Return whether the stamps of the last half second have hardly moved."""
        (first_arrived, first_stamp, _), (arrived, stamp, _) = self._recent[0], self._recent[-1]
        span_ns = arrived - first_arrived
        return (
            span_ns >= self.STANDING_NS
            and len(self._recent) >= self.LEAST_READINGS
            and abs(stamp - first_stamp) * self.SLOWEST < span_ns
        )

    def _next(self, arrived_ns: int) -> int:
        """Return a time of arrival, later than the one given before."""
        if self._given_ns is not None and 0 <= self._given_ns - arrived_ns < self.STANDING_NS:
            arrived_ns = self._given_ns + 1
        self._given_ns = arrived_ns
        return arrived_ns
