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

from kws_imu_ros.bringup.robot_description import (
    Ending,
    NodeDescription,
    RobotOptions,
    describe_robot,
)
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
    options = RobotOptions(
        input=value('input'),
        imu=value('imu'),
        model=value('model'),
        simulate=is_true('simulate'),
        use_sim_time=is_true('use_sim_time'),
    )
    robot = describe_robot(options)
    common = {'use_sim_time': is_true('use_sim_time')}
    arguments = ['--ros-args', '--log-level', value('log_level')]
    # A person's own parameters come last.
    own = value('params_file')

    if is_true('composed'):
        return [
            # No name: it would be given to every node of the process.
            Node(
                package=PACKAGE,
                executable='robot',
                parameters=[*map(str, robot.parameters_files()), own, common],
                output='screen',
                emulate_tty=True,
                arguments=[*options.to_arguments(), *arguments],
                on_exit=Shutdown(reason='the robot has ended'),
            )
        ]
    return [
        Node(
            package=PACKAGE,
            executable=node.name,
            name=node.name,
            parameters=[
                *([str(node.parameters_file)] if node.parameters_file else []),
                own,
                {**common, **node.overrides},
            ],
            output='screen',
            emulate_tty=True,
            arguments=arguments,
            on_exit=on_exit(node),
        )
        for node in robot.nodes
    ]


def on_exit(node: NodeDescription) -> list[LaunchDescriptionEntity]:
    """Return what the end of a node brings about."""
    if node.ending is Ending.ENDS_ROBOT:
        return [Shutdown(reason=f'{node.name} has ended')]
    if node.ending is Ending.ENDS_INPUT:
        return [TimerAction(period=LINGER, actions=[Shutdown(reason='the input has ended')])]
    return []


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
                description='Take the time of stamps from /clock. Demo and bags publish it, unless '
                'simulate is false: then it is the business of the simulator.',
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
