"""Differential-drive kinematics and the simulated robot in its arena."""

from __future__ import annotations

import dataclasses
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.motion.differential_drive import DifferentialDrive, WheelVelocity, move
from kws_imu_ros.motion.simulation import Arena, RobotParameters, SimulatedRobot
from kws_imu_ros.motion.velocity import Pose, Velocity

MS = 1_000_000
DRIVE = DifferentialDrive()
QUIET = RobotParameters(noise=0.0)

velocities = st.builds(Velocity, st.floats(-0.5, 0.5), st.floats(-4.0, 4.0))


def drive(robot: SimulatedRobot, velocity: Velocity, start_ns: int, seconds: float) -> int:
    """Command a velocity every 50 ms for a while; return the time of the last command."""
    now_ns = start_ns
    for now_ns in range(start_ns, start_ns + round(seconds * 1e9), 50 * MS):
        robot.command(velocity, now_ns)
    return now_ns


@given(velocities)
def test_wheels_and_body_are_each_other_s_inverse(velocity):
    wheels = DRIVE.wheels(velocity)
    body = DRIVE.body(wheels)
    if max(abs(wheels.left), abs(wheels.right)) < DRIVE.max_wheel_velocity - 1e-6:
        assert body.linear_x == pytest.approx(velocity.linear_x, abs=1e-9)
        assert body.angular_z == pytest.approx(velocity.angular_z, abs=1e-9)


@given(st.builds(Velocity, st.floats(-50, 50), st.floats(-50, 50)))
def test_wheels_that_would_be_too_fast_keep_to_the_curve(velocity):
    wheels = DRIVE.wheels(velocity)
    assert max(abs(wheels.left), abs(wheels.right)) <= DRIVE.max_wheel_velocity * (1 + 1e-12)
    body = DRIVE.body(wheels)
    cross = body.linear_x * velocity.angular_z - body.angular_z * velocity.linear_x
    assert cross == pytest.approx(0.0, abs=1e-6)


def test_known_motions():
    assert DRIVE.wheels(Velocity(0.33, 0.0)) == WheelVelocity(pytest.approx(10), pytest.approx(10))
    quarter = move(Pose(), Velocity(math.pi / 2, math.pi / 2), 1.0)
    assert (quarter.x, quarter.y, quarter.yaw) == pytest.approx((1.0, 1.0, math.pi / 2))
    straight = move(Pose(1.0, 2.0, math.pi), Velocity(0.5, 0.0), 2.0)
    assert (straight.x, straight.y) == pytest.approx((0.0, 2.0))


@given(velocities, st.floats(0.001, 2.0))
def test_an_arc_in_one_step_equals_the_same_arc_in_two(velocity, dt):
    once = move(Pose(), velocity, dt)
    twice = move(move(Pose(), velocity, dt / 2), velocity, dt / 2)
    assert (once.x, once.y) == pytest.approx((twice.x, twice.y), abs=1e-6)
    assert math.remainder(once.yaw - twice.yaw, math.tau) == pytest.approx(0.0, abs=1e-9)


def test_it_drives_where_it_is_told():
    robot = SimulatedRobot(QUIET, 0)
    drive(robot, Velocity(0.2, 0.0), 0, 3.0)
    state = robot.state
    assert state.pose.x == pytest.approx(0.2 * 2.95, abs=0.02)
    assert state.pose.y == pytest.approx(0.0)
    assert state.velocity == Velocity(pytest.approx(0.2), pytest.approx(0.0))
    assert state.wheel_positions[0] == pytest.approx(state.pose.x / DRIVE.wheel_radius)


@settings(deadline=None, max_examples=50)
@given(velocity=st.builds(Velocity, st.floats(-0.3, 0.3), st.floats(-1.5, 1.5)))
def test_silence_of_cmd_vel_brings_it_to_rest_within_half_a_second(velocity):
    """Whatever the command node may send, killed at any moment."""
    robot = SimulatedRobot(RobotParameters(), 0)
    last_ns = drive(robot, velocity, 0, 1.0)
    robot.update(last_ns + 240 * MS)
    assert not robot.state.timed_out
    state = robot.update(last_ns + 500 * MS)
    assert state.timed_out
    assert state.velocity == Velocity()
    assert state.wheels == WheelVelocity()


def test_a_command_after_a_timeout_drives_on():
    robot = SimulatedRobot(QUIET, 0)
    robot.command(Velocity(0.2, 0.0), 0)
    assert robot.update(1000 * MS).timed_out
    drive(robot, Velocity(0.2, 0.0), 1000 * MS, 1.0)
    assert not robot.state.timed_out
    assert robot.state.velocity.linear_x == pytest.approx(0.2)


def test_a_suspended_process_wakes_up_at_rest_where_it_was():
    robot = SimulatedRobot(QUIET, 0)
    last_ns = drive(robot, Velocity(0.2, 0.0), 0, 1.0)
    before = robot.state.pose
    state = robot.update(last_ns + 3_600_000 * MS)
    assert state.velocity == Velocity()
    assert state.pose == before


@pytest.mark.parametrize('bad', [math.nan, math.inf, -math.inf])
def test_a_velocity_that_is_no_number_brakes(bad):
    robot = SimulatedRobot(QUIET, 0)
    last_ns = drive(robot, Velocity(0.2, 0.5), 0, 1.0)
    assert not robot.command(Velocity(bad, 0.0), last_ns + 50 * MS)
    assert robot.update(last_ns + 290 * MS).velocity == Velocity()


@settings(deadline=None, max_examples=30)
@given(
    st.lists(st.tuples(velocities, st.floats(0.1, 3.0)), min_size=1, max_size=8),
    st.integers(0, 1000),
)
def test_no_drive_leaves_the_arena_or_the_limits(drives, seed):
    parameters = RobotParameters(arena=Arena(1.0, 0.6), seed=seed, noise=0.1)
    robot = SimulatedRobot(parameters, 0)
    now_ns = 0
    for velocity, seconds in drives:
        now_ns = drive(robot, velocity, now_ns, seconds)
        state = robot.state
        assert parameters.room(state.pose) >= -1e-9
        # Noise is on top of the limits; six standard deviations are never seen.
        assert abs(state.velocity.linear_x) <= 0.5 * 1.6 + 1e-9


def test_a_wall_holds_it():
    robot = SimulatedRobot(dataclasses.replace(QUIET, arena=Arena(1.0, 1.0)), 0)
    drive(robot, Velocity(0.3, 0.0), 0, 5.0)
    assert robot.state.touching
    assert robot.state.pose.x == pytest.approx(0.4)
    assert robot.state.velocity.linear_x == pytest.approx(0.0, abs=1e-9)
    drive(robot, Velocity(-0.3, 0.0), 5000 * MS, 1.0)
    assert not robot.state.touching


def test_the_same_seed_gives_the_same_path_however_often_one_looks():
    def path(seed: int, look_every_ns: int) -> Pose:
        robot = SimulatedRobot(RobotParameters(seed=seed, noise=0.05), 0)
        for start_ns in range(0, 2000 * MS, 50 * MS):
            robot.command(Velocity(0.2, 0.5), start_ns)
            for now_ns in range(start_ns, start_ns + 50 * MS, look_every_ns):
                robot.update(now_ns)
        return robot.update(2000 * MS).pose

    assert path(1, 50 * MS) == path(1, 7 * MS)
    assert path(1, 50 * MS) != path(2, 50 * MS)


@pytest.mark.parametrize(
    'fields',
    [
        {'radius': 0.0},
        {'radius': 3.0},
        {'cmd_vel_timeout': 0.0},
        {'noise': -0.1},
        {'seed': -1},
        {'start': Pose(5.0, 0.0, 0.0)},
        {'start': Pose(math.nan, 0.0, 0.0)},
    ],
)
def test_a_robot_that_cannot_be_is_refused(fields):
    with pytest.raises(KwsImuError, match='simulated robot'):
        RobotParameters(**fields)


def test_a_geometry_that_cannot_be_is_refused():
    with pytest.raises(KwsImuError, match='wheel_radius'):
        DifferentialDrive(wheel_radius=0.0)
    with pytest.raises(KwsImuError, match='width'):
        Arena(width=math.inf)
