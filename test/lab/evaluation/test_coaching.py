"""Dances put together from recordings, with faults whose right names are known."""

from __future__ import annotations

import numpy as np
import pytest
from wrist import MOUNTED, dance, rotation

from kws_imu_ros.coach.findings import FindingKind
from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.lab.data.gesture_data import GestureRecording, motion_span
from kws_imu_ros.lab.evaluation import coaching

pytest.importorskip('dtaidistance')

# As the gestures of GRWD are called that have opposites, and two that have none.
MOTIONS = {
    'swipe_left': [('left', 0.7, 0.9)],
    'swipe_right': [('right', 0.7, 0.9)],
    'swipe_up': [('up', 0.7, 0.8)],
    'swipe_down': [('down', 0.7, 0.8)],
    'twist_right': [('roll', 0.7, 1.0)],
    'v_shape': [('down', 0.7, 0.9), ('roll', 1.3, 0.6)],
}


def recordings(people: int = 2, takes: int = 3) -> list[GestureRecording]:
    found = []
    for person in range(people):
        mounting = MOUNTED @ rotation((0.0, 0.0, 1.0), np.pi * (person % 2))
        for gesture, moves in MOTIONS.items():
            for take in range(takes):
                size = 1.0 + 0.2 * person + 0.02 * take
                motion = dance(
                    [(name, start, size * angle) for name, start, angle in moves],
                    3.0,
                    mounting,
                    seed=take + 10 * person,
                )
                time = motion.stamps_ns / 1e9
                values = motion.values.astype(np.float32)
                span = motion_span(time, values)
                file = f'{gesture}/subject_{person}/{take}.csv'
                found.append(GestureRecording(gesture, person, file, time, values, *span, 0))
    return found


def test_faults_are_counted_by_what_the_coach_said():
    found = coaching.evaluate_coaching(recordings(), pupils_a_teacher=1)
    assert found['people'] == [0, 1] and found['dances'] == 6
    assert found['usable'] == found['recordings'] == 36
    assert found['named_right'] >= 0.75
    assert found['median_timing_error_ms'] <= 50.0
    assert found['median_tempo_error'] <= 1.0
    counted = sum(sum(row.values()) for row in found['confusion'].values())
    # A dance with faults of two people at three tempos, each of six moves.
    assert counted == 6 * 6
    assert sum(found['confusion'][FindingKind.RIGHT.value].values()) == counted - found['faults']


def test_too_few_recordings_end_in_a_sentence():
    with pytest.raises(KwsImuError, match='No two people'):
        coaching.evaluate_coaching(recordings(people=1))


def test_half_a_movement_turns_through_half_the_angle_and_gravity_with_it():
    rows = dance([('up', 0.5, 1.0)], 2.2).sampled(0, 2_100_000_000, coaching.RATE_HZ)
    half = coaching.transformed(rows, 0.5, 1.0)
    turned = np.abs(np.cumsum(rows[:, 3:], axis=0)).max() / coaching.RATE_HZ
    assert np.abs(np.cumsum(half[:, 3:], axis=0)).max() / coaching.RATE_HZ == pytest.approx(
        turned / 2.0, rel=0.05
    )
    # Rest is as it was.
    assert np.allclose(half[-20:, :3], rows[-20:, :3], atol=0.4)
    fast = coaching.transformed(rows, 1.0, 1.5)
    assert len(fast) == pytest.approx(len(rows) / 1.5, abs=2)
    assert np.abs(np.cumsum(fast[:, 3:], axis=0)).max() / coaching.RATE_HZ == pytest.approx(
        turned, rel=0.05
    )


def test_a_dance_begins_each_movement_where_it_says():
    take = recordings(people=1, takes=1)[0]
    pieces = [coaching.Piece(take, 0.0), coaching.Piece(None, 3.0), coaching.Piece(take, 6.3)]
    motion, begins = coaching.dance_motion(pieces, 3.0, np.random.default_rng(0))
    speed = np.linalg.norm(motion.values[:, 3:], axis=1)
    first_s = coaching.FIRST_BEAT_NS / 1e9
    for begin in (begins[0], begins[2]):
        start = round((first_s + begin) * coaching.RATE_HZ)
        assert speed[start + 5 : start + 40].max() > 1.0
        assert speed[start - 20 : start - 8].max() < 0.6
    rest = slice(round((first_s + 3.0) * 100), round((first_s + 5.5) * 100))
    assert speed[rest].max() < 0.2
    assert np.isfinite(motion.values).all()
