"""`kws-imu data fetch NAME`, `kws-imu data running-speech DIR` and `kws-imu data check DIR`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import TaskID
from rich.table import Column, Table

from kws_imu_ros.console.progress import make_progress
from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.lab.data import data_fetch, running_speech_fetch
from kws_imu_ros.resources import write_whole


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the actions and their options."""
    actions = parser.add_subparsers(dest='action', required=True, metavar='ACTION')
    fetch = actions.add_parser(
        'fetch', help='download a public data set', description='Download a public data set.'
    )
    fetch.add_argument('name', nargs='?', help='the data set; without it, the names are listed')
    fetch.add_argument(
        '--to',
        type=Path,
        default=Path(os.environ.get('KWS_IMU_DATA') or 'data'),
        help='folder to put it in (default: $KWS_IMU_DATA, else ./data)',
    )
    fetch.add_argument('--mirror', metavar='URL', help='take the archive from this folder instead')
    fetch.add_argument('--keep-archive', action='store_true', help='do not remove the archive')
    running = actions.add_parser(
        'running-speech',
        help='gather hours of people talking from the Debian or Ubuntu archive',
        description='Gather hours of people talking, for --running-speech of `kws-imu train`, from '
        'packages of the Debian or Ubuntu archive (about 520 MB to download).',
    )
    running.add_argument('directory', type=Path, help='folder to put it in')
    check = actions.add_parser(
        'check',
        help='count recordings and list what is wrong with them',
        description='Count recordings and list what is wrong with them: silent, clipped, '
        'duplicate or truncated clips, wrong rates, corrupt rows, missing files.',
    )
    check.add_argument('directory', type=Path, help='a folder of recordings, or of such folders')
    check.add_argument('--plot', type=Path, metavar='PNG', help='draw counts and levels')
    check.add_argument('--json', type=Path, metavar='FILE', help='write every finding as JSON')
    check.add_argument('--all', action='store_true', help='print every finding, not the first ten')


def run(args: argparse.Namespace) -> int:
    """Run the action; return 0, or 1 where `check` found something wrong."""
    actions = {'fetch': _fetch, 'running-speech': _running_speech, 'check': _check}
    return actions[args.action](args)


def _running_speech(args: argparse.Namespace) -> int:
    """Gather running speech and say whom to thank."""
    with make_progress() as bars:
        tasks: dict[str, TaskID] = {}

        def show(name: str, done: int, total: int) -> None:
            if name not in tasks:
                tasks[name] = bars.add_task(name, note='')
            bars.update(tasks[name], completed=done, total=total)

        count = running_speech_fetch.fetch_running_speech(args.directory, show)
    print(f'{count} recordings of running speech: {args.directory}')
    for package in running_speech_fetch.PACKAGES:
        print(f'{package.name}: {package.credit}.')
    return 0


def _fetch(args: argparse.Namespace) -> int:
    """Download a data set, or list what there is."""
    if not args.name:
        table = Table(Column('name', no_wrap=True), 'what', 'download', 'licence and credit')
        for data_set in data_fetch.DATA_SETS.values():
            size = f'{data_set.bytes / 1e6:,.0f} MB' if data_set.bytes else 'not stated'
            table.add_row(data_set.name, data_set.title, size, data_set.licence)
        Console(width=None if sys.stdout.isatty() else 160).print(table)
        return 0
    data_set = data_fetch.find_data_set(args.name)
    with make_progress() as bars:
        tasks: dict[str, TaskID] = {}

        def show(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(f'{stage} {data_set.name}', note='')
            bars.update(tasks[stage], completed=done, total=total or None)

        folder = data_fetch.fetch(data_set, args.to, args.mirror, args.keep_archive, show)
    print(f'{data_set.title}: {folder}')
    print(f'Licence and credit: {data_set.licence}.')
    print(f'Look at it with: kws-imu data check {folder}')
    return 0


def _check(args: argparse.Namespace) -> int:
    """Print counts and findings of a folder."""
    from kws_imu_ros.lab.data import data_check

    labels = _shipped_labels()
    with make_progress() as bars:
        task = bars.add_task('read', note='')
        report = data_check.check(
            args.directory,
            lambda done, total: bars.update(task, completed=done, total=total),
            labels.get('voice', ()),
            labels.get('gesture', ()),
        )
    print(data_check.to_text(report, None if args.all else 10))
    if args.json:
        write_whole(args.json, json.dumps(data_check.to_json(report), indent=2) + '\n')
        print(f'Every finding: {args.json}')
    if args.plot:
        data_check.plot(report, args.plot)
        print(f'Plot: {args.plot}')
    return 1 if report.findings else 0


def _shipped_labels() -> Mapping[str, Sequence[str]]:
    """Return the labels of the installed model by head, {} where there is none."""
    from kws_imu_ros.model.bundle import find_bundle, load_bundle

    try:
        return load_bundle(find_bundle()).manifest.labels
    except KwsImuError:
        return {}  # Spelling cannot be judged; all else can.
