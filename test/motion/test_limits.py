"""The limits hold for every target, whatever came before."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.motion.limits import AxisLimits, VelocityLimits
from kws_imu_ros.motion.velocity import Velocity

LINEAR = AxisLimits(0.3, -0.2, 0.6, 0.8, 2.0)
ANGULAR = AxisLimits(1.5, -1.5, 4.0, 4.0, 8.0)
LIMITS = VelocityLimits(LINEAR, ANGULAR)

anything = st.floats(allow_nan=True, allow_infinity=True)
steps = st.lists(
    st.tuples(anything, anything, st.floats(0.0, 0.1), st.booleans()), min_size=1, max_size=50
)


@settings(deadline=None)
@given(steps)
def test_no_sequence_of_targets_breaks_a_limit(sequence):
    velocity = Velocity()
    for linear_x, angular_z, dt, stopping in sequence:
        before = velocity
        velocity = LIMITS.limit(Velocity(linear_x, angular_z), before, dt, stopping)
        for limits, old, new in (
            (LINEAR, before.linear_x, velocity.linear_x),
            (ANGULAR, before.angular_z, velocity.angular_z),
        ):
            assert limits.min_velocity <= new <= limits.max_velocity
            assert old * new >= 0.0, 'a change of direction passes through rest'
            if abs(new) > abs(old):
                allowed = limits.max_acceleration
            else:
                allowed = limits.stop_deceleration if stopping else limits.max_deceleration
            assert abs(new - old) <= allowed * dt + 1e-9


@settings(deadline=None)
@given(
    start=st.tuples(st.floats(-0.2, 0.3), st.floats(-1.5, 1.5)),
    target=st.tuples(st.floats(-0.2, 0.3), st.floats(-1.5, 1.5)),
    dt=st.floats(0.01, 0.1),
)
def test_a_steady_target_is_reached_and_kept(start, target, dt):
    velocity = Velocity(*start)
    for _ in range(math.ceil(2.0 / dt)):
        velocity = LIMITS.limit(Velocity(*target), velocity, dt)
    assert velocity == Velocity(*target)
    assert LIMITS.limit(Velocity(*target), velocity, dt) == velocity


def test_stopping_brakes_harder_than_everyday_driving():
    driving = Velocity(0.3, 1.5)
    gentle = LIMITS.limit(Velocity(), driving, 0.05)
    hard = LIMITS.limit(Velocity(), driving, 0.05, stopping=True)
    assert gentle == Velocity(pytest.approx(0.26), pytest.approx(1.3))
    assert hard == Velocity(pytest.approx(0.2), pytest.approx(1.1))


def test_a_late_call_brakes_fully_but_accelerates_one_step_only():
    assert LIMITS.limit(Velocity(), Velocity(0.3, 1.5), 5.0) == Velocity()
    assert LIMITS.limit(Velocity(0.3, 0.0), Velocity(), 5.0).linear_x == pytest.approx(0.06)


def test_time_that_stands_still_or_runs_backwards_changes_nothing():
    for dt in (0.0, -1.0):
        assert LIMITS.limit(Velocity(0.3, 1.0), Velocity(0.1, 0.2), dt) == Velocity(0.1, 0.2)


@pytest.mark.parametrize(
    ('field', 'value'),
    [
        ('max_velocity', -0.1),
        ('min_velocity', 0.1),
        ('max_acceleration', 0.0),
        ('max_deceleration', -1.0),
        ('stop_deceleration', 0.5),
        ('max_velocity', math.nan),
        ('max_acceleration', math.inf),
    ],
)
def test_limits_that_are_none_are_refused_by_name(field, value):
    fields = dict(vars(LINEAR), **{field: value})
    with pytest.raises(KwsImuError, match=field):
        AxisLimits(**fields)
