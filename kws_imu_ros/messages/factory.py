"""How a message is built: of rclpy's classes, or of those of the `rosbags` library."""

from __future__ import annotations

import array
import importlib
from typing import Any

import numpy as np

from kws_imu_ros.errors import KwsImuError


def message_class(name: str) -> type:
    """
    Return rclpy's class of a message type, such as 'std_msgs/msg/String'.

    Raises:
        KwsImuError: the package of the message is not installed.

    """
    package, _, kind = name.split('/')
    try:
        found: type = getattr(importlib.import_module(f'{package}.msg'), kind)
    except (ImportError, AttributeError) as error:
        raise KwsImuError(
            f'{name} is not installed here; leave its topic out or install {package}.'
        ) from error
    return found


class MessageFactory:
    """Build rclpy messages; ROS is imported at the first message, not with this module."""

    def __init__(self) -> None:
        self._classes: dict[str, type] = {}

    def make(self, name: str, /, **fields: Any) -> Any:
        """Return a message of type `name`, such as 'std_msgs/msg/String', with `fields` set."""
        found = self._classes.get(name)
        if found is None:
            found = self._classes[name] = message_class(name)
        return found(**fields)

    def sequence(self, values: np.ndarray) -> Any:
        """Return a 1-D numpy array in the form of a message's unbounded sequence."""
        # array.array of bytes is the one form that rclpy takes without looking at each element.
        result = array.array(values.dtype.char)
        result.frombytes(values.tobytes())
        return result

    def octet(self, value: int) -> Any:
        """Return a number from 0 to 255 in the form of a message's byte."""
        return bytes([value])


class BagMessages(MessageFactory):
    """Build messages of the ``rosbags`` library from one of its type stores."""

    def __init__(self, typestore: Any) -> None:
        super().__init__()
        self._classes = typestore.types

    def sequence(self, values: np.ndarray) -> Any:
        """Return the array itself, contiguous."""
        return np.ascontiguousarray(values)

    def octet(self, value: int) -> Any:
        """Return the number itself."""
        return value


ROS = MessageFactory()
