"""What the coach says of a move: one thing to change."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class FindingKind(Enum):
    """What is to be said of a move."""

    RIGHT = 'right'
    EARLY = 'early'
    LATE = 'late'
    SMALL = 'too small'
    LARGE = 'too large'
    OTHER_DIRECTION = 'other direction'
    OTHER_MOVE = 'other move'
    MISSING = 'missing'
    # The sensor was silent: the pupil may have danced it.
    NOT_SEEN = 'not seen'


@dataclass(frozen=True)
class Measures:
    """
    What was measured of a move; NaN where nothing was.

    offset_ms: later than the teacher relative to the beat; negative for earlier. ratio: size
    relative to the pupil's own tries where there are any, else to the teacher's. teacher_ratio:
    size relative to the teacher's. agreement: of the directions, 1 for the teacher's, -1 for the
    opposite. onset_ns: when it began, 0 where it did not.
    """

    offset_ms: float = float('nan')
    ratio: float = float('nan')
    teacher_ratio: float = float('nan')
    agreement: float = float('nan')
    onset_ns: int = 0


@dataclass(frozen=True)
class Finding:
    """
    What is to be said of a move.

    move: its index in the choreography. name: what its arm does. found: what it was taken for, ''
    where that is nothing known. posture: a sentence on how the arm was held before it, '' where
    that was as the teacher's. sentence: the one thing to change.
    """

    move: int
    name: str
    kind: FindingKind
    measures: Measures
    found: str
    sentence: str
    posture: str = ''


def sentence_of(kind: FindingKind, name: str, measures: Measures, found: str = '') -> str:
    """Return the one thing to change in a move that people call `name`."""
    offset = f'{round(abs(measures.offset_ms), -1):.0f} ms' if measures.offset_ms else ''
    if kind is FindingKind.RIGHT:
        return f'{name}: well done.'
    if kind is FindingKind.EARLY:
        return f'{name}: wait for the beat; you began {offset} before it.'
    if kind is FindingKind.LATE:
        return f'{name}: begin sooner; you were {offset} behind the beat.'
    if kind is FindingKind.SMALL:
        return f'{name}: make it larger; it was {measures.ratio:.0%} of the size.'
    if kind is FindingKind.LARGE:
        return f'{name}: make it smaller; it was {measures.ratio:.0%} of the size.'
    if kind is FindingKind.OTHER_DIRECTION:
        return f'{name}: go the other way.'
    if kind is FindingKind.OTHER_MOVE:
        seen = f'; I saw {found}' if found else ', yours was another one'
        return f'{name}: this move comes here{seen}.'
    if kind is FindingKind.MISSING:
        return f'{name}: it was left out; move your arm here.'
    return f'{name}: the sensor was silent, so I could not see it; check its cable or radio.'
