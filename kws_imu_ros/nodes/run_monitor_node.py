"""
Listen in on a run and keep its log, for the terminal, the verdict and the picture.

The nodes' warnings are read from /rosout, because what they print themselves would fall into the
middle of a live display.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import Twist, TwistStamped
from nav_msgs.msg import Odometry
from rcl_interfaces.msg import Log
from rclpy.clock import Clock, ClockType
from rclpy.logging import LoggingSeverity
from rclpy.qos import qos_profile_sensor_data
from std_msgs.msg import Float32MultiArray, Int16MultiArray, String

from kws_imu_ros.decision.decision import Decision
from kws_imu_ros.messages.decision import decision_from_message, intent_from_message
from kws_imu_ros.messages.motion import odometry_from_message, velocity_from_message
from kws_imu_ros.messages.posterior import posterior_from_message
from kws_imu_ros.nodes.runtime.base_node import BaseNode
from kws_imu_ros.nodes.runtime.qos import LOGGED_LATCHED_QOS, LOGGED_QOS
from kws_imu_ros.replay.run_log import QUIET_DBFS, RunLog
from kws_imu_ros.replay.scenario import Motion

# What a machine that has fallen behind real time still delivers; an older stamp is of a clock that
# was set since.
LONGEST_AGE_S = 60.0


class RunMonitorNode(BaseNode):
    """Fill a run log from the topics."""

    def __init__(
        self,
        log: RunLog,
        on_decision: Callable[[float, Decision], None],
        on_warning: Callable[[float, str, str], None],
        on_refresh: Callable[[], None],
        refresh_rate: float = 5.0,
        stamped: bool = False,
        on_command: Callable[[float, str], None] = lambda _time_s, _intent: None,
        **kwargs: Any,
    ) -> None:
        """
        Subscribe.

        on_decision: called with each decision and its time in the run. on_warning: called with
        time, node and sentence. on_refresh: called `refresh_rate` times a second, for a display.
        stamped: whether cmd_vel carries TwistStamped. on_command: called with the time in the run
        and the intent of each command, or the sentence of a coach's finding.
        """
        super().__init__('observer', **kwargs)
        self._on_command = on_command
        self.create_subscription(DiagnosticStatus, 'finding', self._take_finding, LOGGED_QOS)
        self._log = log
        self._steady_start_ns: int | None = None
        self._on_decision = on_decision
        self._on_warning = on_warning
        self._on_refresh = on_refresh
        # (node, sentence without its numbers): what it said last, while only its numbers changed.
        self._said: dict[tuple[str, str], tuple[float, str]] = {}
        self.untold: dict[tuple[str, str], tuple[float, str]] = {}
        # The level alone does not need every block.
        self.create_subscription(
            Int16MultiArray, 'audio', self._take_audio, qos_profile_sensor_data
        )
        self.create_subscription(
            Float32MultiArray, 'voice', self._take_voice, qos_profile_sensor_data
        )
        self.create_subscription(
            Float32MultiArray, 'gesture', self._take_gesture, qos_profile_sensor_data
        )
        self.create_subscription(
            DiagnosticStatus, 'decision', self._take_decision, LOGGED_LATCHED_QOS
        )
        self.create_subscription(String, 'command', self._take_command, LOGGED_QOS)
        self.create_subscription(
            TwistStamped if stamped else Twist, 'cmd_vel', self._take_velocity, LOGGED_QOS
        )
        self.create_subscription(Odometry, 'odom', self._take_odometry, LOGGED_QOS)
        self.create_subscription(DiagnosticArray, '/diagnostics', self._take_diagnostics, 10)
        # Latched: a warning of a node's constructor comes before anybody listens.
        self.create_subscription(Log, '/rosout', self._take_log, LOGGED_LATCHED_QOS)
        # Steady: a display goes on whatever becomes of the system's or a simulation's clock.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(1.0 / refresh_rate, self._refresh, clock=steady)

    def _time(self) -> float:
        """
        Return the time in the run, in s; before the start is known, 0.

        It runs on the steady clock: setting the system's clock ends no status and bends no path.
        """
        start_ns = self._log.start_ns
        if start_ns is None:
            return 0.0
        steady_ns = time.monotonic_ns()
        if self._steady_start_ns is None:
            # The start is told in ROS time, and a moment late.
            self._steady_start_ns = steady_ns - (self.get_clock().now().nanoseconds - start_ns)
        return (steady_ns - self._steady_start_ns) / 1e9

    def _time_of(self, stamp_ns: int) -> float:
        """Return the time in the run of a stamp; now, for one of a clock that was set since."""
        now_s = self._time()
        started = self._steady_start_ns is not None
        age_s = (self.get_clock().now().nanoseconds - stamp_ns) / 1e9
        return now_s - age_s if started and abs(age_s) < LONGEST_AGE_S else now_s

    def _refresh(self) -> None:
        self._log.now_s = self._time()
        self._on_refresh()

    def _take_audio(self, message: Int16MultiArray) -> None:
        samples = np.asarray(message.data, np.float32)
        power = float(np.mean(samples * samples)) / 32768.0**2 if len(samples) else 0.0
        level = 10.0 * np.log10(power) if power > 0.0 else QUIET_DBFS
        # Up at once and down slowly, as level meters do.
        self._log.level_dbfs = max(level, self._log.level_dbfs - 1.0, QUIET_DBFS)

    def _take_voice(self, message: Float32MultiArray) -> None:
        labels, values, stamp_ns = posterior_from_message(message)
        self._log.voice = (labels, values)
        if self._log.start_ns is not None:
            time_s = self._time_of(stamp_ns)
            self._log.posteriors.append((time_s, values, self._log.gesture[1]))

    def _take_gesture(self, message: Float32MultiArray) -> None:
        labels, values, _ = posterior_from_message(message)
        self._log.gesture = (labels, values)

    def _take_decision(self, message: DiagnosticStatus) -> None:
        decision = decision_from_message(message)
        time_s = self._time_of(decision.stamp_ns)
        self._log.decisions.append((time_s, decision))
        self._on_decision(time_s, decision)

    def _take_command(self, message: String) -> None:
        time_s, intent = self._time(), intent_from_message(message)
        self._log.commands.append((time_s, intent))
        self._on_command(time_s, intent)

    def _take_finding(self, message: DiagnosticStatus) -> None:
        self._on_command(self._time(), str(message.message))

    def _take_velocity(self, message: Twist | TwistStamped) -> None:
        velocity = velocity_from_message(message)
        self._log.velocity = velocity
        self._log.motions.append(Motion(self._time(), velocity.linear_x, velocity.angular_z))

    def _take_odometry(self, message: Odometry) -> None:
        stamp_ns, pose, _ = odometry_from_message(message)
        self._log.pose = pose
        self._log.path.append((self._time_of(stamp_ns), pose))

    def _take_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            node = status.name.split('/')[-1]
            if node in ('fusion', 'choreographer'):
                values = {item.key: item.value for item in status.values}
                if node == 'fusion':
                    self._log.fusion = values
                else:
                    self._log.dance = values

    def _take_log(self, message: Log) -> None:
        # Whoever is told that the input has ended needs no warning that nothing comes any more.
        if message.level < LoggingSeverity.WARN or self._log.input_ended:
            return
        time_s, node = self._time(), message.name.split('.')[-1]
        self._log.warnings.append((time_s, node, message.msg))
        self._tell(time_s, node, message.msg)

    def _tell(self, time_s: float, node: str, sentence: str) -> None:
        """Pass a warning on, unless all that is new in it is a number: a count that grows."""
        key = (node, re.sub(r'\d+(?:[.,]\d+)*', '#', sentence))
        known = key in self._said and self._said[key][1] != sentence
        self._said[key] = (time_s, sentence)
        if known:
            self.untold[key] = (time_s, sentence)
        else:
            self._on_warning(time_s, node, sentence)

    def tell_the_rest(self) -> None:
        """Pass on where the counts have got to; for the end of a run."""
        for (node, _), (time_s, sentence) in self.untold.items():
            self._on_warning(time_s, node, sentence)
        self.untold.clear()
