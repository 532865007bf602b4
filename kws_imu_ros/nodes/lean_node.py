"""A node that costs the executor half as much."""

from __future__ import annotations

from typing import Any

from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.publisher import Publisher
from rclpy.subscription import Subscription

try:
    from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks
except ImportError:  # Humble
    from rclpy.qos_event import PublisherEventCallbacks, SubscriptionEventCallbacks


class LeanNode(Node):
    """
    A node whose publishers and subscriptions watch for no middleware events.

    rclpy's executors look at every entity of every node each time that anything happens, which
    takes more of a small computer than hearing and seeing do. Two kinds of entities serve nobody
    here: the events that log a warning when a neighbour's QoS does not fit (two for each publisher
    and subscription), and the service that describes types, which are all standard ones.
    """

    def __init__(self, name: str, **kwargs: Any) -> None:
        """Make the node; see rclpy.node.Node."""
        quiet = Parameter('start_type_description_service', value=False)
        kwargs['parameter_overrides'] = [quiet, *(kwargs.get('parameter_overrides') or ())]
        super().__init__(name, **kwargs)

    def create_publisher(self, *args: Any, **kwargs: Any) -> Publisher:
        """Create a publisher without event callbacks, unless some are given."""
        kwargs.setdefault('event_callbacks', PublisherEventCallbacks(use_default_callbacks=False))
        return super().create_publisher(*args, **kwargs)

    def create_subscription(self, *args: Any, **kwargs: Any) -> Subscription:
        """Create a subscription without event callbacks, unless some are given."""
        kwargs.setdefault(
            'event_callbacks', SubscriptionEventCallbacks(use_default_callbacks=False)
        )
        return super().create_subscription(*args, **kwargs)
