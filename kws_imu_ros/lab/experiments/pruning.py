"""
Pruning, measured: which layers bear it, which criterion chooses best, how far it goes.

Four experiments on one over-parameterized dense network (TC-ResNet8 at three times its width),
which is trained once and kept in the work folder. What they learn from is augmented once, too, and
dealt to every candidate alike: they differ in what was removed and in nothing else.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kws_imu_ros.console.progress import make_progress
from kws_imu_ros.lab.compression.pruning import (
    CRITERIA,
    Budget,
    Coupling,
    Samples,
    prune,
    prune_in_steps,
    scan,
    score,
    select_by_budget,
)
from kws_imu_ros.lab.compression.pruning.magnitude import (
    prune_low_magnitude,
    sparsity,
    stored_bytes,
)
from kws_imu_ros.lab.evaluation import comparison, complexity
from kws_imu_ros.lab.experiments.voice_lab import VoiceLab
from kws_imu_ros.lab.training.loop import MakeBatch, Schedule, tf, tf_keras

ARCHITECTURE = 'tc_resnet'
CONFIG = {'size': 'small', 'width': 3.0, 'norm': 'batch', 'dropout': 0.1}

# Shares of the dense network that remain, and those at which tuning follows: at half of it all
# criteria tune back to the dense network, which tells nothing.
SHARES = (0.5, 0.25, 0.1)
TUNED_SHARES = (0.25, 0.1)
# Criteria differ in where they cut: the same MACs leave some of them with half the parameters of
# others. Only both budgets together are fair.
BUDGET_NAMES = {'macs': 'MACs', 'parameters': 'parameters'}
# One random choice may be lucky.
RANDOM_SEEDS = (0, 1)
SCAN_RATIOS = (0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875)
SCAN_CRITERION = 'l1'
# Windows that a criterion looks at: batches of 128.
SCORED_BATCHES = 2
SCANNED_BATCHES = 8

# First order in the change of the loss (Molchanov et al., 2017), and cheap; `criteria` says how it
# compares.
CHOSEN_CRITERION = 'taylor'
TENFOLD_STEPS = 4
# Ten times fewer parameters and five times fewer MACs, with room for what int8 adds.
TENFOLD_PARAMETERS = 0.097
TENFOLD_MACS = 0.195

# Beside the criteria themselves: importance divided by what a channel takes of the budget.
PER_COST = {'l2 per cost': 'l2', 'taylor per cost': 'taylor'}

SPARSE_SHARES = (0.5, 0.8, 0.9)
LATENCY_ROUNDS = 60


@dataclasses.dataclass(frozen=True)
class Effort:
    """
    How much is trained: batches of 128 windows.

    pool: augmented batches that all learn from. dense: steps of the dense network. tune: steps
    after pruning by each criterion. between and last: steps between the steps of the tenfold
    pruning and after them. sparse: steps of each unstructured network and of the structured one
    beside it.
    """

    pool: int = 800
    dense: int = 4000
    tune: int = 1000
    between: int = 150
    last: int = 3000
    sparse: int = 300

    @staticmethod
    def of(steps: int | None) -> Effort:
        """Return the usual effort, or `steps` for every training, to try an experiment out."""
        if steps is None:
            return Effort()
        return Effort(min(Effort.pool, steps), *[steps] * 5)


class PruningBench:
    """
    The dense network, the windows that all learn from, and short trainings on them.

    lab: data and counting. effort: how much is trained. config: of the dense network.
    """

    def __init__(
        self, lab: VoiceLab, effort: Effort, config: Mapping[str, Any] | None = None
    ) -> None:
        self.lab, self.effort, self.config = lab, effort, config or CONFIG

    @functools.cached_property
    def dense(self) -> tf_keras.Model:
        """The trained dense network, logits out."""
        schedule = Schedule(steps=self.effort.dense)
        return self._train('dense', self.lab.build(ARCHITECTURE, self.config), schedule, False)

    def tune(
        self, stage: str, model: tf_keras.Model, steps: int, rate: float = 1e-3
    ) -> tf_keras.Model:
        """Train a network on the pool with the dense one as teacher; returns it."""
        return self._train(stage, model, Schedule(steps=steps, learning_rate=rate), True)

    def _train(
        self, stage: str, model: tf_keras.Model, schedule: Schedule, taught: bool
    ) -> tf_keras.Model:
        self._deal()
        return self.lab.train_on_pool(stage, model, schedule, self.dense if taught else None)

    def _deal(self) -> MakeBatch:
        """Return what deals batches of the pool, which is filled by now."""
        if not self.lab.pool_size:
            self.lab.fill_pool(self.effort.pool)
        return self.lab.deal

    def samples(self, count: int, seed: int = 0) -> Samples:
        """Return `count` batches of 128 for criteria: what the dense network has learned from."""
        rng, deal = np.random.default_rng((self.lab.seed, 3)), self._deal()
        return Samples([deal(128, rng) for _ in range(count)], _loss_of_logits, seed)


def _loss_of_logits(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Return the cross entropy of every sample, (batch,)."""
    return tf_keras.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare no options; the four experiments share the dense network in one work folder."""
    parser.set_defaults(work=Path('runs', 'experiments', 'pruning'))


def run(lab: VoiceLab, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Run the experiment that `options.name` names; returns results that the report draws."""
    experiments = {
        'sensitivity': sensitivity,
        'pruning_criteria': all_criteria,
        'pruning_tenfold': tenfold,
        'pruning_unstructured': unstructured,
    }
    return experiments[options.name](PruningBench(lab, Effort.of(options.steps)))


def sensitivity(bench: PruningBench) -> list[dict[str, Any]]:
    """
    Cut every width of the dense network alone, without training after it.

    Accuracy is that of windows of training speakers: validation speakers choose nothing.
    Returns results of the kinds 'curves' and 'table'.
    """
    coupling = Coupling(bench.dense)
    samples = bench.samples(SCANNED_BATCHES)
    windows = np.concatenate([inputs for inputs, _ in samples.batches])
    labels = np.concatenate([labels for _, labels in samples.batches])
    call = tf.function(lambda batch: bench.dense(batch, training=False))

    def accuracy(model: tf_keras.Model) -> float:
        return float((call(windows).numpy().argmax(axis=1) == labels).mean())

    with make_progress() as progress:
        task = progress.add_task('scanning', note='')
        result = scan(
            coupling,
            score(SCAN_CRITERION, coupling),
            accuracy,
            SCAN_RATIOS,
            lambda done, total: progress.update(task, completed=done, total=total),
        )
    series: dict[str, list[list[float]]] = {}
    channels = {}
    for row in result.rows:
        curve = series.setdefault(row.dimension, [[0.0, result.baseline]])
        curve.append([row.ratio, row.value])
        channels[row.dimension] = row.channels
    costs = {}
    for dimension in coupling.dimensions:
        removed = np.zeros(coupling.unit_count, bool)
        removed[dimension.units[: dimension.units.size // 2]] = True
        costs[dimension.name] = 1.0 - coupling.cost(removed).macs / coupling.cost().macs
    note = (
        f'Weakest channels by {SCAN_CRITERION} set to zero in one width at a time, no training '
        f'after it; {len(labels)} augmented windows of training speakers.'
    )
    title = 'Sensitivity of the widths of the dense network'
    curves = {
        'kind': 'curves',
        'title': title,
        'note': note,
        'x': 'share of the channels removed',
        'y': 'accuracy, training speakers',
        'series': series,
    }
    columns = ['width', 'channels', 'MACs saved by half']
    columns += [f'lost at {ratio:.1%}, points' for ratio in SCAN_RATIOS]
    table = {
        'kind': 'table',
        'title': title,
        'note': note,
        'columns': columns,
        'rows': [
            [
                name,
                channels[name],
                f'{costs[name]:.1%}',
                *(f'{100.0 * (result.baseline - value):+.1f}' for _, value in curve[1:]),
            ]
            for name, curve in series.items()
        ],
    }
    return [curves, table]


def all_criteria(bench: PruningBench) -> list[dict[str, Any]]:
    """Compare the criteria at the same MACs and at the same parameters, see `criteria`."""
    return [result for kind in BUDGET_NAMES for result in criteria(bench, kind)]


def criteria(
    bench: PruningBench, kind: str = 'macs', names: Sequence[str] = (*CRITERIA, *PER_COST)
) -> list[dict[str, Any]]:
    """
    Prune by every criterion to the same budget, in one shot; measure before and after tuning.

    kind: what the budget counts, 'macs' or 'parameters'. names: of criteria, or of PER_COST.
    Returns results of the kinds 'pruning' (tuned), 'curves' (right after pruning) and 'table'.
    """
    lab, effort = bench.lab, bench.effort
    dense = bench.dense
    accuracy = lab.accuracy(dense)
    coupling = Coupling(dense)
    cost = coupling.cost()

    @functools.cache
    def scores_of(criterion: str, seed: int) -> np.ndarray:
        _told(f'{criterion}: scoring')
        return score(criterion, coupling, bench.samples(SCORED_BATCHES, seed))

    rows: list[dict[str, Any]] = []
    for criterion in names:
        for seed in RANDOM_SEEDS if criterion == 'random' else (0,):
            scores = scores_of(PER_COST.get(criterion, criterion), seed)
            for share in SHARES:
                budget = Budget(kind, share, per_cost=criterion in PER_COST)
                removed = select_by_budget(coupling, scores, budget)
                model = coupling.remove(removed)
                row = {
                    'criterion': criterion,
                    'seed': seed,
                    'share': share,
                    **dataclasses.asdict(coupling.cost(removed)),
                    'right_after': lab.accuracy(model),
                }
                if share in TUNED_SHARES:
                    stage = f'criteria_{kind}_{criterion.replace(" ", "_")}_{seed}_{share:g}'
                    row['accuracy'] = lab.accuracy(bench.tune(stage, model, effort.tune))
                rows.append(row)
    note = (
        f'One dense network, one shot, {effort.tune} steps of tuning with the dense network as '
        f'teacher; float accuracy on {_judged(lab, accuracy)}; bytes of int8 estimated. Random is '
        f'the mean of {len(RANDOM_SEEDS)} choices.'
    )
    baseline = {'name': 'dense TC-ResNet8 x3', 'accuracy': accuracy, **dataclasses.asdict(cost)}
    curves: dict[str, list[dict[str, Any]]] = {}
    raw: dict[str, list[list[float]]] = {}
    table = []
    for criterion in names:
        raw[criterion] = [[1.0, accuracy]]
        for share in SHARES:
            same = [r for r in rows if r['criterion'] == criterion and r['share'] == share]
            mean = {
                key: float(np.mean([row[key] for row in same]))
                for key in ('right_after', 'macs', 'parameters', 'bytes', 'accuracy')
                if key in same[0]
            }
            raw[criterion].append([mean[kind] / getattr(cost, kind), mean['right_after']])
            cells = ['-', '-', '-']
            if 'accuracy' in mean:
                curves.setdefault(criterion, []).append(
                    {key: mean[key] for key in ('accuracy', 'macs', 'parameters', 'bytes')}
                )
                spread = 100.0 * np.ptp([row['accuracy'] for row in same])
                cells = [
                    *_percent(mean['accuracy']),
                    f'{100.0 * (accuracy - mean["accuracy"]):+.2f}',
                    f'{spread:.2f}' if len(same) > 1 else '-',
                ]
            table.append(
                [
                    criterion,
                    f'{share:.0%}',
                    round(mean['macs']),
                    round(mean['parameters']),
                    *_percent(mean['right_after']),
                    *cells,
                ]
            )
    title = f'Criteria of structured pruning at the same {BUDGET_NAMES[kind]}'
    return [
        {
            'kind': 'pruning',
            'title': f'{title}, tuned',
            'note': note,
            'baseline': baseline,
            'curves': curves,
        },
        {
            'kind': 'curves',
            'title': f'{title}, right after pruning',
            'note': note,
            'x': f'share of the {BUDGET_NAMES[kind]} left',
            'y': 'accuracy',
            'log_x': True,
            'series': raw,
        },
        {
            'kind': 'table',
            'title': title,
            'note': note,
            'columns': [
                'criterion',
                'budget',
                'MACs',
                'parameters',
                'right after',
                'tuned',
                'lost, points',
                'spread of choices',
            ],
            'rows': table,
            'measured': rows,
        },
    ]


def tenfold(bench: PruningBench) -> list[dict[str, Any]]:
    """
    Prune the dense network in steps to ten times fewer parameters and five times fewer MACs.

    Returns results of the kinds 'pruning' (int8 after each step), 'comparison' (dense and pruned
    int8, latency in the same run) and 'table' (with what was wanted).
    """
    lab, effort = bench.lab, bench.effort
    dense_bytes = lab.to_int8(bench.dense)
    dense = _measured_int8(lab, 'dense', dense_bytes)
    curve = []

    def fine_tune(model: tf_keras.Model, step: int) -> tf_keras.Model:
        _told(f'tenfold: step {step} of {TENFOLD_STEPS}')
        return bench.tune(f'tenfold_{step}', model, effort.between, 2e-3)

    samples = bench.samples(SCORED_BATCHES)
    budget = Budget('parameters', TENFOLD_PARAMETERS, multiple=4)
    for step in prune_in_steps(
        bench.dense, CHOSEN_CRITERION, budget, samples, TENFOLD_STEPS, fine_tune
    ):
        model = step.model
        curve.append(_measured_int8(lab, f'step {step.index}', lab.to_int8(model)))
    # Few parameters can still be many products, for early layers work at more positions.
    limit = TENFOLD_MACS * Coupling(bench.dense).cost().macs
    if step.after.macs > limit:
        model = prune(model, CHOSEN_CRITERION, Budget('macs', limit, multiple=4), samples).model
    model = bench.tune('tenfold_last', model, effort.last, 3e-3)
    pruned_bytes = lab.to_int8(model)
    pruned = _measured_int8(lab, 'pruned', pruned_bytes)
    rows, runtime = _compared({'dense, int8': dense_bytes, 'pruned, int8': pruned_bytes})
    lost = 100.0 * (dense['accuracy'] - pruned['accuracy'])
    fewer = [dense[key] / pruned[key] for key in ('parameters', 'macs', 'bytes')]
    faster = rows[0].latency.low / rows[1].latency.low
    note = (
        f'{CHOSEN_CRITERION} in {TENFOLD_STEPS} steps with {effort.between} steps of tuning each, '
        f'then {effort.last}; the dense network teaches. int8 accuracy on '
        f'{_judged(lab, pruned["accuracy"])}.'
    )
    title = 'Ten times fewer parameters'
    return [
        {
            'kind': 'pruning',
            'title': f'{title}, in steps, int8',
            'note': note,
            'baseline': {**dense, 'name': 'dense TC-ResNet8 x3, int8'},
            'curves': {f'{CHOSEN_CRITERION}, in steps': curve, 'tuned to the end': [pruned]},
        },
        {'title': title, **comparison.to_json(rows, runtime, 1, '')},
        {
            'kind': 'table',
            'title': f'{title}: what was wanted',
            'note': note,
            'columns': ['measure', 'wanted', 'dense', 'pruned', 'measured', 'reached'],
            'rows': [
                _verdict('parameters', 'at least 10x fewer', dense, pruned, fewer[0], 10.0),
                _verdict('macs', 'at least 5x fewer', dense, pruned, fewer[1], 5.0),
                _verdict('bytes', '-', dense, pruned, fewer[2], None),
                [
                    'latency, us',
                    '-',
                    *(f'{row.latency.low:.1f}' for row in rows),
                    f'{faster:.1f}x',
                    '-',
                ],
                [
                    'accuracy, int8',
                    'at most 0.5 point lost',
                    *_percent(dense['accuracy'], pruned['accuracy']),
                    f'{lost:+.2f} points',
                    'yes' if lost <= 0.5 else 'no',
                ],
            ],
            'lost_points': lost,
            'parameters_fewer': fewer[0],
            'macs_fewer': fewer[1],
            'standard_error': lab.standard_error(pruned['accuracy']),
        },
    ]


def unstructured(bench: PruningBench) -> list[dict[str, Any]]:
    """
    Set zeroed weights beside removed channels, equally many and trained equally long.

    Returns results of the kinds 'table' and 'comparison' (latency in the same run).
    """
    lab, effort = bench.lab, bench.effort
    models: dict[str, bytes] = {'dense': lab.to_int8(bench.dense)}
    zeros = {'dense': sparsity(bench.dense)}
    for share in SPARSE_SHARES:
        _told(f'unstructured: {share:.0%} of the weights zeroed')
        stage = f'unstructured_{share:g}'
        model = prune_low_magnitude(
            bench.dense,
            share,
            lambda wrapped, stage=stage: bench.tune(stage, wrapped, effort.sparse),
            effort.sparse,
        )
        name = f'{share:.0%} of the weights zero'
        models[name], zeros[name] = lab.to_int8(model), sparsity(model)
    samples = bench.samples(SCORED_BATCHES)
    for share in SPARSE_SHARES:
        _told(f'structured: {share:.0%} of the parameters removed')
        budget = Budget('parameters', 1.0 - share, multiple=4)
        model = prune(bench.dense, CHOSEN_CRITERION, budget, samples).model
        model = bench.tune(f'structured_{share:g}', model, effort.sparse)
        name = f'{share:.0%} of the parameters removed'
        models[name], zeros[name] = lab.to_int8(model), sparsity(model)
    rows, runtime = _compared(models)
    accuracies = {name: lab.accuracy_of_tflite(content) for name, content in models.items()}
    note = (
        f'Every network after {effort.sparse} steps of tuning with the dense network as teacher; '
        f'structured: {CHOSEN_CRITERION}, one shot. int8 accuracy on '
        f'{_judged(lab, accuracies["dense"])}.'
    )
    table = []
    for row, (name, content) in zip(rows, models.items(), strict=True):
        stored = stored_bytes(content)
        table.append(
            [
                name,
                *_percent(accuracies[name]),
                f'{zeros[name]:.0%}',
                row.parameters,
                row.macs,
                stored.dense,
                stored.gzip,
                f'{row.latency.low:.1f}',
            ]
        )
    title = 'Weights set to zero beside channels removed'
    columns = ['network', 'accuracy', 'zeros', 'parameters', 'MACs', 'bytes', 'gzipped']
    return [
        {
            'kind': 'table',
            'title': title,
            'note': note,
            'columns': [*columns, 'quiet us'],
            'rows': table,
        },
        {'title': title, **comparison.to_json(rows, runtime, 1, '')},
    ]


def _compared(models: Mapping[str, bytes]) -> tuple[list[comparison.Row], str]:
    """Return the rows of a comparison by turns, and the runtime."""
    candidates = [comparison.Candidate(name, '', content, {}) for name, content in models.items()]
    with make_progress() as progress:
        task = progress.add_task('timing by turns', note='')
        return comparison.compare(
            candidates,
            rounds=LATENCY_ROUNDS,
            progress=lambda done, total: progress.update(task, completed=done, total=total),
        )


def _measured_int8(lab: VoiceLab, name: str, model_bytes: bytes) -> dict[str, Any]:
    """Return name, accuracy, bytes, parameters and MACs of an int8 file."""
    cost = complexity.count_tflite(model_bytes)
    return {
        'name': name,
        'accuracy': lab.accuracy_of_tflite(model_bytes),
        'bytes': cost.bytes,
        'parameters': cost.parameters,
        'macs': cost.macs,
    }


def _verdict(
    key: str,
    wanted: str,
    dense: Mapping[str, Any],
    pruned: Mapping[str, Any],
    fewer: float,
    limit: float | None,
) -> list[str]:
    """Return a row of the table of what was wanted."""
    reached = '-' if limit is None else 'yes' if fewer >= limit else 'no'
    return [key, wanted, f'{dense[key]:,}', f'{pruned[key]:,}', f'{fewer:.1f}x', reached]


def _judged(lab: VoiceLab, accuracy: float) -> str:
    """Say on what an accuracy was counted and how sure it is."""
    return (
        f'{len(lab.validation[1])} clips of validation speakers, standard error '
        f'{100.0 * lab.standard_error(accuracy):.1f} points, one seed'
    )


def _percent(*shares: float) -> list[str]:
    return [f'{share:.2%}' for share in shares]


def _told(line: str) -> None:
    print(line, file=sys.stderr)
