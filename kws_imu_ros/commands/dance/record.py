"""`kws-imu dance record`: keep how the teacher's wrist moves, cut at the beats."""

from __future__ import annotations

import argparse
from pathlib import Path

from kws_imu_ros.bags.reading import IMU_TOPIC
from kws_imu_ros.choreography.file import load_choreography
from kws_imu_ros.commands.dance.files import beat_times
from kws_imu_ros.errors import KwsImuError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument('dance', type=Path, help='choreography file')
    parser.add_argument(
        '--input', type=Path, help='bag or IMU csv file in which the teacher dances it once'
    )
    add_wrist(parser)
    parser.add_argument('--reference', type=Path, help='folder; default: DANCE.reference')
    parser.add_argument(
        '--delete', action='store_true', help='delete the reference with all its recordings'
    )


def add_wrist(parser: argparse.ArgumentParser) -> None:
    """Declare how a recording of a wrist lies in time."""
    parser.add_argument('--imu-topic', default=IMU_TOPIC, help="a bag's IMU topic")
    parser.add_argument(
        '--first-beat',
        type=float,
        metavar='S',
        help='s from the first sample to beat 1; default: by the topic `beat` of the bag',
    )


def run(args: argparse.Namespace) -> int:
    """Record or delete; return 0."""
    # Here: the other actions need no library that compares movements.
    from kws_imu_ros.coach import reference

    folder = args.reference or reference.reference_folder(args.dance)
    if args.delete:
        takes = reference.delete_reference(folder)
        print(f'{folder}: {takes} takes deleted')
        return 0
    if args.input is None:
        raise KwsImuError('--input is missing: give the recording in which the teacher dances.')
    dance = load_choreography(args.dance)
    samples = reference.read_wrist(args.input, args.imu_topic)
    first_ns = reference.first_beat_ns(args.input, samples, args.first_beat)
    spans = reference.cut_spans(dance, first_ns, beat_times(args.dance, dance))
    entry = reference.add_take(folder, dance.name, samples, spans)
    teacher = reference.load_teacher(folder)
    print(f'{folder / entry.bag}: {len(spans)} moves')
    for name in dict.fromkeys(span.name for span in spans):
        if not teacher.knows(name):
            print(f'In no take the wrist moved for "{name}"; record it again.')
    return 0
