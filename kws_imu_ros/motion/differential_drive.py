"""Kinematics of a base with two driven wheels."""

from __future__ import annotations

import math
from dataclasses import dataclass

from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.motion.velocity import Pose, Velocity


@dataclass(frozen=True)
class WheelVelocity:
    """Angular velocities of the wheels in rad/s, positive forward."""

    left: float = 0.0
    right: float = 0.0


@dataclass(frozen=True)
class DifferentialDrive:
    """
    Geometry of a differential drive.

    wheel_separation: distance between the wheels' contact points in m.
    wheel_radius: in m.
    max_wheel_velocity: the fastest that a motor turns its wheel, rad/s.

    Raises:
        KwsImuError: a number is not finite and positive.

    """

    wheel_separation: float = 0.14
    wheel_radius: float = 0.033
    max_wheel_velocity: float = 20.0

    def __post_init__(self) -> None:
        """Refuse a geometry that is none."""
        for name, value in vars(self).items():
            if not (math.isfinite(value) and value > 0.0):
                raise KwsImuError(f'{name} is {value}; give a finite number above 0.')

    def wheels(self, velocity: Velocity) -> WheelVelocity:
        """
        Return the wheel velocities of a body velocity.

        Where a wheel would be too fast, both are slowed by the same factor: the robot keeps to its
        curve and takes longer.
        """
        difference = velocity.angular_z * self.wheel_separation / 2.0
        left = (velocity.linear_x - difference) / self.wheel_radius
        right = (velocity.linear_x + difference) / self.wheel_radius
        fastest = max(abs(left), abs(right))
        factor = min(1.0, self.max_wheel_velocity / fastest) if fastest > 0.0 else 1.0
        return WheelVelocity(left * factor, right * factor)

    def body(self, wheels: WheelVelocity) -> Velocity:
        """Return the body velocity of wheels that roll without slip."""
        return Velocity(
            (wheels.right + wheels.left) * self.wheel_radius / 2.0,
            (wheels.right - wheels.left) * self.wheel_radius / self.wheel_separation,
        )


def move(pose: Pose, velocity: Velocity, dt: float) -> Pose:
    """Return the pose after dt seconds at a constant body velocity: an exact arc."""
    turn = velocity.angular_z * dt
    # The chord of the arc; sin(x)/x keeps its accuracy where a division by turn would not.
    half = turn / 2.0
    chord = velocity.linear_x * dt * (math.sin(half) / half if abs(half) > 1e-9 else 1.0)
    return Pose(
        pose.x + chord * math.cos(pose.yaw + half),
        pose.y + chord * math.sin(pose.yaw + half),
        math.remainder(pose.yaw + turn, math.tau),
    )
