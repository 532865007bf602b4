"""
Offline replay: a bag straight into the pipeline, the motion controller and the kinematics.

The objects are those of the live graph, fed in the order of recording with the bag's time for a
clock, so the result is the same to the byte on every run, and comes far faster than real time. What
is left out is what only hardware has: delays, noise and walls.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from kws_imu_ros.audio.block import AudioBlock, blocks_of
from kws_imu_ros.audio.sound_file import is_sound_file, read_audio_file
from kws_imu_ros.bags.reading import (
    AUDIO_TOPIC,
    IMU_TOPIC,
    BadMessages,
    SensorMessage,
    absolute,
    read_sensors,
    summarize_bag,
    unusable_topics,
)
from kws_imu_ros.bags.timing import StampMapper, jump_sentence
from kws_imu_ros.decision.agreement import check_stop, doubts
from kws_imu_ros.decision.decision import Decision, Outcome
from kws_imu_ros.decision.policy import Policy
from kws_imu_ros.decision.table import load_table
from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.fusion.pipeline import FusionPipeline, Step
from kws_imu_ros.model.bundle import find_bundle, load_bundle
from kws_imu_ros.model.interpreter import Interpreter
from kws_imu_ros.motion.controller import MotionController, MotionState
from kws_imu_ros.motion.differential_drive import move
from kws_imu_ros.motion.profiles import load_motion_table
from kws_imu_ros.motion.velocity import Pose, Velocity
from kws_imu_ros.replay.run_log import RunLog
from kws_imu_ros.replay.scenario import Judgement, Motion
from kws_imu_ros.resources import share_path

CONTROL_PERIOD_NS = 50_000_000
HEALTH_PERIOD_NS = 1_000_000_000
# After the last message the robot may go on for the life of its last command.
LONGEST_TAIL_NS = 10_000_000_000
# A sense whose last message lies this close to the end of a bag ended with it.
END_NS = 2_000_000_000


@dataclass(frozen=True)
class ReplayEvent:
    """
    Something that happened in a replay.

    time_ns: from the start of the bag. kind: 'decision', 'command', 'motion', 'health' or
    'summary'. fields: what there is to say, in plain JSON types.
    """

    time_ns: int
    kind: str
    fields: dict[str, Any]

    def to_json(self) -> str:
        """Return one line of JSON, the same for the same event."""
        return json.dumps({'t': round(self.time_ns / 1e9, 6), 'event': self.kind, **self.fields})

    def to_line(self) -> str:
        """Return one line for people."""
        if self.kind == 'summary':
            return '\n'.join(_lines(name, value) for name, value in self.fields.items())
        if self.kind == 'decision':
            what = self.fields['intent'] or self.fields['outcome']
            text = f'{what} [{self.fields["rule"]}] {self.fields["reason"]}'
        elif self.kind == 'command':
            text = self.fields['reason']
        elif self.kind == 'motion':
            text = f'{self.fields["state"]} {self.fields["intent"]}'.rstrip()
        else:
            text = ' '.join(self.fields['problems']) or 'all is well'
        return f'{self.time_ns / 1e9:7.2f} s  {self.kind:<8}  {text}'


def load_pipeline(model: str = '', policy_file: str = '') -> FusionPipeline:
    """
    Return a pipeline of a bundle (name or folder) and a policy table; '' means the shipped one.

    Raises:
        KwsImuError: bundle or table are missing or wrong, or no runtime for the network is here.

    """
    interpreter = Interpreter(load_bundle(find_bundle(model) if model else find_bundle()))
    manifest = interpreter.manifest
    table = load_table(Path(policy_file) if policy_file else share_path('config', 'policy.yaml'))
    return FusionPipeline(interpreter, Policy(table, manifest.labels, manifest.thresholds))


def load_controller(motion_file: str = '') -> MotionController:
    """
    Return a motion controller at rest; '' means the shipped table.

    Raises:
        KwsImuError: the table is missing or wrong.

    """
    path = Path(motion_file) if motion_file else share_path('config', 'motion.yaml')
    return MotionController(load_motion_table(path))


def replay_offline(
    bag: Path,
    pipeline: FusionPipeline,
    controller: MotionController,
    log: RunLog | None = None,
    audio_topic: str = AUDIO_TOPIC,
    imu_topic: str = IMU_TOPIC,
) -> Iterator[ReplayEvent]:
    """
    Yield what happens when a bag is played, event by event and at last the summary.

    A message that cannot be used is left out, counted and told in the summary's problems.

    pipeline, controller: newly made; they are used up. log: filled on the way, for a picture or a
    verdict.

    Raises:
        KwsImuError: the bag cannot be read or has neither sense, or stop would not stop the robot
            by the tables of policy and motion.

    """
    summary = summarize_bag(bag)
    bad = BadMessages()
    notes = (*summary.notes, *unusable_topics(summary, audio_topic, imu_topic))
    replay = _Replay(
        pipeline, controller, log or RunLog(), (audio_topic, imu_topic), bad, notes, summary.end_ns
    )
    return replay.play(read_sensors(bag, audio_topic, imu_topic, bad))


def replay_input(
    path: Path,
    pipeline: FusionPipeline,
    controller: MotionController,
    topics: tuple[str, str] = (AUDIO_TOPIC, IMU_TOPIC),
) -> Iterator[ReplayEvent]:
    """
    Yield what happens when a bag or a sound file is played; see `replay_offline`.

    topics: of audio and IMU in a bag.

    Raises:
        KwsImuError: the input cannot be read, or stop would not stop the robot.

    """
    if not is_sound_file(path):
        yield from replay_offline(path, pipeline, controller, None, *topics)
        return
    # 0 is no time of a message; the events' times count from the first one.
    blocks = blocks_of(read_audio_file(path), 1_000_000_000)
    messages = (SensorMessage(block.stamp_ns, block) for block in blocks)
    yield from replay_messages(messages, pipeline, controller)


def replay_messages(
    messages: Iterable[SensorMessage],
    pipeline: FusionPipeline,
    controller: MotionController,
    log: RunLog | None = None,
) -> Iterator[ReplayEvent]:
    """
    Yield what happens when messages come in this order; see `replay_offline`.

    Raises:
        KwsImuError: stop would not stop the robot by the tables of policy and motion.

    """
    return _Replay(pipeline, controller, log or RunLog()).play(messages)


class _Replay:
    """The state of one replay."""

    def __init__(
        self,
        pipeline: FusionPipeline,
        controller: MotionController,
        log: RunLog,
        topics: tuple[str, str] = (AUDIO_TOPIC, IMU_TOPIC),
        bad: BadMessages | None = None,
        notes: Sequence[str] = (),
        end_ns: int | None = None,
    ) -> None:
        """
        Start at rest.

        topics: names of audio and IMU, for people. bad: takes what the pipeline refuses, beside
        what the reader does. notes: what is known of the bag already. end_ns: time of recording of
        its last message, None where that is not known.
        """
        self._topics = topics
        self._bad = BadMessages() if bad is None else bad
        self._notes = tuple(notes)
        self._end_ns = end_ns
        self._newest_ns: dict[str, int] = {}
        self._pipeline = pipeline
        self._controller = controller
        self._log = log
        self._stamps = StampMapper()
        self._digest = hashlib.sha256()
        self._outcomes: Counter[Outcome] = Counter()
        self._pose = Pose()
        self._velocity = Velocity()
        self._state = MotionState.STANDING
        self._moved_ns = 0
        self._told: set[str] = set()
        labels = pipeline.labels
        self._voice_labels = tuple(labels['voice'])
        self._gesture_labels = tuple(labels['gesture'])
        table, effects = pipeline.policy.table, controller.table.effects()
        check_stop(table, effects.stops, effects.source)
        self._doubts = doubts(table, labels, effects.stops, effects.source)

    def play(self, messages: Iterable[SensorMessage]) -> Iterator[ReplayEvent]:
        if self._doubts:
            yield ReplayEvent(0, 'health', {'problems': self._doubts})
        now_ns = control_ns = 0
        health_ns = HEALTH_PERIOD_NS
        for message in messages:
            now_ns = message.stamp_ns
            if self._log.start_ns is None:
                self._log.start_ns = self._moved_ns = control_ns = now_ns
                health_ns = now_ns + HEALTH_PERIOD_NS
            while control_ns <= now_ns:
                yield from self._control(control_ns)
                if control_ns >= health_ns:
                    yield from self._look_after_health(control_ns)
                    health_ns += HEALTH_PERIOD_NS
                control_ns += CONTROL_PERIOD_NS
            for step in self._push(message):
                yield from self._take(step, now_ns)
        end_ns = now_ns
        while (
            self._state in (MotionState.DRIVING, MotionState.STOPPING)
            and control_ns < end_ns + LONGEST_TAIL_NS
        ):
            yield from self._control(control_ns)
            control_ns += CONTROL_PERIOD_NS
        yield self._summary(end_ns)

    def _push(self, message: SensorMessage) -> list[Step]:
        content = message.content
        topic = self._topics[0 if isinstance(content, AudioBlock) else 1]
        self._newest_ns[topic] = message.stamp_ns
        stamp_ns = self._stamps.map(topic, message.stamp_ns, content.stamp_ns)
        if stamp_ns != content.stamp_ns:
            content = replace(content, stamp_ns=stamp_ns)
        try:
            if isinstance(content, AudioBlock):
                return self._pipeline.push_audio(content)
            return self._pipeline.push_imu(content, message.stamp_ns)
        except KwsImuError as error:
            self._bad.add(topic, message.stamp_ns, str(error))
            return []

    def _take(self, step: Step, now_ns: int) -> Iterator[ReplayEvent]:
        log = self._log
        for posterior in (step.voice, step.gesture, step.intent):
            self._digest.update(posterior.tobytes())
        log.voice = (self._voice_labels, step.voice)
        log.gesture = (self._gesture_labels, step.gesture)
        log.level_dbfs = step.level_dbfs
        log.posteriors.append((log.time_of(step.stamp_ns), step.voice, step.gesture))
        decision = step.decision
        if decision is None:
            return
        time_s = log.time_of(decision.stamp_ns)
        log.decisions.append((time_s, decision))
        self._outcomes[decision.outcome] += 1
        yield self._event(decision.stamp_ns, 'decision', _decision_fields(decision))
        if decision.outcome is not Outcome.ACCEPT:
            return
        result = self._controller.command(decision.intent, now_ns, now_ns)
        log.commands.append((log.time_of(now_ns), decision.intent))
        yield self._event(
            now_ns,
            'command',
            {'intent': decision.intent, 'accepted': result.accepted, 'reason': result.reason},
        )
        # As the command node does: start and stop are felt at once, not at the next period.
        yield from self._control(now_ns)

    def _control(self, now_ns: int) -> Iterator[ReplayEvent]:
        for step in self._pipeline.tick(now_ns):
            yield from self._take(step, now_ns)
        log, controller = self._log, self._controller
        self._pose = move(self._pose, self._velocity, (now_ns - self._moved_ns) / 1e9)
        self._moved_ns = now_ns
        controller.heartbeat(now_ns)
        velocity = self._velocity = controller.update(now_ns)
        log.now_s = time_s = log.time_of(now_ns)
        log.velocity, log.pose = velocity, self._pose
        log.motions.append(Motion(time_s, velocity.linear_x, velocity.angular_z))
        log.path.append((time_s, self._pose))
        if controller.state != self._state:
            self._state = controller.state
            yield self._event(
                now_ns,
                'motion',
                {
                    'state': self._state,
                    'intent': controller.active_intent,
                    **_rounded(asdict(velocity)),
                    'pose': _rounded(asdict(self._pose)),
                },
            )

    def _problems(self, now_ns: int) -> list[str]:
        """Return what is wrong so far, one sentence each."""
        start_ns = self._log.start_ns or 0
        health = self._pipeline.health
        mixed = dict(zip(self._topics, (health.audio_mixed, health.imu.mixed)))
        jumps = [
            jump_sentence(absolute(topic), jump, start_ns)
            for topic, found in self._stamps.jumps.items()
            for jump in found
            if not mixed.get(topic)  # Two senders, each with a clock of its own.
        ]
        audio, imu = (self._ended(topic, now_ns) for topic in self._topics)
        health = replace(
            health,
            audio_present=health.audio_present or audio,
            imu_present=health.imu_present or imu,
        )
        told = ' '.join((*self._notes, *self._bad.sentences(start_ns)))
        audio_topic, imu_topic = (f' {absolute(topic)} ' for topic in self._topics)
        sentences = health.sentences(
            audio_explained=health.audio_blocks == 0 and audio_topic in told,
            imu_explained=health.imu.received == 0 and imu_topic in told,
            audio_left_out=self._bad.count(self._topics[0]),
        )
        return [*self._notes, *self._bad.sentences(start_ns), *jumps, *sentences]

    def _ended(self, topic: str, now_ns: int) -> bool:
        """Return whether a sense fell silent because the bag ends."""
        end_ns = now_ns if self._end_ns is None else self._end_ns
        return end_ns - self._newest_ns.get(topic, end_ns) < END_NS

    def _look_after_health(self, now_ns: int) -> Iterator[ReplayEvent]:
        """Tell what has gone wrong or come right, but not each time that a count grows."""
        problems = self._problems(now_ns)
        told = {re.sub(r'[-+]?\d[\d.]*', '0', sentence) for sentence in problems}
        if told != self._told:
            self._told = told
            yield self._event(now_ns, 'health', {'problems': problems})

    def _summary(self, end_ns: int) -> ReplayEvent:
        log = self._log
        health = self._pipeline.health
        commands: Counter[str] = Counter(intent for _, intent in log.commands)
        return self._event(
            end_ns,
            'summary',
            {
                'hops': health.hops,
                'audio_blocks': health.audio_blocks,
                'imu_samples': health.imu.received,
                'decisions': {name.value: count for name, count in sorted(self._outcomes.items())},
                'commands': dict(sorted(commands.items())),
                'distance_m': round(log.distance(), 6),
                'pose': _rounded(asdict(self._pose)),
                'problems': self._problems(end_ns),
                'posteriors_sha256': self._digest.hexdigest(),
            },
        )

    def _event(self, stamp_ns: int, kind: str, fields: dict[str, Any]) -> ReplayEvent:
        return ReplayEvent(stamp_ns - (self._log.start_ns or 0), kind, fields)


def judgement_fields(judgement: Judgement) -> dict[str, Any]:
    """Return a verdict in plain JSON types."""
    return {
        'passed': judgement.passed,
        'as_expected': sum(verdict.passed for verdict in judgement.verdicts),
        'events': len(judgement.verdicts),
        'wrong': {v.event.name: v.why for v in judgement.verdicts if not v.passed},
        'stray': [[round(c.time_s, 6), c.intent] for c in judgement.stray],
    }


def _decision_fields(decision: Decision) -> dict[str, Any]:
    return {
        'outcome': decision.outcome,
        'intent': decision.intent,
        'rule': decision.rule,
        'reason': decision.reason,
        **{
            name: [score.label, round(float(score.score), 6)]
            for name, score in (
                ('heard', decision.heard),
                ('seen', decision.seen),
                ('fused', decision.fused),
            )
        },
    }


def _lines(name: str, value: Any) -> str:
    """Return a field of the summary for people: sentences one below the other."""
    if value in ([], {}):
        return f'{name}: none'
    if isinstance(value, list):
        return '\n'.join([f'{name}:', *(f'  {item}' for item in value)])
    if isinstance(value, dict):
        pairs = (f'{key} {item if item not in ([], {}) else "none"}' for key, item in value.items())
        return f'{name}: {", ".join(pairs)}'
    return f'{name}: {value}'


def _rounded(values: dict[str, float]) -> dict[str, float | None]:
    # Minus zero is zero to people.
    return {
        name: round(value, 6) if math.isfinite(value) else None for name, value in values.items()
    }
