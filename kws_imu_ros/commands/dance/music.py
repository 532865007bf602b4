"""`kws-imu dance music`: the beats of a sound file, found once."""

from __future__ import annotations

import argparse
from pathlib import Path

from kws_imu_ros.choreography.music import find_beats, save_beats


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument('sound', type=Path, help='wav, flac, ogg or mp3 file')
    parser.add_argument(
        '--output', type=Path, metavar='YAML', help='beat file; default: SOUND.beats.yaml'
    )


def run(args: argparse.Namespace) -> int:
    """Find the beats; return the exit status."""
    tempo, beats_s = find_beats(args.sound)
    path = args.output or args.sound.with_suffix('.beats.yaml')
    save_beats(path, args.sound, tempo, beats_s)
    print(f'{path}: {len(beats_s)} beats, {tempo:.1f} a minute')
    print(f'Write `music: {path.name}` into a choreography in the same folder to dance to it.')
    return 0
