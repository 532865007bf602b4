"""The coalescing executor handles everything, in order, in fewer passes."""

from __future__ import annotations

import time

import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not installed')

from rclpy.node import Node
from std_msgs.msg import UInt32

from kws_imu_ros.nodes.runtime.coalescing_executor import CoalescingExecutor


class CountingExecutor(CoalescingExecutor):
    """Count the passes."""

    passes = 0

    def _wait_for_ready_callbacks(self, *args, **kwargs):
        self.passes += 1
        yield from super()._wait_for_ready_callbacks(*args, **kwargs)


def test_messages_that_come_together_are_handled_in_one_pass(ros_context):
    node = Node('listener', context=ros_context)
    heard: list[tuple[str, int]] = []
    publishers = {}
    for topic in ('a', 'b', 'c', 'd'):
        node.create_subscription(
            UInt32, topic, lambda message, topic=topic: heard.append((topic, message.data)), 50
        )
        publishers[topic] = node.create_publisher(UInt32, topic, 50)
    # Long enough that every message is there before the next pass, whatever the machine does.
    executor = CountingExecutor(context=ros_context, gather_s=0.1)
    executor.add_node(node)
    for number in range(5):
        for publisher in publishers.values():
            publisher.publish(UInt32(data=number))
    deadline = time.monotonic() + 60.0
    while len(heard) < 20 and time.monotonic() < deadline:
        executor.spin_once(timeout_sec=1.0)
    for topic in publishers:
        assert [data for name, data in heard if name == topic] == [0, 1, 2, 3, 4]
    # One pass takes one message of each topic; an ordinary executor may need twenty.
    assert executor.passes < 15
    executor.shutdown()
    node.destroy_node()
