"""Which senses speak, by the time that passes."""

from __future__ import annotations


class Silence:
    """Notice by the clock that a sense has said nothing for too long."""

    def __init__(self, timeout_ns: int) -> None:
        """timeout_ns: how long a sense may be silent."""
        self._timeout_ns = timeout_ns
        self._spoke = False
        self._spoke_ns: int | None = None

    def speak(self) -> None:
        """Take note of a sign of life."""
        self._spoke = True

    def lasts(self, now_ns: int) -> bool:
        """Return whether the sense has been silent for longer than its time-out."""
        spoke, self._spoke = self._spoke, False
        if spoke or self._spoke_ns is None or now_ns < self._spoke_ns:
            self._spoke_ns = now_ns
            return False
        return now_ns - self._spoke_ns > self._timeout_ns
