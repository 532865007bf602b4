"""`kws-imu dance show`: the moves of a dance, and whether the robot can dance it."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console
from rich.table import Table

from kws_imu_ros.choreography.choreography import BeatTimes, Choreography
from kws_imu_ros.choreography.feasibility import require_danceable
from kws_imu_ros.commands.dance.files import add_tables, beat_times, open_dance


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument('dance', type=Path, help='choreography file')
    add_tables(parser)


def run(args: argparse.Namespace) -> int:
    """Show the dance; return 0, or 2 by an error where the robot cannot dance it."""
    dance, motion = open_dance(args.dance, args)
    beats = beat_times(args.dance, dance) or BeatTimes(dance.period_ns)
    Console().print(moves_table(dance, beats))
    require_danceable(dance, motion)
    return 0


def moves_table(dance: Choreography, beats: BeatTimes) -> Table:
    """Return the moves for the terminal."""
    seconds = (beats.time_ns(dance.end) - beats.time_ns(1.0)) / 1e9
    title = (
        f'{dance.name}: {len(dance.moves)} moves, {dance.beats_per_minute:g} beats a minute, '
        f'{dance.beats_per_bar} a bar, {seconds:.1f} s'
    )
    table = Table('', 'phrase', 'beat', 'beats', 's', 'robot', 'arm', 'text', title=title)
    for number, move in enumerate(dance.moves, 1):
        arm = move.arm or (f'as recorded: {move.reference}' if move.reference else '')
        start_s = (beats.time_ns(move.beat) - beats.time_ns(1.0)) / 1e9
        row = (f'{move.beat:g}', f'{move.beats:g}', f'{start_s:.2f}', move.robot, arm, move.text)
        table.add_row(str(number), dance.phrase_of(move), *row)
    return table
