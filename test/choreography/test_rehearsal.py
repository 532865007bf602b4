"""A rehearsed dance obeys the robot's own limits and ends at rest."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from kws_imu_ros.choreography.choreography import Choreography, Move
from kws_imu_ros.choreography.rehearsal import rehearse
from kws_imu_ros.motion.profiles import load_motion_table

TABLE = load_motion_table(Path(__file__).resolve().parents[2] / 'config' / 'motion.yaml')


def test_a_quarter_turn_and_a_straight_line_end_where_they_must():
    moves = (Move(1.0, 4.0, robot='left'), Move(5.0, 4.0, robot='up'))
    steps = list(rehearse(Choreography('corner', 120.0, 4, moves), TABLE))
    sent = [(step.beat, step.sent) for step in steps if step.sent]
    assert sent == [(1.0, 'left'), (5.0, 'up'), (8.0, 'up'), (9.0, 'stop')]
    assert not any(step.refused for step in steps)
    last = steps[-1]
    assert (last.velocity.linear_x, last.velocity.angular_z) == (0.0, 0.0)
    assert math.degrees(last.pose.yaw) == pytest.approx(90.0, abs=6.0)
    assert math.hypot(last.pose.x, last.pose.y) == pytest.approx(0.4, abs=0.05)


def test_an_intent_that_the_table_lacks_is_never_sent():
    steps = list(rehearse(Choreography('odd', 120.0, 4, (Move(1.0, 1.0, robot='fly'),)), TABLE))
    assert all(not step.sent for step in steps)
    assert steps[-1].pose.x == 0.0
