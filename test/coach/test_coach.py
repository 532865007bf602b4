"""One finding a move: what was put in is what is said."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
from wrist import MOUNTED, dance, rotation, samples

from kws_imu_ros.choreography.choreography import Choreography, Move
from kws_imu_ros.coach.alignment import Mirror, Shape, align
from kws_imu_ros.coach.coach import Coach
from kws_imu_ros.coach.findings import FindingKind
from kws_imu_ros.coach.movement import find_movement
from kws_imu_ros.coach.posture import posture_sentence
from kws_imu_ros.coach.recorded import watch_recording
from kws_imu_ros.coach.teacher import Cut, Teacher
from kws_imu_ros.coach.tempo import tempo_of
from kws_imu_ros.errors import KwsImuError

pytest.importorskip('dtaidistance')

NAMES = ('left', 'up', 'roll', 'right', 'down')
SLOT_S = 3.0
FIRST_S = 2.0
FIRST_NS = 2_000_000_000
LENGTH_S = FIRST_S + SLOT_S * len(NAMES) + 1.0
DANCE = Choreography(
    'Test', 60.0, 4, tuple(Move(1.0 + 3.0 * i, 3.0, arm=name) for i, name in enumerate(NAMES))
)
PERFECT = [(name, FIRST_S + SLOT_S * i, 0.9) for i, name in enumerate(NAMES)]


@pytest.fixture(scope='module')
def teacher() -> Teacher:
    cuts = []
    for seed in (1, 2):
        motion = dance(PERFECT, LENGTH_S, seed=seed)
        for name, start_s, _ in PERFECT:
            start_ns = round(start_s * 1e9)
            cuts.append(Cut(name, start_ns, start_ns + 3_000_000_000, motion))
    return Teacher.of(cuts)


def watched(teacher: Teacher, moves, **kwargs) -> Coach:
    coach = Coach(DANCE, teacher, **kwargs)
    watch_recording(coach, samples(dance(moves, LENGTH_S, seed=9)), FIRST_NS)
    return coach


def changed(place: int, **fields) -> list[tuple[str, float, float]]:
    name, start_s, size = PERFECT[place]
    moves = list(PERFECT)
    moves[place] = (
        fields.get('name', name),
        start_s + fields.get('late_s', 0.0),
        size * fields.get('size', 1.0),
    )
    return moves


def test_a_dance_like_the_teachers_is_right(teacher):
    coach = watched(teacher, PERFECT)
    assert [finding.kind for finding in coach.findings] == [FindingKind.RIGHT] * len(NAMES)


@pytest.mark.parametrize(
    ('place', 'fields', 'kind'),
    [
        (1, {'late_s': 0.25}, FindingKind.LATE),
        (2, {'late_s': -0.25}, FindingKind.EARLY),
        (3, {'size': 0.5}, FindingKind.SMALL),
        (1, {'size': 1.8}, FindingKind.LARGE),
        (0, {'name': 'right'}, FindingKind.OTHER_DIRECTION),
        (4, {'name': 'up'}, FindingKind.OTHER_DIRECTION),
        (1, {'name': 'roll'}, FindingKind.OTHER_MOVE),
        (2, {'size': 0.0}, FindingKind.MISSING),
    ],
)
def test_a_fault_is_named(teacher, place, fields, kind):
    # A first try, in which the coach learns how large this pupil dances.
    own = watched(teacher, PERFECT).tries
    findings = watched(teacher, changed(place, **fields), own=own).findings
    kinds = [FindingKind.RIGHT] * len(NAMES)
    kinds[place] = kind
    assert [finding.kind for finding in findings] == kinds
    if 'late_s' in fields:
        assert findings[place].measures.offset_ms == pytest.approx(fields['late_s'] * 1e3, abs=50)
    if kind in (FindingKind.SMALL, FindingKind.LARGE):
        assert findings[place].measures.ratio == pytest.approx(fields['size'], rel=0.15)
    assert findings[place].sentence.startswith(NAMES[place])


def test_a_sensor_that_sits_the_other_way_round_changes_nothing(teacher):
    coach = Coach(DANCE, teacher)
    turned = MOUNTED @ rotation((0.0, 0.0, 1.0), np.pi)
    motion = dance(PERFECT[:], LENGTH_S, turned)
    # The first move of an unknown wrist says too little of how the sensor sits.
    own = watch_recording(coach, samples(motion), FIRST_NS)
    again = Coach(DANCE, teacher, coach.tries)
    findings = watch_recording(again, samples(motion), FIRST_NS)
    assert len(own) == len(findings)
    assert all(finding.kind is FindingKind.RIGHT for finding in findings)


def test_an_imu_that_stops_is_no_fault_of_the_pupil(teacher):
    coach = Coach(DANCE, teacher)
    motion = samples(dance(PERFECT, LENGTH_S))
    silent = [s for s in motion if not 6_000_000_000 < s.stamp_ns < 9_000_000_000]
    kinds = [finding.kind for finding in watch_recording(coach, silent, FIRST_NS)]
    assert kinds[0] is FindingKind.RIGHT
    assert kinds[1] is FindingKind.NOT_SEEN and kinds[2] is FindingKind.NOT_SEEN
    assert kinds[3:] == [FindingKind.RIGHT] * 2
    ended = watch_recording(coach, motion[:600], FIRST_NS)
    assert [finding.kind for finding in ended[2:]] == [FindingKind.NOT_SEEN] * 3


def test_jumps_of_the_clock_end_in_findings(teacher):
    motion = samples(dance(PERFECT, LENGTH_S))
    jumped = [
        dataclasses.replace(s, stamp_ns=s.stamp_ns + (i > 700) * jump)
        for jump in (-5_000_000_000, 3_600_000_000_000, -1)
        for i, s in enumerate(motion)
    ]
    for start in range(0, len(jumped), len(motion)):
        coach = Coach(DANCE, teacher)
        findings = watch_recording(coach, jumped[start : start + len(motion)], FIRST_NS)
        assert len(findings) == len(NAMES)
    assert len(watch_recording(Coach(DANCE, teacher), [], FIRST_NS)) == len(NAMES)


def test_findings_come_when_a_move_has_ended_and_once(teacher):
    coach = Coach(DANCE, teacher)
    coach.start(FIRST_NS)
    told = []
    for sample in samples(dance(PERFECT, LENGTH_S)):
        coach.push_imu(sample)
        for finding in coach.due(sample.stamp_ns):
            told.append((finding.move, sample.stamp_ns))
    assert [move for move, _ in told] == list(range(len(NAMES)))
    for move, stamp_ns in told:
        assert 0 <= stamp_ns - (FIRST_NS + (move + 1) * 3_000_000_000) < 20_000_000
    assert coach.next_end_ns() is None and coach.due(10**18) == []


def test_the_network_is_asked_first_where_it_knows_the_gesture(teacher):
    coach = Coach(DANCE, teacher, gestures=('left', 'right', 'none'))
    coach.start(FIRST_NS)
    # A movement between two, which the network takes for the other one.
    for sample in samples(dance(changed(0, name='roll'), LENGTH_S)):
        coach.push_imu(sample)
        coach.push_gesture(np.array([0.02, 0.96, 0.02]), sample.stamp_ns)
    first = coach.finish()[0]
    assert first.kind is FindingKind.OTHER_DIRECTION and first.found == 'right'


def test_what_the_reference_lacks_is_said(teacher):
    other = Choreography('Other', 60.0, 4, (Move(1.0, 2.0, reference='wave'),))
    with pytest.raises(KwsImuError, match='no movement for wave'):
        Coach(other, teacher)
    with pytest.raises(KwsImuError, match='nothing to watch'):
        Coach(Choreography('Robot', 60.0, 4, (Move(1.0, 2.0, robot='go'),)), teacher)


def test_two_movements_laid_over_each_other():
    def movement(name, size=0.9, duration_s=1.2):
        found = find_movement(dance([(name, 1.0, size)], 4.0, duration_s=duration_s), 0, 4 * 10**9)
        assert found is not None
        return found

    same = align(movement('left'), movement('left', 0.6, 1.5))
    assert same.agreement > 0.9
    assert same.ratio == pytest.approx(0.67, rel=0.15)
    assert same.duration_ratio == pytest.approx(1.25, rel=0.2)
    assert align(movement('left'), movement('right')).agreement < -0.3
    left, right = Shape.of(movement('left')), Shape.of(movement('right'))
    assert left.mirrored(Mirror.LEFT_RIGHT).distance(right) < 0.4 * left.distance(right)


def test_the_tempo_is_told_by_four_moves(teacher):
    for tempo in (57.0, 60.0, 63.0):
        moves = [(n, FIRST_S + 3.0 * i * 60.0 / tempo, 0.9) for i, n in enumerate(NAMES)]
        findings = watched(teacher, moves).findings[:4]
        onsets = [finding.measures.onset_ns for finding in findings]
        found = tempo_of(onsets, [1.0, 4.0, 7.0, 10.0])
        assert found == pytest.approx(tempo, abs=1.0)
    assert tempo_of([5], [1.0]) != tempo_of([5], [1.0])  # NaN


def test_posture_is_told_where_it_is_another():
    slopes = {'level': 0.0, 'raised': 1.0, 'lowered': -1.0}
    for (held, slope), (wanted, right) in itertools.product(slopes.items(), slopes.items()):
        sentence = posture_sentence(slope, right)
        assert bool(sentence) == (held != wanted)
        assert not sentence or (held in sentence and sentence.endswith(f'{wanted}.'))
    assert posture_sentence(float('nan'), 0.0) == ''
