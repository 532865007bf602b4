"""The command node and the simulated robot as real processes on real DDS."""

from __future__ import annotations

import itertools
import math
import re
import signal
import time
from collections.abc import Callable

import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not installed')

from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import Twist, TwistStamped
from nav_msgs.msg import Odometry
from person import LONG_LIFE, PATIENT, REST, WIDE_ARENA, Person
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import GetParameters, SetParameters
from rclpy.parameter import Parameter as NodeParameter
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool, String, UInt32
from std_srvs.srv import SetBool

from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.messages.fields import time_from_message
from kws_imu_ros.messages.motion import (
    odometry_from_message,
    velocity_from_message,
    velocity_to_stamped_message,
)
from kws_imu_ros.motion.velocity import Velocity
from kws_imu_ros.nodes.command_node import CommandNode
from kws_imu_ros.nodes.runtime.qos import EMERGENCY_STOPPED_QOS
from kws_imu_ros.nodes.simulated_robot_node import SimulatedRobotNode

COMMAND = ('-m', 'kws_imu_ros.nodes.command_node')
SIMULATED_ROBOT = ('-m', 'kws_imu_ros.nodes.simulated_robot_node', '--ros-args', *WIDE_ARENA)
STAMPED = ('-p', 'enable_stamped_cmd_vel:=true')
# Full speed in one step: a command node that was held up, and starts from rest, shows no ramp.
BRISK = ('-p', 'limits.linear.max_acceleration:=50.0')

# Ends in an exception in a callback, in the way of a bug, once somebody publishes `break`.
FAILING = """
import sys
from std_msgs.msg import String
from kws_imu_ros.nodes.command_node import CommandNode
from kws_imu_ros.nodes.runtime.spinning import run_nodes

def fail(message):
    raise ValueError(message.data)

def create(nodes):
    nodes.append(CommandNode())
    nodes[0].create_subscription(String, 'break', fail, 10)

sys.exit(run_nodes(create))
"""

FUSION_PULSE = """
import rclpy
from std_msgs.msg import UInt32
rclpy.init()
node = rclpy.create_node('pulse')
publisher = node.create_publisher(UInt32, 'fusion_alive', 10)
node.create_timer(0.05, lambda: publisher.publish(UInt32(data=1)))
rclpy.spin(node)
"""


@pytest.fixture
def person(probe) -> Person:
    """Return somebody who commands by Twist, and fusion's pulse."""
    return Person(probe, pulse=True)


def at_full_speed(person: Person) -> Callable[[], bool]:
    """Return the condition that `up` is obeyed to the full."""
    return lambda: person.velocity is not None and person.velocity.linear_x == pytest.approx(0.2)


def test_a_command_drives_the_simulated_robot_and_stop_ends_it(processes, probe, person):
    processes.start(*COMMAND, '--ros-args', *LONG_LIFE, *PATIENT)
    processes.start(*SIMULATED_ROBOT, '-p', 'noise:=0.0')
    joints = probe.record(JointState, 'joint_states')
    person.drive('up', at_full_speed(person))
    person.drive(
        'up',
        lambda: person.odometry and odometry_from_message(person.odometry[-1])[1].x > 0.1,
    )
    person.say('stop')
    assert person.until(lambda: person.velocity == REST)
    assert person.until(person.sees_rest)
    _, pose, _ = odometry_from_message(person.odometry[-1])
    assert pose.y == pytest.approx(0.0, abs=1e-6)
    assert person.odometry[-1].header.frame_id == 'odom'
    assert person.odometry[-1].child_frame_id == 'base_link'
    assert person.until(lambda: joints and joints[-1].position[0] > 2.0)
    assert list(joints[-1].name) == ['left_wheel_joint', 'right_wheel_joint']


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM, signal.SIGQUIT])
def test_a_signal_leaves_zero_behind(processes, person, number):
    node = processes.start(*COMMAND, '--ros-args', *LONG_LIFE, *PATIENT, *BRISK)
    person.drive('up', at_full_speed(person))
    node.send_signal(number)
    assert person.until(lambda: person.velocity == REST)
    assert node.wait() == 0
    assert 'Traceback' not in node.output
    # Zero in one step, not braked: the last words, not the limiter's.
    assert velocity_from_message(person.velocities[-2]).linear_x == pytest.approx(0.2)


def test_an_exception_in_a_callback_leaves_zero_behind_and_one_sentence(processes, probe, person):
    node = processes.start('-c', FAILING, '--ros-args', *LONG_LIFE, *PATIENT)
    breaker = probe.node.create_publisher(String, 'break', 10)
    assert person.until(lambda: breaker.get_subscription_count() > 0)
    person.drive('up', at_full_speed(person))
    breaker.publish(String(data='a bug'))
    assert person.until(lambda: person.velocity == REST)
    assert node.wait() == 1
    assert 'failed (ValueError: a bug); everything is stopped.' in node.output
    assert 'Traceback' not in node.output


def test_destroying_the_node_leaves_zero_behind(probe, ros_context, person):
    node = CommandNode(context=ros_context)
    probe.add_node(node)
    person.drive('up', at_full_speed(person))
    probe.executor.remove_node(node)
    node.destroy_node()
    assert person.until(lambda: person.velocity == REST)


@pytest.mark.parametrize('intent', ['up', 'left'])
def test_a_command_node_killed_at_speed_leaves_a_robot_that_brakes_by_itself(
    processes, probe, intent
):
    node = processes.start(*COMMAND, '--ros-args', *STAMPED, *LONG_LIFE, *PATIENT)
    processes.start(*SIMULATED_ROBOT, *STAMPED)
    person = Person(probe, stamped=True, pulse=True)
    person.drive(intent, person.sees_motion)
    node.send_signal(signal.SIGKILL)
    node.wait()
    assert person.until(person.sees_rest)
    assert person.velocity != REST, 'nobody could say zero'
    person.assert_rests_after(time_from_message(person.velocities[-1].header.stamp), 0.5)


def test_a_fusion_killed_at_speed_is_missed_by_the_command_node(processes, probe):
    processes.start(*COMMAND, '--ros-args', *STAMPED, *LONG_LIFE)
    processes.start(*SIMULATED_ROBOT, *STAMPED)
    fusion = processes.start('-c', FUSION_PULSE)
    person = Person(probe, stamped=True)
    person.drive('up', person.sees_motion)
    fusion.send_signal(signal.SIGKILL)
    fusion.wait()
    assert person.until(lambda: person.velocity == REST)
    last_motion_ns = next(
        time_from_message(message.header.stamp)
        for message in person.velocities[::-1]
        if velocity_from_message(message) != REST
    )
    person.assert_rests_after(last_motion_ns, 0.5)
    person.say('up')
    assert set(person.watch()) == {REST}


def test_a_command_that_waited_in_a_queue_is_stale(processes, person):
    # Without fusion: to a node that slept, its pulse would be missing, too.
    options = ('-p', 'command_lifetime:=0.5', '-p', 'require_fusion:=false')
    node = processes.start(*COMMAND, '--ros-args', *options)
    person.drive('up')
    assert person.until(lambda: person.velocity == REST)
    node.send_signal(signal.SIGSTOP)
    person.say('up')
    time.sleep(1.0)
    node.send_signal(signal.SIGCONT)
    assert node.wait_for('s old and a command lives 0.5 s')
    assert set(person.watch(20)) == {REST}


def test_unknown_intents_are_refused_once_each_and_shown_in_diagnostics(processes, probe, person):
    node = processes.start(*COMMAND, '--ros-args', *PATIENT)
    diagnostics = probe.record(DiagnosticArray, '/diagnostics')
    person.drive('up')
    person.say('stop')
    assert person.until(lambda: person.velocity == REST)
    for intent in ('dance', 'dance', '', 'unknown', 'x' * 10_000, 'dance'):
        person.say(intent)
    assert set(person.watch()) == {REST}
    assert node.wait_for("The command 'unknown' is not in the motion table")
    assert node.output.count("The command 'dance' is not in the motion table") == 1

    def shown() -> bool:
        return any(
            pair.key.startswith('unknown') and 'dance' in pair.value
            for message in diagnostics
            for status in message.status
            for pair in status.values
        )

    assert person.until(shown)


def test_the_emergency_stop_is_latched_until_it_is_released(processes, probe, person):
    processes.start(*COMMAND, '--ros-args', *LONG_LIFE, *PATIENT)
    stopped = probe.record(Bool, 'emergency_stopped', EMERGENCY_STOPPED_QOS)
    assert person.until(lambda: stopped)
    person.drive('up')
    response = probe.call(SetBool, 'emergency_stop', SetBool.Request(data=True))
    assert response.success
    assert 'until it is released' in response.message
    assert person.until(lambda: person.velocity == REST)
    assert person.until(lambda: stopped[-1].data)
    person.say('up')
    assert set(person.watch()) == {REST}
    assert probe.call(SetBool, 'emergency_stop', SetBool.Request(data=False)).success
    assert set(person.watch()) == {REST}
    person.drive('up')
    assert person.until(lambda: not stopped[-1].data)
    changes = [data for data, _ in itertools.groupby(message.data for message in stopped)]
    assert changes == [False, True, False]


def double(name: str, value: float) -> Parameter:
    """Return a parameter of type double as a message."""
    return Parameter(
        name=name, value=ParameterValue(type=ParameterType.PARAMETER_DOUBLE, double_value=value)
    )


@pytest.mark.parametrize(
    ('name', 'value', 'reason'),
    [
        ('command_lifetime', 3600.0, 'range'),
        ('limits.linear.max_velocity', -0.5, 'range'),
        ('limits.linear.stop_deceleration', 0.1, 'stop_deceleration is 0.1; give at least'),
        ('publish_rate', 10.0, 'read'),
        ('fusion_timeout', float('nan'), ''),
    ],
)
def test_parameters_out_of_range_are_refused_and_nothing_changes(
    probe, ros_context, name, value, reason
):
    node = CommandNode(context=ros_context)
    probe.add_node(node)
    before = node.get_parameter(name).value
    request = SetParameters.Request(parameters=[double(name, value)])
    result = probe.call(SetParameters, 'command/set_parameters', request).results[0]
    assert not result.successful
    assert reason in result.reason
    got = probe.call(GetParameters, 'command/get_parameters', GetParameters.Request(names=[name]))
    assert got.values[0].double_value == before
    node.destroy_node()


def test_a_limit_can_be_lowered_while_the_robot_moves(probe, ros_context, person):
    node = CommandNode(context=ros_context)
    probe.add_node(node)
    person.drive('up', at_full_speed(person))
    parameter = double('limits.linear.max_velocity', 0.1)
    request = SetParameters.Request(parameters=[parameter])
    assert probe.call(SetParameters, 'command/set_parameters', request).results[0].successful
    person.drive('up', lambda: person.velocity.linear_x == pytest.approx(0.1))
    assert max(velocity.linear_x for velocity in person.watch()) <= 0.1
    node.destroy_node()


@pytest.mark.parametrize(
    ('node', 'parameter', 'value', 'sentence'),
    [
        (CommandNode, 'publish_rate', 1000.0, 'publish_rate of /command is out of range'),
        (CommandNode, 'publish_rate', 'fast', 'publish_rate of /command has a value of the wrong'),
        (CommandNode, 'limits.linear.max_velocity', 50.0, 'out of range; give 0 to 5'),
        (CommandNode, 'stop_pub_timeout', math.nan, 'stop_pub_timeout of /command is out of range'),
        (CommandNode, 'command_lifetime', math.inf, 'command_lifetime of /command is out of range'),
        (CommandNode, 'motion_file', '/nowhere.yaml', 'motion table /nowhere.yaml cannot be read'),
        (SimulatedRobotNode, 'cmd_vel_timeout', 60.0, 'out of range; give 0.05 to 5'),
        (SimulatedRobotNode, 'start_x', 100.0, 'not inside its arena'),
        (SimulatedRobotNode, 'seed', -1, 'seed of /simulated_robot is out of range'),
    ],
)
def test_unfit_parameters_give_one_sentence(ros_context, node, parameter, value, sentence):
    override = NodeParameter(parameter, value=value)
    with pytest.raises(KwsImuError, match=re.escape(sentence)) as raised:
        node(context=ros_context, parameter_overrides=[override])
    assert len(str(raised.value).splitlines()) == 1


def test_a_start_that_cannot_be_ends_with_one_sentence_and_status_2(processes):
    cases = {
        ('-p', 'publish_rate:=1000.0'): "'publish_rate' of command is 1000.0 but must be from 5",
        ('-p', 'start_emergency_stoped:=true'): "did you mean 'start_emergency_stopped'",
        ('-p', 'cmd_vel_topic:=a b'): 'Invalid topic name: topic name must not contain',
        ('-p', 'publish_rate'): "ROS did not start: Couldn't parse parameter override rule",
        ('--params-file', '/nowhere.yaml'): 'parameters file /nowhere.yaml cannot be read',
        ('--nonsense',): "ROS does not know ['--nonsense'] after --ros-args; correct it.",
    }
    # At once: most of the time of each is its start.
    nodes = [processes.start(*COMMAND, '--ros-args', *arguments) for arguments in cases]
    for node, sentence in zip(nodes, cases.values()):
        assert node.wait() == 2
        # rcl logs a line of its own about its arguments.
        lines = [line for line in node.output.splitlines() if '[rcl]' not in line]
        assert len(lines) == 1
        assert sentence in lines[0]


def test_at_rest_it_falls_silent_for_twist_mux_if_asked_to(probe, ros_context, person):
    node = CommandNode(
        context=ros_context, parameter_overrides=[NodeParameter('stop_pub_timeout', value=0.2)]
    )
    probe.add_node(node)
    assert person.until(lambda: person.velocity == REST)
    assert person.falls_silent()
    person.drive('up')
    person.say('stop')
    assert person.until(lambda: person.velocity == REST)
    probe.call(SetBool, 'emergency_stop', SetBool.Request(data=True))
    # More than the 0.2 s in which anything else is told: an emergency stop is never silent.
    assert set(person.watch(20)) == {REST}
    node.destroy_node()


def test_a_velocity_that_is_no_number_brakes_the_simulated_robot(processes, probe):
    robot = processes.start(*SIMULATED_ROBOT, '-p', 'noise:=0.0')
    person = Person(probe)
    publisher = probe.node.create_publisher(Twist, 'cmd_vel', 10)
    assert person.until(lambda: publisher.get_subscription_count() > 1)
    message = Twist()
    message.linear.x = 0.2
    probe.node.create_timer(0.05, lambda: publisher.publish(message))
    assert person.until(person.sees_motion)
    message.linear.x = float('nan')
    assert person.until(lambda: 'cmd_vel counts as zero' in robot.output)
    assert person.until(person.sees_rest)


def test_a_stamped_velocity_that_is_old_does_not_move_the_simulated_robot(probe, ros_context):
    overrides = [NodeParameter('enable_stamped_cmd_vel', value=True)]
    robot = SimulatedRobotNode(context=ros_context, parameter_overrides=overrides)
    probe.add_node(robot)
    odometry = probe.record(Odometry, 'odom')
    publisher = probe.node.create_publisher(TwistStamped, 'cmd_vel', 10)
    assert probe.spin_until(publisher.get_subscription_count)
    age_ns = 1_000_000_000

    def publish() -> None:
        now_ns = probe.node.get_clock().now().nanoseconds
        publisher.publish(velocity_to_stamped_message(Velocity(0.2, 0.0), now_ns - age_ns))

    probe.node.create_timer(0.05, publish)
    assert probe.spin_until(lambda: len(odometry) > 40)
    assert {odometry_from_message(message)[2] for message in odometry} == {REST}
    age_ns = 0
    assert probe.spin_until(lambda: odometry_from_message(odometry[-1])[2] != REST)
    robot.destroy_node()


def test_a_command_given_before_the_emergency_stop_was_released_does_not_move_it(
    probe, ros_context, person
):
    node = CommandNode(context=ros_context)
    probe.add_node(node)
    person.drive('up')
    probe.call(SetBool, 'emergency_stop', SetBool.Request(data=True))
    assert person.until(lambda: person.velocity == REST)
    person.commands.publish(String(data='up'))
    probe.call(SetBool, 'emergency_stop', SetBool.Request(data=False))
    assert set(person.watch()) == {REST}
    person.drive('up')
    node.destroy_node()


def test_a_simulation_that_pauses_does_not_pause_the_watchdog(probe, ros_context):
    overrides = [NodeParameter('use_sim_time', value=True)]
    node = CommandNode(context=ros_context, parameter_overrides=overrides)
    probe.add_node(node)
    person = Person(probe)
    alive = probe.node.create_publisher(UInt32, 'fusion_alive', qos_profile_sensor_data)
    pulse = probe.node.create_timer(0.05, lambda: alive.publish(UInt32(data=1)))
    # Nobody publishes /clock: ROS time stands still at zero all the while.
    person.drive('up', at_full_speed(person))
    pulse.cancel()
    assert person.until(lambda: person.velocity == REST)
    assert set(person.watch()) == {REST}
    node.destroy_node()


def test_two_fusion_nodes_that_command_one_robot_are_reported(probe, ros_context, person):
    node = CommandNode(context=ros_context)
    probe.add_node(node)
    diagnostics = probe.record(DiagnosticArray, '/diagnostics')
    other = probe.node.create_publisher(UInt32, 'fusion_alive', qos_profile_sensor_data)
    assert person.until(
        lambda: any('2 fusion nodes command this robot' in m.status[0].message for m in diagnostics)
    )
    probe.node.destroy_publisher(other)
    node.destroy_node()
