"""Choreography files are read strictly, written so that nothing changes, and fit the robot."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kws_imu_ros.choreography.choreography import BeatTimes, Choreography, Move, Phrase
from kws_imu_ros.choreography.feasibility import change_s, fastest_tempo, require_danceable
from kws_imu_ros.choreography.file import (
    Vocabulary,
    load_choreography,
    parse_choreography,
    to_yaml,
)
from kws_imu_ros.choreography.music import load_beats, save_beats
from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.motion.profiles import load_motion_table
from kws_imu_ros.motion.velocity import Velocity

TABLE = load_motion_table(Path(__file__).resolve().parents[2] / 'config' / 'motion.yaml')
VOCABULARY = Vocabulary(tuple(TABLE.intents), ('swipe_left', 'swipe_right', 'none'))

FIRST = """\
schema: 1
name: First dance
beats_per_minute: 90
phrases:
  - {name: A, beat: 1, beats: 8}
moves:
  - {beat: 1, beats: 4, robot: left, arm: swipe_left, text: To the window}
  - {beat: 5.5, beats: 2.5, reference: wave}
"""


def test_a_file_says_what_is_danced():
    dance = parse_choreography(FIRST, VOCABULARY)
    assert dance == Choreography(
        name='First dance',
        beats_per_minute=90.0,
        moves=(
            Move(1.0, 4.0, robot='left', arm='swipe_left', text='To the window'),
            Move(5.5, 2.5, reference='wave'),
        ),
        phrases=(Phrase('A', 1.0, 8.0),),
    )
    assert dance.end == 8.0
    assert dance.phrase_of(dance.moves[1]) == 'A'


@pytest.mark.parametrize(
    ('old', 'new', 'expected'),
    [
        ('schema: 1', 'schema: 2', 'line 1: .*schema'),
        ('beats_per_minute: 90', 'beats_per_minute: 0', 'line 3: .*from 20 to 300'),
        ('beats_per_minute: 90', 'beats_per_minute: 1000', 'line 3: .*from 20 to 300'),
        ('beats_per_minute: 90', 'beat_per_minute: 90', "did you mean 'beats_per_minute'"),
        ('robot: left', 'robot: lfet', "line 7: .*lfet.*did you mean 'left'"),
        ('arm: swipe_left', 'arm: swipeleft', "line 7: .*did you mean 'swipe_left'"),
        ('beat: 5.5', 'beat: 4.5', 'line 8: .*number 2 .* before number 1 has ended'),
        ('beat: 5.5', 'beat: 0', 'line 8: .*from 1'),
        ('beats: 2.5', 'beats: -1', 'line 8: .*beats'),
        ('beats: 2.5', 'beats: .nan', 'line 8: .*beats'),
        ('reference: wave', 'reference: wave, arm: none', 'line 8: .*one of the two'),
        ('name: First dance', 'name: First dance\nmusic: ../x.yaml', 'line 3: .*same folder'),
        ('moves:\n', 'moves: 3\nmuves:\n', 'muves'),
    ],
)
def test_what_does_not_fit_is_one_sentence_with_its_line(old: str, new: str, expected: str):
    assert old in FIRST
    with pytest.raises(KwsImuError, match=expected) as caught:
        parse_choreography(FIRST.replace(old, new), VOCABULARY, 'dance.yaml')
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize(
    'text',
    [
        '',
        'moves: &a [*a]',
        'schema: 1\nname: x\nbeats_per_minute: 90\nmoves: &m\n  - *m\n',
        FIRST + '  - {beat: 9, beats: 1}\n' * 3,
        FIRST + ''.join(f'  - {{beat: {9 + k}, beats: 1}}\n' for k in range(3_000)),
    ],
    ids=['empty', 'cycle', 'cycle within', 'same beat', 'huge'],
)
def test_strange_files_are_refused(text: str):
    with pytest.raises(KwsImuError):
        parse_choreography(text, VOCABULARY)


words = st.from_regex(r'[a-z][a-z_]{0,8}', fullmatch=True)
# What is printed on one line.
texts = st.text(max_size=30).filter(lambda text: text.isprintable() and (not text or text.strip()))


@st.composite
def dances(draw) -> Choreography:
    beat, moves = 1.0, []
    for _ in range(draw(st.integers(0, 8))):
        beat += draw(st.integers(0, 8)) / 4
        beats = draw(st.integers(1, 16)) / 4
        arm = draw(st.sampled_from(['arm', 'reference', '']))
        named = {arm: draw(words)} if arm else {}
        moves.append(Move(beat, beats, robot=draw(st.just('') | words), text=draw(texts), **named))
        beat += beats
    return Choreography(
        name=draw(texts.filter(bool)),
        beats_per_minute=draw(st.floats(20.0, 300.0)),
        beats_per_bar=draw(st.integers(1, 16)),
        moves=tuple(moves),
        phrases=(Phrase(draw(words), 1.0, draw(st.floats(1.0, 40.0))),) if moves else (),
    )


@settings(max_examples=100)
@given(dances())
def test_a_round_trip_through_the_file_changes_nothing(dance: Choreography):
    text = to_yaml(dance)
    again = parse_choreography(text)
    assert again == dance
    assert to_yaml(again) == text


@settings(max_examples=40)
@given(st.text(max_size=400) | st.binary(max_size=400))
def test_whatever_is_in_a_file_ends_in_a_sentence(tmp_path_factory, content):
    path = tmp_path_factory.mktemp('fuzz') / 'dance.yaml'
    data = content if isinstance(content, bytes) else content.encode('utf-8', 'surrogatepass')
    path.write_bytes(data)
    with pytest.raises(KwsImuError):
        load_choreography(path)


@given(st.integers(0, len(FIRST) - 1), st.integers(0, len(FIRST)), st.text(max_size=6))
def test_a_damaged_file_is_read_or_refused(start: int, end: int, put: str):
    try:
        parse_choreography(FIRST[: min(start, end)] + put + FIRST[max(start, end) :], VOCABULARY)
    except KwsImuError as error:
        assert '\n' not in str(error)


def test_beats_fall_evenly_or_as_in_the_music():
    even = BeatTimes(500e6)
    assert [even.time_ns(beat) for beat in (1, 2, 2.5)] == [0, 500_000_000, 750_000_000]
    assert even.beat(750_000_000) == 2.5
    found = BeatTimes(1.0, [100, 200, 320, 420])
    assert [found.time_ns(beat) for beat in (0, 1, 2.5, 4, 6)] == [0, 100, 260, 420, 620]
    with pytest.raises(KwsImuError, match='do not rise'):
        BeatTimes(1.0, [100, 100])


@given(st.lists(st.integers(1, 10**9), min_size=2, max_size=20), st.floats(-3.0, 40.0))
def test_beat_and_time_are_inverse(steps: list[int], beat: float):
    times, total = [], 0
    for step in steps:
        total += step + 10**8
        times.append(total)
    beats = BeatTimes(1.0, times)
    assert beats.beat(beats.time_ns(beat)) == pytest.approx(beat, abs=1e-6)


def test_a_quarter_turn_in_half_a_beat_is_refused_or_stretched():
    dance = parse_choreography(FIRST, VOCABULARY)
    require_danceable(dance, TABLE)
    hasty = dataclasses.replace(dance, moves=(Move(1.0, 0.5, robot='left'),))
    with pytest.raises(
        KwsImuError, match=r'Move 1 .*needs 1\.8 s and gets 0\.33 s .*give it 3 beats\.'
    ):
        require_danceable(hasty, TABLE)
    assert fastest_tempo(hasty, TABLE) is None  # 16 is slower than anybody dances.
    slower = dataclasses.replace(dance, moves=(Move(1.0, 1.0, robot='left'),))
    with pytest.raises(KwsImuError, match='stretch the dance to 33 beats a minute'):
        require_danceable(slower, TABLE)
    tempo = fastest_tempo(slower, TABLE)
    assert tempo == 33
    require_danceable(dataclasses.replace(slower, beats_per_minute=float(tempo)), TABLE)


def test_a_reversal_needs_the_time_that_the_limits_take():
    assert change_s(Velocity(0.2, 0.0), Velocity(-0.15, 0.0), TABLE.limits) == pytest.approx(
        0.2 / 0.8 + 0.15 / 0.6
    )
    moves = (Move(1.0, 1.0, robot='up'), Move(2.0, 0.5, robot='down'))
    dance = Choreography('back', 90.0, moves=moves)
    with pytest.raises(KwsImuError, match=r'Move 2 .*needs 0\.5 s'):
        require_danceable(dance, TABLE)


@pytest.mark.parametrize('name', ['song.wav', 'it\'s "ours".wav', 'a\\b: c #1.mp3', '歌.wav'])
def test_a_beat_file_may_be_of_a_sound_of_any_name(tmp_path: Path, name: str):
    path = tmp_path / 'song.beats.yaml'
    save_beats(path, Path(name), 120.0, (0.5, 1.0, 1.5, 2.0))
    assert load_beats(path).time_ns(2.0) == 1_000_000_000
