"""Pruning in one shot or in steps, with fine-tuning between."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping

import tf_keras

from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.lab.compression.pruning.coupling import Cost, Coupling
from kws_imu_ros.lab.compression.pruning.importance import Samples, score
from kws_imu_ros.lab.compression.pruning.selection import Budget, select_by_budget, select_by_ratio

FineTune = Callable[[tf_keras.Model, int], 'tf_keras.Model | None']


@dataclasses.dataclass(frozen=True)
class Step:
    """
    The network after one step.

    Attributes:
        index: 1 for the first step.
        model: the smaller dense model, fine-tuned when a function for that was given.
        before: cost before the step.
        after: cost after it.
        widths: channels kept, by dimension.

    """

    index: int
    model: tf_keras.Model
    before: Cost
    after: Cost
    widths: dict[str, int]


def prune(
    model: tf_keras.Model,
    criterion: str,
    budget: Budget | Mapping[str, float],
    samples: Samples | None = None,
    steps: int = 1,
    fine_tune: FineTune | None = None,
) -> Step:
    """Run `prune_in_steps` to its end and return the last step."""
    *_, last = prune_in_steps(model, criterion, budget, samples, steps, fine_tune)
    return last


def prune_in_steps(
    model: tf_keras.Model,
    criterion: str,
    budget: Budget | Mapping[str, float],
    samples: Samples | None = None,
    steps: int = 1,
    fine_tune: FineTune | None = None,
) -> Iterator[Step]:
    """
    Remove channels until the budget is met; yield after every step, so that it can be saved.

    The cost falls by the same factor in every step, and importance is measured anew on what the
    step before left.

    Args:
        budget: a Budget, or shares to remove by dimension or layer name.
        fine_tune: called with (model, step from 1); returns the tuned model, or None when it tuned
            in place.

    Raises:
        KwsImuError: steps is below 1, a budget impossible, or a name not prunable.

    """
    if steps < 1:
        raise KwsImuError(f'pruning in {steps} steps is not possible; use at least 1')
    by_budget = isinstance(budget, Budget)
    start = limit = 0.0
    if by_budget:
        coupling = Coupling(model)
        start, limit = getattr(coupling.cost(), budget.kind), budget.absolute(coupling)
    widths: dict[str, int] = {}
    for index in range(1, steps + 1):
        coupling = Coupling(model)
        if not coupling.dimensions:
            reasons = '; '.join(f'{name}: {why}' for name, why in coupling.frozen.items())
            raise KwsImuError(f"model '{model.name}' has nothing to prune ({reasons})")
        before = coupling.cost()
        scores = score(criterion, coupling, samples)
        if by_budget:
            target = start * (limit / start) ** (index / steps)
            # Above 1, as a share would be one of what the steps before have left.
            now = dataclasses.replace(budget, limit=max(target, 1.0 + 1e-9))
            removed = select_by_budget(coupling, scores, now, widths)
        else:
            removed = select_by_ratio(coupling, scores, _step_ratios(budget, index, steps))
        if not widths:
            widths = {d.name: d.units.size for d in coupling.dimensions}
        model = coupling.remove(removed)
        if fine_tune is not None:
            model = fine_tune(model, index) or model
        kept = {d.name: int((~removed[d.units]).sum()) for d in coupling.dimensions}
        yield Step(index, model, before, coupling.cost(removed), kept)


def _step_ratios(ratios: Mapping[str, float], index: int, steps: int) -> dict[str, float]:
    # What is left after all steps is (1 - ratio): each step keeps the same factor of it.
    return {name: 1.0 - (1.0 - ratio) ** (1.0 / steps) for name, ratio in ratios.items()}
