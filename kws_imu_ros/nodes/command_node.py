"""
The command node: the only one that publishes `cmd_vel`, and the last that can keep a robot still.

It runs `MotionController` on the steady clock, so that neither a jump of the wall clock nor a
simulation's pause lengthens a command's life. Whoever ends it, other than with kill -9, it says
zero before it goes; against kill -9 the base needs its own timeout on `cmd_vel`, as every base
driver has and as the simulated robot shows.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import sys
import time
from collections.abc import Sequence
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import Twist, TwistStamped
from rcl_interfaces.msg import SetParametersResult
from rclpy.duration import Duration
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.parameter import Parameter
from rclpy.publisher import Publisher
from rclpy.qos import qos_profile_sensor_data
from rclpy.subscription import Subscription
from std_msgs.msg import Bool, String, UInt32
from std_srvs.srv import SetBool

from kws_imu_ros.configuration.declaration import Declaration
from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.messages.decision import intent_from_message
from kws_imu_ros.messages.heartbeat import heartbeat_from_message
from kws_imu_ros.messages.motion import (
    effects_to_message,
    velocity_to_message,
    velocity_to_stamped_message,
)
from kws_imu_ros.motion.controller import CommandOutcome, MotionController, MotionState
from kws_imu_ros.motion.limits import AxisLimits, VelocityLimits
from kws_imu_ros.motion.profiles import MotionTable, load_motion_table
from kws_imu_ros.motion.velocity import Velocity
from kws_imu_ros.nodes.runtime.base_node import BaseNode
from kws_imu_ros.nodes.runtime.diagnostics import DiagnosticsPublisher, Report
from kws_imu_ros.nodes.runtime.neighbours import (
    Multiplexers,
    Neighbours,
    Twins,
    advise_velocity_type,
    type_name,
)
from kws_imu_ros.nodes.runtime.parameters import ENABLE_STAMPED_CMD_VEL
from kws_imu_ros.nodes.runtime.qos import EMERGENCY_STOPPED_QOS, MOTION_TABLE_QOS, RELIABLE_QOS
from kws_imu_ros.nodes.runtime.spinning import run_nodes
from kws_imu_ros.resources import share_path, user_path

# Zero, for as long as the emergency stop is engaged: a multiplexer lets it through above its lock.
EMERGENCY_TOPIC = 'cmd_vel_emergency_stop'
# Who takes cmd_vel and is no base: those of `kws-imu run`, and `ros2 bag record`.
ONLOOKERS = ('observer', 'recorder', 'rosbag2_recorder')
LONGEST_INTENT = 40
# Names that are remembered for diagnostics; a sender of random names must not fill the memory.
LONGEST_UNKNOWN_LIST = 20

MOTION_FILE = 'motion.yaml'
# Parameter, description, range; the defaults come from the motion table.
SAFETY_PARAMETERS = (
    ('command_lifetime', 's after which a command has lost its effect', 0.1, 30.0),
    ('fusion_timeout', 's without fusion_alive before the robot is stopped at once', 0.05, 5.0),
    ('max_clock_skew', 's that a command may come from the future', 0.0, 10.0),
)
AXIS_PARAMETERS = (
    ('max_velocity', 'Fastest forward or left', 0.0, 5.0),
    ('min_velocity', 'Fastest backward or right, negative', -5.0, 0.0),
    ('max_acceleration', 'Fastest growth of speed', 0.01, 50.0),
    ('max_deceleration', 'Fastest loss of speed in everyday driving', 0.01, 50.0),
    ('stop_deceleration', 'Fastest loss of speed for stop', 0.01, 50.0),
)


def _table_declarations() -> tuple[Declaration, ...]:
    """Return the parameters that change the motion table."""
    safety = [
        Declaration(name, 0.0, f'{text}.', minimum, maximum, False, MOTION_FILE)
        for name, text, minimum, maximum in SAFETY_PARAMETERS
    ]
    limits = [
        Declaration(
            f'limits.{axis}.{name}',
            0.0,
            f'{text}, {unit}/{"s" if name.endswith("velocity") else "s^2"}.',
            minimum,
            maximum,
            False,
            MOTION_FILE,
        )
        for axis, unit in (('linear', 'm'), ('angular', 'rad'))
        for name, text, minimum, maximum in AXIS_PARAMETERS
    ]
    return (*safety, *limits)


class CommandNode(BaseNode):
    """Turns `command` into `cmd_vel` within limits, as long as fusion is alive."""

    PARAMETERS = (
        Declaration(
            'motion_file',
            '',
            'Motion table: what each intent does. Empty: the config/motion.yaml of the package.',
        ),
        Declaration('publish_rate', 20.0, 'Rate of cmd_vel in Hz.', 5.0, 100.0),
        Declaration(ENABLE_STAMPED_CMD_VEL, False, 'Publish TwistStamped instead of Twist.'),
        Declaration(
            'cmd_vel_topic',
            'cmd_vel',
            'Where velocities go; an input of twist_mux where there is one.',
        ),
        Declaration('base_frame_id', 'base_link', 'Frame of a stamped velocity.'),
        Declaration(
            'require_fusion',
            True,
            'Move only while fusion_alive is heard. False: teleoperation without fusion.',
        ),
        Declaration(
            'stop_pub_timeout',
            0.0,
            's at rest after which zero is no longer published, so that twist_mux may pass others '
            'on; 0: always publish. An emergency stop is always published.',
            0.0,
            60.0,
            read_only=False,
        ),
        Declaration(
            'start_emergency_stopped',
            False,
            'Start with the emergency stop engaged: somebody must release it first.',
        ),
        *_table_declarations(),
    )

    def __init__(self, **kwargs: Any) -> None:
        """
        Declare parameters, read the motion table, and publish zero.

        Raises:
            KwsImuError: a parameter or the motion table does not fit.

        """
        super().__init__('command', **kwargs)
        self._velocity_publisher: Publisher | None = None
        with self.destroyed_on_error():
            self._configure()

    def _configure(self) -> None:
        motion_file = self.declare('motion_file')
        table = load_motion_table(
            user_path(motion_file) if motion_file else share_path('config', 'motion.yaml')
        )
        rate, self._topic = self.declare('publish_rate'), self.declare('cmd_vel_topic')
        self._stamped = self.declare(ENABLE_STAMPED_CMD_VEL)
        self._frame_id = self.declare('base_frame_id')
        require_fusion = self.declare('require_fusion')
        self._stop_pub_timeout = self.declare('stop_pub_timeout')
        stopped = self.declare('start_emergency_stopped')
        self._controller = MotionController(
            self._declare_table(table), require_heartbeat=require_fusion
        )
        self._moved_ns = self._now_ns()
        self._state: MotionState | None = None
        self._unknown: dict[str, int] = {}
        self._refused: dict[CommandOutcome, int] = {}
        self._accepted = 0
        self._last_refusal = ''
        self._outlived = ''  # The command whose lifetime has ended last; '' after another one.

        self._velocity_type = TwistStamped if self._stamped else Twist
        self._velocity_publisher = self.create_publisher(
            self._velocity_type, self._topic, RELIABLE_QOS
        )
        self._base = Neighbours(
            self,
            self._topic,
            self._velocity_type,
            RELIABLE_QOS,
            remedy=functools.partial(advise_velocity_type, name=self.get_fully_qualified_name()),
            publishing=True,
            onlookers=ONLOOKERS,
        )
        self._zero_publisher = self.create_publisher(
            self._velocity_type, EMERGENCY_TOPIC, RELIABLE_QOS
        )
        self._multiplexers = Multiplexers(
            self,
            velocity=self._topic,
            lock='emergency_stopped',
            zero=EMERGENCY_TOPIC,
        )
        self._twins = Twins(
            self, publishes='emergency_stopped', takes='fusion_alive', what='command node'
        )
        self._nobody_told = False
        self._emergency_publisher = self.create_publisher(
            Bool, 'emergency_stopped', EMERGENCY_STOPPED_QOS
        )
        # Latched: fusion compares it with its policy, whichever of the two comes first.
        self._table_publisher = self.create_publisher(
            DiagnosticStatus, 'motion_table', MOTION_TABLE_QOS
        )
        self._table_publisher.publish(effects_to_message(table.effects()))
        self.create_subscription(String, 'command', self._command_callback(), RELIABLE_QOS)
        self.create_subscription(
            UInt32, 'fusion_alive', self._on_fusion_alive, qos_profile_sensor_data
        )
        self.create_service(SetBool, 'emergency_stop', self._on_emergency_stop)
        self.add_on_set_parameters_callback(self._on_set_parameters)
        self.create_timer(1.0 / rate, self._on_timer)
        DiagnosticsPublisher(self, self._report)
        self._set_emergency_stop(stopped)
        self._publish(Velocity())

    # Parameters

    def _declare_table(self, table: MotionTable) -> MotionTable:
        """Return the table with what parameters say otherwise."""
        values: dict[str, Any] = {}
        for name, *_ in SAFETY_PARAMETERS:
            values[name] = self.declare(name, getattr(table, name))
        for axis in ('linear', 'angular'):
            for name, *_ in AXIS_PARAMETERS:
                full_name = f'limits.{axis}.{name}'
                values[full_name] = self.declare(
                    full_name, getattr(getattr(table.limits, axis), name)
                )
        return _changed_table(table, values)

    def _on_set_parameters(self, parameters: list[Parameter]) -> SetParametersResult:
        values = {parameter.name: parameter.value for parameter in parameters}
        try:
            table = _changed_table(self._controller.table, values)
        except KwsImuError as error:
            return SetParametersResult(successful=False, reason=str(error))
        self._controller.table = table
        self._stop_pub_timeout = values.get('stop_pub_timeout', self._stop_pub_timeout)
        return SetParametersResult(successful=True)

    # Inputs

    def _command_callback(self) -> Any:
        # Humble's rclpy does not tell when a message was sent; there a command counts from arrival.
        if hasattr(Subscription, 'CallbackType'):
            return self._on_command_with_info
        return self._on_command

    def _on_command_with_info(self, message: String, info: Any) -> None:
        wall_ns = time.time_ns()
        # A command may have aged in a queue here (received) or on its way (source).
        ages = [
            wall_ns - info[key]
            for key in ('source_timestamp', 'received_timestamp')
            if info.get(key, 0) > 0
        ]
        self._take_command(intent_from_message(message), max(ages, default=0))

    def _on_command(self, message: String) -> None:
        self._take_command(intent_from_message(message), 0)

    def _take_command(self, intent: str, age_ns: int) -> None:
        # A name is a word; more is a mistake that need not fill the log.
        intent = intent[:LONGEST_INTENT]
        now_ns = self._now_ns()
        result = self._controller.command(intent, now_ns - age_ns, now_ns)
        if result.accepted:
            self._accepted += 1
            self._outlived = ''
            self._tell_if_nobody_listens()
            # Now and not at the next period: stop and start are felt at once.
            self._on_timer()
            return
        self._last_refusal = result.reason
        self._refused[result.outcome] = self._refused.get(result.outcome, 0) + 1
        if result.outcome is CommandOutcome.UNKNOWN:
            if intent in self._unknown:
                self._unknown[intent] += 1
                return
            if len(self._unknown) < LONGEST_UNKNOWN_LIST:
                self._unknown[intent] = 1
            elif self._refused[CommandOutcome.UNKNOWN] > 2 * LONGEST_UNKNOWN_LIST:
                return
        self.get_logger().warning(result.reason)

    def _tell_if_nobody_listens(self) -> None:
        """Log, once, that a command moves nothing."""
        if self._nobody_told or self._controller.active_intent == '':
            return
        self._base.look()
        if not self._base.matching:
            self._nobody_told = True
            self.get_logger().warning(f'The command moves nothing: {self._nobody_listens}')

    @property
    def _nobody_listens(self) -> str:
        return f'no base listens to {self._topic} as {type_name(self._velocity_type)}.'

    def _on_fusion_alive(self, message: UInt32) -> None:
        if heartbeat_from_message(message).sense_lost:
            # Fusion lives but has lost a sense: the person's stop might not be heard or seen.
            self._controller.heartbeat_lost(self._now_ns())
            if self._state is not MotionState.FUSION_LOST:
                self._state = MotionState.FUSION_LOST
                self.get_logger().warning(
                    'Fusion has lost a sense; the robot stands until a new command comes.'
                )
            self._on_timer()
        else:
            self._controller.heartbeat(self._now_ns())

    def _on_emergency_stop(
        self, request: SetBool.Request, response: SetBool.Response
    ) -> SetBool.Response:
        self._set_emergency_stop(request.data)
        response.success = True
        response.message = (
            'The emergency stop is engaged; the robot stands until it is released.'
            if request.data
            else 'The emergency stop is released; the robot waits for a command.'
        )
        return response

    def _set_emergency_stop(self, engage: bool) -> None:
        if engage != self._controller.emergency_stopped:
            self.get_logger().warning(f'Emergency stop {"engaged" if engage else "released"}.')
        self._controller.emergency_stop(engage, self._now_ns())
        if engage:
            # Zero first: with it a multiplexer lets nobody else through, before the lock has come
            # and after. And both go on: what is lost or overtaken comes again.
            self._publish(Velocity())
        self._emergency_publisher.publish(Bool(data=engage))

    # Output

    def _on_timer(self) -> None:
        now_ns = self._now_ns()
        before = self._controller.active_intent
        velocity = self._controller.update(now_ns)
        if before and not self._controller.active_intent:
            self._outlived = before
        self._report_state()
        if velocity != Velocity() or self._controller.emergency_stopped:
            self._moved_ns = now_ns
        silent_after_ns = self._stop_pub_timeout * 1e9
        if silent_after_ns == 0.0 or now_ns - self._moved_ns <= silent_after_ns:
            self._publish(velocity)

    def _report_state(self) -> None:
        state = self._controller.state
        if state == self._state:
            return
        if state is MotionState.FUSION_LOST and self._state is None:
            self.get_logger().info('Waiting for a heartbeat of fusion.')
        elif state is MotionState.FUSION_LOST:
            self.get_logger().warning(
                'Fusion gives no heartbeat; the robot stands until it does and a new command comes.'
            )
        elif self._state is MotionState.FUSION_LOST:
            self.get_logger().info('Fusion is alive.')
        self._state = state

    def _report(self, _seconds: float) -> Report:
        controller = self._controller
        warnings = []
        if controller.emergency_stopped:
            warnings.append('The emergency stop is engaged; release it to drive.')
        if controller.state is MotionState.FUSION_LOST:
            warnings.append('Fusion gives no heartbeat; the robot stands.')
        fusions = self.count_publishers(self.resolve_topic_name('fusion_alive'))
        if fusions > 1:
            # Two robots of one classroom that share names obey each other's pupils.
            warnings.append(
                f'{fusions} fusion nodes command this robot; give each robot a ROS_DOMAIN_ID or a '
                'namespace of its own.'
            )
        warnings += [*self._base.look(), *self._twins.look(), *self._multiplexers.look()]
        if not self._base.matching:
            warnings.append(f'The robot cannot move: {self._nobody_listens}')
        if self._last_refusal:
            warnings.append(self._last_refusal)
        self._last_refusal = ''
        velocity = controller.velocity
        values = {
            'state': controller.state,
            'command': controller.active_intent,
            'linear_x (m/s)': f'{velocity.linear_x:.3f}',
            'angular_z (rad/s)': f'{velocity.angular_z:.3f}',
            'scale': f'{controller.scale:.2f}',
            'accepted': self._accepted,
            **{f'refused: {outcome}': count for outcome, count in self._refused.items()},
        }
        if self._unknown:
            values['unknown commands'] = ', '.join(
                f'{intent!r} ({count})' for intent, count in self._unknown.items()
            )
        # Again and again, for a twist_mux that came later.
        self._emergency_publisher.publish(Bool(data=controller.emergency_stopped))
        summary = f'The robot is {controller.state}'
        if self._outlived and controller.state in (MotionState.STANDING, MotionState.STOPPING):
            summary += f': the life of the command {self._outlived!r} is over'
        return Report(f'{summary}.', warnings=warnings, values=values)

    def _publish(self, velocity: Velocity) -> None:
        if self._controller.emergency_stopped:
            velocity = Velocity()
        if self._stamped:
            stamp_ns = self.get_clock().now().nanoseconds
            message = velocity_to_stamped_message(velocity, stamp_ns, self._frame_id)
        else:
            message = velocity_to_message(velocity)
        if self._controller.emergency_stopped:
            self._zero_publisher.publish(message)
        if self._velocity_publisher is not None:
            self._velocity_publisher.publish(message)

    def _now_ns(self) -> int:
        return time.monotonic_ns()

    def destroy_node(self) -> None:
        """Publish zero, wait a moment for it to arrive, and leave."""
        if self._velocity_publisher is not None and self.context.ok():
            self._publish(Velocity())
            # Not every middleware can tell; those that cannot have sent it all the same.
            with contextlib.suppress(rclpy_implementation.RCLError):
                for publisher in (self._velocity_publisher, self._zero_publisher):
                    publisher.wait_for_all_acked(Duration(seconds=0.2))
        self._velocity_publisher = None
        super().destroy_node()


def _changed_table(table: MotionTable, values: dict[str, Any]) -> MotionTable:
    """
    Return the motion table with parameters' values in place of its own.

    Raises:
        KwsImuError: the values contradict each other.

    """
    axes: dict[str, AxisLimits] = {}
    for axis in ('linear', 'angular'):
        prefix = f'limits.{axis}.'
        changes = {
            name.removeprefix(prefix): value
            for name, value in values.items()
            if name.startswith(prefix)
        }
        try:
            axes[axis] = dataclasses.replace(getattr(table.limits, axis), **changes)
        except KwsImuError as error:
            raise KwsImuError(f'{prefix}{error}') from error
    safety = {name: values[name] for name, *_ in SAFETY_PARAMETERS if name in values}
    return dataclasses.replace(table, limits=VelocityLimits(**axes), **safety)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command node until it is told to end."""
    sys.exit(run_nodes(lambda nodes: nodes.append(CommandNode()), arguments, names=['command']))


if __name__ == '__main__':
    main()
