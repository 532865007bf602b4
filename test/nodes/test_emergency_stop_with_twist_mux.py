"""The emergency stop behind twist_mux is zero, not silence, whoever drives."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from twist_mux import TwistMux

pytest.importorskip('rclpy', reason='ROS 2 is not installed')

from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import Twist
from rclpy.parameter import Parameter
from std_msgs.msg import Bool
from std_srvs.srv import SetBool

from kws_imu_ros.messages.motion import velocity_from_message, velocity_to_message
from kws_imu_ros.motion.velocity import Velocity
from kws_imu_ros.nodes.command_node import EMERGENCY_TOPIC, CommandNode

CONFIG = Path(__file__).resolve().parents[2] / 'config'
SETTINGS = yaml.safe_load((CONFIG / 'twist_mux.yaml').read_text())['/**/twist_mux'][
    'ros__parameters'
]
REST, DRIVING = Velocity(), Velocity(0.3, 0.0)
PERIOD_S = 0.05


def test_the_model_lets_the_stronger_pass_while_it_is_alive():
    now = [0.0]
    mux = TwistMux(SETTINGS, lambda: now[0])
    mux.take_velocity('voice', 1)
    mux.take_velocity('joystick', 2)
    mux.take_velocity('voice', 3)
    now[0] += 0.3
    mux.take_velocity('voice', 4)
    mux.take_lock('emergency_stop', True)
    mux.take_velocity('joystick', 5)
    mux.take_lock('emergency_stop', False)
    mux.take_velocity('joystick', 6)
    assert mux.passed == [('voice', 1), ('joystick', 2), ('voice', 4), ('joystick', 6)]


@given(arrivals=st.permutations(['zero'] * 3 + ['lock'] + ['joystick'] * 4))
def test_in_whatever_order_stop_and_joystick_arrive_nothing_moves_after_the_stop(arrivals):
    """A multiplexer reads topics one by one, so that they overtake each other."""
    now = [0.0]
    mux = TwistMux(SETTINGS, lambda: now[0])
    mux.take_velocity('joystick', DRIVING)
    stopped = None
    for what in arrivals:
        now[0] += PERIOD_S / 4
        if what == 'joystick':
            mux.take_velocity('joystick', DRIVING)
            continue
        stopped = len(mux.passed) if stopped is None else stopped
        if what == 'zero':
            mux.take_velocity('emergency_stop', REST)
        else:
            mux.take_lock('emergency_stop', True)
    assert mux.passed[stopped:] == [('emergency_stop', REST)] * 3


class Rig:
    """A command node behind a multiplexer, with somebody at the joystick."""

    def __init__(self, probe, context, settings=SETTINGS, **parameters) -> None:
        overrides = {
            'cmd_vel_topic': 'cmd_vel_voice',
            'stop_pub_timeout': 1.0,
            'require_fusion': False,
            **parameters,
        }
        self.probe = probe
        self.node = CommandNode(
            context=context,
            parameter_overrides=[Parameter(n, value=v) for n, v in overrides.items()],
        )
        probe.add_node(self.node)
        self.mux = TwistMux(settings, time.monotonic)
        for name, item in self.mux.topics.items():
            self._subscribe(Twist, item.topic, self.mux.take_velocity, name, velocity_from_message)
        for name, item in self.mux.locks.items():
            self._subscribe(Bool, item.topic, self.mux.take_lock, name, lambda m: m.data)
        self.joystick = probe.node.create_publisher(Twist, 'cmd_vel_joystick', 10)
        probe.node.create_timer(
            PERIOD_S, lambda: self.joystick.publish(velocity_to_message(DRIVING))
        )

    def _subscribe(self, kind, topic, take, name, read) -> None:
        # rclpp::SystemDefaultsQoS: reliable, volatile.
        self.probe.node.create_subscription(kind, topic, lambda m: take(name, read(m)), 10)

    def passes(self, what: Velocity, times: int = 1) -> bool:
        """Wait until a velocity passes so many times from now on."""
        start = len(self.mux.passed)
        return self.probe.spin_until(
            lambda: sum(velocity == what for _, velocity in self.mux.passed[start:]) >= times
        )

    def press(self, engage: bool) -> None:
        """Engage the emergency stop, or release it."""
        self.probe.call(SetBool, 'emergency_stop', SetBool.Request(data=engage))


def test_a_robot_that_a_joystick_drives_gets_zero_and_nothing_else(probe, ros_context):
    rig = Rig(probe, ros_context)
    assert rig.passes(DRIVING)
    rig.press(True)
    assert rig.passes(REST)
    start = len(rig.mux.passed)
    # Zero again and again, long after the command node falls silent at rest.
    assert rig.passes(REST, times=30)
    assert {velocity for _, velocity in rig.mux.passed[start:]} == {REST}
    rig.press(False)
    assert rig.passes(DRIVING)
    rig.node.destroy_node()


def test_a_robot_that_starts_with_the_emergency_stop_engaged(probe, ros_context):
    rig = Rig(probe, ros_context, start_emergency_stopped=True)
    assert rig.passes(REST, times=10)
    start = len(rig.mux.passed)
    assert rig.passes(REST, times=10)
    assert {velocity for _, velocity in rig.mux.passed[start:]} == {REST}
    rig.node.destroy_node()


def test_the_last_words_of_a_command_node_with_the_emergency_stop_engaged_are_zero(
    probe, ros_context
):
    rig = Rig(probe, ros_context)
    zeros = probe.record(Twist, EMERGENCY_TOPIC)
    rig.press(True)
    assert rig.passes(REST)
    probe.executor.remove_node(rig.node)
    count = len(zeros)
    rig.node.destroy_node()
    assert probe.spin_until(lambda: len(zeros) > count)


def test_a_multiplexer_without_the_topic_of_zeros_is_named(probe, ros_context):
    """As with the settings of an earlier release."""
    topics = {name: item for name, item in SETTINGS['topics'].items() if name != 'emergency_stop'}
    diagnostics = probe.record(DiagnosticArray, '/diagnostics')
    rig = Rig(probe, ros_context, {'topics': topics, 'locks': SETTINGS['locks']})

    def named() -> bool:
        return any(
            f'does not listen to /{EMERGENCY_TOPIC}: an emergency stop' in status.message
            for message in diagnostics
            for status in message.status
        )

    assert probe.spin_until(named)
    rig.node.destroy_node()
