"""Which units to remove: one budget for the whole network, or a ratio for each dimension."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.lab.compression.pruning.coupling import Coupling, PruningGroup
from kws_imu_ros.lab.compression.pruning.importance import weakest_first

BUDGETS = ('macs', 'parameters', 'bytes')


@dataclasses.dataclass(frozen=True)
class Budget:
    """
    What may remain.

    Attributes:
        kind: 'macs', 'parameters' or 'bytes' (of the int8 file, estimated).
        limit: the most that may remain; at most 1.0, a share of what there is.
        keep_share: every dimension keeps at least this share of its units.
        multiple: every dimension that loses units keeps a multiple of this many, where it has them:
            int8 kernels work in fours and eights.
        per_cost: the units go that matter least for what their removal saves, the greedy solution
            of a knapsack (as HALP does for latency, Shen et al., NeurIPS 2022); of whole multiples,
            those come back that still fit. Without it a narrow layer that saves little is emptied
            before a wide one is touched.

    """

    kind: str
    limit: float
    keep_share: float = 0.1
    multiple: int = 1
    per_cost: bool = False

    def __post_init__(self):
        if self.kind not in BUDGETS:
            raise KwsImuError(
                f"budget '{self.kind}' is unknown; choose one of {', '.join(BUDGETS)}"
            )
        if not self.limit > 0:
            raise KwsImuError(f'budget: the limit is {self.limit}; it must be above 0')
        if not 0 <= self.keep_share <= 1 or self.multiple < 1:
            raise KwsImuError('budget: keep_share must be in [0, 1] and multiple at least 1')

    def absolute(self, coupling: Coupling) -> float:
        """Return the limit as a count."""
        share = self.limit <= 1.0
        return self.limit * getattr(coupling.cost(), self.kind) if share else self.limit


def select_by_budget(
    coupling: Coupling,
    scores: np.ndarray,
    budget: Budget,
    widths: Mapping[str, int] | None = None,
) -> np.ndarray:
    """
    Return which units to remove, bool (unit_count,): as few of the weakest as meet the budget.

    Args:
        scores: importance of every unit, comparable between dimensions; infinite ones stay.
        widths: units of each dimension that `keep_share` is a share of, by default today's.

    Raises:
        KwsImuError: the budget cannot be met; the sentence says what can.

    """
    limit = budget.absolute(coupling)
    if getattr(coupling.cost(), budget.kind) <= limit:
        return np.zeros(coupling.unit_count, bool)
    order = _removable(coupling, scores, budget, widths or {})
    if budget.per_cost:
        return _cheapest(coupling, scores, order, budget, limit)

    def cost(count: int) -> int:
        removed = _rounded(coupling, scores, order[:count], budget.multiple)
        return getattr(coupling.cost(removed), budget.kind)

    low, high = 0, len(order)
    least = cost(high)
    if least > limit:
        raise _out_of_reach(budget, limit, least)
    # The cost falls with the count, but for the rounding, which the last step takes care of.
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if cost(middle) <= limit else (middle + 1, high)
    return _rounded(coupling, scores, order[:low], budget.multiple)


def select_by_ratio(
    coupling: Coupling, scores: np.ndarray, ratios: Mapping[str, float], multiple: int = 1
) -> np.ndarray:
    """
    Return which units to remove, bool (unit_count,).

    Args:
        ratios: name of a dimension, or of any layer in it, to the share of units to remove.

    Raises:
        KwsImuError: a name is no prunable layer or a share is outside [0, 1).

    """
    chosen: list[int] = []
    for name, ratio in ratios.items():
        if not 0 <= ratio < 1:
            raise KwsImuError(f'{name}: the share to remove is {ratio}; it must be in [0, 1)')
        dimension = next((d for d in coupling.dimensions if name in d.layers), None)
        if dimension is None:
            why = coupling.frozen.get(name, 'the model has no such layer with channels')
            raise KwsImuError(f"'{name}' cannot be pruned: {why}")
        count = min(round(ratio * dimension.units.size), dimension.units.size - 1)
        chosen.extend(weakest_first(dimension, scores)[:count])
    return _rounded(coupling, scores, np.array(chosen, np.int64), multiple)


def _out_of_reach(budget: Budget, limit: float, least: int) -> KwsImuError:
    return KwsImuError(
        f'a budget of {limit:.0f} {budget.kind} cannot be met: with every dimension down to'
        f' {budget.keep_share:.0%} of its channels {least} remain; raise it or keep less'
    )


def _removable(
    coupling: Coupling, scores: np.ndarray, budget: Budget, widths: Mapping[str, int]
) -> np.ndarray:
    units = []
    for dimension in coupling.dimensions:
        size = dimension.units.size
        keep = max(1, int(np.ceil(budget.keep_share * widths.get(dimension.name, size))))
        units.extend(weakest_first(dimension, scores)[: max(0, size - keep)])
    units = np.array(units, np.int64)
    units = units[np.isfinite(scores[units])]
    return units[np.argsort(scores[units], kind='stable')]


def _cheapest(
    coupling: Coupling, scores: np.ndarray, units: np.ndarray, budget: Budget, limit: float
) -> np.ndarray:
    """Mark what to remove, block by block, by importance over what removing it next would save."""
    removed = np.zeros(coupling.unit_count, bool)

    def cost(block: np.ndarray, gone: bool) -> int:
        changed = removed.copy()
        changed[block] = gone
        return getattr(coupling.cost(changed), budget.kind)

    waiting = {d.name: _blocks(d, units, budget.multiple) for d in coupling.dimensions}
    left, taken = getattr(coupling.cost(), budget.kind), []
    while left > limit:
        offers = []
        for name, blocks in waiting.items():
            if blocks:
                after = cost(blocks[0], True)
                offers.append((scores[blocks[0]].sum() / max(left - after, 1), name, after))
        if not offers:
            raise _out_of_reach(budget, limit, left)
        _, name, left = min(offers)
        taken.append((name, waiting[name].pop(0)))
        removed[taken[-1][1]] = True
    if budget.multiple == 1:
        return removed  # Single units leave over less than the last of them.
    # A block saves more than was needed. Of a width the strongest come back first.
    settled = set()
    for name, block in reversed(taken):
        if name not in settled and cost(block, False) <= limit:
            removed[block] = False
        else:
            settled.add(name)
    return removed


def _blocks(dimension: PruningGroup, units: np.ndarray, multiple: int) -> list[np.ndarray]:
    """Cut the units of a dimension, weakest first, into blocks that leave multiples behind."""
    mine = units[np.isin(units, dimension.units)]
    first = dimension.units.size % multiple
    edges = np.arange(first or multiple, mine.size + 1, multiple)
    return np.split(mine, edges)[: edges.size]


def _rounded(coupling: Coupling, scores: np.ndarray, units: np.ndarray, multiple: int):
    """Mark units as removed, and keep the strongest of them to fill up the multiple."""
    removed = np.zeros(coupling.unit_count, bool)
    removed[units] = True
    if multiple > 1:
        for dimension in coupling.dimensions:
            gone = int(removed[dimension.units].sum())
            spare = min(gone, -(dimension.units.size - gone) % multiple)
            if spare:
                weak = [u for u in weakest_first(dimension, scores) if removed[u]]
                removed[weak[len(weak) - spare :]] = False
    return removed
