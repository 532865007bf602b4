"""
Play a bag's topics into the real topics, in real time.

Only the senses are played unless `topics` names more: a recorded `cmd_vel` must never drive a robot
by accident. The messages are published by a thread of its own at their times of recording, so that
neither the executor's work nor its pauses shift them.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from rclpy.serialization import deserialize_message
from rclpy.task import Future
from rosgraph_msgs.msg import Clock

from kws_imu_ros.audio.block import AudioBlock
from kws_imu_ros.bags.reading import (
    AUDIO_TOPIC,
    AUDIO_TYPE,
    IMU_TOPIC,
    IMU_TYPE,
    BadMessages,
    RawMessage,
    absolute,
    read_raw,
    sensor_content,
    sensor_topics,
    summarize_bag,
    unreadable,
    unusable_topics,
)
from kws_imu_ros.bags.storage import CDR
from kws_imu_ros.bags.timing import StampMapper, jump_sentence
from kws_imu_ros.configuration.declaration import Declaration
from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.messages.audio import audio_block_to_message
from kws_imu_ros.messages.factory import message_class
from kws_imu_ros.messages.fields import time_from_message, time_to_message
from kws_imu_ros.nodes.runtime.base_node import BaseNode
from kws_imu_ros.nodes.runtime.diagnostics import DiagnosticsPublisher, Report
from kws_imu_ros.nodes.runtime.qos import AUDIO_QOS, RELIABLE_QOS
from kws_imu_ros.nodes.runtime.simulated_time import SimulatedTime
from kws_imu_ros.nodes.runtime.spinning import run_nodes
from kws_imu_ros.resources import user_path

_CLOCK_STEP_NS = 10_000_000
_WAKE_S = 0.2
# A simulator may start much later than the replay does.
_CLOCK_PATIENCE_S = 60.0
_TYPE_OF = {AUDIO_TOPIC: AUDIO_TYPE, IMU_TOPIC: IMU_TYPE}
_QOS = {AUDIO_TYPE: AUDIO_QOS, IMU_TYPE: qos_profile_sensor_data}


class ReplayNode(BaseNode):
    """
    Publish the messages of a bag at their times.

    finished: a future that is done when the bag has been played (its result is True) or playing was
    stopped or failed (False; `error` then holds the sentence).
    """

    PARAMETERS = (
        Declaration('bag', '', 'Folder of a rosbag2, or its .mcap or .db3 file.'),
        Declaration('rate', 1.0, 'Speed as a multiple of real time.', 0.1, 10.0),
        Declaration('loop', False, 'Start again at the end.'),
        Declaration(
            'publish_clock', False, "Publish the bag's time on /clock, for nodes with use_sim_time."
        ),
        Declaration(
            'stamps',
            'auto',
            '`now` moves the stamps to the time of playing, `bag` leaves them; `auto` is `bag` '
            'with publish_clock and `now` without.',
        ),
        Declaration(
            'wait_for_subscribers',
            5.0,
            'Longest wait, in s, for somebody to listen on every topic before playing.',
            0.0,
            60.0,
        ),
        Declaration('audio_topic', AUDIO_TOPIC, "The bag's topic for `audio`."),
        Declaration('imu_topic', IMU_TOPIC, "The bag's topic for `imu/data_raw`."),
        Declaration('topics', [''], 'Further topics of the bag to play under their own names.'),
    )

    def __init__(self, **kwargs: Any) -> None:
        """
        Declare parameters, open the bag and announce its topics; `start` plays.

        Raises:
            KwsImuError: the bag cannot be played, or parameters contradict each other.

        """
        super().__init__('replay', **kwargs)
        with self.destroyed_on_error():
            self._configure()

    def _configure(self) -> None:
        bag = self.declare('bag')
        if not bag:
            raise KwsImuError(
                'No bag was named; set the parameter `bag` to the folder of a rosbag2.'
            )
        self._bag = user_path(bag)
        self._rate, self._loop = self.declare('rate'), self.declare('loop')
        self._publish_clock, stamps = self.declare('publish_clock'), self.declare('stamps')
        if stamps not in ('auto', 'now', 'bag'):
            raise KwsImuError(f'The parameter `stamps` is {stamps!r}; choose auto, now or bag.')
        self._keep_stamps = stamps == 'bag' or (stamps == 'auto' and self._publish_clock)
        self._patience_s = self.declare('wait_for_subscribers')
        audio_topic, imu_topic = self.declare('audio_topic'), self.declare('imu_topic')
        more = self.declare('topics')

        summary = summarize_bag(self._bag)
        sensors = sensor_topics(summary, audio_topic, imu_topic)
        names = {absolute(audio_topic): AUDIO_TOPIC, absolute(imu_topic): IMU_TOPIC}
        self._targets = {name: names[name] for name in sensors}
        for topic in filter(None, more):
            self._targets[absolute(topic)] = topic.lstrip('/')
        self._duration_ns = summary.end_ns - summary.start_ns
        self._start_ns = summary.start_ns
        self._classes: dict[str, type] = {}
        self._types: dict[str, str] = {}
        self._publishers_of: dict[str, Any] = {}
        for topic, target in self._targets.items():
            found = summary.find(topic, _TYPE_OF.get(target, ''))
            if found is None:
                raise KwsImuError(f'Bag {self._bag} has no topic {topic} to play.')
            if found.encoding != CDR:
                raise KwsImuError(
                    f'Topic {topic} of bag {self._bag} is in {found.encoding or "unknown"} '
                    'encoding, which no topic of ROS carries; leave it out of the topics.'
                )
            self._types[topic] = found.type
            self._classes[topic] = message_class(found.type)
            self._publishers_of[topic] = self.create_publisher(
                self._classes[topic], target, _QOS.get(found.type, RELIABLE_QOS)
            )
        self._clock_publisher = (
            self.create_publisher(Clock, '/clock', RELIABLE_QOS) if self._publish_clock else None
        )
        for note in (*summary.notes, *unusable_topics(summary, audio_topic, imu_topic)):
            self.get_logger().warning(note)
        self._bad = BadMessages()
        self._played = self._left_out_count = 0
        self._stamps = StampMapper()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.finished: Future = Future()
        self.error: KwsImuError | None = None
        self.started_ns: int | None = None
        # The playing thread does not wake the executor; whoever spins looks at `finished`.
        self.create_timer(_WAKE_S, lambda: None)
        DiagnosticsPublisher(self, self._report)

    @property
    def duration_s(self) -> float:
        """Return the length of the bag in seconds of its own time."""
        return self._duration_ns / 1e9

    def start(self, on_started: Callable[[int], None] | None = None) -> None:
        """
        Play, once somebody listens on every topic.

        on_started: called from the playing thread with the ROS time (ns) that the bag's first
        message is given.
        """
        self._thread = threading.Thread(
            target=self._play, args=(on_started,), name='replay', daemon=True
        )
        self._thread.start()

    def destroy_node(self) -> None:
        """Stop playing and leave the graph."""
        thread: threading.Thread | None = getattr(self, '_thread', None)
        if thread is not None:
            self._stop.set()
            thread.join()
            self._thread = None
        super().destroy_node()

    def _play(self, on_started: Callable[[int], None] | None) -> None:
        complete = False
        try:
            self._wait_for_clock()
            self._wait_for_subscribers()
            while not self._stop.is_set():
                self._play_once(on_started)
                if not self._loop:
                    complete = not self._stop.is_set()
                    break
        except KwsImuError as error:
            self.error = error
        finally:
            self.finished.set_result(complete)

    def _play_once(self, on_started: Callable[[int], None] | None) -> None:
        started = time.monotonic_ns()
        self.started_ns = (
            self._start_ns if self._keep_stamps else self.get_clock().now().nanoseconds
        )
        self._stamps = StampMapper(self.started_ns - self._start_ns)
        if on_started is not None:
            on_started(self.started_ns)
        clock_ns = self._start_ns
        topics = list(self._targets)
        for message in read_raw(self._bag, topics):
            if message.type != self._types[message.topic]:
                continue
            while self._clock_publisher is not None and clock_ns <= message.stamp_ns:
                self._wait_until(started, clock_ns)
                self._clock_publisher.publish(Clock(clock=time_to_message(clock_ns)))
                clock_ns += _CLOCK_STEP_NS
            self._wait_until(started, message.stamp_ns)
            if self._stop.is_set():
                return
            playable = self._playable(message)
            if playable is not None:
                self._publishers_of[message.topic].publish(playable)
                self._played += 1
        for sentence in self._bad.sentences(self._start_ns):
            self.get_logger().warning(f'At the end of the bag: {sentence}')

    def _wait_until(self, started: int, stamp_ns: int) -> None:
        """Sleep until the moment of playing of a time of recording; wake at once on stop."""
        due = started + int((stamp_ns - self._start_ns) / self._rate)
        remaining = (due - time.monotonic_ns()) / 1e9
        if remaining > 0:
            self._stop.wait(remaining)

    def _wait_for_subscribers(self) -> None:
        deadline = time.monotonic() + self._patience_s
        while time.monotonic() < deadline:
            if all(item.get_subscription_count() for item in self._publishers_of.values()):
                return
            if self._stop.wait(0.02):
                return
        for topic, publisher in self._publishers_of.items():
            if not publisher.get_subscription_count():
                self.get_logger().warning(
                    f'Nobody listens on {self._targets[topic]}; it is played all the same.'
                )

    def _wait_for_clock(self) -> None:
        """
        Wait for simulated time, to which the stamps are moved, unless this node gives it.

        Raises:
            KwsImuError: no time comes.

        """
        time_source = SimulatedTime(self)
        if self._keep_stamps or not time_source.waiting:
            return
        deadline = time.monotonic() + _CLOCK_PATIENCE_S
        while time_source.waiting:
            # Diagnostics tell that no time comes.
            if self._stop.wait(0.05):
                return
            if time.monotonic() > deadline:
                raise KwsImuError(
                    f'No /clock came within {_CLOCK_PATIENCE_S:g} s though use_sim_time is true; '
                    'start what publishes it, let the bag publish it (publish_clock, `--clock`), '
                    'or set use_sim_time to false.'
                )

    def _playable(self, message: RawMessage) -> Any:
        """Return what to publish of a message of the bag, None where it cannot be used."""
        try:
            content: Any = deserialize_message(message.data, self._classes[message.topic])
        except Exception as error:  # noqa: BLE001 A torn message fails in as many ways as it has bytes.
            return self._left_out(message, unreadable(error))
        sense: Any = None
        if message.type in (AUDIO_TYPE, IMU_TYPE):
            try:
                sense = sensor_content(content, message.type)
            except KwsImuError as error:
                return self._left_out(message, str(error))
            own_ns = sense.stamp_ns
        elif hasattr(content, 'header'):
            own_ns = time_from_message(content.header.stamp)
        else:
            return message.data
        jumps = len(self._stamps.jumps.get(message.topic, ()))
        stamp_ns = self._stamps.map(message.topic, message.stamp_ns, own_ns)
        self._tell_of_jumps(message.topic, jumps)
        if self._keep_stamps:
            return message.data
        if isinstance(sense, AudioBlock):
            return audio_block_to_message(replace(sense, stamp_ns=stamp_ns))
        content.header.stamp = time_to_message(stamp_ns)
        return content

    def _report(self, _seconds: float) -> Report:
        """Return the diagnostics; the playing thread counts meanwhile."""
        left_out = self._left_out_count
        problem = f'{left_out} messages of the bag could not be used and were left out.'
        state = 'Waiting for those who listen.' if self.started_ns is None else 'Playing the bag.'
        return Report(
            summary='The bag has been played.' if self.finished.done() else state,
            errors=[str(self.error)] if self.error is not None else (),
            warnings=[problem] if left_out else (),
            values={
                'bag': self._bag,
                'length (s)': f'{self.duration_s:.1f}',
                'messages played': self._played,
                'messages left out': left_out,
            },
        )

    def _left_out(self, message: RawMessage, why: str) -> None:
        """Count a message that cannot be used, as the offline replay does; tell the first."""
        self._left_out_count += 1
        if self._bad.add(message.topic, message.stamp_ns, why):
            at_s = (message.stamp_ns - self._start_ns) / 1e9
            self.get_logger().warning(
                f'A message on {message.topic} at {at_s:.2f} s of the bag cannot be used and is '
                f'left out: {why}'
            )

    def _tell_of_jumps(self, topic: str, before: int) -> None:
        for jump in self._stamps.jumps.get(topic, ())[before:]:
            self.get_logger().warning(jump_sentence(topic, jump, self._start_ns))


def main(args: list[str] | None = None) -> int:
    """Play the bag named by the parameter `bag`, then end; return the exit status."""
    players: list[ReplayNode] = []

    def create(nodes: list[Node]) -> None:
        players.append(ReplayNode())
        nodes.extend(players)
        players[0].start()

    def finished() -> bool:
        if players[0].error is not None:
            raise players[0].error
        return players[0].finished.done()

    return run_nodes(create, args, finished, ['replay'])


if __name__ == '__main__':
    sys.exit(main())
