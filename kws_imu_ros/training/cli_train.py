"""`kws-imu train`: from folders of recordings and a recipe to a model bundle."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

from kws_imu_ros.errors import KwsImuError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the verb."""
    parser.add_argument(
        '--recipe',
        type=Path,
        help='recipe file; default: the installed config/training/release.yaml',
    )
    parser.add_argument(
        '--speech', type=Path, required=True, help='folder in Speech Commands layout'
    )
    parser.add_argument('--gestures', type=Path, required=True, help='folder in GRWD layout')
    parser.add_argument(
        '--activities', type=Path, help='folder in HAPT raw-data layout: motion that is no gesture'
    )
    parser.add_argument(
        '--streams',
        type=Path,
        help='folder of ordinary speech without commands, on which thresholds are chosen',
    )
    parser.add_argument(
        '--work',
        type=Path,
        help='folder for checkpoints and stages; default: runs/train/<name of the recipe>',
    )
    parser.add_argument(
        '--output', type=Path, default=Path('models'), help='where <name>/<version>/ is written'
    )
    parser.add_argument('--version', help='version of the bundle; default: that of the recipe')


def run(args: argparse.Namespace) -> int:
    """Train, quantize, evaluate on validation people and write the bundle; return 0."""
    from kws_imu_ros.model.bundle import version_key, write_bundle
    from kws_imu_ros.resources import share_path
    from kws_imu_ros.training.recipe import load_recipe

    recipe = load_recipe(args.recipe or share_path('config', 'training', 'release.yaml'))
    version = args.version or recipe.version
    if version_key(version) is None:
        raise KwsImuError(f'{version!r} is not a version; give three numbers such as 1.2.0.')
    target = args.output / recipe.name / version
    if target.exists():
        raise KwsImuError(
            f'{target} exists and versions are never rewritten; give a higher --version.'
        )
    work = args.work or Path('runs', 'train', recipe.name)

    from kws_imu_ros.training.cli_evaluate import calibrate_voice, evaluate
    from kws_imu_ros.training.release import (
        bundle_of,
        load_training_data,
        metrics_of,
        model_card,
        quantize_network,
        train_network,
    )
    from kws_imu_ros.training.stages import StageRunner

    data = load_training_data(
        recipe, args.speech, args.gestures, args.activities, work / 'decoded_audio'
    )
    runner = StageRunner(recipe, data, work)
    network = train_network(runner)
    print('quantize: full int8', file=sys.stderr)
    int8, float32 = quantize_network(runner, network)
    (work / 'float32.tflite').write_bytes(float32)
    folders = {
        '--speech': args.speech, '--gestures': args.gestures, '--activities': args.activities,
        '--streams': args.streams,
    }  # fmt: skip
    # Where the folders lie is nobody's business but this machine's.
    options = ' '.join(f'{option} {option[2:].upper()}' for option, path in folders.items() if path)
    recipe_name = args.recipe.name if args.recipe else 'release.yaml'
    training_command = f'kws-imu train --recipe {shlex.quote(recipe_name)} {options}'
    model = shlex.quote(f'{recipe.name}/{version}')
    command = f'kws-imu evaluate --model {model} {options} --split validation --json'
    cache = work / 'decoded_audio'
    gestures = [label for label in recipe.gesture_labels if label != 'none']
    thresholds = {'gesture': dict.fromkeys(gestures, recipe.gesture_threshold)}
    if args.streams:
        print('thresholds: on validation people over long audio', file=sys.stderr)
        thresholds['voice'] = calibrate_voice(
            bundle_of(runner, int8, version, training_command, {}), args.speech, args.streams, cache
        )
    results = evaluate(
        bundle_of(runner, int8, version, training_command, {}, thresholds),
        args.speech,
        args.gestures,
        args.activities,
        'validation',
        args.streams,
        cache=cache,
    )
    bundle = bundle_of(
        runner, int8, version, training_command, metrics_of(results, command), thresholds
    )
    bundle = write_bundle(args.output, bundle, model_card(bundle, results, command))
    for section in ('voice', 'gesture', 'conflict'):
        accuracy = results[section].get('balanced_accuracy' if section == 'gesture' else 'accuracy')
        print(f'{section}: {accuracy:.4f}' if accuracy is not None else f'{section}: no pairs')
    print(f'{bundle.path}: {bundle.manifest.bytes} bytes')
    return 0
