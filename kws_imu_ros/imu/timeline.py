"""Judge the time stamps of a sensor stream: gaps, duplicates and jumps of the clock."""

from __future__ import annotations

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
