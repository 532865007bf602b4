"""`kws-imu dance play`: the dance of a robot that is only computed."""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

from kws_imu_ros.choreography.feasibility import require_danceable
from kws_imu_ros.choreography.rehearsal import rehearse
from kws_imu_ros.commands.dance.files import add_tables, beat_times, open_dance


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument('dance', type=Path, help='choreography file')
    parser.add_argument('--json', action='store_true', help='one JSON object an event')
    parser.add_argument('--picture', type=Path, metavar='PNG', help='draw the path to this file')
    add_tables(parser)


def run(args: argparse.Namespace) -> int:
    """Dance; return 0, or 1 where the robot refused a move."""
    dance, table = open_dance(args.dance, args)
    require_danceable(dance, table)
    steps = list(rehearse(dance, table, beat_times(args.dance, dance)))
    refused = 0
    for step in steps:
        if not step.sent:
            continue
        refused += bool(step.refused)
        pose = {'x': step.pose.x, 'y': step.pose.y, 'yaw': step.pose.yaw}
        fields = {
            't': round(step.time_ns / 1e9, 3),
            'beat': round(step.beat, 4),
            'intent': step.sent,
            **({'refused': step.refused} if step.refused else {}),
            'pose': {name: round(value, 3) for name, value in pose.items()},
        }
        if args.json:
            print(json.dumps(fields))
        else:
            print(
                f'{fields["t"]:7.2f} s  beat {step.beat:6.2f}  {step.sent:<10} '
                f'x {step.pose.x:+.2f} m  y {step.pose.y:+.2f} m  '
                f'{math.degrees(step.pose.yaw):+4.0f} deg  {step.refused}'.rstrip()
            )
    if args.picture:
        from kws_imu_ros.display.dance_picture import save_dance_picture

        save_dance_picture(dance, steps, args.picture)
    return 1 if refused else 0
