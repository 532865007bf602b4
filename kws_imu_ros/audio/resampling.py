"""Turn sound of any rate and channel count into 16 kHz mono int16, streaming."""

from __future__ import annotations

import math

import numpy as np
import soxr

from kws_imu_ros.audio.block import SAMPLE_RATE
from kws_imu_ros.errors import KwsImuError

# Less than this part of what the channels hold is left in their mean only where one is inverted.
CANCELLING = 0.1


def downmix(samples: np.ndarray) -> np.ndarray:
    """Return float32 (n,): the mean over channels of int16 (n, channels), scaled to -1 to 1."""
    mono: np.ndarray = samples.mean(axis=1, dtype=np.float32) / np.float32(32768.0)
    return mono


def channels_cancel(samples: np.ndarray) -> bool:
    """
    Return whether the mean of int16 (n, channels) loses what the channels hold.

    The mean of channels that have nothing to do with each other keeps the root of their summed
    energy over their count; much less is left only where channels are inverted.
    """
    if len(samples) == 0:
        return False
    mean = samples.mean(axis=1, dtype=np.float32)
    unrelated = samples.var(axis=0, dtype=np.float64).sum() / samples.shape[1] ** 2
    return bool(mean.var(dtype=np.float64) < CANCELLING * unrelated)


def loudest_channel(samples: np.ndarray) -> int:
    """Return the index of the channel of int16 (n, channels) with the most energy."""
    return int(samples.var(axis=0, dtype=np.float64).argmax())


def to_int16(samples: np.ndarray) -> np.ndarray:
    """Return floats from -1 to 1 as int16, rounded, and clipped where they are beyond."""
    return np.clip(np.rint(samples * 32768.0), -32768, 32767).astype(np.int16)


class _Inversion:
    """Tell from the last second or two of a stream whether its channels cancel each other out."""

    MEMORY_S = 1.0
    # In counts, of the channels: what is quieter than this tells nothing.
    LEAST_LEVEL = 30.0

    def __init__(self, rate: int, channels: int) -> None:
        self._memory = rate * self.MEMORY_S
        self._count = 0.0
        self._sums = np.zeros(channels)
        # Products of each channel with each.
        self._products = np.zeros((channels, channels))

    def push(self, samples: np.ndarray) -> int | None:
        """Take int16 (n, channels); return the loudest channel if they cancel, else None."""
        decay = math.exp(-len(samples) / self._memory)
        values = samples.astype(np.float64)
        self._count = self._count * decay + len(values)
        self._sums = self._sums * decay + values.sum(axis=0)
        self._products = self._products * decay + values.T @ values
        if self._count < 0.1 * self._memory:
            return None
        mean = self._sums / self._count
        covariance = self._products / self._count - np.outer(mean, mean)
        own = covariance.diagonal()
        loud = own.max() > self.LEAST_LEVEL**2
        return int(own.argmax()) if loud and covariance.sum() < CANCELLING * own.sum() else None


class Resampler:
    """
    Turn chunks of int16 at any rate and channel count into 16 kHz mono int16, streaming.

    inverted: whether channels were found to cancel each other out; the loudest is taken from then
    on, for a wire does not turn by itself.
    """

    def __init__(self, rate: int, channels: int) -> None:
        """
        Start a stream at `rate` Hz with `channels` interleaved channels.

        Raises:
            KwsImuError: rate or channels is not a positive number.

        """
        if rate < 1 or channels < 1:
            raise KwsImuError(
                f'Audio at {rate} Hz with {channels} channels makes no sense; check the source.'
            )
        self._channels = channels
        self._inversion = _Inversion(rate, channels) if channels > 1 else None
        self._alone: int | None = None
        self._same = rate == SAMPLE_RATE
        # soxr compensates its own delay: output sample k is the signal at time k / 16000 s.
        self._stream = (
            None if self._same else soxr.ResampleStream(rate, SAMPLE_RATE, 1, dtype='float32')
        )

    @property
    def inverted(self) -> bool:
        """Return whether the channels cancel each other out."""
        return self._alone is not None

    def push(self, samples: np.ndarray, last: bool = False) -> np.ndarray:
        """
        Take int16 (n, channels) or (n,); return int16 (m,) at 16 kHz, as far as it is known.

        last: flush what the filter still holds.
        """
        samples = samples.reshape(-1, self._channels)
        if self._same and self._channels == 1:
            return samples[:, 0]
        if self._inversion is not None and self._alone is None and len(samples):
            self._alone = self._inversion.push(samples)
        if self._alone is not None:
            samples = samples[:, self._alone : self._alone + 1]
        mono = downmix(samples)
        if self._stream is not None:
            mono = self._stream.resample_chunk(mono, last=last)
        return to_int16(mono)
