"""
Two movements laid over each other: how alike, which way, how large.

Both are brought to one tempo and one size first; dynamic time warping in six dimensions, in a band,
then forgives that strokes within a movement are longer or shorter.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

import numpy as np

from kws_imu_ros.coach.frame import Array
from kws_imu_ros.coach.movement import RATE_HZ, Movement
from kws_imu_ros.errors import KwsImuError

# Rows of a shape, and how many of them the path may stray from the diagonal.
ROWS = 32
BAND = 8
# Acceleration tells less than rotation, which is not blurred by the hand's tremor.
ACCELERATION_WEIGHT = 0.7
# The squared distance of a shape to nothing.
_ENERGY = ROWS * (1.0 + ACCELERATION_WEIGHT**2)


class Mirror(Enum):
    """How a movement is turned to its opposite: signs of acceleration, then of rotation."""

    LEFT_RIGHT = (1.0, -1.0, 1.0, -1.0, 1.0, -1.0)
    UP_DOWN = (1.0, 1.0, -1.0, -1.0, -1.0, 1.0)


@dataclass(frozen=True)
class Shape:
    """The form of a movement without tempo and size. rows: float64 (`ROWS`, 6), contiguous."""

    rows: Array

    @classmethod
    def of(cls, movement: Movement) -> Shape:
        """Return the shape of a movement."""
        count = len(movement.rows)
        grid = np.linspace(0.0, count - 1.0, ROWS)
        rows = np.stack([np.interp(grid, np.arange(count), c) for c in movement.rows.T], axis=1)
        for half, weight in ((slice(0, 3), ACCELERATION_WEIGHT), (slice(3, 6), 1.0)):
            size = np.sqrt((rows[:, half] ** 2).sum(axis=1).mean())
            rows[:, half] *= weight / max(float(size), 1e-9)
        return cls(np.ascontiguousarray(rows))

    def mirrored(self, mirror: Mirror) -> Shape:
        """Return the shape of the opposite movement."""
        return Shape(np.ascontiguousarray(self.rows * np.array(mirror.value)))

    def distance(self, other: Shape) -> float:
        """
        Return how unlike two shapes are: 0 for equal ones, about 10 for opposite ones.

        Raises:
            KwsImuError: the library is not installed.

        """
        return float(_distance()(self.rows, other.rows, window=BAND))


@dataclass(frozen=True)
class Alignment:
    """
    How a movement compares with another.

    distance: of the shapes. agreement: of the directions, 1 for the same, 0 for unrelated, -1 for
    the opposite. ratio: how much larger it is, 1 for as large. duration_ratio: how much longer.
    """

    distance: float
    agreement: float
    ratio: float
    duration_ratio: float


def align(reference: Movement, performed: Movement) -> Alignment:
    """
    Return how a performed movement compares with that of a reference.

    Raises:
        KwsImuError: the library is not installed.

    """
    distance = Shape.of(reference).distance(Shape.of(performed))
    return Alignment(
        distance,
        agreement_of(distance),
        excursion(performed) / max(excursion(reference), 1e-9),
        performed.duration_s / reference.duration_s,
    )


def agreement_of(distance: float) -> float:
    """Return the agreement of directions that a distance of shapes means."""
    return max(-1.0, 1.0 - distance**2 / (2.0 * _ENERGY))


def excursion(movement: Movement) -> float:
    """Return the size of a movement: how far the wrist turned from one end to the other, rad."""
    turned = np.cumsum(movement.rows[:, 3:], axis=0) / RATE_HZ
    return float(np.linalg.norm(np.ptp(turned, axis=0)))


@functools.cache
def _distance() -> Callable[..., float]:
    """
    Return the library's function: banded, multidimensional, in C.

    Raises:
        KwsImuError: it is not installed.

    """
    try:
        found: Callable[..., float] = importlib.import_module('dtaidistance.dtw_ndim').distance_fast
    except ImportError as error:
        raise KwsImuError(
            'Movements are compared by dtaidistance, which is not installed here; `pip install '
            'dtaidistance`.'
        ) from error
    return found
