"""One reading of an inertial measurement unit."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ImuSample:
    """
    One IMU reading in REP-145 conventions (raw: gravity included).

    stamp_ns: time of measurement, integer nanoseconds.
    linear_acceleration: x, y, z in m/s^2.
    angular_velocity: x, y, z in rad/s.
    """

    stamp_ns: int
    linear_acceleration: tuple[float, float, float]
    angular_velocity: tuple[float, float, float]
