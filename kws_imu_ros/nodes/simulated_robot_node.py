"""
A simulated differential drive: takes `cmd_vel`, gives `odom`, `joint_states` and `tf`.

It is simulated on the steady clock, as a real base would live: when `cmd_vel` stops coming, for
whatever reason, it brakes by itself within cmd_vel_timeout.
"""

from __future__ import annotations

import functools
import math
import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from geometry_msgs.msg import Twist, TwistStamped
from nav_msgs.msg import Odometry
from sensor_msgs.msg import JointState

from kws_imu_ros.configuration.declaration import Declaration
from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.messages.fields import time_from_message
from kws_imu_ros.messages.motion import (
    joint_state_to_message,
    odometry_to_message,
    transform_to_message,
    velocity_from_message,
)
from kws_imu_ros.motion.differential_drive import DifferentialDrive
from kws_imu_ros.motion.limits import AxisLimits, VelocityLimits
from kws_imu_ros.motion.simulation import Arena, RobotParameters, SimulatedRobot
from kws_imu_ros.motion.velocity import Pose, Velocity
from kws_imu_ros.nodes.runtime.base_node import BaseNode
from kws_imu_ros.nodes.runtime.diagnostics import DiagnosticsPublisher, Report
from kws_imu_ros.nodes.runtime.neighbours import Neighbours, advise_velocity_type
from kws_imu_ros.nodes.runtime.parameters import ENABLE_STAMPED_CMD_VEL
from kws_imu_ros.nodes.runtime.qos import NEWEST_QOS, RELIABLE_QOS
from kws_imu_ros.nodes.runtime.spinning import run_nodes

try:
    from tf2_msgs.msg import TFMessage
except ImportError:
    TFMessage = None


def _declarations(default: RobotParameters) -> tuple[Declaration, ...]:
    """Return the parameters of a simulated robot with their defaults."""
    drive, linear, angular = default.drive, default.limits.linear, default.limits.angular
    return (
        Declaration('wheel_separation', drive.wheel_separation, 'Wheel to wheel, m.', 0.01, 2.0),
        Declaration('wheel_radius', drive.wheel_radius, 'Of a wheel, m.', 0.005, 1.0),
        Declaration('robot_radius', default.radius, 'Of the round body, m.', 0.01, 5.0),
        Declaration(
            'max_wheel_velocity',
            drive.max_wheel_velocity,
            "The motors' fastest, rad/s.",
            0.1,
            200.0,
        ),
        Declaration(
            'max_linear_velocity', linear.max_velocity, 'Fastest on the floor, m/s.', 0.01, 5.0
        ),
        Declaration(
            'max_angular_velocity', angular.max_velocity, 'Fastest turn, rad/s.', 0.01, 50.0
        ),
        Declaration(
            'linear_acceleration', linear.max_acceleration, 'Gain of speed, m/s^2.', 0.1, 50.0
        ),
        Declaration(
            'linear_deceleration', linear.max_deceleration, 'Loss of speed, m/s^2.', 0.1, 50.0
        ),
        Declaration(
            'angular_acceleration',
            angular.max_acceleration,
            'Gain and loss of turning speed, rad/s^2.',
            0.1,
            200.0,
        ),
        Declaration(
            'cmd_vel_timeout',
            default.cmd_vel_timeout,
            's without cmd_vel after which the robot brakes by itself.',
            0.05,
            5.0,
        ),
        Declaration('arena_width', default.arena.width, 'Wall to wall along x, m.', 0.3, 1e3),
        Declaration('arena_depth', default.arena.depth, 'Wall to wall along y, m.', 0.3, 1e3),
        Declaration('noise', default.noise, 'Deviation of wheel speed as a share of it.', 0.0, 0.5),
        Declaration(
            'seed', default.seed, 'Of the noise: the same seed, the same noise.', 0, 2**31 - 1
        ),
        Declaration('start_x', default.start.x, 'Where it starts, m.', -500.0, 500.0),
        Declaration('start_y', default.start.y, 'Where it starts, m.', -500.0, 500.0),
        Declaration('start_yaw', default.start.yaw, 'Where it looks, rad.', -math.pi, math.pi),
    )


class SimulatedRobotNode(BaseNode):
    """Follows `cmd_vel` in a walled arena."""

    PARAMETERS = (
        Declaration('publish_rate', 25.0, 'Rate of odom in Hz.', 1.0, 50.0),
        Declaration(
            ENABLE_STAMPED_CMD_VEL, False, 'Expect TwistStamped instead of Twist on cmd_vel.'
        ),
        Declaration('odom_frame_id', 'odom', 'Frame of the pose.'),
        Declaration('base_frame_id', 'base_link', 'Frame of the robot.'),
        Declaration('left_wheel_name', 'left_wheel_joint', 'Joint in joint_states.'),
        Declaration('right_wheel_name', 'right_wheel_joint', 'Joint in joint_states.'),
        *_declarations(RobotParameters()),
    )

    def __init__(self, **kwargs: Any) -> None:
        """
        Declare parameters and place the robot.

        Raises:
            KwsImuError: a parameter does not fit.

        """
        super().__init__('simulated_robot', **kwargs)
        with self.destroyed_on_error():
            self._configure()

    def _configure(self) -> None:
        rate, stamped = self.declare('publish_rate'), self.declare(ENABLE_STAMPED_CMD_VEL)
        self._odom_frame, self._base_frame = (
            self.declare('odom_frame_id'),
            self.declare('base_frame_id'),
        )
        self._joints = (self.declare('left_wheel_name'), self.declare('right_wheel_name'))
        self._robot = SimulatedRobot(self._declare_robot(), time.monotonic_ns())
        self._unusable = 0
        self._stale = 0
        self._timeouts = 0
        self._timed_out = False
        self._touching = False

        velocity_type = TwistStamped if stamped else Twist
        self.create_subscription(velocity_type, 'cmd_vel', self._on_cmd_vel, NEWEST_QOS)
        self._commanders = Neighbours(
            self,
            'cmd_vel',
            velocity_type,
            NEWEST_QOS,
            remedy=functools.partial(advise_velocity_type, name=self.get_fully_qualified_name()),
        )
        self._odometry_publisher = self.create_publisher(Odometry, 'odom', RELIABLE_QOS)
        self._joint_publisher = self.create_publisher(JointState, 'joint_states', RELIABLE_QOS)
        self._tf_publisher = (
            None if TFMessage is None else self.create_publisher(TFMessage, 'tf', RELIABLE_QOS)
        )
        self.create_timer(1.0 / rate, self._on_timer)
        DiagnosticsPublisher(self, self._report)

    def _declare_robot(self) -> RobotParameters:
        value = self.declare
        speed, turn = value('max_linear_velocity'), value('max_angular_velocity')
        growth, brake = value('linear_acceleration'), value('linear_deceleration')
        spin = value('angular_acceleration')
        return RobotParameters(
            drive=DifferentialDrive(
                value('wheel_separation'), value('wheel_radius'), value('max_wheel_velocity')
            ),
            limits=VelocityLimits(
                AxisLimits(speed, -speed, growth, brake, brake),
                AxisLimits(turn, -turn, spin, spin, spin),
            ),
            arena=Arena(value('arena_width'), value('arena_depth')),
            radius=value('robot_radius'),
            cmd_vel_timeout=value('cmd_vel_timeout'),
            noise=value('noise'),
            seed=value('seed'),
            start=Pose(value('start_x'), value('start_y'), value('start_yaw')),
        )

    def _on_cmd_vel(self, message: Twist | TwistStamped) -> None:
        if self._is_stale(message):
            return
        try:
            velocity = velocity_from_message(message)
        except KwsImuError as error:
            velocity = Velocity()
            if self._unusable == 0:
                self.get_logger().warning(f'cmd_vel counts as zero: {error}')
            self._unusable += 1
        self._robot.command(velocity, time.monotonic_ns())

    def _is_stale(self, message: Twist | TwistStamped) -> bool:
        """Return whether a stamped velocity is too old to be driven, as real bases judge it."""
        if not isinstance(message, TwistStamped):
            return False
        stamp_ns = time_from_message(message.header.stamp)
        age_s = (self.get_clock().now().nanoseconds - stamp_ns) / 1e9
        # Zero is the stamp of a sender that has no time.
        if stamp_ns == 0 or age_s <= self._robot.parameters.cmd_vel_timeout:
            return False
        if self._stale == 0:
            self.get_logger().warning(
                f'cmd_vel is ignored because it is {age_s:.2f} s old; set use_sim_time of all '
                'nodes alike and synchronize the clocks.'
            )
        self._stale += 1
        return True

    def _on_timer(self) -> None:
        was_moving = self._robot.state.velocity != Velocity()
        state = self._robot.update(time.monotonic_ns())
        if state.timed_out and not self._timed_out and was_moving:
            self._timeouts += 1
            self.get_logger().warning(
                f'No cmd_vel for {self._robot.parameters.cmd_vel_timeout:g} s; the robot brakes.'
            )
        if state.touching and not self._touching:
            self.get_logger().info('The robot touches a wall.')
        self._timed_out, self._touching = state.timed_out, state.touching

        stamp_ns = self.get_clock().now().nanoseconds
        # Serialization costs more than simulation: only what somebody listens to is published.
        if self._odometry_publisher.get_subscription_count():
            self._odometry_publisher.publish(
                odometry_to_message(
                    state.pose, state.velocity, stamp_ns, self._odom_frame, self._base_frame
                )
            )
        if self._joint_publisher.get_subscription_count():
            self._joint_publisher.publish(
                joint_state_to_message(
                    self._joints,
                    np.array(state.wheel_positions),
                    np.array((state.wheels.left, state.wheels.right)),
                    stamp_ns,
                )
            )
        if self._tf_publisher is not None and self._tf_publisher.get_subscription_count():
            transform = transform_to_message(
                state.pose, stamp_ns, self._odom_frame, self._base_frame
            )
            self._tf_publisher.publish(TFMessage(transforms=[transform]))

    def _report(self, _seconds: float) -> Report:
        state = self._robot.state
        warnings = [*self._commanders.look()]
        if state.timed_out:
            warnings.append('No cmd_vel comes; the robot stands.')
        if state.touching:
            warnings.append('The robot touches a wall.')
        return Report(
            'The robot follows cmd_vel.',
            warnings=warnings,
            values={
                'x (m)': f'{state.pose.x:.3f}',
                'y (m)': f'{state.pose.y:.3f}',
                'yaw (rad)': f'{state.pose.yaw:.3f}',
                'cmd_vel timeouts': self._timeouts,
                'unusable cmd_vel': self._unusable,
                'stale cmd_vel': self._stale,
            },
        )


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the simulated robot until it is told to end."""
    sys.exit(
        run_nodes(
            lambda nodes: nodes.append(SimulatedRobotNode()), arguments, names=['simulated_robot']
        )
    )


if __name__ == '__main__':
    main()
