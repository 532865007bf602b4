"""How the arm is held between moves, by gravity."""

from __future__ import annotations

import math
from enum import Enum

# What people call level; an arm is held otherwise than the teacher's beyond twice as much.
LEVEL = math.radians(20.0)
DIFFERENT = math.radians(35.0)


class Posture(Enum):
    """How a forearm is held."""

    LEVEL = 'level'
    RAISED = 'raised'
    LOWERED = 'lowered'


def posture_of(slope: float) -> Posture:
    """Return how a forearm of this slope (rad, up positive) is held."""
    if abs(slope) <= LEVEL:
        return Posture.LEVEL
    return Posture.RAISED if slope > 0.0 else Posture.LOWERED


def posture_sentence(slope: float, wanted: float) -> str:
    """Return what to change in how the arm is held before a move, '' for nothing; slopes in rad."""
    if math.isnan(slope) or math.isnan(wanted) or abs(slope - wanted) < DIFFERENT:
        return ''
    held, right = posture_of(slope), posture_of(wanted)
    if held is right:
        return ''
    return f'Before it your arm was {held.value}; hold it {right.value}.'
