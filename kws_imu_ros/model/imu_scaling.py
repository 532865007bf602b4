"""How the gesture branch scales motion before it sees it."""

from __future__ import annotations

import numpy as np

from kws_imu_ros.imu.calibration import STANDARD_GRAVITY
from kws_imu_ros.model.bundle import ImuParameters

# Full scale of the commonest wrist sensors, +-2 g and +-250 degrees/s, becomes +-1.
IMU_PARAMETERS = ImuParameters(
    rate_hz=50.0,
    length=100,
    acceleration_divisor=2.0 * STANDARD_GRAVITY,
    angular_velocity_divisor=float(np.radians(250.0)),
)


def imu_divisors(imu: ImuParameters) -> np.ndarray:
    """Return what each of the six columns is divided by, float32 (6,)."""
    return np.array([imu.acceleration_divisor] * 3 + [imu.angular_velocity_divisor] * 3, np.float32)
