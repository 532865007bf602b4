"""`kws-imu evaluate`: measure a bundle on folders of recordings."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from kws_imu_ros.decision.table import load_table
from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.lab.evaluation.energy import CORE_WATTS
from kws_imu_ros.lab.evaluation.sections import SECTIONS, Given, evaluate
from kws_imu_ros.model.bundle import find_bundle, load_bundle
from kws_imu_ros.resources import share_path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the verb."""
    parser.add_argument(
        '--model', default='voice_gesture', help='bundle folder, or name of an installed model'
    )
    parser.add_argument('--speech', type=Path, help='folder in Speech Commands layout')
    parser.add_argument('--gestures', type=Path, help='folder in GRWD layout')
    parser.add_argument('--activities', type=Path, help='folder in the layout of UCI HAPT or HAR')
    parser.add_argument(
        '--streams',
        type=Path,
        help='folder of ordinary speech without commands: false accepts per hour',
    )
    parser.add_argument(
        '--float',
        type=Path,
        metavar='FILE',
        help='the same network in float32, as training leaves it in its work folder: what int8 '
        'costs',
    )
    parser.add_argument(
        '--activity-model',
        type=Path,
        metavar='FILE',
        help='.tflite of the experiment on human activity, judged on --activities',
    )
    parser.add_argument(
        '--only',
        nargs='+',
        choices=SECTIONS,
        metavar='SECTION',
        help='only these of all that the folders allow: '
        + '; '.join(f'{name} ({what})' for name, (what, _) in SECTIONS.items()),
    )
    parser.add_argument('--policy', type=Path, help='policy file; default: the installed one')
    parser.add_argument(
        '--split',
        choices=('training', 'validation', 'testing', 'all'),
        default='validation',
        help='whose recordings; default: validation',
    )
    parser.add_argument('--cache', type=Path, help='folder for decoded audio, to be faster twice')
    parser.add_argument(
        '--runtime-python',
        type=Path,
        metavar='PYTHON',
        help='another Python whose runtimes are timed too, such as one with tflite-runtime; see '
        'benchmarks/README.md',
    )
    parser.add_argument(
        '--core-watts',
        type=float,
        metavar='W',
        help='what a busy core takes beyond an idle one, for the estimate of energy; default: '
        'that of a Raspberry Pi 4',
    )
    parser.add_argument('--json', action='store_true', help='print one JSON object, nothing else')


def run(args: argparse.Namespace) -> int:
    """Evaluate and print; return 0."""
    if not (args.speech or args.gestures or args.activities or args.only):
        raise KwsImuError('Nothing to evaluate on; give --speech, --gestures or --activities.')
    if args.core_watts is not None and not 0.0 < args.core_watts <= 1000.0:
        raise KwsImuError(f'--core-watts {args.core_watts:g} makes no sense; give 0.1 to 100.')
    given = Given(
        speech=args.speech,
        gestures=args.gestures,
        activities=args.activities,
        streams=args.streams,
        split=args.split,
        float_file=args.float,
        activity_model=args.activity_model,
        cache=args.cache,
        runtime_python=args.runtime_python,
        core_watts=CORE_WATTS if args.core_watts is None else args.core_watts,
    )
    bundle = load_bundle(find_bundle(args.model))
    table = load_table(args.policy or share_path('config', 'policy.yaml'))
    results = evaluate(bundle, table, given, args.only)
    if args.json:
        print(json.dumps(results))
    else:
        _print_table(results)
    return 0


def _print_table(results: dict[str, Any]) -> None:
    """Print the numbers for people."""
    console = Console(file=sys.stdout)
    table = Table(title=f'{results["model"]["name"]} {results["model"]["version"]}')
    table.add_column('what')
    table.add_column('value', justify='right')
    for section, values in results.items():
        if isinstance(values, dict):
            for name, value in _numbers(values):
                table.add_row(f'{section}: {name}', value)
    console.print(table)


def _numbers(values: dict[str, Any], path: str = '') -> list[tuple[str, str]]:
    """Return the plain numbers of a section, and of what is in it, as text."""
    found = []
    for name, value in values.items():
        where = f'{path}{name}'
        if isinstance(value, bool) or name in ('det', 'det_by_label', 'confusion', 'machine'):
            continue
        if isinstance(value, float):
            # Seconds and joules are small; shares are not.
            found.append((where, f'{value:.4f}' if abs(value) >= 0.01 else f'{value:.4g}'))
        elif isinstance(value, int):
            found.append((where, str(value)))
        elif isinstance(value, dict) and name not in ('series', 'recall_by_level'):
            found += _numbers(value, f'{where} ')
    return found
