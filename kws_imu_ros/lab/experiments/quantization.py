"""
One network in every precision: size, accuracy and latency in one table, and distilled.

Two networks, for no small one has it all: TC-ResNet8, which is good and has no dense layer worth
factorizing, and the fully connected network, which is nothing but dense layers. In each table every
row that was trained longer than the first (distilled, quantization-aware, tuned after
factorization) says so in its name, and the first is trained on for as long beside them.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from kws_imu_ros.lab.architectures.normalization import fold_batch_norm
from kws_imu_ros.lab.compression import quantization
from kws_imu_ros.lab.compression.factorization import factorize
from kws_imu_ros.lab.evaluation import comparison
from kws_imu_ros.lab.experiments.voice_lab import VoiceLab
from kws_imu_ros.lab.training.loop import Schedule, tf_keras

POOL_BATCHES = 800
TEACHER = ('tc_resnet', {'size': 'small', 'width': 3.0, 'norm': 'batch', 'dropout': 0.1})
STUDENTS = {
    'TC-ResNet8': ('tc_resnet', {'size': 'small', 'norm': 'batch'}),
    'DNN': ('dnn', {'size': 'large', 'dropout': 0.2}),
}
TUNING_RATE = 3e-4
ENERGY = 0.9

Train = Callable[..., tf_keras.Model]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare how much is trained."""
    parser.add_argument('--train-steps', type=int, default=1000, help='of training, batches of 128')
    parser.add_argument('--teacher-steps', type=int, default=4000, help='of the teacher')
    parser.add_argument('--tune-steps', type=int, default=200, help='of quantization-aware tuning')


def run(lab: VoiceLab, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Train both networks, convert them in every way and measure; return two tables."""
    steps = {
        name: options.steps or getattr(options, f'{name}_steps')
        for name in ('train', 'teacher', 'tune')
    }
    lab.fill_pool(min(POOL_BATCHES, options.steps or POOL_BATCHES))

    def train(stage: str, model: tf_keras.Model, kind: str, teacher=None) -> tf_keras.Model:
        schedule = Schedule(steps=steps[kind])
        if kind == 'tune':
            schedule = Schedule(steps=steps[kind], learning_rate=TUNING_RATE, label_smoothing=0.0)
        return lab.train_on_pool(stage, model, schedule, teacher)

    teacher = train('dense', lab.build(*TEACHER), 'teacher')
    results = []
    for name, (architecture, config) in STUDENTS.items():
        files = {}
        plain = lab.build(architecture, config)
        train(f'{architecture}_plain', plain, 'train')
        plain = fold_batch_norm(plain)
        files['float32'] = quantization.to_float32(plain)
        files['float16'] = quantization.to_float16(plain)
        files['dynamic range'] = quantization.to_dynamic_range(plain)
        files['int8 after training'] = lab.to_int8(plain)
        longer = _copy(plain)
        train(f'{architecture}_longer', longer, 'tune')
        files['float32, tuned'] = quantization.to_float32(longer)
        aware = quantization.quantization_aware(plain)
        train(f'{architecture}_aware', aware, 'tune')
        files['int8 quantization-aware, tuned'] = quantization.to_int8_aware(aware)
        distilled = lab.build(architecture, config)
        train(f'{architecture}_distilled', distilled, 'train', teacher)
        distilled = fold_batch_norm(distilled)
        files['float32, distilled'] = quantization.to_float32(distilled)
        files['int8 after training, distilled'] = lab.to_int8(distilled)
        if architecture == 'dnn':
            factorized, _ = factorize(plain, energy=ENERGY)
            files['float32, SVD'] = quantization.to_float32(factorized)
            train(f'{architecture}_factorized', factorized, 'tune')
            files['float32, SVD, tuned'] = quantization.to_float32(factorized)
            files['int8 after training, SVD, tuned'] = lab.to_int8(factorized)
        results.append(_table(name, files, lab, steps))
    results[0]['note'] += (
        ' This network has no dense layer but the classifier (40 x 10): nothing for SVD to gain, '
        'see the fully connected network.'
    )
    return results


def _table(
    name: str, files: dict[str, bytes], lab: VoiceLab, steps: dict[str, int]
) -> dict[str, Any]:
    """Measure all files of a network in one run and return a result of the kind 'quantization'."""
    candidates = [comparison.Candidate(key, '', data, {}) for key, data in files.items()]
    measured, runtime = comparison.compare(candidates)
    rows = [
        {
            'name': row.name,
            'accuracy': lab.accuracy_of_tflite(files[row.name]),
            'bytes': row.bytes,
            'parameters': row.parameters,
            'macs': row.macs,
            'latency_us': row.latency.low,
        }
        for row in measured
    ]
    clips = len(lab.validation[1])
    error = lab.standard_error(rows[0]['accuracy'])
    return {
        'kind': 'quantization',
        'title': f'{name} in every precision',
        'rows': rows,
        'int8_loss_points': 100 * (rows[0]['accuracy'] - rows[3]['accuracy']),
        'note': (
            f'{steps["train"]} steps of 128 windows, tuned for {steps["tune"]} more, teacher '
            f'(TC-ResNet8 at three times the width) {steps["teacher"]}; SVD keeps '
            f'{100 * ENERGY:.0f} % of the energy; seed {lab.seed}; {clips} clips of validation '
            f'speakers, standard error {100 * error:.1f} points. Latency: {runtime}, one thread, '
            '10th percentile, timed by turns in one run.'
        ),
    }


def _copy(model: tf_keras.Model) -> tf_keras.Model:
    copy = tf_keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    return copy
