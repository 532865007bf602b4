"""How the sensor sits on the wrist makes no difference, and directions are the world's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wrist import MOUNTED, dance, rotation

from kws_imu_ros.coach.frame import WristMotion, rotations, to_world
from kws_imu_ros.coach.movement import find_movement
from kws_imu_ros.imu.sample import ImuSample


def world(name: str, mounting: np.ndarray = MOUNTED) -> np.ndarray:
    motion = dance([(name, 1.0, 0.9)], 3.5, mounting)
    return to_world(motion.sampled(0, 3_400_000_000, 50.0), 50.0).rows


@pytest.mark.parametrize(
    ('name', 'column', 'sign'), [('left', 5, 1), ('right', 5, -1), ('up', 4, -1), ('down', 4, 1)]
)
def test_the_first_stroke_turns_the_way_its_name_says(name, column, sign):
    rows = world(name)
    first = rows[: int(np.argmax(np.abs(rows[:, column])) + 1)]
    assert sign * first[-1, column] > 1.0
    others = [c for c in (3, 4, 5) if c != column]
    assert np.abs(rows[:, others]).max() < 0.35 * abs(first[-1, column])


@settings(max_examples=20, deadline=None)
@given(roll=st.floats(-np.pi, np.pi), turned=st.booleans(), name=st.sampled_from(('up', 'down')))
def test_a_sensor_rolled_about_the_forearm_or_turned_round_measures_the_same(roll, turned, name):
    mounting = MOUNTED @ rotation((0.0, 1.0, 0.0), roll)
    if turned:
        mounting = mounting @ rotation((0.0, 0.0, 1.0), np.pi)
    difference = np.abs(world(name, mounting) - world(name)).max(axis=0)
    # Noise and the sensor's range of 2 g lie in its own axes.
    assert difference[:3].max() < 2.0
    assert difference[3:].max() < 0.2


def test_rotations_take_every_row_into_the_axes_of_the_first():
    spin = np.tile([0.0, 0.0, np.pi / 2.0], (51, 1))
    turned = rotations(spin, 50.0)
    assert np.allclose(turned[50] @ [1.0, 0.0, 0.0], [0.0, 1.0, 0.0])
    assert np.allclose(turned @ turned.transpose(0, 2, 1), np.eye(3))


def test_stamps_that_do_not_rise_and_values_that_are_none_are_left_out():
    still, bad = (0.0, 0.0, 9.8), (float('nan'), 0.0, 0.0)
    given_samples = [ImuSample(t, still, still) for t in (5, 4, 5, 7)] + [ImuSample(8, bad, still)]
    assert WristMotion.of(given_samples).stamps_ns.tolist() == [5, 7]
    assert len(WristMotion.of([]).stamps_ns) == 0


def test_a_movement_begins_where_it_begins():
    motion = dance([('left', 1.0, 0.9)], 4.0)
    movement = find_movement(motion, 0, 4_000_000_000)
    assert movement is not None
    assert abs(movement.onset_ns - 1_000_000_000) < 120_000_000
    assert find_movement(motion, 2_500_000_000, 4_000_000_000) is None
    assert find_movement(WristMotion.of([]), 0, 1_000_000_000) is None
