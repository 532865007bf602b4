"""The card: one thing on top, the own last try before the teacher, no grade unless asked."""

from __future__ import annotations

import dataclasses
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wrist import dance, samples

from kws_imu_ros.choreography.choreography import Choreography, Move, Phrase
from kws_imu_ros.coach import score_card
from kws_imu_ros.coach.coach import Coach
from kws_imu_ros.coach.recorded import watch_recording
from kws_imu_ros.coach.teacher import Cut, Teacher
from kws_imu_ros.errors import KwsImuError

pytest.importorskip('dtaidistance')
pytest.importorskip('jinja2')

NAMES = ('left', 'up', 'roll')
DANCE = Choreography(
    '<script>alert(1)</script>',
    60.0,
    4,
    tuple(Move(1.0 + 3.0 * i, 3.0, arm=n, text=f'<i>{n}</i>') for i, n in enumerate(NAMES)),
    (Phrase('A', 1.0, 6.0), Phrase('B', 7.0, 3.0)),
)
MOVES = [(name, 2.0 + 3.0 * i, 0.9) for i, name in enumerate(NAMES)]


def danced(moves, last=None, grade=False) -> score_card.ScoreCard:
    motion = dance(MOVES, 12.0, seed=1)
    cuts = [
        Cut(name, round(start * 1e9), round(start * 1e9) + 3_000_000_000, motion)
        for name, start, _ in MOVES
    ]
    coach = Coach(DANCE, Teacher.of(cuts), last.tries if last else None)
    findings = watch_recording(coach, samples(dance(moves, 12.0, seed=2)), 2_000_000_000)
    return score_card.make_score_card(DANCE, findings, coach.tries, last, coach.notes, grade)


FIRST = danced(MOVES)
SECOND = danced([MOVES[0], ('up', 5.3, 0.9), ('roll', 8.0, 0.45)], FIRST)


def test_a_card_is_read_again_and_is_what_the_next_dance_is_compared_with():
    read = score_card.from_json(score_card.to_json(FIRST), 'card')
    assert read.tries.sizes.keys() == FIRST.tries.sizes.keys()
    again = danced([MOVES[0], ('up', 5.3, 0.9), ('roll', 8.0, 0.45)], read)
    assert [move.kind for move in again.moves] == [move.kind for move in SECOND.moves]
    assert again.change == SECOND.change
    assert json.loads(score_card.to_json(again))['progress'].startswith('1 of 3')


def test_one_thing_stands_on_top_and_the_rest_below():
    page = score_card.to_html(SECOND)
    assert page.count('One thing to change') == 1
    assert SECOND.moves[1].sentence == SECOND.change and 'begin sooner' in SECOND.change
    assert '<details>' in page and '<details open>' in score_card.to_html(SECOND, opened=True)
    assert page.index('Against your last try') < page.index('teacher')
    assert 'first try' in score_card.to_html(FIRST)
    assert [phrase.name for phrase in SECOND.phrases] == ['A', 'B']


def test_what_people_wrote_is_escaped():
    for card in (FIRST, SECOND):
        page = score_card.to_html(card)
        assert '<script>' not in page and '<i>' not in page
        assert '&lt;script&gt;' in page


def test_there_is_a_grade_only_where_it_was_asked_for():
    assert FIRST.grade is None and 'Grade' not in score_card.to_html(FIRST)
    graded = danced(MOVES, grade=True)
    assert graded.grade == 1.0 and 'Grade: 100 %' in score_card.to_html(graded)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_any_card_is_read_or_refused_in_a_sentence(data):
    value = json.loads(score_card.to_json(dataclasses.replace(FIRST, notes=())))
    odd = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
    odd |= st.lists(odd, max_size=2) | st.dictionaries(st.text(max_size=3), odd, max_size=2)
    places = [(value, key) for key in value]
    places += [(value['tries'], key) for key in value['tries']]
    places += [(value['tries']['moves'][0], key) for key in value['tries']['moves'][0]]
    places += [(value['moves'][0], key) for key in value['moves'][0]]
    holder, key = data.draw(st.sampled_from(places))
    holder[key] = data.draw(odd)
    try:
        score_card.from_json(json.dumps(value), 'card')
    except KwsImuError as error:
        assert str(error)
