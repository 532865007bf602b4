"""The lean node is a whole node with less for the executor to look at."""

from __future__ import annotations

import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not installed')

from rclpy.node import Node
from rclpy.parameter import Parameter
from std_msgs.msg import String

from kws_imu_ros.nodes.lean_node import LeanNode


def entities(node: Node) -> int:
    """Return how many things an executor looks at in each pass."""
    return sum(
        len(list(kind)) for kind in (node.waitables, node.services, node.subscriptions, node.timers)
    )


def test_it_has_less_to_look_at_and_still_hears(ros_context, probe):
    ordinary = Node('ordinary', context=ros_context)
    lean = LeanNode('lean', context=ros_context)
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
    node = LeanNode('lean', context=ros_context, parameter_overrides=overrides)
    assert node.declare_parameter('speed', 1).value == 3
    node.destroy_node()
