"""`kws-imu train`: from folders of recordings and a recipe to a model bundle."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from kws_imu_ros.errors import KwsImuError

if TYPE_CHECKING:
    from kws_imu_ros.lab.training.recipe import Recipe


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
        '--activities',
        type=Path,
        help='folder in the layout of UCI HAPT or HAR: motion that is no gesture',
    )
    parser.add_argument(
        '--streams',
        type=Path,
        help='folder of ordinary speech without commands, on which thresholds are chosen',
    )
    parser.add_argument(
        '--running-speech',
        type=Path,
        help='folder of ordinary speech without commands, to train on; never that of --streams',
    )
    parser.add_argument(
        '--work',
        type=Path,
        help='folder for checkpoints and stages; default: runs/train/<name of the recipe>',
    )
    parser.add_argument(
        '--output', type=Path, default=Path('models'), help='where <name>/<version>/ is written'
    )
    parser.add_argument(
        '--until',
        metavar='STAGE',
        help='stop after this stage, such as voice, voice_pruned or fusion; no bundle is written',
    )
    parser.add_argument('--version', help='version of the bundle; default: that of the recipe')


def run(args: argparse.Namespace) -> int:
    """Train, quantize, evaluate on validation people and write the bundle; return 0."""
    from kws_imu_ros.lab.training.recipe import load_recipe
    from kws_imu_ros.lab.training.work_folder import hold
    from kws_imu_ros.model.bundle import version_key
    from kws_imu_ros.resources import share_path

    recipe = load_recipe(args.recipe or share_path('config', 'training', 'release.yaml'))
    version = args.version or recipe.version
    if version_key(version) is None:
        raise KwsImuError(f'{version!r} is not a version; give three numbers such as 1.2.0.')
    target = args.output / recipe.name / version
    if target.exists() and not args.until:
        raise KwsImuError(
            f'{target} exists and versions are never rewritten; give a higher --version.'
        )
    if args.streams and args.running_speech and _same(args.streams, args.running_speech):
        raise KwsImuError(
            f'--running-speech and --streams are both {args.streams}; thresholds must be chosen '
            f'on speech that was not trained on.'
        )
    work = args.work or Path('runs', 'train', recipe.name)
    with hold(work):
        return _train(args, recipe, version, work)


def _train(args: argparse.Namespace, recipe: Recipe, version: str, work: Path) -> int:
    from kws_imu_ros.decision.table import load_table
    from kws_imu_ros.lab.evaluation.sections import Given, evaluate
    from kws_imu_ros.lab.training.release import (
        bundle_of,
        load_training_data,
        metrics_of,
        model_card,
        quantize_network,
        train_network,
        voice_thresholds,
    )
    from kws_imu_ros.lab.training.stages import StageReached, StageRunner, last_stage
    from kws_imu_ros.model.bundle import write_bundle
    from kws_imu_ros.resources import share_path

    if args.until:
        last_stage(recipe, args.until)
    cache = work / 'decoded_audio'
    data = load_training_data(
        recipe, args.speech, args.gestures, args.activities, cache, args.running_speech
    )
    try:
        runner = StageRunner(recipe, data, work, args.until)
        network = train_network(runner)
        int8 = quantize_network(runner, network)
    except StageReached as reached:
        print(f'stopped after {reached}; its weights are in {work}')
        return 0
    folders = {
        '--speech': args.speech, '--gestures': args.gestures, '--activities': args.activities,
        '--streams': args.streams,
    }  # fmt: skip
    # Where the folders lie is nobody's business but this machine's.
    options = ' '.join(f'{option} {option[2:].upper()}' for option, path in folders.items() if path)
    recipe_name = args.recipe.name if args.recipe else 'release.yaml'
    training_command = f'kws-imu train --recipe {shlex.quote(recipe_name)} {options}'
    if args.running_speech:
        training_command += ' --running-speech RUNNING_SPEECH'
    model = shlex.quote(f'{recipe.name}/{version}')
    command = f'kws-imu evaluate --model {model} {options} --float float32.tflite'
    command += ' --split validation --json'
    gestures = [label for label in recipe.gesture_labels if label != 'none']
    thresholds = {'gesture': dict.fromkeys(gestures, recipe.gesture_threshold)}
    if args.streams:
        thresholds['voice'] = voice_thresholds(
            runner,
            bundle_of(runner, int8, version, training_command, {}),
            args.speech,
            args.streams,
            cache,
        )
    if args.until:
        print(f'stopped after thresholds; they are in {work}')
        return 0
    results = evaluate(
        bundle_of(runner, int8, version, training_command, {}, thresholds),
        load_table(share_path('config', 'policy.yaml')),
        Given(
            speech=args.speech,
            gestures=args.gestures,
            activities=args.activities,
            streams=args.streams,
            cache=cache,
            float_file=work / 'float32.tflite',
        ),
    )
    bundle = bundle_of(
        runner, int8, version, training_command, metrics_of(results, command), thresholds
    )
    card = model_card(bundle, results, command, data.running_speech)
    bundle = write_bundle(args.output, bundle, card)
    for section in ('voice', 'gesture', 'conflict'):
        accuracy = results[section].get('balanced_accuracy' if section == 'gesture' else 'accuracy')
        print(f'{section}: {accuracy:.4f}' if accuracy is not None else f'{section}: no pairs')
    print(f'{bundle.path}: {bundle.manifest.bytes} bytes')
    return 0


def _same(first: Path, second: Path) -> bool:
    """Return whether one folder is the other or lies in it."""
    first, second = first.resolve(), second.resolve()
    return first == second or first in second.parents or second in first.parents
