"""
Launch the robot in Gazebo: world, robot, bridge, and robot.launch.py without its own simulation.

    ros2 launch kws_imu_ros gazebo.launch.py input:=microphone

Needs ros_gz_sim, ros_gz_bridge and robot_state_publisher (Jazzy with Gazebo Harmonic, or later).
Gazebo's differential drive has no timeout on cmd_vel, unlike a real base or the simulated_robot
node: it would follow the last velocity of a killed command node. Here the end of that node ends
Gazebo as well.
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
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node, PushRosNamespace
from launch_ros.substitutions import FindPackageShare

SHARE = Path(get_package_share_directory('kws_imu_ros'))


# Launch looks into what it is given beforehand and lists the arguments of every include as this
# file's own, those among them that are settled here. What a function returns it does not list.


def gazebo(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """Return Gazebo with its world."""
    path = [FindPackageShare('ros_gz_sim'), 'launch', 'gz_sim.launch.py']
    source = PythonLaunchDescriptionSource(PathJoinSubstitution(path))
    settled = {
        'gz_args': [LaunchConfiguration('gz_options'), ' ', LaunchConfiguration('world')],
        'on_exit_shutdown': 'true',
    }
    return [IncludeLaunchDescription(source, launch_arguments=settled.items())]


def robot(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """Return the robot's nodes, without its own simulation."""
    passed = ('namespace', 'input', 'imu', 'model', 'composed', 'params_file', 'log_level')
    arguments = {name: LaunchConfiguration(name).perform(context) for name in passed}
    # The senses are stamped in real time; the simulation's clock is Gazebo's own affair.
    settled = {'simulate': 'false', 'use_sim_time': 'false'}
    source = PythonLaunchDescriptionSource(str(SHARE / 'launch' / 'robot.launch.py'))
    return [IncludeLaunchDescription(source, launch_arguments={**arguments, **settled}.items())]


def generate_launch_description() -> LaunchDescription:
    """Return Gazebo, the robot in it, the bridge, and the robot's nodes."""
    namespace = LaunchConfiguration('namespace')
    description = (SHARE / 'urdf' / 'robot.urdf').read_text(encoding='utf-8')
    body = GroupAction(
        [
            PushRosNamespace(namespace),
            Node(
                package='robot_state_publisher',
                executable='robot_state_publisher',
                parameters=[{'robot_description': description, 'use_sim_time': True}],
                # The bridge's tf is in the namespace as well.
                remappings=[('/tf', 'tf'), ('/tf_static', 'tf_static')],
                output='screen',
            ),
            Node(
                package='ros_gz_sim',
                executable='create',
                arguments=['-name', 'kws_imu_robot', '-topic', 'robot_description', '-z', '0.01'],
                output='screen',
            ),
            Node(
                package='ros_gz_bridge',
                executable='parameter_bridge',
                parameters=[
                    {
                        'config_file': str(SHARE / 'config' / 'gazebo_bridge.yaml'),
                        'use_sim_time': True,
                    }
                ],
                output='screen',
                on_exit=Shutdown(reason='the bridge to Gazebo has ended'),
            ),
        ]
    )
    return LaunchDescription(
        [
            DeclareLaunchArgument('namespace', default_value='', description='Namespace.'),
            DeclareLaunchArgument(
                'world',
                default_value=str(SHARE / 'worlds' / 'arena.sdf'),
                description='World file.',
            ),
            DeclareLaunchArgument(
                'gz_options',
                default_value='-r',
                description="Options of gz sim; '-r -s' runs it without a window.",
            ),
            DeclareLaunchArgument(
                'input',
                default_value='demo',
                description='demo, microphone, or the path of a sound file or bag.',
            ),
            DeclareLaunchArgument(
                'imu', default_value='auto', description='As in robot.launch.py.'
            ),
            DeclareLaunchArgument('model', default_value='', description='Model bundle.'),
            DeclareLaunchArgument(
                'composed',
                default_value='true',
                choices=['true', 'false'],
                description='One process.',
            ),
            DeclareLaunchArgument(
                'params_file',
                default_value=str(SHARE / 'config' / 'robot.yaml'),
                description="Parameters of this robot, read after the nodes' own files.",
            ),
            DeclareLaunchArgument(
                'log_level',
                default_value='info',
                description='How much the nodes say.',
                choices=['debug', 'info', 'warn', 'error', 'fatal'],
            ),
            OpaqueFunction(function=gazebo),
            body,
            OpaqueFunction(function=robot),
        ]
    )
