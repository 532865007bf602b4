"""How well the IMU branch tells six activities of people it never met, in full int8."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.lab import architectures
from kws_imu_ros.lab.compression import quantization
from kws_imu_ros.lab.data.activity_data import (
    ACTIVITIES,
    ActivityRecording,
    activities_digest,
    load_activities,
)
from kws_imu_ros.lab.data.splits import activity_split
from kws_imu_ros.lab.evaluation import complexity
from kws_imu_ros.lab.evaluation.classification import classification
from kws_imu_ros.lab.evaluation.human_activity import (
    CHANNELS,
    MAGNIFICATION,
    WINDOW,
    activity_windows,
    evaluate,
    to_network_units,
)
from kws_imu_ros.lab.training.activity_augmentation import ActivityAugmentation, ActivityBatches
from kws_imu_ros.lab.training.loop import (
    Schedule,
    fit,
    smoothed_cross_entropy,
    tf,
    tf_keras,
    train_once,
)
from kws_imu_ros.lab.training.recipe import fingerprint
from kws_imu_ros.lab.training.work_folder import hold
from kws_imu_ros.resources import write_whole

# It needs no speech; see `cli_experiment`.
NEEDS_SPEECH = False

ARCHITECTURE = 'imu_conv1d'
CONFIG = {'size': 'small', 'norm': 'batch', 'dropout': 0.2}
SCHEDULE = Schedule(steps=2000, batch=128, learning_rate=3e-3, label_smoothing=0.05, last_rate=0.01)
# Training that ends with small steps was worth two points to people never met.
AUGMENTATION = ActivityAugmentation()
CALIBRATION_WINDOWS = 300
SPLITS_OF_STRANGERS = ('validation', 'testing')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this experiment."""
    parser.add_argument(
        '--activities', type=Path, required=True, help='folder in the layout of UCI HAPT or HAR'
    )
    parser.add_argument('--model', type=Path, help='judge this .tflite instead of training one')
    parser.add_argument('--output', type=Path, help='write the trained int8 model there')
    parser.add_argument(
        '--folds',
        type=int,
        default=0,
        help='also train this many networks, each without some of the training users, and judge '
        'it on those',
    )


def run(_: None, options: argparse.Namespace) -> dict[str, Any]:
    """
    Train on training users, quantize, and judge on users of whom nothing was trained on.

    Raises:
        KwsImuError: the folder or the model is unfit, or there are too few users for the folds.

    """
    everyone = load_activities(options.activities, 'all')
    users = sorted({r.user for r in everyone if activity_split(r.user) == 'training'})
    if options.folds and not 2 <= options.folds <= len(users):
        raise KwsImuError(
            f'--folds is {options.folds}; there are {len(users)} training users, so give 2 to '
            f'{len(users)}.'
        )
    result: dict[str, Any] = {}
    if options.model:
        try:
            model_bytes = options.model.read_bytes()
        except OSError as error:
            raise KwsImuError(f'Model {options.model} cannot be read: {error.strerror}.') from None
    else:
        model, model_bytes = _train('all', _of(everyone, users), options)
        result['float32'] = _judge_float(model, _strangers(everyone, 'validation'))
        if options.output:
            write_whole(options.output, model_bytes)
    cost = complexity.count_tflite(model_bytes)
    result = {
        'kind': 'evaluation',
        'title': 'Six activities of users who were never trained on, int8',
        'note': f'Windows of 2.56 s that overlap by half, one activity each, {CHANNELS} channels: '
        f'acceleration with gravity, angular velocity, and both around their mean, magnified '
        f'{MAGNIFICATION:g} times. Users are split by the fixed rule.',
        'model': {
            'name': f'{ARCHITECTURE} for human activity',
            'bytes': cost.bytes,
            'parameters': cost.parameters,
            'macs': cost.macs,
        },
        'split': ', '.join(SPLITS_OF_STRANGERS),
        'training_users': users,
        **result,
    }
    for split in SPLITS_OF_STRANGERS:
        strangers = _strangers(everyone, split)
        if strangers:
            result[split] = _judge(model_bytes, strangers)
    if options.folds:
        result['cross_validation'] = _cross_validate(everyone, users, options)
    return result


def _of(recordings: Sequence[ActivityRecording], users: Sequence[int]) -> list[ActivityRecording]:
    return [recording for recording in recordings if recording.user in users]


def _strangers(recordings: Sequence[ActivityRecording], split: str) -> list[ActivityRecording]:
    return [recording for recording in recordings if activity_split(recording.user) == split]


def _train(
    name: str, recordings: Sequence[ActivityRecording], options: argparse.Namespace
) -> tuple[tf_keras.Model, bytes]:
    """Return the float network (logits) of some users and its int8 file."""
    schedule = SCHEDULE
    if options.steps:
        schedule = Schedule(**{**vars(SCHEDULE), 'steps': options.steps})
    batches = ActivityBatches(recordings, AUGMENTATION)
    tf_keras.utils.set_random_seed(options.seed)
    model = architectures.build(
        ARCHITECTURE,
        {
            **CONFIG,
            'input_shape': (WINDOW, CHANNELS),
            'classes': len(ACTIVITIES),
            'output': 'logits',
        },
    )

    def loss(windows: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        return smoothed_cross_entropy(
            labels, model(windows, training=True), len(ACTIVITIES), schedule.label_smoothing
        )

    stage = f'activity_{name}'
    with hold(options.work):
        train_once(
            options.work,
            stage,
            model,
            fingerprint(
                stage,
                options.seed,
                ARCHITECTURE,
                CONFIG,
                schedule,
                AUGMENTATION,
                activities_digest(recordings),
            ),
            lambda checkpoint: fit(
                stage,
                model.trainable_variables,
                loss,
                batches.batch,
                schedule,
                options.seed,
                checkpoint,
                model,
            ),
        )
    windows, _ = batches.batch(CALIBRATION_WINDOWS, np.random.default_rng((options.seed, 1)))
    calibration = quantization.calibration_from_arrays(
        {model.input_names[0]: windows}, CALIBRATION_WINDOWS, options.seed
    )
    return model, quantization.to_int8(model, calibration)


def _judge(model_bytes: bytes, recordings: Sequence[ActivityRecording]) -> dict[str, Any]:
    """Return the scores of an int8 model, with the accuracy of each user."""
    windows, labels, users = activity_windows(recordings)
    result = evaluate(model_bytes, windows, labels)
    result['users'] = len(set(users))
    result['accuracy_by_user'] = {
        str(user): evaluate(model_bytes, windows[users == user], labels[users == user])['accuracy']
        for user in sorted(set(users.tolist()))
    }
    return result


def _judge_float(model: tf_keras.Model, recordings: Sequence[ActivityRecording]) -> dict[str, Any]:
    """Return the scores of the float network on the same windows."""
    if not recordings:
        return {}
    windows, labels, _ = activity_windows(recordings)
    found = model.predict(to_network_units(windows), verbose=0).argmax(axis=1)
    return {'validation_accuracy': classification(labels, found, ACTIVITIES)['accuracy']}


def _cross_validate(
    recordings: Sequence[ActivityRecording], users: Sequence[int], options: argparse.Namespace
) -> dict[str, Any]:
    """Return the scores of each training user by a network that never met them."""
    count = len(ACTIVITIES)
    confusion, accuracies = np.zeros((count, count), np.int64), {}
    for fold in range(options.folds):
        left_out = users[fold :: options.folds]
        print(f'fold {fold + 1} of {options.folds}: without users {left_out}', file=sys.stderr)
        others = [user for user in users if user not in left_out]
        _, model_bytes = _train(
            f'fold{fold + 1}of{options.folds}', _of(recordings, others), options
        )
        part = _judge(model_bytes, _of(recordings, left_out))
        confusion += np.array(part['confusion']['rows_are_truth'])
        accuracies.update(part['accuracy_by_user'])
    truth = np.repeat(np.arange(count), confusion.sum(axis=1))
    found = np.concatenate([np.repeat(np.arange(count), row) for row in confusion])
    return {
        **classification(truth, found, ACTIVITIES),
        'users': len(users),
        'folds': options.folds,
        'accuracy_by_user': dict(sorted(accuracies.items(), key=lambda item: int(item[0]))),
    }
