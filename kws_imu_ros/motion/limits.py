"""Velocity and acceleration limits of a differential-drive base."""

from __future__ import annotations

import math
from dataclasses import dataclass

from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.motion.velocity import Velocity

# A late timer must not turn into a jump of speed: growth is computed for at most this many seconds.
LONGEST_ACCELERATION_STEP = 0.1


@dataclass(frozen=True)
class AxisLimits:
    """
    Limits of one axis; m/s and m/s^2 for the linear one, rad/s and rad/s^2 for the angular one.

    max_velocity: the fastest in the positive direction, not negative.
    min_velocity: the fastest in the negative direction, not positive.
    max_acceleration: the fastest growth of speed, positive.
    max_deceleration: the fastest loss of speed in everyday driving, positive.
    stop_deceleration: the fastest loss of speed when told to stop, at least max_deceleration.

    Raises:
        KwsImuError: a number is not finite or not in its range.

    """

    max_velocity: float
    min_velocity: float
    max_acceleration: float
    max_deceleration: float
    stop_deceleration: float

    def __post_init__(self) -> None:
        """Refuse limits that would be no limits."""
        for name, value in vars(self).items():
            if not math.isfinite(value):
                raise KwsImuError(f'{name} is {value}; give a finite number.')
        if self.max_velocity < 0.0:
            raise KwsImuError(f'max_velocity is {self.max_velocity}; give 0 or more.')
        if self.min_velocity > 0.0:
            raise KwsImuError(f'min_velocity is {self.min_velocity}; give 0 or less.')
        for name in ('max_acceleration', 'max_deceleration'):
            if getattr(self, name) <= 0.0:
                raise KwsImuError(f'{name} is {getattr(self, name)}; give more than 0.')
        if self.stop_deceleration < self.max_deceleration:
            raise KwsImuError(
                f'stop_deceleration is {self.stop_deceleration}; give at least max_deceleration '
                f'({self.max_deceleration}), for a stop is never gentler than everyday driving.'
            )

    def clamp(self, velocity: float) -> float:
        """Return the velocity inside the range of this axis; 0 where it is not finite."""
        if not math.isfinite(velocity):
            return 0.0
        return min(max(velocity, self.min_velocity), self.max_velocity)


@dataclass(frozen=True)
class VelocityLimits:
    """Limits of both axes of a planar base."""

    linear: AxisLimits
    angular: AxisLimits

    def clamp(self, velocity: Velocity) -> Velocity:
        """Return the velocity inside the ranges of both axes; 0 where it is not finite."""
        return Velocity(
            self.linear.clamp(velocity.linear_x), self.angular.clamp(velocity.angular_z)
        )

    def limit(
        self, target: Velocity, current: Velocity, dt: float, stopping: bool = False
    ) -> Velocity:
        """
        Return the velocity nearest to the target that may follow the current one.

        Args:
            target: what is asked for; not finite counts as 0.
            current: the velocity now.
            dt: time from now to the new velocity in s; negative counts as 0.
            stopping: brake at stop_deceleration instead of max_deceleration.

        """
        return Velocity(
            _limit_axis(self.linear, target.linear_x, current.linear_x, dt, stopping),
            _limit_axis(self.angular, target.angular_z, current.angular_z, dt, stopping),
        )


def _limit_axis(
    limits: AxisLimits, target: float, current: float, dt: float, stopping: bool
) -> float:
    target = limits.clamp(target)
    dt = max(dt, 0.0)
    if target * current < 0.0:
        # A change of direction passes through rest: gearboxes and pupils' nerves are spared.
        target = 0.0
    if abs(target) > abs(current):
        change = limits.max_acceleration * min(dt, LONGEST_ACCELERATION_STEP)
    else:
        change = (limits.stop_deceleration if stopping else limits.max_deceleration) * dt
    return limits.clamp(min(max(target, current - change), current + change))
