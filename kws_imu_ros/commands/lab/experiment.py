"""`kws-imu experiment`: run a committed experiment again and write its result."""

from __future__ import annotations

import argparse
import importlib
import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from kws_imu_ros.commands.arguments import Parser
from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.lab.experiments import EXPERIMENTS
from kws_imu_ros.resources import write_whole

# Where these lie changes nothing in a result.
UNTOLD = ('work', 'cache')


class _ExperimentParser(Parser):
    """A parser that imports its experiment only when that is the one to be run."""

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.experiment: ModuleType | None = None

    def parse_known_args(
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Declare the experiment's options, then parse."""
        if self.experiment is None:
            experiment = importlib.import_module(EXPERIMENTS[self.prog.split()[-1]][0])
            _add_common_arguments(self, getattr(experiment, 'NEEDS_SPEECH', True))
            experiment.add_arguments(self)
            self.set_defaults(experiment=experiment, parser=self)
            self.experiment = experiment
        return super().parse_known_args(args, namespace)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the experiments, each with its options."""
    names = parser.add_subparsers(
        dest='name', metavar='NAME', required=True, parser_class=_ExperimentParser
    )
    for name, (_, question) in EXPERIMENTS.items():
        names.add_parser(name, help=question, description=f'{question[0].upper()}{question[1:]}.')


def _add_common_arguments(parser: argparse.ArgumentParser, speech: bool) -> None:
    """Declare the options that every experiment has, and those of the ones that need speech."""
    if speech:
        parser.add_argument(
            '--speech', type=Path, required=True, help='folder in Speech Commands layout'
        )
        parser.add_argument(
            '--cache', type=Path, help='folder for decoded audio, to be faster twice'
        )
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the result there, too')
    parser.add_argument(
        '--work',
        type=Path,
        help='folder for checkpoints and trained stages; default: runs/experiments/NAME',
    )
    parser.add_argument(
        '--steps', type=int, help='steps of every training, to try an experiment out'
    )
    parser.add_argument('--seed', type=int, default=1, help='of weights and batches; default: 1')


def run(args: argparse.Namespace) -> int:
    """Run an experiment, print its result as JSON on the last line; return 0."""
    from kws_imu_ros.lab.experiments.voice_lab import VoiceLab

    if args.steps is not None and args.steps < 1:
        raise KwsImuError(f'--steps is {args.steps}; a training needs at least one.')
    if args.json and not args.json.absolute().parent.is_dir():
        raise KwsImuError(f'{args.json.parent} is no folder; make it, then run this again.')
    args.work = args.work or Path('runs', 'experiments', args.name)
    speech = getattr(args.experiment, 'NEEDS_SPEECH', True)
    lab = VoiceLab(args.speech, args.work, args.cache, args.seed) if speech else None
    result = args.experiment.run(lab, args)
    command = {'command': command_of(args)}
    # Several tables and plots of one run are a list, as a result file may be.
    many = isinstance(result, list)
    result = [{**part, **command} for part in result] if many else {**result, **command}
    text = json.dumps(result)
    if args.json:
        write_whole(args.json, json.dumps(result, indent=1) + '\n')
        print(f'written to {args.json}', file=sys.stderr)
    print(text)
    return 0


def command_of(args: argparse.Namespace) -> str:
    """Return the command line that makes a result again, folders by their names alone."""
    words = ['kws-imu', 'experiment', args.name]
    for action in args.parser._actions:
        value = getattr(args, action.dest, None)
        if not action.option_strings or action.dest in UNTOLD or value in (None, action.default):
            continue
        words.append(action.option_strings[-1])
        if isinstance(value, Path):
            # Where the folders lie is nobody's business but this machine's.
            value = value.name if value.is_absolute() or '..' in value.parts else value
        if action.nargs != 0:
            words += map(str, value) if isinstance(value, list | tuple) else [str(value)]
    return shlex.join(words)
