"""Tell a microphone that lives from one that repeats itself or is muted."""

from __future__ import annotations

from enum import Enum

import numpy as np

# A stretch that comes again to the last bit is no sound of a room, which always has noise.
# Sound cards repeat buffers of up to 4096 samples.
LONGEST_BUFFER = 4096
SHORTEST_STRETCH = 64
LEAST_CHANGES = 16


class SoundSign(Enum):
    """What a block of audio says about the microphone."""

    LIVING = 'living'
    REPEATED = 'repeated'
    CONSTANT = 'constant'


class SoundLiveness:
    """
    Compare each block with the sound just before it.

    A block of one value only is digital silence: a muted microphone, or a noise gate. A block that
    was heard before, whatever the size of the buffer that is repeated, is of a sound card that
    hangs.
    """

    def __init__(self) -> None:
        """Start with nothing heard."""
        self.reset()

    def reset(self) -> None:
        """Forget what was heard."""
        self._history = np.empty(0, np.int16)

    def push(self, samples: np.ndarray) -> SoundSign:
        """Judge a block, int16 (n,); a block too short to tell is joined with the one before."""
        history = np.concatenate((self._history, samples))
        self._history = history[-(LONGEST_BUFFER + max(len(samples), SHORTEST_STRETCH)) :]
        length = max(len(samples), SHORTEST_STRETCH)
        if len(self._history) < length:
            return SoundSign.LIVING
        newest = self._history[-length:]
        if (newest == newest[0]).all():
            return SoundSign.CONSTANT
        # Silence with a click here and there looks like other such silence.
        changes = np.count_nonzero(np.diff(newest))
        repeated = changes >= LEAST_CHANGES and self._came_before(newest)
        return SoundSign.REPEATED if repeated else SoundSign.LIVING

    def _came_before(self, newest: np.ndarray) -> bool:
        """Return whether a stretch stands in the history once more, to the last bit."""
        history, length = self._history, len(newest)
        # Ends of places that agree in the last sample, then in the one before it, and so on.
        ends = np.flatnonzero(history[length - 1 : -1] == newest[-1]) + length - 1
        for back in range(1, length):
            if not len(ends):
                return False
            ends = ends[history[ends - back] == newest[-1 - back]]
        return bool(len(ends))
