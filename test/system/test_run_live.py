"""The demo bag live, through real topics: composed, as separate processes, and on a full disk."""

from __future__ import annotations

import os
import pty
import re
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml
from conftest import PATIENCE_S, ChildProcess
from real_time import in_real_time

from kws_imu_ros.bags.reading import AUDIO_TOPIC, IMU_TOPIC, read_raw, summarize_bag, typestore
from kws_imu_ros.bags.writing import BagWriter
from kws_imu_ros.messages.decision import decision_from_message
from kws_imu_ros.messages.motion import velocity_from_message
from kws_imu_ros.motion.velocity import Velocity
from kws_imu_ros.replay.scenario import load_scenario

pytestmark = [pytest.mark.ros, pytest.mark.realtime]

pytest.importorskip('rclpy', reason='ROS 2 is not installed')

REPOSITORY = Path(__file__).resolve().parents[2]
DEMO = REPOSITORY / 'demo'
SHORT_S = 7.5
# Far more than any of the runs takes, s.
RUN_S = 240.0


@pytest.fixture(scope='module')
def short_demo(tmp_path_factory) -> Path:
    """Return a bag of the first seconds of the demo, with the scenario of these beside it."""
    folder = tmp_path_factory.mktemp('short')
    start_ns = summarize_bag(DEMO / 'bag').start_ns
    with BagWriter(folder / 'bag') as writer:
        for message in read_raw(DEMO / 'bag', [AUDIO_TOPIC, IMU_TOPIC]):
            if message.stamp_ns - start_ns < SHORT_S * 1e9:
                writer.add_topic(message.topic, message.type)
                writer.write(message.topic, message.stamp_ns, message.data)
    scenario = yaml.safe_load((DEMO / 'scenario.yaml').read_text())
    scenario['duration_s'] = SHORT_S
    scenario['events'] = [e for e in scenario['events'] if e['window_s'][1] <= SHORT_S]
    assert len(scenario['events']) == 2
    (folder / 'scenario.yaml').write_text(yaml.safe_dump(scenario))
    return folder


def contents(bag: Path, topic: str) -> list:
    """Return (time of recording, message) of a topic."""
    return [
        (raw.stamp_ns, typestore().deserialize_cdr(raw.data, raw.type))
        for raw in read_raw(bag, [topic])
    ]


def assert_demo_was_obeyed(out: Path, child: ChildProcess) -> None:
    """Assert what a run of the whole demo has to tell and to leave."""
    events = load_scenario(DEMO / 'scenario.yaml').events
    assert f'{len(events)} of {len(events)} events as expected, 0 stray commands' in child.output
    assert child.wait() == 0
    assert '\x1b' not in child.output, 'no terminal, no control codes'
    picture = (out / 'path.png').read_bytes()
    assert struct.unpack('>II', picture[16:24]) > (1000, 500)

    # The bag of the run tells the same story to any other tool.
    bag = out / 'bag'
    counts = {topic.name: topic.count for topic in summarize_bag(bag).topics}
    assert counts['/audio'] == 2600, 'not a block was lost'
    assert counts['/imu/data_raw'] > 0.98 * summarize_bag(DEMO / 'bag').find(IMU_TOPIC).count
    assert counts['/odom'] > 500
    accepted = [
        decision.intent
        for decision in (decision_from_message(message) for _, message in contents(bag, 'decision'))
        if decision.outcome == 'accept'
    ]
    commands = [message.data for _, message in contents(bag, 'command')]
    assert sorted(commands) == sorted(accepted)
    velocities = [velocity_from_message(message) for _, message in contents(bag, 'cmd_vel')]
    assert max(abs(velocity.linear_x) for velocity in velocities) <= 0.30
    assert max(abs(velocity.angular_z) for velocity in velocities) <= 1.50
    assert velocities[-1].linear_x == velocities[-1].angular_z == 0.0


def test_the_demo_drives_the_composed_robot_as_expected(
    tmp_path: Path, processes, bundle_directory: Path
):
    def attempt(out: Path) -> None:
        child = processes.start(
            '-m', 'kws_imu_ros', 'run', '--model', bundle_directory, '--output', out
        )
        child.wait(RUN_S)
        assert_demo_was_obeyed(out, child)

    in_real_time(processes, tmp_path, attempt)


@pytest.fixture
def stamped(tmp_path: Path) -> Path:
    """Return a parameters file for a robot whose velocities are stamped."""
    path = tmp_path / 'stamped.yaml'
    path.write_text(
        ''.join(
            f'/**/{node}: {{ros__parameters: {{enable_stamped_cmd_vel: true}}}}\n'
            for node in ('command', 'simulated_robot')
        )
    )
    return path


def test_the_robot_of_separate_processes_does_the_same_with_stamped_velocities(
    tmp_path: Path, processes, short_demo: Path, stamped: Path, bundle_directory: Path
):
    def attempt(out: Path) -> None:
        options = ['--separate', '--params-file', stamped]
        options += ['--model', bundle_directory, '--output', out]
        child = processes.start('-m', 'kws_imu_ros', 'run', '--input', short_demo / 'bag', *options)
        assert child.wait(RUN_S) == 0
        assert '2 of 2 events as expected, 0 stray commands' in child.output
        topic = summarize_bag(out / 'bag').find('cmd_vel')
        assert (topic.type, topic.count > 50) == ('geometry_msgs/msg/TwistStamped', True)

    in_real_time(processes, tmp_path, attempt)


def test_stamped_velocities_reach_whoever_shares_the_process(
    tmp_path: Path, processes, stamped: Path, bundle_directory: Path
):
    silence, out = tmp_path / 'silence.wav', tmp_path / 'out'
    soundfile.write(silence, np.zeros(8000, np.int16), 16000)
    options = ['--params-file', stamped, '--model', bundle_directory, '--output', out]
    child = processes.start('-m', 'kws_imu_ros', 'run', '--input', silence, *options)
    assert child.wait() == 0
    velocities = [velocity_from_message(message) for _, message in contents(out / 'bag', 'cmd_vel')]
    assert set(velocities) == {Velocity()}


def test_ends_of_cmd_vel_that_differ_are_refused(tmp_path: Path, processes, bundle_directory):
    path = tmp_path / 'one_end.yaml'
    path.write_text('/**/command: {ros__parameters: {enable_stamped_cmd_vel: true}}')
    options = ['--params-file', path, '--model', bundle_directory, '--output', tmp_path / 'out']
    child = processes.start('-m', 'kws_imu_ros', 'run', *options)
    assert child.wait() == 2
    assert 'Traceback' not in child.output
    assert child.output.strip().endswith('set both alike.')


def test_a_full_disk_ends_the_recording_and_leaves_the_robot_alone(
    tmp_path: Path, processes, short_demo: Path, bundle_directory: Path
):
    # The kernel's limit on the size of a file, in kB, stands in for the end of the disk.
    command = [sys.executable, '-m', 'kws_imu_ros', 'run', '--input', short_demo / 'bag']

    def attempt(out: Path) -> None:
        child = processes.start_program(
            'bash', '-c', 'ulimit -f 400; exec "$@"', 'bash',
            *command, '--model', bundle_directory, '--output', out,
            # Shared memory segments are files, too.
            environment={'FASTDDS_BUILTIN_TRANSPORTS': 'UDPv4'},
        )  # fmt: skip
        assert child.wait(RUN_S) == 0
        assert '2 of 2 events as expected' in child.output
        assert re.search(
            r'Recording to .* stopped \(file too large\); the first \d+ mess', child.output
        )
        assert 'Traceback' not in child.output
        kept = contents(out / 'bag', 'audio')
        assert len(kept) > 50
        sequences = [message.layout.dim[3].size for _, message in kept]
        np.testing.assert_array_equal(sequences, np.arange(len(kept)))

    in_real_time(processes, tmp_path, attempt)


def test_on_a_terminal_it_draws_live_and_gives_the_terminal_back(
    tmp_path: Path, bundle_directory: Path
):
    leader, follower = pty.openpty()
    # The whole demo, which does not end before it is interrupted.
    command = [sys.executable, '-m', 'kws_imu_ros', 'run']
    environment = dict(os.environ, TERM='xterm', PYTHONPATH=str(REPOSITORY), COLUMNS='120')
    options = ['--model', str(bundle_directory), '--output', str(tmp_path / 'out'), '--no-record']
    process = subprocess.Popen(
        [*command, *options], stdin=follower, stdout=follower, stderr=follower, env=environment
    )
    os.close(follower)
    output = b''
    deadline = time.monotonic() + PATIENCE_S
    try:
        while 'level' not in output.decode(errors='replace'):
            assert time.monotonic() < deadline
            output += os.read(leader, 65536)
        process.send_signal(signal.SIGINT)
        while True:
            try:
                output += os.read(leader, 65536)
            except OSError:  # How Linux tells that the other end is closed.
                break
        assert process.wait(PATIENCE_S) == 130
    finally:
        process.kill()
        process.wait()
        os.close(leader)
    text = output.decode(errors='replace')
    assert '\x1b[?25l' in text, 'the cursor was hidden'
    assert text.rindex('\x1b[?25h') > text.rindex('\x1b[?25l'), 'and is back'
    assert not (tmp_path / 'out' / 'bag').exists()
    assert 'Traceback' not in text
