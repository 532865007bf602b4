"""Commands become moves on beats: count-in, grid, phrases, taking back and keeping."""

from __future__ import annotations

import pytest

from kws_imu_ros.choreography.choreography import Move, Phrase
from kws_imu_ros.choreography.compose import Change, Composer, ComposerOptions
from kws_imu_ros.errors import KwsImuError

BEAT = 500_000_000  # 120 beats a minute.
BAR = 4 * BEAT


def composer(**options) -> Composer:
    made = Composer('dance', 120.0, 4, ComposerOptions(speaking_ns=0, **options))
    made.start(0)
    return made


def test_a_command_lands_on_the_nearest_beat_and_lasts_to_the_next():
    made = composer()
    assert made.push('left', BAR + 240_000_000).move == 1
    made.push('up', BAR + 3 * BEAT - 240_000_000)
    dance = made.finish()
    assert dance.moves == (
        Move(1.0, 3.0, robot='left'),
        Move(4.0, 4.0, robot='up'),
    )
    assert dance.phrases == (Phrase('A', 1.0, 7.0),)


def test_what_is_said_begins_before_it_is_decided():
    made = Composer('dance', 120.0, 4)
    made.start(0)
    assert made.push('left', BAR + BEAT + 400_000_000).beat == 2.0


def test_the_grid_may_be_finer():
    made = composer(resolution=0.5)
    assert made.push('left', BAR + 240_000_000).beat == 1.5


def test_two_commands_on_one_beat_follow_each_other():
    made = composer()
    made.push('left', BAR)
    assert made.push('right', BAR + 100_000_000).beat == 2.0
    assert [move.beat for move in made.choreography.moves] == [1.0, 2.0]


def test_stop_ends_a_phrase_and_no_takes_back_what_is_not_kept():
    made = composer()
    assert made.push('no', BAR).change is Change.IGNORED
    made.push('left', BAR)
    made.push('up', BAR + 2 * BEAT)
    assert made.push('no', BAR + 3 * BEAT).change is Change.TAKEN_BACK
    assert made.choreography.moves == (Move(1.0, 4.0, robot='left'),)
    assert made.push('yes', BAR + 4 * BEAT).change is Change.KEPT
    assert made.push('no', BAR + 5 * BEAT).change is Change.IGNORED
    ended = made.push('stop', BAR + 6 * BEAT)
    assert (ended.change, ended.beat) == (Change.PHRASE_ENDED, 7.0)
    assert made.push('stop', BAR + 7 * BEAT).change is Change.IGNORED
    made.push('right', BAR + 8 * BEAT)
    dance = made.finish()
    assert [phrase.name for phrase in dance.phrases] == ['A', 'B']
    assert [(move.robot, move.beat) for move in dance.moves] == [('left', 1.0), ('right', 9.0)]


def test_what_is_said_during_the_count_in_is_no_move():
    made = composer()
    assert made.push('left', BEAT).change is Change.IGNORED
    assert made.push('left', BAR - 200_000_000).beat == 1.0


def test_a_hand_that_corrects_a_word_corrects_its_move():
    made = composer()
    made.push('right', BAR)
    assert made.push('left', BAR + BEAT, corrects=True).change is Change.CORRECTED
    assert made.choreography.moves == (Move(1.0, 4.0, robot='left'),)
    made.push('stop', BAR + 2 * BEAT)
    assert made.push('up', BAR + 3 * BEAT, corrects=True).change is Change.ADDED


def test_the_metronome_counts_in_one_bar():
    made = composer()
    ticks = made.ticks(BAR + BEAT)
    assert [(tick.beat, tick.downbeat) for tick in ticks] == [
        *[(-3, True), (-2, False), (-1, False), (0, False), (1, True), (2, False)]
    ]
    assert [tick.time_ns for tick in ticks] == [k * BEAT for k in range(6)]
    assert made.ticks(BAR + BEAT) == []


def test_before_the_start_nothing_is_composed():
    made = Composer('dance', 120.0, 4)
    assert made.push('left', 0).change is Change.IGNORED
    assert made.ticks(10**12) == []


@pytest.mark.parametrize(
    'options', [{'resolution': 0.0}, {'longest': 0.5}, {'speaking_ns': -1}, {'resolution': 99.0}]
)
def test_options_that_make_no_grid_are_refused(options: dict):
    with pytest.raises(KwsImuError):
        ComposerOptions(**options)
