"""Beat files: the tempo and the beats of a sound file, found once and offline."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np

from kws_imu_ros.audio.sound_file import read_audio_file
from kws_imu_ros.choreography.choreography import FASTEST, SLOWEST, BeatTimes
from kws_imu_ros.choreography.file import scalar
from kws_imu_ros.configuration.section import load_yaml
from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.resources import write_whole

SCHEMA_VERSION = 1
SAMPLE_RATE = 16000
MOST_BEATS = 20_000
LONGEST_S = 3600.0


def find_beats(path: Path) -> tuple[float, tuple[float, ...]]:
    """
    Return the tempo of a sound file in beats a minute, and its beats in seconds.

    By librosa's beat tracker (Ellis, Beat Tracking by Dynamic Programming, 2007).

    Raises:
        KwsImuError: librosa is not installed, the file cannot be read, or it has no beat.

    """
    try:
        librosa = importlib.import_module('librosa')
    except ImportError as error:
        raise KwsImuError(
            'The beats of music are found by librosa, which is not installed here; `pip install '
            'librosa`, or give the dance a tempo.'
        ) from error
    samples = read_audio_file(path).astype(np.float32) / 32768.0
    if not np.any(np.abs(samples) > 1e-4):
        raise KwsImuError(f'{path} is silent, so that it has no beat; give music.')
    tempo, beats = librosa.beat.beat_track(y=samples, sr=SAMPLE_RATE, units='time')
    found = tuple(round(float(beat), 4) for beat in np.atleast_1d(beats))
    if len(found) < 4:
        raise KwsImuError(f'{path} has no beat that could be danced to; give other music.')
    return float(np.atleast_1d(tempo)[0]), found


def save_beats(path: Path, sound: Path, tempo: float, beats_s: tuple[float, ...]) -> None:
    """
    Write a beat file.

    Raises:
        KwsImuError: it cannot be written.

    """
    lines = [
        '# The beats of a sound file, seconds from its start, found by `kws-imu dance music`.\n',
        f'schema: {SCHEMA_VERSION}\n',
        f'sound: {scalar(sound.name)}\n',
        f'beats_per_minute: {tempo:.2f}\n',
        'beats_s:\n',
    ]
    rows = [beats_s[start : start + 10] for start in range(0, len(beats_s), 10)]
    lines.extend(f'  - [{", ".join(f"{beat:.3f}" for beat in row)}]\n' for row in rows)
    write_whole(path, ''.join(lines))


def load_beats(path: Path) -> BeatTimes:
    """
    Read a beat file.

    Raises:
        KwsImuError: the file is missing, is not YAML, or an entry is missing, unknown or wrong.

    """
    top = load_yaml(path, 'beat file').holding(('schema', 'sound', 'beats_per_minute', 'beats_s'))
    top.version('schema', SCHEMA_VERSION)
    tempo = top.number('beats_per_minute', SLOWEST, FASTEST)
    rows = top.plain('beats_s')
    flat = [beat for row in rows for beat in row] if _is_rows(rows) else None
    if not flat or len(flat) > MOST_BEATS or not all(_is_time(beat) for beat in flat):
        raise top.wrong('beats_s', f'must be lists of times in seconds from 0 to {LONGEST_S:g}')
    try:
        return BeatTimes(60e9 / tempo, [round(beat * 1e9) for beat in flat])
    except KwsImuError as error:
        raise top.wrong('beats_s', 'do not rise') from error


def _is_rows(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(row, list) for row in value)


def _is_time(value: object) -> bool:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and 0.0 <= value <= LONGEST_S  # type: ignore[operator]
