"""
Launch a robot that dances: all that robot.launch.py starts, and the choreographer.

    ros2 launch kws_imu_ros dance.launch.py choreography:=dance.yaml input:=microphone
    ros2 launch kws_imu_ros dance.launch.py choreography:=dance.yaml start_at_once:=false
    ros2 launch kws_imu_ros dance.launch.py save_to:=dance.yaml     # to be composed by voice

The choreographer is a process of its own, and its end ends the robot. It listens to what the robot
hears: `stop`, by voice, hand or anybody on `command`, ends the dance.
"""

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import (
    DeclareLaunchArgument,
    GroupAction,
    IncludeLaunchDescription,
    OpaqueFunction,
    Shutdown,
)
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node, PushRosNamespace

from kws_imu_ros.bringup.robot_description import (
    Ending,
    RobotOptions,
    describe_choreographer,
    describe_coach,
)
from kws_imu_ros.choreography.file import load_choreography
from kws_imu_ros.errors import KwsImuError

PACKAGE = 'kws_imu_ros'
SHARE = Path(get_package_share_directory(PACKAGE))


def robot(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """Return the robot's nodes."""
    passed = (
        *('namespace', 'use_sim_time', 'params_file', 'model', 'input', 'imu', 'simulate'),
        *('composed', 'log_level'),
    )
    arguments = {name: LaunchConfiguration(name).perform(context) for name in passed}
    source = PythonLaunchDescriptionSource(str(SHARE / 'launch' / 'robot.launch.py'))
    return [IncludeLaunchDescription(source, launch_arguments=arguments.items())]


def dance(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """Return the choreographer, and the coach where one is asked for."""

    def value(name: str) -> str:
        return LaunchConfiguration(name).perform(context)

    if not value('choreography') and not value('save_to'):
        raise KwsImuError(
            'No dance was named; give choreography:=FILE, or save_to:=FILE to compose one.'
        )
    if value('choreography'):
        # Before a robot is started for nothing.
        load_choreography(value('choreography'))
    options = RobotOptions(
        dances=True,
        choreography=value('choreography'),
        save_to=value('save_to'),
        start_at_once=value('start_at_once').lower() == 'true',
    )
    nodes = [describe_choreographer(options)]
    if value('coach').lower() == 'true':
        nodes.append(describe_coach(options, cards=value('cards')))
    return [
        Node(
            package=PACKAGE,
            executable=node.name,
            name=node.name,
            parameters=[
                str(node.parameters_file),
                value('params_file'),
                {'use_sim_time': value('use_sim_time').lower() == 'true', **node.overrides},
            ],
            output='screen',
            emulate_tty=True,
            arguments=['--ros-args', '--log-level', value('log_level')],
            on_exit=(
                [Shutdown(reason=f'{node.name} has ended')]
                if node.ending is Ending.ENDS_ROBOT
                else []
            ),
        )
        for node in nodes
    ]


def generate_launch_description() -> LaunchDescription:
    """Return the arguments, the choreographer and the robot."""
    boolean = {'choices': ['true', 'false']}
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                'choreography', default_value='', description='File of the dance.'
            ),
            DeclareLaunchArgument(
                'save_to',
                default_value='',
                description="File that ~/save writes; empty: the choreography's own.",
            ),
            DeclareLaunchArgument(
                'start_at_once',
                default_value='true',
                description='Dance as soon as the robot is there; false: wait for ~/start.',
                **boolean,
            ),
            DeclareLaunchArgument(
                'coach',
                default_value='false',
                description="Watch who dances with the sensor; needs the teacher's recording.",
                **boolean,
            ),
            DeclareLaunchArgument(
                'cards',
                default_value='',
                description='Folder for score cards; empty: none are written.',
            ),
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
                default_value=str(SHARE / 'config' / 'robot.yaml'),
                description="Parameters of this robot, read after the nodes' own files.",
            ),
            DeclareLaunchArgument(
                'model',
                default_value='',
                description='Name or path of a model bundle; empty: what the parameters say.',
            ),
            DeclareLaunchArgument(
                'input',
                default_value='microphone',
                description='microphone, demo, or the path of a wav, flac or ogg file or of a bag.',
            ),
            DeclareLaunchArgument(
                'imu',
                default_value='auto',
                description='As of robot.launch.py: auto, none, serial, mpu6050 or a recording.',
            ),
            DeclareLaunchArgument(
                'simulate',
                default_value='true',
                description='Whether the simulated robot takes part; false for a real base.',
                **boolean,
            ),
            DeclareLaunchArgument(
                'composed',
                default_value='true',
                description='All but the choreographer in one process.',
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
                    OpaqueFunction(function=dance),
                ]
            ),
            OpaqueFunction(function=robot),
        ]
    )
