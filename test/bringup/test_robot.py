"""The whole robot, as one process and as many: it drives, and whatever dies, it stops."""

from __future__ import annotations

import signal
from pathlib import Path

import numpy as np
import pytest
import soundfile

pytest.importorskip('rclpy', reason='ROS 2 is not installed')

from diagnostic_msgs.msg import DiagnosticArray
from person import LONG_LIFE, PATIENT, REST, WIDE_ARENA, Person
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Imu
from std_msgs.msg import Int16MultiArray, String

from kws_imu_ros.messages.motion import odometry_from_message

pytestmark = [pytest.mark.ros, pytest.mark.realtime]

ROBOT = ('-m', 'kws_imu_ros.bringup.composed_robot')
STEADY = (*LONG_LIFE, *PATIENT, *WIDE_ARENA)

# The robot with a node in it that fails, in the way of a bug, once somebody publishes `break`.
FAILING = """
import sys
from std_msgs.msg import String
from kws_imu_ros.bringup.composed_robot import ComposedRobot
from kws_imu_ros.bringup.robot_description import RobotOptions
from kws_imu_ros.nodes.runtime.spinning import run_nodes

def fail(message):
    raise ZeroDivisionError(message.data)

def create(nodes):
    ComposedRobot(RobotOptions(input=sys.argv[1], model=sys.argv[2])).create(nodes)
    nodes[0].create_subscription(String, 'break', fail, 10)

sys.exit(run_nodes(create))
"""


@pytest.fixture
def silence(tmp_path: Path) -> Path:
    """Return a long sound file without a word, so that nobody but the test gives commands."""
    path = tmp_path / 'silence.flac'
    soundfile.write(path, np.zeros(600 * 16000, np.int16), 16000)
    return path


@pytest.fixture
def person(probe) -> Person:
    """Return somebody who commands by Twist; fusion's pulse is its own."""
    return Person(probe)


def test_one_process_drives_and_ends_with_zero(processes, person, silence, bundle_directory):
    robot = processes.start(
        *ROBOT, '--input', silence, '--model', bundle_directory, '--ros-args', *STEADY
    )
    person.drive('up', person.sees_motion)
    robot.send_signal(signal.SIGTERM)
    assert person.until(lambda: person.velocity == REST)
    assert robot.wait() == 0
    assert 'Traceback' not in robot.output


def test_one_process_ends_with_its_input(processes, tmp_path, bundle_directory):
    path = tmp_path / 'short.wav'
    soundfile.write(path, np.zeros(8000, np.int16), 16000)
    robot = processes.start(*ROBOT, '--input', path, '--model', bundle_directory)
    assert robot.wait() == 0


def test_a_bug_in_one_node_stops_the_robot_and_ends_the_process(
    processes, probe, person, silence, bundle_directory
):
    robot = processes.start('-c', FAILING, silence, bundle_directory, '--ros-args', *STEADY)
    breaker = probe.node.create_publisher(String, 'break', 10)
    assert person.until(lambda: breaker.get_subscription_count() > 0)
    person.drive('up', person.sees_motion)
    breaker.publish(String(data='a bug'))
    assert person.until(lambda: person.velocity == REST)
    assert robot.wait() == 1
    assert 'failed (ZeroDivisionError: a bug); everything is stopped.' in robot.output
    assert 'Traceback' not in robot.output


def test_one_process_killed_at_speed_leaves_a_base_that_brakes_by_itself(
    processes, probe, person, silence, bundle_directory
):
    robot = processes.start(
        *ROBOT,
        *('--input', silence, '--model', bundle_directory, '--simulate', 'false'),
        *('--ros-args', *LONG_LIFE, *PATIENT),
    )
    processes.start('-m', 'kws_imu_ros.nodes.simulated_robot_node', '--ros-args', *WIDE_ARENA)
    person.drive('up', person.sees_motion)
    robot.send_signal(signal.SIGKILL)
    robot.wait()
    person.assert_rests_after(probe.node.get_clock().now().nanoseconds, 0.5)


def test_whichever_process_is_killed_the_robot_stops(
    processes, probe, person, silence, test_data, bundle_directory
):
    """Senses first, fusion last, at speed each; the command node's own death has its own test."""
    still = test_data / 'imu' / 'razor_still.csv.gz'
    nodes = {
        'simulated_robot': WIDE_ARENA,
        'command': LONG_LIFE,
        'fusion': ('-p', f'model:={bundle_directory}'),
        'microphone': ('-p', f'input:={silence}'),
        'imu': ('-p', 'input:=file', '-p', f'file:={still}', '-p', 'repeat:=true'),
    }
    running = {
        name: processes.start('-m', f'kws_imu_ros.nodes.{name}_node', '--ros-args', *options)
        for name, options in nodes.items()
    }
    heard = {
        'imu': probe.record(Imu, 'imu/data_raw', qos_profile_sensor_data),
        'microphone': probe.record(Int16MultiArray, 'audio'),
    }
    diagnostics = probe.record(DiagnosticArray, '/diagnostics')

    def fusion_hears(rate: str) -> bool:
        # A sense that fusion never had is not missed.
        return any(
            pair.key == rate and float(pair.value) > 0.0
            for message in diagnostics
            for status in message.status
            for pair in status.values
        )

    def comes(messages: list) -> bool:
        before = len(messages)
        return probe.spin_until(lambda: len(messages) > before + 5, 1.0)

    assert person.until(lambda: fusion_hears('IMU rate (samples/s)'))
    assert person.until(lambda: fusion_hears('audio rate (blocks/s)'))
    for name in ('imu', 'microphone', 'fusion'):
        while True:
            person.drive('up', person.sees_motion)
            # Nor is one that a slow machine held up; fusion may have missed it already.
            if (name == 'fusion' or comes(heard[name])) and person.sees_motion():
                break
        killed_ns = probe.node.get_clock().now().nanoseconds
        running[name].send_signal(signal.SIGKILL)
        assert person.until(lambda: person.velocity == REST and person.sees_rest())
        stood_ns, _, _ = odometry_from_message(person.odometry[-1])
        # Told in parts of a second on a machine that keeps time; one that does not takes seconds.
        # A robot that nobody told would drive on for all its command's life.
        assert stood_ns - killed_ns < 20e9
        assert set(person.watch(20)) == {REST}
    assert 'No IMU comes any more' in running['fusion'].output
    assert 'No audio comes any more' in running['fusion'].output


@pytest.mark.parametrize(
    ('arguments', 'sentence'),
    [
        (('--input', '/nowhere'), "The input '/nowhere' is neither"),
        (('--imu', '/nowhere'), "The IMU '/nowhere' is neither"),
        (('--model', '/nowhere'), "No model '/nowhere' was found"),
        (('--ros-args', '-p', 'publish_rate:=1e9'), 'publish_rate'),
    ],
)
def test_what_cannot_be_gives_one_sentence(
    processes, silence, bundle_directory, arguments, sentence
):
    options = ('--input', silence, '--model', bundle_directory)
    robot = processes.start(*ROBOT, *options, *arguments)
    assert robot.wait() == 2
    lines = [line for line in robot.output.splitlines() if not line.startswith('[INFO]')]
    assert len(lines) == 1
    assert sentence in lines[0]
