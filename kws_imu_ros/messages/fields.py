"""The parts that messages of several topics share: times, headers, vectors, array layouts."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.messages.factory import ROS, MessageFactory

SECOND_NS = 1_000_000_000


def time_to_message(stamp_ns: int, messages: MessageFactory = ROS) -> Any:
    """Return integer nanoseconds as builtin_interfaces/Time."""
    seconds, nanoseconds = divmod(int(stamp_ns), SECOND_NS)
    return messages.make('builtin_interfaces/msg/Time', sec=seconds, nanosec=nanoseconds)


def time_from_message(message: Any) -> int:
    """Return a builtin_interfaces/Time as integer nanoseconds."""
    return int(message.sec) * SECOND_NS + int(message.nanosec)


def header_message(stamp_ns: int, frame_id: str, messages: MessageFactory) -> Any:
    """Return a std_msgs/Header."""
    return messages.make(
        'std_msgs/msg/Header', stamp=time_to_message(stamp_ns, messages), frame_id=frame_id
    )


def dimension(label: str, size: int, stride: int, messages: MessageFactory) -> Any:
    """Return a std_msgs/MultiArrayDimension."""
    return messages.make(
        'std_msgs/msg/MultiArrayDimension', label=label, size=int(size), stride=int(stride)
    )


def multi_array(
    name: str, dimensions: list[Any], values: np.ndarray, messages: MessageFactory
) -> Any:
    """Return a std_msgs/*MultiArray."""
    layout = messages.make('std_msgs/msg/MultiArrayLayout', dim=dimensions, data_offset=0)
    return messages.make(name, layout=layout, data=messages.sequence(values))


def stamp_dimension(stamp_ns: int, messages: MessageFactory) -> Any:
    """Return the dimension that carries a time stamp."""
    seconds, nanoseconds = divmod(int(stamp_ns), SECOND_NS)
    return dimension('stamp', seconds, nanoseconds, messages)


def stamp_from_dimension(dimension: Any, what: str) -> int:
    """Return the time stamp in a dimension, integer nanoseconds."""
    if dimension.stride >= SECOND_NS:
        raise KwsImuError(
            f'{what} message has {dimension.stride} nanoseconds in its stamp, which must be below '
            "1000000000; publish it with this package's codec."
        )
    return int(dimension.size) * SECOND_NS + int(dimension.stride)


def vector(x: float, y: float, z: float, messages: MessageFactory) -> Any:
    """Return a geometry_msgs/Vector3."""
    return messages.make('geometry_msgs/msg/Vector3', x=float(x), y=float(y), z=float(z))


def quaternion(yaw: float, messages: MessageFactory) -> Any:
    """Return a rotation about z as geometry_msgs/Quaternion."""
    return messages.make(
        'geometry_msgs/msg/Quaternion',
        x=0.0,
        y=0.0,
        z=math.sin(yaw / 2.0),
        w=math.cos(yaw / 2.0),
    )


def key_values(pairs: dict[str, Any], messages: MessageFactory = ROS) -> list[Any]:
    """Return a dictionary as a list of diagnostic_msgs/KeyValue."""
    return [
        messages.make('diagnostic_msgs/msg/KeyValue', key=key, value=str(value))
        for key, value in pairs.items()
    ]
