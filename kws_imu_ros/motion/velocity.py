"""Planar velocity and pose, REP-103 axes and units."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Velocity:
    """Body velocity: linear_x forward in m/s, angular_z counter-clockwise in rad/s."""

    linear_x: float = 0.0
    angular_z: float = 0.0


@dataclass(frozen=True)
class Pose:
    """Pose in the odom frame: x, y in m, yaw counter-clockwise in rad."""

    x: float = 0.0
    y: float = 0.0
    yaw: float = 0.0
