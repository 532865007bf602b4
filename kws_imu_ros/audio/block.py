"""A block of microphone samples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class AudioBlock:
    """
    A block of mono audio as it crosses rooms.

    stamp_ns: time of the first sample, integer nanoseconds of the sender's clock.
    sequence: block number since the sender started; a gap means lost blocks.
    sample_rate: Hz.
    samples: int16 array of shape (n,).
    """

    stamp_ns: int
    sequence: int
    sample_rate: int
    samples: np.ndarray

    @property
    def duration_ns(self) -> int:
        """Return the duration of the block in integer nanoseconds."""
        return len(self.samples) * 1_000_000_000 // self.sample_rate

    @property
    def end_ns(self) -> int:
        """Return the time just after the last sample in integer nanoseconds."""
        return self.stamp_ns + self.duration_ns
