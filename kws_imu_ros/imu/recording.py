"""Recordings of an IMU as csv files, of this package and of other programs."""

from __future__ import annotations

import csv
import gzip
import math
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.imu.calibration import STANDARD_GRAVITY
from kws_imu_ros.imu.sample import ImuSample
from kws_imu_ros.imu.window import G_UNITS_RANGE
from kws_imu_ros.resources import user_path

DEGREE = math.pi / 180.0


@dataclass(frozen=True)
class Recording:
    """
    A recorded IMU.

    samples: in m/s^2 and rad/s; stamps strictly increase and are those of the file.
    rows: rows of the file; dropped: rows that were damaged or had a stray or repeated stamp.
    """

    samples: tuple[ImuSample, ...]
    rows: int
    dropped: int


@dataclass(frozen=True)
class _Columns:
    """How to read the rows of one layout: column names and factors to SI and ns."""

    stamp: str
    stamp_ns: float
    values: tuple[str, ...]
    acceleration: float
    rotation: float
    integers: bool = False


# GRWD (Gyronics): raw readings of +-2 g and +-250 deg/s sensors, milliseconds. The rotation scale
# is not stated; 131 per deg/s follows from the attitude columns and is the MPU-6050's.
_GRWD = _Columns(
    'Timestamp', 1e6, ('Ax', 'Ay', 'Az', 'Gx', 'Gy', 'Gz'), STANDARD_GRAVITY / 16384.0,
    DEGREE / 131.0, integers=True,
)  # fmt: skip
_STAMP_COLUMNS = {
    'stamp_ns': 1.0, 'timestamp_ns': 1.0, 'timestamp_us': 1e3, 'timestamp_ms': 1e6,
    'timestamp_s': 1e9, 'time_s': 1e9, 'time': 1e9, 't': 1e9,
}  # fmt: skip
_VALUE_COLUMNS = ('ax', 'ay', 'az', 'gx', 'gy', 'gz')
# A recording is one stretch of time; what lies further away has a stray stamp, or is left over
# from an earlier one (GRWD's boards sent stale buffers).
_LONGEST_PAUSE_NS = 2_000_000_000


def read_recording(path: Path | str) -> Recording:
    """
    Read a csv or csv.gz file of one IMU recording.

    Two layouts, told apart by the header: GRWD's (Ax .. Gz raw, Timestamp in ms), and a plain one
    with a time column (stamp_ns, timestamp_ns, timestamp_us, timestamp_ms, timestamp_s, time_s,
    time or t; the last three in s) and ax, ay, az in m/s^2, gx, gy, gz in rad/s. Other columns
    are ignored. Damaged rows are dropped and counted.

    Raises:
        KwsImuError: the file is missing, unreadable, of neither layout, without a usable row, or
            in g instead of m/s^2.

    """
    path = user_path(path)
    if not path.is_file():
        raise KwsImuError(f'IMU recording {path} does not exist; check the path.')
    try:
        with _open_text(path) as file:
            reader = csv.reader(file)
            header = [name.strip() for name in next(reader, [])]
            columns = _columns_of(header, path)
            indices = [header.index(name) for name in (columns.stamp, *columns.values)]
            parsed = [_row(row, len(header), indices, columns) for row in reader]
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise KwsImuError(
            f'IMU recording {path} cannot be read ({error}); it may be truncated, copy it again.'
        ) from error
    samples = _longest_stretch([sample for sample in parsed if sample is not None])
    if len(samples) < 2:
        raise KwsImuError(f'IMU recording {path} holds no usable rows; record it again.')
    size = statistics.median(math.hypot(*sample.linear_acceleration) for sample in samples)
    if G_UNITS_RANGE[0] < size < G_UNITS_RANGE[1]:
        raise KwsImuError(
            f'IMU recording {path} looks like g instead of m/s^2 (typical size {size:.2f}); '
            'multiply ax, ay and az by 9.80665.'
        )
    return Recording(tuple(samples), len(parsed), len(parsed) - len(samples))


def _open_text(path: Path) -> TextIO:
    """Open a csv or csv.gz file as text."""
    if path.suffix == '.gz':
        return gzip.open(path, 'rt', encoding='utf-8', newline='')
    return path.open(encoding='utf-8', newline='')


def _columns_of(header: list[str], path: Path) -> _Columns:
    """Return how to read a file with this header; raise KwsImuError for an unknown one."""
    if {_GRWD.stamp, *_GRWD.values} <= set(header):
        return _GRWD
    stamps = [name for name in header if name in _STAMP_COLUMNS]
    if stamps and set(_VALUE_COLUMNS) <= set(header):
        return _Columns(stamps[0], _STAMP_COLUMNS[stamps[0]], _VALUE_COLUMNS, 1.0, 1.0)
    raise KwsImuError(
        f'IMU recording {path} has columns ({", ".join(header)[:80]}) but needs a time column '
        f'({", ".join(_STAMP_COLUMNS)}) and ax, ay, az, gx, gy, gz.'
    )


def _row(row: list[str], width: int, indices: list[int], columns: _Columns) -> ImuSample | None:
    """Return the sample of one row, or None for a damaged one."""
    if len(row) != width:
        return None
    try:
        numbers = [float(row[i]) for i in indices]
    except ValueError:
        return None
    stamp, *values = numbers
    if not all(map(math.isfinite, numbers)) or stamp < 0 or not any(values):
        return None
    if columns.integers and any(not -32768 <= value <= 32767 for value in values):
        return None
    ax, ay, az = (value * columns.acceleration for value in values[:3])
    gx, gy, gz = (value * columns.rotation for value in values[3:])
    return ImuSample(round(stamp * columns.stamp_ns), (ax, ay, az), (gx, gy, gz))


def _longest_stretch(samples: list[ImuSample]) -> list[ImuSample]:
    """Return the samples of the longest stretch of time, in order, each stamp once."""
    ordered = sorted(samples, key=lambda sample: sample.stamp_ns)
    stretches: list[list[ImuSample]] = [[]]
    for sample in ordered:
        step_ns = sample.stamp_ns - stretches[-1][-1].stamp_ns if stretches[-1] else 1
        if step_ns > _LONGEST_PAUSE_NS:
            stretches.append([])
        if step_ns > 0:
            stretches[-1].append(sample)
    return max(stretches, key=len)
