"""A ring of samples between a source of uneven chunks and a reader of even blocks."""

from __future__ import annotations

import numpy as np

from kws_imu_ros.errors import KwsImuError


class SampleRing:
    """
    Hold the newest int16 samples, up to a fixed capacity.

    When a push does not fit, the oldest samples go: for a robot late audio is worse than lost
    audio. `first_index` counts samples since the start, lost ones included, so the time of every
    sample that is read stays known.
    """

    def __init__(self, capacity: int) -> None:
        """
        Make an empty ring for `capacity` samples.

        Raises:
            KwsImuError: capacity is not positive.

        """
        if capacity < 1:
            raise KwsImuError(f'A ring of {capacity} samples makes no sense; give at least 1.')
        self._buffer = np.zeros(capacity, np.int16)
        self._start = 0
        self._count = 0
        self.first_index = 0

    def __len__(self) -> int:
        """Return how many samples are held."""
        return self._count

    def push(self, samples: np.ndarray) -> int:
        """Append int16 samples (n,); return how many samples were lost to make room."""
        capacity = len(self._buffer)
        lost = max(0, self._count + len(samples) - capacity)
        skipped = max(0, len(samples) - capacity)
        self._discard(lost - skipped)
        self.first_index += skipped
        samples = samples[skipped:]
        end = (self._start + self._count) % capacity
        head = min(len(samples), capacity - end)
        self._buffer[end : end + head] = samples[:head]
        self._buffer[: len(samples) - head] = samples[head:]
        self._count += len(samples)
        return lost

    def pop(self, count: int) -> np.ndarray | None:
        """Return the oldest `count` samples, int16 (count,), or None when fewer are held."""
        if count > self._count:
            return None
        capacity = len(self._buffer)
        head = min(count, capacity - self._start)
        samples = np.concatenate(
            (self._buffer[self._start : self._start + head], self._buffer[: count - head])
        )
        self._discard(count)
        return samples

    def clear(self) -> None:
        """Drop all samples and count from zero again."""
        self._start = self._count = self.first_index = 0

    def _discard(self, count: int) -> None:
        """Drop the oldest `count` samples."""
        self._start = (self._start + count) % len(self._buffer)
        self._count -= count
        self.first_index += count
