"""Velocities, odometry, transforms and wheels as the standard messages of a base."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.messages.factory import ROS, MessageFactory
from kws_imu_ros.messages.fields import (
    header_message,
    key_values,
    quaternion,
    time_from_message,
    vector,
)
from kws_imu_ros.motion.profiles import IntentEffects
from kws_imu_ros.motion.velocity import Pose, Velocity

# What an intent does, in `motion_table`.
STOPS, MOVES = 'stops', 'moves'


def velocity_to_message(velocity: Velocity, messages: MessageFactory = ROS) -> Any:
    """Return a velocity as geometry_msgs/Twist."""
    return messages.make(
        'geometry_msgs/msg/Twist',
        linear=vector(velocity.linear_x, 0.0, 0.0, messages),
        angular=vector(0.0, 0.0, velocity.angular_z, messages),
    )


def velocity_to_stamped_message(
    velocity: Velocity, stamp_ns: int, frame_id: str = 'base_link', messages: MessageFactory = ROS
) -> Any:
    """Return a velocity as geometry_msgs/TwistStamped."""
    return messages.make(
        'geometry_msgs/msg/TwistStamped',
        header=header_message(stamp_ns, frame_id, messages),
        twist=velocity_to_message(velocity, messages),
    )


def velocity_from_message(message: Any) -> Velocity:
    """
    Return a geometry_msgs/Twist or TwistStamped as a velocity.

    Raises:
        KwsImuError: a speed is NaN or infinite.

    """
    twist = getattr(message, 'twist', message)
    velocity = Velocity(float(twist.linear.x), float(twist.angular.z))
    if not (math.isfinite(velocity.linear_x) and math.isfinite(velocity.angular_z)):
        raise KwsImuError(
            f'Velocity message asks for {velocity.linear_x} m/s and {velocity.angular_z} rad/s; '
            'both must be finite.'
        )
    return velocity


def odometry_to_message(
    pose: Pose,
    velocity: Velocity,
    stamp_ns: int,
    frame_id: str = 'odom',
    child_frame_id: str = 'base_link',
    messages: MessageFactory = ROS,
) -> Any:
    """Return pose and body velocity as nav_msgs/Odometry; covariances are zero: unknown."""
    position = messages.make('geometry_msgs/msg/Point', x=float(pose.x), y=float(pose.y), z=0.0)
    stamped_pose = messages.make(
        'geometry_msgs/msg/Pose', position=position, orientation=quaternion(pose.yaw, messages)
    )
    return messages.make(
        'nav_msgs/msg/Odometry',
        header=header_message(stamp_ns, frame_id, messages),
        child_frame_id=child_frame_id,
        pose=messages.make(
            'geometry_msgs/msg/PoseWithCovariance', pose=stamped_pose, covariance=np.zeros(36)
        ),
        twist=messages.make(
            'geometry_msgs/msg/TwistWithCovariance',
            twist=velocity_to_message(velocity, messages),
            covariance=np.zeros(36),
        ),
    )


def odometry_from_message(message: Any) -> tuple[int, Pose, Velocity]:
    """Return stamp in ns, pose and body velocity of a nav_msgs/Odometry of a planar robot."""
    pose = message.pose.pose
    q = pose.orientation
    yaw = math.atan2(2.0 * (q.w * q.z + q.x * q.y), 1.0 - 2.0 * (q.y * q.y + q.z * q.z))
    return (
        time_from_message(message.header.stamp),
        Pose(float(pose.position.x), float(pose.position.y), yaw),
        velocity_from_message(message.twist),
    )


def transform_to_message(
    pose: Pose,
    stamp_ns: int,
    frame_id: str = 'odom',
    child_frame_id: str = 'base_link',
    messages: MessageFactory = ROS,
) -> Any:
    """Return a pose as geometry_msgs/TransformStamped, for tf."""
    return messages.make(
        'geometry_msgs/msg/TransformStamped',
        header=header_message(stamp_ns, frame_id, messages),
        child_frame_id=child_frame_id,
        transform=messages.make(
            'geometry_msgs/msg/Transform',
            translation=vector(pose.x, pose.y, 0.0, messages),
            rotation=quaternion(pose.yaw, messages),
        ),
    )


def joint_state_to_message(
    names: tuple[str, ...],
    positions: np.ndarray,
    velocities: np.ndarray,
    stamp_ns: int,
    messages: MessageFactory = ROS,
) -> Any:
    """Return wheel positions in rad and velocities in rad/s as sensor_msgs/JointState, effort 0."""
    return messages.make(
        'sensor_msgs/msg/JointState',
        header=header_message(stamp_ns, '', messages),
        name=list(names),
        position=messages.sequence(np.asarray(positions, np.float64)),
        velocity=messages.sequence(np.asarray(velocities, np.float64)),
        # Not empty: serializers disagree on the padding of an empty sequence of float64.
        effort=messages.sequence(np.zeros(len(names))),
    )


def effects_to_message(effects: IntentEffects, messages: MessageFactory = ROS) -> Any:
    """Return what a motion table does as diagnostic_msgs/DiagnosticStatus, a value an intent."""
    return messages.make(
        'diagnostic_msgs/msg/DiagnosticStatus',
        level=messages.octet(0),
        name='motion_table',
        message=effects.source,
        hardware_id='',
        values=key_values(
            {intent: STOPS if stops else MOVES for intent, stops in effects.stops.items()}, messages
        ),
    )


def effects_from_message(message: Any) -> IntentEffects:
    """Return a diagnostic_msgs/DiagnosticStatus of the topic `motion_table` as what it does."""
    return IntentEffects(
        str(message.message), {str(pair.key): pair.value == STOPS for pair in message.values}
    )
