"""Whether a robot can dance a choreography within its limits."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from kws_imu_ros.choreography.choreography import SLOWEST, Choreography, Move
from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.motion.limits import AxisLimits, VelocityLimits
from kws_imu_ros.motion.profiles import Drive, MotionTable, Resume, Scale
from kws_imu_ros.motion.velocity import Velocity

STANDING = Velocity()


@dataclass(frozen=True)
class Shortage:
    """A move that gets less time than it needs. index: of the move; seconds: needed and given."""

    index: int
    needed_s: float
    given_s: float


def shortages(choreography: Choreography, table: MotionTable) -> Iterator[Shortage]:
    """
    Yield the moves that the robot cannot do in their time, at the tempo of the choreography.

    A figure that has a lifetime of its own (a quarter turn) needs all of it, and what drives on
    needs the time to get from the speed before to its own.
    """
    before = STANDING
    scale = 1.0
    for index, move in enumerate(choreography.moves):
        given_s = move.beats * choreography.period_ns / 1e9
        if index and choreography.moves[index - 1].end < move.beat:
            before = STANDING
        profile = table.profile(move.robot) if move.robot else None
        if isinstance(profile, Scale):
            scale = min(max(scale * profile.factor, table.minimum_scale), table.maximum_scale)
            continue
        if isinstance(profile, Resume):
            profile = table.profiles[profile.otherwise]
        if not isinstance(profile, Drive):
            before = STANDING
            continue
        velocity = table.limits.clamp(
            Velocity(profile.velocity.linear_x * scale, profile.velocity.angular_z * scale)
        )
        needed_s = max(change_s(before, velocity, table.limits), profile.lifetime or 0.0)
        if needed_s > given_s + 1e-9:
            yield Shortage(index, needed_s, given_s)
        before = STANDING if profile.lifetime is not None else velocity


def change_s(before: Velocity, after: Velocity, limits: VelocityLimits) -> float:
    """Return the seconds that the limits take from one velocity to another."""
    return max(
        _axis_s(before.linear_x, after.linear_x, limits.linear),
        _axis_s(before.angular_z, after.angular_z, limits.angular),
    )


def _axis_s(before: float, after: float, limits: AxisLimits) -> float:
    if before * after < 0.0:  # Through rest.
        return abs(before) / limits.max_deceleration + abs(after) / limits.max_acceleration
    growth = abs(after) - abs(before)
    rate = limits.max_acceleration if growth > 0.0 else limits.max_deceleration
    return abs(growth) / rate


def require_danceable(choreography: Choreography, table: MotionTable) -> None:
    """
    Refuse a choreography that the robot cannot dance.

    Raises:
        KwsImuError: a move gets less time than it needs; says which and what would do.

    """
    for shortage in shortages(choreography, table):
        move = choreography.moves[shortage.index]
        beats = math.ceil(shortage.needed_s * 1e9 / choreography.period_ns * 2.0) / 2.0
        tempo = fastest_tempo(choreography, table)
        remedy = f', or stretch the dance to {tempo:g} beats a minute' if tempo else ''
        raise KwsImuError(
            f'Move {shortage.index + 1} of "{choreography.name}" {_says(move)} needs '
            f'{shortage.needed_s:.1f} s and gets {shortage.given_s:.2g} s at '
            f'{choreography.beats_per_minute:g} beats a minute; give it {beats:g} beats{remedy}.'
        )


def _says(move: Move) -> str:
    return f'(beat {move.beat:g}, robot {move.robot})'


def fastest_tempo(choreography: Choreography, table: MotionTable) -> int | None:
    """Return the fastest whole tempo, not above its own, at which it can be danced, if any can."""
    tempo = math.floor(choreography.beats_per_minute)
    while tempo >= SLOWEST:
        slower = replace(choreography, beats_per_minute=float(tempo))
        worst = max(
            (shortage.needed_s / shortage.given_s for shortage in shortages(slower, table)),
            default=0.0,
        )
        if worst == 0.0:
            return tempo
        # A move that needs twice its time needs half the tempo; one less where that is none less.
        tempo = min(tempo - 1, math.floor(tempo / worst))
    return None
