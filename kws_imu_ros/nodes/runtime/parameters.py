"""Declaring parameters, and comparing what somebody gave with what the nodes declare."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.exceptions import (
    InvalidParameterTypeException,
    InvalidParameterValueException,
    ParameterException,
)
from rclpy.node import Node

from kws_imu_ros.configuration.comparison import compare
from kws_imu_ros.configuration.declaration import Declaration
from kws_imu_ros.configuration.given import read_arguments
from kws_imu_ros.errors import KwsImuError

# Of both ends of cmd_vel, and of whoever listens in.
ENABLE_STAMPED_CMD_VEL = 'enable_stamped_cmd_vel'

# The nodes that have parameters. By name, since importing all of them takes a second or two and a
# process of one node asks for the others only when it was given something that it does not know.
NODES = {
    'microphone': ('microphone_node', 'MicrophoneNode'),
    'imu': ('imu_node', 'ImuNode'),
    'fusion': ('fusion_node', 'FusionNode'),
    'command': ('command_node', 'CommandNode'),
    'simulated_robot': ('simulated_robot_node', 'SimulatedRobotNode'),
    'choreographer': ('choreographer_node', 'ChoreographerNode'),
    'coach': ('coach_node', 'CoachNode'),
    'replay': ('replay_node', 'ReplayNode'),
    'recorder': ('recorder_node', 'RecorderNode'),
}


def declarations_of(node: str) -> tuple[Declaration, ...]:
    """Return what one of our nodes declares."""
    module, name = NODES[node]
    return getattr(importlib.import_module(f'kws_imu_ros.nodes.{module}'), name).PARAMETERS


def check_settings(
    arguments: Sequence[str] | None,
    here: Iterable[str] = NODES,
    namespace: str = '',
    tell: bool = True,
) -> None:
    """
    Compare the parameters in a command line and in its files with those that are declared.

    What is merely read by nobody is told on standard error.

    Args:
        arguments: the command line, None for the process's own.
        here: the nodes that it is for, by default a whole robot.
        namespace: that they are given where the command line says no other.
        tell: whether what nobody reads is told.

    Raises:
        KwsImuError: a parameter or a node is misspelt, a parameter lies in the wrong section, or
            its value has the wrong type or is out of range; or a file cannot be read.

    """
    given = read_arguments(sys.argv if arguments is None else arguments, namespace)
    warnings = compare(given, tuple(here), tuple(NODES), declarations_of)
    for warning in warnings if tell else ():
        print(f'Warning: {warning}', file=sys.stderr, flush=True)


def declare(node: Node, declaration: Declaration, default: Any = None) -> Any:
    """
    Declare a parameter and return its value.

    Args:
        node: who declares it.
        declaration: what it is.
        default: where it is not the declaration's own, but comes from a file.

    Raises:
        KwsImuError: the value from the command line or the parameters file does not fit.

    """
    name = declaration.name
    default = declaration.default if default is None else default
    minimum, maximum = declaration.minimum, declaration.maximum
    descriptor = ParameterDescriptor(
        description=declaration.description, read_only=declaration.read_only
    )
    wanted = 'give another'
    if minimum is not None and maximum is not None:
        wanted = f'give {minimum:g} to {maximum:g}'
        if isinstance(default, int):
            descriptor.integer_range = [
                IntegerRange(from_value=int(minimum), to_value=int(maximum))
            ]
        else:
            descriptor.floating_point_range = [
                FloatingPointRange(from_value=float(minimum), to_value=float(maximum))
            ]
    where = f'The parameter {name} of {node.get_fully_qualified_name()}'
    try:
        return node.declare_parameter(name, default, descriptor).value
    except InvalidParameterTypeException as error:
        raise KwsImuError(
            f'{where} has a value of the wrong type; give one like {default!r}.'
        ) from error
    except InvalidParameterValueException as error:
        raise KwsImuError(f'{where} is out of range; {wanted}.') from error
    except ParameterException as error:
        raise KwsImuError(f'{where} cannot be declared: {error}.') from error


def read_ahead(node_name: str, name: str, default: Any) -> Any:
    """
    Return the value that a node's parameter will have, by the arguments of this process.

    A node of that name exists for a moment, so that ROS itself picks among files and wildcards.

    Raises:
        KwsImuError: the value does not fit.

    """
    node = Node(node_name, start_parameter_services=False, enable_rosout=False)
    try:
        return declare(node, Declaration(name, default, ''))
    finally:
        node.destroy_node()
