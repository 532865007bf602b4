"""`kws-imu dance perform`: the robot dances, in the live graph that `kws-imu run` runs."""

from __future__ import annotations

import argparse
import re
import tempfile
from pathlib import Path

from kws_imu_ros.audio.quiet_room import write_quiet_room
from kws_imu_ros.choreography.choreography import BeatTimes, Choreography
from kws_imu_ros.choreography.feasibility import require_danceable
from kws_imu_ros.commands import run as run_verb
from kws_imu_ros.commands.dance.files import beat_times, open_dance
from kws_imu_ros.decision.table import load_table
from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.resources import share_path, user_path

QUIET = 'quiet'
# What a gesture does by itself or to a word.
HAND_RULES = (
    *('stop_gesture', 'gesture_corrects_voice', 'agreement', 'gesture_alone', 'fused_decides'),
    'conflict',
)
# Until the graph stands and after the dance, s.
MARGIN_S = 40.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options: those of `kws-imu run`."""
    parser.add_argument('dance', type=Path, help='choreography file')
    parser.add_argument(
        '--coach',
        action='store_true',
        help='say of each move of the arm what to change',
    )
    parser.add_argument(
        '--reference', type=Path, help="folder of the teacher's; default: DANCE.reference"
    )
    run_verb.add_arguments(parser, QUIET, f'{QUIET} (a room in which nobody speaks), microphone')


def run(args: argparse.Namespace) -> int:
    """Dance; return 0 where the robot danced all of it."""
    dance, table = open_dance(args.dance, args)
    beats = beat_times(args.dance, dance) or BeatTimes(dance.period_ns)
    if not dance.moves:
        raise KwsImuError(f'{args.dance} has no moves; put some in with `kws-imu dance edit`.')
    require_danceable(dance, table)
    reference = _reference(args) if args.coach else None
    if args.input == QUIET and args.no_simulation:
        raise KwsImuError(
            'A real robot that dances must hear when somebody says stop: give --input microphone.'
        )
    with tempfile.TemporaryDirectory() as folder:
        if args.input == QUIET:
            args.input = str(_quiet_room(Path(folder), dance, beats))
        if any(move.arm or move.reference for move in dance.moves):
            args.policy = str(_policy_of_voice(Path(folder), args.policy))
        return run_verb.run(args, args.dance, reference)


def _reference(args: argparse.Namespace) -> Path:
    """
    Return the folder of the teacher's recordings, which are there.

    Raises:
        KwsImuError: there are none.

    """
    # Here: a dance without a coach needs no library that compares movements.
    from kws_imu_ros.coach.reference import read_index, reference_folder

    folder: Path = args.reference or reference_folder(args.dance)
    read_index(folder)
    return folder


def _policy_of_voice(folder: Path, given: str) -> Path:
    """
    Write a policy in which the hand commands nothing, since it dances; return its file.

    Raises:
        KwsImuError: the policy that was given cannot be read, or has no such rules.

    """
    source = user_path(given) if given else share_path('config', 'policy.yaml')
    load_table(source)  # Says what is wrong with it.
    text = source.read_text(encoding='utf-8')
    for rule in HAND_RULES:
        text, count = re.subn(rf'(?m)^(  {rule}:\n    enabled: )\w+', r'\g<1>false', text)
        if count != 1:
            raise KwsImuError(
                f'The rule {rule} of {source} is not written as in config/policy.yaml, so that the '
                'hand cannot be left out of it; write it so.'
            )
    path = folder / 'policy.yaml'
    path.write_text(text, encoding='utf-8')
    return path


def _quiet_room(folder: Path, dance: Choreography, beats: BeatTimes) -> Path:
    """Write the sound of a quiet room that lasts as long as the dance; return its file."""
    count_in_s = dance.beats_per_bar * dance.period_ns / 1e9
    seconds = count_in_s + (beats.time_ns(dance.end) - beats.time_ns(1.0)) / 1e9 + MARGIN_S
    path = folder / f'{QUIET}.flac'
    write_quiet_room(path, seconds)
    return path
