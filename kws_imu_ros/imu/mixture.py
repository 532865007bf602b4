"""Tell the motion of one sensor from that of two that send on one topic."""

from __future__ import annotations

import itertools
from collections import deque

import numpy as np

JUDGED = 100
PERIOD = 50
# Of the readings; a sensor that is shaken changes sides less often, one with stray stamps too.
LEAST_SWITCHES = 0.15
# m/s^2 and rad/s alike: two sensors that lie alike cannot be told apart, and do no harm.
LEAST_DISTANCE = 0.5
LEAST_SEPARATION = 6.0
LEAST_ZIGZAG = 3.0
# Looks in a row that must agree, and looks without it after which one sensor is left.
AGREEING = 2
FORGOTTEN = 6


class MotionMixture:
    """
    Look at readings in the order of their arrival for two streams between each other.

    One sensor's readings follow each other; those of two jump to and fro, in their values, or in
    their stamps where clocks or delays differ.
    """

    def __init__(self) -> None:
        """Start with nothing seen."""
        self._stamps: deque[int] = deque(maxlen=JUDGED)
        self._values: deque[tuple[float, ...]] = deque(maxlen=JUDGED)
        self._until_look = JUDGED
        self._found = 0
        self._looks_left = 0

    @property
    def mixed(self) -> bool:
        """Return whether two sensors send."""
        return self._looks_left > 0

    def push(self, stamp_ns: int, values: tuple[float, ...]) -> None:
        """Take a reading of six finite values as it arrived."""
        self._stamps.append(stamp_ns)
        self._values.append(values)
        self._until_look -= 1
        if self._until_look > 0:
            return
        self._until_look = PERIOD
        values_array = np.clip(np.array(self._values, np.float64), -1e6, 1e6)
        found = (
            _goes_back(list(self._stamps))
            or _has_two_places(values_array)
            or _zigzags(values_array)
        )
        self._found = self._found + 1 if found else 0
        if self._found >= AGREEING:
            self._looks_left = FORGOTTEN
        elif self._looks_left:
            self._looks_left -= 1


def _goes_back(stamps: list[int]) -> bool:
    """Return whether the stamps go back again and again."""
    back = sum(b < a for a, b in itertools.pairwise(stamps))
    return back >= LEAST_SWITCHES * len(stamps)


def _has_two_places(values: np.ndarray) -> bool:
    """Return whether the readings lie in two places and change between them all the time."""
    first = values[0]
    second = values[np.argmax(((values - first) ** 2).sum(axis=1))]
    first = values[np.argmax(((values - second) ** 2).sum(axis=1))]
    side = np.zeros(len(values), bool)
    for _ in range(4):
        to_first = ((values - first) ** 2).sum(axis=1)
        to_second = ((values - second) ** 2).sum(axis=1)
        side = to_second < to_first
        if side.all() or not side.any():
            return False
        first, second = values[~side].mean(axis=0), values[side].mean(axis=0)
    distance = float(np.linalg.norm(first - second))
    scatter = float(np.sqrt(np.minimum(to_first, to_second).mean()))
    switches = np.count_nonzero(np.diff(side)) / len(side)
    return bool(
        distance > LEAST_DISTANCE
        and distance > LEAST_SEPARATION * scatter
        and switches >= LEAST_SWITCHES
    )


def _zigzags(values: np.ndarray) -> bool:
    """Return whether readings are nearer to the one before the last, or before that."""

    def typical_step(lag: int) -> float:
        return float(np.median(np.linalg.norm(values[lag:] - values[:-lag], axis=1)))

    step = typical_step(1)
    return step > LEAST_DISTANCE and step > LEAST_ZIGZAG * min(typical_step(2), typical_step(3))
