"""The choreographer node in a real graph: beats, who may end a dance, composing, and its death."""

from __future__ import annotations

import re
import signal
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not installed')

from conftest import Probe
from diagnostic_msgs.msg import DiagnosticArray
from person import LONG_LIFE, PATIENT, WIDE_ARENA, Person
from rclpy.parameter import Parameter
from std_msgs.msg import Bool, Float32, String, UInt32
from std_srvs.srv import Trigger

from kws_imu_ros.choreography.choreography import Choreography, Move
from kws_imu_ros.choreography.file import load_choreography, parse_choreography, save_choreography
from kws_imu_ros.decision.decision import Decision, Outcome, Rule, Score
from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.messages.decision import decision_to_message
from kws_imu_ros.nodes import choreographer_node
from kws_imu_ros.nodes.choreographer_node import ChoreographerNode, State, main
from kws_imu_ros.nodes.runtime.qos import CHOREOGRAPHY_QOS, DECISION_QOS, EMERGENCY_STOPPED_QOS

# Short beats; what drives is fast enough for them.
QUICK = Choreography(
    'Quick',
    300.0,
    2,
    (Move(1.0, 4.0, robot='up'), Move(5.0, 4.0, robot='down'), Move(9.0, 1.0, robot='stop')),
)
NOBODY = Score('', 0.0)


class Stage:
    """A choreographer among a probe that takes commands and plays the rest of the robot."""

    def __init__(self, probe: Probe, context) -> None:
        self.probe = probe
        self.context = context
        self.nodes: list[ChoreographerNode] = []
        self.commands = probe.record(String, 'command')
        self.beats = probe.record(UInt32, 'beat')
        self.texts = probe.record(String, 'choreography', CHOREOGRAPHY_QOS)
        node = probe.node
        self.command = node.create_publisher(String, 'command', 10)
        self.decision = node.create_publisher(
            type(decision_to_message(decided('up', 0))), 'decision', DECISION_QOS
        )
        self.emergency = node.create_publisher(Bool, 'emergency_stopped', EMERGENCY_STOPPED_QOS)
        self.alive = node.create_publisher(UInt32, 'fusion_alive', 10)
        self.seek = node.create_publisher(Float32, 'choreographer/seek', 10)

    def enter(self, dance: Choreography | Path | None = QUICK, **parameters) -> ChoreographerNode:
        """Return a choreographer that knows a dance, or the file of one."""
        path = dance
        if isinstance(dance, Choreography):
            path = self.folder / 'dance.yaml'
            save_choreography(path, dance)
        given = {'choreography': str(path or ''), 'metronome': False, **parameters}
        node = ChoreographerNode(
            context=self.context,
            parameter_overrides=[Parameter(name, value=value) for name, value in given.items()],
        )
        self.probe.add_node(node)
        self.nodes.append(node)
        publishers = (self.command, self.decision, self.emergency, self.alive, self.seek)
        assert self.until(lambda: all(item.get_subscription_count() for item in publishers))
        # Known to have come first, where it did.
        assert self.until(lambda: node._now_ns() - node._born_ns > 1_100_000_000)
        return node

    def ask(self, what: str, name: str = 'choreographer') -> tuple[bool, str]:
        """Return what a service answers."""
        answer = self.probe.call(Trigger, f'{name}/{what}', Trigger.Request())
        return answer.success, answer.message

    def until(self, condition) -> bool:
        return self.probe.spin_until(condition)

    @property
    def intents(self) -> list[str]:
        return [message.data for message in self.commands]


@pytest.fixture
def stage(probe, ros_context, tmp_path):
    stage = Stage(probe, ros_context)
    stage.folder = tmp_path
    yield stage
    for node in stage.nodes:
        probe.executor.remove_node(node)
        node.destroy_node()


def decided(intent: str, stamp_ns: int, rule: Rule = Rule.VOICE) -> Decision:
    return Decision(
        stamp_ns=stamp_ns,
        outcome=Outcome.ACCEPT,
        intent=intent,
        rule=rule,
        reason='for a test',
        heard=NOBODY,
        seen=NOBODY,
        fused=NOBODY,
    )


def test_it_dances_from_the_first_beat_to_the_last(stage):
    node = stage.enter()
    assert stage.until(lambda: stage.texts)
    assert parse_choreography(stage.texts[-1].data) == QUICK
    assert stage.ask('start')[0]
    assert stage.until(lambda: node.state is State.ENDED)
    assert stage.until(lambda: stage.intents == ['up', 'down', 'stop'])
    beats = [message.data for message in stage.beats]
    # What a machine that was held up has missed is not told late.
    assert beats == sorted(beats) and beats[0] == 0 and beats[-1] in (9, 10)
    assert len(beats) + node._lost_beats >= 11


def test_the_moments_are_those_of_the_beats(stage):
    node = stage.enter()
    moments: list[int] = []
    send = node._send
    node._send = lambda intent: (moments.append(time.monotonic_ns()), send(intent))
    assert stage.ask('start')[0]
    assert stage.until(lambda: node.state is State.ENDED)
    due = [node._player.beat_ns(beat) for beat in (1.0, 5.0, 9.0)]
    # Never early; how late is for the benchmark, which is no pass or fail.
    assert all(moment >= beat_ns for moment, beat_ns in zip(moments, due, strict=True))


@pytest.mark.parametrize('who', ['voice', 'another sender', 'emergency stop', 'a lost sense'])
def test_whoever_says_stop_ends_the_dance(stage, who):
    node = stage.enter()
    assert stage.ask('start')[0]
    assert stage.until(lambda: 'up' in stage.intents)
    if who == 'voice':
        stamp_ns = stage.probe.node.get_clock().now().nanoseconds
        stage.decision.publish(decision_to_message(decided('stop', stamp_ns)))
    elif who == 'another sender':
        stage.command.publish(String(data='stop'))
    elif who == 'emergency stop':
        stage.emergency.publish(Bool(data=True))
    else:
        stage.alive.publish(UInt32(data=0))
    assert stage.until(lambda: node.state is State.STOPPED)
    assert 'has ended on beat' in node._reason
    assert 'down' not in stage.intents
    if who == 'emergency stop':
        assert stage.ask('start') == (
            False,
            'The emergency stop is engaged; release it to dance.',
        )


def test_a_dance_that_begins_by_itself_waits_for_the_senses(stage, monkeypatch):
    # Here fusion speaks when it is told to, however long that takes on this machine.
    monkeypatch.setattr(choreographer_node, 'FUSION_SILENT_NS', 1 << 62)
    slow = Choreography('Slow', 20.0, 16, (Move(1.0, 4.0, robot='up'),))
    node = stage.enter(slow, start_at_once=True)
    assert node.state is State.WAITING, 'fusion was not heard yet'
    stage.alive.publish(UInt32(data=1))
    assert stage.until(lambda: node.state is State.PLAYING)
    stage.alive.publish(UInt32(data=0))
    assert stage.until(lambda: node.state is State.WAITING)
    stage.alive.publish(UInt32(data=2))
    assert stage.until(lambda: node.state is State.PLAYING)
    # A person's stop is one, also while counting in.
    stage.command.publish(String(data='stop'))
    assert stage.until(lambda: node.state is State.STOPPED)
    assert 'up' not in stage.intents


def test_its_own_stop_does_not_end_the_dance(stage):
    rests = Choreography(
        'Rests', 300.0, 1, (Move(1.0, 2.0, robot='up'), Move(5.0, 3.0, robot='down'))
    )
    node = stage.enter(rests)
    assert stage.ask('start')[0]
    assert stage.until(lambda: node.state is State.ENDED)
    assert stage.until(lambda: len(stage.intents) == 4)
    assert stage.intents == ['up', 'stop', 'down', 'stop']


def test_a_dance_is_held_goes_on_and_is_ended(stage):
    node = stage.enter()
    assert stage.ask('pause') == (False, 'The robot does not dance; there is nothing to hold.')
    assert stage.ask('start')[0]
    assert stage.ask('start') == (False, 'The robot dances already.')
    assert stage.until(lambda: 'up' in stage.intents)
    assert stage.ask('pause')[0]
    assert stage.until(lambda: stage.intents[-1] == 'stop')
    assert node.state is State.PAUSED
    assert stage.ask('start')[0]
    assert stage.until(lambda: stage.intents.count('up') == 2)
    assert stage.ask('stop')[0]
    assert stage.until(lambda: stage.intents[-1] == 'stop')
    assert stage.ask('stop') == (False, 'The robot does not dance.')
    assert node.state is State.STOPPED


def test_seeking_leads_to_a_beat_of_the_dance_and_to_no_other(stage):
    node = stage.enter()
    for beat in (float('nan'), 0.5, -1e9, float('inf'), 10.5):
        stage.seek.publish(Float32(data=beat))
    stage.seek.publish(Float32(data=9.0))
    assert stage.until(lambda: node.state is State.PAUSED)
    assert stage.ask('start')[0]
    assert stage.until(lambda: node.state is State.ENDED)
    assert stage.intents.count('up') == 0


def test_a_late_beat_is_told_and_not_made_up_for(stage):
    node = stage.enter()
    assert stage.ask('start')[0]
    assert stage.until(lambda: 'up' in stage.intents)
    # Held up from before `down` until half of it is over.
    time.sleep(max(0.0, (node._player.beat_ns(7.5) - time.monotonic_ns()) / 1e9))
    assert stage.until(lambda: node.state is State.ENDED)
    assert node._lost >= 1
    assert 'down' not in stage.intents
    assert node._lost_beats >= 2
    report = node._report(1.0)
    assert report.values['lost moves'] >= 1
    assert any('left out; this machine is too busy' in item for item in report.warnings)


def test_a_second_choreographer_does_not_play(stage):
    first = stage.enter()
    other = stage.folder / 'other.yaml'
    save_choreography(other, QUICK)
    second = ChoreographerNode(
        context=stage.context,
        cli_args=['--ros-args', '-r', '__node:=second'],
        parameter_overrides=[
            Parameter('choreography', value=str(other)),
            Parameter('metronome', value=False),
        ],
    )
    stage.probe.add_node(second)
    stage.nodes.append(second)
    assert stage.until(lambda: first.count_publishers('/choreography') == 2)
    for what in ('start', 'compose'):
        done, sentence = stage.ask(what, 'second')
        assert not done
        assert 'Another choreographer is at work on this robot' in sentence
    assert any('Another choreographer' in item for item in second._report(1.0).warnings)
    assert stage.ask('start')[0]


def test_nobody_who_takes_commands_is_told(ros_context, tmp_path):
    path = tmp_path / 'dance.yaml'
    save_choreography(path, QUICK)
    node = ChoreographerNode(
        context=ros_context, parameter_overrides=[Parameter('choreography', value=str(path))]
    )
    try:
        with pytest.raises(KwsImuError, match='Nobody listens to command'):
            node._start()
    finally:
        node.destroy_node()


def test_a_dance_is_composed_of_decisions_at_their_own_time(stage):
    node = stage.enter(None, tempo=120.0, metre=1, name='Ours')
    assert stage.ask('compose')[0]
    assert stage.ask('start')[0] is False
    beat_ns = node._composer.beat_ns
    clock = stage.probe.node.get_clock()
    for beat, intent, rule in (
        (1, 'left', Rule.VOICE),
        (3, 'right', Rule.VOICE),
        (3, 'up', Rule.GESTURE_CORRECTS_VOICE),
        (5, 'stop', Rule.VOICE),
    ):
        # Decided a moment after it was said, and told later than that: its stamp counts.
        assert stage.until(lambda beat=beat: time.monotonic_ns() > beat_ns(beat) + 900_000_000)
        age_ns = time.monotonic_ns() - (beat_ns(beat) + 400_000_000)
        stamp_ns = clock.now().nanoseconds - age_ns
        stage.decision.publish(decision_to_message(decided(intent, stamp_ns, rule)))
    assert stage.until(lambda: len(node._dance.phrases) == 1)
    assert stage.ask('save') == (
        False,
        'There is no file to write; set the parameter save_to.',
    )
    assert stage.ask('stop')[0] is True or node.state is State.STOPPED
    dance = node._dance
    assert [(move.beat, move.beats, move.robot) for move in dance.moves] == [
        (1.0, 2.0, 'left'),
        (3.0, 2.0, 'up'),
    ]
    assert stage.until(lambda: parse_choreography(stage.texts[-1].data) == dance)


def test_what_is_saved_is_whole_and_takes_nobody_elses_place(stage):
    path = stage.folder / 'ours.yaml'
    stage.enter(None, save_to=str(path))
    assert stage.ask('compose')[0]
    assert stage.ask('save') == (True, f'{path}: 0 moves.')
    assert load_choreography(path).moves == ()
    path.write_text('somebody else was here\n')
    done, sentence = stage.ask('save')
    assert not done
    assert f'{path} holds another dance' in sentence
    assert path.read_text() == 'somebody else was here\n'


def test_an_empty_dance_is_not_danced(stage):
    stage.enter(None)
    assert stage.ask('start') == (
        False,
        'The dance is empty; name a choreography, or compose one.',
    )


@pytest.mark.parametrize(
    ('text', 'sentence'),
    [
        (None, 'no choreography|does not exist|No such'),
        ('schema: 1\n', 'name'),
        ('a: [', 'YAML'),
        (
            'schema: 1\nname: a\nbeats_per_minute: 60\nmoves: [{beat: 1, beats: 1, robot: fly}]\n',
            'fly',
        ),
        (
            'schema: 1\nname: a\nbeats_per_minute: 240\n'
            'moves: [{beat: 1, beats: 1, robot: left}]\n',
            'needs 1.8 s and gets 0.25 s',
        ),
    ],
)
def test_a_dance_that_cannot_be_danced_ends_the_process_in_one_sentence(
    capfd, tmp_path, text, sentence
):
    path = tmp_path / 'dance.yaml'
    if text is not None:
        path.write_text(text)
    with pytest.raises(SystemExit) as ended:
        main(['choreographer', '--ros-args', '-p', f'choreography:={path}'])
    assert ended.value.code == 2
    told = capfd.readouterr().err
    assert re.search(sentence, told)
    assert 'Traceback' not in told


def test_a_choreographer_killed_at_work_leaves_a_robot_that_stands(processes, probe, tmp_path):
    """It drives no longer than the last command lives, and the command node says why."""
    path = tmp_path / 'dance.yaml'
    save_choreography(path, Choreography('Long', 60.0, 1, (Move(1.0, 60.0, robot='up'),)))
    processes.start('-m', 'kws_imu_ros.nodes.command_node', '--ros-args', *PATIENT)
    processes.start('-m', 'kws_imu_ros.nodes.simulated_robot_node', '--ros-args', *WIDE_ARENA)
    health = probe.record(DiagnosticArray, '/diagnostics')
    person = Person(probe, pulse=True)
    given = probe.record(String, 'command')
    child = processes.start(
        *('-m', 'kws_imu_ros.nodes.choreographer_node', '--ros-args'),
        *('-p', f'choreography:={path}', '-p', 'start_at_once:=true', '-p', 'metronome:=false'),
    )
    assert person.until(person.sees_motion)
    child.send_signal(signal.SIGKILL)
    killed_ns = probe.node.get_clock().now().nanoseconds
    assert given
    # The last command was given before it was killed, and lives three seconds.
    person.assert_rests_after(killed_ns, 3.0 + 0.5)

    def told() -> bool:
        return any(
            "the life of the command 'up' is over" in status.message
            for message in health
            for status in message.status
            if status.name == 'command'
        )

    assert person.until(told)


def test_ctrl_c_of_a_choreographer_at_work_stops_the_robot(processes, probe, tmp_path):
    path = tmp_path / 'dance.yaml'
    save_choreography(path, Choreography('Long', 60.0, 1, (Move(1.0, 60.0, robot='up'),)))
    processes.start('-m', 'kws_imu_ros.nodes.command_node', '--ros-args', *PATIENT, *LONG_LIFE)
    person = Person(probe, pulse=True)
    given = probe.record(String, 'command')
    child = processes.start(
        *('-m', 'kws_imu_ros.nodes.choreographer_node', '--ros-args'),
        *('-p', f'choreography:={path}', '-p', 'start_at_once:=true', '-p', 'metronome:=false'),
    )
    assert person.until(person.commands_motion)
    child.send_signal(signal.SIGINT)
    assert person.until(lambda: given and given[-1].data == 'stop')
    assert child.wait() == 0
    assert 'Traceback' not in child.output


def test_a_set_or_simulated_clock_moves_no_beat(stage):
    node = stage.enter(use_sim_time=True)
    assert node.get_clock().now().nanoseconds == 0, 'nobody publishes /clock'
    assert stage.ask('start')[0]
    assert stage.until(lambda: node.state is State.ENDED)
    assert stage.intents[-1] == 'stop'


def test_the_metronome_is_silent_where_there_is_no_loudspeaker():
    from kws_imu_ros.audio.metronome import BEAT_HZ, Metronome, click_sound

    click = click_sound(BEAT_HZ)
    assert np.abs(click).max() < 0.5
    metronome = Metronome()
    heard = np.full((len(click) + 10, 1), np.nan, np.float32)
    metronome.click(False)
    metronome._fill(heard[:100], 100, None, None)
    metronome._fill(heard[100:], len(click) - 90, None, None)
    assert np.array_equal(heard[: len(click), 0], click)
    assert not heard[len(click) :].any()
    metronome.close()


def test_what_cannot_be_written_is_not_lost(stage):
    node = stage.enter(None, save_to='/proc/nowhere/ours.yaml', metre=1)
    assert stage.ask('compose')[0]
    node._composer.push('left', node._composer.beat_ns(1.0) + 400_000_000)
    done, sentence = stage.ask('save')
    assert not done
    assert 'cannot be written' in sentence
    assert [move.robot for move in node._dance.moves] == ['left']
