"""
Load wrist gestures in the layout of GRWD: `<gesture>/subject_<k>/<i>.csv` or `.csv.gz`.

Columns Ax..Az (16384 LSB = 1 g), Gx..Gz (131 LSB = 1 degree/s; the data set does not say so, the
slope of its own yaw column against Gz does) and Timestamp (ms). About 1 % of the rows are corrupt:
values beyond 16 bits, a lost column, a broken or stale time; these rows are dropped, and so is what
a file holds of the recording before it.
"""

from __future__ import annotations

import hashlib
import os
import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kws_imu_ros.errors import KwsImuError, printable
from kws_imu_ros.imu.plausibility import MotionFinding, judge_motion
from kws_imu_ros.lab.data.findings import leave_out, tell, tell_findings
from kws_imu_ros.lab.data.folders import about_labels, survey_gestures, unread_below
from kws_imu_ros.lab.data.text_files import read_text

STANDARD_GRAVITY = 9.80665
ACCELERATION_LSB = STANDARD_GRAVITY / 16384.0
ANGULAR_VELOCITY_LSB = np.pi / 180.0 / 131.0
LONGEST_STEP_MS = 250.0
LONGEST_PAUSE_MS = 1000.0
SHORTEST_S = 1.0
LOWEST_RATE_HZ = 60.0
USUAL_STEP_MS = 5.8


@dataclass(frozen=True)
class GestureRecording:
    """
    One recording.

    gesture: the folder's name. subject: number. file: path relative to the data folder.
    time: float64 (n,) seconds from the first row, never falling.
    motion: float32 (n, 6): ax ay az in m/s^2, gx gy gz in rad/s.
    onset, offset: seconds at which the main motion begins and ends.
    dropped: corrupt rows left out.
    """

    gesture: str
    subject: int
    file: str
    time: np.ndarray
    motion: np.ndarray
    onset: float
    offset: float
    dropped: int

    @property
    def duration(self) -> float:
        """Return the length of the recording in seconds."""
        return float(self.time[-1])


def read_gesture(path: Path) -> tuple[np.ndarray, np.ndarray, int]:
    """
    Read one recording: (time in s (n,), motion (n, 6) in SI units, corrupt rows dropped).

    Raises:
        KwsImuError: not a gesture file, or fewer than 20 good rows.

    """
    try:
        lines = read_text(path).splitlines()
    except (OSError, EOFError, zlib.error) as error:
        raise KwsImuError(
            f'{printable(path)} cannot be read ({error}); copy it again or remove it.'
        ) from None
    if not lines or not lines[0].lower().replace(' ', '').startswith('ax,ay,az,gx,gy,gz'):
        raise KwsImuError(
            f'{path} is not a gesture recording: its first line must name Ax,Ay,Az,Gx,Gy,Gz,...,'
            f'Timestamp.'
        )
    columns = [name.strip().lower() for name in lines[0].split(',')]
    if 'timestamp' not in columns:
        raise KwsImuError(f'{path} has no Timestamp column; add one in milliseconds.')
    time_column = columns.index('timestamp')
    rows = []
    for line in lines[1:]:
        fields = line.split(',')[: time_column + 1]
        try:
            rows.append([float(field) for field in fields])
        except ValueError:
            continue
        if len(rows[-1]) != time_column + 1:
            rows.pop()
    table = np.array(rows, np.float64).reshape(-1, time_column + 1)
    good = np.isfinite(table).all(axis=1) & (np.abs(table[:, :6]) <= 32768).all(axis=1)
    good &= (np.abs(table[:, 6:time_column]) <= 360000).all(axis=1)
    table = _own_rows(table[good], time_column)
    kept, time = _repair_time(table[:, time_column])
    if len(kept) < 20:
        raise KwsImuError(
            f'{path} holds only {len(kept)} good rows of {len(lines) - 1}; record it again.'
        )
    motion = table[kept, :6]
    motion[:, :3] *= ACCELERATION_LSB
    motion[:, 3:] *= ANGULAR_VELOCITY_LSB
    return time, motion.astype(np.float32), len(lines) - 1 - len(kept)


def _own_rows(table: np.ndarray, time_column: int) -> np.ndarray:
    """
    Return the rows of the recording itself, by time, where they can be told from others.

    A board that had not sent everything when a recording ended sent the rest with the next one:
    many a file begins with a second or two of an earlier recording, of another gesture even. Its
    own rows are those of the last stretch of time. Where these are few, nothing can be told.
    """
    ordered = table[np.argsort(table[:, time_column], kind='stable')]
    stamps = ordered[:, time_column]
    (pauses,) = np.nonzero(np.diff(stamps) > LONGEST_PAUSE_MS)
    own = ordered[pauses[-1] + 1 :] if len(pauses) else ordered
    seconds = np.ptp(own[:, time_column]) / 1000.0 if len(own) else 0.0
    return own if seconds >= SHORTEST_S and len(own) >= LOWEST_RATE_HZ * seconds else table


def _repair_time(stamps_ms: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Keep rows whose time goes on from the last or starts a new run; return (rows, seconds)."""
    kept, time = [], []
    current = None
    now = 0.0
    for i, stamp in enumerate(stamps_ms):
        goes_on = current is not None and 0.0 <= stamp - current <= LONGEST_STEP_MS
        starts = i + 1 < len(stamps_ms) and 0.0 <= stamps_ms[i + 1] - stamp <= LONGEST_STEP_MS
        if not goes_on and not starts:
            continue
        if current is not None:
            now += stamp - current if goes_on else USUAL_STEP_MS
        kept.append(i)
        time.append(now / 1000.0)
        current = stamp
    return np.array(kept, np.int64), np.array(time)


def motion_span(time: np.ndarray, motion: np.ndarray) -> tuple[float, float]:
    """
    Return (onset, offset) in seconds of the main motion, from the gyroscope's magnitude.

    The threshold is 15 % of the peak, at least 25 degrees/s. Used for training labels only: a robot
    has no such hindsight.
    """
    grid = np.arange(0.0, max(time[-1], 0.02), 0.02)
    speed = np.interp(grid, time, np.linalg.norm(motion[:, 3:], axis=1))
    speed = np.convolve(speed, np.ones(5) / 5.0, 'same')
    active = np.flatnonzero(speed > max(np.radians(25.0), 0.15 * speed.max()))
    if len(active) == 0:
        return 0.0, float(time[-1])
    return float(grid[active[0]]), float(grid[active[-1]])


def judge_gestures(
    recordings: Iterable[tuple[int, str, np.ndarray, np.ndarray]],
) -> list[tuple[str, MotionFinding]]:
    """
    Return which recordings cannot be those of a sensor that is worn as documented, and why.

    An arm leans every which way in three seconds, so how the sensor is worn is judged by most of
    what a person recorded.

    Args:
        recordings: subject, file, times in s (n,), motion (n, 6) in SI units.

    """
    found: list[tuple[int, str, MotionFinding]] = []
    counts: Counter[int] = Counter()
    worn_otherwise: Counter[int] = Counter()
    for subject, file, time, motion in recordings:
        findings = judge_motion(np.rint(time * 1e9).astype(np.int64), motion)
        counts[subject] += 1
        worn_otherwise[subject] += any(f.fault.sensor == 'mounting' for f in findings)
        found += [(subject, file, finding) for finding in findings]
    return [
        (file, finding)
        for subject, file, finding in found
        if finding.fault.sensor != 'mounting' or 2 * worn_otherwise[subject] > counts[subject]
    ]


def load_gestures(
    directory: Path, split: str, labels: Sequence[str] = ()
) -> list[GestureRecording]:
    """
    Load the recordings of a split ('all' for every subject), in a fixed order.

    A recording that cannot be read is left out with a warning, for one bad file among thousands
    must not cost an hour of training; more than one in twenty is an error.

    Args:
        directory: holds a folder for each gesture.
        split: whose recordings.
        labels: of the network, by which folders that are spelt otherwise are told.

    Raises:
        KwsImuError: missing folder, nothing of that split, or too many unreadable files.

    """
    folder = survey_gestures(directory, labels)
    recordings = []
    unreadable: list[str] = []
    for take in folder.of_split(split):
        try:
            time, motion, dropped = read_gesture(take.path)
        except KwsImuError as error:
            unreadable.append(str(error))
            continue
        recordings.append(
            GestureRecording(
                take.gesture,
                take.subject,
                str(take.path.relative_to(directory)),
                time,
                motion,
                *motion_span(time, motion),
                dropped,
            )
        )
    name = printable(directory)
    leave_out(
        unreadable,
        len(recordings) + len(unreadable),
        f'{len(unreadable)} gesture recordings under {name}',
    )
    if not recordings:
        unread = '' if folder.takes else unread_below(directory)
        raise KwsImuError(
            f'{name} holds no recordings of the {split} split in '
            '<gesture>/subject_<k>/<i>.csv layout'
            + (f' (but {unread}, which are not read)' if unread else '')
            + '; give another folder or --split all.'
        )
    tell_findings(directory, about_labels(folder.findings, labels))
    _tell_motion(name, recordings)
    return recordings


def _tell_motion(name: str, recordings: Sequence[GestureRecording]) -> None:
    """Tell how many rows were left out, and what motion no sensor measures as it is worn."""
    dropped = sum(recording.dropped for recording in recordings)
    if dropped:
        rows = dropped + sum(len(recording.time) for recording in recordings)
        files = sum(recording.dropped > 0 for recording in recordings)
        tell(f'{name}: {dropped} of {rows} rows, in {files} recordings, are corrupt and left out')
    counts: Counter[str] = Counter()
    sentences: dict[str, str] = {}
    judged = judge_gestures((r.subject, r.file, r.time, r.motion) for r in recordings)
    for file, finding in judged:
        counts[finding.fault.value] += 1
        sentences.setdefault(finding.fault.value, f'{file}: {finding.sentence}')
    for fault, count in counts.items():
        tell(f'{name}: {count} of {len(recordings)} recordings are implausible: {sentences[fault]}')


def gestures_digest(recordings: Sequence[GestureRecording]) -> str:
    """Return the sha256 hex digest over names and samples of the recordings."""
    digest = hashlib.sha256()
    for recording in recordings:
        digest.update(os.fsencode(recording.file))
        digest.update(recording.motion.tobytes())
    return digest.hexdigest()
