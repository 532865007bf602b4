"""What was given to nodes is compared with what they declare before any of them is made."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not installed')

from kws_imu_ros.bringup.composed_robot import configured_nodes
from kws_imu_ros.bringup.robot_description import RobotOptions
from kws_imu_ros.nodes.runtime.child_process import start_child
from kws_imu_ros.nodes.runtime.parameters import check_settings
from kws_imu_ros.nodes.runtime.spinning import EXIT_USER_ERROR, run_nodes


def never(_nodes: list) -> None:
    raise AssertionError('nodes are made although the settings do not fit')


@pytest.mark.parametrize(
    ('text', 'sentence'),
    [
        (
            '/**/command: {ros__parameters: {start_emergency_stoped: true}}',
            'start_emergency_stopped',
        ),
        ("/**/command: {ros__parameters: {start_emergency_stopped: 'true'}}", 'write true'),
        ('/**/imu: {ros__parameters: {calibrate_at_strat: false}}', 'calibrate_at_start'),
        ('/**/microphone: {ros__parameters: {device: 3}}', "write '3'"),
        ('/**/simulated_robot: {ros__parameters: {arena_width: 2}}', 'write 2.0'),
        ('/**/replay: {ros__parameters: {lop: true}}', "did you mean 'loop'"),
        ('/**/recorder: {ros__parameters: {bag: [a]}}', 'must be text'),
        ('/**/fusoin: {ros__parameters: {hop_ms: 20}}', "did you mean 'fusion'"),
        ('policy: {voice_hops: 3}', 'so that no node reads it'),
    ],
)
def test_settings_that_do_not_fit_end_it_before_anything_starts(tmp_path, capfd, text, sentence):
    path = tmp_path / 'mine.yaml'
    path.write_text(f'# Mine.\n{text}\n')
    assert run_nodes(never, ['--ros-args', '--params-file', str(path)]) == EXIT_USER_ERROR
    (line,) = capfd.readouterr().err.splitlines()
    assert sentence in line
    assert 'mine.yaml, line 2' in line


def test_what_nobody_reads_is_told_and_holds_nobody_up(tmp_path: Path, capfd):
    path = tmp_path / 'mine.yaml'
    path.write_text('/**/command: {ros__parameters: {favourite_colour: blue}}\n')
    check_settings(['--ros-args', '--params-file', str(path)])
    assert capfd.readouterr().err.startswith('Warning: The parameters file ')


def test_a_node_is_known_in_the_namespace_that_the_robot_gives_it(tmp_path: Path, capfd):
    path = tmp_path / 'mine.yaml'
    path.write_text('/robot1/command: {ros__parameters: {command_lifetime: 2.0}}\n')
    arguments = ['--ros-args', '--params-file', str(path)]
    check_settings(arguments, namespace='robot1')
    assert capfd.readouterr().err == ''
    check_settings(arguments)
    assert "'robot1/command' is not the command node here" in capfd.readouterr().err
    check_settings([*arguments, '-r', '__ns:=/robot2'], namespace='robot1')
    assert 'which is /robot2/command' in capfd.readouterr().err


def test_a_child_repeats_no_warning_of_its_parent(tmp_path: Path):
    path = tmp_path / 'mine.yaml'
    path.write_text('/**/command: {ros__parameters: {favourite_colour: blue}}\n')
    code = (
        'from kws_imu_ros.nodes.runtime.spinning import run_nodes\n'
        'raise SystemExit(run_nodes(lambda nodes: None, finished=lambda: True))'
    )
    command = [sys.executable, '-c', code, '--ros-args', '--params-file', str(path)]
    alone = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert 'favourite_colour' in alone.stderr
    child = start_child(command, stderr=subprocess.PIPE)
    _, told = child.communicate(timeout=60)
    assert (child.returncode, told) == (0, b'')


def test_where_another_driver_is_the_imu_its_section_is_its_own(tmp_path: Path):
    path = tmp_path / 'mine.yaml'
    path.write_text('/**/imu: {ros__parameters: {rate: 100.0, upside_down: true}}\n')
    names = configured_nodes(RobotOptions(imu='none'))
    check_settings(['--ros-args', '--params-file', str(path)], names)
    assert 'imu' in configured_nodes(RobotOptions())
