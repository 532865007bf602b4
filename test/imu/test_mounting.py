"""Readings of a sensor that sits otherwise are turned to the documented axes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.imu.mounting import MOUNTINGS, Mounting
from kws_imu_ros.imu.sample import ImuSample

SAMPLE = ImuSample(5, (1.0, 2.0, 9.0), (0.1, 0.2, 0.3))


def test_a_sensor_on_the_inside_of_the_wrist_is_turned_over() -> None:
    turned = Mounting.parse('inside').turn(ImuSample(5, (1.0, 2.0, -9.0), (0.1, 0.2, 0.3)))
    assert turned == ImuSample(5, (-1.0, 2.0, 9.0), (-0.1, 0.2, -0.3))


def test_x_to_the_hand_is_the_axis_along_the_arm() -> None:
    turned = Mounting.parse('x_to_hand').turn(SAMPLE)
    assert turned.linear_acceleration == (-2.0, 1.0, 9.0)
    assert Mounting.parse('documented').turn(SAMPLE) == SAMPLE


@given(st.permutations('xyz'), st.lists(st.sampled_from(['', '-']), min_size=3, max_size=3))
def test_only_rotations_are_accepted(names: list[str], signs: list[str]) -> None:
    text = ' '.join(sign + name for sign, name in zip(signs, names))
    matrix = np.zeros((3, 3))
    for row, (sign, name) in enumerate(zip(signs, names)):
        matrix[row, 'xyz'.index(name)] = -1.0 if sign else 1.0
    if np.linalg.det(matrix) < 0:
        with pytest.raises(KwsImuError, match='mirrored'):
            Mounting.parse(text)
        return
    turned = Mounting.parse(text).turn(SAMPLE)
    assert np.allclose(turned.linear_acceleration, matrix @ SAMPLE.linear_acceleration)
    assert np.allclose(turned.angular_velocity, matrix @ SAMPLE.angular_velocity)


@pytest.mark.parametrize('text', ['', 'x y', 'x x z', 'palm', '--x y z', 'x y z z'])
def test_anything_else_is_refused_with_the_names(text: str) -> None:
    with pytest.raises(KwsImuError, match='inside_turned_around'):
        Mounting.parse(text)


def test_every_name_is_a_rotation() -> None:
    for name in MOUNTINGS:
        Mounting.parse(name)
