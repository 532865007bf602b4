"""The robot's files agree with each other: URDF, world, bridge, twist_mux and parameters."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
import yaml

from kws_imu_ros.motion.profiles import load_motion_table
from kws_imu_ros.motion.simulation import RobotParameters

REPOSITORY = Path(__file__).resolve().parents[2]
CONFIG = REPOSITORY / 'config'
DEFAULT = RobotParameters()
URDF = ElementTree.parse(REPOSITORY / 'urdf' / 'robot.urdf').getroot()


def parameters(file: str) -> dict:
    """Return the parameters of a file of one node."""
    (section,) = yaml.safe_load((CONFIG / file).read_text()).values()
    return section['ros__parameters']


def numbers(element: ElementTree.Element, name: str) -> list[float]:
    return [float(part) for part in element.get(name).split()]


def test_urdf_is_a_tree_of_links():
    links = {link.get('name') for link in URDF.iter('link')}
    joints = list(URDF.findall('joint'))
    children = [joint.find('child').get('link') for joint in joints]
    parents = {joint.find('parent').get('link') for joint in joints}
    assert parents <= links
    assert len(children) == len(set(children))
    assert links - set(children) == {'base_link'}, 'one root'


def test_urdf_has_the_wheels_of_the_simulated_robot():
    drive = DEFAULT.drive
    for side, sign in (('left', 1.0), ('right', -1.0)):
        joint = URDF.find(f"joint[@name='{side}_wheel_joint']")
        assert joint.get('type') == 'continuous'
        assert numbers(joint.find('axis'), 'xyz') == [0.0, 1.0, 0.0]
        x, y, z = numbers(joint.find('origin'), 'xyz')
        assert (x, y) == (0.0, sign * drive.wheel_separation / 2.0)
        assert z == drive.wheel_radius, 'wheels stand on the ground'
        assert float(joint.find('limit').get('velocity')) == drive.max_wheel_velocity
        link = URDF.find(f"link[@name='{side}_wheel_link']")
        for cylinder in link.iter('cylinder'):
            assert float(cylinder.get('radius')) == drive.wheel_radius
    body = URDF.find("link[@name='chassis_link']/collision/geometry/cylinder")
    assert float(body.get('radius')) == DEFAULT.radius


def test_urdf_masses_have_possible_inertias():
    for inertial in URDF.iter('inertial'):
        assert float(inertial.find('mass').get('value')) > 0.0
        inertia = inertial.find('inertia')
        a, b, c = sorted(float(inertia.get(name)) for name in ('ixx', 'iyy', 'izz'))
        assert a > 0.0
        assert a + b >= c, 'the triangle inequality of moments of inertia'


def test_gazebo_drives_as_the_simulated_robot_does():
    plugin = URDF.find("gazebo/plugin[@name='gz::sim::systems::DiffDrive']")
    value = {child.tag: child.text for child in plugin}
    assert value['left_joint'] == parameters('simulated_robot.yaml')['left_wheel_name']
    assert value['right_joint'] == parameters('simulated_robot.yaml')['right_wheel_name']
    linear, angular = DEFAULT.limits.linear, DEFAULT.limits.angular
    for name, expected in (
        ('wheel_separation', DEFAULT.drive.wheel_separation),
        ('wheel_radius', DEFAULT.drive.wheel_radius),
        ('max_linear_velocity', linear.max_velocity),
        ('max_linear_acceleration', linear.max_acceleration),
        ('min_linear_acceleration', -linear.max_deceleration),
        ('max_angular_velocity', angular.max_velocity),
        ('max_angular_acceleration', angular.max_acceleration),
    ):
        assert float(value[name]) == expected, name
    bridge = yaml.safe_load((CONFIG / 'gazebo_bridge.yaml').read_text())
    to_gazebo = {entry['gz_topic_name'] for entry in bridge if entry['direction'] == 'ROS_TO_GZ'}
    to_ros = {entry['gz_topic_name'] for entry in bridge if entry['direction'] == 'GZ_TO_ROS'}
    assert to_gazebo == {value['topic']}
    assert {value['odom_topic'], value['tf_topic'], '/clock'} <= to_ros


def test_the_world_has_the_arena_s_walls():
    world = ElementTree.parse(REPOSITORY / 'worlds' / 'arena.sdf').getroot().find('world')
    plugins = {plugin.get('name').split('::')[-1] for plugin in world.findall('plugin')}
    assert plugins >= {'Physics', 'UserCommands', 'SceneBroadcaster'}
    edges = []
    for wall in world.findall("model[@name='walls']/link/collision"):
        x, y, *_ = map(float, wall.find('pose').text.split())
        depth, width, _ = map(float, wall.find('geometry/box/size').text.split())
        edges.append(abs(x) - depth / 2.0 if abs(x) > abs(y) else abs(y) - width / 2.0)
    assert edges == pytest.approx([DEFAULT.arena.width / 2.0] * 2 + [DEFAULT.arena.depth / 2.0] * 2)


def test_twist_mux_knows_the_command_node():
    mux = parameters('twist_mux.yaml')
    voice = mux['topics']['voice']
    assert mux['topics']['navigation']['priority'] < voice['priority']
    assert voice['priority'] < mux['topics']['joystick']['priority']
    period = 1.0 / parameters('command.yaml')['publish_rate']
    assert voice['timeout'] >= 3.0 * period
    lock = mux['locks']['emergency_stop']
    assert lock['topic'] == 'emergency_stopped'
    zero = mux['topics']['emergency_stop']
    assert zero['topic'] == 'cmd_vel_emergency_stop'
    assert zero['priority'] > lock['priority'] > mux['topics']['joystick']['priority']
    assert zero['timeout'] >= 3.0 * period


def test_whatever_is_killed_the_shipped_numbers_add_up_to_half_a_second():
    """Worst case: the watchdog's time, one period, and braking from the fastest velocity."""
    table = load_motion_table(CONFIG / 'motion.yaml')
    period = 1.0 / parameters('command.yaml')['publish_rate']
    simulated = parameters('simulated_robot.yaml')
    braking = max(
        table.limits.linear.max_velocity / simulated['linear_deceleration'],
        table.limits.angular.max_velocity / simulated['angular_acceleration'],
    )
    assert simulated['cmd_vel_timeout'] + braking <= 0.5
    assert table.fusion_timeout + period + braking <= 0.5
