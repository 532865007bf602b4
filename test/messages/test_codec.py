"""The bridge between messages and dataclasses, for rclpy's and rosbags' messages alike."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rosbags.typesys import Stores, get_typestore

from kws_imu_ros.audio.block import AudioBlock
from kws_imu_ros.decision.decision import Decision, Outcome, Rule, Score
from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.imu.sample import ImuSample
from kws_imu_ros.messages.audio import (
    AUDIO_DIMENSIONS,
    audio_block_from_message,
    audio_block_to_message,
)
from kws_imu_ros.messages.decision import (
    decision_from_message,
    decision_to_message,
    intent_from_message,
    intent_to_message,
)
from kws_imu_ros.messages.factory import ROS, BagMessages
from kws_imu_ros.messages.fields import time_from_message
from kws_imu_ros.messages.heartbeat import (
    LAST_NUMBER,
    LOST_SENSE,
    Heartbeat,
    heartbeat_from_message,
    heartbeat_to_message,
)
from kws_imu_ros.messages.imu import imu_sample_from_message, imu_sample_to_message
from kws_imu_ros.messages.motion import (
    effects_from_message,
    effects_to_message,
    joint_state_to_message,
    odometry_from_message,
    odometry_to_message,
    transform_to_message,
    velocity_from_message,
    velocity_to_message,
    velocity_to_stamped_message,
)
from kws_imu_ros.messages.posterior import posterior_from_message, posterior_to_message
from kws_imu_ros.motion.profiles import IntentEffects
from kws_imu_ros.motion.velocity import Pose, Velocity

rclpy_serialization = pytest.importorskip('rclpy.serialization', reason='ROS 2 is not installed')

TYPESTORE = get_typestore(Stores.ROS2_HUMBLE)
BAG = BagMessages(TYPESTORE)
FACTORIES = pytest.mark.parametrize('messages', [ROS, BAG], ids=['rclpy', 'rosbags'])

stamps = st.integers(0, (1 << 31) * 1_000_000_000 - 1)
blocks = st.builds(
    AudioBlock,
    stamp_ns=stamps,
    sequence=st.integers(0, (1 << 64) - 1),
    sample_rate=st.sampled_from([8000, 16000, 44100, 48000]),
    samples=st.lists(st.integers(-32768, 32767), min_size=1, max_size=64).map(
        lambda values: np.array(values, np.int16)
    ),
)
speeds = st.floats(-10, 10)
triples = st.tuples(*[st.floats(-400, 400)] * 3)


def make_block(**changes) -> AudioBlock:
    values = {
        'stamp_ns': 1_700_000_000_123_456_789,
        'sequence': 7,
        'sample_rate': 16000,
        'samples': np.arange(-160, 160, dtype=np.int16),
    }
    return AudioBlock(**(values | changes))


def make_decision(**changes) -> Decision:
    values = {
        'stamp_ns': 12_345_678_901,
        'outcome': Outcome.ACCEPT,
        'intent': 'left',
        'rule': Rule.VOICE,
        'reason': 'Heard "left" clearly (91%).',
        'heard': Score('left', 0.90625),
        'seen': Score('none', 0.75),
        'fused': Score('left', 0.5),
    }
    return Decision(**(values | changes))


@FACTORIES
@given(block=blocks)
def test_audio_comes_back_as_it_went(messages, block: AudioBlock):
    message = audio_block_to_message(block, messages)
    again = audio_block_from_message(message, block.sample_rate)
    assert (again.stamp_ns, again.sequence, again.sample_rate) == (
        block.stamp_ns,
        block.sequence,
        block.sample_rate,
    )
    assert again.samples.dtype == np.int16
    np.testing.assert_array_equal(again.samples, block.samples)


@given(block=blocks)
def test_what_rclpy_sends_rosbags_reads_and_the_other_way_round(block: AudioBlock):
    live = audio_block_to_message(block)
    sent = rclpy_serialization.serialize_message(live)
    read = TYPESTORE.deserialize_cdr(sent, 'std_msgs/msg/Int16MultiArray')
    np.testing.assert_array_equal(audio_block_from_message(read).samples, block.samples)
    written = TYPESTORE.serialize_cdr(
        audio_block_to_message(block, BAG), 'std_msgs/msg/Int16MultiArray'
    )
    back = rclpy_serialization.deserialize_message(bytes(written), type(live))
    again = audio_block_from_message(back)
    assert (again.stamp_ns, again.sequence) == (block.stamp_ns, block.sequence)
    np.testing.assert_array_equal(again.samples, block.samples)


@FACTORIES
def test_a_reader_that_knows_no_codec_gets_frames_and_channels(messages):
    layout = audio_block_to_message(make_block(), messages).layout
    frames, channels = layout.dim[:2]
    assert (frames.label, frames.size, frames.stride) == ('frames', 320, 320)
    assert (channels.label, channels.size, channels.stride) == ('channels', 1, 1)
    assert layout.data_offset == 0


def damage_channels(message):
    message.layout.dim[0].size = 160
    message.layout.dim[1].size = message.layout.dim[1].stride = 2


def damage_labels(message):
    message.layout.dim[2].label = 'rate'


def damage_count(message):
    message.layout.dim[0].size = 319


def damage_offset(message):
    message.layout.data_offset = 1


def damage_stamp(message):
    message.layout.dim[4].stride = 1_000_000_000


def damage_rate(message):
    message.layout.dim[2].size = 3


def damage_dimensions(message):
    message.layout.dim = []


def damage_emptiness(message):
    message.data = ROS.sequence(np.empty(0, np.int16))
    message.layout.dim[0].size = message.layout.dim[0].stride = 0


@pytest.mark.parametrize(
    ('damage', 'sentence'),
    [
        (damage_channels, '2 channels but 1 is needed'),
        (damage_labels, 'dimensions (frames, channels, rate, sequence, stamp) instead of'),
        (damage_count, 'announces 319 frames'),
        (damage_offset, 'offset 1'),
        (damage_stamp, '1000000000 nanoseconds'),
        (damage_rate, 'sample rate of 3 Hz'),
        (damage_dimensions, 'has dimensions ()'),
        (damage_emptiness, 'carries 0 samples'),
    ],
)
def test_each_damage_of_an_audio_message_has_its_sentence(damage, sentence: str):
    message = audio_block_to_message(make_block())
    damage(message)
    with pytest.raises(KwsImuError) as error:
        audio_block_from_message(message)
    assert sentence in str(error.value)


def test_another_sample_rate_than_wanted_is_refused():
    message = audio_block_to_message(make_block(sample_rate=44100))
    with pytest.raises(KwsImuError, match='44100 Hz but 16000 Hz is needed'):
        audio_block_from_message(message, 16000)


@pytest.mark.parametrize(
    'changes',
    [
        {'samples': np.zeros(4, np.float32)},
        {'samples': np.zeros((2, 2), np.int16)},
        {'stamp_ns': -1},
        {'stamp_ns': 1 << 63},
        {'sequence': -1},
        {'sequence': 1 << 64},
    ],
)
def test_a_block_that_cannot_be_sent_is_refused(changes: dict):
    with pytest.raises(KwsImuError):
        audio_block_to_message(make_block(**changes))


class _Damaged:
    """A message with attributes of any values."""

    def __init__(self, **fields):
        self.__dict__.update(fields)


dimensions = st.builds(
    _Damaged,
    label=st.sampled_from([*AUDIO_DIMENSIONS, '', 'x']),
    size=st.integers(0, (1 << 32) - 1) | st.integers(0, 20),
    stride=st.integers(0, (1 << 32) - 1) | st.integers(0, 20),
)
ordered_dimensions = st.tuples(
    *[
        st.builds(
            _Damaged,
            label=st.just(label),
            size=st.sampled_from([0, 1, 2, 16000, 1 << 31]),
            stride=st.sampled_from([0, 1, 2, 16000, 1 << 31]),
        )
        for label in AUDIO_DIMENSIONS
    ]
).map(list)
damaged_messages = st.builds(
    _Damaged,
    layout=st.builds(
        _Damaged,
        dim=st.lists(dimensions, max_size=7) | ordered_dimensions,
        data_offset=st.sampled_from([0, 0, 1, 1 << 31]),
    ),
    data=st.lists(st.integers(-32768, 32767), max_size=3).map(lambda v: np.array(v, np.int16)),
)


@settings(max_examples=300)
@given(message=damaged_messages)
def test_any_audio_message_is_a_sound_block_or_one_sentence(message):
    try:
        block = audio_block_from_message(message)
    except KwsImuError as error:
        assert '\n' not in str(error)
    else:
        assert len(block.samples) == len(message.data) > 0
        assert block.duration_ns >= 0


@settings(max_examples=300)
@given(message=damaged_messages)
def test_any_posterior_message_is_a_posterior_or_one_sentence(message):
    try:
        labels, values, _ = posterior_from_message(message)
    except KwsImuError as error:
        assert '\n' not in str(error)
    else:
        assert len(labels) == len(values)


@FACTORIES
@given(sample=st.builds(ImuSample, stamps, triples, triples))
def test_imu_comes_back_as_it_went(messages, sample: ImuSample):
    message = imu_sample_to_message(sample, 'wrist', messages)
    assert imu_sample_from_message(message) == sample
    assert message.header.frame_id == 'wrist'
    # REP-145: raw data has no orientation.
    assert message.orientation_covariance[0] == -1.0
    assert message.linear_acceleration_covariance[0] == 0.0


def test_imu_passes_nan_on_to_the_window_that_judges_it():
    sample = ImuSample(5, (math.nan, 0.0, 9.8), (0.0, math.inf, 0.0))
    again = imu_sample_from_message(imu_sample_to_message(sample))
    assert math.isnan(again.linear_acceleration[0])
    assert again.angular_velocity[1] == math.inf


@pytest.mark.parametrize('field', ['linear_acceleration', 'angular_velocity'])
def test_an_imu_that_does_not_measure_enough_is_refused(field: str):
    message = imu_sample_to_message(ImuSample(5, (0.0, 0.0, 9.8), (0.0, 0.0, 0.0)))
    getattr(message, f'{field}_covariance')[0] = -1.0
    with pytest.raises(KwsImuError, match=f'no {field}'):
        imu_sample_from_message(message)


@FACTORIES
def test_posteriors_carry_their_labels_and_stamp(messages):
    posterior = np.array([0.25, 0.5, 0.25], np.float32)
    message = posterior_to_message(('left', 'right', 'none'), posterior, 3_000_000_007, messages)
    labels, values, stamp_ns = posterior_from_message(message)
    assert labels == ('left', 'right', 'none')
    assert stamp_ns == 3_000_000_007
    np.testing.assert_array_equal(values, posterior)


@FACTORIES
@pytest.mark.parametrize('outcome', list(Outcome))
def test_decisions_come_back_as_they_went(messages, outcome: Outcome):
    intent = 'left' if outcome is Outcome.ACCEPT else ''
    decision = make_decision(outcome=outcome, intent=intent)
    message = decision_to_message(decision, messages)
    assert decision_from_message(message) == decision
    assert message.message == decision.reason


@FACTORIES
@pytest.mark.parametrize('heartbeat', [LOST_SENSE, Heartbeat(1), Heartbeat(LAST_NUMBER)])
def test_heartbeats_come_back_as_they_went(messages, heartbeat: Heartbeat):
    assert heartbeat_from_message(heartbeat_to_message(heartbeat, messages)) == heartbeat


def test_a_beat_never_passes_for_a_lost_sense():
    assert LOST_SENSE.sense_lost
    assert LOST_SENSE.next() == Heartbeat(LAST_NUMBER).next() == Heartbeat(1)
    assert not Heartbeat(LAST_NUMBER).sense_lost


@pytest.mark.parametrize(
    ('key', 'value'),
    [
        ('outcome', None),
        ('outcome', 'maybe'),
        ('rule', 'whim'),
        ('stamp_ns', 'soon'),
        ('heard_score', 'loud'),
    ],
)
def test_a_damaged_decision_is_refused(key: str, value: str | None):
    message = decision_to_message(make_decision())
    for pair in list(message.values):
        if pair.key == key:
            if value is None:
                message.values.remove(pair)
            else:
                pair.value = value
    with pytest.raises(KwsImuError, match='Decision message'):
        decision_from_message(message)


@FACTORIES
@given(linear_x=speeds, angular_z=speeds)
def test_velocities_come_back_stamped_or_not(messages, linear_x: float, angular_z: float):
    velocity = Velocity(linear_x, angular_z)
    plain = velocity_to_message(velocity, messages)
    assert velocity_from_message(plain) == velocity
    stamped = velocity_to_stamped_message(velocity, 99, 'base', messages)
    assert velocity_from_message(stamped) == velocity
    assert time_from_message(stamped.header.stamp) == 99


@pytest.mark.parametrize('value', [math.nan, math.inf, -math.inf])
def test_a_velocity_that_is_no_number_is_refused(value: float):
    message = velocity_to_message(Velocity(0.1, value))
    with pytest.raises(KwsImuError, match='must be finite'):
        velocity_from_message(message)


@FACTORIES
@given(x=speeds, y=speeds, yaw=st.floats(-3.1, 3.1), stamp_ns=stamps)
def test_odometry_comes_back_as_it_went(messages, x: float, y: float, yaw: float, stamp_ns: int):
    message = odometry_to_message(Pose(x, y, yaw), Velocity(0.1, -0.2), stamp_ns, messages=messages)
    again_ns, pose, velocity = odometry_from_message(message)
    assert again_ns == stamp_ns
    assert (pose.x, pose.y) == (x, y)
    assert pose.yaw == pytest.approx(yaw, abs=1e-9)
    assert velocity == Velocity(0.1, -0.2)


@FACTORIES
def test_what_a_motion_table_does_comes_back_as_it_went(messages):
    effects = IntentEffects('The motion table my.yaml', {'stop': True, 'left': False})
    assert effects_from_message(effects_to_message(effects, messages)) == effects


@FACTORIES
def test_other_messages_have_the_right_fields(messages):
    transform = transform_to_message(Pose(1.0, 2.0, 0.5), 7, messages=messages)
    assert (transform.header.frame_id, transform.child_frame_id) == ('odom', 'base_link')
    assert transform.transform.rotation.z == pytest.approx(math.sin(0.25))
    joints = joint_state_to_message(('a', 'b'), [1.0, 2.0], [3.0, 4.0], 7, messages)
    assert list(joints.name) == ['a', 'b']
    assert list(joints.position) == [1.0, 2.0]
    assert list(joints.velocity) == [3.0, 4.0]
    assert intent_from_message(intent_to_message('left', messages)) == 'left'


@pytest.mark.parametrize('text', [' Left\n', 'LEFT', 'left'])
def test_an_intent_that_a_person_typed_is_understood(text: str):
    assert intent_from_message(intent_to_message(text)) == 'left'
