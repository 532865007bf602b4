"""Reports of a node's health on `/diagnostics`, once a second."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from kws_imu_ros.messages.fields import key_values, time_to_message
from kws_imu_ros.nodes.runtime.simulated_time import SimulatedTime

PERIOD_S = 1.0


@dataclass
class Report:
    """
    What a node says of itself.

    errors, warnings: one plain sentence a problem. summary: the sentence when there is none.
    values: name -> value, with the unit in the name. hardware_id: the device, if there is one.
    """

    summary: str
    errors: Sequence[str] = ()
    warnings: Sequence[str] = ()
    values: dict[str, Any] = field(default_factory=dict)
    hardware_id: str = ''


class DiagnosticsPublisher:
    """Ask a node for its report once a second and publish that."""

    def __init__(self, node: Node, make_report: Callable[[float], Report]) -> None:
        """
        Publish for `node`.

        make_report: called with the seconds since its last call.
        """
        self._node = node
        self._make_report = make_report
        self._publisher = node.create_publisher(DiagnosticArray, '/diagnostics', 10)
        self._reported_ns = time.monotonic_ns()
        self._twins = 0
        self._simulated_time = SimulatedTime(node)
        # Steady: neither a paused simulation nor a clock that is set back pauses the diagnostics.
        node.create_timer(PERIOD_S, self._on_timer, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def _on_timer(self) -> None:
        now_ns = time.monotonic_ns()
        report = self._make_report((now_ns - self._reported_ns) / 1e9)
        self._reported_ns = now_ns
        warnings = [
            *self._simulated_time.look(),
            *report.warnings,
            *self._look_for_twins(),
        ]
        level = DiagnosticStatus.OK
        if report.errors:
            level = DiagnosticStatus.ERROR
        elif warnings:
            level = DiagnosticStatus.WARN
        status = DiagnosticStatus(
            level=level,
            name=self._node.get_fully_qualified_name().lstrip('/'),
            message=' '.join([*report.errors, *warnings]) or report.summary,
            hardware_id=report.hardware_id,
            values=key_values(report.values),
        )
        array = DiagnosticArray(status=[status])
        array.header.stamp = time_to_message(self._node.get_clock().now().nanoseconds)
        self._publisher.publish(array)

    def _look_for_twins(self) -> list[str]:
        """
        Return a warning where another node has this one's name: both answer, and both drive.

        Logged once. Only what is seen twice counts, since a node that has just ended is listed for
        a moment longer.
        """
        node = self._node
        own = (node.get_name(), node.get_namespace())
        count = node.get_node_names_and_namespaces().count(own)
        self._twins = self._twins + 1 if count > 1 else 0
        if self._twins < 2:
            return []
        sentence = (
            f'There is another {node.get_fully_qualified_name()} in this ROS domain, of a robot '
            'beside this one or of an earlier run: end it, or give each robot a ROS_DOMAIN_ID or a '
            'namespace of its own.'
        )
        if self._twins == 2:
            node.get_logger().warning(sentence)
        return [sentence]


class Durations:
    """The newest durations of something, for a median and a 95th percentile."""

    def __init__(self, keep: int = 250) -> None:
        """Keep the newest `keep` durations."""
        self._newest: deque[int] = deque(maxlen=keep)

    def add(self, duration_ns: int) -> None:
        """Take one duration in ns."""
        self._newest.append(duration_ns)

    def describe_ms(self) -> str:
        """Return 'median / 95th percentile / longest' in ms, '-' when there is none."""
        if not self._newest:
            return '-'
        ordered = sorted(self._newest)
        last = len(ordered) - 1
        picked = (ordered[last // 2], ordered[round(last * 0.95)], ordered[last])
        return ' / '.join(f'{value / 1e6:.3f}' for value in picked)


class Rate:
    """A count of events, for a rate."""

    def __init__(self) -> None:
        """Start at zero."""
        self.total = 0
        self._counted = 0

    def add(self) -> None:
        """Count one event."""
        self.total += 1

    def per_second(self, seconds: float) -> float:
        """Return the rate since the last call, `seconds` ago."""
        new, self._counted = self.total - self._counted, self.total
        return new / seconds if seconds > 0.0 else 0.0
