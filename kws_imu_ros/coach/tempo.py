"""The tempo of a dance by the wrist alone."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Sequence


def tempo_of(onsets_ns: Sequence[int], beats: Sequence[float]) -> float:
    """
    Return the tempo at which moves were danced, in beats a minute; NaN for fewer than two.

    By the middle of the slopes between all pairs (Theil and Sen), so that one move that came at
    another time does not count.

    Args:
        onsets_ns: when each movement began.
        beats: on which it was to begin.

    """
    slopes = [
        (beat - earlier_beat) / ((onset - earlier) / 60e9)
        for (earlier, earlier_beat), (onset, beat) in itertools.combinations(
            zip(onsets_ns, beats, strict=True), 2
        )
        if onset > earlier and beat > earlier_beat
    ]
    return statistics.median(slopes) if slopes else math.nan
