"""`kws-imu train`: from folders of recordings and a recipe to a model bundle."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.model.bundle import version_key
from kws_imu_ros.resources import share_path, write_whole

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
    parser.add_argument(
        '--policy',
        type=Path,
        help='the policy that the robot will have: which words stop and what gestures mean; '
        'default: the installed one',
    )
    parser.add_argument('--version', help='version of the bundle; default: that of the recipe')


def run(args: argparse.Namespace) -> int:
    """Train, quantize, evaluate on validation people and write the bundle; return 0."""
    print('train: starting TensorFlow', file=sys.stderr, flush=True)
    from kws_imu_ros.lab.training.recipe import load_recipe
    from kws_imu_ros.lab.training.stages import last_stage
    from kws_imu_ros.lab.training.vocabulary import check_vocabulary
    from kws_imu_ros.lab.training.work_folder import hold

    recipe = load_recipe(args.recipe or share_path('config', 'training', 'release.yaml'))
    recipe, policy = check_vocabulary(recipe, args.policy or share_path('config', 'policy.yaml'))
    if args.until:
        last_stage(recipe, args.until)
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
        return _train(args, version, recipe, policy, work)


def _train(args: argparse.Namespace, version: str, recipe: Recipe, policy: str, work: Path) -> int:
    """Run the recipe in a work folder that is held; policy: text of the robot's."""
    from kws_imu_ros.decision.table import parse_table
    from kws_imu_ros.lab.evaluation.sections import Given, evaluate
    from kws_imu_ros.lab.training.data import Folders, check_folders, load_training_data
    from kws_imu_ros.lab.training.release import (
        TrainingRun,
        bundle_of,
        metrics_of,
        model_card,
        voice_thresholds,
    )
    from kws_imu_ros.lab.training.stages import StageReached, Stages
    from kws_imu_ros.model.bundle import write_bundle

    cache = work / 'decoded_audio'
    folders = Folders(args.speech, args.gestures, args.activities, args.running_speech, cache)
    check_folders(recipe, folders)
    print(f'train: reading the recordings in {folders.speech}', file=sys.stderr, flush=True)
    table = parse_table(policy, str(args.policy or 'The policy'))
    stages = Stages(recipe, work, args.until)
    data = load_training_data(recipe, folders)
    try:
        run = TrainingRun(recipe, table, data, stages)
        int8 = run.quantize(run.train())
    except StageReached as reached:
        print(f'stopped after {reached}; its weights are in {work}')
        return 0
    told = _told_options(args, recipe)
    recipe_name = args.recipe.name if args.recipe else 'release.yaml'
    training_command = f'kws-imu train --recipe {shlex.quote(recipe_name)} {told}'
    if args.running_speech:
        training_command += ' --running-speech RUNNING_SPEECH'
    model = shlex.quote(f'{recipe.name}/{version}')
    command = f'kws-imu evaluate --model {model} {told} --float float32.tflite'
    command += ' --split validation --json'
    gestures = [label for label in recipe.gesture_labels if label != 'none']
    thresholds = {'gesture': dict.fromkeys(gestures, recipe.gesture_threshold)}
    if args.streams:
        bundle = bundle_of(run, int8, version, training_command, {})
        thresholds['voice'] = voice_thresholds(run, bundle, policy, folders, args.streams)
    if args.until:
        print(f'stopped after thresholds; they are in {work}')
        return 0
    results = evaluate(
        bundle_of(run, int8, version, training_command, {}, thresholds),
        table,
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
        run, int8, version, training_command, metrics_of(results, command), thresholds
    )
    card = model_card(bundle, results, command, data.running_speech)
    bundle = write_bundle(args.output, bundle, card)
    for section in ('voice', 'gesture', 'conflict'):
        accuracy = results[section].get('balanced_accuracy' if section == 'gesture' else 'accuracy')
        print(f'{section}: {accuracy:.4f}' if accuracy is not None else f'{section}: no pairs')
    print(f'{bundle.path}: {bundle.manifest.bytes} bytes')
    _tell_how_to_run(args, recipe, policy, args.output / recipe.name / version)
    return 0


def _told_options(args: argparse.Namespace, recipe: Recipe) -> str:
    """Return the folders as options: where they lie is nobody's business but this machine's."""
    folders = {
        '--speech': args.speech, '--gestures': args.gestures, '--activities': args.activities,
        '--streams': args.streams, '--policy': args.policy,
    }  # fmt: skip
    return ' '.join(f'{option} {option[2:].upper()}' for option, path in folders.items() if path)


def _tell_how_to_run(args: argparse.Namespace, recipe: Recipe, policy: str, folder: Path) -> None:
    """Say which policy goes with a vocabulary of one's own; write it where it was made here."""
    path = args.policy
    if recipe.stop_word is not None:
        path = folder.with_name(f'policy-{folder.name}.yaml')
        write_whole(path, policy)
    if path is not None:
        print(
            f'run it with: kws-imu run --model {folder} --policy {path} --motion YOUR_MOTION.yaml'
        )
        print(f'where the motion table knows: {", ".join(recipe.intent_labels[:-1])}')


def _same(first: Path, second: Path) -> bool:
    """Return whether one folder is the other or lies in it."""
    first, second = first.resolve(), second.resolve()
    return first == second or first in second.parents or second in first.parents
