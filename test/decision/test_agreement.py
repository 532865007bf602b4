"""What the policy means and what the motion table does: stop stops, or nothing starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from kws_imu_ros.decision.agreement import check_stop, doubts
from kws_imu_ros.decision.table import PolicyTable, load_table, parse_table
from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.motion.profiles import MotionTable, load_motion_table, parse_motion_table

CONFIG = Path(__file__).resolve().parents[2] / 'config'
POLICY = (CONFIG / 'policy.yaml').read_text()
MOTION = (CONFIG / 'motion.yaml').read_text()
LABELS = {
    'voice': ('left', 'right', 'up', 'down', 'go', 'stop', 'yes', 'no', 'unknown', 'silence'),
    'gesture': ('swipe_left', 'swipe_right', 'swipe_up', 'swipe_down', 'none'),
    'intent': ('left', 'right', 'up', 'down', 'go', 'stop', 'yes', 'no', 'none'),
}


def policy(*changes: tuple[str, str]) -> PolicyTable:
    return parse_table(replaced(POLICY, changes), 'my policy.yaml')


def motion(*changes: tuple[str, str]) -> MotionTable:
    return parse_motion_table(replaced(MOTION, changes), 'my motion.yaml')


def replaced(text: str, changes: tuple[tuple[str, str], ...]) -> str:
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


def refuse(table: PolicyTable, other: MotionTable) -> str:
    """Return the sentence with which a pair of tables is refused."""
    effects = other.effects()
    with pytest.raises(KwsImuError) as error:
        check_stop(table, effects.stops, effects.source)
    message = str(error.value)
    assert 'my policy.yaml' in message
    assert 'my motion.yaml' in message
    assert '\n' not in message
    return message


def test_the_shipped_tables_agree():
    table, effects = load_table(CONFIG / 'policy.yaml'), load_motion_table(CONFIG / 'motion.yaml')
    stops = effects.effects().stops
    assert stops['stop']
    assert not stops['left']
    check_stop(table, stops, 'motion.yaml')
    assert doubts(table, LABELS, stops, 'motion.yaml') == []


HALT = ('  stop: stop\n', '  stop: stop\n  halt: stop\n')


@pytest.mark.parametrize(
    ('changes', 'sentence'),
    [
        (('  stop: stop\n', '  stop: forward\n  halt: stop\n'), "'intents.stop' does not lead to"),
        (('  stop: stop\n', '  halt: stop\n'), "there is no intent 'stop'"),
        (('  stop: stop\n', '  Stop: stop\n'), "there is no intent 'stop' (there is Stop)"),
        (('  stop: stop\n', '  stop: slower\n  halt: stop\n'), "'intents.stop' does not lead to"),
        (('  stop: stop\n', '  stop: go\n  halt: stop\n'), "'intents.stop' does not lead to"),
    ],
)
def test_a_motion_table_in_which_stop_does_not_stop_is_refused(changes, sentence: str):
    message = refuse(policy(), motion(changes))
    assert sentence in message
    assert "the words stop and the gestures swipe_down mean stop by 'stop.intent: stop'" in message


def test_a_stop_that_creeps_on_is_refused():
    creeping = motion(
        ('  stop: stop\n', '  stop: creep\n  halt: stop\n'),
        ('  stop: {stop: true}', '  stop: {stop: true}\n  creep: {linear_x: 0.05}'),
    )
    assert "'intents.stop' does not lead to a profile with stop: true" in refuse(policy(), creeping)


@pytest.mark.parametrize('intent', ['left', 'go', 'yes', 'backward'])
def test_a_policy_in_which_stop_means_something_else_is_refused(intent: str):
    table = policy(('  intent: stop\n', f'  intent: {intent}\n'))
    assert f"'intents.{intent}' does not lead to" in refuse(table, motion())


def test_a_policy_in_which_stop_means_what_nobody_does_is_refused():
    assert "no intent 'stopp' (there is stop)" in refuse(
        policy(('  intent: stop\n', '  intent: stopp\n')), motion()
    )


def test_a_stop_word_that_is_an_intent_as_well_must_stop_too():
    """A person may send it, and so did the policy of yesterday."""
    table = policy(('  intent: stop\n', '  intent: halt\n'))
    effects = motion(HALT).effects()
    check_stop(table, effects.stops, effects.source)
    halting = motion(('  stop: stop\n', '  halt: stop\n')).effects()
    check_stop(table, halting.stops, halting.source)
    driving = motion(('  stop: stop\n', '  halt: stop\n  stop: forward\n'))
    assert "'intents.stop' does not lead to" in refuse(table, driving)


def test_a_translated_pair_agrees():
    table = policy(
        ('  intent: stop\n', '  intent: halt\n'), ('  gestures: [swipe_down]', '  gestures: []')
    )
    effects = motion(('  stop: stop\n', '  halt: stop\n')).effects()
    check_stop(table, effects.stops, effects.source)


def test_what_the_motion_table_lacks_is_told_with_its_source():
    lacking = motion(('  left: left\n', ''), ('  up: forward\n', '')).effects()
    found = doubts(policy(), LABELS, lacking.stops, lacking.source)
    assert [sentence.partition(',')[0] for sentence in found] == [
        "The policy can mean 'left' (the word left)",
        "The policy can mean 'up' (the word up)",
    ]
    assert all('the motion table my motion.yaml lacks' in sentence for sentence in found)
    meaning = policy(('    swipe_up: up', '    swipe_up: dance'))
    (sentence,) = doubts(meaning, LABELS, motion().effects().stops, 'motion.yaml')
    assert "can mean 'dance' (the gesture swipe_up)" in sentence


def test_what_stops_but_is_no_stop_word_is_told():
    stopping = motion(("  'no': slower", "  'no': stop")).effects()
    (sentence,) = doubts(policy(), LABELS, stopping.stops, stopping.source)
    assert sentence.startswith('The word no stops the robot by the motion table my motion.yaml but')
    other = policy(('  words: [stop]', '  words: [go]'))
    sentences = doubts(other, LABELS, motion().effects().stops, 'motion.yaml')
    assert any(sentence.startswith('The word stop stops the robot') for sentence in sentences)
