"""Gyroscope bias and accelerometer scale from a sensor that lies still."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.imu.sample import ImuSample

STANDARD_GRAVITY = 9.80665
MINIMUM_SAMPLES = 20
MINIMUM_SPAN_NS = 500_000_000
# A hand that tries to hold still trembles with about 0.1 rad/s and 0.3 m/s^2.
STILL_ANGULAR_VELOCITY = 0.05
STILL_ACCELERATION = 0.25
# The worst bias in the MPU-6050's data sheet is 20 deg/s; beyond it something turns.
LARGEST_BIAS = 0.36
SCALE_RANGE = (0.85, 1.15)


@dataclass(frozen=True)
class Calibration:
    """
    Corrections of one sensor; the default corrects nothing.

    angular_velocity_bias: x, y, z in rad/s, subtracted.
    acceleration_scale: factor on all three axes that makes gravity 9.80665 m/s^2.
    """

    angular_velocity_bias: tuple[float, float, float] = (0.0, 0.0, 0.0)
    acceleration_scale: float = 1.0

    def apply(self, sample: ImuSample) -> ImuSample:
        """Return the corrected sample."""
        ax, ay, az = sample.linear_acceleration
        gx, gy, gz = sample.angular_velocity
        bx, by, bz = self.angular_velocity_bias
        scale = self.acceleration_scale
        return ImuSample(
            stamp_ns=sample.stamp_ns,
            linear_acceleration=(ax * scale, ay * scale, az * scale),
            angular_velocity=(gx - bx, gy - by, gz - bz),
        )


def calibrate_at_rest(samples: Sequence[ImuSample]) -> Calibration:
    """
    Return the calibration of a sensor from samples taken while it lay still.

    samples: uncalibrated, in m/s^2 and rad/s, at least half a second of them.

    Raises:
        KwsImuError: there are too few samples, the sensor moved, or it is not a sound IMU in
            m/s^2 and rad/s.

    """
    span_ns = samples[-1].stamp_ns - samples[0].stamp_ns if samples else 0
    if len(samples) < MINIMUM_SAMPLES or span_ns < MINIMUM_SPAN_NS:
        raise KwsImuError(
            f'The IMU cannot be calibrated from {len(samples)} samples over {span_ns / 1e9:.1f} s: '
            'check that it delivers, and wait a second.'
        )
    acceleration = np.array([s.linear_acceleration for s in samples])
    rotation = np.array([s.angular_velocity for s in samples])
    if not (np.isfinite(acceleration).all() and np.isfinite(rotation).all()):
        raise KwsImuError(
            'The IMU cannot be calibrated because it sends NaN or infinity: check its wiring.'
        )
    half = len(samples) // 2
    tilt = np.linalg.norm(acceleration[:half].mean(axis=0) - acceleration[half:].mean(axis=0))
    if (
        rotation.std(axis=0).max() > STILL_ANGULAR_VELOCITY
        or acceleration.std(axis=0).max() > STILL_ACCELERATION
        or tilt > STILL_ACCELERATION
    ):
        raise KwsImuError(
            'The IMU was not calibrated because it moved: lay it down, keep it still for two '
            'seconds and calibrate again.'
        )
    bias = rotation.mean(axis=0)
    if np.abs(bias).max() > LARGEST_BIAS:
        raise KwsImuError(
            f'The IMU was not calibrated because it turns at {np.abs(bias).max():.2f} rad/s while '
            'still: keep it still, and check that its driver sends rad/s.'
        )
    gravity = float(np.linalg.norm(acceleration.mean(axis=0)))
    scale = STANDARD_GRAVITY / gravity if gravity > 0 else float('inf')
    if not SCALE_RANGE[0] <= scale <= SCALE_RANGE[1]:
        unit = ', which looks like g instead of m/s^2' if 0.8 < gravity < 1.25 else ''
        raise KwsImuError(
            f'The IMU was not calibrated because it measures gravity as {gravity:.2f} m/s^2'
            f'{unit}: check the range and the unit that its driver is set to.'
        )
    return Calibration((float(bias[0]), float(bias[1]), float(bias[2])), scale)
