"""Edits give new choreographies, keep what they must, and can be undone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kws_imu_ros.choreography import edit
from kws_imu_ros.choreography.choreography import Choreography, Move, Phrase
from kws_imu_ros.choreography.file import load_choreography, save_choreography, to_yaml
from kws_imu_ros.errors import KwsImuError

LEFT = Move(1.0, 2.0, robot='left', arm='swipe_left')
UP = Move(3.0, 2.0, robot='up', arm='circle_cclk')
RIGHT = Move(6.0, 1.0, robot='right', reference='wave')
DANCE = Choreography(
    'dance', 90.0, 4, (LEFT, UP, RIGHT), (Phrase('A', 1.0, 4.0), Phrase('B', 5.0, 4.0))
)


def beats(dance: Choreography) -> list[tuple[str, float]]:
    return [(move.robot, move.beat) for move in dance.moves]


def test_insert_moves_back_only_by_what_room_lacks():
    into_gap = edit.insert(DANCE, Move(5.0, 1.0, robot='down'))
    assert beats(into_gap) == [('left', 1.0), ('up', 3.0), ('down', 5.0), ('right', 6.0)]
    squeezed = edit.insert(DANCE, Move(3.0, 1.0, robot='down'))
    assert beats(squeezed) == [('left', 1.0), ('down', 3.0), ('up', 4.0), ('right', 7.0)]
    assert squeezed.phrases == (Phrase('A', 1.0, 5.0), Phrase('B', 6.0, 4.0))
    with pytest.raises(KwsImuError, match='inside the move of beat 3'):
        edit.insert(DANCE, Move(4.0, 1.0))


def test_delete_leaves_a_rest_and_move_needs_room():
    assert beats(edit.delete(DANCE, 2)) == [('left', 1.0), ('right', 6.0)]
    assert beats(edit.move_to(DANCE, 1, 8.0)) == [('up', 3.0), ('right', 6.0), ('left', 8.0)]
    with pytest.raises(KwsImuError, match='taken by the move of beat 3'):
        edit.move_to(DANCE, 1, 2.0)
    for number in (0, 4):
        with pytest.raises(KwsImuError, match=f'no move {number}; it has 3'):
            edit.delete(DANCE, number)


def test_repeat_puts_the_part_after_itself():
    twice = edit.repeat(DANCE, 1, 2)
    assert beats(twice) == [
        *[('left', 1.0), ('up', 3.0), ('left', 5.0), ('up', 7.0), ('right', 10.0)]
    ]
    # The rest to the end of the bar belongs to it.
    ends = edit.repeat(DANCE, 3, 3, 2)
    assert [move.beat for move in ends.moves] == [1.0, 3.0, 6.0, 10.0, 14.0]
    with pytest.raises(KwsImuError, match='cannot be repeated'):
        edit.repeat(DANCE, 2, 1)


def test_mirror_swaps_left_and_right_and_the_way_round():
    mirrored = edit.mirror(DANCE)
    assert [(move.robot, move.arm) for move in mirrored.moves] == [
        *[('right', 'swipe_right'), ('up', 'circle_clk'), ('left', '')]
    ]
    assert edit.mirror(mirrored) == DANCE


def test_join_begins_with_the_next_bar_and_a_phrase_can_be_taken():
    joined = edit.join(DANCE, DANCE)
    assert [move.beat for move in joined.moves] == [1.0, 3.0, 6.0, 9.0, 11.0, 14.0]
    taken = edit.take_phrase(DANCE, DANCE, 'B')
    assert taken.moves[-1] == replace(RIGHT, beat=10.0)
    assert taken.phrases[-1] == Phrase('B', 9.0, 4.0)
    with pytest.raises(KwsImuError, match="no phrase 'C'; its phrases are: A, B"):
        edit.take_phrase(DANCE, DANCE, 'C')


def test_stretch_changes_the_tempo_alone():
    assert edit.stretch(DANCE, 60.0) == replace(DANCE, beats_per_minute=60.0)
    with pytest.raises(KwsImuError, match='from 20 to 300'):
        edit.stretch(DANCE, 1000.0)


def test_changes_of_a_file_are_undone_one_by_one(tmp_path: Path):
    path = tmp_path / 'dance.yaml'
    save_choreography(path, DANCE)
    first = path.read_text()
    edited = edit.EditedFile(path)
    edited.apply(edit.mirror, load_choreography(path))
    edited.apply(lambda dance: edit.delete(dance, 1), load_choreography(path))
    with pytest.raises(KwsImuError):
        edited.apply(lambda dance: edit.delete(dance, 9), load_choreography(path))
    assert edit.EditedFile(path).undo() == edit.mirror(DANCE)
    assert edit.EditedFile(path).undo() == DANCE
    assert path.read_text() == first
    with pytest.raises(KwsImuError, match='nothing to undo'):
        edit.EditedFile(path).undo()


def test_a_damaged_history_is_told_and_loses_nothing(tmp_path: Path):
    path = tmp_path / 'dance.yaml'
    save_choreography(path, DANCE)
    (tmp_path / '.dance.yaml.undo').write_text('{"x": ')
    with pytest.raises(KwsImuError, match='cannot be read; delete it'):
        edit.EditedFile(path).apply(edit.mirror, DANCE)
    assert load_choreography(path) == DANCE


@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 5))
def test_repeating_keeps_every_move_in_order(first: int, last: int, times: int):
    if first > last:
        return
    dance = edit.repeat(DANCE, first, last, times)
    assert len(dance.moves) == 3 + times * (last - first + 1)
    assert to_yaml(dance)  # Which is refused where moves overlap.
