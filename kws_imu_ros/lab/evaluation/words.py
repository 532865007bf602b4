"""
Words clip by clip: which clips are judged, and what the voice head says of them.

The clips are those of ten classes, silence and unknown among them, as the literature counts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kws_imu_ros.audio.frontend import log_mel
from kws_imu_ros.lab.data import speech_data
from kws_imu_ros.lab.data.speech_data import SpeechClips
from kws_imu_ros.lab.evaluation.classification import classification
from kws_imu_ros.model.interpreter import Interpreter

SILENCE_SEED = 3

Progress = Callable[[int, int], None]


def voice_clips(
    directory: Path,
    split: str,
    labels: Sequence[str],
    cache: Path | None = None,
    progress: Progress | None = None,
    *,
    data: SpeechClips | None = None,
) -> tuple[np.ndarray, np.ndarray, list[str], dict[str, Any]]:
    """
    Return (clips, truth, words, notes) of a ten-class evaluation.

    Silence and unknown are as frequent as the average word, as in the data set's own test set: the
    folders `_silence_` and `_unknown_` where there are any; else silence is cut from the split's
    part of the background recordings, and unknown drawn from the words that are no label.
    data: the split's `SpeechClips` where they are loaded already.
    """
    data = data or speech_data.load_speech(directory, split, labels, cache, progress)
    words = np.array(data.words)
    unknown, silence = labels.index('unknown'), labels.index('silence')
    spoken = np.flatnonzero((data.labels != unknown) & (data.labels != silence))
    average = max(1, round(len(spoken) / (len(labels) - 2)))
    notes: dict[str, Any] = {'digest': data.digest}
    chosen = [spoken]
    ready = np.flatnonzero(words == speech_data.UNKNOWN_FOLDER)
    others = np.flatnonzero((data.labels == unknown) & (words != speech_data.UNKNOWN_FOLDER))
    if len(ready):
        chosen.append(ready)
        notes['unknown_from'] = speech_data.UNKNOWN_FOLDER
    elif len(others):
        chosen.append(np.random.default_rng(0).permutation(others)[:average])
        notes['unknown_from'] = 'words that are no label'
    ready = np.flatnonzero(words == speech_data.SILENCE_FOLDER)
    chosen.append(ready)
    index = np.concatenate(chosen)
    clips, truth = data.samples[index], data.labels[index]
    if len(ready):
        notes['silence_from'] = speech_data.SILENCE_FOLDER
    elif (directory / speech_data.NOISE_FOLDER).is_dir():
        noise = speech_data.load_noise(directory, split)
        made = speech_data.silence_clips(noise, average, SILENCE_SEED)
        clips = np.concatenate((clips, made))
        truth = np.concatenate((truth, np.full(len(made), silence)))
        notes['silence_from'] = speech_data.NOISE_FOLDER
    else:
        notes['silence_from'] = 'nothing: no such folder'
    names = list(words[index]) + ['silence'] * (len(clips) - len(index))
    return clips, truth, names, notes


def voice_posteriors(
    interpreter: Interpreter, samples: np.ndarray, progress: Progress | None = None
) -> np.ndarray:
    """Return the voice head's posteriors, float32 (n, labels), of int16 clips (n, 16000)."""
    posteriors = []
    for i, clip in enumerate(samples):
        window = log_mel(clip, interpreter.manifest.front_end)
        posteriors.append(
            interpreter.infer(window[-interpreter.manifest.front_end.frames :], None).voice
        )
        if progress and i % 50 == 0:
            progress(i, len(samples))
    return np.array(posteriors)


def evaluate_voice(
    interpreter: Interpreter,
    samples: np.ndarray,
    truth: np.ndarray,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """
    Classify one-second clips, int16 (n, 16000), truth int (n,).

    Beside the scores of all classes, `accuracy_without_silence` leaves silence clips out, since
    they decide many a published ranking.
    """
    labels = interpreter.manifest.labels['voice']
    found = voice_posteriors(interpreter, samples, progress).argmax(axis=1)
    result = classification(truth, found, labels)
    spoken = truth != labels.index('silence')
    result['accuracy_without_silence'] = float((truth == found)[spoken].mean())
    return result
