"""What the actions of `kws-imu dance` share: opening a dance with what robot and arm know."""

from __future__ import annotations

import argparse
from pathlib import Path

from kws_imu_ros.choreography.choreography import BeatTimes, Choreography
from kws_imu_ros.choreography.file import Vocabulary, load_choreography
from kws_imu_ros.choreography.music import load_beats
from kws_imu_ros.motion.profiles import MotionTable, load_motion_table
from kws_imu_ros.resources import share_path


def add_tables(parser: argparse.ArgumentParser) -> None:
    """Declare where the words of a dance come from."""
    parser.add_argument('--model', default='', help='bundle: its folder, or its name in models/')
    parser.add_argument('--motion', default='', help='motion table instead of the shipped one')


def motion_table(args: argparse.Namespace) -> MotionTable:
    """Return the motion table that was asked for."""
    return load_motion_table(args.motion or share_path('config', 'motion.yaml'))


def vocabulary(args: argparse.Namespace, table: MotionTable) -> Vocabulary:
    """Return what robot and arm know, by motion table and bundle."""
    from kws_imu_ros.model.bundle import find_bundle, load_bundle

    bundle = load_bundle(find_bundle(args.model) if args.model else find_bundle())
    return Vocabulary(tuple(table.intents), tuple(bundle.manifest.labels['gesture']))


def open_dance(path: Path, args: argparse.Namespace) -> tuple[Choreography, MotionTable]:
    """Return a dance whose words are known, with the motion table."""
    table = motion_table(args)
    return load_choreography(path, vocabulary(args, table)), table


def beat_times(path: Path, dance: Choreography) -> BeatTimes | None:
    """Return the beats of a dance's music, None where it has none."""
    return load_beats(path.parent / dance.music) if dance.music else None
