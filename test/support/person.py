"""Somebody who gives commands and looks at the robot, and judges by its stamps when it stood."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable

from conftest import PATIENCE_S, Probe
from geometry_msgs.msg import Twist, TwistStamped
from nav_msgs.msg import Odometry
from rclpy.qos import qos_profile_sensor_data
from std_msgs.msg import String, UInt32

from kws_imu_ros.messages.motion import odometry_from_message, velocity_from_message
from kws_imu_ros.motion.velocity import Velocity

REST = Velocity()

# For tests of something else: nothing ends by itself while a slow machine does the rest of it.
LONG_LIFE = ('-p', 'command_lifetime:=30.0')
PATIENT = ('-p', 'fusion_timeout:=5.0')
# However long the robot drives, it meets no wall that makes it stand.
WIDE_ARENA = ('-p', 'arena_width:=1000.0', '-p', 'arena_depth:=1000.0')

SECOND_NS = 1_000_000_000
# The simulated robot tells its motion at 25 Hz.
ODOMETRY_PERIOD_NS = SECOND_NS // 25


class Person:
    """Somebody who gives commands and looks at the robot; fusion's pulse, too, if asked to."""

    def __init__(self, probe: Probe, stamped: bool = False, pulse: bool = False) -> None:
        self.probe = probe
        node = probe.node
        self.commands = node.create_publisher(String, 'command', 10)
        self.velocities = probe.record(TwistStamped if stamped else Twist, 'cmd_vel')
        self.odometry = probe.record(Odometry, 'odom')
        if pulse:
            alive = node.create_publisher(UInt32, 'fusion_alive', qos_profile_sensor_data)
            node.create_timer(0.05, lambda: alive.publish(UInt32(data=1)))

    def until(self, condition: Callable[[], object]) -> bool:
        """Spin until a condition holds; False when it never does."""
        return self.probe.spin_until(condition)

    @property
    def velocity(self) -> Velocity | None:
        """Return the newest velocity on cmd_vel, None before the first."""
        return velocity_from_message(self.velocities[-1]) if self.velocities else None

    def commands_motion(self) -> bool:
        """Return whether the newest velocity on cmd_vel is a motion."""
        return self.velocity not in (None, REST)

    def sees_motion(self) -> bool:
        """Return whether odometry shows a motion."""
        return bool(self.odometry) and odometry_from_message(self.odometry[-1])[2] != REST

    def sees_rest(self) -> bool:
        """Return whether odometry shows a robot that stands."""
        return bool(self.odometry) and odometry_from_message(self.odometry[-1])[2] == REST

    def say(self, intent: str) -> None:
        """Publish a command once somebody listens."""
        assert self.until(lambda: self.commands.get_subscription_count() > 0)
        self.commands.publish(String(data=intent))

    def drive(self, intent: str = 'up', reached: Callable[[], object] | None = None) -> None:
        """
        Give a command until what it is for was reached: any motion on cmd_vel, unless told.

        More than once, because fusion may not have been heard yet, and because a machine that
        stutters is a reason for the robot to stop and to forget the command.
        """
        reached = reached or self.commands_motion
        deadline = time.monotonic() + PATIENCE_S
        while not reached():
            assert time.monotonic() < deadline, f'{intent!r} was not obeyed'
            self.say(intent)
            self.probe.spin_until(reached, 0.5)

    def watch(self, count: int = 10) -> list[Velocity]:
        """Return the next velocities on cmd_vel."""
        start = len(self.velocities)
        assert self.until(lambda: len(self.velocities) >= start + count), 'cmd_vel is silent'
        return [velocity_from_message(message) for message in self.velocities[start:]]

    def falls_silent(self) -> bool:
        """Return whether cmd_vel comes to carry nothing for half a second."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            start = len(self.velocities)
            if not self.probe.spin_until(lambda: len(self.velocities) > start, 0.5):  # noqa: B023
                return True
        return False

    def assert_rests_after(self, last_ns: int, seconds: float) -> None:
        """
        Assert that the robot came to rest within seconds of a moment, and stayed at rest.

        Judged by the simulated robot's own stamps. While its process was held up, which shows as a
        gap between them, it could not brake: that time does not count.
        """

        def deadline_ns() -> int:
            stamps = [odometry_from_message(message)[0] for message in self.odometry]
            gaps = (b - a for a, b in itertools.pairwise(stamps) if b > last_ns)
            held_up_ns = sum(max(0, gap - 2 * ODOMETRY_PERIOD_NS) for gap in gaps)
            return last_ns + round(seconds * SECOND_NS) + held_up_ns

        def seen_long_enough() -> bool:
            return bool(self.odometry) and (
                odometry_from_message(self.odometry[-1])[0] > deadline_ns() + SECOND_NS // 2
            )

        assert self.until(seen_long_enough)
        end_ns = deadline_ns()
        late = [
            velocity
            for stamp_ns, _, velocity in map(odometry_from_message, self.odometry)
            if stamp_ns > end_ns
        ]
        assert set(late) == {REST}
