"""
Load everyday motion of a phone at the waist, in both layouts that UCI publishes it in.

HAPT raw data: `acc_exp<e>_user<u>.txt[.gz]` beside `gyro_...` and `labels.txt`, continuous.
HAR inertial signals: `{train,test}/Inertial Signals/total_acc_x_train.txt`, ... with `y_*.txt` and
`subject_*.txt`, windows of 128 samples that overlap by half; continuous stretches are put together
again. In both: accelerometer in g with gravity, gyroscope in rad/s, 50 Hz, the same 30 users.
"""

from __future__ import annotations

import hashlib
import io
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kws_imu_ros.errors import KwsImuError, printable
from kws_imu_ros.imu.plausibility import GRAVITY_RANGE, judge_units
from kws_imu_ros.lab.data.findings import tell
from kws_imu_ros.lab.data.gesture_data import STANDARD_GRAVITY
from kws_imu_ros.lab.data.splits import activity_split
from kws_imu_ros.lab.data.text_files import read_text

RATE_HZ = 50.0
ACTIVITIES = ('walking', 'upstairs', 'downstairs', 'sitting', 'standing', 'laying')
# What the columns of a recording are multiplied by: g to m/s^2; rad/s stay.
TO_SI = np.array([STANDARD_GRAVITY] * 3 + [1.0] * 3, np.float32)
# HAPT goes on with transitions from one posture to another.
ACTIVITY_NUMBERS = 12
HAR_WINDOW = 128
HAR_PARTS = ('train', 'test')
# In the order of a recording's columns.
HAR_MOTION = tuple(f'{kind}_{axis}' for kind in ('total_acc', 'body_gyro') for axis in 'xyz')


@dataclass(frozen=True)
class ActivityRecording:
    """
    One experiment of one user, or one unbroken stretch of it.

    motion: float32 (n, 6) at 50 Hz: ax ay az in m/s^2, gx gy gz in rad/s.
    segments: (activity number 1 to 12, first sample, last sample), counted from 1, both inclusive.
    """

    user: int
    experiment: int
    motion: np.ndarray
    segments: tuple[tuple[int, int, int], ...]


def read_table(path: Path, columns: int) -> np.ndarray:
    """
    Read a table of numbers, gzipped or not, as float32 (n, columns).

    Raises:
        KwsImuError: unreadable, empty, ragged, or not of that many columns.

    """
    try:
        text = read_text(path)
        if not text.strip():
            raise ValueError('it is empty')
        table = np.loadtxt(io.StringIO(text), dtype=np.float32, ndmin=2)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        reason = ' '.join(str(error).split())
        raise KwsImuError(
            f'{path} cannot be read ({reason}); copy it again or remove it.'
        ) from None
    if table.shape[1] != columns:
        raise KwsImuError(
            f'{path} has {table.shape[1]} columns where {columns} are needed; copy it again.'
        )
    return table


def _read_finite(path: Path, columns: int) -> np.ndarray:
    """Read a table and refuse NaN and infinite values."""
    table = read_table(path, columns)
    bad = ~np.isfinite(table).all(axis=1)
    if bad.any():
        raise KwsImuError(
            f'{path} holds values that are no numbers, first in row {int(bad.argmax()) + 1}; copy '
            f'it again or remove it.'
        )
    return table


def activity_layout(directory: Path) -> tuple[str, Path] | None:
    """
    Return ('hapt' or 'har', the folder of the files), or None where neither is there.

    A folder as it comes out of the archive (with `RawData` or `UCI HAR Dataset` in it) is taken.
    """
    for folder in (directory, directory / 'RawData', directory / 'UCI HAR Dataset'):
        if next(folder.glob('acc_exp*_user*.txt*'), None):
            return 'hapt', folder
        if any((folder / part / 'Inertial Signals').is_dir() for part in HAR_PARTS):
            return 'har', folder
    return None


def judge_activity(motion: np.ndarray) -> list[str]:
    """
    Return why motion cannot be that of a phone, a sentence each; how it is worn does not matter.

    motion: (n, 6) at 50 Hz in m/s^2 and rad/s, as it was made of what the layout should hold.
    """
    if not len(motion):
        return []
    size = float(np.median(np.linalg.norm(motion[:, :3], axis=1))) / STANDARD_GRAVITY
    if GRAVITY_RANGE[0] <= size <= GRAVITY_RANGE[1]:
        return [
            f'The acceleration is typically {size:.1f}, which looks like m/s^2 where the layout '
            'has g; divide it by 9.80665.'
        ]
    stamps_ns = np.arange(len(motion), dtype=np.int64) * round(1e9 / RATE_HZ)
    return [finding.sentence for finding in judge_units(stamps_ns, motion)]


def load_activities(directory: Path, split: str) -> list[ActivityRecording]:
    """
    Load the recordings of a split ('all' for every user) in either layout, in a fixed order.

    The split is by user; HAR's own folders `train` and `test` do not matter.

    Raises:
        KwsImuError: missing folder or file, unreadable file, values that are no numbers, files
            that do not fit each other, or nothing of that split.

    """
    if not directory.is_dir():
        raise KwsImuError(
            f'Activity folder {directory} does not exist; give that of the HAPT or HAR files.'
        )
    layout, folder = activity_layout(directory) or ('none', directory)
    recordings = {'hapt': _load_hapt, 'har': _load_har}.get(layout, lambda *_: [])(folder, split)
    if not recordings:
        raise KwsImuError(
            f'{directory} holds no recordings of the {split} split in the layout of HAPT '
            f'(acc_exp<e>_user<u>.txt) or HAR (train/Inertial Signals/...); give another folder or '
            f'another split.'
        )
    odd = [(r, problem) for r in recordings for problem in judge_activity(r.motion)[:1]]
    if odd:
        first, problem = odd[0]
        tell(
            f'{printable(directory)}: {len(odd)} of {len(recordings)} recordings are implausible, '
            f'the first is experiment {first.experiment} of user {first.user}: {problem}'
        )
    return recordings


def _load_hapt(directory: Path, split: str) -> list[ActivityRecording]:
    """Load HAPT raw data."""
    labels: dict[int, list[tuple[int, int, int]]] = {}
    label_file = directory / 'labels.txt'
    if label_file.is_file():
        for row in _read_finite(label_file, 5):
            experiment, _, activity, first, last = (int(value) for value in row)
            labels.setdefault(experiment, []).append((activity, first, last))
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
        acceleration, angular = _read_finite(path, 3), _read_finite(gyro_path, 3)
        count = min(len(acceleration), len(angular))
        motion = np.concatenate(
            (acceleration[:count] * np.float32(STANDARD_GRAVITY), angular[:count]), axis=1
        )
        segments = tuple(labels.get(experiment, ()))
        for activity, first, last in segments:
            if not (1 <= activity <= ACTIVITY_NUMBERS and 1 <= first <= last <= count):
                raise KwsImuError(
                    f'{label_file}: activity {activity} in rows {first} to {last} of experiment '
                    f'{experiment} does not fit its {count} rows; copy the folder again.'
                )
        recordings.append(ActivityRecording(user, experiment, motion, segments))
    return recordings


def _load_har(directory: Path, split: str) -> list[ActivityRecording]:
    """Load HAR inertial signals; windows that go on from one another become one recording."""
    recordings: list[ActivityRecording] = []
    for part in HAR_PARTS:
        if not (directory / part).is_dir():
            continue
        places = {
            name: directory / part / 'Inertial Signals' / f'{name}_{part}.txt'
            for name in HAR_MOTION
        }
        places |= {name: directory / part / f'{name}_{part}.txt' for name in ('y', 'subject')}
        for path in places.values():
            if not path.is_file():
                raise KwsImuError(f'{path} is missing; copy the whole folder {part}.')
        tables = {
            name: _read_finite(path, HAR_WINDOW if name in HAR_MOTION else 1)
            for name, path in places.items()
        }
        if len({len(table) for table in tables.values()}) > 1:
            rows = ', '.join(f'{places[name].name} {len(t)}' for name, t in tables.items())
            raise KwsImuError(
                f'The files in {directory / part} differ in rows ({rows}); copy the folder again.'
            )
        windows = np.stack([tables[name] for name in HAR_MOTION], axis=2)
        windows[:, :, :3] *= np.float32(STANDARD_GRAVITY)
        numbers = tables['y'][:, 0].astype(np.int64)
        unknown = (numbers < 1) | (numbers > len(ACTIVITIES))
        if unknown.any():
            row = int(unknown.argmax())
            raise KwsImuError(
                f'{places["y"]} names activity {numbers[row]} in row {row + 1}; they are 1 to '
                f'{len(ACTIVITIES)}, so copy the file again.'
            )
        users = tables['subject'][:, 0].astype(np.int64)
        recordings += _join_windows(windows, numbers, users, split, len(recordings))
    return recordings


def _join_windows(
    windows: np.ndarray, numbers: np.ndarray, users: np.ndarray, split: str, count: int
) -> list[ActivityRecording]:
    """Join windows (n, 128, 6) that overlap by half; `count` recordings are there already."""
    half = HAR_WINDOW // 2
    follows = (
        (windows[:-1, half:] == windows[1:, :half]).all(axis=(1, 2))
        & (numbers[:-1] == numbers[1:])
        & (users[:-1] == users[1:])
    )
    recordings: list[ActivityRecording] = []
    for rows in np.split(np.arange(len(windows)), np.flatnonzero(~follows) + 1):
        user, activity = int(users[rows[0]]), int(numbers[rows[0]])
        if split in ('all', activity_split(user)):
            motion = np.concatenate((windows[rows[0]], *windows[rows[1:], half:]))
            segments = ((activity, 1, len(motion)),)
            recordings.append(
                ActivityRecording(user, count + len(recordings) + 1, motion, segments)
            )
    return recordings


def activities_digest(recordings: Sequence[ActivityRecording]) -> str:
    """Return the sha256 hex digest over users and samples of the recordings."""
    digest = hashlib.sha256()
    for recording in recordings:
        digest.update(f'{recording.user} {recording.experiment}'.encode())
        digest.update(recording.motion.tobytes())
    return digest.hexdigest()
