"""The fusion node in a real graph: what it publishes, and that nothing that arrives ends it."""

import itertools
import math
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

pytest.importorskip('rclpy', reason='ROS 2 is not installed')

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rcl_interfaces.msg import Log
from rcl_interfaces.srv import DescribeParameters, SetParameters
from rclpy.parameter import Parameter
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Imu
from std_msgs.msg import Float32MultiArray, Int16MultiArray, String, UInt32

from kws_imu_ros.audio.block import AudioBlock
from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.fusion.pipeline import Modality
from kws_imu_ros.imu.sample import ImuSample
from kws_imu_ros.messages.audio import audio_block_to_message
from kws_imu_ros.messages.decision import decision_from_message
from kws_imu_ros.messages.heartbeat import SENSE_LOST
from kws_imu_ros.messages.imu import imu_sample_to_message
from kws_imu_ros.messages.motion import effects_to_message
from kws_imu_ros.messages.posterior import posterior_from_message
from kws_imu_ros.motion.profiles import load_motion_table
from kws_imu_ros.nodes.command_node import CommandNode
from kws_imu_ros.nodes.fusion_node import FusionNode
from kws_imu_ros.nodes.runtime.qos import AUDIO_QOS, DECISION_QOS, MOTION_TABLE_QOS

RATE = 16000
BLOCK = 320
SECOND_NS = 1_000_000_000
POLICY = Path(__file__).resolve().parents[2] / 'config' / 'policy.yaml'
MOTION = POLICY.with_name('motion.yaml')


@pytest.fixture
def fusion(ros_context, bundle_directory: Path, probe):
    node = make_fusion(ros_context, bundle_directory)
    probe.add_node(node)
    yield node
    node.destroy_node()


def make_fusion(context, bundle_directory: Path, **parameters) -> FusionNode:
    values = {'model': str(bundle_directory)} | parameters
    return FusionNode(
        context=context,
        parameter_overrides=[Parameter(name, value=value) for name, value in values.items()],
    )


class Senses:
    """Publishes audio and IMU into the graph, as fast as fusion takes it."""

    # Well below the depth of the queues that fusion reads from.
    MOST_WAITING = 20

    def __init__(self, probe, fusion: FusionNode) -> None:
        self._probe = probe
        self._fusion = fusion
        self.now_ns = probe.node.get_clock().now().nanoseconds
        self._sequence = 0
        self.dead_ns = 0
        self.rng = np.random.default_rng(1)
        self.audio = probe.node.create_publisher(Int16MultiArray, 'audio', AUDIO_QOS)
        self.imu = probe.node.create_publisher(Imu, 'imu/data_raw', qos_profile_sensor_data)
        assert probe.spin_until(
            lambda: self.audio.get_subscription_count() and self.imu.get_subscription_count()
        )

    def say(self, samples: np.ndarray, rate: int = RATE) -> None:
        """Publish int16 samples in blocks."""
        for start in range(0, len(samples), BLOCK):
            part = samples[start : start + BLOCK]
            self.audio.publish(
                audio_block_to_message(AudioBlock(self.now_ns, self._sequence, rate, part))
            )
            self.now_ns += len(part) * SECOND_NS // rate
            self._sequence += 1
            # A pass for each of what a block sets off, for those who listen to that.
            for _ in range(4):
                self._probe.executor.spin_once(timeout_sec=0.002)
            assert self._probe.spin_until(lambda: self._waiting() < self.MOST_WAITING)

    def _waiting(self) -> int:
        """Return how many blocks fusion has not taken yet."""
        return (
            self._sequence
            - self._fusion._audio_rate.total
            - self._fusion._bad_messages[Modality.AUDIO]
        )

    def say_until(self, condition: Callable[[], object]) -> bool:
        """Publish quiet noise until a condition holds: a listener may not be connected yet."""

        def holds_after_more() -> bool:
            self.say(noise(0.1, self.rng))
            return bool(condition())

        return self._probe.spin_until(holds_after_more)

    def rest_until(self, condition: Callable[[], object], acceleration=(0.0, 0.0, 9.81)) -> bool:
        """Publish an IMU that lies still until a condition holds; what it sends may be lost."""

        def holds_after_more() -> bool:
            self.rest(0.1, acceleration)
            return bool(condition())

        return self._probe.spin_until(holds_after_more)

    def rest(self, seconds: float, acceleration=(0.0, 0.0, 9.81)) -> None:
        """Publish an IMU that lies still."""
        for _ in range(int(seconds * 100)):
            self.now_ns += SECOND_NS // 100
            # Every sensor flickers in its last bits.
            ax, *rest = (value + self.rng.normal(0.0, 1e-3) for value in acceleration)
            rotation = tuple(self.rng.normal(0.0, 1e-3, 3).tolist())
            self.imu.publish(imu_sample_to_message(ImuSample(self.now_ns, (ax, *rest), rotation)))
            self._probe.executor.spin_once(timeout_sec=0.05)


@pytest.fixture
def senses(probe, fusion) -> Senses:
    return Senses(probe, fusion)


def noise(seconds: float, rng: np.random.Generator | None = None) -> np.ndarray:
    rng = rng or np.random.default_rng(1)
    return (rng.standard_normal(int(seconds * RATE)) * 30.0).astype(np.int16)


def clip(test_data: Path, name: str) -> np.ndarray:
    """Return a clip between a second of quiet on either side."""
    samples, rate = soundfile.read(test_data / 'speech_commands' / name, dtype='int16')
    assert rate == RATE
    return np.concatenate([noise(1.0), samples, noise(1.5)])


class Diagnostics:
    """The newest diagnostics of the fusion node."""

    def __init__(self, probe) -> None:
        self._messages = probe.record(DiagnosticArray, '/diagnostics')

    @property
    def status(self) -> DiagnosticStatus | None:
        found = [s for m in self._messages for s in m.status if s.name == 'fusion']
        return found[-1] if found else None

    def value(self, key: str) -> str:
        values = {pair.key: pair.value for pair in self.status.values} if self.status else {}
        return values.get(key, '')


@pytest.fixture
def diagnostics(probe) -> Diagnostics:
    return Diagnostics(probe)


# What it publishes


def test_a_word_becomes_posteriors_a_decision_and_a_command(probe, fusion, senses, test_data):
    voices = probe.record(Float32MultiArray, 'voice', qos_profile_sensor_data)
    commands = probe.record(String, 'command')
    decisions = probe.record(DiagnosticStatus, 'decision', DECISION_QOS)
    assert senses.say_until(lambda: voices)
    senses.say(clip(test_data, 'stop/626e323f_nohash_0.ogg'))
    assert probe.spin_until(lambda: commands and decisions)
    assert [message.data for message in commands] == ['stop']
    decision = decision_from_message(decisions[0])
    assert (decision.outcome, decision.intent, decision.rule) == ('accept', 'stop', 'stop')
    labels = posterior_from_message(voices[-1])[0]
    assert 'stop' in labels
    # Best effort: the last may be lost, so one of the last second is enough.
    assert probe.spin_until(
        lambda: 0 <= senses.now_ns - posterior_from_message(voices[-1])[2] < SECOND_NS
    )
    heard = {labels[posterior_from_message(m)[1].argmax()] for m in voices}
    assert 'stop' in heard


def test_whoever_comes_late_is_told_the_last_decisions(probe, fusion, senses, test_data):
    commands = probe.record(String, 'command')
    senses.say(clip(test_data, 'stop/626e323f_nohash_0.ogg'))
    assert probe.spin_until(lambda: commands)
    decisions = probe.record(DiagnosticStatus, 'decision', DECISION_QOS)
    assert probe.spin_until(lambda: decisions)
    assert decision_from_message(decisions[-1]).intent == 'stop'


def test_voice_works_without_imu(probe, fusion, senses, diagnostics):
    voices = probe.record(Float32MultiArray, 'voice', qos_profile_sensor_data)
    assert senses.say_until(lambda: len(voices) > 10)
    assert senses.say_until(lambda: 'without IMU' in getattr(diagnostics.status, 'message', ''))
    assert diagnostics.status.level == DiagnosticStatus.OK


def test_imu_works_without_voice(probe, fusion, senses, diagnostics):
    gestures = probe.record(Float32MultiArray, 'gesture', qos_profile_sensor_data)
    assert senses.rest_until(lambda: len(gestures) > 10)
    labels, values, _ = posterior_from_message(gestures[-1])
    assert len(labels) == len(values)
    assert probe.spin_until(lambda: diagnostics.status is not None)


def test_it_says_again_and_again_that_it_lives(probe, fusion):
    beats = probe.record(UInt32, 'fusion_alive', qos_profile_sensor_data)
    assert probe.spin_until(lambda: len(beats) >= 10)
    # Best effort: one may be lost, but it counts.
    counts = [message.data for message in beats]
    assert counts[0] > 0
    assert all(before < after for before, after in itertools.pairwise(counts))


def test_diagnostics_tell_rates_times_and_counts(probe, fusion, senses, diagnostics):
    senses.say(noise(2.0))
    senses.rest(0.5)
    assert probe.spin_until(
        lambda: '/' in diagnostics.value('inference time (ms: median / p95 / longest)')
    )
    for key in (
        'model',
        'runtime',
        'audio rate (blocks/s)',
        'IMU rate (samples/s)',
        'hop rate (1/s)',
        'hop time (ms: median / p95 / longest)',
        'latency from last sample (ms: median / p95 / longest)',
        'audio gaps',
        'IMU clock skew (ms)',
    ):
        assert diagnostics.value(key), key


# What does not fit


def test_bad_audio_is_counted_and_told_and_good_audio_goes_on(probe, fusion, senses, diagnostics):
    senses.say(noise(0.2), rate=44100)
    stereo = audio_block_to_message(AudioBlock(1, 1, RATE, noise(0.02)))
    stereo.layout.dim[1].size = stereo.layout.dim[1].stride = 2
    senses.audio.publish(stereo)
    senses.audio.publish(Int16MultiArray())
    damaged = audio_block_to_message(AudioBlock(1, 1, RATE, noise(0.02)))
    damaged.layout.dim[0].size = 7
    senses.audio.publish(damaged)
    assert probe.spin_until(lambda: diagnostics.value('bad audio messages') == '13')
    for sentence in ('44100 Hz but 16000 Hz', '2 channels but 1', 'announces 7 frames'):
        assert sentence in diagnostics.status.message
    assert diagnostics.status.level != DiagnosticStatus.OK
    voices = probe.record(Float32MultiArray, 'voice', qos_profile_sensor_data)
    assert senses.say_until(lambda: len(voices) > 5)


@pytest.mark.parametrize(
    ('acceleration', 'sentence'),
    [
        ((math.nan, 0.0, 0.0), 'NaN or infinity'),
        ((1e6, 0.0, 0.0), 'beyond any real sensor'),
        ((0.0, 0.0, 1.0), 'looks like g instead of m/s^2'),
    ],
)
def test_a_bad_imu_is_told_and_voice_goes_on(
    probe, fusion, senses, diagnostics, acceleration, sentence
):
    assert senses.rest_until(
        lambda: sentence in getattr(diagnostics.status, 'message', ''), acceleration
    )
    voices = probe.record(Float32MultiArray, 'voice', qos_profile_sensor_data)
    assert senses.say_until(lambda: len(voices) > 5)


def test_an_imu_without_rotation_is_told(probe, fusion, senses, diagnostics):
    message = imu_sample_to_message(ImuSample(senses.now_ns, (0.0, 0.0, 9.8), (0.0, 0.0, 0.0)))
    message.angular_velocity_covariance[0] = -1.0

    def told() -> bool:
        senses.imu.publish(message)  # Best effort: one may be lost.
        return 'no angular_velocity' in getattr(diagnostics.status, 'message', '')

    assert probe.spin_until(told)
    assert int(diagnostics.value('bad IMU messages')) > 0


# Senses that are dead but talk


def dead_imu(senses: Senses, kind: str) -> ImuSample:
    """Return what an IMU sends that has lost its sensor."""
    stamp_ns = senses.dead_ns if kind == 'standing stamp' else senses.now_ns
    if kind == 'nan':
        return ImuSample(stamp_ns, (math.nan,) * 3, (math.nan,) * 3)
    if kind == 'zeros':
        return ImuSample(stamp_ns, (0.0,) * 3, (0.0,) * 3)
    flicker = senses.now_ns % 1000 * 1e-6
    gyroscope = 0.0 if kind == 'frozen' else flicker
    accelerometer = 0.0 if kind in ('frozen', 'frozen accelerometer') else flicker
    return ImuSample(stamp_ns, (accelerometer, 0.0, 9.81), (gyroscope, 0.01, 0.0))


@pytest.mark.parametrize(
    ('kind', 'words'),
    [
        ('nan', 'NaN'),
        ('zeros', 'all zero'),
        ('frozen', 'frozen'),
        ('frozen accelerometer', 'accelerometer'),
        ('standing stamp', 'stamps stand still'),
    ],
)
def test_an_imu_that_is_dead_but_talks_stops_the_robot(
    probe, fusion, senses, diagnostics, kind: str, words: str
):
    beats = probe.record(UInt32, 'fusion_alive', qos_profile_sensor_data)
    senses.rest(0.5)
    assert senses.rest_until(lambda: fusion._pipeline.signs_of_life.imu > 20)
    assert probe.spin_until(lambda: beats)
    senses.dead_ns = senses.now_ns

    def lost_after_more() -> bool:
        senses.now_ns += SECOND_NS // 100 + 1
        senses.imu.publish(imu_sample_to_message(dead_imu(senses, kind)))
        return any(message.data == SENSE_LOST for message in beats)

    assert probe.spin_until(lost_after_more)

    def told_after_more() -> bool:
        lost_after_more()
        return words in getattr(diagnostics.status, 'message', '')

    assert probe.spin_until(told_after_more)


def test_a_microphone_that_repeats_itself_stops_the_robot(probe, fusion, senses, diagnostics):
    beats = probe.record(UInt32, 'fusion_alive', qos_profile_sensor_data)
    assert senses.say_until(lambda: beats)
    block = noise(0.1)

    def lost_after_more() -> bool:
        senses.say(block)
        return any(message.data == SENSE_LOST for message in beats)

    assert probe.spin_until(lost_after_more)

    def told_after_more() -> bool:
        senses.say(block)
        return 'The audio is stuck' in getattr(diagnostics.status, 'message', '')

    assert probe.spin_until(told_after_more)


def test_a_second_sensor_on_the_topic_is_told_though_it_lies_alike(
    probe, fusion, senses, diagnostics
):
    other = probe.node.create_publisher(Imu, 'imu/data_raw', qos_profile_sensor_data)
    assert probe.spin_until(other.get_subscription_count)

    def told_after_more() -> bool:
        senses.rest(0.01)
        ax, ay = senses.rng.normal(0.0, 1e-3, 2).tolist()
        sample = ImuSample(senses.now_ns + 5_000_000, (ax, 0.0, 9.81), (ay, 0.0, 0.0))
        other.publish(imu_sample_to_message(sample))
        return 'More than one sensor' in getattr(diagnostics.status, 'message', '')

    assert probe.spin_until(told_after_more)
    assert diagnostics.value('IMU senders') == '2'


# Parameters


def set_parameters(probe, fusion, **values):
    """Set parameters through the service, as `ros2 param set` does; return the results."""
    request = SetParameters.Request(
        parameters=[Parameter(n, value=v).to_parameter_msg() for n, v in values.items()]
    )
    return probe.call(SetParameters, '/fusion/set_parameters', request).results


def test_thresholds_and_policy_change_live(probe, fusion, senses, test_data, tmp_path):
    quiet = tmp_path / 'quiet.yaml'
    text = re.sub(r'word_threshold: [\d.]+', 'word_threshold: 0.99', POLICY.read_text())
    quiet.write_text(text.replace('default: auto', 'default: 0.99'))
    commands, log = probe.record(String, 'command'), probe.record(Log, '/rosout')
    results = set_parameters(probe, fusion, policy_file=str(quiet), voice_threshold_offset=0.3)
    assert all(result.successful for result in results)
    senses.say(noise(1.0))
    (result,) = set_parameters(probe, fusion, policy_file='')
    assert result.successful
    assert probe.spin_until(lambda: any(f'read from {POLICY}' in item.msg for item in log))
    (result,) = set_parameters(probe, fusion, voice_threshold_offset=0.0)
    assert result.successful
    senses.say(clip(test_data, 'stop/626e323f_nohash_0.ogg'))
    assert probe.spin_until(lambda: commands)
    assert {message.data for message in commands} == {'stop'}


def test_a_policy_that_does_not_fit_is_refused_and_the_old_one_stays(probe, fusion, tmp_path):
    broken = tmp_path / 'broken.yaml'
    broken.write_text(POLICY.read_text().replace('voice_hops: 8', 'voice_hops: many'))
    (result,) = set_parameters(probe, fusion, policy_file=str(broken))
    assert not result.successful
    assert "'smoothing.voice_hops' is 'many'" in result.reason
    assert fusion.get_parameter('policy_file').value == ''
    (result,) = set_parameters(probe, fusion, policy_file=str(tmp_path / 'nowhere.yaml'))
    assert not result.successful
    (result,) = set_parameters(probe, fusion, voice_threshold_offset=2.0)
    assert not result.successful


def command_node(context, motion_file: Path) -> CommandNode:
    """Return a command node with a motion table of its own."""
    parameter = Parameter('motion_file', value=str(motion_file))
    return CommandNode(context=context, parameter_overrides=[parameter])


def test_a_policy_in_which_stop_does_not_stop_is_refused_while_it_runs(
    ros_context, probe, fusion, tmp_path
):
    command = command_node(ros_context, MOTION)
    probe.add_node(command)
    try:
        assert probe.spin_until(lambda: fusion._effects is not None)
        wrong = tmp_path / 'left.yaml'
        wrong.write_text(POLICY.read_text().replace('  intent: stop\n', '  intent: left\n'))
        (result,) = set_parameters(probe, fusion, policy_file=str(wrong))
        assert not result.successful
        assert "'intents.left' does not lead to a profile with stop: true" in result.reason
        assert 'left.yaml' in result.reason
        assert 'motion.yaml' in result.reason
        assert fusion._pipeline.policy.table.stop_intent == 'stop'
        (result,) = set_parameters(probe, fusion, policy_file=str(POLICY))
        assert result.successful
    finally:
        command.destroy_node()


def test_before_a_command_node_is_found_a_policy_must_fit_the_shipped_table(
    probe, fusion, tmp_path
):
    wrong = tmp_path / 'left.yaml'
    wrong.write_text(POLICY.read_text().replace('  intent: stop\n', '  intent: left\n'))
    (result,) = set_parameters(probe, fusion, policy_file=str(wrong))
    assert not result.successful
    assert 'No command node is known yet' in result.reason
    assert "'intents.left' does not lead to a profile with stop: true" in result.reason


def test_a_motion_table_in_which_stop_does_not_stop_ends_it(ros_context, probe, fusion, tmp_path):
    table = tmp_path / 'halt.yaml'
    table.write_text(MOTION.read_text().replace('  stop: stop\n', '  halt: stop\n'))
    command = command_node(ros_context, table)
    probe.add_node(command)
    try:
        with pytest.raises(KwsImuError, match=r"halt\.yaml: there is no intent 'stop', but in the"):
            probe.spin_until(lambda: fusion._effects is not None)
    finally:
        command.destroy_node()


def test_the_robot_stands_until_the_tables_are_compared(probe, fusion):
    """A command node is seen a moment before its table; in it no word may move the robot."""
    beats = probe.record(UInt32, 'fusion_alive', qos_profile_sensor_data)
    assert probe.spin_until(lambda: beats)
    publisher = probe.node.create_publisher(DiagnosticStatus, 'motion_table', MOTION_TABLE_QOS)
    assert probe.spin_until(lambda: fusion.count_publishers('motion_table'))
    probe.spin_until(lambda: False, 0.3)  # For beats that were on their way.
    beats.clear()
    assert not probe.spin_until(lambda: beats, 0.5)
    (result,) = set_parameters(probe, fusion, policy_file=str(POLICY))
    assert not result.successful
    assert 'Whether the command node stops for what means stop is not known yet' in result.reason
    publisher.publish(effects_to_message(load_motion_table(MOTION).effects()))
    assert probe.spin_until(lambda: beats)
    (result,) = set_parameters(probe, fusion, policy_file=str(POLICY))
    assert result.successful


def test_meanings_that_the_motion_table_lacks_are_told_at_the_start(
    ros_context, probe, fusion, tmp_path
):
    table = tmp_path / 'lacks.yaml'
    table.write_text(MOTION.read_text().replace('  left: left\n', ''))
    logs = probe.record(Log, '/rosout')
    command = command_node(ros_context, table)
    probe.add_node(command)
    try:
        assert probe.spin_until(
            lambda: [log for log in logs if "The policy can mean 'left'" in log.msg]
        )
    finally:
        command.destroy_node()


@pytest.mark.parametrize(('name', 'value'), [('model', 'x'), ('hop_ms', 20), ('runtime', 'litert')])
def test_what_shapes_the_node_is_read_only(probe, fusion, name: str, value):
    (result,) = set_parameters(probe, fusion, **{name: value})
    assert not result.successful


def test_every_parameter_is_described(probe, fusion):
    names = [n for n in fusion._parameters if not n.startswith(('use_sim', 'start_type', 'qos'))]
    request = DescribeParameters.Request(names=names)
    response = probe.call(DescribeParameters, '/fusion/describe_parameters', request)
    described = {d.name: d for d in response.descriptors}
    ours = {'model', 'runtime', 'hop_ms', 'policy_file', 'voice_threshold_offset'}
    assert ours <= set(described)
    assert all(described[name].description for name in ours)


@pytest.mark.parametrize(
    ('parameters', 'sentence'),
    [
        ({'model': '/nowhere/at/all'}, "No model '/nowhere/at/all'"),
        ({'runtime': 'abacus'}, "'abacus' is unknown"),
        ({'hop_ms': 7}, 'out of range'),
        ({'policy_file': '/nowhere.yaml'}, 'cannot be read'),
        ({'voice_threshold_offset': 3.0}, 'out of range'),
        ({'hop_ms': 'soon'}, 'wrong type'),
    ],
)
def test_it_does_not_start_with_what_does_not_fit(
    ros_context, bundle_directory: Path, parameters: dict, sentence: str
):
    with pytest.raises(KwsImuError, match=sentence):
        make_fusion(ros_context, bundle_directory, **parameters)


def test_as_a_process_it_ends_with_one_sentence_and_status_2(processes, bundle_directory, tmp_path):
    (tmp_path / 'model').mkdir()
    for name in ('manifest.json', 'model.tflite'):
        (tmp_path / 'model' / name).write_bytes((bundle_directory / name).read_bytes()[:-50])
    child = processes.start(
        '-m',
        'kws_imu_ros.nodes.fusion_node',
        '--ros-args',
        '-p',
        f'model:={tmp_path / "model"}',
    )
    assert child.wait() == 2
    assert len(child.output.strip().splitlines()) == 1
    assert 'this is not JSON' in child.output
    assert 'manifest.json' in child.output


def test_as_a_process_it_ends_cleanly_when_told_to(processes, bundle_directory):
    child = processes.start(
        '-m', 'kws_imu_ros.nodes.fusion_node', '--ros-args', '-p', f'model:={bundle_directory}'
    )
    assert child.wait_for('Listening with')
    assert child.stop() == 0
    assert 'Traceback' not in child.output
