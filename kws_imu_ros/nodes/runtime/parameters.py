"""Declaring parameters with a text and a range, and one sentence where a value does not fit."""

from __future__ import annotations

from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.exceptions import (
    InvalidParameterTypeException,
    InvalidParameterValueException,
    ParameterException,
)
from rclpy.node import Node

from kws_imu_ros.errors import KwsImuError

# Of both ends of cmd_vel, and of whoever listens in.
ENABLE_STAMPED_CMD_VEL = 'enable_stamped_cmd_vel'


def declare(
    node: Node,
    name: str,
    default: Any,
    description: str,
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    read_only: bool = False,
) -> Any:
    """
    Declare a parameter and return its value.

    Args:
        node: who declares it.
        name: of the parameter.
        default: value, whose type becomes the parameter's.
        description: one sentence with the unit.
        minimum, maximum: range of a number, both or neither; checked now and at each change.
        read_only: it shapes the node and cannot change while that runs.

    Raises:
        KwsImuError: the value from the command line or the parameters file does not fit.

    """
    descriptor = ParameterDescriptor(description=description, read_only=read_only)
    if minimum is not None and maximum is not None:
        if isinstance(default, int):
            descriptor.integer_range = [IntegerRange(from_value=minimum, to_value=maximum)]
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
        wanted = f'give {minimum:g} to {maximum:g}' if minimum is not None else 'give another'
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
        return declare(node, name, default, '')
    finally:
        node.destroy_node()
