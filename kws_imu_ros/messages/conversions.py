"""
The bridge between ROS messages and the package's dataclasses; the only place that knows both.

``*_from_message`` functions use attribute access alone, so they read rclpy's messages and those of
the ``rosbags`` library alike. ``*_to_message`` functions build through a `MessageFactory`: rclpy's
classes unless told otherwise, or `BagMessages` over a ``rosbags`` type store.

Audio in ``std_msgs/Int16MultiArray``
    A standard message has no field for a time or a rate, so further dimensions carry them:

    ======  =============  =======================  ================================
    dim     label          size                     stride
    ======  =============  =======================  ================================
    0       frames         frames in this block     frames * channels
    1       channels       1                        channels
    2       sample_rate    Hz                       1
    3       sequence       low 32 bits of number    high 32 bits of number
    4       stamp          seconds of first sample  nanoseconds of first sample
    ======  =============  =======================  ================================

    `data` is channel-interleaved int16, so dimensions 0 and 1 describe it as the message's
    definition asks and a reader that knows nothing of this table still gets the samples.

Posteriors in ``std_msgs/Float32MultiArray``
    dim 0: label = the labels joined with commas, size = stride = how many; dim 1: stamp as above.
"""

from __future__ import annotations

import array
import importlib
import math
from typing import Any

import numpy as np

from kws_imu_ros.audio.block import AudioBlock
from kws_imu_ros.decision.decision import Decision, Score
from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.imu.sample import ImuSample
from kws_imu_ros.motion.velocity import Pose, Velocity

SECOND_NS = 1_000_000_000
MAXIMUM_BLOCK_SECONDS = 10
AUDIO_DIMENSIONS = ('frames', 'channels', 'sample_rate', 'sequence', 'stamp')
DECISION_LEVELS = {'accept': 0, 'reject': 0, 'ask': 1}  # DiagnosticStatus OK and WARN


class MessageFactory:
    """Build rclpy messages; ROS is imported at the first message, not with this module."""

    def __init__(self) -> None:
        self._classes: dict[str, type] = {}

    def make(self, name: str, /, **fields: Any) -> Any:
        """Return a message of type `name`, such as 'std_msgs/msg/String', with `fields` set."""
        message_class = self._classes.get(name)
        if message_class is None:
            package, _, kind = name.split('/')
            message_class = getattr(importlib.import_module(f'{package}.msg'), kind)
            self._classes[name] = message_class
        return message_class(**fields)

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


# Time


def time_to_message(stamp_ns: int, messages: MessageFactory = ROS) -> Any:
    """Return integer nanoseconds as builtin_interfaces/Time."""
    seconds, nanoseconds = divmod(int(stamp_ns), SECOND_NS)
    return messages.make('builtin_interfaces/msg/Time', sec=seconds, nanosec=nanoseconds)


def time_from_message(message: Any) -> int:
    """Return a builtin_interfaces/Time as integer nanoseconds."""
    return int(message.sec) * SECOND_NS + int(message.nanosec)


def _header(stamp_ns: int, frame_id: str, messages: MessageFactory) -> Any:
    """Return a std_msgs/Header."""
    return messages.make(
        'std_msgs/msg/Header', stamp=time_to_message(stamp_ns, messages), frame_id=frame_id
    )


def _dimension(label: str, size: int, stride: int, messages: MessageFactory) -> Any:
    """Return a std_msgs/MultiArrayDimension."""
    return messages.make(
        'std_msgs/msg/MultiArrayDimension', label=label, size=int(size), stride=int(stride)
    )


def _multi_array(name: str, dimensions: list, values: np.ndarray, messages: MessageFactory) -> Any:
    """Return a std_msgs/*MultiArray."""
    layout = messages.make('std_msgs/msg/MultiArrayLayout', dim=dimensions, data_offset=0)
    return messages.make(name, layout=layout, data=messages.sequence(values))


def _stamp_dimension(stamp_ns: int, messages: MessageFactory) -> Any:
    """Return the dimension that carries a time stamp."""
    seconds, nanoseconds = divmod(int(stamp_ns), SECOND_NS)
    return _dimension('stamp', seconds, nanoseconds, messages)


def _stamp_from_dimension(dimension: Any, what: str) -> int:
    """Return the time stamp in a dimension, integer nanoseconds."""
    if dimension.stride >= SECOND_NS:
        raise KwsImuError(
            f'{what} message has {dimension.stride} nanoseconds in its stamp, which must be below '
            "1000000000; publish it with this package's codec."
        )
    return int(dimension.size) * SECOND_NS + int(dimension.stride)


# Audio


def audio_block_to_message(block: AudioBlock, messages: MessageFactory = ROS) -> Any:
    """
    Return a block as std_msgs/Int16MultiArray; see the table at the top of this module.

    Raises:
        KwsImuError: samples are not int16 (n,), or stamp or sequence cannot be carried.

    """
    samples = block.samples
    if samples.dtype != np.int16 or samples.ndim != 1:
        raise KwsImuError(
            f'An audio block holds {samples.dtype} of shape {samples.shape}; convert it to mono '
            'int16 before publishing.'
        )
    if not 0 <= block.stamp_ns < SECOND_NS << 32 or not 0 <= block.sequence < 1 << 64:
        raise KwsImuError(
            f'An audio block has stamp {block.stamp_ns} ns and sequence {block.sequence}; neither '
            'may be negative or too large for its message.'
        )
    count = len(samples)
    dimensions = [
        _dimension('frames', count, count, messages),
        _dimension('channels', 1, 1, messages),
        _dimension('sample_rate', block.sample_rate, 1, messages),
        _dimension('sequence', block.sequence & 0xFFFFFFFF, block.sequence >> 32, messages),
        _stamp_dimension(block.stamp_ns, messages),
    ]
    return _multi_array('std_msgs/msg/Int16MultiArray', dimensions, samples, messages)


def audio_block_from_message(message: Any, sample_rate: int | None = None) -> AudioBlock:
    """
    Return a std_msgs/Int16MultiArray as a block; its samples share the message's memory.

    sample_rate: the only rate to accept, Hz; any sensible one when None.

    Raises:
        KwsImuError: the message is not audio in this package's layout, is not mono, or has
            another sample rate.

    """
    dimensions = message.layout.dim
    labels = tuple(d.label for d in dimensions)
    if labels != AUDIO_DIMENSIONS:
        raise KwsImuError(
            f'Audio message has dimensions ({", ".join(labels)[:80]}) instead of '
            f"({', '.join(AUDIO_DIMENSIONS)}); publish it with this package's codec."
        )
    frames, channels, rate, sequence, stamp = dimensions
    if channels.stride != 1 or channels.size != 1:
        raise KwsImuError(
            f'Audio message has {channels.stride} channels but 1 is needed; mix it down before '
            'publishing.'
        )
    if sample_rate is not None and rate.size != sample_rate:
        raise KwsImuError(
            f'Audio message has a sample rate of {rate.size} Hz but {sample_rate} Hz is needed; '
            'resample it before publishing.'
        )
    if not 1000 <= rate.size <= 768_000:
        raise KwsImuError(
            f'Audio message has a sample rate of {rate.size} Hz; expected 1000 to 768000.'
        )
    samples = np.asarray(message.data)
    if samples.dtype != np.int16 or samples.ndim != 1:
        raise KwsImuError(
            f'Audio message holds {samples.dtype} of shape {samples.shape} instead of int16 (n,).'
        )
    if message.layout.data_offset != 0 or not frames.size == frames.stride == len(samples):
        raise KwsImuError(
            f'Audio message announces {frames.size} frames (stride {frames.stride}, offset '
            f'{message.layout.data_offset}) but carries {len(samples)} samples; it is damaged.'
        )
    if not 0 < len(samples) <= rate.size * MAXIMUM_BLOCK_SECONDS:
        raise KwsImuError(
            f'Audio message carries {len(samples)} samples at {rate.size} Hz; expected at least '
            f'one and at most {MAXIMUM_BLOCK_SECONDS} s.'
        )
    return AudioBlock(
        stamp_ns=_stamp_from_dimension(stamp, 'Audio'),
        sequence=int(sequence.size) | int(sequence.stride) << 32,
        sample_rate=int(rate.size),
        samples=samples,
    )


# IMU


def _vector(x: float, y: float, z: float, messages: MessageFactory) -> Any:
    """Return a geometry_msgs/Vector3."""
    return messages.make('geometry_msgs/msg/Vector3', x=float(x), y=float(y), z=float(z))


def _quaternion(yaw: float, messages: MessageFactory) -> Any:
    """Return a rotation about z as geometry_msgs/Quaternion."""
    return messages.make(
        'geometry_msgs/msg/Quaternion',
        x=0.0,
        y=0.0,
        z=math.sin(yaw / 2.0),
        w=math.cos(yaw / 2.0),
    )


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
        header=_header(sample.stamp_ns, frame_id, messages),
        orientation=_quaternion(0.0, messages),
        orientation_covariance=no_orientation,
        angular_velocity=_vector(*sample.angular_velocity, messages),
        angular_velocity_covariance=np.zeros(9),
        linear_acceleration=_vector(*sample.linear_acceleration, messages),
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


# Posteriors and decisions


def posterior_to_message(
    labels: tuple[str, ...], posterior: np.ndarray, stamp_ns: int, messages: MessageFactory = ROS
) -> Any:
    """Return a posterior, float (len(labels),), as std_msgs/Float32MultiArray."""
    count = len(labels)
    dimensions = [
        _dimension(','.join(labels), count, count, messages),
        _stamp_dimension(stamp_ns, messages),
    ]
    values = np.asarray(posterior, np.float32)
    return _multi_array('std_msgs/msg/Float32MultiArray', dimensions, values, messages)


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
    return labels, values, _stamp_from_dimension(dimensions[1], 'Posterior')


def key_values(pairs: dict[str, Any], messages: MessageFactory = ROS) -> list[Any]:
    """Return a dictionary as a list of diagnostic_msgs/KeyValue."""
    return [
        messages.make('diagnostic_msgs/msg/KeyValue', key=key, value=str(value))
        for key, value in pairs.items()
    ]


def decision_to_message(decision: Decision, messages: MessageFactory = ROS) -> Any:
    """Return a decision as diagnostic_msgs/DiagnosticStatus: reason as message, rest as values."""
    pairs = {
        'stamp_ns': decision.stamp_ns,
        'outcome': decision.outcome,
        'intent': decision.intent,
        'rule': decision.rule,
    }
    for name in ('heard', 'seen', 'fused'):
        score = getattr(decision, name)
        pairs[name] = score.label
        pairs[f'{name}_score'] = f'{score.score:.6f}'
    return messages.make(
        'diagnostic_msgs/msg/DiagnosticStatus',
        level=messages.octet(DECISION_LEVELS[decision.outcome]),
        name='decision',
        message=decision.reason,
        hardware_id='',
        values=key_values(pairs, messages),
    )


def decision_from_message(message: Any) -> Decision:
    """
    Return a diagnostic_msgs/DiagnosticStatus of the `decision` topic as a decision.

    Raises:
        KwsImuError: a value is missing or is not what it should be.

    """
    pairs = {pair.key: pair.value for pair in message.values}
    try:
        if pairs['outcome'] not in DECISION_LEVELS:
            raise ValueError(f'unknown outcome {pairs["outcome"]!r}')
        return Decision(
            stamp_ns=int(pairs['stamp_ns']),
            outcome=pairs['outcome'],
            intent=pairs['intent'],
            rule=pairs['rule'],
            reason=message.message,
            heard=Score(pairs['heard'], float(pairs['heard_score'])),
            seen=Score(pairs['seen'], float(pairs['seen_score'])),
            fused=Score(pairs['fused'], float(pairs['fused_score'])),
        )
    except KeyError as error:
        raise KwsImuError(f'Decision message lacks the value {error}.') from error
    except ValueError as error:
        raise KwsImuError(f'Decision message has a value that cannot be read: {error}.') from error


def intent_to_message(intent: str, messages: MessageFactory = ROS) -> Any:
    """Return an intent's name as std_msgs/String."""
    return messages.make('std_msgs/msg/String', data=intent)


def intent_from_message(message: Any) -> str:
    """Return a std_msgs/String as an intent's name, without surrounding blanks, in lower case."""
    return str(message.data).strip().lower()


# Motion


def velocity_to_message(velocity: Velocity, messages: MessageFactory = ROS) -> Any:
    """Return a velocity as geometry_msgs/Twist."""
    return messages.make(
        'geometry_msgs/msg/Twist',
        linear=_vector(velocity.linear_x, 0.0, 0.0, messages),
        angular=_vector(0.0, 0.0, velocity.angular_z, messages),
    )


def velocity_to_stamped_message(
    velocity: Velocity, stamp_ns: int, frame_id: str = 'base_link', messages: MessageFactory = ROS
) -> Any:
    """Return a velocity as geometry_msgs/TwistStamped."""
    return messages.make(
        'geometry_msgs/msg/TwistStamped',
        header=_header(stamp_ns, frame_id, messages),
        twist=velocity_to_message(velocity, messages),
    )


def velocity_from_message(message: Any) -> Velocity:
    """
    Return a geometry_msgs/Twist or TwistStamped as a velocity.

    Raises:
        KwsImuError: a speed is NaN or infinite.

    """
    twist = getattr(message, 'twist', message)
    velocity = Velocity(float(twist.linear.x), float(twist.angular.z))
    if not (math.isfinite(velocity.linear_x) and math.isfinite(velocity.angular_z)):
        raise KwsImuError(
            f'Velocity message asks for {velocity.linear_x} m/s and {velocity.angular_z} rad/s; '
            'both must be finite.'
        )
    return velocity


def odometry_to_message(
    pose: Pose,
    velocity: Velocity,
    stamp_ns: int,
    frame_id: str = 'odom',
    child_frame_id: str = 'base_link',
    messages: MessageFactory = ROS,
) -> Any:
    """Return pose and body velocity as nav_msgs/Odometry; covariances are zero: unknown."""
    position = messages.make('geometry_msgs/msg/Point', x=float(pose.x), y=float(pose.y), z=0.0)
    stamped_pose = messages.make(
        'geometry_msgs/msg/Pose', position=position, orientation=_quaternion(pose.yaw, messages)
    )
    return messages.make(
        'nav_msgs/msg/Odometry',
        header=_header(stamp_ns, frame_id, messages),
        child_frame_id=child_frame_id,
        pose=messages.make(
            'geometry_msgs/msg/PoseWithCovariance', pose=stamped_pose, covariance=np.zeros(36)
        ),
        twist=messages.make(
            'geometry_msgs/msg/TwistWithCovariance',
            twist=velocity_to_message(velocity, messages),
            covariance=np.zeros(36),
        ),
    )


def odometry_from_message(message: Any) -> tuple[int, Pose, Velocity]:
    """Return stamp in ns, pose and body velocity of a nav_msgs/Odometry of a planar robot."""
    pose = message.pose.pose
    q = pose.orientation
    yaw = math.atan2(2.0 * (q.w * q.z + q.x * q.y), 1.0 - 2.0 * (q.y * q.y + q.z * q.z))
    return (
        time_from_message(message.header.stamp),
        Pose(float(pose.position.x), float(pose.position.y), yaw),
        velocity_from_message(message.twist),
    )


def transform_to_message(
    pose: Pose,
    stamp_ns: int,
    frame_id: str = 'odom',
    child_frame_id: str = 'base_link',
    messages: MessageFactory = ROS,
) -> Any:
    """Return a pose as geometry_msgs/TransformStamped, for tf."""
    return messages.make(
        'geometry_msgs/msg/TransformStamped',
        header=_header(stamp_ns, frame_id, messages),
        child_frame_id=child_frame_id,
        transform=messages.make(
            'geometry_msgs/msg/Transform',
            translation=_vector(pose.x, pose.y, 0.0, messages),
            rotation=_quaternion(pose.yaw, messages),
        ),
    )


def joint_state_to_message(
    names: tuple[str, ...],
    positions: np.ndarray,
    velocities: np.ndarray,
    stamp_ns: int,
    messages: MessageFactory = ROS,
) -> Any:
    """Return wheel positions in rad and velocities in rad/s as sensor_msgs/JointState, effort 0."""
    return messages.make(
        'sensor_msgs/msg/JointState',
        header=_header(stamp_ns, '', messages),
        name=list(names),
        position=messages.sequence(np.asarray(positions, np.float64)),
        velocity=messages.sequence(np.asarray(velocities, np.float64)),
        # Not empty: serializers disagree on the padding of an empty sequence of float64.
        effort=messages.sequence(np.zeros(len(names))),
    )
