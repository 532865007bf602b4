"""The replay and recorder nodes: what is played is what was recorded, when it should be."""

from __future__ import annotations

import itertools
import re
import time
from pathlib import Path

import numpy as np
import pytest

from kws_imu_ros.audio.block import AudioBlock
from kws_imu_ros.bags.reading import read_raw, read_sensors, summarize_bag, typestore
from kws_imu_ros.bags.writing import BagWriter
from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.imu.sample import ImuSample
from kws_imu_ros.messages.audio import audio_block_from_message, audio_block_to_message
from kws_imu_ros.messages.decision import intent_to_message
from kws_imu_ros.messages.factory import BagMessages
from kws_imu_ros.messages.fields import time_from_message
from kws_imu_ros.messages.imu import imu_sample_to_message

pytest.importorskip('rclpy', reason='ROS 2 is not installed')

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.parameter import Parameter
from rclpy.qos import qos_profile_sensor_data
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Imu
from std_msgs.msg import Int16MultiArray, String

from kws_imu_ros.nodes.recorder_node import RecorderNode
from kws_imu_ros.nodes.replay_node import ReplayNode

START_NS = 1_000_000_000_000
BLOCK_NS = 20_000_000
COUNT = 50


@pytest.fixture
def bag(tmp_path: Path) -> Path:
    """Return a bag of a second of audio, of an IMU whose clock began at power-up, and a command."""
    messages = BagMessages(typestore())
    rng = np.random.default_rng(0)
    with BagWriter(tmp_path / 'bag') as writer:
        for i in range(COUNT):
            stamp_ns = START_NS + i * BLOCK_NS
            samples = rng.integers(-999, 999, 320).astype(np.int16)
            block = AudioBlock(stamp_ns, i, 16000, samples)
            sample = ImuSample(i * BLOCK_NS, (0.0, 0.0, 9.81), (0.0, 0.0, float(i)))
            writer.write_message('audio', block.end_ns, audio_block_to_message(block, messages))
            imu = imu_sample_to_message(sample, messages=messages)
            writer.write_message('imu/data_raw', block.end_ns, imu)
        writer.write_message('command', block.end_ns, intent_to_message('go', messages))
    return tmp_path / 'bag'


@pytest.fixture
def make_replay(ros_context, probe):
    """Return a maker of replay nodes that the probe spins."""
    nodes = []

    def make(**parameters) -> ReplayNode:
        values = {'wait_for_subscribers': 60.0, **parameters}
        overrides = [Parameter(name, value=value) for name, value in values.items()]
        node = ReplayNode(parameter_overrides=overrides, context=ros_context)
        nodes.append(node)
        probe.add_node(node)
        return node

    yield make
    for node in nodes:
        node.destroy_node()


@pytest.fixture
def make_recorder(ros_context, probe):
    """Return a maker of recorders that the probe spins."""
    nodes = []

    def make(bag: Path) -> RecorderNode:
        overrides = [Parameter('bag', value=str(bag)), Parameter('topics', value=['command'])]
        nodes.append(RecorderNode(parameter_overrides=overrides, context=ros_context))
        probe.add_node(nodes[-1])
        return nodes[-1]

    yield make
    for node in nodes:
        node.destroy_node()


def play(node: ReplayNode, probe, *received: list) -> None:
    node.start()
    assert probe.spin_until(node.finished.done)
    assert probe.spin_until(lambda: all(len(item) >= COUNT for item in received))


def test_all_is_played_in_order_with_stamps_of_now(bag: Path, make_replay, probe):
    audio = probe.record(Int16MultiArray, 'audio')
    imu = probe.record(Imu, 'imu/data_raw', qos_profile_sensor_data)
    commands = probe.record(String, 'command')
    node = make_replay(bag=str(bag))
    play(node, probe, audio)
    assert node.finished.result() is True
    blocks = [audio_block_from_message(message) for message in audio]
    assert [block.sequence for block in blocks] == list(range(COUNT))
    assert all(b.stamp_ns == a.end_ns for a, b in itertools.pairwise(blocks)), 'still gapless'
    assert 0 <= blocks[0].stamp_ns - (node.started_ns - BLOCK_NS) <= BLOCK_NS
    assert commands == [], 'a recorded command must not drive a robot by accident'
    # The IMU's own clock began at its power-up; its samples are put where they were recorded. Best
    # effort: some may be lost.
    assert probe.spin_until(lambda: imu)
    for message in imu:
        block = blocks[round(message.angular_velocity.z)]
        assert abs(time_from_message(message.header.stamp) - block.end_ns) < BLOCK_NS
    original = [m.content.samples for m in read_sensors(bag) if isinstance(m.content, AudioBlock)]
    np.testing.assert_array_equal(blocks[-1].samples, original[-1])


def test_with_the_clock_stamps_and_time_are_those_of_the_bag(bag: Path, make_replay, probe):
    audio = probe.record(Int16MultiArray, 'audio')
    probe.record(Imu, 'imu/data_raw', qos_profile_sensor_data)
    clock = probe.record(Clock, '/clock', 1000)
    commands = probe.record(String, 'command')
    node = make_replay(bag=str(bag), publish_clock=True, rate=4.0, topics=['/command'])
    play(node, probe, audio)
    assert probe.spin_until(lambda: commands)
    assert [audio_block_from_message(message).stamp_ns for message in audio] == [
        START_NS + i * BLOCK_NS for i in range(COUNT)
    ]
    times = [time_from_message(message.clock) for message in clock]
    assert times == sorted(times)
    assert times[0] >= START_NS
    assert times[-1] <= START_NS + COUNT * BLOCK_NS
    assert len(times) > 20
    assert probe.spin_until(lambda: commands), 'the last message of the bag arrives, too'
    assert [message.data for message in commands] == ['go']


def test_a_loop_starts_again(bag: Path, make_replay, probe):
    audio = probe.record(Int16MultiArray, 'audio')
    probe.record(Imu, 'imu/data_raw', qos_profile_sensor_data)
    node = make_replay(bag=str(bag), loop=True, rate=10.0)
    node.start()
    assert probe.spin_until(lambda: len(audio) > 2 * COUNT + 5)
    assert not node.finished.done()


def test_a_node_that_is_destroyed_stops_playing(bag: Path, ros_context):
    node = ReplayNode(
        parameter_overrides=[Parameter('bag', value=str(bag)), Parameter('loop', value=True)],
        context=ros_context,
    )
    node.start()
    node.destroy_node()
    assert node.finished.result() is False


@pytest.mark.parametrize(
    ('parameters', 'sentence'),
    [
        ({}, 'No bag was named'),
        ({'bag': '/nowhere'}, 'There is no bag'),
        ({'rate': 0.0}, 'out of range'),
        ({'rate': 'fast'}, 'wrong type'),
        ({'stamps': 'later'}, 'choose auto, now or bag'),
        ({'audio_topic': 'a', 'imu_topic': 'b'}, 'neither on /a nor on /b'),
        ({'topics': ['/nothing']}, 'has no topic /nothing'),
    ],
)
def test_parameters_that_do_not_fit_are_refused(bag: Path, make_replay, parameters, sentence: str):
    if parameters and 'bag' not in parameters:
        parameters = {'bag': str(bag), **parameters}
    with pytest.raises(KwsImuError, match=sentence):
        make_replay(**parameters)


def test_damage_inside_a_bag_ends_the_process_with_a_sentence(bag: Path, processes):
    file = bag / 'bag.mcap'
    data = bytearray(file.read_bytes())
    # A message inside the first chunk gets an impossible length.
    record = re.search(rb'\x05..\x00{6}[\x01-\x03]\x00', data[5000:], re.DOTALL)
    where = 5000 + record.start()
    data[where + 1 : where + 9] = b'\xff' * 8
    file.write_bytes(bytes(data))
    options = ['--ros-args', '-p', f'bag:={bag}', '-p', 'wait_for_subscribers:=0.0']
    child = processes.start('-m', 'kws_imu_ros.nodes.replay_node', *options)
    assert child.wait() == 2
    assert 'damaged' in child.output
    assert 'Traceback' not in child.output


def test_messages_that_cannot_be_used_are_left_out_and_told(bag: Path, tmp_path: Path, processes):
    torn = tmp_path / 'torn'
    with BagWriter(torn) as writer:
        for number, raw in enumerate(read_raw(bag, ['audio', 'imu/data_raw'])):
            writer.add_topic(raw.topic, raw.type)
            data = raw.data[: len(raw.data) // 2] if number in (10, 11, 31) else raw.data
            writer.write(raw.topic, raw.stamp_ns, data)
    options = ['--ros-args', '-p', f'bag:={torn}', '-p', 'wait_for_subscribers:=0.0']
    child = processes.start('-m', 'kws_imu_ros.nodes.replay_node', *options)
    assert child.wait() == 0
    assert '1 message on /audio could not be used' in child.output
    assert '2 messages on /imu/data_raw could not be used' in child.output


def test_simulated_time_that_never_comes_is_told_and_does_not_hold_the_process(
    bag: Path, processes
):
    options = ['--ros-args', '-p', f'bag:={bag}', '-p', 'use_sim_time:=true']
    child = processes.start('-m', 'kws_imu_ros.nodes.replay_node', *options)
    assert child.wait_for('nobody publishes /clock')
    assert child.stop() == 0


def test_what_is_played_is_recorded_byte_for_byte(
    bag: Path, tmp_path: Path, make_replay, probe, ros_context
):
    copy = tmp_path / 'copy'
    recorder = RecorderNode(
        parameter_overrides=[Parameter('bag', value=str(copy))], context=ros_context
    )
    probe.add_node(recorder)
    node = make_replay(bag=str(bag), stamps='bag', topics=['command'])
    audio = probe.record(Int16MultiArray, 'audio')
    play(node, probe, audio)
    probe.spin_until(lambda: False, 1.0)
    recorder.destroy_node()
    assert recorder.error is None

    def data(path: Path, topic: str) -> list[bytes]:
        return [message.data for message in read_raw(path, [topic])]

    assert data(copy, 'audio') == data(bag, 'audio')
    assert data(copy, 'command') == data(bag, 'command')
    assert {topic.name for topic in summarize_bag(copy).topics} >= {'/odom', '/cmd_vel', '/voice'}


def test_a_recorder_that_is_held_up_loses_no_sample(tmp_path: Path, probe, ros_context):
    copy = tmp_path / 'copy'
    overrides = [
        Parameter('bag', value=str(copy)),
        Parameter('topics', value=['imu/data_raw']),
    ]
    recorder = RecorderNode(parameter_overrides=overrides, context=ros_context)
    probe.add_node(recorder)
    publisher = probe.node.create_publisher(Imu, 'imu/data_raw', qos_profile_sensor_data)
    assert probe.spin_until(publisher.get_subscription_count)
    for _ in range(100):  # Nobody spins meanwhile.
        publisher.publish(Imu())
    probe.spin_until(lambda: False, 1.0)
    recorder.destroy_node()
    assert summarize_bag(copy).find('imu/data_raw').count == 100


def test_both_publish_diagnostics(bag: Path, tmp_path: Path, make_replay, make_recorder, probe):
    arrays = probe.record(DiagnosticArray, '/diagnostics')
    recorder = make_recorder(tmp_path / 'copy')
    make_replay(bag=str(bag)).start()

    def said() -> dict[str, str]:
        return {array.status[0].name: array.status[0].message for array in arrays}

    # Nobody listens on imu/data_raw, so it waits.
    expected = {'replay': 'Waiting for those who listen.', 'recorder': 'Recording.'}
    assert probe.spin_until(lambda: said() == expected)
    recorder.dropped = 3
    assert probe.spin_until(lambda: '3 messages were lost' in said()['recorder'])


def test_a_bag_lasts_as_long_as_its_recording_though_the_clock_is_set(
    tmp_path: Path, make_recorder, probe, monkeypatch
):
    told = []
    recorder = make_recorder(tmp_path / 'bag')
    monkeypatch.setattr(recorder.get_logger(), 'warning', told.append)
    publisher = probe.node.create_publisher(String, 'command', 10)
    assert probe.spin_until(publisher.get_subscription_count)
    true_time_ns = time.time_ns
    for back_s in (0, 3600):
        monkeypatch.setattr(time, 'time_ns', lambda s=back_s: true_time_ns() - s * 10**9)
        publisher.publish(String(data='go'))
        probe.spin_until(lambda: False, 0.5)
    assert probe.spin_until(lambda: any('was set by -3600' in text for text in told))
    publisher.publish(String(data='go'))
    probe.spin_until(lambda: False, 0.5)
    recorder.destroy_node()
    summary = summarize_bag(tmp_path / 'bag')
    assert 0.0 < summary.duration_s < 1000.0
    assert summary.notes == ()


def test_a_recorder_of_an_unknown_topic_is_refused(tmp_path: Path, ros_context):
    overrides = [
        Parameter('bag', value=str(tmp_path / 'bag')),
        Parameter('topics', value=['audio', 'rumours']),
    ]
    with pytest.raises(KwsImuError, match='does not know rumours'):
        RecorderNode(parameter_overrides=overrides, context=ros_context)
    assert not (tmp_path / 'bag').exists()


def test_the_executables_end_cleanly(bag: Path, tmp_path: Path, processes):
    recorder = processes.start(
        '-m', 'kws_imu_ros.nodes.recorder_node', '--ros-args', '-p', f'bag:={tmp_path / "new"}'
    )
    assert recorder.wait_for('Recording to')
    options = ['--ros-args', '-p', f'bag:={bag}', '-p', 'wait_for_subscribers:=60.0']
    player = processes.start('-m', 'kws_imu_ros.nodes.replay_node', *options)
    assert player.wait() == 0
    time.sleep(1.0)  # What was sent is on its way to the recorder, which does not say when it came.
    assert recorder.stop() == 0
    assert summarize_bag(tmp_path / 'new').find('audio').count == COUNT
