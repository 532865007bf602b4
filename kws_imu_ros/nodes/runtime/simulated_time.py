"""Whether a node that takes its time from a simulation gets any."""

from __future__ import annotations

import time

from rclpy.clock import ROSClock
from rclpy.node import Node

# A simulator that is being started needs a moment.
PATIENCE_S = 3.0


class SimulatedTime:
    """
    Watches over `use_sim_time`.

    Before the first message on /clock a node's time is zero: what waits for time waits for ever,
    and what is stamped is stamped with zero. Neither says why.
    """

    def __init__(self, node: Node) -> None:
        """Watch over a node."""
        self._node = node
        self._waiting_since: float | None = None
        self._told = False

    @property
    def waiting(self) -> bool:
        """Return whether time comes from /clock and has not come yet."""
        clock = self._node.get_clock()
        simulated = isinstance(clock, ROSClock) and clock.ros_time_is_active
        return simulated and clock.now().nanoseconds == 0

    def look(self) -> tuple[str, ...]:
        """
        Return, and log once, that no time comes; empty while that is no news.

        Call it from a timer on the steady clock: others wait for /clock themselves.
        """
        if not self.waiting:
            self._waiting_since, self._told = None, False
            return ()
        now = time.monotonic()
        if self._waiting_since is None:
            self._waiting_since = now
        if now - self._waiting_since < PATIENCE_S:
            return ()
        sentence = (
            f'use_sim_time of {self._node.get_fully_qualified_name()} is true but no clock comes: '
            'nobody publishes /clock; start the simulation, or set use_sim_time to false.'
        )
        if not self._told:
            self._told = True
            self._node.get_logger().warning(sentence)
        return (sentence,)
