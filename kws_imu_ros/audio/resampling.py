"""Turn sound of any rate and channel count into 16 kHz mono int16, streaming."""

from __future__ import annotations

import numpy as np
import soxr

from kws_imu_ros.audio.block import SAMPLE_RATE
from kws_imu_ros.errors import KwsImuError


def downmix(samples: np.ndarray) -> np.ndarray:
    """Return float32 (n,): the mean over channels of int16 (n, channels), scaled to -1 to 1."""
    mono: np.ndarray = samples.mean(axis=1, dtype=np.float32) / np.float32(32768.0)
    return mono


def channels_cancel(samples: np.ndarray) -> bool:
    """
    Return whether the mean of int16 (n, channels) loses what the channels hold.

    The mean of channels that have nothing to do with each other keeps the root of their summed
    energy over their count; less than a third of it is left only where channels are inverted.
    """
    if len(samples) == 0:
        return False
    mean = samples.mean(axis=1, dtype=np.float32)
    unrelated = samples.var(axis=0, dtype=np.float64).sum() / samples.shape[1] ** 2
    return bool(mean.var(dtype=np.float64) < 0.1 * unrelated)


def loudest_channel(samples: np.ndarray) -> int:
    """Return the index of the channel of int16 (n, channels) with the most energy."""
    return int(samples.var(axis=0, dtype=np.float64).argmax())


def to_int16(samples: np.ndarray) -> np.ndarray:
    """Return floats from -1 to 1 as int16, rounded, and clipped where they are beyond."""
    return np.clip(np.rint(samples * 32768.0), -32768, 32767).astype(np.int16)


class Resampler:
    """Turn chunks of int16 at any rate and channel count into 16 kHz mono int16, streaming."""

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
        self._same = rate == SAMPLE_RATE
        # soxr compensates its own delay: output sample k is the signal at time k / 16000 s.
        self._stream = (
            None if self._same else soxr.ResampleStream(rate, SAMPLE_RATE, 1, dtype='float32')
        )

    def push(self, samples: np.ndarray, last: bool = False) -> np.ndarray:
        """
        Take int16 (n, channels) or (n,); return int16 (m,) at 16 kHz, as far as it is known.

        last: flush what the filter still holds.
        """
        samples = samples.reshape(-1, self._channels)
        if self._same and self._channels == 1:
            return samples[:, 0]
        mono = downmix(samples)
        if self._stream is not None:
            mono = self._stream.resample_chunk(mono, last=last)
        return to_int16(mono)
