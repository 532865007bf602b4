"""A scenario says what must and must not happen; the judge finds every deviation."""

from __future__ import annotations

from pathlib import Path

import pytest

from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.replay.scenario import (
    Command,
    Motion,
    Scenario,
    ScenarioEvent,
    judge,
    load_scenario,
)

REPOSITORY = Path(__file__).resolve().parents[2]

GO = ScenarioEvent('go', 1.0, 2.0, 'go')
CORRECTED = ScenarioEvent('right, swipe left', 3.0, 5.0, 'left', before=('right',))
NOISE = ScenarioEvent('noise', 6.0, 7.0, '')
STOP = ScenarioEvent('stop', 8.0, 10.0, 'stop', still_within_s=0.5)


def verdict(event: ScenarioEvent, *commands: tuple[float, str], motions=()) -> str:
    """Return the judge's word on one event."""
    scenario = Scenario('', 10.0, (event,))
    judgement = judge(scenario, [Command(*command) for command in commands], motions)
    assert judgement.verdicts[0].passed == (judgement.verdicts[0].why == 'as expected')
    return judgement.verdicts[0].why


def test_the_shipped_scenario_has_all_that_a_demo_must_show():
    scenario = load_scenario(REPOSITORY / 'demo' / 'scenario.yaml')
    expected = [event.expect for event in scenario.events]
    assert {'go', 'left', 'right', 'up', 'down', 'yes', 'no', 'stop'} <= set(expected)
    assert expected.count('') >= 3
    assert any(event.before == ('right',) and event.expect == 'left' for event in scenario.events)
    assert any(event.still_within_s for event in scenario.events if event.expect == 'stop')
    assert len({event.name for event in scenario.events}) == len(scenario.events)


def test_the_expected_command_passes():
    assert verdict(GO, (1.5, 'go')) == 'as expected'


@pytest.mark.parametrize(
    ('commands', 'why'),
    [
        ([], 'nothing happened'),
        ([(1.5, 'stop')], 'ended with stop'),
        ([(1.2, 'go'), (1.5, 'stop')], 'ended with stop'),
        ([(1.2, 'stop'), (1.5, 'go')], 'stop before go'),
        ([(1.2, 'go'), (1.5, 'go')], 'go before go'),
        ([(2.0, 'go')], 'nothing happened'),
    ],
)
def test_another_command_too_many_or_none_fails(commands, why: str):
    assert why in verdict(GO, *commands)


def test_a_correction_may_or_may_not_follow_the_voiced_direction():
    assert verdict(CORRECTED, (3.5, 'right'), (4.2, 'left')) == 'as expected'
    assert verdict(CORRECTED, (3.5, 'left')) == 'as expected'
    assert 'ended with right' in verdict(CORRECTED, (3.5, 'right'))
    assert 'ended with right' in verdict(CORRECTED, (3.5, 'left'), (4.0, 'right'))


def test_where_nothing_is_expected_any_command_fails():
    assert verdict(NOISE) == 'as expected'
    assert 'expected no command, got go' in verdict(NOISE, (6.5, 'go'))


def test_a_command_in_no_window_is_a_stray_one():
    judgement = judge(Scenario('', 10.0, (GO,)), [Command(1.5, 'go'), Command(2.5, 'left')])
    assert judgement.verdicts[0].passed
    assert [command.intent for command in judgement.stray] == ['left']
    assert not judgement.passed


def test_the_robot_must_stand_in_time_after_a_stop():
    def drive(*samples: tuple[float, float]) -> str:
        return verdict(STOP, (8.2, 'stop'), motions=[Motion(t, v, 0.0) for t, v in samples])

    assert drive((8.0, 0.2), (8.3, 0.1), (8.6, 0.0), (9.5, 0.0)) == 'as expected'
    assert 'still moved' in drive((8.0, 0.2), (8.3, 0.1), (8.8, 0.05), (9.0, 0.0))
    assert 'still moved' in drive((8.0, 0.2), (8.6, 0.1))
    assert 'still moved' in drive((8.3, 0.0), (9.5, 0.1))
    # After the event's window the robot may move again.
    assert drive((8.3, 0.0), (10.0, 0.2)) == 'as expected'
    assert 'no velocity was seen' in drive()


def test_a_late_machine_is_given_its_delay_before_the_robot_must_stand():
    motions = [Motion(8.0, 0.2, 0.0), Motion(9.0, 0.2, 0.0), Motion(9.6, 0.0, 0.0)]
    scenario = Scenario('', 10.0, (STOP,))
    (late,) = judge(scenario, [Command(8.2, 'stop', 'stop', 9.2)], motions).verdicts
    assert late.passed, late.why
    (slow,) = judge(scenario, [Command(8.2, 'stop', 'stop', 8.3)], motions).verdicts
    assert 'still moved' in slow.why


def test_the_rule_behind_a_command_can_be_asked_for():
    event = ScenarioEvent('faint', 1.0, 2.0, 'go', by=('agreement',))
    scenario = Scenario('', 10.0, (event,))

    def why(rule: str) -> str:
        return judge(scenario, [Command(1.5, 'go', rule)]).verdicts[0].why

    assert why('agreement') == 'as expected'
    assert why('voice') == 'go by the rule voice, not by agreement'
    assert why('') == 'go by the rule (none), not by agreement'


def test_turning_on_the_spot_is_not_standing():
    motions = [Motion(8.3, 0.0, 0.5)]
    assert 'still moved' in verdict(STOP, (8.2, 'stop'), motions=motions)


VALID = """
title: t
duration_s: 5
events:
  - {name: a, window_s: [1, 2], expect: 'yes'}
  - {name: b, window_s: [2, 3], expect: nothing}
"""


def test_a_scenario_is_read(tmp_path: Path):
    (tmp_path / 's.yaml').write_text(VALID)
    scenario = load_scenario(tmp_path / 's.yaml')
    assert [event.expect for event in scenario.events] == ['yes', '']


@pytest.mark.parametrize(
    ('old', 'new', 'sentence'),
    [
        ('title', 'titel', "line 2: 'titel' is not known; did you mean 'title'"),
        ('title: t', '', "'title' is missing"),
        ('duration_s: 5', 'duration_s: long', "line 3: 'duration_s' is 'long' instead of a number"),
        ('duration_s: 5', 'duration_s: .nan', "'duration_s' is .nan but must be from 0 to 3600"),
        ('window_s: [1, 2]', 'window_s: [1]', 'is [1] instead of a list of 2 numbers'),
        ('window_s: [1, 2]', 'window_s: [1, two]', "is [1, 'two'] instead of a number"),
        ('window_s: [2, 3]', 'window_s: [1.5, 3]', 'one after the other'),
        ('window_s: [2, 3]', 'window_s: [2, 6]', 'within the bag'),
        ('expect: nothing', 'wish: nothing', "line 6: 'events[1].wish' is not known"),
        ('expect: nothing', 'expect: [a]', "line 6: 'events[1].expect' is ['a'] instead of a word"),
        ("expect: 'yes'", 'expect: yes, by: [agrement]', "'agrement'; did you mean 'agreement'"),
        ('events:', 'events: [', 'not valid YAML'),
        (VALID, '[]', 'instead of names with values'),
        (VALID, f'{VALID}\ntitle: b', "line 8: this is not valid YAML ('title' is there twice"),
    ],
)
def test_a_wrong_scenario_is_refused_in_a_sentence(
    tmp_path: Path, old: str, new: str, sentence: str
):
    assert old in VALID
    (tmp_path / 's.yaml').write_text(VALID.replace(old, new))
    with pytest.raises(KwsImuError) as info:
        load_scenario(tmp_path / 's.yaml')
    assert sentence in str(info.value)
    assert 's.yaml' in str(info.value)
    assert '\n' not in str(info.value)


@pytest.mark.parametrize(
    ('option', 'meant'),
    [
        ('still_within: 0.5', 'still_within_s'),
        ('still_withn_s: 0.5', 'still_within_s'),
        ('rule: [agreement]', 'by'),
        ('befor: [left]', 'before'),
        ('says: {}', 'say'),
    ],
)
def test_an_option_that_nobody_reads_is_refused(tmp_path: Path, option: str, meant: str):
    name = option.partition(':')[0]
    (tmp_path / 's.yaml').write_text(VALID.replace("expect: 'yes'", f'expect: yes, {option}'))
    with pytest.raises(KwsImuError, match=rf"line 5: 'events\[0\].{name}' is not known") as info:
        load_scenario(tmp_path / 's.yaml')
    assert meant in str(info.value)


def test_a_missing_scenario_is_refused(tmp_path: Path):
    with pytest.raises(KwsImuError, match='cannot be read'):
        load_scenario(tmp_path / 'nothing.yaml')
