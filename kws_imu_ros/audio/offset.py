"""
Take a constant offset out of the sound before the front end.

Cheap microphones sit beside zero. While they run it hardly matters, for no filter of the front
end reaches down to 0 Hz; but where the sound ends in digital silence (the end of a file, a lost
block, a mute switch) the offset ends in a step, and a step sounds like a word.
"""

from __future__ import annotations

import numpy as np

# 10 ms at 16 kHz; means over it need no window.
CHUNK = 160
# Of full scale; below it a step is no louder than a room, and sound is left as it is to the bit.
LEAST_OFFSET = 0.02
# The mean follows within half a second, the correction by full scale a second: a ramp that slow is
# far below what can be heard.
FOLLOW = 0.02
LARGEST_CHANGE = 0.01


class OffsetRemoval:
    """
    Subtract the mean of the newest half second where it is far from zero.

    Runs of digital zeros have no offset, so they stay zeros and the step into them is gone. What
    comes out does not depend on how the sound is cut into pieces.
    """

    def __init__(self) -> None:
        """Start with a microphone that has no offset."""
        self.reset()

    def reset(self) -> None:
        """Forget the offset."""
        self._mean = 0.0
        self._chunks = 0
        self._sum = 0.0
        self._counted = 0
        self._place = 0
        self._from = self._to = 0.0
        self._last = 0.0
        self._silent = False

    def push(self, samples: np.ndarray) -> np.ndarray:
        """
        Return the samples without their offset.

        samples: int16 (n,), any n. Returns the same array where there is nothing to correct, else
        float32 (n,), 1.0 for full scale.
        """
        parts: list[np.ndarray] = []
        corrected = False
        start = 0
        while start < len(samples):
            end = min(start + CHUNK - self._place, len(samples))
            part = samples[start:end]
            changed = self._correct(part) if self._from or self._to else None
            corrected = corrected or changed is not None
            parts.append(
                part.astype(np.float32) / np.float32(32768.0) if changed is None else changed
            )
            self._take(part)
            start = end
        return np.concatenate(parts) if corrected else samples

    def _take(self, part: np.ndarray) -> None:
        """Count a part for the mean; at the end of a chunk decide how the correction goes on."""
        self._last = float(part[-1]) / 32768.0
        self._sum += float(part.sum(dtype=np.int64))
        self._counted += int(np.count_nonzero(part))
        self._place += len(part)
        if self._place < CHUNK:
            return
        if self._counted:  # Digital silence tells nothing of the offset.
            mean = self._sum / self._counted / 32768.0
            self._chunks += 1
            self._mean += max(FOLLOW, 1.0 / self._chunks) * (mean - self._mean)
        # Hysteresis, so that an offset at the limit is not switched on and off.
        least = LEAST_OFFSET / 2.0 if self._to else LEAST_OFFSET
        goal = self._mean if abs(self._mean) > least else 0.0
        self._from = self._to
        self._to += min(max(goal - self._to, -LARGEST_CHANGE), LARGEST_CHANGE)
        self._place, self._sum, self._counted = 0, 0.0, 0

    def _correct(self, part: np.ndarray) -> np.ndarray:
        """Return a part of a chunk without the offset, float32."""
        slope = (self._to - self._from) / CHUNK
        offset = self._from + slope * self._place
        last = self._last
        output = part.astype(np.float32) / np.float32(32768.0)
        for i, value in enumerate(output.tolist()):
            offset += slope
            if value == 0.0:
                # A zero that sound passes on its way has neighbours that are nearly zero.
                self._silent |= last == 0.0 or abs(last) >= 0.1 * abs(offset)
            elif self._silent:
                self._silent = False
                if abs(value) < 0.5 * abs(offset):
                    # Another sound begins, without this offset.
                    self._mean = self._from = self._to = 0.0
                    self._chunks = 0
                    return output
            output[i] = 0.0 if self._silent else value - offset
            last = value
        return output
