"""A dance of a robot that is only computed: what it would do, and where it would be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from kws_imu_ros.choreography.choreography import BeatTimes, Choreography
from kws_imu_ros.choreography.player import CueKind, Player, PlayerState
from kws_imu_ros.motion.controller import MotionController, MotionState
from kws_imu_ros.motion.differential_drive import move
from kws_imu_ros.motion.profiles import MotionTable
from kws_imu_ros.motion.velocity import Pose, Velocity

PERIOD_NS = 20_000_000
# After the end the robot still slows down.
LONGEST_TAIL_NS = 5_000_000_000


@dataclass(frozen=True)
class Step:
    """
    A moment of a rehearsal.

    time_ns: from beat 1. pose, velocity: of the robot. sent: the intent that was sent now, '' for
    none. beat: of what was sent. move: index of the move that begins now, -1 for none. refused: why
    the robot did not do it, '' if it did.
    """

    time_ns: int
    pose: Pose
    velocity: Velocity
    sent: str = ''
    beat: float = 0.0
    move: int = -1
    refused: str = ''


def rehearse(
    choreography: Choreography, table: MotionTable, beats: BeatTimes | None = None
) -> Iterator[Step]:
    """
    Yield the steps of a dance, from beat 1 until the robot stands.

    The controller is the robot's own, with its limits and lifetimes; wheels slip on no floor.
    """
    player = Player(choreography, table, beats)
    controller = MotionController(table)
    # The controller's clock begins at 1 s, since 0 is no time of a command.
    start_ns = 1_000_000_000
    player.start(start_ns, count_in=False)
    pose, now_ns = Pose(), start_ns
    end_ns: int | None = None
    while end_ns is None or (controller.state is not MotionState.STANDING and now_ns < end_ns):
        controller.heartbeat(now_ns)
        for due in player.due(now_ns):
            if due.cue.kind is not CueKind.END:
                result = controller.command(due.cue.intent, now_ns, now_ns)
                refused = '' if result.accepted else result.reason
                yield Step(
                    now_ns - start_ns,
                    pose,
                    controller.velocity,
                    due.cue.intent,
                    due.cue.beat,
                    due.cue.move if due.cue.kind is CueKind.MOVE else -1,
                    refused,
                )
        velocity = controller.update(now_ns)
        yield Step(now_ns - start_ns, pose, velocity)
        pose = move(pose, velocity, PERIOD_NS / 1e9)
        now_ns += PERIOD_NS
        if player.state is PlayerState.ENDED and end_ns is None:
            end_ns = now_ns + LONGEST_TAIL_NS
