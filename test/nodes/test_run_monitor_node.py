"""What a run says of its nodes' warnings: each once, and where its counts have got to."""

from __future__ import annotations

import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not installed')

from rcl_interfaces.msg import Log
from rclpy.clock import ClockType
from rclpy.logging import LoggingSeverity

from kws_imu_ros.nodes.run_monitor_node import RunMonitorNode
from kws_imu_ros.replay.run_log import RunLog


@pytest.fixture
def told() -> list[tuple[str, str]]:
    return []


@pytest.fixture
def monitor(ros_context, told):
    node = RunMonitorNode(
        RunLog(None),
        lambda *_: None,
        lambda time_s, node, sentence: told.append((node, sentence)),
        lambda: None,
        context=ros_context,
    )
    yield node
    node.destroy_node()


def say(monitor: RunMonitorNode, sentence: str, node: str = 'fusion') -> None:
    monitor._take_log(Log(level=int(LoggingSeverity.WARN), name=node, msg=sentence))


def test_a_count_that_grows_is_told_once_and_at_the_end(monitor, told):
    for count in range(1, 50):
        say(monitor, f'{count} blocks of 0.02 s were lost.')
    assert told == [('fusion', '1 blocks of 0.02 s were lost.')]
    monitor.tell_the_rest()
    assert told[1:] == [('fusion', '49 blocks of 0.02 s were lost.')]
    monitor.tell_the_rest()
    assert len(told) == 2


def test_what_is_said_again_word_for_word_is_news(monitor, told):
    say(monitor, 'No audio comes any more.')
    say(monitor, 'No IMU comes any more.')
    say(monitor, 'No audio comes any more.')
    say(monitor, 'No audio comes any more.', node='command')
    assert len(told) == 4
    monitor.tell_the_rest()
    assert len(told) == 4


def test_the_display_runs_on_the_steady_clock(monitor):
    assert {timer.clock.clock_type for timer in monitor.timers} == {ClockType.STEADY_TIME}
