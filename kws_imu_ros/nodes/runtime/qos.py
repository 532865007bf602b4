"""The qualities of service of this package's topics; sensor data has rclpy's own."""

from __future__ import annotations

from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy


def reliable(depth: int) -> QoSProfile:
    """Return a profile that sends again what was lost, up to depth messages back."""
    return QoSProfile(depth=depth, reliability=ReliabilityPolicy.RELIABLE)


def best_effort(depth: int) -> QoSProfile:
    """Return a profile that sends nothing again and keeps the newest depth messages."""
    return QoSProfile(depth=depth, reliability=ReliabilityPolicy.BEST_EFFORT)


def latched(depth: int) -> QoSProfile:
    """Return a reliable profile that also tells whoever comes late the last depth messages."""
    return QoSProfile(
        depth=depth,
        reliability=ReliabilityPolicy.RELIABLE,
        durability=DurabilityPolicy.TRANSIENT_LOCAL,
    )


# A lost block breaks the stream of the front end, so it is sent again rather than dropped.
AUDIO_QOS = reliable(50)
# Sensor data for whoever takes it, but the five messages that rclpy would keep are 50 ms of an IMU,
# and a busy machine holds a process up for longer.
IMU_INPUT_QOS = best_effort(50)
DECISION_QOS = latched(10)
EMERGENCY_STOPPED_QOS = latched(1)
MOTION_TABLE_QOS = latched(1)
CHOREOGRAPHY_QOS = latched(1)
# The rest: command, cmd_vel, odom, joint_states, tf.
RELIABLE_QOS = reliable(10)
# The newest velocity alone: after a pause, old ones must not be driven one by one.
NEWEST_QOS = reliable(1)
# Who keeps a log or a bag may be busy for a second.
LOGGED_QOS = reliable(50)
LOGGED_SENSOR_QOS = best_effort(150)
LOGGED_LATCHED_QOS = latched(50)
