"""
Keep a constant offset of the sound from the network.

Cheap microphones sit beside zero. The offset leaks into the lowest bands, and where the sound ends
in digital silence (the end of a file, a lost block, a mute switch) it ends in a step, and a step
sounds like a word.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

FULL_SCALE = 32768.0
# 10 ms at 16 kHz; means over it need no window.
CHUNK = 160
# Of full scale; below it a step is no louder than a room, and sound is left as it is to the bit.
LEAST_OFFSET = 0.02
# How much of the mean is that of the newest chunk: it follows within a quarter of a second.
FOLLOW = 0.04
# The offset dies away within seconds: slower than any word.
FADE_SAMPLES = 16000.0


class Offset:
    """
    Find the offset, and let digital silence begin at it and fade from there.

    What comes out does not depend on how the sound is cut into blocks.
    """

    def __init__(self) -> None:
        """Start with a microphone that has no offset."""
        self.reset()

    def reset(self) -> None:
        """Forget the offset."""
        self._mean = 0.0
        self._chunks = 0
        self._sum = 0
        self._counted = 0
        self._place = 0
        self._last = 0
        # The offset that fades, and for how many samples it has; None while there is sound.
        self._fading: float | None = None
        self._faded = 0

    @property
    def found(self) -> bool:
        """Return whether the sound swings around another level than zero."""
        return abs(self._mean) >= LEAST_OFFSET * FULL_SCALE

    def pieces(self, samples: np.ndarray) -> Iterator[tuple[np.ndarray, bool]]:
        """
        Yield the samples as the front end is to hear them, piece by piece.

        samples: int16 (n,), any n. Yields int16 (k,), with other values where digital silence
        follows on sound with an offset, and whether frames that end in it have an offset that is
        to be taken out.
        """
        start = 0
        while start < len(samples):
            end = min(start + CHUNK - self._place, len(samples))
            part = samples[start:end]
            yield self._fill(part), self.found
            self._take(part)
            start = end

    def _take(self, part: np.ndarray) -> None:
        """Count a part of a chunk for the mean; digital silence tells nothing of the offset."""
        self._last = int(part[-1])
        self._sum += int(part.sum(dtype=np.int64))
        self._counted += int(np.count_nonzero(part))
        self._place += len(part)
        if self._place < CHUNK:
            return
        if self._counted:
            self._chunks += 1
            mean = self._sum / self._counted
            self._mean += max(FOLLOW, 1.0 / self._chunks) * (mean - self._mean)
        self._place = self._sum = self._counted = 0

    def _fill(self, part: np.ndarray) -> np.ndarray:
        """Return a part of a chunk with the offset in its digital silence."""
        if self._fading is None and not self.found:
            return part
        zeros = np.flatnonzero(part == 0)
        if not len(zeros):
            self._fading = None
            return part
        output: np.ndarray = part.copy()
        last = self._last
        for i, value in enumerate(part.tolist()):
            if value:
                self._fading = None
            elif self._fading is None and (last == 0 or abs(last) >= 0.1 * abs(self._mean)):
                # A zero that sound passes on its way has neighbours that are nearly zero.
                self._fading, self._faded = self._mean, 0
            if self._fading is not None:
                self._faded += 1
                output[i] = round(self._fading * math.exp(-self._faded / FADE_SAMPLES))
            last = value
        return output
