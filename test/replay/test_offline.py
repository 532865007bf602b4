"""The demo bag, offline: the right commands, no false ones, in time, and the same to the byte."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from pathlib import Path

import pytest

from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.replay.offline import load_controller, load_pipeline, replay_offline
from kws_imu_ros.replay.run_log import RunLog
from kws_imu_ros.replay.scenario import Judgement, judge, load_scenario

REPOSITORY = Path(__file__).resolve().parents[2]
DEMO = REPOSITORY / 'demo' / 'bag'
SCENARIO = REPOSITORY / 'demo' / 'scenario.yaml'
BLOCK_NS = 20_000_000


@pytest.fixture(scope='module')
def events(bundle_directory: Path) -> tuple[list[dict], RunLog]:
    """Return what an offline replay of the demo tells, and its log."""
    log = RunLog(load_scenario(SCENARIO))
    pipeline = load_pipeline(str(bundle_directory))
    told = [
        json.loads(event.to_json())
        for event in replay_offline(DEMO, pipeline, load_controller(), log)
    ]
    return told, log


@pytest.fixture(scope='module')
def judgement(events) -> Judgement:
    _, log = events
    return judge(log.scenario, log.judged_commands(), log.motions)


def event_names() -> list[str]:
    return [event.name for event in load_scenario(SCENARIO).events]


@pytest.mark.parametrize('name', event_names())
def test_each_event_of_the_demo_has_its_effect_and_no_other(judgement: Judgement, name: str):
    verdict = next(item for item in judgement.verdicts if item.event.name == name)
    assert verdict.passed, verdict.why


def test_no_command_falls_between_the_events(judgement: Judgement):
    assert judgement.stray == ()


def rules_in(judgement: Judgement, part_of_name: str) -> list[str]:
    (verdict,) = (item for item in judgement.verdicts if part_of_name in item.event.name)
    return [command.rule for command in verdict.commands]


def test_a_gesture_corrects_the_voiced_direction(judgement: Judgement):
    assert rules_in(judgement, 'hand swipes left')[-1] == 'gesture_corrects_voice'


def test_a_faint_word_needs_the_gesture_that_agrees(judgement: Judgement):
    assert rules_in(judgement, 'faint')[0] in ('agreement', 'fused_decides')


def test_the_hand_alone_stops_the_robot(judgement: Judgement):
    assert rules_in(judgement, 'hand swipes down') == ['stop_gesture']


def test_the_robot_is_at_rest_soon_after_each_stop(events):
    _, log = events
    stops = [command for command in log.judged_commands() if command.intent == 'stop']
    assert stops
    for stop in stops:
        before = [motion for motion in log.motions if motion.time_s <= stop.time_s]
        assert before[-1].linear_x > 0.0, 'it was driving'
        rest = next(
            motion.time_s
            for motion in log.motions
            if motion.time_s > stop.time_s and motion.linear_x == motion.angular_z == 0.0
        )
        # 0.3 m/s at 2 m/s^2 take 0.15 s; a control period comes on top, and a block until the
        # sound that decided has been heard to its end.
        assert rest - stop.time_s <= 0.25


def test_each_command_is_obeyed_on_the_block_that_decides_it(events):
    _, log = events
    for (decided_s, decision), (commanded_s, intent) in zip(
        [item for item in log.decisions if item[1].outcome == 'accept'], log.commands, strict=True
    ):
        assert decision.intent == intent
        assert 0.0 <= commanded_s - decided_s <= BLOCK_NS / 1e9


def test_the_robot_ends_at_rest_inside_the_arena(events):
    _, log = events
    assert log.velocity.linear_x == log.velocity.angular_z == 0.0
    assert max(abs(log.pose.x), abs(log.pose.y)) < 2.0
    assert log.distance() > 1.0


def test_the_summary_adds_up(events):
    told, log = events
    assert [event['event'] for event in told].count('summary') == 1
    summary = told[-1]
    assert summary['event'] == 'summary'
    assert sum(summary['commands'].values()) == len(log.commands)
    assert summary['audio_blocks'] == 2600
    assert summary['hops'] == 1300, 'one every 40 ms'
    assert summary['problems'] == []


def test_times_in_the_output_rise_from_the_start_of_the_bag(events):
    told, _ = events
    times = [event['t'] for event in told]
    assert 0.0 <= times[0]
    assert all(later >= earlier - BLOCK_NS / 1e9 for earlier, later in itertools.pairwise(times))


def offline(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, '-m', 'kws_imu_ros', 'replay', *arguments, '--offline', '--json'],
        cwd=REPOSITORY,
        capture_output=True,
        timeout=240,
    )


def test_two_processes_print_the_same_bytes_and_succeed(bundle_directory: Path):
    first, second = (offline(str(DEMO), '--model', str(bundle_directory)) for _ in range(2))
    assert first.returncode == 0, first.stderr
    assert first.stdout == second.stdout
    assert json.loads(first.stdout.splitlines()[-1])['scenario']['passed']
    assert b'times real time' in first.stderr


def test_a_bag_of_a_foreign_imu_alone_moves_nothing(test_data: Path, bundle_directory: Path):
    """A real driver, nobody gesturing: sound is missing, and nothing is commanded."""
    log = RunLog()
    bag = test_data / 'rosbags' / 'sparkfun_razor'
    told = list(replay_offline(bag, load_pipeline(str(bundle_directory)), load_controller(), log))
    assert told[-1].fields['imu_samples'] == 332
    assert told[-1].fields['audio_blocks'] == 0
    assert any('No audio' in problem for problem in told[-1].fields['problems'])
    assert told[-1].fields['hops'] > 50
    assert log.distance() == 0.0 or log.commands


def test_what_was_expected_and_did_not_happen_fails(tmp_path: Path, bundle_directory: Path):
    (tmp_path / 'scenario.yaml').write_text(
        'title: t\nduration_s: 52\nevents: [{name: a, window_s: [0, 1], expect: left}]'
    )
    result = offline(
        str(DEMO),
        '--model',
        str(bundle_directory),
        '--scenario',
        str(tmp_path / 'scenario.yaml'),
        '--picture',
        str(tmp_path / 'path.png'),
    )
    assert result.returncode == 1
    summary = json.loads(result.stdout.splitlines()[-1])
    assert summary['scenario']['wrong'] == {'a': 'expected left, nothing happened'}
    assert (tmp_path / 'path.png').read_bytes().startswith(b'\x89PNG')


def test_a_model_that_is_not_there_is_refused(tmp_path: Path):
    with pytest.raises(KwsImuError):
        load_pipeline(str(tmp_path / 'nothing'))


def test_tables_in_which_stop_does_not_stop_are_not_replayed(bundle_directory, tmp_path):
    motion = tmp_path / 'halt.yaml'
    text = (REPOSITORY / 'config' / 'motion.yaml').read_text()
    motion.write_text(text.replace('  stop: stop\n', '  halt: stop\n'))
    pipeline = load_pipeline(str(bundle_directory))
    with pytest.raises(KwsImuError, match=r"halt\.yaml: there is no intent 'stop'.*policy\.yaml"):
        list(replay_offline(DEMO, pipeline, load_controller(str(motion))))
    motion.write_text(text.replace('  left: left\n', ''))
    first = next(iter(replay_offline(DEMO, pipeline, load_controller(str(motion)))))
    assert (first.time_ns, first.kind) == (0, 'health')
    assert "The policy can mean 'left'" in first.fields['problems'][0]
