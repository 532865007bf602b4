"""Motion that no worn sensor can measure is told from motion that one does, with the cause."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from kws_imu_ros.imu.calibration import STANDARD_GRAVITY
from kws_imu_ros.imu.plausibility import MotionFault, MotionWatch, judge_motion, judge_mounting
from kws_imu_ros.imu.recording import read_recording

DATA = Path(__file__).parents[1] / 'data'
SWIPES = sorted((DATA / 'gestures' / 'grwd').glob('*/subject_*/*.csv*'))
STEP_NS = 10_000_000


def recording(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return stamps in ns (n,) and SI values (n, 6)."""
    samples = read_recording(path).samples
    values = [(*s.linear_acceleration, *s.angular_velocity) for s in samples]
    return np.array([s.stamp_ns for s in samples]), np.array(values)


def everyday() -> tuple[np.ndarray, np.ndarray]:
    """Return a phone at the waist, turned so that its z is up as on a wrist."""
    tables = []
    for kind in ('acc', 'gyro'):
        (path,) = (DATA / 'hapt').glob(f'{kind}_exp01_user01.txt*')
        opened = gzip.open(path, 'rt') if path.suffix == '.gz' else path.open()
        with opened as file:
            tables.append(np.loadtxt(file))
    acceleration, rotation = (table[:, [1, 2, 0]] for table in tables)
    values = np.concatenate((acceleration * STANDARD_GRAVITY, rotation), axis=1)
    return np.arange(len(values)) * 20_000_000, values


def faults(stamps: np.ndarray, values: np.ndarray) -> list[MotionFault]:
    """Return the faults of a recording, after a look that its stream shows the same first."""
    found = [finding.fault for finding in judge_motion(stamps, values)]
    watch = MotionWatch()
    for stamp_ns, row in zip(stamps.tolist(), values.tolist()):
        watch.push(stamp_ns, tuple(row))
    if found and stamps[-1] - stamps[0] > 3_000_000_000:
        assert next(finding.fault for finding in watch.findings) is found[0]
    return found


def swipe() -> tuple[np.ndarray, np.ndarray]:
    """Return a swipe to the right."""
    return recording(next(path for path in SWIPES if 'swipe_right/subject_13' in str(path)))


def scaled(values: np.ndarray, acceleration: float, rotation: float) -> np.ndarray:
    return values * np.r_[[acceleration] * 3, [rotation] * 3]


@pytest.mark.parametrize('path', SWIPES, ids=lambda path: '-'.join(path.parts[-3:]))
def test_real_gestures_are_plausible(path: Path) -> None:
    assert faults(*recording(path)) == []


def test_everyday_motion_is_plausible() -> None:
    assert faults(*everyday()) == []


@pytest.mark.parametrize(
    ('acceleration', 'rotation', 'fault', 'word'),
    [
        (0.0, 1.0, MotionFault.NO_ACCELERATION, 'accelerometer'),
        (1.0, 0.0, MotionFault.NO_ROTATION, 'gyroscope'),
        (16384 / STANDARD_GRAVITY, np.degrees(131.0), MotionFault.RAW_COUNTS, 'raw counts'),
        (256 / STANDARD_GRAVITY, 1.0, MotionFault.RAW_COUNTS, 'raw counts'),
        (1.0, np.degrees(131.0), MotionFault.RAW_ROTATION, 'raw counts'),
        (1 / STANDARD_GRAVITY, 1.0, MotionFault.IN_G, 'multiply it by 9.80665'),
        (1.0, np.degrees(1.0), MotionFault.IN_DEGREES, 'degrees/s'),
        (0.5, 1.0, MotionFault.WRONG_SCALE, 'instead of 9.8'),
        (2.0, 1.0, MotionFault.WRONG_SCALE, 'range'),
        (STANDARD_GRAVITY / 16384, np.radians(1 / 131), MotionFault.TINY, 'unit'),
    ],
)
def test_a_unit_or_a_dead_triple_is_named(
    acceleration: float, rotation: float, fault: MotionFault, word: str
) -> None:
    for stamps, values in (swipe(), everyday()):
        values = scaled(values, acceleration, rotation)
        assert faults(stamps, values) == [fault]
        assert word in judge_motion(stamps, values)[0].sentence


def test_degrees_that_were_converted_twice_are_named() -> None:
    stamps, values = recording(next(path for path in SWIPES if 'swipe_up/subject_13' in str(path)))
    assert faults(stamps, scaled(values, 1.0, np.radians(1.0))) == [MotionFault.SLOW_ROTATION]


def test_slow_degrees_are_told_by_a_sensor_that_lies_still() -> None:
    stamps, values = recording(DATA / 'imu' / 'razor_still.csv.gz')
    assert faults(stamps, values) == []
    assert faults(stamps, scaled(values, 1.0, np.degrees(1.0))) == [MotionFault.IN_DEGREES]


def test_linear_acceleration_is_told_from_g_and_given_no_false_advice() -> None:
    for stamps, values in (swipe(), everyday()):
        values = values - np.r_[np.median(values[:, :3], axis=0), 0, 0, 0]
        assert faults(stamps, values) == [MotionFault.NO_GRAVITY]
        sentence = judge_motion(stamps, values)[0].sentence
        assert 'gravity' in sentence and '9.80665' not in sentence


def test_a_sensor_upside_down_or_turned_is_named() -> None:
    stamps, values = swipe()
    assert faults(stamps, values * np.r_[1, -1, -1, 1, -1, -1]) == [MotionFault.UPSIDE_DOWN]
    assert faults(stamps, values[:, [2, 0, 1, 5, 3, 4]]) == [MotionFault.TURNED]
    assert 'its x axis points up' in judge_motion(stamps, values[:, [2, 0, 1, 5, 3, 4]])[0].sentence
    real = recording(DATA / 'imu' / 'phidgets_still.csv.gz')
    assert faults(*real) == [MotionFault.UPSIDE_DOWN]


def test_an_arm_that_hangs_for_a_while_is_no_turned_sensor() -> None:
    watch = MotionWatch()
    _, values = everyday()
    hanging = values[:, [0, 2, 1, 3, 5, 4]] * np.r_[1, 1, -1, 1, 1, -1]
    for i, row in enumerate([*values[:250], *hanging[:500]]):
        watch.push(i * 20_000_000, tuple(row))
    assert watch.findings == ()


def test_a_fault_that_ended_is_forgotten() -> None:
    watch = MotionWatch()
    _, values = everyday()
    rows = [*(scaled(values[:200], 1 / STANDARD_GRAVITY, 1.0)), *values[200:400]]
    said = []
    for i, row in enumerate(rows):
        watch.push(i * 20_000_000, tuple(row))
        said.append((watch.usable, bool(watch.findings)))
    assert said[199] == (False, True)
    assert said[-1] == (True, False)


def test_degrees_are_remembered_while_the_arm_rests() -> None:
    watch = MotionWatch()
    stamps, values = swipe()
    for stamp_ns, row in zip(stamps.tolist(), scaled(values, 1.0, np.degrees(1.0)).tolist()):
        watch.push(stamp_ns, tuple(row))
    rest = np.random.default_rng(1).normal(0.0, 0.02, (1000, 6)) + np.r_[0, 0, 9.8, 0, 0, 0]
    for i, row in enumerate(rest.tolist()):
        watch.push(int(stamps[-1]) + (i + 1) * STEP_NS, tuple(row))
    assert not watch.usable
    assert watch.findings[0].fault is MotionFault.IN_DEGREES


def test_too_little_says_nothing() -> None:
    assert judge_motion(np.empty(0, np.int64), np.empty((0, 6))) == ()
    assert judge_motion(np.arange(10) * STEP_NS, np.zeros((10, 6))) == ()
    nothing = np.full((100, 6), np.nan)
    assert judge_motion(np.arange(100) * STEP_NS, nothing) == ()
    assert judge_mounting(np.zeros(3)) is None
