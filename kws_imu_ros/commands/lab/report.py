"""`kws-imu report RESULT...`: one HTML page with plots, whole without a network."""

from __future__ import annotations

import argparse
from pathlib import Path

from kws_imu_ros.resources import write_whole


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the verb."""
    parser.add_argument(
        'results',
        nargs='+',
        type=Path,
        metavar='RESULT',
        help='result files (.json) of evaluate, compare and experiments, or folders of them',
    )
    parser.add_argument('--out', type=Path, default=Path('report.html'), help='the page to write')
    parser.add_argument('--title', default='Voice and gesture models', help='title of the page')


def run(args: argparse.Namespace) -> int:
    """Write the page; return 0."""
    from kws_imu_ros.lab.report import report

    results = report.read_results(args.results)
    page = report.build_report(results, args.title)
    write_whole(args.out, page)
    print(f'{args.out}: {len(page) / 1000:.0f} kB from {len(results)} result(s)')
    return 0
