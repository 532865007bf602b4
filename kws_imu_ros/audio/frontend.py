"""
The log-mel front end, batch and streaming.

It equals librosa's ``melspectrogram(center=False, power=2, norm='slaney', htk=False)`` followed by
``log(mel + log_floor)``; librosa itself is too heavy for a $35 computer, so the few lines that are
needed live here and the tests compare them with the original.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from kws_imu_ros.errors import KwsImuError


@dataclass(frozen=True)
class FrontEndParameters:
    """
    Parameters of the log-mel front end; a bundle's manifest carries them.

    Lengths are in samples; the window is a periodic Hann window of `window_length`, zero-padded on
    both sides to `fft_length`. `offset` and `scale` normalize the log-mel for the network:
    ``(log_mel - offset) / scale``.
    """

    sample_rate: int = 16000
    fft_length: int = 512
    window_length: int = 480
    hop_length: int = 320
    mel_bins: int = 40
    minimum_hz: float = 20.0
    maximum_hz: float = 7600.0
    frames: int = 49
    log_floor: float = 1e-6
    offset: float = -6.0
    scale: float = 4.0

    @property
    def silence(self) -> float:
        """Return the log-mel value of digital silence."""
        return float(np.log(np.float32(self.log_floor)))

    @property
    def window_samples(self) -> int:
        """Return how many samples the network's window of `frames` frames spans."""
        return self.fft_length + (self.frames - 1) * self.hop_length


def _hz_to_mel(hz: float) -> np.ndarray:
    """Convert Hz to mel on Slaney's scale: linear below 1 kHz, logarithmic above."""
    values = np.asarray(hz, dtype=np.float64)
    linear = values * 3.0 / 200.0
    logarithmic = 15.0 + np.log(np.maximum(values, 1e-9) / 1000.0) * 27.0 / np.log(6.4)
    return np.where(values >= 1000.0, logarithmic, linear)


def _mel_to_hz(mel: np.ndarray) -> np.ndarray:
    """Convert mel on Slaney's scale to Hz."""
    mel = np.asarray(mel, dtype=np.float64)
    return np.where(
        mel >= 15.0, 1000.0 * np.exp((mel - 15.0) * np.log(6.4) / 27.0), mel * 200.0 / 3.0
    )


def mel_matrix(parameters: FrontEndParameters) -> np.ndarray:
    """
    Return the mel filter bank, float32 of shape (mel_bins, fft_length // 2 + 1).

    Triangular filters on Slaney's mel scale, each of unit area (Slaney, Auditory Toolbox, 1998).
    """
    p = parameters
    bins_hz = np.linspace(0.0, p.sample_rate / 2.0, p.fft_length // 2 + 1)
    low, high = _hz_to_mel(p.minimum_hz), _hz_to_mel(p.maximum_hz)
    edges_hz = _mel_to_hz(np.linspace(low, high, p.mel_bins + 2))
    widths = np.diff(edges_hz)
    ramps = edges_hz[:, None] - bins_hz[None, :]
    rising = -ramps[:-2] / widths[:-1, None]
    falling = ramps[2:] / widths[1:, None]
    area = 2.0 / (edges_hz[2:] - edges_hz[:-2])
    triangles: np.ndarray = np.maximum(0.0, np.minimum(rising, falling)) * area[:, None]
    return triangles.astype(np.float32)


def mel_matrix_digest(parameters: FrontEndParameters) -> str:
    """
    Return the sha256 hex digest of the mel matrix.

    Values are rounded to 1e-7 first so that the digest is the same on every processor.
    """
    rounded = np.round(mel_matrix(parameters).astype(np.float64) * 1e7).astype('<i8')
    return hashlib.sha256(rounded.tobytes()).hexdigest()


def analysis_window(parameters: FrontEndParameters) -> np.ndarray:
    """Return the periodic Hann window, zero-padded on both sides, float32 (fft_length,)."""
    p = parameters
    left = (p.fft_length - p.window_length) // 2
    hann = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(p.window_length) / p.window_length)
    window = np.zeros(p.fft_length, np.float32)
    window[left : left + p.window_length] = hann
    return window


class _FrameTransform:
    """Turn windows of samples into log-mel frames; shared by the batch and the stream."""

    def __init__(self, parameters: FrontEndParameters) -> None:
        p = parameters
        if p.window_length > p.fft_length or p.hop_length <= 0 or p.frames <= 0:
            raise KwsImuError(
                'Front-end parameters do not fit together: need window_length <= fft_length, '
                'hop_length > 0 and frames > 0; correct them in the bundle or the recipe.'
            )
        if not 0.0 <= p.minimum_hz < p.maximum_hz <= p.sample_rate / 2:
            raise KwsImuError(
                f'Front-end band {p.minimum_hz} to {p.maximum_hz} Hz does not fit a sample rate of '
                f'{p.sample_rate} Hz; choose 0 <= minimum_hz < maximum_hz <= sample_rate / 2.'
            )
        self._window = analysis_window(p)
        self._mel = np.ascontiguousarray(mel_matrix(p).T)
        self._floor = np.float32(p.log_floor)

    def __call__(self, frame: np.ndarray) -> np.ndarray:
        """Transform one frame, float32 (fft_length,), to log-mel float32 (mel_bins,)."""
        spectrum = np.fft.rfft(frame * self._window)
        power = (spectrum.real**2 + spectrum.imag**2).astype(np.float32)
        log_power: np.ndarray = np.log(power @ self._mel + self._floor)
        return log_power


def to_float(samples: np.ndarray) -> np.ndarray:
    """Return samples as float32 in -1 to 1; int16 is divided by 32768, floats pass through."""
    values: np.ndarray = np.asarray(samples)
    floats: np.ndarray = values.astype(np.float32, copy=False)
    return floats / np.float32(32768.0) if values.dtype == np.int16 else floats


def frame_count(samples: int, parameters: FrontEndParameters) -> int:
    """Return how many whole frames `samples` samples hold."""
    return max(0, 1 + (samples - parameters.fft_length) // parameters.hop_length)


def log_mel(samples: np.ndarray, parameters: FrontEndParameters | None = None) -> np.ndarray:
    """
    Return the log-mel spectrogram of a whole recording.

    samples: int16 or float (n,), mono, at the parameters' sample rate.
    Returns float32 (frame_count(n), mel_bins); natural logarithm of mel power plus `log_floor`.
    """
    parameters = parameters or FrontEndParameters()
    transform = _FrameTransform(parameters)
    audio = to_float(samples)
    count = frame_count(len(audio), parameters)
    output = np.empty((count, parameters.mel_bins), np.float32)
    for i in range(count):
        start = i * parameters.hop_length
        output[i] = transform(audio[start : start + parameters.fft_length])
    return output


class LogMelStream:
    """Compute log-mel frames as audio arrives, each frame once, equal to `log_mel` to the bit."""

    def __init__(self, parameters: FrontEndParameters | None = None) -> None:
        self.parameters = parameters or FrontEndParameters()
        self._transform = _FrameTransform(self.parameters)
        self.reset()

    def reset(self) -> None:
        """Forget all audio; the window is digital silence again."""
        p = self.parameters
        self._pending = np.empty(0, np.float32)
        self._frames: np.ndarray = np.full((p.frames, p.mel_bins), p.silence, np.float32)

    def push(self, samples: np.ndarray, centred: bool = False) -> np.ndarray:
        """
        Append samples, int16 or float (n,), any n; centred: take the mean out of each frame.

        Returns the new frames, float32 (k, mel_bins), k >= 0.
        """
        p = self.parameters
        pending = np.concatenate((self._pending, to_float(samples)))
        count = frame_count(len(pending), p)
        new = np.empty((count, p.mel_bins), np.float32)
        for i in range(count):
            start = i * p.hop_length
            frame = pending[start : start + p.fft_length]
            new[i] = self._transform(frame - frame.mean() if centred else frame)
        self._pending = pending[count * p.hop_length :]
        if count >= p.frames:
            self._frames = new[-p.frames :].copy()
        elif count:
            self._frames = np.concatenate((self._frames[count:], new))
        return new

    def window(self) -> np.ndarray:
        """Return the newest `frames` frames, float32 (frames, mel_bins), oldest first."""
        frames: np.ndarray = self._frames.copy()
        return frames
