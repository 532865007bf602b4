"""
Posteriors as `std_msgs/Float32MultiArray`: one probability per label.

dim 0: label = the labels joined with commas, size = stride = how many; dim 1: stamp as in `audio`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.messages.factory import ROS, MessageFactory
from kws_imu_ros.messages.fields import (
    dimension,
    multi_array,
    stamp_dimension,
    stamp_from_dimension,
)


def posterior_to_message(
    labels: tuple[str, ...], posterior: np.ndarray, stamp_ns: int, messages: MessageFactory = ROS
) -> Any:
    """Return a posterior, float (len(labels),), as std_msgs/Float32MultiArray."""
    count = len(labels)
    dimensions = [
        dimension(','.join(labels), count, count, messages),
        stamp_dimension(stamp_ns, messages),
    ]
    values = np.asarray(posterior, np.float32)
    return multi_array('std_msgs/msg/Float32MultiArray', dimensions, values, messages)


def posterior_from_message(message: Any) -> tuple[tuple[str, ...], np.ndarray, int]:
    """
    Return labels, posterior float32 (n,) and stamp in ns of a std_msgs/Float32MultiArray.

    Raises:
        KwsImuError: the message is not a posterior in this package's layout.

    """
    dimensions = message.layout.dim
    values = np.asarray(message.data, np.float32)
    labels = tuple(dimensions[0].label.split(',')) if len(dimensions) else ()
    if len(dimensions) != 2 or dimensions[1].label != 'stamp' or len(labels) != len(values):
        raise KwsImuError(
            f'Posterior message has {len(dimensions)} dimensions, {len(labels)} labels and '
            f'{len(values)} values; expected a dimension of labels, one of stamp, and one value a '
            'label.'
        )
    return labels, values, stamp_from_dimension(dimensions[1], 'Posterior')
