"""A block of microphone samples, and how a recording is cut into blocks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kws_imu_ros.errors import KwsImuError

SAMPLE_RATE = 16000
SECOND_NS = 1_000_000_000
BLOCK_MS_RANGE = (5, 200)


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


def block_samples(block_ms: int) -> int:
    """
    Return the samples in a block of `block_ms` milliseconds.

    Raises:
        KwsImuError: the length is out of range.

    """
    low, high = BLOCK_MS_RANGE
    if not low <= block_ms <= high:
        raise KwsImuError(
            f'block_ms is {block_ms} but must be {low} to {high}; 20 suits the shipped model.'
        )
    return SAMPLE_RATE * block_ms // 1000


def blocks_of(
    samples: np.ndarray, start_ns: int, block_ms: int = 20, first_sequence: int = 0
) -> list[AudioBlock]:
    """
    Cut 16 kHz int16 (n,) into blocks whose stamps count from `start_ns`.

    The last block is filled up with digital silence.
    """
    size = block_samples(block_ms)
    count = -(-len(samples) // size)
    padded = np.zeros(count * size, np.int16)
    padded[: len(samples)] = samples
    return [
        AudioBlock(
            stamp_ns=start_ns + i * size * SECOND_NS // SAMPLE_RATE,
            sequence=first_sequence + i,
            sample_rate=SAMPLE_RATE,
            samples=padded[i * size : (i + 1) * size],
        )
        for i in range(count)
    ]
