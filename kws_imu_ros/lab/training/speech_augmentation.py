"""
Make batches of augmented log-mel windows from clips.

Order as sound meets a robot: the speaker (speed and vocal-tract length, which also carries adult
voices towards children's), the moment (shift), the distance (gain), the room (background noise over
a range of SNR), the front end, and SpecAugment (Park et al., 2019) on its output.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.fft

from kws_imu_ros.audio.frontend import FrontEndParameters, analysis_window, mel_matrix
from kws_imu_ros.lab.data.speech_data import CLIP_SAMPLES, speech_end

# Root mean square of full scale below which a stretch of a recording is a pause.
QUIETEST_SPEECH = 0.01


@dataclass(frozen=True)
class SpeechAugmentation:
    """
    Ranges of the augmentation; each is drawn uniformly per clip.

    speed: factor. shift_ms: earlier (negative) to later. gain_db. noise_probability: share of the
    clips that get background noise at snr_db. vocal_tract: frequency warp factor of the mel bank.
    time_mask, frequency_mask: most frames or mel bins one of `masks` SpecAugment masks may cover.
    unknown_share: share of the clips that become 'unknown' beyond that class's own share;
    confusing_share: share of the unknown clips that are made to confuse (see `_confusing`).
    babble_probability: share of the noisy clips whose noise is other people's words.
    running_share: share of the confusing clips cut from running speech, where there is any.
    narrow_probability: share of the clips heard through a microphone that is deaf above a frequency
    drawn from narrow_hz. Old or telephone recordings are; without this, deafness tells them from
    the clips of commands, and the network learns the microphone instead of the speech.
    """

    speed: tuple[float, float] = (0.85, 1.2)
    shift_ms: tuple[float, float] = (-120.0, 250.0)
    gain_db: tuple[float, float] = (-15.0, 8.0)
    noise_probability: float = 0.7
    snr_db: tuple[float, float] = (-3.0, 25.0)
    vocal_tract: tuple[float, float] = (0.88, 1.12)
    time_mask: int = 8
    frequency_mask: int = 6
    masks: int = 2
    unknown_share: float = 0.2
    confusing_share: float = 0.5
    babble_probability: float = 0.2
    running_share: float = 0.7
    narrow_probability: float = 0.0
    narrow_hz: tuple[float, float] = (3400.0, 7000.0)


class FeatureBatch:
    """Compute log-mel of a whole batch at once; equal to the runtime front end within 1e-4."""

    def __init__(self, parameters: FrontEndParameters, warps: Sequence[float] = (1.0,)) -> None:
        p = self.parameters = parameters
        self._window = analysis_window(p)
        self._mels = [_warped_mel_matrix(p, warp).T.copy() for warp in warps]

    def __call__(self, audio: np.ndarray, warp: np.ndarray | None = None) -> np.ndarray:
        """
        Transform audio, float32 (n, samples) in -1 to 1, to log-mel float32 (n, frames, mel_bins).

        warp: int (n,), which of the warps each clip gets; None for the first.
        """
        p = self.parameters
        frames = np.lib.stride_tricks.sliding_window_view(audio, p.fft_length, axis=1)
        frames = frames[:, :: p.hop_length][:, : p.frames]
        spectrum = scipy.fft.rfft(frames * self._window, axis=-1)
        power = spectrum.real**2 + spectrum.imag**2
        if warp is None:
            mel = power @ self._mels[0]
        else:
            mel = np.empty((*power.shape[:2], p.mel_bins), np.float32)
            for k in np.unique(warp):
                mel[warp == k] = power[warp == k] @ self._mels[k]
        return np.log(mel + np.float32(p.log_floor))


def _warped_mel_matrix(parameters: FrontEndParameters, warp: float) -> np.ndarray:
    """Return the mel matrix of a vocal tract whose formants are `warp` times higher."""
    matrix = mel_matrix(parameters)
    if warp == 1.0:
        return matrix
    bins = np.arange(matrix.shape[1])
    return np.stack([np.interp(bins / warp, bins, row) for row in matrix]).astype(np.float32) / warp


class SpeechBatches:
    """Draw augmented batches of (log-mel normalized, label) from clips and noise."""

    def __init__(
        self,
        samples: np.ndarray,
        labels: np.ndarray,
        noise: Sequence[np.ndarray],
        parameters: FrontEndParameters,
        augmentation: SpeechAugmentation,
        class_count: int,
        silence_label: int,
        unknown_label: int,
        running_speech: np.ndarray | None = None,
    ) -> None:
        """
        Take the material.

        samples, labels: clips int16 (n, 16000) and their classes. noise: recordings, int16 each.
        running_speech: int16 (m,), people talking, or None.
        """
        self._samples, self._labels = samples, labels
        self._running_speech = running_speech
        self._noise = [n.astype(np.float32) / 32768.0 for n in noise]
        self._augmentation = augmentation
        self._parameters = parameters
        low, high = augmentation.vocal_tract
        self._warps = np.linspace(low, high, 9)
        self._features = FeatureBatch(parameters, self._warps)
        self._silence_label, self._unknown_label = silence_label, unknown_label
        self._by_class = [np.flatnonzero(labels == k) for k in range(class_count)]
        self._ends = np.array([speech_end(clip) for clip in samples])
        self._starts = np.array([CLIP_SAMPLES - speech_end(clip[::-1]) for clip in samples])
        self._spoken = np.flatnonzero(labels != silence_label)
        # Below the lower edge of a mel bin's filter it hears nothing.
        hz = np.linspace(0.0, parameters.sample_rate / 2.0, parameters.fft_length // 2 + 1)
        self._mel_from_hz = hz[np.argmax(mel_matrix(parameters) > 0.0, axis=1)]

    def in_noise(self, snr_db: tuple[float, float]) -> SpeechBatches:
        """Return the same batches in noise of another range of SNR."""
        batches = copy.copy(self)
        batches._augmentation = replace(self._augmentation, snr_db=snr_db)
        return batches

    def batch(
        self, size: int, rng: np.random.Generator, labels: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """
        Return (log-mel float32 (size, frames, mel_bins), normalized; labels int64 (size,)).

        labels: int (size,) to choose the classes, None to draw them.
        """
        audio, labels = self.audio(size, rng, labels)
        warp = rng.integers(len(self._warps), size=size)
        log_mel = self._features(audio, warp)
        p = self._parameters
        self._narrow(log_mel, rng)
        log_mel = (log_mel - p.offset) / p.scale
        for i in np.flatnonzero(labels != self._silence_label):
            self._mask(log_mel[i], rng)
        return log_mel.astype(np.float32), labels

    def audio(
        self, size: int, rng: np.random.Generator, labels: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """
        Return (audio float32 (size, 16000) in -1 to 1, labels int64 (size,)): up to the front end.

        labels: int (size,) to choose the classes, None to draw them.
        """
        if labels is None:
            labels = rng.integers(len(self._by_class), size=size)
            # The world outside the vocabulary is larger than any word.
            labels[rng.random(size) < self._augmentation.unknown_share] = self._unknown_label
        a = self._augmentation
        audio = np.zeros((size, CLIP_SAMPLES), np.float32)
        for i, label in enumerate(labels):
            if label == self._unknown_label and rng.random() < a.confusing_share:
                audio[i] = self._confusing(rng)
            elif label != self._silence_label:
                audio[i] = self._speech(self._by_class[label], rng)
        self._add_noise(audio, labels, rng)
        return np.clip(audio, -1.0, 1.0), labels

    def _speech(self, candidates: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        a = self._augmentation
        index = candidates[rng.integers(len(candidates))]
        clip = self._samples[index].astype(np.float32) / 32768.0
        speed = rng.uniform(*a.speed)
        shift = rng.uniform(*a.shift_ms) * 16.0
        # Two in five clips end with the word, as a stream does the moment a robot should react.
        if rng.random() < 0.4:
            shift = CLIP_SAMPLES - self._ends[index] / speed - rng.uniform(-400.0, 1600.0)
        positions = (np.arange(CLIP_SAMPLES) - shift) * speed
        clip = np.interp(positions, np.arange(CLIP_SAMPLES), clip, left=0.0, right=0.0)
        return clip * 10.0 ** (rng.uniform(*a.gain_db) / 20.0)

    def _confusing(self, rng: np.random.Generator) -> np.ndarray:
        """
        Return a second that is speech but no command, float32 (16000,).

        Running speech is full of pieces that sound like commands, and no clip of a single word is:
        it is cut from running speech, where there is any; else half are pieces of words spliced
        together, no command ever whole, the others are words one after the other or backwards.
        """
        a = self._augmentation
        if self._running_speech is not None and rng.random() < a.running_share:
            clip = self._running(rng)
        elif (draw := rng.random()) < 0.25:
            clip = self._samples[self._spoken[rng.integers(len(self._spoken))]][::-1]
            clip = clip.astype(np.float32) / 32768.0
        else:
            pieces, length = [], 0
            while length < 2 * CLIP_SAMPLES:
                pieces.append(self._piece(rng, whole=draw < 0.5))
                length += len(pieces[-1])
            clip = np.concatenate(pieces)
        speed = rng.uniform(0.9, 1.4)
        start = rng.uniform(0.0, max(0.0, len(clip) - CLIP_SAMPLES * speed))
        positions = start + np.arange(CLIP_SAMPLES) * speed
        clip = np.interp(positions, np.arange(len(clip)), clip, left=0.0, right=0.0)
        return clip * 10.0 ** (rng.uniform(*a.gain_db) / 20.0)

    def _running(self, rng: np.random.Generator) -> np.ndarray:
        """Return up to 1.5 s of running speech, not of its pauses, at a set loudness."""
        length = min(CLIP_SAMPLES * 3 // 2, len(self._running_speech))
        for _ in range(6):
            start = rng.integers(0, len(self._running_speech) - length + 1)
            clip = self._running_speech[start : start + length].astype(np.float32) / 32768.0
            loudness = np.sqrt(np.mean(clip**2))
            if loudness > QUIETEST_SPEECH:
                break
        return clip * (0.1 / (loudness + 1e-4))

    def _piece(self, rng: np.random.Generator, whole: bool) -> np.ndarray:
        """Return a whole unknown word, or a piece of any word, with soft edges, float32 (n,)."""
        candidates = self._by_class[self._unknown_label] if whole else self._spoken
        index = candidates[rng.integers(len(candidates))]
        start, end = self._starts[index], self._ends[index]
        if not whole:
            # At most half of a command, so that it never is one.
            most = 0.9 if self._labels[index] == self._unknown_label else 0.5
            length = int((end - start) * rng.uniform(0.2, most))
            start = start + rng.integers(0, max(1, end - start - length))
            end = start + length
        piece = self._samples[index][start:end].astype(np.float32) / 32768.0
        piece *= 0.1 / (np.sqrt(np.mean(piece**2)) + 1e-4) if len(piece) else 1.0
        edge = min(80, len(piece) // 2)
        if edge:
            ramp = np.linspace(0.0, 1.0, edge, dtype=np.float32)
            piece[:edge] *= ramp
            piece[-edge:] *= ramp[::-1]
        return np.concatenate((piece, np.zeros(rng.integers(160, 1600), np.float32)))

    def _add_noise(self, audio: np.ndarray, labels: np.ndarray, rng: np.random.Generator) -> None:
        a = self._augmentation
        for i, label in enumerate(labels):
            lowest_snr, highest_snr = a.snr_db
            if label != self._silence_label and rng.random() < a.babble_probability:
                noise = self._confusing(rng)
                # Of two words equally loud nobody could say which one was meant.
                lowest_snr = max(lowest_snr, 5.0)
            else:
                source = self._noise[rng.integers(len(self._noise))]
                start = rng.integers(0, len(source) - CLIP_SAMPLES + 1)
                noise = source[start : start + CLIP_SAMPLES]
            if label == self._silence_label:
                # From digital zero to full volume, evenly in decibels and in amplitude.
                draw = rng.random()
                if draw > 0.1:
                    audio[i] = noise * (
                        10.0 ** rng.uniform(-4.0, 0.2) if draw < 0.5 else rng.uniform(0.0, 1.2)
                    )
                continue
            if rng.random() < a.noise_probability:
                power = np.mean(noise**2) + 1e-12
                # Word power over the loudest half second, so that pauses do not count.
                speech = np.mean(audio[i] ** 2) * 2.0 + 1e-12
                snr_db = rng.uniform(lowest_snr, highest_snr)
                gain = np.sqrt(speech / power / 10.0 ** (snr_db / 10.0))
                audio[i] += noise * min(gain, 3.0)

    def _narrow(self, log_mel: np.ndarray, rng: np.random.Generator) -> None:
        """Silence the mel bins that some microphones do not hear, in place."""
        a = self._augmentation
        if not a.narrow_probability:
            return
        for i in np.flatnonzero(rng.random(len(log_mel)) < a.narrow_probability):
            deaf = self._mel_from_hz >= rng.uniform(*a.narrow_hz)
            log_mel[i][:, deaf] = np.log(self._parameters.log_floor)

    def _mask(self, log_mel: np.ndarray, rng: np.random.Generator) -> None:
        a = self._augmentation
        fill = log_mel.mean()
        for _ in range(a.masks):
            width = rng.integers(a.time_mask + 1)
            start = rng.integers(log_mel.shape[0] - width + 1)
            log_mel[start : start + width] = fill
            width = rng.integers(a.frequency_mask + 1)
            start = rng.integers(log_mel.shape[1] - width + 1)
            log_mel[:, start : start + width] = fill
