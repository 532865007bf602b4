"""Samples of an IMU as `sensor_msgs/Imu`, raw per REP-145."""

from __future__ import annotations

from typing import Any

import numpy as np

from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.imu.sample import ImuSample
from kws_imu_ros.messages.factory import ROS, MessageFactory
from kws_imu_ros.messages.fields import header_message, quaternion, time_from_message, vector


def imu_sample_to_message(
    sample: ImuSample, frame_id: str = 'imu_link', messages: MessageFactory = ROS
) -> Any:
    """
    Return a sample as sensor_msgs/Imu of raw data per REP-145.

    orientation_covariance[0] is -1: no orientation estimate. The other covariances are zero:
    unknown.
    """
    no_orientation = np.zeros(9)
    no_orientation[0] = -1.0
    return messages.make(
        'sensor_msgs/msg/Imu',
        header=header_message(sample.stamp_ns, frame_id, messages),
        orientation=quaternion(0.0, messages),
        orientation_covariance=no_orientation,
        angular_velocity=vector(*sample.angular_velocity, messages),
        angular_velocity_covariance=np.zeros(9),
        linear_acceleration=vector(*sample.linear_acceleration, messages),
        linear_acceleration_covariance=np.zeros(9),
    )


def imu_sample_from_message(message: Any) -> ImuSample:
    """
    Return a sensor_msgs/Imu as a sample; NaN and absurd values pass, `ImuWindow` judges them.

    Raises:
        KwsImuError: the message says that it has no acceleration or no angular velocity, or its
            stamp is negative.

    """
    for field in ('linear_acceleration', 'angular_velocity'):
        if getattr(message, f'{field}_covariance')[0] == -1.0:
            raise KwsImuError(
                f'IMU message says that it has no {field} ({field}_covariance[0] is -1); use a '
                'driver that measures both acceleration and rotation.'
            )
    stamp_ns = time_from_message(message.header.stamp)
    if stamp_ns < 0:
        raise KwsImuError(f'IMU message has a negative stamp, {stamp_ns} ns; correct its driver.')
    acceleration, rotation = message.linear_acceleration, message.angular_velocity
    return ImuSample(
        stamp_ns=stamp_ns,
        linear_acceleration=(
            float(acceleration.x),
            float(acceleration.y),
            float(acceleration.z),
        ),
        angular_velocity=(float(rotation.x), float(rotation.y), float(rotation.z)),
    )
