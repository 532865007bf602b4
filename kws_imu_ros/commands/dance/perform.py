"""`kws-imu dance perform`: the robot dances, in the live graph that `kws-imu run` runs."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from kws_imu_ros.audio.quiet_room import write_quiet_room
from kws_imu_ros.choreography.choreography import BeatTimes, Choreography
from kws_imu_ros.choreography.feasibility import require_danceable
from kws_imu_ros.commands import run as run_verb
from kws_imu_ros.commands.dance.files import beat_times, open_dance
from kws_imu_ros.errors import KwsImuError

QUIET = 'quiet'
# Until the graph stands and after the dance, s.
MARGIN_S = 40.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options: those of `kws-imu run`."""
    parser.add_argument('dance', type=Path, help='choreography file')
    run_verb.add_arguments(parser, QUIET, f'{QUIET} (a room in which nobody speaks), microphone')


def run(args: argparse.Namespace) -> int:
    """Dance; return 0 where the robot danced all of it."""
    dance, table = open_dance(args.dance, args)
    beats = beat_times(args.dance, dance) or BeatTimes(dance.period_ns)
    if not dance.moves:
        raise KwsImuError(f'{args.dance} has no moves; put some in with `kws-imu dance edit`.')
    require_danceable(dance, table)
    if args.input != QUIET:
        return run_verb.run(args, args.dance)
    if args.no_simulation:
        raise KwsImuError(
            'A real robot that dances must hear when somebody says stop: give --input microphone.'
        )
    with tempfile.TemporaryDirectory() as folder:
        args.input = str(_quiet_room(Path(folder), dance, beats))
        return run_verb.run(args, args.dance)


def _quiet_room(folder: Path, dance: Choreography, beats: BeatTimes) -> Path:
    """Write the sound of a quiet room that lasts as long as the dance; return its file."""
    count_in_s = dance.beats_per_bar * dance.period_ns / 1e9
    seconds = count_in_s + (beats.time_ns(dance.end) - beats.time_ns(1.0)) / 1e9 + MARGIN_S
    path = folder / f'{QUIET}.flac'
    write_quiet_room(path, seconds)
    return path
