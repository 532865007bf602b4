"""`kws-imu dance edit FILE CHANGE ...`: each change is a verb, and can be undone."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from kws_imu_ros.choreography import edit
from kws_imu_ros.choreography.choreography import BeatTimes, Choreography, Move
from kws_imu_ros.choreography.feasibility import fastest_tempo
from kws_imu_ros.choreography.file import load_choreography
from kws_imu_ros.commands.dance.files import add_tables, motion_table, vocabulary
from kws_imu_ros.commands.dance.show import moves_table
from kws_imu_ros.errors import KwsImuError

Edit = Callable[[Choreography], Choreography]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the changes and their options."""
    parser.add_argument('dance', type=Path, help='choreography file to change')
    add_tables(parser)
    changes = parser.add_subparsers(dest='change', required=True, metavar='CHANGE')

    def change(name: str, summary: str, **numbers: str) -> argparse.ArgumentParser:
        added = changes.add_parser(
            name, help=summary, description=f'{summary[0].upper()}{summary[1:]}.'
        )
        for argument, meaning in numbers.items():
            kind = float if argument in ('beat', 'beats') else int
            added.add_argument(argument, type=kind, help=meaning)
        return added

    insert = change('insert', 'put a move in', beat='where it begins', beats='its length')
    insert.add_argument('--robot', default='', help='intent of the motion table')
    insert.add_argument('--arm', default='', help='gesture of the model')
    insert.add_argument('--reference', default='', help='name of a recorded reference')
    insert.add_argument('--text', default='', help='what people read')
    change('delete', 'take a move out', number='of the move')
    change('move', 'let a move begin elsewhere', number='of the move', beat='where it begins')
    repeated = change('repeat', 'dance moves again', first='number', last='number')
    repeated.add_argument('--times', type=int, default=1, help='further times (default: 1)')
    change('mirror', 'swap left and right')
    stretch = change('stretch', 'give the dance another tempo')
    stretch.add_argument('--tempo', type=float, help='beats a minute; default: what the robot can')
    join = change('join', 'dance another choreography afterwards')
    join.add_argument('other', type=Path, help='choreography file')
    phrase = change('phrase', 'dance a phrase of another choreography afterwards')
    phrase.add_argument('other', type=Path, help='choreography file')
    phrase.add_argument('name', help='of the phrase')
    rename = change('rename', 'give the dance another name')
    rename.add_argument('name', help='of the dance')
    change('undo', 'take the last change back')


def run(args: argparse.Namespace) -> int:
    """Change the file and show it; return the exit status."""
    file = edit.EditedFile(args.dance)
    if args.change == 'undo':
        dance = file.undo()
    else:
        dance = file.apply(_edit(args), load_choreography(args.dance))
    Console().print(moves_table(dance, BeatTimes(dance.period_ns)))
    return 0


def _edit(args: argparse.Namespace) -> Edit:
    """Return the change that was asked for."""
    edits: dict[str, Callable[[argparse.Namespace], Edit]] = {
        'insert': _insert,
        'delete': lambda args: lambda dance: edit.delete(dance, args.number),
        'move': lambda args: lambda dance: edit.move_to(dance, args.number, args.beat),
        'repeat': lambda args: lambda dance: edit.repeat(dance, args.first, args.last, args.times),
        'mirror': lambda args: edit.mirror,
        'stretch': _stretch,
        'join': lambda args: lambda dance: edit.join(dance, load_choreography(args.other)),
        'phrase': lambda args: (
            lambda dance: edit.take_phrase(dance, load_choreography(args.other), args.name)
        ),
        'rename': lambda args: lambda dance: edit.rename(dance, args.name),
    }
    return edits[args.change](args)


def _insert(args: argparse.Namespace) -> Edit:
    known = vocabulary(args, motion_table(args))
    for what, word, words in (
        ('robot', args.robot, known.intents),
        ('arm', args.arm, known.gestures),
    ):
        if word and word not in words:
            raise KwsImuError(f'--{what} {word} is not known; choose from {", ".join(words)}.')
    if args.arm and args.reference:
        raise KwsImuError('A move has an --arm or a --reference, not both.')
    move = Move(args.beat, args.beats, args.robot, args.arm, args.reference, args.text)
    return lambda dance: edit.insert(dance, move)


def _stretch(args: argparse.Namespace) -> Edit:
    def stretched(dance: Choreography) -> Choreography:
        tempo = args.tempo or fastest_tempo(dance, motion_table(args))
        if tempo is None:
            raise KwsImuError(
                f'The robot can dance "{dance.name}" at no tempo; give its moves more beats.'
            )
        return edit.stretch(dance, float(tempo))

    return stretched
