"""`kws-imu compare MODEL...`: bundles and any other .tflite files side by side."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Column, Table

from kws_imu_ros.console.progress import make_progress
from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.lab.evaluation import comparison
from kws_imu_ros.resources import write_whole

# Metrics of a bundle's manifest, with the column that shows them.
ACCURACIES = {'voice_accuracy': 'words', 'gesture_balanced_accuracy': 'gestures'}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the verb."""
    parser.add_argument(
        'models', nargs='+', metavar='MODEL', help="a bundle's folder or name, or a .tflite file"
    )
    parser.add_argument(
        '--runtime',
        choices=('auto', 'litert', 'tflite_runtime'),
        default='auto',
        help='what to run them on; default: the fastest that is installed',
    )
    parser.add_argument('--threads', type=int, default=1, help='threads of one inference')
    parser.add_argument('--rounds', type=int, default=40, help='timings of each model')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write everything as JSON')


def run(args: argparse.Namespace) -> int:
    """Compare and print; return 0."""
    if args.rounds < 1 or not 1 <= args.threads <= 64:
        raise KwsImuError('Give at least one round, and from 1 to 64 threads.')
    candidates = [comparison.load_candidate(model) for model in args.models]
    with make_progress() as bars:
        task = bars.add_task('timing by turns', note='')
        rows, runtime = comparison.compare(
            candidates,
            args.runtime,
            args.threads,
            args.rounds,
            lambda done, total: bars.update(task, completed=done, total=total),
        )
    base = next((row.latency.low for row in rows if row.latency), None)
    # A bundle says how well it understands: without that, speed says nothing.
    measured = [name for name in ACCURACIES if any(name in row.metrics for row in rows)]
    columns = [
        *('bytes', 'gzipped', 'parameters', 'MACs', 'arena', 'quiet us', 'median us', 'speed'),
        *(ACCURACIES[name] for name in measured),
    ]
    table = Table(
        Column('model', overflow='fold'),
        'inputs',
        *(Column(name, justify='right', no_wrap=True) for name in columns),
        title=f'{runtime}, {args.threads} thread(s), {args.rounds} rounds by turns',
    )
    for row in rows:
        timing = ['-', '-', '-']
        if row.latency and base is not None:
            timing = [
                f'{row.latency.low:.1f}',
                f'{row.latency.median:.1f}',
                f'{base / row.latency.low:.2f}x',
            ]
        sizes = (row.bytes, row.gzip_bytes, row.parameters, row.macs, row.arena_bytes)
        known = (row.metrics.get(name) for name in measured)
        accuracies = ('-' if share is None else f'{share:.1%}' for share in known)
        table.add_row(
            row.name, row.precision, *(f'{size:,}' for size in sizes), *timing, *accuracies
        )
    Console(width=None if sys.stdout.isatty() else 140).print(table)
    if measured:
        print(
            'Words and gestures: the share that each bundle understood of people it had not met, '
            'as its manifest says; - where it says nothing.'
        )
    print('Quiet: the 10th percentile, which other work here disturbs least; speed compares it.')
    for row in rows:
        if row.problem:
            print(f'{row.name}: {row.problem}')
    if args.json:
        command = shlex.join(['kws-imu', *sys.argv[1:]])
        data = comparison.to_json(rows, runtime, args.threads, command)
        write_whole(args.json, json.dumps(data, indent=2) + '\n')
    return 0
