"""Recordings of an IMU as csv files, of this package and of other programs."""

from __future__ import annotations

import csv
import gzip
import io
import itertools
import math
import statistics
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import numpy as np

from kws_imu_ros.errors import KwsImuError, printable
from kws_imu_ros.imu.calibration import STANDARD_GRAVITY
from kws_imu_ros.imu.plausibility import MotionFault, judge_units
from kws_imu_ros.imu.sample import ImuSample
from kws_imu_ros.resources import user_path

DEGREE = math.pi / 180.0


class Flaw(Enum):
    """Why a row is left out; the value goes on from 'N rows'."""

    INCOMPLETE = 'lack a value or hold one that is no number'
    IMPOSSIBLE = 'hold nothing but zeros, or what the sensor cannot give'
    REPEATED = 'have the time of another row'
    STRAY = 'have a time far from the others'


@dataclass(frozen=True)
class Recording:
    """
    A recorded IMU.

    samples: in m/s^2 and rad/s; stamps strictly increase and are those of the file.
    rows: rows of the file; dropped: rows that were damaged or had a stray or repeated stamp.
    notes: one sentence for each thing that is wrong with the file and does not keep it from being
    played.
    """

    samples: tuple[ImuSample, ...]
    rows: int
    dropped: int
    notes: tuple[str, ...] = ()


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
# Where this many rows in a row share a time, the times are coarse, not repeated.
_COARSE = 3
# Fewer rows say nothing of a rate; between 2000 and 1 a second lie all sensors that are worn.
_FEWEST = 20
_SHORTEST_STEP_S, _LONGEST_STEP_S = 0.0005, 1.0
_GZIP_MAGIC = b'\x1f\x8b'
_ZIP_MAGIC = b'PK\x03\x04'
_OLD_OFFICE_MAGIC = b'\xd0\xcf\x11\xe0'
# Nobody can say what was moved in a window of values in these units.
_REFUSED = (
    MotionFault.IN_G, MotionFault.RAW_COUNTS, MotionFault.TINY, MotionFault.NO_GRAVITY,
    MotionFault.IN_DEGREES, MotionFault.SLOW_ROTATION,
)  # fmt: skip


def read_recording(path: Path | str) -> Recording:
    """
    Read a csv file of one IMU recording, compressed by gzip or not.

    Two layouts, told apart by the header: GRWD's (Ax .. Gz raw, Timestamp in ms), and a plain one
    with a time column (stamp_ns, timestamp_ns, timestamp_us, timestamp_ms, timestamp_s, time_s,
    time or t; the last three in s) and ax, ay, az in m/s^2, gx, gy, gz in rad/s. Other columns
    are ignored. Values are parted by commas, or by semicolons or tabs and may then have decimal
    commas. Damaged rows are dropped and counted; rows that share coarse times are spread evenly.

    Raises:
        KwsImuError: the file is missing, unreadable, of neither layout, without a usable row, or
            in other units.

    """
    path = user_path(path)
    if not path.is_file():
        raise KwsImuError(f'IMU recording {printable(path)} does not exist; check the path.')
    try:
        table = _Table(_read_text(path))
        columns = _columns_of(table.header, path)
        indices = [table.header.index(name) for name in (columns.stamp, *columns.values)]
        parsed = [_row(row, len(table.header), indices, columns) for row in table.rows()]
    except (OSError, EOFError, ValueError, zlib.error, csv.Error) as error:
        raise KwsImuError(
            f'IMU recording {printable(path)} cannot be read ({error}); it may be truncated, copy '
            'it again.'
        ) from error
    flaws = Counter(row for row in parsed if isinstance(row, Flaw))
    usable = [row for row in parsed if isinstance(row, ImuSample)]
    usable, sharing = _spread(usable)
    _check_steps(path, columns.stamp, usable)
    samples = _longest_stretch(usable, flaws)
    if len(samples) < 2:
        why = f' ({_counted(flaws, len(parsed))})' if flaws else ''
        raise KwsImuError(
            f'IMU recording {printable(path)} holds no usable rows{why}; record it again.'
        )
    notes = [_judge(path, samples)] if samples else []
    if sharing:
        notes.append(
            f'The times of IMU recording {printable(path)} are too coarse: typically {sharing} '
            'rows in a row share one; they were spread evenly; save the times with more digits.'
        )
    if flaws:
        notes.append(
            f'{sum(flaws.values())} of {len(parsed)} rows of IMU recording {printable(path)} were '
            f'left out: {_counted(flaws, len(parsed))}.'
        )
    dropped = len(parsed) - len(samples)
    return Recording(tuple(samples), len(parsed), dropped, tuple(filter(None, notes)))


class _Table:
    """The header and rows of a csv file, whatever parts its values."""

    def __init__(self, text: str) -> None:
        lines = text.splitlines()
        # Comments of loggers, and what Excel writes to tell itself the separator.
        first = next(
            (
                number
                for number, line in enumerate(lines)
                if line.strip(' ,;\t') and not line.lower().startswith(('#', 'sep='))
            ),
            len(lines),
        )
        head = lines[first] if first < len(lines) else ''
        self._separator = max(',;\t', key=head.count)
        self._lines = lines[first + 1 :]
        names = [name.strip().strip('"') for name in self._cells([head])]
        while names and not names[-1]:
            names.pop()
        self.header = names

    def rows(self) -> Iterator[list[str]]:
        """Yield the rows that are not blank."""
        comma = self._separator != ','
        for row in csv.reader(self._lines, delimiter=self._separator):
            if any(cell.strip() for cell in row) and not row[0].startswith('#'):
                yield [cell.replace(',', '.') for cell in row] if comma else row

    def _cells(self, lines: list[str]) -> list[str]:
        return next(csv.reader(lines, delimiter=self._separator), [])


def _read_text(path: Path) -> str:
    """
    Return the text of a file by its content, whatever it is called.

    Raises:
        KwsImuError: it is a spreadsheet.
        OSError, EOFError, ValueError, zlib.error: it cannot be read.

    """
    data = path.read_bytes()
    if data.startswith((_ZIP_MAGIC, _OLD_OFFICE_MAGIC)):
        raise KwsImuError(
            f'IMU recording {printable(path)} is a spreadsheet or an archive, not a csv file; '
            'save it as csv.'
        )
    if data.startswith(_GZIP_MAGIC):
        with gzip.open(io.BytesIO(data)) as file:
            data = file.read()
    if data.startswith((b'\xff\xfe', b'\xfe\xff')):
        return data.decode('utf-16')
    # A logger that lost its power leaves zeros at the end.
    data = data.rstrip(b'\0')
    if b'\0' in data:
        raise ValueError('it is no text')
    try:
        return data.decode('utf-8-sig')
    except UnicodeDecodeError:
        # A unit's sign in a header of Windows; numbers are the same everywhere.
        return data.decode('cp1252')


def _columns_of(header: list[str], path: Path) -> _Columns:
    """Return how to read a file with this header; raise KwsImuError for an unknown one."""
    if {_GRWD.stamp, *_GRWD.values} <= set(header):
        return _GRWD
    # Spelt with capitals, which name the raw readings of GRWD only beside its Timestamp.
    names = {name.lower(): name for name in reversed(header)}
    stamps = [name for name in names if name in _STAMP_COLUMNS]
    if stamps and set(_VALUE_COLUMNS) <= set(names):
        stamp = stamps[-1]
        values = tuple(names[name] for name in _VALUE_COLUMNS)
        return _Columns(names[stamp], _STAMP_COLUMNS[stamp], values, 1.0, 1.0)
    raise KwsImuError(
        f'IMU recording {printable(path)} has columns ({printable(", ".join(header)[:80])}) but '
        f'needs a time column ({", ".join(_STAMP_COLUMNS)}) and ax, ay, az, gx, gy, gz.'
    )


def _row(row: list[str], width: int, indices: list[int], columns: _Columns) -> ImuSample | Flaw:
    """Return the sample of one row, or what is wrong with it."""
    # A comma at the end of a row is no value.
    if len(row) < width or any(cell.strip() for cell in row[width:]):
        return Flaw.INCOMPLETE
    try:
        numbers = [float(row[i]) for i in indices]
    except ValueError:
        return Flaw.INCOMPLETE
    stamp, *values = numbers
    if not all(map(math.isfinite, numbers)):
        return Flaw.INCOMPLETE
    if stamp < 0 or not any(values):
        return Flaw.IMPOSSIBLE
    if columns.integers and any(not -32768 <= value <= 32767 for value in values):
        return Flaw.IMPOSSIBLE
    ax, ay, az = (value * columns.acceleration for value in values[:3])
    gx, gy, gz = (value * columns.rotation for value in values[3:])
    return ImuSample(round(stamp * columns.stamp_ns), (ax, ay, az), (gx, gy, gz))


def _spread(samples: list[ImuSample]) -> tuple[list[ImuSample], int]:
    """
    Spread samples that share coarse times evenly between these.

    Returns the samples, and how many of them typically shared a time, 0 where times are fine.
    """
    runs = [list(run) for _, run in itertools.groupby(samples, key=lambda s: s.stamp_ns)]
    sharing = int(statistics.median(map(len, runs))) if runs else 0
    if sharing < _COARSE or len(runs) < 2:
        return samples, 0
    usual = max(map(len, runs[1:-1]), default=max(map(len, runs)))
    spread: list[ImuSample] = []
    for place, run in enumerate(runs):
        start_ns = run[0].stamp_ns
        step_ns = 0
        if place + 1 < len(runs):
            step_ns = (runs[place + 1][0].stamp_ns - start_ns) // max(len(run), 1)
        if place in (0, len(runs) - 1):
            # What was recorded of the first and the last stretch is no whole one.
            other = runs[1][0].stamp_ns - start_ns if place == 0 else start_ns
            other -= 0 if place == 0 else runs[-2][0].stamp_ns
            step_ns = other // max(usual, len(run))
            start_ns += other - step_ns * len(run) if place == 0 else 0
        spread += (
            ImuSample(start_ns + i * step_ns, s.linear_acceleration, s.angular_velocity)
            for i, s in enumerate(run)
        )
    return spread, sharing


def _check_steps(path: Path, column: str, samples: list[ImuSample]) -> None:
    """Refuse times that no sensor has: those of a column that is called after another unit."""
    if len(samples) < _FEWEST:
        return
    stamps = np.sort(np.array([sample.stamp_ns for sample in samples], np.float64))
    step_s = float(np.median(np.diff(stamps))) / 1e9
    if not 0.0 < step_s < _SHORTEST_STEP_S and not step_s > _LONGEST_STEP_S:
        return
    raise KwsImuError(
        f'The rows of IMU recording {printable(path)} are {step_s:.3g} s apart by their column '
        f'{column}, which no sensor is; call it after its unit: timestamp_s, timestamp_ms, '
        'timestamp_us or timestamp_ns.'
    )


def _longest_stretch(samples: list[ImuSample], flaws: Counter[Flaw]) -> list[ImuSample]:
    """Return the samples of the longest stretch of time, in order, each stamp once."""
    ordered = sorted(samples, key=lambda sample: sample.stamp_ns)
    stretches: list[list[ImuSample]] = [[]]
    for sample in ordered:
        step_ns = sample.stamp_ns - stretches[-1][-1].stamp_ns if stretches[-1] else 1
        if step_ns > _LONGEST_PAUSE_NS:
            stretches.append([])
        if step_ns > 0:
            stretches[-1].append(sample)
        else:
            flaws[Flaw.REPEATED] += 1
    longest = max(stretches, key=len)
    stray = sum(map(len, stretches)) - len(longest)
    if stray:
        flaws[Flaw.STRAY] += stray
    return longest


def _counted(flaws: Counter[Flaw], rows: int) -> str:
    """Return how many rows have which flaw."""
    return ', '.join(
        f'{"all" if count == rows else count} {flaw.value}' for flaw, count in flaws.most_common()
    )


def _judge(path: Path, samples: list[ImuSample]) -> str:
    """
    Return what is wrong with the motion, '' where nothing is.

    How the sensor was worn is judged where it is played, once it is turned as the parameter
    `mounting` says.

    Raises:
        KwsImuError: the values are in other units, so that nothing can be seen in them.

    """
    stamps = np.array([sample.stamp_ns for sample in samples], np.int64)
    values = np.array([(*s.linear_acceleration, *s.angular_velocity) for s in samples])
    findings = judge_units(stamps, values)
    told = ' '.join(finding.sentence for finding in findings)
    if any(finding.fault in _REFUSED for finding in findings):
        raise KwsImuError(f'IMU recording {printable(path)} cannot be used: {told}')
    return f'IMU recording {printable(path)}: {told}' if told else ''
