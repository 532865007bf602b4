"""
Group normalization against batch normalization and none, at batches of 2 to 128.

All networks see the same number of examples, dealt from one pool of augmented windows. The peak
learning rate grows with the square root of the batch, the rule for Adam (Malladi et al., 2022).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import numpy as np

from kws_imu_ros.lab.architectures.normalization import NORMALIZATIONS
from kws_imu_ros.lab.evaluation import comparison
from kws_imu_ros.lab.experiments.voice_lab import VoiceLab
from kws_imu_ros.lab.training.loop import Schedule, smoothed_cross_entropy, tf, tf_keras

CONFIG = {'size': 'large'}
BATCHES = (2, 8, 32, 128)
REFERENCE_BATCH, REFERENCE_RATE = 128, 3e-3
POOL_BATCHES = 800
NAMES = {'group': 'GroupNorm', 'batch': 'BatchNorm', 'none': 'none'}
STATISTICS_BATCHES = 16
TIMED_BATCH = 128


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare how much is trained."""
    parser.add_argument(
        '--examples', type=int, default=24_000, help='windows that each network sees'
    )
    # Three layers: twelve thousand steps, at a batch of two, of a deep network take long.
    parser.add_argument('--architecture', default='conv1d_mfcc', help='what is trained')
    parser.add_argument(
        '--batches', type=int, nargs='+', default=list(BATCHES), help='sizes of the batch'
    )


def run(lab: VoiceLab, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Train every normalization at every batch size; return curves and a table."""
    lab.fill_pool(min(POOL_BATCHES, options.steps or POOL_BATCHES))
    accuracies: dict[str, dict[int, float]] = {NAMES[kind]: {} for kind in NORMALIZATIONS}
    renewed: dict[int, float] = {}
    steps = {}
    for size in sorted(options.batches, reverse=True):
        steps[size] = options.steps or max(1, options.examples // size)
        schedule = Schedule(
            steps=steps[size],
            batch=size,
            learning_rate=REFERENCE_RATE * (size / REFERENCE_BATCH) ** 0.5,
        )
        for kind in NORMALIZATIONS:
            model = lab.build(options.architecture, {**CONFIG, 'norm': kind})
            lab.train_on_pool(f'{options.architecture}_{kind}_{size}', model, schedule)
            accuracies[NAMES[kind]][size] = lab.accuracy(model)
            if kind == 'batch':
                renew_statistics(model, lab)
                renewed[size] = lab.accuracy(model)
    accuracies['BatchNorm, statistics taken again'] = renewed
    sizes = sorted(options.batches)
    times = step_times(
        lab, [lab.build(options.architecture, {**CONFIG, 'norm': kind}) for kind in NORMALIZATIONS]
    )
    base = times[NORMALIZATIONS.index('none')]
    clips = len(lab.validation[1])
    error = lab.standard_error(max(accuracies['GroupNorm'].values()))
    note = (
        f'{options.architecture}, {CONFIG["size"]}; {options.examples} windows seen at every batch '
        f'size{" (cut short by --steps)" if options.steps else ""}, '
        f'AdamW with a peak rate of {REFERENCE_RATE:g} at batch {REFERENCE_BATCH}, times the '
        f'square root of the batch elsewhere; seed {lab.seed}; {clips} clips of validation '
        f'speakers, standard error {100 * error:.1f} points. BatchNorm keeps running statistics '
        f'of the last 20 batches or so; "taken again" measures them anew on '
        f'{STATISTICS_BATCHES * TIMED_BATCH} training windows after training.'
    )
    series = {name: [[size, values[size]] for size in sizes] for name, values in accuracies.items()}
    rows = [
        [name, *(f'{100 * values[size]:.1f} %' for size in sizes)]
        for name, values in accuracies.items()
    ]
    rows.append(['steps', *(steps[size] for size in sizes)])
    cost = [
        [NAMES[kind], f'{time / 1000:.1f}', f'{time / base:.2f}x']
        for kind, time in zip(NORMALIZATIONS, times, strict=True)
    ]
    return [
        {
            'kind': 'curves',
            'title': 'Normalization against the size of the batch',
            'x': 'batch',
            'y': 'accuracy, validation speakers',
            'log_x': True,
            'series': series,
            'note': note,
        },
        {
            'kind': 'table',
            'title': 'Accuracy of each normalization at each size of the batch',
            'columns': ['normalization', *(f'batch {size}' for size in sizes)],
            'rows': rows,
        },
        {
            'kind': 'table',
            'title': f'What a training step of {TIMED_BATCH} windows takes',
            'columns': ['normalization', 'ms a step', 'against none'],
            'rows': cost,
            'note': 'Timed by turns in one run; the 10th percentile of the rounds.',
        },
    ]


def renew_statistics(model: tf_keras.Model, lab: VoiceLab) -> None:
    """
    Set the running statistics of BatchNormalization to their mean over pool windows, in place.

    "Precise BN" (Wu and Johnson, 2021): what is left of the loss at small batches afterwards is
    due to learning, not to the running averages.
    """
    layers = [x for x in model.layers if isinstance(x, tf_keras.layers.BatchNormalization)]
    momenta = [layer.momentum for layer in layers]
    rng = np.random.default_rng((lab.seed, 4))
    for count in range(STATISTICS_BATCHES):
        for layer in layers:
            layer.momentum = count / (count + 1)
        # Eager: the momentum changes from batch to batch.
        model(tf.constant(lab.deal(TIMED_BATCH, rng)[0]), training=True)
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum


def step_times(lab: VoiceLab, models: Sequence[tf_keras.Model]) -> list[float]:
    """Return the microseconds of a step of each model, forwards and backwards, timed by turns."""
    windows, labels = map(tf.constant, lab.deal(TIMED_BATCH, np.random.default_rng(lab.seed)))

    def step_of(model: tf_keras.Model) -> Any:
        @tf.function
        def step() -> list[tf.Tensor]:
            with tf.GradientTape() as tape:
                logits = model(windows, training=True)
                loss = smoothed_cross_entropy(labels, logits, len(lab.labels), 0.0)
            return tape.gradient(loss, model.trainable_variables)

        return lambda: step()[0].numpy()

    return [latency.low for latency in comparison.measure([step_of(m) for m in models], rounds=20)]
