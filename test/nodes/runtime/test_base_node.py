"""The base node is a whole node with less for the executor to look at."""

from __future__ import annotations

import time

import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not installed')

from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from std_msgs.msg import String, UInt32
from test_coalescing_executor import CountingExecutor

from kws_imu_ros.nodes.runtime.base_node import BaseNode


def entities(node: Node) -> int:
    """Return how many things an executor looks at in each pass."""
    return sum(
        len(list(kind)) for kind in (node.waitables, node.services, node.subscriptions, node.timers)
    )


def test_it_has_less_to_look_at_and_still_hears(ros_context, probe):
    ordinary = Node('ordinary', context=ros_context)
    lean = BaseNode('lean', context=ros_context)
    for node in (ordinary, lean):
        node.create_publisher(String, 'out', 10)
        node.create_subscription(String, 'in', print, 10)
    assert entities(lean) < entities(ordinary) / 1.5
    assert list(lean.waitables) == []

    heard: list[String] = []
    lean.create_subscription(String, 'words', heard.append, 10)
    publisher = lean.create_publisher(String, 'words', 10)
    probe.add_node(lean)
    publisher.publish(String(data='left'))
    assert probe.spin_until(lambda: heard)
    assert heard[0].data == 'left'
    for node in (ordinary, lean):
        node.destroy_node()


def test_it_keeps_the_overrides_of_parameters(ros_context):
    overrides = [Parameter('speed', value=3)]
    node = BaseNode('lean', context=ros_context, parameter_overrides=overrides)
    assert node.declare_parameter('speed', 1).value == 3
    node.destroy_node()


def test_a_callback_is_given_all_messages_that_have_gathered(ros_context):
    node = BaseNode('lean', context=ros_context)
    numbers: list[int] = []
    raw: list[bytes] = []
    qos = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
    node.create_subscription(UInt32, 'n', lambda message: numbers.append(message.data), qos)
    node.create_subscription(UInt32, 'n', raw.append, qos, raw=True)
    publisher = node.create_publisher(UInt32, 'n', qos)
    executor = CountingExecutor(context=ros_context, gather_s=0.1)
    executor.add_node(node)
    rounds = 5
    for start in range(0, rounds * 4, 4):
        for number in range(start, start + 4):
            publisher.publish(UInt32(data=number))
        deadline = time.monotonic() + 60.0
        while len(raw) < start + 4 and time.monotonic() < deadline:
            executor.spin_once(timeout_sec=1.0)
    assert numbers == list(range(rounds * 4))
    assert [deserialize_message(item, UInt32).data for item in raw] == numbers
    assert executor.passes <= 2 * rounds, 'not a pass for each message'
    executor.shutdown()
    node.destroy_node()


def test_a_callback_that_asks_for_the_info_gets_it(ros_context, probe):
    node = BaseNode('lean', context=ros_context)
    heard: list[tuple[int, dict]] = []

    def take(message: UInt32, info: dict) -> None:
        heard.append((message.data, info))

    node.create_subscription(UInt32, 'n', take, 10)
    publisher = node.create_publisher(UInt32, 'n', 10)
    probe.add_node(node)
    for number in range(3):
        publisher.publish(UInt32(data=number))
    assert probe.spin_until(lambda: len(heard) == 3)
    assert [number for number, _ in heard] == [0, 1, 2]
    assert all(info['source_timestamp'] > 0 for _, info in heard)
    node.destroy_node()
