"""
Record the run into a rosbag2 MCAP that every tool opens.

Messages are taken as bytes and written by a thread of its own: a slow disk delays nobody, a full
one ends the recording with one sentence and leaves the robot alone.
"""

from __future__ import annotations

import queue
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from kws_imu_ros.bags.reading import AUDIO_TYPE, IMU_TYPE
from kws_imu_ros.bags.writing import BagWriter
from kws_imu_ros.configuration.declaration import Declaration
from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.messages.factory import message_class
from kws_imu_ros.nodes.runtime.base_node import BaseNode
from kws_imu_ros.nodes.runtime.diagnostics import DiagnosticsPublisher, Report
from kws_imu_ros.nodes.runtime.parameters import ENABLE_STAMPED_CMD_VEL
from kws_imu_ros.nodes.runtime.qos import LOGGED_LATCHED_QOS, LOGGED_QOS, LOGGED_SENSOR_QOS
from kws_imu_ros.nodes.runtime.spinning import run_nodes
from kws_imu_ros.resources import user_path

TOPICS = {
    'audio': (AUDIO_TYPE, LOGGED_QOS),
    'imu/data_raw': (IMU_TYPE, LOGGED_SENSOR_QOS),
    'voice': ('std_msgs/msg/Float32MultiArray', LOGGED_SENSOR_QOS),
    'gesture': ('std_msgs/msg/Float32MultiArray', LOGGED_SENSOR_QOS),
    'command': ('std_msgs/msg/String', LOGGED_QOS),
    'decision': ('diagnostic_msgs/msg/DiagnosticStatus', LOGGED_LATCHED_QOS),
    'cmd_vel': ('geometry_msgs/msg/Twist', LOGGED_QOS),
    'odom': ('nav_msgs/msg/Odometry', LOGGED_QOS),
}
# Of a robot that dances; `kws-imu dance record` finds the first beat of a bag by them.
DANCE_TOPICS = {
    'beat': ('std_msgs/msg/UInt32', LOGGED_QOS),
    'choreography': ('std_msgs/msg/String', LOGGED_LATCHED_QOS),
}
_KNOWN = {**TOPICS, **DANCE_TOPICS}
# A minute of everything; beyond it the disk has lost the race and the rest is counted as dropped.
_LONGEST_QUEUE = 30_000
# Slower than this, in a second, time is only being synchronized.
_JUMP_NS = 1_000_000_000
# From a last message's publisher to the queue here, when nobody spins any more.
_LAST_WORDS_S = 0.05


class RecorderNode(BaseNode):
    """
    Write topics to a bag until it is destroyed.

    error: the sentence that ended the recording early, or None.
    """

    PARAMETERS = (
        Declaration('bag', '', 'Folder of the new bag; `run-<time>` here when empty.'),
        Declaration('topics', list(TOPICS), 'Topics to record.'),
        Declaration(ENABLE_STAMPED_CMD_VEL, False, 'Whether cmd_vel carries TwistStamped.'),
    )

    def __init__(self, **kwargs: Any) -> None:
        """
        Declare parameters, create the bag and subscribe.

        Raises:
            KwsImuError: the bag cannot be created there, or a topic cannot be recorded.

        """
        super().__init__('recorder', **kwargs)
        self.error: KwsImuError | None = None
        self.dropped = 0
        self._reported = 0
        self._queue: queue.Queue = queue.Queue(_LONGEST_QUEUE)
        simulated = self.get_parameter('use_sim_time').value
        # Time now, less that of the steady clock.
        self._wall_ns = time.time_ns() - time.monotonic_ns()
        self._start_ns = None if simulated else self._wall_ns
        self._recorded: list[tuple[str, Any]] = []
        self._thread: threading.Thread | None = None
        self.writer: BagWriter | None = None
        try:
            self._configure()
        except BaseException:
            if self.writer is not None:
                self.writer.close()
            self.destroy_node()
            raise
        self._thread = threading.Thread(
            target=self._write, args=(self.writer,), name='recorder', daemon=True
        )
        self._thread.start()

    def _configure(self) -> None:
        bag, topics = self.declare('bag'), self.declare('topics')
        stamped = self.declare(ENABLE_STAMPED_CMD_VEL)
        unknown = sorted(set(topics) - set(_KNOWN))
        if unknown:
            raise KwsImuError(
                f'The recorder does not know {", ".join(unknown)}; choose among '
                f'{", ".join(_KNOWN)}, or record with `ros2 bag record`.'
            )
        name = bag or time.strftime('run-%Y-%m-%d-%H-%M-%S')
        self._path = user_path(name)
        self.writer = BagWriter(self._path)
        for topic in topics:
            message_type, qos = _KNOWN[topic]
            if topic == 'cmd_vel' and stamped:
                message_type = 'geometry_msgs/msg/TwistStamped'
            resolved = self.resolve_topic_name(topic)
            self.writer.add_topic(resolved, message_type)
            subscription = self.create_subscription(
                message_class(message_type),
                topic,
                lambda data, resolved=resolved: self._take(resolved, data),
                qos,
                raw=True,
            )
            self._recorded.append((resolved, subscription))
        self.get_logger().info(f'Recording to {self.writer.path}')
        self.create_timer(1.0, self._tell)
        DiagnosticsPublisher(self, self._report)

    def destroy_node(self) -> None:
        """Write what has been received, close the bag and leave the graph."""
        if self._thread is not None:
            self._take_last_words()
            self._queue.put(None)
            self._thread.join()
            self._thread = None
        super().destroy_node()

    def _take_last_words(self) -> None:
        """Take what other nodes of this process published when they were destroyed: the zero."""
        time.sleep(_LAST_WORDS_S)
        for topic, subscription in self._recorded:
            with subscription.handle:
                while taken := subscription.handle.take_message(subscription.msg_type, True):
                    self._take(topic, taken[0])

    def _report(self, _seconds: float) -> Report:
        """Return the diagnostics."""
        lost = f'The disk is too slow: {self.dropped} messages were lost.'
        return Report(
            summary='Recording.',
            errors=[str(self.error)] if self.error is not None else (),
            warnings=[lost] if self.dropped else (),
            values={
                'bag': self._path,
                'messages waiting for the disk': self._queue.qsize(),
                'messages lost': self.dropped,
            },
        )

    def _tell(self) -> None:
        """Say once a second, at most, that the disk does not keep up, or that the clock was set."""
        now_ns = time.time_ns() - time.monotonic_ns()
        jump_ns = now_ns - self._wall_ns
        self._wall_ns = now_ns
        if self._start_ns is not None and abs(jump_ns) > _JUMP_NS:
            self.get_logger().warning(
                f'The clock of the computer was set by {jump_ns / 1e9:+.1f} s during the '
                'recording; the times of the bag go on, the stamps in its messages may not.'
            )
        if self.dropped > self._reported:
            self._reported = self.dropped
            self.get_logger().warning(f'The disk is too slow: {self.dropped} messages were lost.')

    def _take(self, topic: str, data: bytes) -> None:
        if self.error is not None:
            return
        try:
            self._queue.put_nowait((topic, self._now_ns(), bytes(data)))
        except queue.Full:
            self.dropped += 1

    def _now_ns(self) -> int:
        """
        Return the time of recording.

        Counted from the start by a clock that nobody sets: a bag that was recorded while the
        computer's was set lasts as long as the recording did. Simulated time is what it is.
        """
        if self._start_ns is None:
            return self.get_clock().now().nanoseconds
        return self._start_ns + time.monotonic_ns()

    def _write(self, writer: BagWriter) -> None:
        while (item := self._queue.get()) is not None:
            self._attempt(writer.write, *item)
        self._attempt(writer.close)

    def _attempt(self, action: Callable[..., None], *arguments: Any) -> None:
        """Write, unless that has failed before."""
        if self.error is None:
            try:
                action(*arguments)
            except KwsImuError as error:
                self.error = error
                self.get_logger().error(str(error))


def main(args: list[str] | None = None) -> int:
    """Record until interrupted; return the exit status."""
    return run_nodes(lambda nodes: nodes.append(RecorderNode()), args, names=['recorder'])


if __name__ == '__main__':
    sys.exit(main())
