"""Sensitivity scan: what each width of the network can lose before the result suffers."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import tf_keras

from kws_imu_ros.lab.compression.pruning.coupling import Coupling
from kws_imu_ros.lab.compression.pruning.importance import zeroed
from kws_imu_ros.lab.compression.pruning.selection import select_by_ratio

DEFAULT_RATIOS = (0.25, 0.5, 0.75)


@dataclasses.dataclass(frozen=True)
class ScanRow:
    """One point of the scan: the value of the metric with one dimension cut by `ratio`."""

    dimension: str
    channels: int
    ratio: float
    value: float


@dataclasses.dataclass(frozen=True)
class Scan:
    """All points, and the metric of the whole network."""

    baseline: float
    rows: tuple[ScanRow, ...]

    def ratios(self, tolerance: float) -> dict[str, float]:
        """Return for each dimension the largest scanned ratio that costs at most `tolerance`."""
        chosen: dict[str, float] = {}
        for row in self.rows:
            chosen.setdefault(row.dimension, 0.0)
            if self.baseline - row.value <= tolerance:
                chosen[row.dimension] = max(chosen[row.dimension], row.ratio)
        return chosen


def scan(
    coupling: Coupling,
    scores: np.ndarray,
    metric: Callable[[tf_keras.Model], float],
    ratios: Sequence[float] = DEFAULT_RATIOS,
    progress: Callable[[int, int], None] | None = None,
) -> Scan:
    """
    Cut every dimension alone by each ratio and measure; weights are restored afterwards.

    Args:
        metric: higher is better, of the coupling's model as it is when called.
        progress: called with (points done, points in all).

    """
    baseline = float(metric(coupling.model))
    rows: list[ScanRow] = []
    total = len(coupling.dimensions) * len(ratios)
    for dimension in coupling.dimensions:
        for ratio in ratios:
            removed = select_by_ratio(coupling, scores, {dimension.name: ratio})
            with zeroed(coupling, removed):
                value = float(metric(coupling.model))
            rows.append(ScanRow(dimension.name, dimension.units.size, ratio, value))
            if progress is not None:
                progress(len(rows), total)
    return Scan(baseline, tuple(rows))


def limited(coupling: Coupling, scores: np.ndarray, ratios: Mapping[str, float]) -> np.ndarray:
    """
    Return scores with infinity where the scan says stop, so that a global budget obeys it.

    Args:
        ratios: from `Scan.ratios`; dimensions that it does not name are left alone.

    """
    allowed = select_by_ratio(coupling, scores, ratios)
    result = scores.copy()
    for dimension in coupling.dimensions:
        if dimension.name in ratios:
            held = dimension.units[~allowed[dimension.units]]
            result[held] = np.inf
    return result
