"""The whole robot, as one process and as many: it drives, and whatever dies, it stops."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

pytest.importorskip('rclpy', reason='ROS 2 is not installed')

from geometry_msgs.msg import Twist
from nav_msgs.msg import Odometry
from std_msgs.msg import String

from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.motion.velocity import Velocity
from kws_imu_ros.nodes.conversions import odometry_from_message, velocity_from_message
from kws_imu_ros.nodes.robot import Robot, RobotOptions, parse_options

REST = Velocity()
ROBOT = ('-m', 'kws_imu_ros.nodes.robot')
# Long, so that no drive ends with its command's life on a slow machine.
LONG_LIFE = ('-p', 'command_lifetime:=30.0')
# For tests of something else, on machines that stutter.
PATIENT = ('-p', 'fusion_timeout:=5.0')

# The robot with a node in it that fails, in the way of a bug, once somebody publishes `break`.
FAILING = """
import sys
from std_msgs.msg import String
from kws_imu_ros.nodes.robot import Robot, RobotOptions
from kws_imu_ros.nodes.spinning import run_nodes

def fail(message):
    raise ZeroDivisionError(message.data)

def create(nodes):
    Robot(RobotOptions(input=sys.argv[1], model=sys.argv[2])).create(nodes)
    nodes[0].create_subscription(String, 'break', fail, 10)

sys.exit(run_nodes(create))
"""


@pytest.fixture
def silence(tmp_path: Path) -> Path:
    """Return a sound file of 60 s without a word, so that nobody but the test gives commands."""
    path = tmp_path / 'silence.wav'
    soundfile.write(path, np.zeros(60 * 16000, np.int16), 16000)
    return path


class Person:
    """Somebody who gives commands and watches."""

    def __init__(self, probe) -> None:
        self.probe = probe
        self.commands = probe.node.create_publisher(String, 'command', 10)
        self.velocities = probe.record(Twist, 'cmd_vel')
        self.odometry = probe.record(Odometry, 'odom')

    @property
    def velocity(self) -> Velocity | None:
        """Return the newest velocity on cmd_vel."""
        return velocity_from_message(self.velocities[-1]) if self.velocities else None

    def drive(self, simulated: bool = True) -> None:
        """Say `up` until the robot drives: its senses may not be awake yet."""
        assert self.probe.spin_until(lambda: self.velocity is not None, 60.0)
        deadline = time.monotonic() + 60.0
        while self.velocity == REST or (simulated and not self.moves()):
            assert time.monotonic() < deadline, 'the robot never moved'
            self.commands.publish(String(data='up'))
            self.probe.spin_until(lambda: self.velocity != REST and self.moves(), 0.5)

    def moves(self) -> bool:
        """Return whether odometry shows a motion."""
        return bool(self.odometry) and odometry_from_message(self.odometry[-1])[2] != REST

    def assert_stops_within(self, seconds: float) -> None:
        """Judge by the robot's stamps from now on; both clocks are this machine's."""
        deadline_ns = self.probe.node.get_clock().now().nanoseconds + round(seconds * 1e9)
        seen = len(self.odometry)
        assert self.probe.spin_until(
            lambda: (
                len(self.odometry) > seen
                and odometry_from_message(self.odometry[-1])[0] > deadline_ns + 500_000_000
            )
        )
        late = [
            velocity
            for stamp_ns, _, velocity in map(odometry_from_message, self.odometry[seen:])
            if stamp_ns > deadline_ns
        ]
        assert set(late) == {REST}


def test_one_process_drives_and_ends_with_zero(processes, probe, silence, bundle_directory):
    robot = processes.start(
        *ROBOT, '--input', silence, '--model', bundle_directory, '--ros-args', *LONG_LIFE, *PATIENT
    )
    person = Person(probe)
    person.drive()
    robot.send_signal(signal.SIGTERM)
    assert probe.spin_until(lambda: person.velocity == REST)
    assert robot.wait() == 0
    assert 'Traceback' not in robot.output


def test_one_process_ends_with_its_input(processes, tmp_path, bundle_directory):
    path = tmp_path / 'short.wav'
    soundfile.write(path, np.zeros(8000, np.int16), 16000)
    robot = processes.start(*ROBOT, '--input', path, '--model', bundle_directory)
    assert robot.wait(120.0) == 0


def test_a_bug_in_one_node_stops_the_robot_and_ends_the_process(
    processes, probe, silence, bundle_directory
):
    robot = processes.start(
        '-c', FAILING, silence, bundle_directory, '--ros-args', *LONG_LIFE, *PATIENT
    )
    person = Person(probe)
    person.drive()
    breaker = probe.node.create_publisher(String, 'break', 10)
    assert probe.spin_until(lambda: breaker.get_subscription_count() > 0)
    breaker.publish(String(data='a bug'))
    assert probe.spin_until(lambda: person.velocity == REST)
    assert robot.wait() == 1
    assert 'failed (ZeroDivisionError: a bug); everything is stopped.' in robot.output
    assert 'Traceback' not in robot.output


def test_one_process_killed_at_speed_leaves_a_base_that_brakes_by_itself(
    processes, probe, silence, bundle_directory
):
    robot = processes.start(
        *ROBOT,
        *('--input', silence, '--model', bundle_directory, '--simulate', 'false'),
        *('--ros-args', *LONG_LIFE, *PATIENT),
    )
    processes.start('-m', 'kws_imu_ros.nodes.simulated_robot_node')
    person = Person(probe)
    person.drive()
    robot.send_signal(signal.SIGKILL)
    robot.wait()
    person.assert_stops_within(0.5)


def test_whichever_process_is_killed_the_robot_stops(
    processes, probe, silence, test_data, bundle_directory
):
    """Senses first, fusion last, at speed each; the command node's own death has its own test."""
    still = test_data / 'imu' / 'razor_still.csv.gz'
    nodes = {
        'simulated_robot': (),
        'command': LONG_LIFE,
        'fusion': ('-p', f'model:={bundle_directory}'),
        'microphone': ('-p', f'input:={silence}'),
        'imu': ('-p', 'input:=file', '-p', f'file:={still}', '-p', 'repeat:=true'),
    }
    running = {
        name: processes.start('-m', f'kws_imu_ros.nodes.{name}_node', '--ros-args', *options)
        for name, options in nodes.items()
    }
    person = Person(probe)
    assert running['imu'].wait_for('Reading')
    assert running['microphone'].wait_for('Reading')
    for name in ('imu', 'microphone', 'fusion'):
        person.drive()
        # Fusion must have heard from a sense before it can miss it.
        probe.spin_until(lambda: False, 0.5)
        person.drive()
        running[name].send_signal(signal.SIGKILL)
        running[name].wait()
        # 0.5 s on a machine that keeps time; tests run on machines that do not.
        person.assert_stops_within(2.0)
    assert 'No imu comes any more' in running['fusion'].output
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


def test_options_of_the_command_line():
    assert parse_options([]) == RobotOptions()
    assert parse_options(['--input', 'microphone', '--simulate', 'False']) == RobotOptions(
        input='microphone', simulate=False
    )
    with pytest.raises(SystemExit):
        parse_options(['--simulate', 'maybe'])
    with pytest.raises(KwsImuError, match='neither'):
        Robot(RobotOptions(input='/nowhere'))
