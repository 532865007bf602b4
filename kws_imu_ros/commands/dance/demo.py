"""`kws-imu dance demo`: a recorded voice sets a dance, a robot dances it, a coach watches."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from kws_imu_ros.commands.dance import compose, perform, score
from kws_imu_ros.resources import share_path

# Those of demo/dance/scenario.yaml: the words fall on the beats of this count.
TEMPO = '60'
START_S = '0'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument('--output', type=Path, metavar='DIR', help='folder to leave things in')
    parser.add_argument('--no-terminal', action='store_true', help='plain lines, nothing live')


def run(args: argparse.Namespace) -> int:
    """Compose and dance; return 0 where the robot danced all of it."""
    output = args.output or Path('runs', time.strftime('%Y-%m-%d-%H-%M-%S'))
    file = output / 'dance.yaml'
    status = _call(
        compose,
        [
            str(file),
            *('--input', str(share_path('demo', 'dance', 'bag')), '--name', 'Dance of the demo'),
            *('--tempo', TEMPO, '--start', START_S, '--force'),
        ],
    )
    if status != 0:
        return status
    plain = ['--no-terminal'] if args.no_terminal else []
    status = _call(perform, [str(file), '--output', str(output), *plain])
    if status in (0, 1):
        _watch(output)
    return status


def _watch(output: Path) -> None:
    """Say what a coach finds of a recorded wrist that dances the same, with two faults."""
    folder = share_path('demo', 'dance')
    print('A pupil dances it with the sensor on the wrist, and the coach says:')
    card = output / 'card.html'
    _call(
        score,
        [
            str(folder / 'arms.yaml'),
            *('--input', str(folder / 'performance'), '--reference', str(folder / 'reference')),
            *('--all', '--html', str(card), '--output', str(card.with_suffix('.json'))),
        ],
    )
    print(f'card of the dance: {card}')


def _call(action: object, arguments: list[str]) -> int:
    """Run another action as its command line would."""
    parser = argparse.ArgumentParser(prog='kws-imu dance')
    action.add_arguments(parser)  # type: ignore[attr-defined]
    status: int = action.run(parser.parse_args(arguments))  # type: ignore[attr-defined]
    return status
