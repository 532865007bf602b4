"""
The motion of a wrist in axes of the world, however the sensor sits on it.

A gyroscope knows how the sensor turned within a few seconds, so every reading can be brought into
the axes of the first one. There the mean acceleration is gravity, since a hand that rests before
and after a move has gained no speed: that is up. Forward is where the forearm points: along the
sensor's y axis, whose sign follows from the hand's rising where the forearm turns up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kws_imu_ros.imu.calibration import STANDARD_GRAVITY
from kws_imu_ros.imu.sample import ImuSample

Array = npt.NDArray[np.float64]

# The commonest wrist sensors end there; references and performances may come from two kinds.
MOST_ACCELERATION = 2.0 * STANDARD_GRAVITY
MOST_ROTATION = float(np.radians(250.0))
# A forearm that is steeper than this has no heading that its own axis could tell.
LEAST_LEVEL = 0.25


@dataclass(frozen=True)
class WristMotion:
    """
    What an IMU measured, in its own axes.

    stamps_ns: int64 (n,), rising. values: float64 (n, 6): ax ay az in m/s^2, gx gy gz in rad/s.
    """

    stamps_ns: npt.NDArray[np.int64]
    values: Array

    @classmethod
    def of(cls, samples: Sequence[ImuSample]) -> WristMotion:
        """Return the motion of samples whose stamps rise; others are left out."""
        stamps = np.array([sample.stamp_ns for sample in samples], np.int64)
        values = np.array([(*s.linear_acceleration, *s.angular_velocity) for s in samples], float)
        values = values.reshape(-1, 6)
        kept = np.isfinite(values).all(axis=1)
        stamps, values = stamps[kept], values[kept]
        newest = np.maximum.accumulate(stamps) if len(stamps) else stamps
        rises = np.concatenate(([True], stamps[1:] > newest[:-1]))[: len(stamps)]
        return cls(stamps[rises], values[rises])

    def between(self, start_ns: int, end_ns: int) -> WristMotion:
        """Return the part from `start_ns` up to and with `end_ns`."""
        first = int(np.searchsorted(self.stamps_ns, start_ns, 'left'))
        last = int(np.searchsorted(self.stamps_ns, end_ns, 'right'))
        return WristMotion(self.stamps_ns[first:last], self.values[first:last])

    def longest_gap_ns(self, start_ns: int, end_ns: int) -> int:
        """Return the longest time without a reading between two times."""
        inside = self.between(start_ns, end_ns).stamps_ns
        edges = np.concatenate(([start_ns], inside, [end_ns]))
        return int(np.diff(edges).max())

    def sampled(self, start_ns: int, end_ns: int, rate_hz: float) -> Array:
        """
        Return evenly spaced rows from `start_ns` on, float64 (n, 6), clipped to a common range.

        Raises:
            ValueError: there is no reading.

        """
        count = max(2, round((end_ns - start_ns) * rate_hz / 1e9))
        grid = np.arange(count) * (1e9 / rate_hz)
        stamps = (self.stamps_ns - start_ns).astype(np.float64)
        rows = np.stack([np.interp(grid, stamps, column) for column in self.values.T], axis=1)
        limits = np.repeat([MOST_ACCELERATION, MOST_ROTATION], 3)
        clipped: Array = np.clip(rows, -limits, limits)
        return clipped


def rotations(angular_velocity: Array, rate_hz: float) -> Array:
    """
    Return what turns each row's axes into those of the first row, float64 (n, 3, 3).

    angular_velocity: rad/s (n, 3), in the sensor's axes.
    """
    angle = angular_velocity / rate_hz
    size = np.linalg.norm(angle, axis=1)
    axis = angle / np.maximum(size, 1e-12)[:, None]
    cross = np.zeros((len(angle), 3, 3))
    cross[:, 0, 1], cross[:, 0, 2], cross[:, 1, 2] = -axis[:, 2], axis[:, 1], -axis[:, 0]
    cross -= cross.transpose(0, 2, 1)
    # Rodrigues' formula.
    steps = np.eye(3) + np.sin(size)[:, None, None] * cross
    steps += (1.0 - np.cos(size))[:, None, None] * (cross @ cross)
    turned: Array = np.empty_like(steps)
    turned[0] = np.eye(3)
    for row in range(1, len(steps)):
        turned[row] = turned[row - 1] @ steps[row - 1]
    return turned


@dataclass(frozen=True)
class WorldMotion:
    """
    Motion in axes of the world.

    rows: float64 (n, 6): acceleration forward, left, up without gravity in m/s^2, and rotation
    about these axes in rad/s. raise_cue: how far turning raised the hand with the heading that was
    taken; its sign says which way the sensor's y axis points along the forearm. level: how level
    that axis lay, 0 to 1. slope: its mean slope in radians, up for a raised hand.
    """

    rows: Array
    raise_cue: float
    level: float
    slope: float


def to_world(rows: Array, rate_hz: float, y_sign: float | None = None) -> WorldMotion:
    """
    Return motion in axes of the world.

    Args:
        rows: float64 (n, 6) in the sensor's axes, evenly spaced; a few seconds that begin and end
            at rest.
        rate_hz: of the rows.
        y_sign: 1 where the sensor's y axis is known to point to the hand, -1 where to the elbow,
            None to tell it by the motion alone.

    """
    turned = rotations(rows[:, 3:], rate_hz)
    acceleration = np.einsum('tij,tj->ti', turned, rows[:, :3])
    rotation = np.einsum('tij,tj->ti', turned, rows[:, 3:])
    forearm = turned[:, :, 1].mean(axis=0)
    gravity = acceleration.mean(axis=0)
    up = gravity / max(float(np.linalg.norm(gravity)), 1e-9)
    rise = acceleration @ up
    spin = rotation - np.outer(rotation @ up, up)
    smooth = np.stack([np.convolve(c, np.ones(3) / 3.0, 'same') for c in spin.T], axis=1)
    # A hand at the end of a lever rises where it turns about the axis to the right.
    cue = (rise - rise.mean()) @ np.gradient(smooth, axis=0) * rate_hz
    level_part = forearm - (forearm @ up) * up
    level = float(np.linalg.norm(level_part))
    raised = float(np.cross(up, cue) @ level_part)
    if level >= LEAST_LEVEL:
        sign = y_sign if y_sign is not None else (1.0 if raised >= 0.0 else -1.0)
        forward = sign * level_part / level
    else:
        sign = 1.0
        forward = np.cross(up, cue)
        forward /= max(float(np.linalg.norm(forward)), 1e-9)
    left = np.cross(up, forward)
    basis = np.stack((forward, left, up))
    acceleration, rotation = acceleration @ basis.T, rotation @ basis.T
    acceleration[:, 2] -= np.linalg.norm(gravity)
    slope = float(np.arcsin(np.clip(sign * forearm @ up, -1.0, 1.0)))
    return WorldMotion(np.concatenate((acceleration, rotation), axis=1), raised, level, slope)
