"""Neighbours that do not match are told apart from neighbours that are not there."""

from __future__ import annotations

import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not installed')

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, KeyValue
from geometry_msgs.msg import Twist, TwistStamped
from rclpy.parameter import Parameter
from rclpy.qos import qos_profile_sensor_data
from std_msgs.msg import Bool, Float32MultiArray, Int16MultiArray, String, UInt32

from kws_imu_ros.nodes.command_node import CommandNode
from kws_imu_ros.nodes.fusion_node import FusionNode
from kws_imu_ros.nodes.runtime.base_node import BaseNode
from kws_imu_ros.nodes.runtime.neighbours import (
    AdaptingSubscription,
    Neighbours,
    Twins,
    advise_velocity_type,
    type_name,
)
from kws_imu_ros.nodes.runtime.qos import (
    AUDIO_QOS,
    EMERGENCY_STOPPED_QOS,
    LOGGED_LATCHED_QOS,
    RELIABLE_QOS,
)


@pytest.fixture
def node(ros_context, probe):
    """Return a node of this package."""
    node = BaseNode('watcher', context=ros_context)
    probe.add_node(node)
    yield node
    node.destroy_node()


@pytest.fixture
def stranger(ros_domain):
    """Return a node in a context of its own: in one of them a topic has one type."""
    context = rclpy.Context()
    rclpy.init(context=context)
    node = BaseNode('stranger', context=context)
    yield node
    node.destroy_node()
    rclpy.try_shutdown(context=context)


def watch(node, topic='topic', message_type=Twist, qos=RELIABLE_QOS, **options) -> Neighbours:
    """Return neighbours of a topic with some remedy."""
    return Neighbours(
        node, topic, message_type, qos, remedy=lambda other: f'replace {other}', **options
    )


def test_a_type_is_named_as_ros_names_it():
    assert type_name(Int16MultiArray) == 'std_msgs/msg/Int16MultiArray'
    assert type_name(TwistStamped) == 'geometry_msgs/msg/TwistStamped'


def test_nobody_is_no_mismatch(node):
    neighbours = watch(node)
    assert neighbours.look() == ()
    assert neighbours.matching == ()


def test_a_publisher_of_another_type_is_named_with_both_types(node, stranger, probe):
    node.create_subscription(Twist, 'topic', lambda _: None, RELIABLE_QOS)
    stranger.create_publisher(Float32MultiArray, 'topic', 10)
    neighbours = watch(node)
    assert probe.spin_until(neighbours.look)
    assert neighbours.look() == (
        '/stranger sends std_msgs/msg/Float32MultiArray on topic but /watcher needs '
        'geometry_msgs/msg/Twist, so that nothing arrives: replace '
        'std_msgs/msg/Float32MultiArray.',
    )
    assert neighbours.matching == ()


def test_a_subscriber_of_another_type_beside_one_that_matches(node, stranger, probe):
    node.create_publisher(Twist, 'topic', RELIABLE_QOS)
    probe.record(Twist, 'topic')
    stranger.create_subscription(TwistStamped, 'topic', lambda _: None, 10)
    neighbours = watch(node, publishing=True)
    assert probe.spin_until(neighbours.look)
    assert probe.spin_until(lambda: neighbours.look() and neighbours.matching)
    assert neighbours.matching == (probe.node.get_fully_qualified_name(),)
    assert '/stranger waits for geometry_msgs/msg/TwistStamped' in neighbours.sentences[0]


def test_an_onlooker_is_nobody(node, stranger, probe):
    node.create_publisher(Twist, 'topic', RELIABLE_QOS)
    everybody = watch(node, publishing=True)
    others = watch(node, publishing=True, onlookers=['stranger'])
    stranger.create_subscription(Twist, 'topic', lambda _: None, 10)
    assert probe.spin_until(lambda: everybody.look() or everybody.matching == ('/stranger',))
    assert others.look() == ()
    assert others.matching == ()


def test_a_quality_of_service_that_does_not_fit_is_told(node, stranger, probe):
    node.create_publisher(Twist, 'topic', RELIABLE_QOS)
    neighbours = watch(node, publishing=True)
    probe.record(Twist, 'topic', qos_profile_sensor_data)
    assert probe.spin_until(lambda: neighbours.look() or neighbours.matching)
    assert neighbours.sentences == ()
    # Asks for what was said before it came.
    stranger.create_subscription(Twist, 'topic', lambda _: None, LOGGED_LATCHED_QOS)
    assert probe.spin_until(neighbours.look)
    assert 'do not fit' in neighbours.sentences[0]
    assert 'volatile' in neighbours.sentences[0]


def test_a_remapped_topic_is_looked_up_under_its_new_name(ros_context, stranger, probe):
    arguments = ['--ros-args', '-r', 'topic:=elsewhere']
    node = BaseNode('watcher', context=ros_context, cli_args=arguments)
    stranger.create_publisher(String, 'elsewhere', 10)
    neighbours = watch(node)
    assert probe.spin_until(neighbours.look)
    node.destroy_node()


def test_a_sentence_is_logged_once(node, stranger, probe):
    from rcl_interfaces.msg import Log

    log = probe.record(Log, '/rosout', LOGGED_LATCHED_QOS)
    node.create_subscription(Twist, 'topic', lambda _: None, RELIABLE_QOS)
    stranger.create_publisher(String, 'topic', 10)
    neighbours = watch(node)
    assert probe.spin_until(neighbours.look)
    for _ in range(5):
        neighbours.look()
    node.get_logger().warning('the last one')
    assert probe.spin_until(lambda: any(m.msg == 'the last one' for m in log))
    assert sum('/stranger sends' in message.msg for message in log) == 1


@pytest.mark.parametrize(
    ('other', 'advice'),
    [
        (TwistStamped, 'set enable_stamped_cmd_vel of /command to true'),
        (Twist, 'set enable_stamped_cmd_vel of /command to false'),
        (String, 'remap cmd_vel of one of the two'),
    ],
)
def test_the_advice_for_velocities_names_what_to_set(other, advice):
    assert advise_velocity_type(type_name(other), '/command').startswith(advice)


def test_best_effort_is_heard_and_reliable_again_when_it_comes_back(node, stranger, probe):
    heard: list[int] = []
    subscription = AdaptingSubscription(
        node, UInt32, 'topic', lambda m: heard.append(m.data), AUDIO_QOS, remedy=lambda _: ''
    )
    for number, qos in enumerate((AUDIO_QOS, qos_profile_sensor_data, AUDIO_QOS), start=1):
        publisher = stranger.create_publisher(UInt32, 'topic', qos)

        def arrives(number=number, publisher=publisher) -> bool:
            publisher.publish(UInt32(data=number))
            assert subscription.look() == ()
            return heard[-1:] == [number]

        assert probe.spin_until(arrives)
        wanted = [qos.reliability]
        offered = node.get_subscriptions_info_by_topic('/topic')
        assert [info.qos_profile.reliability for info in offered] == wanted
        stranger.destroy_publisher(publisher)


def command_twin(node) -> None:
    """Make a node one that does what a command node does."""
    node.create_publisher(Bool, 'emergency_stopped', EMERGENCY_STOPPED_QOS)
    node.create_subscription(UInt32, 'fusion_alive', lambda _: None, 10)


def test_a_twin_is_one_that_publishes_and_takes_the_same(node, stranger, probe):
    twins = Twins(node, publishes='emergency_stopped', takes='fusion_alive', what='command node')
    command_twin(node)
    # Somebody who replays a bag publishes alone, somebody who listens in takes alone.
    probe.node.create_publisher(Bool, 'emergency_stopped', EMERGENCY_STOPPED_QOS)
    stranger.create_subscription(UInt32, 'fusion_alive', lambda _: None, 10)
    assert probe.spin_until(lambda: stranger.count_publishers('/emergency_stopped') == 2)
    assert probe.spin_until(lambda: node.count_subscribers('/fusion_alive') == 2)
    assert twins.look() == ()
    stranger.create_publisher(Bool, 'emergency_stopped', EMERGENCY_STOPPED_QOS)
    assert probe.spin_until(twins.look)
    assert twins.look()[0].startswith('Another command node (/stranger) is at work on this robot')


def said(diagnostics: list, name: str) -> list[str]:
    """Return what a node said of itself."""
    return [s.message for m in diagnostics for s in m.status if s.name == name]


@pytest.mark.parametrize('other', ['command', 'my_command'])
def test_two_command_nodes_tell_of_each_other(ros_context, stranger, probe, other):
    """Whether they have one name or not; diagnostics of every node tell of one name."""
    diagnostics = probe.record(DiagnosticArray, '/diagnostics')
    nodes = [
        CommandNode(context=ros_context),
        CommandNode(
            context=stranger.context, cli_args=['--ros-args', '-r', f'command:__node:={other}']
        ),
    ]
    for node in nodes:
        probe.add_node(node)

    def both_say_so() -> bool:
        return all(
            any('nother' in text for text in said(diagnostics, name)) for name in ('command', other)
        )

    assert probe.spin_until(both_say_so)
    for node in nodes:
        node.destroy_node()


def test_two_robots_in_namespaces_of_their_own_are_no_twins(ros_context, probe):
    diagnostics = probe.record(DiagnosticArray, '/diagnostics')
    names = ('anna', 'ben')
    nodes = [CommandNode(context=ros_context, namespace=name) for name in names]
    for node in nodes:
        probe.add_node(node)
    assert probe.spin_until(
        lambda: all(len(said(diagnostics, f'{name}/command')) > 2 for name in names)
    )
    assert 'Another' not in ' '.join(s.message for m in diagnostics for s in m.status)
    for node in nodes:
        node.destroy_node()


def test_a_robot_that_hears_no_velocity_is_not_said_to_drive(ros_context, stranger, probe):
    """The base waits for stamped velocities; the command node names the parameter to set."""
    diagnostics = probe.record(DiagnosticArray, '/diagnostics')
    commands = probe.node.create_publisher(String, 'command', 10)
    stranger.create_subscription(TwistStamped, 'cmd_vel', lambda _: None, 10)
    overrides = [Parameter('require_fusion', value=False)]
    node = CommandNode(context=ros_context, parameter_overrides=overrides)
    probe.add_node(node)

    def drives_and_tells() -> bool:
        commands.publish(String(data='up'))
        return any(
            'set enable_stamped_cmd_vel of /command to true' in status.message
            for message in diagnostics
            for status in message.status
            if KeyValue(key='state', value='driving') in status.values
        )

    assert probe.spin_until(drives_and_tells)
    assert not any('is driving' in sentence for sentence in said(diagnostics, 'command'))
    assert 'no base listens to cmd_vel' in said(diagnostics, 'command')[-1]
    node.destroy_node()


def test_audio_of_another_type_is_not_blamed_on_a_missing_microphone(ros_context, stranger, probe):
    diagnostics = probe.record(DiagnosticArray, '/diagnostics')
    stranger.create_publisher(Float32MultiArray, 'audio', 10)
    node = FusionNode(context=ros_context)
    probe.add_node(node)
    assert probe.spin_until(
        lambda: any(
            'std_msgs/msg/Float32MultiArray' in text for text in said(diagnostics, 'fusion')
        )
    )
    last = said(diagnostics, 'fusion')[-1]
    assert last.startswith('/stranger sends std_msgs/msg/Float32MultiArray on audio')
    assert 'microphone node runs' not in last
    node.destroy_node()
