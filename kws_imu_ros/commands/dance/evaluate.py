"""`kws-imu dance evaluate`: faults put into dances of real motion, and what the coach says."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from kws_imu_ros.errors import KwsImuError

WIDTH = 120


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        '--gestures', type=Path, required=True, help='folder of recordings in GRWD layout'
    )
    parser.add_argument(
        '--split',
        choices=('training', 'validation', 'testing', 'all'),
        default='validation',
        help='whose recordings; default: validation, on which no threshold was set',
    )
    parser.add_argument(
        '--model', default='', help='bundle whose gestures are seen first; default: the newest'
    )
    parser.add_argument(
        '--without-network', action='store_true', help='let the coach compare movements only'
    )
    parser.add_argument(
        '--pupils', type=int, default=3, help='people who dance what each teaches (default: 3)'
    )
    parser.add_argument('--seed', type=int, default=0, help='of what is drawn (default: 0)')
    parser.add_argument('--json', action='store_true', help='print one JSON object, nothing else')


def run(args: argparse.Namespace) -> int:
    """Evaluate and print; return 0."""
    # Here: the other actions of `dance` need no lab.
    from kws_imu_ros.console.progress import make_progress
    from kws_imu_ros.lab.data.gesture_data import load_gestures
    from kws_imu_ros.lab.evaluation.coaching import evaluate_coaching
    from kws_imu_ros.model.bundle import find_bundle, load_bundle
    from kws_imu_ros.model.interpreter import Interpreter

    if not 1 <= args.pupils <= 40:
        raise KwsImuError(f'--pupils {args.pupils} makes no sense; give 1 to 40.')
    if args.seed < 0:
        raise KwsImuError(f'--seed {args.seed} is negative; give 0 or more.')
    recordings = load_gestures(args.gestures, args.split)
    interpreter = None
    if not args.without_network:
        bundle = load_bundle(find_bundle(args.model) if args.model else find_bundle())
        interpreter = Interpreter(bundle)
    with make_progress() as progress:
        task = progress.add_task('dances', total=None, note='')
        results = evaluate_coaching(
            recordings,
            interpreter,
            args.pupils,
            args.seed,
            progress=lambda done, total: progress.update(task, completed=done, total=total),
        )
    if not args.json:
        print_results(results)
    print(json.dumps({'kind': 'coaching', 'split': args.split, **results}))
    return 0


def print_results(results: dict[str, Any]) -> None:
    """Print the confusion for people."""
    # Nine findings stand side by side.
    console = Console(file=sys.stdout, width=WIDTH)
    for title, result in (
        ('second try: the coach knows the first', results),
        ('first try: the coach knows nothing of the pupil', results['first_try']),
    ):
        columns = sorted({kind for row in result['confusion'].values() for kind in row})
        table = Table('fault', *columns, title=f'Findings by fault, {title}')
        for fault, row in result['confusion'].items():
            table.add_row(fault, *(str(row.get(kind, '')) for kind in columns))
        console.print(table)
        print(
            f'named right {result["named_right"]:.1%} of {result["faults"]} faults; false findings '
            f'{result["false_findings"]:.1%} of {result["faultless_moves"]} moves of faultless '
            f'dances; median error of the timing {result["median_timing_error_ms"]:.0f} ms; tempo '
            f'within 1 beat a minute after four moves in {result["tempo_within_1"]:.1%}'
        )
    print(
        f'{results["dances"]} dances by {len(results["people"])} people; {results["usable"]} of '
        f'{results["recordings"]} recordings hold one whole movement'
    )
