"""
Tell motion that no worn sensor can measure from motion that one does, and say why.

One check for the live stream, bags, recordings and training data. It knows three things: at rest
an accelerometer measures gravity, 9.8 m/s^2, and nothing else; a gyroscope must turn gravity as
fast as the accelerometer sees it turn; and a sensor that is worn as documented (`docs/wearing.svg`)
has its z axis up when the arm rests.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import Enum

import numpy as np

from kws_imu_ros.imu.calibration import STANDARD_GRAVITY

SECOND_NS = 1_000_000_000
# Less than this says nothing.
MINIMUM_SAMPLES = 20
MINIMUM_SPAN_NS = 500_000_000
# Half of the time below 0.6 g would be half of the time in free fall; 6 g is no motion of an arm.
GRAVITY_RANGE = (6.0, 60.0)
# What a sensor with the worst scale error of a data sheet, worn by someone who trembles, gives.
REST_RANGE = (7.5, 12.5)
# An arm adds this much to gravity, or less, half of the time.
SIMILAR = 0.2
# Beyond this the size tells nothing but that another unit was converted twice.
TINY_ACCELERATION = 0.05
# No hand turns faster; 2000 deg/s is the range of most sensors, 4000 that of the fastest.
LARGEST_ANGULAR_VELOCITY = 50.0
LARGEST_DEGREES = 4100.0
# A gyroscope at rest may be wrong by 20 deg/s (data sheet of the MPU-6050).
LARGEST_REST_ANGULAR_VELOCITY = 0.5
DEGREES_PER_RADIAN = 180.0 / np.pi
BLOCK_NS = 200_000_000
# A block of readings is quiet when it scatters by less than this part of its size.
QUIET = 0.05
# Sizes at rest that agree this well are gravity, in whatever unit; a rest of motion differs.
AGREEMENT = 0.15
# Leaning further than this from the documented direction is not the way an arm rests.
LARGEST_TILT_COSINE = 0.5


class MotionFault(Enum):
    """Why motion cannot be right; where two are seen of one sensor the first is the surer."""

    NO_ACCELERATION = 'no acceleration'
    NO_ROTATION = 'no rotation'
    RAW_COUNTS = 'raw counts'
    IN_G = 'in g'
    TINY = 'tiny'
    NO_GRAVITY = 'no gravity'
    WRONG_SCALE = 'wrong scale'
    RAW_ROTATION = 'raw rotation'
    IN_DEGREES = 'in degrees'
    SLOW_ROTATION = 'slow rotation'
    UPSIDE_DOWN = 'upside down'
    TURNED = 'turned'

    @property
    def sensor(self) -> str:
        """Return what it is about: 'acceleration', 'rotation' or 'mounting'."""
        if self in (MotionFault.UPSIDE_DOWN, MotionFault.TURNED):
            return 'mounting'
        acceleration = (
            'NO_ACCELERATION',
            'RAW_COUNTS',
            'IN_G',
            'TINY',
            'NO_GRAVITY',
            'WRONG_SCALE',
        )
        return 'acceleration' if self.name in acceleration else 'rotation'

    @property
    def usable(self) -> bool:
        """Return whether the network may still look at it: mounting or scale are in doubt."""
        return self.sensor == 'mounting' or self is MotionFault.WRONG_SCALE


@dataclass(frozen=True)
class MotionFinding:
    """What is wrong with motion: the cause, and a sentence for people that says what to do."""

    fault: MotionFault
    sentence: str


def judge_motion(stamps_ns: np.ndarray, values: np.ndarray) -> tuple[MotionFinding, ...]:
    """
    Judge a recording or another stretch of motion, most serious finding first.

    Args:
        stamps_ns: int64 (n,), rising.
        values: (n, 6), oldest first, columns ax ay az that should be m/s^2 with gravity, and
            gx gy gz that should be rad/s. Rows that are not finite are left out.

    Returns:
        What is wrong; empty when it is plausible, or too short (half a second) to say.

    """
    values = np.asarray(values, np.float64)
    found = judge_units(stamps_ns, values)
    finite = values[np.isfinite(values).all(axis=1)]
    if found or len(finite) < MINIMUM_SAMPLES:
        return found
    mounting = judge_mounting(np.median(finite[:, :3], axis=0))
    return () if mounting is None else (mounting,)


def judge_units(stamps_ns: np.ndarray, values: np.ndarray) -> tuple[MotionFinding, ...]:
    """Judge whether both triples are alive and in their units; see `judge_motion`."""
    stamps_ns, values = np.asarray(stamps_ns, np.int64), np.asarray(values, np.float64)
    finite = np.isfinite(values).all(axis=1)
    stamps_ns, values = stamps_ns[finite], values[finite]
    if len(values) < MINIMUM_SAMPLES or stamps_ns[-1] - stamps_ns[0] < MINIMUM_SPAN_NS:
        return ()
    acceleration, rotation = values[:, :3], values[:, 3:]
    accelerates, rotates = _alive(acceleration), _alive(rotation)
    blocks = _Blocks.of(stamps_ns, values)
    found: list[MotionFinding | None] = []
    if accelerates:
        found.append(_judge_acceleration(acceleration, blocks))
    else:
        found.append(_dead(MotionFault.NO_ACCELERATION, 'accelerometer', acceleration))
    if not rotates:
        found.append(_dead(MotionFault.NO_ROTATION, 'gyroscope', rotation))
    elif found[0] is None or found[0].fault not in (MotionFault.RAW_COUNTS, MotionFault.TINY):
        # One sentence is enough of a driver that converts nothing, or everything twice.
        found.append(_judge_rotation(rotation, blocks, accelerates))
    return tuple(finding for finding in found if finding is not None)


def judge_mounting(acceleration: np.ndarray) -> MotionFinding | None:
    """
    Judge how a sensor is worn by its acceleration at rest, (3,) in m/s^2; None when as documented.

    An arm leans every which way for a moment, so give what is typical of a longer time.
    """
    size = float(np.linalg.norm(acceleration))
    if size <= 0.0:
        return None
    cosines = acceleration / size
    if cosines[2] > LARGEST_TILT_COSINE:
        return None
    if cosines[2] < -LARGEST_TILT_COSINE:
        return MotionFinding(
            MotionFault.UPSIDE_DOWN,
            'The IMU is upside down: by the direction of gravity its z axis points down, so '
            'swipes are taken for others; turn it over so that z points out of the back of the '
            'wrist (see docs/wearing.svg), or set its mounting.',
        )
    axis = int(np.argmax(np.abs(cosines)))
    sign = '-' if cosines[axis] < 0 else ''
    return MotionFinding(
        MotionFault.TURNED,
        f'The IMU seems to be worn turned: by the direction of gravity its {sign}{"xyz"[axis]} '
        'axis points up where z should, so swipes are taken for others; mount it so that z points '
        'out of the back of the wrist (see docs/wearing.svg), or set its mounting.',
    )


@dataclass(frozen=True)
class _Blocks:
    """
    Means over fifths of a second.

    times: s (k,). acceleration, rotation: means (k, 3). sizes: mean sizes of the acceleration (k,).
    quiet: whether the acceleration hardly scattered (k,).
    """

    times: np.ndarray
    acceleration: np.ndarray
    rotation: np.ndarray
    sizes: np.ndarray
    quiet: np.ndarray

    @classmethod
    def of(cls, stamps_ns: np.ndarray, values: np.ndarray) -> _Blocks:
        numbers = (stamps_ns - stamps_ns[0]) // BLOCK_NS
        starts = np.flatnonzero(np.diff(numbers, prepend=-1))
        counts = np.diff(np.append(starts, len(values)))[:, None]
        means = np.add.reduceat(values, starts, axis=0) / counts
        squares = np.add.reduceat(values[:, :3] ** 2, starts, axis=0) / counts
        scatter = np.sqrt(np.maximum(squares - means[:, :3] ** 2, 0.0).sum(axis=1))
        sizes = np.linalg.norm(means[:, :3], axis=1)
        # A block of one or two readings cannot scatter.
        quiet = (scatter < QUIET * sizes) & (counts[:, 0] >= 3)
        times = (numbers[starts] * BLOCK_NS) / SECOND_NS
        return cls(times, means[:, :3], means[:, 3:], sizes, quiet)

    def rest_size(self) -> float | None:
        """Return the size of the acceleration at rest where all rests agree, else None."""
        sizes = self.sizes[self.quiet]
        if len(sizes) < 2:
            return None
        low, middle, high = np.quantile(sizes, (0.1, 0.5, 0.9))
        return float(middle) if high - low <= AGREEMENT * middle else None

    def show(self, gravity: float) -> bool:
        """Return whether gravity has this size: arms are slow, so it shows in most blocks."""
        return bool(np.mean(np.abs(self.sizes - gravity) < SIMILAR * gravity) >= 0.5)


def _disproved(stamps_ns: np.ndarray, values: np.ndarray) -> set[MotionFault]:
    """Return the faults of which motion shows the contrary."""
    acceleration, rotation = values[:, :3], values[:, 3:]
    disproved = set()
    if _alive(acceleration):
        disproved.add(MotionFault.NO_ACCELERATION)
        size = float(np.median(np.linalg.norm(acceleration, axis=1)))
        if GRAVITY_RANGE[0] < size < GRAVITY_RANGE[1]:
            disproved |= {fault for fault in MotionFault if fault.sensor == 'acceleration'}
    if _alive(rotation):
        disproved.add(MotionFault.NO_ROTATION)
        factor = _rotation_factor(_Blocks.of(stamps_ns, values))
        if factor is not None and 0.2 < factor < 5.0:
            disproved |= {fault for fault in MotionFault if fault.sensor == 'rotation'}
    return disproved


def _alive(triple: np.ndarray) -> bool:
    """Return whether three axes gave more than one value."""
    return bool((triple != triple[0]).any())


def _dead(fault: MotionFault, sensor: str, triple: np.ndarray) -> MotionFinding:
    what = 'nothing but zeros' if not triple.any() else 'one value only, to the last bit'
    return MotionFinding(
        fault,
        f'The {sensor} of the IMU gives {what}, so gestures are off: check that its driver '
        f'switches the {sensor} on, and its wiring.',
    )


def _raw_counts(fault: MotionFault, size: float, what: str) -> MotionFinding:
    return MotionFinding(
        fault,
        f'The IMU sends what looks like raw counts of its registers ({what} of {size:.0f}), so '
        'gestures are off: convert to m/s^2 (counts / counts per g * 9.80665) and rad/s in its '
        'driver.',
    )


def _judge_acceleration(acceleration: np.ndarray, blocks: _Blocks) -> MotionFinding | None:
    """Judge the size of an acceleration that is alive."""
    size = float(np.median(np.linalg.norm(acceleration, axis=1)))
    if size > GRAVITY_RANGE[1]:
        return _raw_counts(MotionFault.RAW_COUNTS, size, 'a typical acceleration')
    rest = blocks.rest_size()
    if size >= GRAVITY_RANGE[0]:
        if rest is None or REST_RANGE[0] < rest < REST_RANGE[1]:
            return None
        return _wrong_scale(rest)
    if blocks.show(1.0):
        return MotionFinding(
            MotionFault.IN_G,
            'The IMU acceleration looks like g instead of m/s^2, so gestures are off: '
            'multiply it by 9.80665 in the driver.',
        )
    for part in (2.0, 4.0):
        if blocks.show(STANDARD_GRAVITY / part):
            # Without a rest that could be the pull of a motion; the next look will tell.
            return None if rest is None else _wrong_scale(rest)
    if size < TINY_ACCELERATION:
        return MotionFinding(
            MotionFault.TINY,
            f'The IMU acceleration is typically {size:.2g} m/s^2, where gravity alone is 9.8, so '
            'gestures are off: its unit is another one than was taken for granted (m/s^2 or g '
            'where raw counts belong), or gravity was taken out.',
        )
    return MotionFinding(
        MotionFault.NO_GRAVITY,
        f'The IMU acceleration lacks gravity (it is typically {size:.1f} m/s^2, where gravity '
        'alone is 9.8), so gestures are off: send what the accelerometer measures, not linear '
        'acceleration.',
    )


def _wrong_scale(rest: float) -> MotionFinding:
    return MotionFinding(
        MotionFault.WRONG_SCALE,
        f'The IMU measures gravity as {rest:.1f} m/s^2 instead of 9.8: check that its driver '
        'counts with the range that the sensor is set to.',
    )


def _judge_rotation(
    rotation: np.ndarray, blocks: _Blocks, accelerates: bool
) -> MotionFinding | None:
    """Judge the size of a rotation that is alive, by itself and beside how gravity turns."""
    largest = float(np.quantile(np.linalg.norm(rotation, axis=1), 0.98))
    if largest > LARGEST_DEGREES:
        return _raw_counts(MotionFault.RAW_ROTATION, largest, 'an angular velocity')
    if largest > LARGEST_ANGULAR_VELOCITY:
        return _in_degrees(largest)
    if not accelerates:
        return None
    factor = _rotation_factor(blocks)
    if factor is None:
        return None
    if factor < 0.1:
        return _in_degrees(largest)
    if factor > 20.0:
        return MotionFinding(
            MotionFault.SLOW_ROTATION,
            f'The IMU turns {factor:.0f} times as far as its gyroscope says, so gestures are off: '
            'check that its driver sends rad/s, and converts degrees once only.',
        )
    return None


def _in_degrees(largest: float) -> MotionFinding:
    return MotionFinding(
        MotionFault.IN_DEGREES,
        f'The IMU angular velocity (up to {largest:.0f}) looks like degrees/s instead of rad/s, so '
        'gestures are off: multiply it by pi / 180 in the driver.',
    )


def _rotation_factor(blocks: _Blocks) -> float | None:
    """
    Return how many times as far gravity turns as the gyroscope says; None where nothing tells.

    Seen from the sensor gravity u turns by -w x u; where it stands still, so must the sensor, but
    for the bias of the gyroscope and turns about the vertical.
    """
    if len(blocks.times) < 4:
        return None
    up = blocks.acceleration / np.maximum(blocks.sizes, 1e-9)[:, None]
    seconds = np.diff(blocks.times)[:, None]
    seen = np.diff(up, axis=0) / seconds
    middle = up[:-1] + up[1:]
    middle /= np.maximum(np.linalg.norm(middle, axis=1), 1e-9)[:, None]
    said = -np.cross((blocks.rotation[:-1] + blocks.rotation[1:]) / 2.0, middle)
    still = blocks.quiet[:-1] & blocks.quiet[1:] & (np.linalg.norm(seen, axis=1) < 0.1)
    if still.sum() >= 3:
        size = float(np.median(np.linalg.norm(said[still], axis=1)))
        if size > LARGEST_REST_ANGULAR_VELOCITY:
            return float(np.median(np.linalg.norm(seen[still], axis=1))) / size
    # Without the bias, which is what the gyroscope says on the whole.
    said, seen = said - said.mean(axis=0), seen - seen.mean(axis=0)
    both = float((said * seen).sum())
    size_seen, size_said = float((seen**2).sum()), float((said**2).sum())
    if min(size_seen, size_said) <= 0.0 or both < 0.6 * np.sqrt(size_seen * size_said):
        return None
    if size_seen < 0.5:  # Less than about half a radian altogether is noise.
        return None
    return both / size_said


class MotionWatch:
    """
    Judge a stream of motion, as `judge_motion` judges a recording.

    A finding stays until the motion shows the contrary, or for half a minute, for motion shows a
    fault that rest hides, and the other way round. An arm leans every which way: how the sensor is
    worn is judged by half a minute, in which z must have pointed up for a second.
    """

    PERIOD_NS = 500_000_000
    SPAN_NS = 2_000_000_000
    SHOWN_NS = 30 * SECOND_NS
    MOUNTING_PERIODS = 30

    def __init__(self) -> None:
        """Start with nothing seen."""
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self._seen: dict[MotionFault, tuple[int, MotionFinding]] = {}
        self._directions: deque[np.ndarray] = deque(maxlen=self.MOUNTING_PERIODS)
        self.restart()

    def restart(self) -> None:
        """Forget the motion, not what was found: stamps that come are of another stretch."""
        self._stamps: deque[int] = deque()
        self._values: deque[tuple[float, ...]] = deque()
        self._next_ns: int | None = None
        self._next_direction_ns = 0
        self._seen = {fault: (-1, finding) for fault, (_, finding) in self._seen.items()}

    @property
    def usable(self) -> bool:
        """Return whether the motion means something."""
        return all(fault.usable for fault in self._seen)

    @property
    def findings(self) -> tuple[MotionFinding, ...]:
        """Return what is wrong, most serious first."""
        surest: dict[str, MotionFinding] = {}
        for fault in MotionFault:
            if fault in self._seen and (fault.sensor != 'mounting' or not surest):
                surest.setdefault(fault.sensor, self._seen[fault][1])
        return tuple(surest.values())

    def push(self, stamp_ns: int, values: tuple[float, ...]) -> None:
        """Take a reading of six finite values, of a later stamp than the one before."""
        self._stamps.append(stamp_ns)
        self._values.append(values)
        if self._next_ns is None:
            self._next_ns = stamp_ns + SECOND_NS
            self._next_direction_ns = stamp_ns + SECOND_NS
        elif stamp_ns >= self._next_ns:
            self._next_ns = stamp_ns + self.PERIOD_NS
            self._judge(stamp_ns)

    def _judge(self, stamp_ns: int) -> None:
        while stamp_ns - self._stamps[0] > self.SPAN_NS:
            self._stamps.popleft()
            self._values.popleft()
        stamps = np.array(self._stamps, np.int64)
        values = np.array(self._values, np.float64)
        found = judge_units(stamps, values)
        disproved = _disproved(stamps, values) if self._seen else set()
        self._seen = {
            fault: (seen_ns if seen_ns >= 0 else stamp_ns, finding)
            for fault, (seen_ns, finding) in self._seen.items()
            if fault not in disproved and (seen_ns < 0 or stamp_ns - seen_ns <= self.SHOWN_NS)
        }
        for finding in found:
            self._seen[finding.fault] = (stamp_ns, finding)
        if not found and stamp_ns >= self._next_direction_ns:
            self._next_direction_ns = stamp_ns + SECOND_NS
            second = stamps > stamp_ns - SECOND_NS
            self._directions.append(np.median(values[second, :3], axis=0))
            self._judge_mounting(stamp_ns)

    def _judge_mounting(self, stamp_ns: int) -> None:
        """Judge how the sensor is worn by the best second of the last half minute."""
        findings = [judge_mounting(direction) for direction in self._directions]
        newest = findings[-1]
        for fault in (MotionFault.UPSIDE_DOWN, MotionFault.TURNED):
            self._seen.pop(fault, None)
        if None not in findings and newest is not None and len(findings) >= 2:
            self._seen[newest.fault] = (stamp_ns, newest)
