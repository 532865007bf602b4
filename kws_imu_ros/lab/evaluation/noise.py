"""
Words in background noise: accuracy of the voice head against the signal-to-noise ratio.

The ratio is the power of a clip's second over that of the noise under it. Every level mixes the
same piece of noise under the same clip, so that levels differ in nothing but loudness.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kws_imu_ros.lab.evaluation.words import voice_posteriors
from kws_imu_ros.model.interpreter import Interpreter

NOISE_SEED = 5
LEVELS_DB = (20.0, 10.0, 5.0, 0.0, -5.0)
FULL_SCALE = 32767.0

Progress = Callable[[int, int], None]


def level_name(snr_db: float | None) -> str:
    """Return how keys of results call a level: 'clean', '10_db' or 'minus_5_db'."""
    if snr_db is None:
        return 'clean'
    return f'{"minus_" if snr_db < 0 else ""}{abs(snr_db):g}_db'


def draw_noise(noise: Sequence[np.ndarray], length: int, rng: np.random.Generator) -> np.ndarray:
    """
    Cut a random piece, float32 (length,), from one of the recordings, int16 (n,) each.

    A recording that is too short is repeated.
    """
    source = noise[rng.integers(len(noise))]
    start = rng.integers(max(1, len(source) - length + 1))
    piece = source[start : start + length]
    return np.resize(piece, length).astype(np.float32)


def power(samples: np.ndarray) -> float:
    """Return the mean square of samples, at least that of the last bit."""
    return max(1.0, float(np.mean(np.square(samples, dtype=np.float64))))


def to_int16(mixture: np.ndarray) -> np.ndarray:
    """Return float samples (n,) as int16; what would clip is made quieter as a whole."""
    peak = float(np.abs(mixture).max(initial=0.0))
    if peak > FULL_SCALE:
        mixture = mixture * (FULL_SCALE / peak)
    return np.rint(mixture).astype(np.int16)


def mix_in_noise(
    clips: np.ndarray, noise: Sequence[np.ndarray], snr_db: float, seed: int
) -> np.ndarray:
    """Lay clips, int16 (n, samples), over random noise at `snr_db`; int16 of the same shape."""
    rng = np.random.default_rng(seed)
    mixed = np.empty_like(clips)
    for i, clip in enumerate(clips):
        piece = draw_noise(noise, len(clip), rng)
        gain = np.sqrt(power(clip) / power(piece) / 10.0 ** (snr_db / 10.0))
        mixed[i] = to_int16(clip.astype(np.float32) + gain * piece)
    return mixed


def evaluate_noise(
    interpreter: Interpreter,
    clips: np.ndarray,
    truth: np.ndarray,
    noise: Sequence[np.ndarray],
    levels_db: Sequence[float] = LEVELS_DB,
    seed: int = 0,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """
    Classify command words, int16 (n, 16000) with truth int (n,), clean and at each level.

    noise: background recordings, int16, that training did not use. Right is the word among all
    classes, unknown and silence included. A result of kind 'noise', as `kws-imu report` draws it.
    """
    levels: list[float | None] = [None, *levels_db]
    labels = interpreter.manifest.labels['voice']
    points, flat, by_word = [], {}, {}
    for done, level in enumerate(levels):
        heard = clips if level is None else mix_in_noise(clips, noise, level, seed)
        found = voice_posteriors(
            interpreter,
            heard,
            progress and (lambda i, n, done=done: progress(done * n + i, len(levels) * n)),
        ).argmax(axis=1)
        right = found == truth
        points.append({'snr_db': level, 'accuracy': float(right.mean())})
        flat[f'accuracy_{level_name(level)}'] = float(right.mean())
        by_word[level_name(level)] = {
            labels[k]: float(right[truth == k].mean()) for k in np.unique(truth)
        }
    return {
        'kind': 'noise',
        'words': len(clips),
        'seed': seed,
        **flat,
        'series': {'int8': points},
        'recall_by_level': by_word,
    }
