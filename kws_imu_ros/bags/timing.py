"""The times of a bag's messages on one clock."""

from __future__ import annotations

# Stamps further than this from the time of recording were made by another clock.
FOREIGN_CLOCK_NS = 5_000_000_000


class StampMapper:
    """
    Map the stamps inside a bag's messages to the clock of playing.

    One offset holds for all messages, so that their order and their spacing stay as they were;
    only a topic whose stamps come from another clock than the recorder's (time since power-up, a
    board without a date) gets an offset of its own, which puts its first message where it was
    recorded.
    """

    def __init__(self, offset_ns: int = 0) -> None:
        """offset_ns: clock of playing minus clock of recording."""
        self._offset_ns = offset_ns
        self._offsets: dict[str, int] = {}

    def map(self, topic: str, recorded_ns: int, stamp_ns: int) -> int:
        """Return a message's stamp on the clock of playing, integer nanoseconds."""
        offset = self._offsets.get(topic)
        if offset is None:
            offset = self._offset_ns
            if abs(stamp_ns - recorded_ns) > FOREIGN_CLOCK_NS:
                offset += recorded_ns - stamp_ns
            self._offsets[topic] = offset
        return stamp_ns + offset
