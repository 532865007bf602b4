"""
Launch the robot: what it hears and sees, fusion, command, and the simulated base.

    ros2 launch kws_imu_ros robot.launch.py                       # the bundled demo
    ros2 launch kws_imu_ros robot.launch.py input:=microphone
    ros2 launch kws_imu_ros robot.launch.py input:=talk.wav composed:=true
    ros2 launch kws_imu_ros robot.launch.py input:=microphone simulate:=false   # a real base

When a node that the robot cannot do without ends, for whatever reason, everything ends: better no
robot than half a one.
"""

import os
from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import (
    DeclareLaunchArgument,
    GroupAction,
    OpaqueFunction,
    Shutdown,
    TimerAction,
)
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node, PushRosNamespace

from kws_imu_ros.bringup.robot_input import BAG, FILE, MICROPHONE, imu_parameters, parse_input
from kws_imu_ros.errors import KwsImuError

PACKAGE = 'kws_imu_ros'
CONFIG = Path(get_package_share_directory(PACKAGE)) / 'config'

# After the end of a bag or file, s: time for the last decision and for the robot to stop.
LINGER = 2.0

# One process is lighter; many are easier to look into, where there are cores to spare.
SMALL_MACHINE = (os.cpu_count() or 1) <= 4


def robot_nodes(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """Return the nodes that the arguments ask for."""

    def value(name: str) -> str:
        return LaunchConfiguration(name).perform(context)

    def is_true(name: str) -> bool:
        return value(name).lower() == 'true'

    if not Path(value('params_file')).is_file():
        raise KwsImuError(f'The parameters file {value("params_file")} does not exist.')
    source = parse_input(value('input'))
    imu = imu_parameters(value('imu'), source)
    common = {'use_sim_time': is_true('use_sim_time')}
    arguments = ['--ros-args', '--log-level', value('log_level')]

    def files(*names: str) -> list[str]:
        """Return parameters files, the person's own last."""
        return [str(CONFIG / f'{name}.yaml') for name in names] + [value('params_file')]

    def node(name: str, overrides: dict | None = None, **kwargs) -> Node:
        kwargs.setdefault('on_exit', Shutdown(reason=f'{name} has ended'))
        return Node(
            package=PACKAGE,
            executable=name,
            name=name,
            parameters=[*files(name), {**common, **(overrides or {})}],
            output='screen',
            emulate_tty=True,
            arguments=arguments,
            **kwargs,
        )

    if is_true('composed'):
        options = ['--input', value('input'), '--imu', value('imu')]
        options += ['--simulate', value('simulate'), '--model', value('model')]
        return [
            # No name: it would be given to every node of the process.
            Node(
                package=PACKAGE,
                executable='robot',
                parameters=[
                    *files('microphone', 'imu', 'fusion', 'command', 'simulated_robot'),
                    common,
                ],
                output='screen',
                emulate_tty=True,
                arguments=[*options, *arguments],
                on_exit=Shutdown(reason='the robot has ended'),
            )
        ]

    nodes = [
        node('fusion', {'model': value('model')} if value('model') else None),
        node('command'),
    ]
    if is_true('simulate'):
        nodes.append(node('simulated_robot'))
    if imu is not None:
        # Voice works without it, so its end is no reason to end the rest.
        nodes.append(node('imu', imu, on_exit=[]))
    ended = TimerAction(period=LINGER, actions=[Shutdown(reason='the input has ended')])
    if source.kind == BAG:
        nodes.append(
            Node(
                package=PACKAGE,
                executable='replay',
                name='replay',
                parameters=[value('params_file'), {**common, 'bag': str(source.path)}],
                output='screen',
                emulate_tty=True,
                arguments=arguments,
                on_exit=ended,
            )
        )
    elif source.kind == MICROPHONE:
        nodes.append(node('microphone'))
    elif source.kind == FILE:
        nodes.append(node('microphone', {'input': str(source.path)}, on_exit=ended))
    return nodes


def generate_launch_description() -> LaunchDescription:
    """Return the arguments and, below the namespace, the nodes."""
    boolean = {'choices': ['true', 'false']}
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                'namespace', default_value='', description='Namespace of all topics and nodes.'
            ),
            DeclareLaunchArgument(
                'use_sim_time',
                default_value='false',
                description='Take the time of stamps from /clock.',
                **boolean,
            ),
            DeclareLaunchArgument(
                'params_file',
                default_value=str(CONFIG / 'robot.yaml'),
                description="Parameters of this robot, read after the nodes' own files.",
            ),
            DeclareLaunchArgument(
                'model',
                default_value='',
                description='Name or path of a model bundle; empty: what the parameters say.',
            ),
            DeclareLaunchArgument(
                'input',
                default_value='demo',
                description='demo, microphone, or the path of a wav, flac or ogg file or of a bag.',
            ),
            DeclareLaunchArgument(
                'imu',
                default_value='auto',
                description='auto (a serial board if there is one, with the microphone), none '
                '(absent, or published by another driver), serial, mpu6050, or the path of a '
                'recording.',
            ),
            DeclareLaunchArgument(
                'simulate',
                default_value='true',
                description='Whether the simulated robot takes part; false for a real base.',
                **boolean,
            ),
            DeclareLaunchArgument(
                'composed',
                default_value='true' if SMALL_MACHINE else 'false',
                description='Everything in one process; the default where there are few cores.',
                **boolean,
            ),
            DeclareLaunchArgument(
                'log_level',
                default_value='info',
                description='How much the nodes say.',
                choices=['debug', 'info', 'warn', 'error', 'fatal'],
            ),
            GroupAction(
                [
                    PushRosNamespace(LaunchConfiguration('namespace')),
                    OpaqueFunction(function=robot_nodes),
                ]
            ),
        ]
    )
