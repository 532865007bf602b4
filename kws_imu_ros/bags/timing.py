"""The times of a bag's messages on one clock."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

# Stamps further than this from the time of recording were made by another clock.
FOREIGN_CLOCK_NS = 5_000_000_000
# A topic's messages are written in order, but for threads that overtake each other by less.
SET_BACK_NS = 1_000_000_000


@dataclass(frozen=True)
class ClockJump:
    """A clock that was set: when, on the clock that goes on, and by how much (ns, back is < 0)."""

    at_ns: int
    by_ns: int


def jump_sentence(topic: str, jump: ClockJump, start_ns: int) -> str:
    """Return the sentence for a topic's clock that was set; start_ns: first time of recording."""
    return (
        f'The clock of the stamps on {topic} was set by {jump.by_ns / 1e9:+.1f} s at '
        f'{(jump.at_ns - start_ns) / 1e9:.1f} s, while it was recorded; the time goes on as before.'
    )


class ContinuingClock:
    """
    Let times of recording go on where the recorder's clock was set back.

    A time that lies far behind an earlier one of the same topic is of a clock that was set back
    (or of a simulation that was started anew): what follows is moved behind what was there.
    """

    def __init__(self) -> None:
        """Start before the first message."""
        self._offset_ns = 0
        self._newest_ns: int | None = None
        self._newest_of: dict[Hashable, int] = {}
        self.jumps: list[ClockJump] = []

    def push(self, topic: Hashable, stamp_ns: int) -> int:
        """Take the next time of recording, in order of writing; return it on the clock."""
        time_ns = stamp_ns + self._offset_ns
        before_ns = self._newest_of.get(topic)
        newest_ns = self._newest_ns
        if newest_ns is not None and before_ns is not None and time_ns < before_ns - SET_BACK_NS:
            self.jumps.append(ClockJump(newest_ns, time_ns - newest_ns))
            self._offset_ns += newest_ns - time_ns
            time_ns = newest_ns
        self._newest_of[topic] = time_ns
        self._newest_ns = time_ns if newest_ns is None else max(newest_ns, time_ns)
        return time_ns


class StampMapper:
    """
    Map the stamps inside a bag's messages to the clock of playing.

    One offset holds for all messages, so that their order and their spacing stay as they were;
    only a topic whose stamps come from another clock than the recorder's (time since power-up, a
    board without a date) gets an offset of its own, which puts its first message where it was
    recorded. Where a topic's stamps leap against the time of recording and stay there, its clock
    was set meanwhile, and its offset follows.

    jumps: of each topic's clock.
    """

    def __init__(self, offset_ns: int = 0) -> None:
        """offset_ns: clock of playing minus clock of recording."""
        self._offset_ns = offset_ns
        self._offsets: dict[str, int] = {}
        self._leads: dict[str, int] = {}
        self._suspects: dict[str, int] = {}
        self.jumps: dict[str, list[ClockJump]] = {}

    def map(self, topic: str, recorded_ns: int, stamp_ns: int) -> int:
        """Return a message's stamp on the clock of playing, integer nanoseconds."""
        lead_ns = stamp_ns - recorded_ns
        offset = self._offsets.get(topic)
        if offset is None:
            offset = self._offset_ns
            if abs(lead_ns) > FOREIGN_CLOCK_NS:
                offset -= lead_ns
            self._offsets[topic], self._leads[topic] = offset, lead_ns
            return stamp_ns + offset
        # From one message to the next: a clock that stands still or drifts was not set.
        leap_ns = lead_ns - self._leads[topic]
        if abs(leap_ns) <= FOREIGN_CLOCK_NS:
            self._suspects.pop(topic, None)
            self._leads[topic] = lead_ns
            return stamp_ns + offset
        # A single stamp that leaps is a stray one, which whoever reads it leaves out.
        suspect_ns = self._suspects.get(topic)
        self._suspects[topic] = lead_ns
        if suspect_ns is None or abs(lead_ns - suspect_ns) > FOREIGN_CLOCK_NS:
            return stamp_ns + offset
        del self._suspects[topic]
        self.jumps.setdefault(topic, []).append(ClockJump(recorded_ns, leap_ns))
        self._offsets[topic] = offset - leap_ns
        self._leads[topic] = lead_ns
        return stamp_ns + offset - leap_ns
