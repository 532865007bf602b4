"""
Load everyday motion in the layout of UCI HAPT: `acc_exp<e>_user<u>.txt[.gz]` and `gyro_...`.

Accelerometer in g, gyroscope in rad/s, 50 Hz, worn at the waist; `labels.txt` marks activities.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.training.gesture_data import STANDARD_GRAVITY
from kws_imu_ros.training.splits import activity_split

RATE_HZ = 50.0
ACTIVITIES = ('walking', 'upstairs', 'downstairs', 'sitting', 'standing', 'laying')


@dataclass(frozen=True)
class ActivityRecording:
    """
    One experiment of one user.

    motion: float32 (n, 6) at 50 Hz: ax ay az in m/s^2, gx gy gz in rad/s.
    segments: (activity number 1 to 12, first sample, last sample) from labels.txt.
    """

    user: int
    experiment: int
    motion: np.ndarray
    segments: tuple[tuple[int, int, int], ...]


def _read_table(path: Path) -> np.ndarray:
    try:
        raw = path.read_bytes()
        text = gzip.decompress(raw) if path.suffix == '.gz' else raw
        table = np.loadtxt(io.BytesIO(text), dtype=np.float32, ndmin=2)
    except (OSError, EOFError, ValueError, gzip.BadGzipFile) as error:
        raise KwsImuError(f'{path} cannot be read ({error}); copy it again or remove it.') from None
    if table.shape[1] != 3:
        raise KwsImuError(f'{path} has {table.shape[1]} columns where 3 are needed; copy it again.')
    return table


def load_activities(directory: Path, split: str) -> list[ActivityRecording]:
    """
    Load the recordings of a split ('all' for every user), in a fixed order.

    Raises:
        KwsImuError: missing folder, unreadable file, no gyroscope beside an accelerometer file, or
            nothing of that split.

    """
    if not directory.is_dir():
        raise KwsImuError(
            f'Activity folder {directory} does not exist; give that of the HAPT files.'
        )
    labels: dict[int, list[tuple[int, int, int]]] = {}
    label_file = directory / 'labels.txt'
    if label_file.is_file():
        for experiment, _, activity, first, last in np.loadtxt(label_file, dtype=np.int64, ndmin=2):
            labels.setdefault(int(experiment), []).append((int(activity), int(first), int(last)))
    recordings = []
    for path in sorted(directory.glob('acc_exp*_user*.txt*')):
        match = re.match(r'acc_exp(\d+)_user(\d+)\.txt', path.name)
        if not match:
            continue
        experiment, user = int(match[1]), int(match[2])
        if split not in ('all', activity_split(user)):
            continue
        gyro_path = path.with_name(path.name.replace('acc_', 'gyro_', 1))
        if not gyro_path.is_file():
            raise KwsImuError(f'{gyro_path} is missing beside {path.name}; copy both.')
        acceleration, angular = _read_table(path), _read_table(gyro_path)
        count = min(len(acceleration), len(angular))
        motion = np.concatenate(
            (acceleration[:count] * np.float32(STANDARD_GRAVITY), angular[:count]), axis=1
        )
        recordings.append(
            ActivityRecording(user, experiment, motion, tuple(labels.get(experiment, ())))
        )
    if not recordings:
        raise KwsImuError(
            f'{directory} holds no recordings of the {split} split in acc_exp<e>_user<u>.txt '
            f'layout; give another folder or --split all.'
        )
    return recordings


def activities_digest(recordings: Sequence[ActivityRecording]) -> str:
    """Return the sha256 hex digest over users and samples of the recordings."""
    digest = hashlib.sha256()
    for recording in recordings:
        digest.update(f'{recording.user} {recording.experiment}'.encode())
        digest.update(recording.motion.tobytes())
    return digest.hexdigest()
