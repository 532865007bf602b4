"""How a process of nodes takes signals and mistakes."""

from __future__ import annotations

import signal

import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not installed')

from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.nodes.runtime.spinning import ros_arguments_checked

WAITING = """
import sys
from rclpy.node import Node
from kws_imu_ros.nodes.runtime.spinning import run_nodes

def create(nodes):
    nodes.append(Node('waiting'))
    nodes[0].create_timer(0.05, lambda: None)
    print('ready', flush=True)

sys.exit(run_nodes(create))
"""
# What nohup does.
DEAF = 'import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n' + WAITING
FAILING = """
import sys
from kws_imu_ros.nodes.runtime.spinning import run_nodes

def create(nodes):
    {statement}

sys.exit(run_nodes(create))
"""


def test_a_hangup_ends_a_process_and_one_that_was_ignored_at_start_does_not(processes):
    hearing, deaf = processes.start('-c', WAITING), processes.start('-c', DEAF)
    assert hearing.wait_for('ready')
    assert deaf.wait_for('ready')
    for process in (hearing, deaf):
        process.send_signal(signal.SIGHUP)
    assert hearing.wait() == 0
    assert deaf.popen.poll() is None
    deaf.send_signal(signal.SIGINT)
    assert deaf.wait() == 0


@pytest.mark.parametrize(
    ('statement', 'sentence'),
    [
        ("open('/nowhere/at/all')", '/nowhere/at/all cannot be used'),
        ("open('a' * 300)", 'file name too long'),
        ("b'caf\\xe9'.decode()", 'not UTF-8'),
    ],
)
def test_what_a_file_does_to_a_node_is_the_users_to_mend(processes, statement, sentence):
    process = processes.start('-c', FAILING.format(statement=statement))
    assert process.wait() == 2
    assert sentence in process.output
    assert len(process.output.splitlines()) == 1


@pytest.mark.parametrize(
    'arguments',
    [
        ('--unknown-option',),
        ('-r', 'cmd_vel=other'),
        ('-p', 'rate'),
        ('-p', 'a:=[1, "x"]'),
        ('--params-file', '/nowhere/params.yaml'),
        ('--log-level', 'loud'),
    ],
)
def test_mistakes_after_ros_args_give_one_sentence(arguments, monkeypatch):
    from rclpy.utilities import remove_ros_args

    def sentence() -> str:
        with pytest.raises(KwsImuError) as info, ros_arguments_checked():
            remove_ros_args(['robot', '--ros-args', *arguments])
        return str(info.value)

    monkeypatch.setattr('sys.argv', ['robot', '--ros-args', *arguments])
    assert arguments[-1] in sentence()
    assert '--ros-args' in sentence()
    assert ' at /' not in sentence()


def test_nobody_is_told_to_correct_what_the_package_wrote(monkeypatch):
    from rclpy.utilities import remove_ros_args

    monkeypatch.setattr('sys.argv', ['kws-imu', 'run'])
    with pytest.raises(KwsImuError) as info, ros_arguments_checked():
        remove_ros_args(['robot', '--ros-args', '-r', 'a=b'])
    assert '--ros-args' not in str(info.value)
