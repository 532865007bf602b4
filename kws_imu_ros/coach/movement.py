"""The one movement in the time of a move: when it began and ended, and how large it was."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kws_imu_ros.coach.frame import Array, WorldMotion, WristMotion, to_world

RATE_HZ = 50.0
STEP_NS = round(1e9 / RATE_HZ)
# What people call a movement turns the wrist at least so fast somewhere, rad/s.
SLOWEST_PEAK = float(np.radians(30.0))
# A movement begins and ends where the speed crosses this share of its peak, or this speed.
EDGE_SHARE = 0.15
SLOWEST_EDGE = float(np.radians(25.0))
# A hand stands still for a moment where it turns back.
TURNING_S = 0.45
# Rest on either side, by which gravity is found.
MARGIN_NS = 300_000_000


@dataclass(frozen=True)
class Movement:
    """
    A movement of the wrist.

    onset_ns, offset_ns: when it began and ended, on the clock of the motion. path: how far the
    wrist turned on its way, rad. rows: float64 (n, 6), in axes of the world at `RATE_HZ`, from
    onset to offset. world: all of the motion around it.
    """

    onset_ns: int
    offset_ns: int
    path: float
    rows: Array
    world: WorldMotion

    @property
    def duration_s(self) -> float:
        """Return its length in seconds."""
        return (self.offset_ns - self.onset_ns) / 1e9


def find_movement(
    motion: WristMotion, start_ns: int, end_ns: int, y_sign: float | None = None
) -> Movement | None:
    """
    Return the main movement between two times, None where the hand was at rest.

    The main one is that with the most energy among those that began after `start_ns`: what was
    under way then belongs to the move before. y_sign: see `to_world`.
    """
    if len(motion.stamps_ns) < 2 or end_ns - start_ns < 4 * STEP_NS:
        return None
    rows = motion.sampled(start_ns, end_ns, RATE_HZ)
    speed = np.convolve(np.linalg.norm(rows[:, 3:], axis=1), np.ones(5) / 5.0, 'same')
    span = _main_span(speed)
    if span is None:
        return None
    first, last = span
    margin = round(MARGIN_NS / STEP_NS)
    lead = max(0, first - margin)
    world = to_world(rows[lead : last + margin], RATE_HZ, y_sign)
    return Movement(
        start_ns + first * STEP_NS,
        start_ns + last * STEP_NS,
        float(speed[first:last].sum() / RATE_HZ),
        world.rows[first - lead : last - lead],
        world,
    )


def _main_span(speed: Array) -> tuple[int, int] | None:
    """Return the first row of the main movement and the one after its last."""
    active = speed > SLOWEST_EDGE
    begun = 0
    if active[0]:
        # The end of the move before, up to where the hand was slowest.
        still = np.flatnonzero(~active)
        begun = int(still[0]) if len(still) else 0
    peak = float(speed[begun:].max(initial=0.0))
    if peak < SLOWEST_PEAK:
        return None
    active = speed > max(SLOWEST_EDGE, EDGE_SHARE * peak)
    active[:begun] = False
    edges = np.flatnonzero(np.diff(np.concatenate(([0], active.astype(np.int8), [0]))))
    spans = edges.reshape(-1, 2)
    joined = [spans[0]]
    for span in spans[1:]:
        if span[0] - joined[-1][1] < TURNING_S * RATE_HZ:
            joined[-1] = np.array([joined[-1][0], span[1]])
        else:
            joined.append(span)
    energies = [float((speed[a:b] ** 2).sum()) for a, b in joined]
    first, last = joined[int(np.argmax(energies))]
    return (int(first), int(last)) if last - first >= 4 else None
