"""The controller is the last instance before the motors; these are its promises."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kws_imu_ros.motion.controller import (
    GRACE_AFTER_PAUSE,
    CommandOutcome,
    MotionController,
    MotionState,
)
from kws_imu_ros.motion.profiles import load_motion_table
from kws_imu_ros.motion.velocity import Velocity

TABLE = load_motion_table(Path(__file__).resolve().parents[2] / 'config' / 'motion.yaml')
REST = Velocity()
MS = 1_000_000
PERIOD = 50 * MS
START = 1_000_000_000_000


class Robot:
    """A controller with a clock, driven at the rate of the command node."""

    def __init__(self, table=TABLE) -> None:
        self.controller = MotionController(table)
        self.now = START
        self.fusion = True
        self.velocities: list[Velocity] = []
        self.tick()

    def tick(self, periods: int = 1) -> Velocity:
        """Let time pass, with fusion's heartbeat, and return the last velocity."""
        for _ in range(periods):
            self.now += PERIOD
            if self.fusion:
                self.controller.heartbeat(self.now)
            self.velocities.append(self.controller.update(self.now))
        return self.velocities[-1]

    def say(self, intent: str, age: float = 0.0):
        """Give a command that is age seconds old."""
        return self.controller.command(intent, self.now - round(age * 1e9), self.now)


def test_each_word_of_the_vocabulary_does_what_it_says():
    for intent, linear_x, angular_z in (
        ('up', 0.2, 0.0),
        ('down', -0.15, 0.0),
        ('left', 0.0, 1.0),
        ('right', 0.0, -1.0),
        ('go', 0.2, 0.0),
    ):
        robot = Robot()
        assert robot.say(intent).accepted
        assert robot.tick(15) == Velocity(pytest.approx(linear_x), pytest.approx(angular_z))
        assert robot.controller.state is MotionState.DRIVING
        assert robot.controller.active_intent == intent


def test_stop_brakes_at_its_own_deceleration():
    robot = Robot()
    robot.say('up')
    robot.tick(15)
    assert robot.say('stop').accepted
    assert robot.tick() == Velocity(pytest.approx(0.1), 0.0)
    assert robot.controller.state is MotionState.STOPPING
    assert robot.tick() == REST
    assert robot.controller.state is MotionState.STANDING


def test_stop_is_obeyed_however_old_or_young():
    for age in (-100.0, 100.0):
        robot = Robot()
        robot.say('up')
        robot.tick(10)
        assert robot.say('stop', age).accepted
        assert robot.tick(5) == REST


def test_a_command_comes_to_rest_when_its_lifetime_ends():
    robot = Robot()
    robot.say('up')
    end = robot.now + round(TABLE.command_lifetime * 1e9)
    while robot.now < end:
        robot.tick()
        assert robot.now >= end or robot.velocities[-1] != REST
    assert robot.velocities[-1] == REST
    assert robot.controller.active_intent == ''
    assert robot.tick(100) == REST


def test_a_command_that_is_stale_on_arrival_never_moves_the_robot():
    robot = Robot()
    result = robot.say('up', age=3.0)
    assert not result.accepted
    assert result.outcome is CommandOutcome.STALE
    assert '3.00 s old' in result.reason
    assert robot.tick(100) == REST
    assert set(robot.velocities) == {REST}


def test_a_command_that_aged_in_a_queue_lives_only_for_the_rest():
    robot = Robot()
    assert robot.say('up', age=2.5).accepted
    assert robot.tick(5) != REST
    assert robot.tick(5) == REST


def test_a_stale_command_does_not_displace_a_fresh_one():
    robot = Robot()
    robot.say('up')
    robot.tick(10)
    assert not robot.say('left', age=10.0).accepted
    assert robot.tick().linear_x == pytest.approx(0.2)


def test_a_command_from_the_future_is_refused_beyond_the_skew_of_clocks():
    robot = Robot()
    assert robot.say('up', age=-0.4).accepted
    robot = Robot()
    result = robot.say('up', age=-5.0)
    assert (result.accepted, result.outcome) == (False, CommandOutcome.FUTURE)
    assert robot.tick(20) == REST


@pytest.mark.parametrize('intent', ['', 'none', 'unknown', 'silence', 'UP', 'up ', 'dance', '\x00'])
def test_unknown_intents_change_nothing(intent):
    robot = Robot()
    result = robot.say(intent)
    assert (result.accepted, result.outcome) == (False, CommandOutcome.UNKNOWN)
    assert robot.tick(20) == REST
    robot.say('up')
    robot.tick(10)
    robot.say(intent)
    assert robot.tick().linear_x == pytest.approx(0.2)


def test_without_fusion_the_robot_stops_at_once_and_stays():
    robot = Robot()
    robot.say('up')
    robot.tick(10)
    robot.fusion = False
    robot.tick(7)
    assert robot.velocities[-1] != REST
    assert robot.tick() == REST
    assert robot.controller.state is MotionState.FUSION_LOST
    assert robot.say('up').outcome is CommandOutcome.FUSION_LOST
    robot.fusion = True
    assert robot.tick(20) == REST, 'the old command does not come back with fusion'
    assert robot.say('up').accepted
    assert robot.tick() != REST


def test_a_pause_of_the_watcher_itself_gives_fusion_a_moment_to_be_heard():
    robot = Robot()
    robot.say('up')
    robot.tick(10)
    robot.fusion = False
    robot.now += 1000 * MS
    assert robot.tick() != REST, 'heartbeats may wait in the queue'
    robot.fusion = True
    assert robot.tick(5) != REST

    robot.fusion = False
    robot.now += 1000 * MS
    robot.tick()
    assert robot.tick(3) == REST, 'but they did not: fusion is dead'
    assert robot.controller.state is MotionState.FUSION_LOST


def test_pauses_again_and_again_do_not_keep_a_dead_fusion_alive():
    robot = Robot()
    robot.say('up')
    robot.tick(10)
    robot.fusion = False
    for _ in range(3):
        robot.now += 200 * MS
        robot.tick()
    assert robot.velocities[-1] == REST


def test_a_fusion_that_lost_a_sense_stops_the_robot_at_once():
    robot = Robot()
    robot.say('up')
    robot.tick(10)
    robot.controller.heartbeat_lost(robot.now)
    assert robot.controller.velocity == REST
    assert robot.controller.state is MotionState.FUSION_LOST
    assert robot.tick(10) == REST, 'a new command is needed'
    assert robot.say('up').accepted


def test_before_the_first_sign_of_life_nothing_moves():
    controller = MotionController(TABLE)
    assert controller.command('up', START).outcome is CommandOutcome.FUSION_LOST
    assert controller.update(START + PERIOD) == REST


def test_teleoperation_without_fusion_can_be_allowed():
    controller = MotionController(TABLE, require_heartbeat=False)
    controller.update(START)
    assert controller.command('up', START).accepted
    assert controller.update(START + PERIOD) != REST


def test_the_emergency_stop_is_latched():
    robot = Robot()
    robot.say('yes')
    robot.say('up')
    robot.tick(10)
    robot.controller.emergency_stop(True)
    assert robot.controller.velocity == REST, 'at once, before the next update'
    assert robot.tick() == REST
    assert robot.say('up').outcome is CommandOutcome.EMERGENCY_STOP
    assert robot.say('stop').accepted
    assert robot.tick(100) == REST
    assert robot.controller.state is MotionState.EMERGENCY_STOP
    robot.controller.emergency_stop(False)
    assert robot.tick(20) == REST, 'released is not restarted'
    assert robot.controller.scale == 1.0
    assert robot.say('up').accepted
    assert robot.tick() != REST


def test_faster_and_slower_change_speed_within_bounds_and_never_start_a_motion():
    robot = Robot()
    for _ in range(10):
        assert robot.say('yes').accepted
    assert robot.tick(20) == REST
    assert robot.controller.scale == TABLE.maximum_scale
    robot.say('up')
    assert robot.tick(20).linear_x == pytest.approx(0.3)
    for _ in range(10):
        robot.say('no')
    assert robot.tick(20).linear_x == pytest.approx(0.1)
    assert robot.controller.scale == TABLE.minimum_scale


def test_faster_renews_the_drive_that_it_changes():
    robot = Robot()
    robot.say('up')
    robot.tick(40)
    robot.say('yes')
    assert robot.tick(40).linear_x == pytest.approx(0.25)
    assert robot.tick(20) == REST


def test_go_resumes_the_last_way_and_skips_turns():
    robot = Robot()
    robot.say('down')
    robot.tick(5)
    robot.say('left')
    robot.tick(5)
    robot.say('stop')
    assert robot.tick(20) == REST
    robot.say('go')
    assert robot.tick(20) == Velocity(pytest.approx(-0.15), 0.0)


def test_a_quarter_turn_is_about_a_quarter_turn():
    robot = Robot()
    robot.say('left')
    robot.tick(60)
    turned = sum(velocity.angular_z for velocity in robot.velocities) * PERIOD / 1e9
    assert turned == pytest.approx(1.571, abs=0.1)


def test_time_that_jumps_backwards_forgets_the_command():
    robot = Robot()
    robot.say('up')
    robot.tick(10)
    robot.now -= 3600 * 1000 * MS
    robot.fusion = False
    assert robot.tick() == REST
    robot.fusion = True
    assert robot.tick(100) == REST


def test_time_that_jumps_forwards_ends_the_command_and_does_not_jump_the_speed():
    robot = Robot()
    robot.say('up')
    robot.now += 3600 * 1000 * MS
    assert robot.tick(3) == REST
    robot.say('up')
    robot.now += 2000 * MS
    assert abs(robot.tick().linear_x) <= TABLE.limits.linear.max_acceleration * 0.1 + 1e-9


def test_new_limits_hold_from_the_next_update_on():
    robot = Robot()
    robot.say('up')
    robot.tick(15)
    linear = dataclasses.replace(TABLE.limits.linear, max_velocity=0.1)
    limits = dataclasses.replace(TABLE.limits, linear=linear)
    robot.controller.table = dataclasses.replace(TABLE, limits=limits)
    assert robot.tick().linear_x <= 0.1


events = st.lists(
    st.one_of(
        st.tuples(
            st.just('command'),
            st.sampled_from([*TABLE.intents, 'none', 'jump']),
            st.floats(-5.0, 10.0),
        ),
        st.tuples(st.just('emergency'), st.booleans()),
        st.tuples(st.just('fusion'), st.booleans()),
        st.tuples(st.just('wait'), st.integers(1, 40)),
        st.tuples(st.just('jump'), st.integers(-10_000, 10_000)),
    ),
    max_size=40,
)


@settings(deadline=None, max_examples=200)
@given(events)
def test_no_history_breaks_a_promise(history):
    """A model of the promises, kept apart from the controller, watches any history."""
    robot = Robot()
    limits = TABLE.limits
    alive_until = robot.now + round(TABLE.fusion_timeout * 1e9)
    moves_until = 0
    emergency = False
    for event in history:
        kind, *arguments = event
        if kind == 'command':
            intent, age = arguments
            result = robot.say(intent, age)
            if result.accepted and intent != 'stop':
                assert not emergency
                # A jump back by less than the skew is none, and adds to it.
                assert -2.0 * TABLE.max_clock_skew <= age < TABLE.command_lifetime
                given_at = robot.now - round(max(age, 0.0) * 1e9)
                moves_until = max(moves_until, given_at + round(TABLE.command_lifetime * 1e9))
        elif kind == 'emergency':
            emergency = arguments[0]
            robot.controller.emergency_stop(emergency)
        elif kind == 'fusion':
            robot.fusion = arguments[0]
        elif kind == 'jump':
            was_alive = robot.now <= alive_until
            robot.now += arguments[0] * MS
            if was_alive:
                grace_ns = round(GRACE_AFTER_PAUSE * 1e9)
                alive_until = max(alive_until, robot.now + PERIOD + grace_ns)
            if arguments[0] < 0:
                alive_until = min(alive_until, robot.now + round(TABLE.fusion_timeout * 1e9))
        for _ in range(arguments[0] if kind == 'wait' else 1):
            before = robot.controller.velocity
            after = robot.tick()
            if robot.fusion:
                alive_until = robot.now + round(TABLE.fusion_timeout * 1e9)
            assert limits.clamp(after) == after
            assert abs(after.linear_x) - abs(before.linear_x) <= 0.6 * 0.1 + 1e-9
            assert abs(after.angular_z) - abs(before.angular_z) <= 4.0 * 0.1 + 1e-9
            if emergency:
                assert after == REST
            skew = round(TABLE.max_clock_skew * 1e9)
            if robot.now > alive_until + skew:
                assert after == REST
            # What is left after a lifetime is only the braking of an earlier drive.
            if robot.now > moves_until + skew:
                assert abs(after.linear_x) <= abs(before.linear_x)
                assert abs(after.angular_z) <= abs(before.angular_z)
            if robot.now > moves_until + skew + 300 * MS:
                assert after == REST


def test_a_command_that_was_given_before_a_stop_never_moves_the_robot():
    robot = Robot()
    robot.tick(20)
    assert robot.say('stop').accepted
    robot.tick(2)
    # From another sender, on a slower road.
    result = robot.say('up', age=0.3)
    assert (result.accepted, result.outcome) == (False, CommandOutcome.OVERTAKEN)
    assert robot.tick(20) == REST
    assert robot.say('up').accepted
    assert robot.tick(5) != REST


def test_a_command_that_was_given_during_the_emergency_stop_is_not_obeyed_after_it():
    robot = Robot()
    robot.controller.emergency_stop(True, robot.now)
    robot.tick(10)
    robot.controller.emergency_stop(False, robot.now + 20 * MS)
    robot.now += 21 * MS
    result = robot.controller.command('up', robot.now - 10 * MS, robot.now)
    assert (result.accepted, result.outcome) == (False, CommandOutcome.OVERTAKEN)
    assert robot.tick(20) == REST
    assert robot.say('up').accepted
    assert robot.tick(5) != REST


def test_a_command_that_was_given_while_fusion_was_dead_is_not_obeyed_when_it_lives():
    robot = Robot()
    robot.tick(5)
    robot.fusion = False
    robot.tick(20)
    assert robot.controller.state is MotionState.FUSION_LOST
    robot.fusion = True
    robot.tick()
    result = robot.say('up', age=0.2)
    assert (result.accepted, result.outcome) == (False, CommandOutcome.OVERTAKEN)
    assert robot.tick(20) == REST


def test_a_shorter_lifetime_holds_for_the_drive_under_way():
    robot = Robot()
    robot.say('up')
    robot.tick(10)
    robot.controller.table = dataclasses.replace(TABLE, command_lifetime=0.3)
    assert robot.tick(8) == REST
    assert robot.tick(20) == REST


def test_after_a_pause_of_its_own_speed_grows_from_rest():
    robot = Robot()
    robot.say('up')
    cruise = robot.tick(15).linear_x
    # The process was suspended; the base has stopped by itself meanwhile.
    robot.now += 1_000 * MS
    velocities = [robot.tick().linear_x for _ in range(8)]
    assert velocities[0] <= TABLE.limits.linear.max_acceleration * 0.1 + 1e-9
    assert velocities == sorted(velocities)
    assert velocities[-1] == pytest.approx(cruise)
