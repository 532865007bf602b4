"""
Train with group normalization, then fold it away: what is lost, what int8 wins.

One network, TC-ResNet8, as an explicit int8 graph of its group normalization, with and without the
fine-tuning that folding needs; folded with two kinds of statistics, folded and fine-tuned; and
beside it the same network trained with batch normalization for as long.
"""

from __future__ import annotations

import argparse
from collections import Counter
from typing import Any

import numpy as np

from kws_imu_ros.lab.architectures.normalization import (
    fold_batch_norm,
    fold_group_norm,
    group_to_batch_norm,
)
from kws_imu_ros.lab.evaluation import comparison, complexity
from kws_imu_ros.lab.experiments.voice_lab import VoiceLab
from kws_imu_ros.lab.training.loop import Schedule, tf_keras

ARCHITECTURE = 'tc_resnet'
CONFIG = {'size': 'small'}
POOL_BATCHES = 800
TUNING = {'learning_rate': 1e-3, 'label_smoothing': 0.0, 'last_rate': 0.01}
CALIBRATION_BATCHES = 8


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare how much is trained."""
    parser.add_argument('--train-steps', type=int, default=2000, help='of training, batches of 128')
    parser.add_argument('--tune-steps', type=int, default=1500, help='of tuning after folding')


def run(lab: VoiceLab, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Train, fold, tune, convert and measure; return a table and the comparison of latencies."""
    train_steps = options.steps or options.train_steps
    tune_steps = options.steps or options.tune_steps
    lab.fill_pool(min(POOL_BATCHES, options.steps or POOL_BATCHES))

    group = lab.build(ARCHITECTURE, {**CONFIG, 'norm': 'group'})
    lab.train_on_pool('group', group, Schedule(steps=train_steps))
    batch = lab.build(ARCHITECTURE, {**CONFIG, 'norm': 'batch'})
    lab.train_on_pool('batch', batch, Schedule(steps=train_steps + tune_steps))
    rng = np.random.default_rng((lab.seed, 5))
    calibration = [lab.deal(128, rng)[0] for _ in range(CALIBRATION_BATCHES)]
    pooled, pooled_errors = fold_group_norm(group, calibration, 'statistics')
    fitted, fitted_errors = fold_group_norm(group, calibration)
    # As batch normalization while it is tuned, so that statistics go on adapting; the network with
    # its group normalization is the teacher.
    schedule = Schedule(steps=tune_steps, **TUNING)
    folded = group_to_batch_norm(group, calibration)[0]
    tuned = lab.train_on_pool('tuned', folded, schedule, group)
    # What the same tuning does for a network that loses nothing: the fair comparison.
    unfolded = tf_keras.models.clone_model(group)
    unfolded.set_weights(group.get_weights())
    lab.train_on_pool('unfolded', unfolded, schedule, group)
    variants = {
        'GroupNorm, explicit': group,
        'GroupNorm, explicit, tuned': unfolded,
        'folded, pooled statistics': pooled,
        'folded, least squares': fitted,
        'folded, least squares, tuned': fold_batch_norm(tuned),
        'BatchNorm from the start, folded': fold_batch_norm(batch),
    }
    floats = {name: lab.accuracy(model) for name, model in variants.items()}
    files = {name: lab.to_int8(model) for name, model in variants.items()}
    bare = _operators(to_int8_without_norm(lab))
    candidates = [comparison.Candidate(name, '', data, {}) for name, data in files.items()]
    rows, runtime = comparison.compare(candidates)
    table = []
    first = rows[0].latency.low
    for row, (name, data) in zip(rows, files.items(), strict=True):
        extra = _operators(data) - bare
        table.append(
            [
                name,
                f'{100 * floats[name]:.2f} %',
                f'{100 * lab.accuracy_of_tflite(data):.2f} %',
                row.bytes,
                f'{row.latency.low:.1f}',
                f'{first / row.latency.low:.2f}x',
                sum(_operators(data).values()),
                sum(extra.values()),
            ]
        )
    clips = len(lab.validation[1])
    error = lab.standard_error(floats['GroupNorm, explicit'])
    note = (
        f'{ARCHITECTURE} small; {train_steps} steps of 128 windows, {tune_steps} of tuning with '
        f'the unfolded network as teacher (BatchNorm: {train_steps + tune_steps}); folding from '
        f'{128 * CALIBRATION_BATCHES} training windows; seed {lab.seed}; {clips} clips of '
        f'validation speakers, standard error {100 * error:.1f} points. Normalization ops: '
        'those that the int8 graph of the same network without any normalization does not have. '
        f'Mean relative error of a folded layer: {np.mean(list(pooled_errors.values())):.2f} with '
        f'pooled statistics, {np.mean(list(fitted_errors.values())):.2f} by least squares. '
        'Latency: 10th percentile, one thread, timed by turns in one run.'
    )
    return [
        {
            'kind': 'table',
            'title': 'Group normalization, folded away',
            'columns': [
                'variant', 'float', 'int8', 'bytes', 'latency us', 'speed', 'ops',
                'normalization ops',
            ],
            'rows': table,
            'note': note,
        },
        {
            **comparison.to_json(rows, runtime, 1, ''),
            'title': 'Latency of group normalization, explicit and folded',
        },
    ]  # fmt: skip


def to_int8_without_norm(lab: VoiceLab) -> bytes:
    """Return the int8 graph of the same network, untrained, that never had a normalization."""
    return lab.to_int8(lab.build(ARCHITECTURE, {**CONFIG, 'norm': 'none'}))


def _operators(model_bytes: bytes) -> Counter:
    return Counter(complexity.count_tflite(model_bytes).operators)
