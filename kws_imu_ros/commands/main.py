"""
The command line for people: `kws-imu VERB ...`, also `python -m kws_imu_ros VERB ...`.

A verb is a module with `add_arguments(parser)` and `run(args) -> int`, imported only when its verb
is called: `kws-imu doctor` needs neither ROS nor TensorFlow.
"""

from __future__ import annotations

import argparse
import importlib
import io
import logging
import os
import signal
import sys
from collections.abc import Sequence
from types import ModuleType

from kws_imu_ros import __version__
from kws_imu_ros.commands.arguments import Parser
from kws_imu_ros.errors import KwsImuError, as_user_error
from kws_imu_ros.resources import PACKAGE

VERBS = {
    'run': ('commands.run', 'drive the robot: the bundled demo, a microphone, a file or a bag'),
    'replay': ('commands.replay', 'play a bag into the topics, or offline into the pipeline'),
    'dance': ('commands.dance', 'set a dance by voice, edit it, let the robot dance it'),
    'doctor': ('commands.doctor', 'say what this machine has and what is missing'),
    'benchmark': ('commands.benchmark', 'measure speed, latency and memory on this machine'),
    'data': ('commands.lab.data', 'fetch public data sets, check folders of data'),
    'train': ('commands.lab.train', 'train a model and export its bundle'),
    'evaluate': ('commands.lab.evaluate', 'measure a model on folders of recordings'),
    'compare': ('commands.lab.compare', 'set models side by side'),
    'report': ('commands.lab.report', 'write a report of experiments'),
    'models': ('commands.lab.models', 'list, check and describe model bundles'),
    'export': ('commands.lab.export', 'export a model as C for TensorFlow Lite Micro'),
    'experiment': ('commands.lab.experiment', 'run an experiment of the lab again'),
}
EXIT_ERROR = 2
EXIT_INTERRUPTED = 128 + signal.SIGINT


def main(argv: Sequence[str] | None = None) -> int:
    """
    Run the command line; return the exit status.

    0: done (and, where something was expected, it happened); 1: done, but not as expected; 2: a
    problem that the user can act on, told in one sentence; 130: interrupted.
    """
    _print_any_name()
    _plot_to_files()
    arguments = list(sys.argv[1:] if argv is None else argv)
    verb = next((item for item in arguments if not item.startswith('-')), None)
    try:
        # Only the verb's own module is imported, so its options are known only when it is called.
        parser = _parser(verb if verb in VERBS else None)
        args = parser.parse_args(arguments)
        if args.verb is None:
            parser.print_help()
            return 0
        return args.run(args)
    except KeyboardInterrupt:
        print('kws-imu: interrupted', file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader (`| head`) has seen enough; keep the interpreter's own flush quiet as well.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (KwsImuError, OSError, UnicodeError) as error:
        problem = as_user_error(error)
        if problem is None:
            raise
        print(f'kws-imu: {problem}', file=sys.stderr)
        return EXIT_ERROR


def _print_any_name() -> None:
    """Let names be printed that are not UTF-8, or that this terminal has no characters for."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors='backslashreplace')


def _plot_to_files() -> None:
    """Let no verb look for windows or notebooks: here every plot goes into a file."""
    # A notebook's kernel sets a backend that is not there for anybody else.
    os.environ['MPLBACKEND'] = 'agg'
    # What it says of its caches is nobody's news.
    logging.getLogger('matplotlib').setLevel(logging.ERROR)


def _parser(chosen: str | None) -> argparse.ArgumentParser:
    parser = Parser(
        prog='kws-imu',
        description='Voice and wrist-gesture control of educational robots on ROS 2.',
        epilog='kws-imu VERB --help tells the options of a verb.',
    )
    parser.add_argument('--version', action='version', version=f'kws-imu {__version__}')
    verbs = parser.add_subparsers(dest='verb', metavar='VERB')
    for verb, (module_name, summary) in VERBS.items():
        verb_parser = verbs.add_parser(
            verb, help=summary, description=f'{summary[0].upper()}{summary[1:]}.'
        )
        if verb == chosen:
            module = _import(verb, module_name)
            module.add_arguments(verb_parser)
            verb_parser.set_defaults(run=module.run)
    return parser


def _import(verb: str, module_name: str) -> ModuleType:
    """
    Import the module of a verb.

    Raises:
        KwsImuError: something that this verb needs is not installed.

    """
    try:
        return importlib.import_module(f'{PACKAGE}.{module_name}')
    except ModuleNotFoundError as error:
        raise KwsImuError(
            f'`kws-imu {verb}` needs the Python module {error.name}, which is not installed here; '
            'install it, or see `kws-imu doctor`.'
        ) from error


if __name__ == '__main__':
    sys.exit(main())
