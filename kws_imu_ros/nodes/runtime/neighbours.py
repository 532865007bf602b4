"""
Whether the nodes at the other end of a topic can hear this one, or be heard by it.

The middleware connects ends of one type whose qualities of service fit, and keeps silent about all
others: a base that waits for another type of velocity stands, and nobody says why. Here the ends
are compared, and what differs is told in a sentence that says what to set.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSCompatibility, QoSProfile, ReliabilityPolicy, qos_check_compatible
from rclpy.subscription import Subscription

from kws_imu_ros.nodes.runtime.parameters import ENABLE_STAMPED_CMD_VEL

_STAMPED_OF_TYPE = {'geometry_msgs/msg/Twist': 'false', 'geometry_msgs/msg/TwistStamped': 'true'}
# What rclpy calls a node whose name has not been heard yet, or that has none.
_UNKNOWN = '_UNKNOWN_'
_NAMELESS = 'a node without a name'
# An end that has no name for this long never gets any.
NAME_PATIENCE_S = 3.0


@dataclass(frozen=True)
class End:
    """
    One end of a topic.

    node: full name of its node. type: of its messages, such as 'std_msgs/msg/String'. qos: what it
    offers, or asks for.
    """

    node: str
    type: str
    qos: QoSProfile


class Neighbours:
    """
    Those at the other end of one topic of a node.

    matching: full names of the nodes that are connected with this one, one for each end.
    sentences: what keeps the others from being connected, one plain sentence each.
    """

    def __init__(
        self,
        node: Node,
        topic: str,
        message_type: type,
        qos: QoSProfile,
        *,
        remedy: Callable[[str], str],
        publishing: bool = False,
        onlookers: Sequence[str] = (),
    ) -> None:
        """
        Watch a topic; `look` does the looking.

        Args:
            node: whose topic it is.
            topic: its name, as the node uses it.
            message_type: class of the node's messages.
            qos: what the node offers, or asks for.
            remedy: returns, for the type that the other end has, what to do about it: the end of a
                sentence, without a full stop.
            publishing: whether the node publishes on the topic, or else subscribes to it.
            onlookers: names of nodes that only listen in, and count as nobody.

        """
        self._node = node
        # What is looked up in the graph is not remapped there.
        self._topic, self._resolved = topic, node.resolve_topic_name(topic)
        self._own = End(node.get_fully_qualified_name(), type_name(message_type), qos)
        self._remedy = remedy
        self._publishing = publishing
        self._onlookers = frozenset(onlookers)
        self._nameless_since: float | None = None
        self.matching: tuple[str, ...] = ()
        self.sentences: tuple[str, ...] = ()

    def look(self) -> tuple[str, ...]:
        """Compare the ends that are there now; log, once, and return what does not match."""
        problems = [(end.node, self._problem(end)) for end in self.ends()]
        self.matching = tuple(
            name
            for name, problem in problems
            if not problem and name.rpartition('/')[2] not in self._onlookers
        )
        # A name may come a moment after the end that bears it.
        nameless = any(name == _NAMELESS and problem for name, problem in problems)
        if not nameless:
            self._nameless_since = None
        elif self._nameless_since is None:
            self._nameless_since = time.monotonic()
        if self._nameless_since is not None and (
            time.monotonic() - self._nameless_since < NAME_PATIENCE_S
        ):
            problems = [(name, problem) for name, problem in problems if name != _NAMELESS]
        # Several ends of one node are one mistake.
        sentences = tuple(dict.fromkeys(problem for _, problem in problems if problem))
        for sentence in sentences:
            if sentence not in self.sentences:
                self._node.get_logger().warning(sentence)
        self.sentences = sentences
        return sentences

    def expect(self, qos: QoSProfile) -> None:
        """Take note that the node now offers, or asks for, another quality of service."""
        self._own = End(self._own.node, self._own.type, qos)

    def ends(self) -> list[End]:
        """Return the other ends that are there now."""
        if self._publishing:
            found = self._node.get_subscriptions_info_by_topic(self._resolved)
        else:
            found = self._node.get_publishers_info_by_topic(self._resolved)
        return [
            End(_full_name(info.node_namespace, info.node_name), info.topic_type, info.qos_profile)
            for info in found
        ]

    def offers(self, end: End) -> bool:
        """Return whether an end has this node's type."""
        return end.type == self._own.type

    def _problem(self, end: End) -> str:
        """Return what keeps an end from being connected, '' where nothing does."""
        own, topic = self._own, self._topic
        if end.type != own.type:
            differ = (
                f'{end.node} waits for {end.type} on {topic} but {own.node} sends {own.type}'
                if self._publishing
                else f'{end.node} sends {end.type} on {topic} but {own.node} needs {own.type}'
            )
            return f'{differ}, so that nothing arrives: {self._remedy(end.type)}.'
        sender, receiver = (own.qos, end.qos) if self._publishing else (end.qos, own.qos)
        compatibility, reason = qos_check_compatible(_essence(sender), _essence(receiver))
        if compatibility != QoSCompatibility.ERROR:
            return ''
        reason = reason.removeprefix('ERROR: ').rstrip('; ').lower()
        return (
            f'The qualities of service of {end.node} and {own.node} on {topic} do not fit '
            f'({reason}), so that nothing arrives: set those of {end.node} to reliable and '
            'volatile.'
        )


class AdaptingSubscription:
    """
    A reliable subscription that asks for best effort while a neighbour offers no more.

    What is lost is sent again, wherever the sender can do that; a driver with the quality of
    service of sensor data is heard all the same.
    """

    def __init__(
        self,
        node: Node,
        message_type: type,
        topic: str,
        callback: Callable[..., None],
        qos: QoSProfile,
        *,
        remedy: Callable[[str], str],
        subscribe: Callable[..., Subscription] | None = None,
    ) -> None:
        """
        Subscribe; `look` adapts.

        Args:
            node: who subscribes.
            message_type: class of the messages.
            topic: name of the topic.
            callback: takes what `subscribe` hands over.
            qos: reliable; depth and durability are kept.
            remedy: see Neighbours.
            subscribe: what makes the subscription, `node.create_subscription` unless given.

        """
        self._node = node
        self._message_type, self._topic, self._callback = message_type, topic, callback
        self._depth, self._durability = qos.depth, qos.durability
        self.neighbours = Neighbours(node, topic, message_type, qos, remedy=remedy)
        self._reliability = qos.reliability
        self._make = subscribe or node.create_subscription
        self._subscription = self._make(message_type, topic, callback, qos)

    def look(self) -> Sequence[str]:
        """Adapt to the publishers that are there now; return what does not match all the same."""
        offered = {
            end.qos.reliability for end in self.neighbours.ends() if self.neighbours.offers(end)
        }
        best_effort = ReliabilityPolicy.BEST_EFFORT in offered
        wanted = ReliabilityPolicy.BEST_EFFORT if best_effort else ReliabilityPolicy.RELIABLE
        if wanted != self._reliability:
            self._subscribe(wanted)
        return self.neighbours.look()

    def _subscribe(self, reliability: ReliabilityPolicy) -> None:
        """Subscribe anew; what is on its way meanwhile is lost."""
        qos = QoSProfile(depth=self._depth, durability=self._durability, reliability=reliability)
        self._node.destroy_subscription(self._subscription)
        self._subscription = self._make(self._message_type, self._topic, self._callback, qos)
        self._reliability = reliability
        self.neighbours.expect(qos)
        self._node.get_logger().info(
            f'A publisher of {self._topic} is best effort; so is the subscription now.'
            if reliability == ReliabilityPolicy.BEST_EFFORT
            else f'The publishers of {self._topic} are reliable; so is the subscription now.'
        )


class Twins:
    """
    Nodes of another name that do what this node does: publish one topic and take another one.

    Two of them on one robot undo what the other does, and each looks healthy by itself. Those of
    the same name are told by every node's diagnostics.
    """

    def __init__(self, node: Node, *, publishes: str, takes: str, what: str) -> None:
        """
        Look for twins; `look` does the looking.

        Args:
            node: who looks.
            publishes: name of a topic that nodes of its kind publish.
            takes: name of a topic that they subscribe to.
            what: what such a node is called in a sentence.

        """
        self._node, self._what = node, what
        self._publishes = node.resolve_topic_name(publishes)
        self._takes = node.resolve_topic_name(takes)
        self._told: tuple[str, ...] = ()

    def look(self) -> tuple[str, ...]:
        """Return one sentence for each twin that is there now, and log those that are new."""
        node = self._node
        publishing = _node_names(node.get_publishers_info_by_topic(self._publishes))
        taking = _node_names(node.get_subscriptions_info_by_topic(self._takes))
        others = set(publishing & taking) - {node.get_fully_qualified_name(), _NAMELESS}
        sentences = tuple(
            f'Another {self._what} ({name}) is at work on this robot: end one of the two, or give '
            'each robot a ROS_DOMAIN_ID or a namespace of its own. One that was killed is still '
            'listed for some seconds.'
            for name in sorted(others)
        )
        for sentence in sentences:
            if sentence not in self._told:
                node.get_logger().warning(sentence)
        self._told = sentences
        return sentences


class Multiplexers:
    """Multiplexers of velocities that are locked by the emergency stop but hear no zero then."""

    def __init__(self, node: Node, *, velocity: str, lock: str, zero: str) -> None:
        """
        Look for multiplexers; `look` does the looking.

        Args:
            node: who looks.
            velocity: name of the topic that is one of the multiplexer's inputs.
            lock: name of the topic that locks it.
            zero: name of the topic of zeros above the lock.

        """
        self._node = node
        self._velocity, self._lock, self._zero = map(
            node.resolve_topic_name, (velocity, lock, zero)
        )
        self._told: tuple[str, ...] = ()

    def look(self) -> tuple[str, ...]:
        """Return one sentence for each that is there now, and log those that are new."""
        velocity, lock, zero = (
            set(_node_names(self._node.get_subscriptions_info_by_topic(topic)))
            for topic in (self._velocity, self._lock, self._zero)
        )
        sentences = tuple(
            f'{name} takes {self._velocity} and is locked by {self._lock} but does not listen to '
            f'{self._zero}: an emergency stop would be silence instead of zero, and a base without '
            'a timeout of its own would drive on; take the topics of config/twist_mux.yaml.'
            for name in sorted((velocity & lock) - zero - {_NAMELESS})
        )
        for sentence in sentences:
            if sentence not in self._told:
                self._node.get_logger().warning(sentence)
        self._told = sentences
        return sentences


def type_name(message_type: type) -> str:
    """Return the name of a message class, such as 'std_msgs/msg/String'."""
    package, kind, *_ = message_type.__module__.split('.')
    return f'{package}/{kind}/{message_type.__name__}'


def advise_velocity_type(type_of_other: str, name: str) -> str:
    """
    Return what to set where the ends of cmd_vel differ: a remedy for Neighbours.

    Args:
        type_of_other: type of messages at the other end.
        name: full name of the node whose parameter is to be set.

    """
    value = _STAMPED_OF_TYPE.get(type_of_other)
    if value is None:
        return f'remap cmd_vel of one of the two; {name} can do Twist and TwistStamped'
    return f'set {ENABLE_STAMPED_CMD_VEL} of {name} to {value}'


def _essence(qos: QoSProfile) -> QoSProfile:
    """Return what people set; times that were left open would pass for a difference."""
    return QoSProfile(depth=1, reliability=qos.reliability, durability=qos.durability)


def _node_names(infos: Sequence[Any]) -> Counter[str]:
    """Return how many ends each node has."""
    return Counter(_full_name(info.node_namespace, info.node_name) for info in infos)


def _full_name(namespace: str, name: str) -> str:
    """Return a node's full name."""
    if _UNKNOWN in name:
        return _NAMELESS
    return f'{namespace.rstrip("/")}/{name}'
