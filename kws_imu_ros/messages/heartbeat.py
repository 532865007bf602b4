"""
The heartbeat of fusion: ``std_msgs/UInt32`` on ``fusion_alive``, ten times a second.

A standard message has no field for what the sender is still good for, so one number stands for it:

======  ============================================================================
data    meaning
======  ============================================================================
0       a sense was lost (`SENSE_LOST`): fusion lives, but the robot must stop at once
1 ...   the number of this beat; after 4294967295 comes 1 again
======  ============================================================================
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kws_imu_ros.messages.factory import ROS, MessageFactory

SENSE_LOST = 0
LAST_NUMBER = 0xFFFF_FFFF


@dataclass(frozen=True)
class Heartbeat:
    """
    One beat.

    number: 1 to LAST_NUMBER, one more than that of the beat before; 0 where a sense was lost.
    """

    number: int

    @property
    def sense_lost(self) -> bool:
        """Return whether a sense was lost, so that the person's stop might go unnoticed."""
        return self.number == SENSE_LOST

    def next(self) -> Heartbeat:
        """Return the beat after this one."""
        return Heartbeat(self.number % LAST_NUMBER + 1)


LOST_SENSE = Heartbeat(SENSE_LOST)


def heartbeat_to_message(heartbeat: Heartbeat, messages: MessageFactory = ROS) -> Any:
    """Return a heartbeat as std_msgs/UInt32."""
    return messages.make('std_msgs/msg/UInt32', data=heartbeat.number)


def heartbeat_from_message(message: Any) -> Heartbeat:
    """Return a std_msgs/UInt32 as a heartbeat."""
    return Heartbeat(int(message.data))
