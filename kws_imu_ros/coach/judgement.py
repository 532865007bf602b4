"""
Which one thing is to be said of a movement.

The thresholds were set on training subjects of GRWD (`kws-imu dance evaluate --split training`).
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from kws_imu_ros.coach.alignment import Shape, agreement_of, excursion
from kws_imu_ros.coach.findings import FindingKind, Measures
from kws_imu_ros.coach.movement import Movement
from kws_imu_ros.coach.teacher import Likeness, Rival, Teacher


@dataclass(frozen=True)
class Limits:
    """
    From where on something is a fault.

    offset_ms: off the beat. own_ratio: size relative to the pupil's own tries, and its inverse;
    ratio: relative to the teacher's, where there are none. least_ratio: smaller is no movement.
    rival: how much more like another move than like the wanted one, as a ratio of distances;
    rival_confirmed, rival_denied: the same where the network saw the wanted gesture, and where it
    saw another. strange: distance beyond which a movement is none that is known.
    """

    offset_ms: float = 80.0
    own_ratio: float = 0.62
    ratio: float = 0.3
    least_ratio: float = 0.15
    rival: float = 1.3
    rival_confirmed: float = 1.6
    rival_denied: float = 0.75
    plausible: float = 1.8
    strange: float = 10.0


@dataclass(frozen=True)
class OwnTries:
    """
    What a pupil's movements were in earlier tries, by name of the move.

    sizes: the logarithms of their ratio to the teacher's. shapes: of those that may have been the
    move. raise_cue: of a typical movement; see `WorldMotion`.
    """

    sizes: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    shapes: Mapping[str, tuple[Shape, ...]] = field(default_factory=dict)
    raise_cue: float = 0.0

    def usual(self, name: str) -> float | None:
        """Return the logarithm of how large the pupil makes this move, None if unknown."""
        found = self.sizes.get(name, ())
        return statistics.median(found) if found else None

    def habit(self) -> float:
        """Return the logarithm of how large the pupil makes all moves; 0 while little is known."""
        found = [size for sizes in self.sizes.values() for size in sizes]
        return statistics.median(found) if len(found) >= 3 else 0.0

    def distance(self, name: str, shape: Shape) -> float | None:
        """Return how unlike a shape is to the pupil's tries of a name, None if unknown."""
        found = self.shapes.get(name, ())
        return statistics.fmean(own.distance(shape) for own in found) if found else None

    def with_size(self, name: str, size: float) -> OwnTries:
        """Return these tries and the size of one more."""
        return replace(self, sizes={**self.sizes, name: (*self.sizes.get(name, ()), size)})

    def with_shape(self, name: str, shape: Shape) -> OwnTries:
        """Return these tries and the shape of one more."""
        return replace(self, shapes={**self.shapes, name: (*self.shapes.get(name, ()), shape)})


@dataclass(frozen=True)
class Judgement:
    """
    What is to be said: kind, measures and what the movement was taken for.

    plausible: its shape, where it may have been the wanted move, None otherwise.
    """

    kind: FindingKind
    measures: Measures
    found: str = ''
    plausible: Shape | None = None


@dataclass(frozen=True)
class Seen:
    """
    Which gesture the network saw.

    label: '' for none. labels: those that it knows.
    """

    label: str = ''
    labels: tuple[str, ...] = ()


def judge(
    teacher: Teacher,
    name: str,
    movement: Movement | None,
    beat_ns: int,
    own: OwnTries,
    seen: Seen | None = None,
    limits: Limits | None = None,
) -> Judgement:
    """
    Judge a movement.

    Args:
        teacher: who knows the name.
        name: of the move that is wanted.
        movement: that was made, None for rest.
        beat_ns: when it was to begin, on the clock of the movement.
        own: earlier tries of the pupil.
        seen: what the network says.
        limits: from where on something is a fault.

    Raises:
        KwsImuError: the library that compares is not installed.

    """
    seen, limits = seen or Seen(), limits or Limits()
    if movement is None:
        return Judgement(FindingKind.MISSING, Measures())
    size = math.log(max(excursion(movement), 1e-6) / teacher.size(name))
    if size < math.log(limits.least_ratio):
        return Judgement(FindingKind.MISSING, Measures(teacher_ratio=math.exp(size)))
    shape = Shape.of(movement)
    distance = teacher.distance(name, shape)
    usual = own.usual(name)
    against = own.habit() if usual is None else usual
    measures = Measures(
        offset_ms=(movement.onset_ns - beat_ns - teacher.lead_ns(name)) / 1e6,
        ratio=math.exp(size - against),
        teacher_ratio=math.exp(size),
        agreement=agreement_of(distance),
        onset_ns=movement.onset_ns,
    )
    ratio, rival = _nearest_rival(teacher, name, shape, own)
    least = limits.rival
    if name in seen.labels and seen.label:
        least = limits.rival_confirmed
        if seen.label != name:
            least = limits.rival_denied
            rival = Rival(seen.label, teacher.likeness(name, seen.label), 0.0)
    plausible = shape if ratio < limits.plausible else None
    if rival is not None and ratio > least:
        kind = (
            FindingKind.OTHER_DIRECTION
            if rival.likeness is Likeness.OPPOSITE
            else FindingKind.OTHER_MOVE
        )
        return Judgement(kind, measures, rival.name, plausible)
    if distance > limits.strange:
        return Judgement(FindingKind.OTHER_MOVE, measures, '', plausible)
    return Judgement(_fault(measures, usual is not None, limits), measures, '', plausible)


def _nearest_rival(
    teacher: Teacher, name: str, shape: Shape, own: OwnTries
) -> tuple[float, Rival | None]:
    """
    Return what a movement is most like beside the wanted one, and how much more than like that.

    Where the pupil has danced both before, those tries are compared with: they are more alike than
    two people.
    """
    rivals = teacher.rivals(name, shape)
    if not rivals:
        return 0.0, None
    distance = teacher.distance(name, shape)
    own_distance = own.distance(name, shape)
    ratios = []
    for rival in rivals:
        own_rival = (
            own.distance(rival.name, shape)
            if rival.mirror is None
            else own.distance(name, shape.mirrored(rival.mirror))
        )
        if own_distance is None or own_rival is None:
            ratios.append(distance / max(rival.distance, 1e-9))
        else:
            ratios.append(own_distance / max(own_rival, 1e-9))
    best = max(range(len(rivals)), key=lambda place: ratios[place])
    return ratios[best], rivals[best]


def _fault(measures: Measures, calibrated: bool, limits: Limits) -> FindingKind:
    """Return what is worst of a movement that was the wanted one."""
    ratio = limits.own_ratio if calibrated else limits.ratio
    timing = abs(measures.offset_ms) / limits.offset_ms
    size = abs(math.log(measures.ratio)) / -math.log(ratio)
    if max(timing, size) < 1.0:
        return FindingKind.RIGHT
    # A small movement crosses the speed by which a beginning is told a little later.
    if size < 1.0 or timing > 2.0 * size:
        return FindingKind.LATE if measures.offset_ms > 0 else FindingKind.EARLY
    return FindingKind.LARGE if measures.ratio > 1.0 else FindingKind.SMALL
