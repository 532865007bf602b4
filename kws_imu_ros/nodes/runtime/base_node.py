"""A node that costs the executor half as much."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile
from rclpy.subscription import Subscription
from rclpy.timer import Timer

from kws_imu_ros.configuration.declaration import Declaration
from kws_imu_ros.nodes.runtime.parameters import declare

try:
    from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks
except ImportError:  # Humble
    from rclpy.qos_event import PublisherEventCallbacks, SubscriptionEventCallbacks

# So that after a pause of the machine no topic is far ahead of the others.
MOST_AT_ONCE = 10


class BaseNode(Node):
    """
    A node whose publishers and subscriptions watch for no middleware events.

    rclpy's executors look at every entity of every node each time that anything happens, which
    takes more of a small computer than hearing and seeing do. Two kinds of entities serve nobody
    here: the events that log a warning when a neighbour's QoS does not fit (two for each publisher
    and subscription), and the service that describes types, which are all standard ones.

    And an executor hands over one message of a subscription a pass, so a short queue that fills
    faster than passes come (an IMU at 100 Hz) loses messages; here a callback is given all that
    have gathered.

    Its timers run on the steady clock. On ROS time, they would pause with a simulation, and for an
    hour when somebody sets the system's clock back by one.
    """

    # What the node declares; `kws-imu` compares with it what people give, before a node is made.
    PARAMETERS: ClassVar[tuple[Declaration, ...]] = ()

    def __init__(self, name: str, **kwargs: Any) -> None:
        """Make the node; see rclpy.node.Node."""
        quiet = Parameter('start_type_description_service', value=False)
        kwargs['parameter_overrides'] = [quiet, *(kwargs.get('parameter_overrides') or ())]
        self._steady_clock = Clock(clock_type=ClockType.STEADY_TIME)
        super().__init__(name, **kwargs)

    def declare(self, name: str, default: Any = None) -> Any:
        """
        Declare one of `PARAMETERS` and return its value.

        default: where the declared one comes from a file.

        Raises:
            KwsImuError: the value from the command line or the parameters file does not fit.

        """
        declaration = next(item for item in self.PARAMETERS if item.name == name)
        return declare(self, declaration, default)

    @contextlib.contextmanager
    def destroyed_on_error(self) -> Iterator[None]:
        """Leave the graph again where the rest of a constructor fails."""
        try:
            yield
        except BaseException:
            self.destroy_node()
            raise

    def create_timer(  # type: ignore[override]  # Another one in each rclpy.
        self, timer_period_sec: float, callback: Callable[..., None], *args: Any, **kwargs: Any
    ) -> Timer:
        """Create a timer on the steady clock, unless another one is given by its name."""
        kwargs.setdefault('clock', self._steady_clock)
        return super().create_timer(timer_period_sec, callback, *args, **kwargs)

    def create_publisher(self, *args: Any, **kwargs: Any) -> Publisher:
        """Create a publisher without event callbacks, unless some are given."""
        kwargs.setdefault('event_callbacks', PublisherEventCallbacks(use_default_callbacks=False))
        return super().create_publisher(*args, **kwargs)

    def create_subscription(
        self,
        msg_type: Any,
        topic: str,
        callback: Callable[..., None],
        qos_profile: QoSProfile | int,
        **kwargs: Any,
    ) -> Subscription:
        """
        Create a subscription without event callbacks, unless some are given.

        callback: takes a message and is given all that have gathered; one that takes a message and
        its info is given one a pass, as ever.
        """
        kwargs.setdefault(
            'event_callbacks', SubscriptionEventCallbacks(use_default_callbacks=False)
        )
        if _takes_info(callback):
            return super().create_subscription(msg_type, topic, callback, qos_profile, **kwargs)

        return self._subscribe_to_all(
            msg_type, topic, lambda message, _: callback(message), qos_profile, **kwargs
        )

    def create_sender_subscription(
        self,
        msg_type: Any,
        topic: str,
        callback: Callable[[Any, str | None], None],
        qos_profile: QoSProfile | int,
    ) -> Subscription:
        """
        Create a subscription that tells who sent each message.

        callback: takes a message and its sender, None where this ROS (Humble) does not tell, and is
        given all that have gathered.
        """
        return self._subscribe_to_all(
            msg_type,
            topic,
            callback,
            qos_profile,
            event_callbacks=SubscriptionEventCallbacks(use_default_callbacks=False),
        )

    def _subscribe_to_all(
        self,
        msg_type: Any,
        topic: str,
        callback: Callable[[Any, str | None], None],
        qos_profile: QoSProfile | int,
        **kwargs: Any,
    ) -> Subscription:
        def take_all(message: Any, info: Any) -> None:
            callback(message, _sender_of(info))
            for _ in range(MOST_AT_ONCE - 1):
                with subscription.handle:
                    taken = subscription.handle.take_message(
                        subscription.msg_type, subscription.raw
                    )
                if taken is None:
                    return
                callback(taken[0], _sender_of(taken[1]))

        # Humble hands over the message alone.
        with_info = hasattr(Subscription, 'CallbackType')
        take = take_all if with_info else lambda message: take_all(message, None)
        subscription = super().create_subscription(msg_type, topic, take, qos_profile, **kwargs)
        return subscription


def _sender_of(info: Any) -> str | None:
    """Return who sent a message by its info, None where that is not told."""
    gid = info.get('publisher_gid') if isinstance(info, dict) else None
    return None if gid is None else str(gid)


def _takes_info(callback: Callable[..., None]) -> bool:
    """Return whether a callback asks for more than the message."""
    try:
        inspect.signature(callback).bind(object())
    except TypeError:
        return True
    except ValueError:  # Built in, without a signature that can be read.
        return False
    return False
