"""
False accepts and false rejects of the voice head over long audio, and thresholds chosen on them.

Audio runs through front end, network and smoothing hop by hop, as in the robot. A false accept is a
stretch in which a command's smoothed posterior rises above the threshold without that word having
been said; the peak of the stretch says at which thresholds it counts, so one pass over the audio
gives the whole curve of false accepts per hour against the false reject rate (a DET curve).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from kws_imu_ros.audio.frontend import log_mel
from kws_imu_ros.decision.smoothing import make_smoothers, smooth
from kws_imu_ros.decision.table import VOICE_THRESHOLD, PolicyTable
from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.lab.data.folders import sound_files
from kws_imu_ros.lab.data.speech_data import (
    CLIP_SAMPLES,
    SAMPLE_RATE,
    SpeechClips,
    load_noise,
    load_speech,
    read_audio,
    speech_end,
)
from kws_imu_ros.model.interpreter import Interpreter

HOP_SAMPLES = 640
HOPS_PER_SECOND = SAMPLE_RATE // HOP_SAMPLES
POSITIVE_SPACING_S = 3
POSITIVE_SNR_DB = 10.0
BUDGETS = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0)
THRESHOLDS = np.round(np.arange(0.5, 0.996, 0.005), 3)

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class DetectionPeaks:
    """
    What one pass over negatives and positives found.

    negative: label -> peaks of its stretches in audio in which it was not said.
    positive: label -> peak around each time it was said.
    hours: length of the negatives.
    Labels that stop the robot are on their own, on raw posteriors, as the policy treats them:
    `false_stops` and `true_stops` are the peaks of negatives and of positives.
    hours_by_source: hours of each source of negatives; negative_sources and false_stop_sources say
    for each peak of `negative` and `false_stops` which it lies in, int index into its names.
    """

    negative: Mapping[str, np.ndarray]
    positive: Mapping[str, np.ndarray]
    hours: float
    false_stops: np.ndarray = field(default_factory=lambda: np.empty(0, np.float32))
    true_stops: np.ndarray = field(default_factory=lambda: np.empty(0, np.float32))
    hours_by_source: Mapping[str, float] = field(default_factory=dict)
    negative_sources: Mapping[str, np.ndarray] = field(default_factory=dict)
    false_stop_sources: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))

    def false_accepts(self, label: str, threshold: float) -> int:
        """Return how often the label was accepted though nobody said it."""
        return int((self.negative[label] >= threshold).sum())

    def false_accepts_by_source(self, thresholds: Mapping[str, float]) -> dict[str, int]:
        """Return how many false accepts lie in each source, at a threshold for each label."""
        found = {}
        for index, source in enumerate(self.hours_by_source):
            found[source] = sum(
                int(((self.negative[k] >= t) & (self.negative_sources[k] == index)).sum())
                for k, t in thresholds.items()
            )
        return found

    def misses(self, label: str, threshold: float) -> int:
        """Return how often the label was said and not accepted."""
        return int((self.positive[label] < threshold).sum())


def voice_stream(
    interpreter: Interpreter, audio: np.ndarray, progress: Progress | None = None
) -> np.ndarray:
    """Return the raw voice posteriors of audio, int16 (n,), float32 (n // 640, labels)."""
    parameters = interpreter.manifest.front_end
    frames = log_mel(audio, parameters)
    silence = np.full((parameters.frames, parameters.mel_bins), parameters.silence, np.float32)
    frames = np.concatenate((silence, frames))
    hops = len(audio) // HOP_SAMPLES
    posteriors = np.empty((hops, len(interpreter.manifest.labels['voice'])), np.float32)
    for hop in range(hops):
        # The newest frame needs a whole transform's length, so it lags the hop by one frame.
        end = parameters.frames + max(
            0, 1 + ((hop + 1) * HOP_SAMPLES - parameters.fft_length) // parameters.hop_length
        )
        posteriors[hop] = interpreter.infer(frames[end - parameters.frames : end], None).voice
        if progress and hop % 500 == 0:
            progress(hop, hops)
    return posteriors


def stretch_peaks(scores: np.ndarray, release: float) -> tuple[np.ndarray, np.ndarray]:
    """
    Find the peak of every stretch of scores, float (n,), that stays above `release`.

    Returns (peaks float32 (m,), their places in scores int64 (m,)).
    """
    above = np.concatenate(([False], scores > release, [False])).astype(np.int8)
    starts, ends = np.flatnonzero(np.diff(above) == 1), np.flatnonzero(np.diff(above) == -1)
    places = np.array(
        [a + int(scores[a:b].argmax()) for a, b in zip(starts, ends, strict=True)], np.int64
    )
    return scores[places].astype(np.float32), places


def negative_audio(
    streams: Sequence[Path],
    unknown: np.ndarray,
    noise: Sequence[np.ndarray],
    progress: Progress | None = None,
) -> dict[str, np.ndarray]:
    """
    Return the audio in which nobody gives a command, by source, int16 (n,) each.

    The sources: 'sentences' (the recordings `streams`), 'unknown words' (clips, int16 (n, 16000))
    and 'noise' (background recordings); each laid end to end, empty ones left out.

    Raises:
        KwsImuError: a file cannot be read, or there is nothing at all.

    """
    sentences = []
    for done, path in enumerate(streams):
        if progress:
            progress(done, len(streams))
        sentences.append(read_audio(path))
    parts = {'sentences': sentences, 'unknown words': list(unknown), 'noise': list(noise)}
    audio = {name: np.concatenate(part) for name, part in parts.items() if part}
    if not audio:
        raise KwsImuError('There is no negative audio; give --streams or more speech data.')
    return audio


def list_streams(directory: Path) -> list[Path]:
    """
    List the recordings of a folder, sorted.

    Raises:
        KwsImuError: the folder is missing or holds none.

    """
    paths = sound_files(directory) if directory.is_dir() else []
    if not paths:
        raise KwsImuError(
            f'{directory} holds no wav, flac or ogg recordings; give a folder of ordinary speech.'
        )
    return paths


def positive_audio(
    clips: np.ndarray, background: np.ndarray, seed: int = 0, snr_db: float = POSITIVE_SNR_DB
) -> np.ndarray:
    """
    Mix clips, int16 (n, 16000), into background, one every three seconds; int16 (n * 48000,).

    Each clip is `snr_db` above its own piece of background, over the clip's second.
    """
    rng = np.random.default_rng(seed)
    spacing = POSITIVE_SPACING_S * SAMPLE_RATE
    background = np.resize(background, max(spacing, len(background)))
    output = np.zeros(len(clips) * spacing, np.float32)
    for i, clip in enumerate(clips):
        start = rng.integers(0, len(background) - spacing + 1)
        piece = background[start : start + spacing].astype(np.float32)
        speech = clip.astype(np.float32)
        under = piece[SAMPLE_RATE : SAMPLE_RATE + CLIP_SAMPLES]
        ratio = np.mean(speech**2) / (np.mean(under**2) + 1.0)
        # A quiet piece is not made louder: real rooms have pauses.
        gain = min(1.0, float(np.sqrt(ratio / 10.0 ** (snr_db / 10.0))))
        place = output[i * spacing : (i + 1) * spacing]
        place += piece * gain
        place[SAMPLE_RATE : SAMPLE_RATE + CLIP_SAMPLES] += speech
    return np.clip(output, -32768, 32767).astype(np.int16)


def detection_peaks(
    interpreter: Interpreter,
    negatives: Mapping[str, np.ndarray],
    clips: np.ndarray,
    words: Sequence[str],
    table: PolicyTable,
    progress: Progress | None = None,
) -> DetectionPeaks:
    """
    Run negatives, laid end to end, and the positives mixed into them through the network.

    negatives: int16 (n,) by source, as from `negative_audio`. clips, words: int16 (n, 16000) and
    their labels. table: the policy, for its smoothing, release threshold and stop words.
    """
    labels = interpreter.manifest.labels['voice']
    ignored = {table.voice_background, *table.voice_unknown}
    smoother, _, _ = make_smoothers(table, interpreter.manifest.labels)
    audio = np.concatenate(list(negatives.values()))
    mixed = positive_audio(clips, audio)
    total = (len(audio) + len(mixed)) // HOP_SAMPLES
    raw = voice_stream(interpreter, audio, progress and (lambda done, _: progress(done, total)))
    smoothed = smooth(smoother, raw)
    ends = np.cumsum([len(part) for part in negatives.values()]) / HOP_SAMPLES
    negative, sources = {}, {}
    for label in labels:
        if label in ignored:
            continue
        scores = (raw if label in table.stop_words else smoothed)[:, labels.index(label)]
        negative[label], places = stretch_peaks(scores, table.voice_release)
        sources[label] = np.searchsorted(ends[:-1], places, side='right')
    before = len(raw)
    raw = voice_stream(
        interpreter, mixed, progress and (lambda done, _: progress(before + done, total))
    )
    smoothed = smooth(smoother, raw)
    spacing = POSITIVE_SPACING_S * HOPS_PER_SECOND
    positive: dict[str, list[float]] = {label: [] for label in negative}
    for i, (clip, word) in enumerate(zip(clips, words, strict=True)):
        begin = i * spacing + HOPS_PER_SECOND
        end = begin + speech_end(clip) // HOP_SAMPLES + HOPS_PER_SECOND
        scores = raw if word in table.stop_words else smoothed
        positive[word].append(scores[begin:end, labels.index(word)].max())
    found = {label: np.array(values, np.float32) for label, values in positive.items()}
    stops = [label for label in negative if label in table.stop_words]
    nothing = np.empty(0, np.float32)
    return DetectionPeaks(
        {label: peaks for label, peaks in negative.items() if label not in stops},
        {label: peaks for label, peaks in found.items() if label not in stops},
        len(audio) / SAMPLE_RATE / 3600.0,
        np.concatenate([nothing, *(negative[label] for label in stops)]),
        np.concatenate([nothing, *(found[label] for label in stops)]),
        {name: len(part) / SAMPLE_RATE / 3600.0 for name, part in negatives.items()},
        {label: where for label, where in sources.items() if label not in stops},
        np.concatenate([np.empty(0, np.int64), *(sources[label] for label in stops)]),
    )


def det_curve(peaks: DetectionPeaks) -> dict[str, list[float]]:
    """Return thresholds, false accepts per hour and false reject rate, one threshold for all."""
    total = sum(map(len, peaks.positive.values()))
    return {
        'threshold': THRESHOLDS.tolist(),
        'false_accepts_per_hour': [
            sum(peaks.false_accepts(k, t) for k in peaks.negative) / peaks.hours for t in THRESHOLDS
        ],
        'false_reject_rate': [
            sum(peaks.misses(k, t) for k in peaks.positive) / total for t in THRESHOLDS
        ],
    }


def det_curve_by_label(peaks: DetectionPeaks) -> dict[str, list[float]]:
    """Return false accepts per hour and false reject rate with thresholds for each label."""
    found = [choose_thresholds(peaks, budget)[1:] for budget in BUDGETS]
    return {
        'budget': list(BUDGETS),
        'false_accepts_per_hour': [accepts for accepts, _ in found],
        'false_reject_rate': [rejects for _, rejects in found],
    }


def choose_thresholds(
    peaks: DetectionPeaks, false_accepts_per_hour: float = 1.0
) -> tuple[dict[str, float], float, float]:
    """
    Choose a threshold for each label: fewest misses in all within the budget of false accepts.

    For a price of a false accept in misses each label has its own best threshold; the lowest price
    at which the sum stays within the budget is searched by bisection.
    Returns (thresholds, false accepts per hour, false reject rate).
    """
    accepts = {k: [peaks.false_accepts(k, t) for t in THRESHOLDS] for k in peaks.negative}
    misses = {k: [peaks.misses(k, t) for t in THRESHOLDS] for k in peaks.negative}
    total = sum(map(len, peaks.positive.values()))

    def best(price: float) -> dict[str, int]:
        # Of equal costs the highest threshold, which is the safer one.
        return {
            k: min(
                reversed(range(len(THRESHOLDS))),
                key=lambda i, k=k: misses[k][i] + price * accepts[k][i],
            )
            for k in accepts
        }

    def hourly(chosen: Mapping[str, int]) -> float:
        return sum(accepts[k][i] for k, i in chosen.items()) / peaks.hours

    low, high = 0.0, 1.0
    while hourly(best(high)) > false_accepts_per_hour and high < 1e6:
        high *= 4.0
    for _ in range(40):
        middle = (low + high) / 2.0
        if hourly(best(middle)) > false_accepts_per_hour:
            low = middle
        else:
            high = middle
    chosen = best(high)
    return (
        {k: float(THRESHOLDS[i]) for k, i in chosen.items()},
        hourly(chosen),
        sum(misses[k][i] for k, i in chosen.items()) / total,
    )


def practical_thresholds(
    peaks: DetectionPeaks, false_accepts_per_hour: float = 1.0, most_rejects: float = 0.1
) -> dict[str, float]:
    """
    Choose thresholds for the budget, or for the least excess over it that still hears people.

    A robot that rejects more than `most_rejects` of what is said is of no use, so the budget is
    raised by a fifth at a time until it does not.
    """
    budget = false_accepts_per_hour
    thresholds, _, rejects = choose_thresholds(peaks, budget)
    while rejects > most_rejects and budget < 1e4:
        budget *= 1.2
        thresholds, _, rejects = choose_thresholds(peaks, budget)
    return thresholds


def streaming_scores(
    interpreter: Interpreter, table: PolicyTable, peaks: DetectionPeaks
) -> dict[str, Any]:
    """Return false accepts and rejects over long audio, and thresholds for one an hour."""
    chosen, accepts, rejects = choose_thresholds(peaks)
    used = interpreter.manifest.thresholds.get('voice', {})
    used = {label: used.get(label, VOICE_THRESHOLD) for label in peaks.negative}
    said = sum(map(len, peaks.positive.values()))
    false_stops = peaks.false_stops >= table.stop_word_threshold
    at_one, at_used = (peaks.false_accepts_by_source(each) for each in (chosen, used))
    by_source = {
        source: {
            'hours': hours,
            'false_accepts': at_one[source],
            'shipped_false_accepts': at_used[source],
            'shipped_false_accepts_per_hour': at_used[source] / hours,
            'false_stops': int(np.sum(false_stops & (peaks.false_stop_sources == index))),
        }
        for index, (source, hours) in enumerate(peaks.hours_by_source.items())
    }
    return {
        'hours_of_negatives': peaks.hours,
        'words_mixed_in': said,
        # With thresholds chosen for at most one false accept an hour ...
        'false_accepts_per_hour': accepts,
        'false_reject_rate': rejects,
        # ... and with those that the bundle carries.
        'shipped_false_accepts_per_hour': sum(
            peaks.false_accepts(label, threshold) for label, threshold in used.items()
        )
        / peaks.hours,
        'shipped_false_reject_rate': sum(
            peaks.misses(label, threshold) for label, threshold in used.items()
        )
        / said,
        'false_stops_per_hour': float(false_stops.sum()) / peaks.hours,
        'missed_stop_rate': float((peaks.true_stops < table.stop_word_threshold).mean()),
        'by_source': by_source,
        'thresholds': chosen,
        'det': det_curve(peaks),
        'det_by_label': det_curve_by_label(peaks),
    }


def voice_peaks(
    interpreter: Interpreter,
    table: PolicyTable,
    speech: Path,
    streams: Path,
    split: str,
    cache: Path | None = None,
    progress: Progress | None = None,
    *,
    data: SpeechClips | None = None,
) -> DetectionPeaks:
    """
    Return the `DetectionPeaks` of a split.

    Negatives: the streams, all unknown words of the split and its background noise, end to end.
    Positives: all of the split's command words, mixed into them at 10 dB.
    data: the split's `SpeechClips` where they are loaded already.
    """
    labels = interpreter.manifest.labels['voice']
    data = data or load_speech(speech, split, labels, cache)
    unknown = data.labels == labels.index('unknown')
    spoken = np.flatnonzero(~unknown & (data.labels != labels.index('silence')))
    negatives = negative_audio(
        list_streams(streams),
        data.samples[unknown],
        load_noise(speech, split),
        progress,
    )
    return detection_peaks(
        interpreter,
        negatives,
        data.samples[spoken],
        [labels[k] for k in data.labels[spoken]],
        table,
        progress,
    )
