"""
The fusion node: audio and IMU in; posteriors, decisions and commands out.

It wires `FusionPipeline` to topics. A message that cannot be used is counted, reported in
diagnostics and otherwise ignored; nothing that arrives ends this node.
"""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from rcl_interfaces.msg import SetParametersResult
from rclpy.parameter import Parameter
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Imu
from std_msgs.msg import Float32MultiArray, Int16MultiArray, String, UInt32

from kws_imu_ros.configuration.declaration import Declaration
from kws_imu_ros.decision.agreement import check_stop, doubts
from kws_imu_ros.decision.decision import Decision, Outcome
from kws_imu_ros.decision.policy import Policy
from kws_imu_ros.decision.table import PolicyTable, load_table, with_offsets
from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.fusion.config import PipelineConfig
from kws_imu_ros.fusion.health import PipelineHealth
from kws_imu_ros.fusion.hops import Step
from kws_imu_ros.fusion.pipeline import FusionPipeline, Modality, SignsOfLife
from kws_imu_ros.messages.audio import audio_block_from_message
from kws_imu_ros.messages.decision import decision_to_message, intent_to_message
from kws_imu_ros.messages.heartbeat import LOST_SENSE, heartbeat_to_message
from kws_imu_ros.messages.imu import imu_sample_from_message
from kws_imu_ros.messages.motion import effects_from_message
from kws_imu_ros.messages.posterior import posterior_to_message
from kws_imu_ros.model.bundle import DEFAULT_NAME, Bundle, find_bundle, load_bundle
from kws_imu_ros.model.interpreter import Interpreter
from kws_imu_ros.model.outputs import Posteriors
from kws_imu_ros.motion.profiles import IntentEffects, load_motion_table
from kws_imu_ros.nodes.runtime.base_node import BaseNode
from kws_imu_ros.nodes.runtime.diagnostics import DiagnosticsPublisher, Durations, Rate, Report
from kws_imu_ros.nodes.runtime.neighbours import AdaptingSubscription, Neighbours
from kws_imu_ros.nodes.runtime.qos import (
    AUDIO_QOS,
    DECISION_QOS,
    IMU_INPUT_QOS,
    MOTION_TABLE_QOS,
    RELIABLE_QOS,
)
from kws_imu_ros.nodes.runtime.spinning import run_nodes
from kws_imu_ros.resources import share_path

ALIVE_PERIOD_S = 0.1
TABLE_AWAITED = (
    'Whether the command node stops for what means stop is not known yet, so the robot stands.'
)
# For so long, s, after its start a command node may be there that discovery has not found yet.
DISCOVERY_S = 10.0
# Seconds for which a passing trouble (a gap, a bad message) stays in diagnostics.
TROUBLE_SHOWN_S = 10


# A sense that was there and gave nothing for this long, s, is lost: the person may want to stop.
SENSE_TIMEOUT_S = 0.25
# `fusion_alive` is best effort: the news of a lost sense is told this often.
SENSE_LOST_PULSES = 3


class _TimedInterpreter(Interpreter):
    """An interpreter that notes how long each inference took."""

    def __init__(self, bundle: Bundle, runtime: str, threads: int) -> None:
        self.durations = Durations()
        super().__init__(bundle, runtime, threads)
        self.durations = Durations()  # Without the one that warmed it up.

    def infer(self, log_mel: np.ndarray | None, imu: np.ndarray | None) -> Posteriors:
        """Infer; see Interpreter."""
        start_ns = time.perf_counter_ns()
        posteriors = super().infer(log_mel, imu)
        self.durations.add(time.perf_counter_ns() - start_ns)
        return posteriors


class FusionNode(BaseNode):
    """Hears and sees; publishes `voice`, `gesture`, `decision`, `command` and `fusion_alive`."""

    PARAMETERS = (
        Declaration(
            'model',
            DEFAULT_NAME,
            "Model bundle: its folder, or its name, such as 'voice_gesture' (the newest version) "
            "or 'voice_gesture/1.0.0'.",
        ),
        Declaration(
            'runtime',
            'auto',
            "What runs the model: 'litert', 'tflite_runtime', or 'auto': the first that is there.",
        ),
        Declaration(
            'hop_ms', 40, 'Time between two inferences in ms; the policy counts in hops.', 10, 200
        ),
        Declaration(
            'policy_file',
            '',
            'Policy table. Empty: the config/policy.yaml of the package. Setting it, even to what '
            'it was, reads the file again.',
            read_only=False,
        ),
        *(
            Declaration(
                f'{head}_threshold_offset',
                0.0,
                f'Added to every {head} threshold of the policy: above 0 for fewer mistakes, '
                'below 0 for fewer repetitions.',
                -0.3,
                0.3,
                read_only=False,
            )
            for head in ('voice', 'gesture')
        ),
    )

    def __init__(self, **kwargs: Any) -> None:
        """
        Load the model and the policy and start listening.

        Raises:
            KwsImuError: a parameter, the model or the policy does not fit.

        """
        super().__init__('fusion', **kwargs)
        with self.destroyed_on_error():
            self._configure()

    def _configure(self) -> None:
        model, runtime, hop_ms = (self.declare(name) for name in ('model', 'runtime', 'hop_ms'))
        self._policy_file = self.declare('policy_file')
        self._offsets = tuple(
            self.declare(f'{head}_threshold_offset') for head in ('voice', 'gesture')
        )
        self._interpreter = _TimedInterpreter(load_bundle(find_bundle(model)), runtime, threads=1)
        self._labels = self._interpreter.manifest.labels
        self._effects: IntentEffects | None = None  # Of the command node's motion table.
        self._began_ns = time.monotonic_ns()
        self._sample_rate = self._interpreter.manifest.front_end.sample_rate
        self._pipeline = FusionPipeline(
            self._interpreter,
            self._load_policy(self._policy_file, *self._offsets),
            PipelineConfig(hop_ns=hop_ms * 1_000_000),
        )
        self._audio_rate, self._imu_rate, self._hop_rate = Rate(), Rate(), Rate()
        self._hop_durations, self._latencies = Durations(), Durations()
        self._bad_messages = dict.fromkeys(Modality, 0)
        self._trouble: dict[str, int] = {}  # sentence -> report number that saw it last
        self._reports = 0
        # What was seen by the newest reports, and how many audio messages could not be used.
        self._seen: deque[tuple[PipelineHealth, int]] = deque(maxlen=TROUBLE_SHOWN_S)
        self._outcomes = dict.fromkeys(Outcome, 0)
        self._heartbeat = LOST_SENSE  # The next one is the first.
        self._alive_ns = time.monotonic_ns()
        self._signs = SignsOfLife()
        # Steady time of each sense's newest sign of life, and of its newest message.
        self._lived_ns: dict[Modality, int] = {}
        self._arrived_ns: dict[Modality, int] = {}
        self._sense_lost_pulses = 0

        self._voice_publisher = self.create_publisher(
            Float32MultiArray, 'voice', qos_profile_sensor_data
        )
        self._gesture_publisher = self.create_publisher(
            Float32MultiArray, 'gesture', qos_profile_sensor_data
        )
        self._command_publisher = self.create_publisher(String, 'command', RELIABLE_QOS)
        self._decision_publisher = self.create_publisher(DiagnosticStatus, 'decision', DECISION_QOS)
        self._alive_publisher = self.create_publisher(
            UInt32, 'fusion_alive', qos_profile_sensor_data
        )
        self._diagnostics = DiagnosticsPublisher(self, self._report)
        self.add_on_set_parameters_callback(self._on_set_parameters)
        self._audio = AdaptingSubscription(
            self,
            Int16MultiArray,
            'audio',
            self._on_audio,
            AUDIO_QOS,
            remedy=_advise_audio,
            subscribe=self.create_sender_subscription,
        )
        self.create_sender_subscription(Imu, 'imu/data_raw', self._on_imu, IMU_INPUT_QOS)
        self._imu_neighbours = Neighbours(
            self, 'imu/data_raw', Imu, IMU_INPUT_QOS, remedy=_advise_imu
        )
        self.create_subscription(
            DiagnosticStatus, 'motion_table', self._on_motion_table, MOTION_TABLE_QOS
        )
        self.create_timer(ALIVE_PERIOD_S, self._on_alive_timer)
        manifest = self._interpreter.manifest
        self.get_logger().info(
            f'Listening with {manifest.name} {manifest.version} on {self._interpreter.runtime}.'
        )

    # Parameters

    def _load_policy(self, path: str, voice_offset: float, gesture_offset: float) -> Policy:
        """Return the policy of a file, bound to the model."""
        table = load_table(path or share_path('config', 'policy.yaml'))
        manifest = self._interpreter.manifest
        return Policy(
            with_offsets(table, voice_offset, gesture_offset), manifest.labels, manifest.thresholds
        )

    def _on_set_parameters(self, parameters: list[Parameter]) -> SetParametersResult:
        values = {parameter.name: parameter.value for parameter in parameters}
        path = values.get('policy_file', self._policy_file)
        offsets = tuple(
            values.get(f'{head}_threshold_offset', old)
            for head, old in zip(('voice', 'gesture'), self._offsets)
        )
        if 'policy_file' not in values and offsets == self._offsets:
            return SetParametersResult(successful=True)
        try:
            policy = self._load_policy(path, *offsets)
            self._check_new(policy.table)
        except KwsImuError as error:
            return SetParametersResult(successful=False, reason=str(error))
        self._policy_file, self._offsets = path, offsets
        self._pipeline.set_policy(policy)
        source = path or share_path('config', 'policy.yaml')
        self.get_logger().info(f'The policy was changed; it was read from {source}.')
        return SetParametersResult(successful=True)

    def _on_motion_table(self, message: DiagnosticStatus) -> None:
        """
        Compare the command node's table with the policy.

        Raises:
            KwsImuError: what means stop would not stop the robot. That ends this node, without
                whose heartbeat the robot stands.

        """
        effects = effects_from_message(message)
        self._compare_tables(self._pipeline.policy.table, effects)
        self._effects = effects

    def _check_new(self, table: PolicyTable) -> None:
        """Raise KwsImuError where it is not certain that stop stops by another policy."""
        if self._awaits_table():
            raise KwsImuError(f'{TABLE_AWAITED} Try again in a moment.')
        young = time.monotonic_ns() - self._began_ns < DISCOVERY_S * 1e9
        if self._effects is None and young:
            shipped = load_motion_table(share_path('config', 'motion.yaml')).effects()
            try:
                check_stop(table, shipped.stops, shipped.source)
            except KwsImuError as error:
                raise KwsImuError(
                    f'No command node is known yet, so try again in {DISCOVERY_S:g} s if yours has '
                    f'another table than the shipped one. {error}'
                ) from error
        self._compare_tables(table, self._effects)

    def _awaits_table(self) -> bool:
        """Return whether a command node is there whose table has yet to be compared."""
        return self._effects is None and self._count_publishers('motion_table') > 0

    def _count_publishers(self, topic: str) -> int:
        """Return how many publish a topic; in the graph, nothing is remapped."""
        return self.count_publishers(self.resolve_topic_name(topic))

    def _compare_tables(self, table: PolicyTable, effects: IntentEffects | None) -> None:
        """Warn of what the tables disagree on; raise KwsImuError where stop would not stop."""
        if effects is None:
            return
        check_stop(table, effects.stops, effects.source)
        for sentence in doubts(table, self._labels, effects.stops, effects.source):
            self.get_logger().warning(sentence)

    # Inputs

    def _on_audio(self, message: Int16MultiArray, sender: str | None) -> None:
        start_ns = time.perf_counter_ns()
        try:
            block = audio_block_from_message(message, self._sample_rate)
            steps = self._pipeline.push_audio(block, sender)
        except KwsImuError as error:
            self._on_bad_message(Modality.AUDIO, str(error))
            return
        self._audio_rate.add()
        self._look_for_life(Modality.AUDIO)
        if steps:
            self._publish(steps, start_ns)

    def _on_imu(self, message: Imu, sender: str | None) -> None:
        start_ns = time.perf_counter_ns()
        try:
            steps = self._pipeline.push_imu(
                imu_sample_from_message(message),
                self.get_clock().now().nanoseconds,
                sender,
            )
        except KwsImuError as error:
            self._on_bad_message(Modality.IMU, str(error))
            return
        self._imu_rate.add()
        self._look_for_life(Modality.IMU)
        if steps:
            self._publish(steps, start_ns)

    def _look_for_life(self, sense: Modality) -> None:
        """Note when a sense that sent something lived; a message that means nothing is no life."""
        self._arrived_ns[sense] = time.monotonic_ns()
        signs = self._pipeline.signs_of_life
        if signs.of(sense) != self._signs.of(sense):
            self._lived_ns[sense] = self._arrived_ns[sense]
            self._signs = signs

    def _on_bad_message(self, sense: Modality, sentence: str) -> None:
        """Count a message that cannot be used; log its sentence when that is news."""
        self._bad_messages[sense] += 1
        if sentence not in self._trouble:
            self.get_logger().warning(f'{sentence} The message was ignored.')
        if sentence in self._trouble or len(self._trouble) < 20:
            self._trouble[sentence] = self._reports

    # Outputs

    def _publish(self, steps: list[Step], start_ns: int) -> None:
        """Publish what hops brought; decisions first, for they move the robot."""
        for step in steps:
            if step.decision is not None:
                self._publish_decision(step.decision)
            self._hop_rate.add()
        self._hop_durations.add((time.perf_counter_ns() - start_ns) // len(steps))
        newest = steps[-1]
        self._latencies.add(self.get_clock().now().nanoseconds - newest.stamp_ns)
        for publisher, head in (
            (self._voice_publisher, 'voice'),
            (self._gesture_publisher, 'gesture'),
        ):
            if publisher.get_subscription_count():
                for step in steps:
                    publisher.publish(
                        posterior_to_message(self._labels[head], getattr(step, head), step.stamp_ns)
                    )

    def _publish_decision(self, decision: Decision) -> None:
        """Publish a decision, and its command when it is one."""
        if decision.outcome is Outcome.ACCEPT:
            self._command_publisher.publish(intent_to_message(decision.intent))
        self._decision_publisher.publish(decision_to_message(decision))
        self._outcomes[decision.outcome] += 1
        what = f'{decision.outcome} {decision.intent}'.strip()
        self.get_logger().info(f'{what} ({decision.rule}): {decision.reason}')

    def _on_alive_timer(self) -> None:
        """Publish a heartbeat, or that a sense was lost and the robot must stop."""
        self._look_for_lost_senses()
        if self._sense_lost_pulses > 0:
            self._sense_lost_pulses -= 1
            self._alive_publisher.publish(heartbeat_to_message(LOST_SENSE))
        elif not self._awaits_table():
            self._heartbeat = self._heartbeat.next()
            self._alive_publisher.publish(heartbeat_to_message(self._heartbeat))
        start_ns = time.perf_counter_ns()
        steps = self._pipeline.tick(self.get_clock().now().nanoseconds)
        if steps:
            self._publish(steps, start_ns)

    def _look_for_lost_senses(self) -> None:
        now_ns = time.monotonic_ns()
        late = (now_ns - self._alive_ns) / 1e9 - ALIVE_PERIOD_S
        self._alive_ns = now_ns
        if late > ALIVE_PERIOD_S:
            return  # It was us who slept; what the senses sent meanwhile is still in the queue.
        for sense, lived_ns in list(self._lived_ns.items()):
            if now_ns - lived_ns > SENSE_TIMEOUT_S * 1e9:
                del self._lived_ns[sense]
                self._sense_lost_pulses = SENSE_LOST_PULSES
                silent = now_ns - self._arrived_ns[sense] > SENSE_TIMEOUT_S * 1e9
                what = (
                    f'No {sense.value} comes any more'
                    if silent
                    else f'The {sense.value} sends but is not alive'
                )
                self.get_logger().warning(f'{what}; the robot is told to stop.')

    def _report(self, seconds: float) -> Report:
        """Return the diagnostics of the last `seconds`."""
        self._reports += 1
        health = self._pipeline.health
        bad_audio = self._bad_messages[Modality.AUDIO]
        earlier, bad_before = self._seen[0] if self._seen else (PipelineHealth(), 0)
        self._seen.append((health, bad_audio))
        recent = health.since(earlier)
        self._trouble = {
            sentence: seen
            for sentence, seen in self._trouble.items()
            if self._reports - seen <= TROUBLE_SHOWN_S
        }
        audio_mismatches, imu_mismatches = self._audio.look(), self._imu_neighbours.look()
        problems = [
            *audio_mismatches,
            *imu_mismatches,
            *self._trouble,
            *([TABLE_AWAITED] if self._awaits_table() else []),
            *recent.sentences(bool(audio_mismatches), bool(imu_mismatches), bad_audio - bad_before),
        ]
        deaf_and_blind = not (health.audio_present or health.imu_present)
        manifest = self._interpreter.manifest
        return Report(
            summary='Listening and watching.' if health.imu_present else 'Listening, without IMU.',
            errors=problems if deaf_and_blind else (),
            warnings=() if deaf_and_blind else problems,
            values={
                'model': f'{manifest.name} {manifest.version}',
                'runtime': self._interpreter.runtime,
                'audio rate (blocks/s)': f'{self._audio_rate.per_second(seconds):.1f}',
                'IMU rate (samples/s)': f'{self._imu_rate.per_second(seconds):.1f}',
                'hop rate (1/s)': f'{self._hop_rate.per_second(seconds):.1f}',
                'inference time (ms: median / p95 / longest)': (
                    self._interpreter.durations.describe_ms()
                ),
                'hop time (ms: median / p95 / longest)': self._hop_durations.describe_ms(),
                'latency from last sample (ms: median / p95 / longest)': (
                    self._latencies.describe_ms()
                ),
                'bad audio messages': bad_audio,
                'bad IMU messages': self._bad_messages[Modality.IMU],
                'audio gaps': health.audio_gaps,
                'audio samples filled': health.audio_filled_samples,
                'audio duplicates': health.audio_duplicates,
                'audio restarts': health.audio_restarts,
                'audio clock jumps': health.audio_clock_jumps,
                'audio senders': self._count_publishers('audio'),
                'IMU senders': self._count_publishers('imu/data_raw'),
                'IMU gaps': health.imu.gaps,
                'IMU clock jumps': health.imu.clock_jumps,
                'IMU clock skew (ms)': f'{health.imu_skew_ns / 1e6:.1f}',
                'accepted': self._outcomes[Outcome.ACCEPT],
                'rejected': self._outcomes[Outcome.REJECT],
                'asked': self._outcomes[Outcome.ASK],
            },
        )


def _advise_audio(_type: str) -> str:
    return (
        'publish 16 kHz mono as std_msgs/msg/Int16MultiArray in the layout of the microphone node, '
        'or remap the topic of one of the two'
    )


def _advise_imu(_type: str) -> str:
    return (
        'use a driver that publishes acceleration and rotation together as sensor_msgs/msg/Imu, or '
        'remap the topic of one of the two'
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the fusion node until it is told to end."""
    sys.exit(run_nodes(lambda nodes: nodes.append(FusionNode()), arguments, names=['fusion']))


if __name__ == '__main__':
    main()
