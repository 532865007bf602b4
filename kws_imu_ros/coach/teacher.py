"""What the teacher's arm did under each name, ready to be compared with."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from kws_imu_ros.coach.alignment import Mirror, Shape, agreement_of, excursion
from kws_imu_ros.coach.frame import WristMotion
from kws_imu_ros.coach.movement import MARGIN_NS, Movement, find_movement

# A move may begin so much before its beat.
EARLIEST_NS = 600_000_000
# A movement is the opposite of another where the mirror makes it so much more alike.
OPPOSITE_SHARE = 0.6


@dataclass(frozen=True)
class Cut:
    """
    A piece of a recording in which a move was danced.

    name: of the move. beat_ns, end_ns: when the move's beats begin and end. motion: of the wrist.
    """

    name: str
    beat_ns: int
    end_ns: int
    motion: WristMotion


@dataclass(frozen=True)
class Take:
    """
    A movement of the teacher.

    lead_ns: how much later than the beat it began. size: see `excursion`. slope: of the forearm
    before it, rad.
    """

    movement: Movement
    shape: Shape
    lead_ns: int
    size: float
    slope: float


class Likeness(Enum):
    """What a movement is most like, of what is not the move that is wanted."""

    OPPOSITE = 'opposite'
    OTHER = 'other'


@dataclass(frozen=True)
class Rival:
    """
    What else a movement may have been.

    name: '' for the wanted move in a mirror, which is `mirror` then. distance: to the teacher's.
    """

    name: str
    likeness: Likeness
    distance: float
    mirror: Mirror | None = None


class Teacher:
    """The teacher's movements by name."""

    def __init__(self, takes: Mapping[str, Sequence[Take]]) -> None:
        """Know the takes of each name; a name without a take is not known."""
        self._takes = {name: tuple(found) for name, found in takes.items() if found}
        self._opposites = {name: self._opposites_of(name) for name in self._takes}

    @classmethod
    def of(cls, cuts: Sequence[Cut]) -> Teacher:
        """Return the teacher of pieces of recordings; pieces without a movement are left out."""
        sign = sign_of(
            [
                movement.world.raise_cue
                for cut in cuts
                if (movement := find_movement(cut.motion, cut.beat_ns - EARLIEST_NS, cut.end_ns))
            ]
        )
        takes: dict[str, list[Take]] = {}
        for cut in cuts:
            movement = find_movement(cut.motion, cut.beat_ns - EARLIEST_NS, cut.end_ns, sign)
            if movement is not None:
                lead_ns = movement.onset_ns - cut.beat_ns
                slope = resting_slope(cut.motion, movement.onset_ns, sign)
                takes.setdefault(cut.name, []).append(
                    Take(movement, Shape.of(movement), lead_ns, excursion(movement), slope)
                )
        return cls(takes)

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names that are known."""
        return tuple(self._takes)

    def knows(self, name: str) -> bool:
        """Return whether there is a take of this name."""
        return name in self._takes

    def lead_ns(self, name: str) -> float:
        """Return how much later than the beat this move begins, as the teacher dances it."""
        return statistics.median(take.lead_ns for take in self._takes[name])

    def size(self, name: str) -> float:
        """Return how large this move is."""
        return math.exp(statistics.fmean(math.log(take.size) for take in self._takes[name]))

    def slope(self, name: str) -> float:
        """Return the slope of the forearm before this move, rad; NaN where it never rested."""
        known = [take.slope for take in self._takes[name] if not math.isnan(take.slope)]
        return statistics.median(known) if known else math.nan

    def distance(self, name: str, shape: Shape, mirror: Mirror | None = None) -> float:
        """Return how unlike a shape is to the takes of a name, or to their mirror images."""
        shape = shape if mirror is None else shape.mirrored(mirror)
        return statistics.fmean(take.shape.distance(shape) for take in self._takes[name])

    def rivals(self, name: str, shape: Shape) -> list[Rival]:
        """Return what a shape may be instead of a name, the most alike first."""
        found = [
            Rival(other, self.likeness(name, other), self.distance(other, shape))
            for other in self._takes
            if other != name
        ]
        found += [
            Rival('', Likeness.OPPOSITE, self.distance(name, shape, mirror), mirror)
            for mirror in Mirror
            if self._is_sided(name, mirror)
        ]
        return sorted(found, key=lambda rival: rival.distance)

    def likeness(self, name: str, other: str) -> Likeness:
        """Return what another move is to one that is known."""
        return Likeness.OPPOSITE if other in self._opposites[name] else Likeness.OTHER

    def _opposites_of(self, name: str) -> frozenset[str]:
        """Return the names whose movements are this one's in a mirror."""
        found = set()
        for other in self._takes:
            if other == name:
                continue
            shape = self._takes[other][0].shape
            plain = self.distance(name, shape)
            mirrored = min(self.distance(name, shape, mirror) for mirror in Mirror)
            if mirrored < OPPOSITE_SHARE * plain:
                found.add(other)
        return frozenset(found)

    def _is_sided(self, name: str, mirror: Mirror) -> bool:
        """Return whether the mirror image of a move is another movement."""
        first = self._takes[name][0].shape
        return agreement_of(self.distance(name, first, mirror)) < 0.0


def sign_of(raise_cues: Sequence[float]) -> float | None:
    """
    Return 1 where a sensor's y axis points to the hand, -1 to the elbow, None for unknown.

    raise_cues: of movements; see `WorldMotion`.
    """
    cue = sum(raise_cues)
    return None if cue == 0.0 else math.copysign(1.0, cue)


def resting_slope(motion: WristMotion, onset_ns: int, sign: float | None) -> float:
    """Return the slope of the forearm just before a movement, rad, by gravity; NaN if unknown."""
    before = motion.between(onset_ns - MARGIN_NS, onset_ns).values
    if len(before) < 3 or sign is None:
        return math.nan
    gravity = before[:, :3].mean(axis=0)
    size = math.hypot(*gravity)
    return math.asin(max(-1.0, min(1.0, sign * gravity[1] / size))) if size > 1.0 else math.nan
