"""Status goes on whatever ROS time does: it never comes, it stands still, it is set back."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not installed')

from diagnostic_msgs.msg import DiagnosticArray
from nav_msgs.msg import Odometry
from rclpy.parameter import Parameter
from rosgraph_msgs.msg import Clock

from kws_imu_ros.display.terminal import LineDisplay
from kws_imu_ros.messages.fields import time_to_message
from kws_imu_ros.messages.motion import odometry_to_message
from kws_imu_ros.motion.velocity import Pose, Velocity
from kws_imu_ros.nodes.command_node import CommandNode
from kws_imu_ros.nodes.run_monitor_node import RunMonitorNode
from kws_imu_ros.nodes.runtime import simulated_time
from kws_imu_ros.nodes.runtime.base_node import BaseNode
from kws_imu_ros.nodes.runtime.diagnostics import DiagnosticsPublisher, Report
from kws_imu_ros.nodes.simulated_robot_node import SimulatedRobotNode
from kws_imu_ros.replay.run_log import RunLog

HOUR_NS = 3_600_000_000_000
SIMULATED = [Parameter('use_sim_time', value=True)]


@pytest.fixture
def set_clock(probe):
    """Return a function that sets the ROS time of a node that goes by /clock."""
    publisher = probe.node.create_publisher(Clock, '/clock', 10)

    def set_clock(node, stamp_ns: int) -> None:
        def is_set() -> bool:
            publisher.publish(Clock(clock=time_to_message(stamp_ns)))
            return node.get_clock().now().nanoseconds == stamp_ns

        assert probe.spin_until(is_set)

    return set_clock


def test_timers_and_diagnostics_go_on_when_the_clock_is_set_back(ros_context, probe, set_clock):
    diagnostics = probe.record(DiagnosticArray, '/diagnostics')
    node = BaseNode('status', context=ros_context, parameter_overrides=SIMULATED)
    probe.add_node(node)
    set_clock(node, 2 * HOUR_NS)
    ticks: list[int] = []
    node.create_timer(0.05, lambda: ticks.append(node.get_clock().now().nanoseconds))
    DiagnosticsPublisher(node, lambda _: Report('All is well.'))
    assert probe.spin_until(lambda: ticks and diagnostics)
    set_clock(node, HOUR_NS)
    ticks.clear()
    diagnostics.clear()
    assert probe.spin_until(lambda: len(ticks) > 10 and len(diagnostics) > 1)
    assert set(ticks) == {HOUR_NS}
    node.destroy_node()


class Lines(LineDisplay):
    """A display that keeps its lines."""

    STATUS_EVERY_S = 0.2

    def __init__(self, log: RunLog) -> None:
        super().__init__(log, console=None)
        self.lines: list[str] = []

    def _print(self, line: str) -> None:
        self.lines.append(line)


def test_the_status_of_a_run_goes_on_when_the_clock_is_set_back(ros_context, probe, set_clock):
    log = RunLog()
    log.voice = log.gesture = (('up', 'silence'), np.array([0.0, 1.0], np.float32))
    display = Lines(log)
    node = RunMonitorNode(
        log,
        display.decided,
        display.warned,
        display.update,
        refresh_rate=50.0,
        context=ros_context,
        parameter_overrides=SIMULATED,
    )
    probe.add_node(node)
    set_clock(node, 2 * HOUR_NS)
    log.start_ns = 2 * HOUR_NS
    assert probe.spin_until(lambda: log.now_s > 0.0)
    before_s = log.now_s
    odometry = probe.node.create_publisher(Odometry, 'odom', 10)
    set_clock(node, HOUR_NS)
    display.lines.clear()

    def goes_on() -> bool:
        # One stamp of the clock as it is now, one of the clock as it was.
        for stamp_ns in (HOUR_NS, 2 * HOUR_NS):
            odometry.publish(odometry_to_message(Pose(), Velocity(), stamp_ns))
        return len(display.lines) > 2 and len(log.path) > 20

    assert probe.spin_until(goes_on)
    assert before_s < log.now_s < 600.0
    times = [time_s for time_s, _ in log.path]
    assert times == sorted(times)
    assert before_s <= times[0] <= times[-1] < 600.0
    node.destroy_node()


@pytest.mark.parametrize('make', [CommandNode, SimulatedRobotNode])
def test_a_node_on_simulated_time_says_that_no_clock_comes_and_that_is_all(
    ros_context, probe, set_clock, monkeypatch, make
):
    monkeypatch.setattr(simulated_time, 'PATIENCE_S', 0.5)
    diagnostics = probe.record(DiagnosticArray, '/diagnostics')
    node = make(context=ros_context, parameter_overrides=SIMULATED)
    probe.add_node(node)

    def told() -> bool:
        return bool(diagnostics) and 'nobody publishes /clock' in diagnostics[-1].status[0].message

    assert probe.spin_until(told)
    set_clock(node, HOUR_NS)
    diagnostics.clear()
    assert probe.spin_until(lambda: diagnostics)
    assert not told()
    node.destroy_node()


def test_a_node_on_the_system_s_time_waits_for_no_clock(ros_context, monkeypatch):
    monkeypatch.setattr(simulated_time, 'PATIENCE_S', 0.0)
    node = BaseNode('status', context=ros_context)
    watch = simulated_time.SimulatedTime(node)
    assert not watch.waiting
    assert watch.look() == ()
    node.destroy_node()
