"""`kws-imu dance compose`: each accepted command of a recording becomes a move on a beat."""

from __future__ import annotations

import argparse
from pathlib import Path

from kws_imu_ros.bags.reading import AUDIO_TOPIC, IMU_TOPIC
from kws_imu_ros.choreography.compose import Composer, ComposerOptions
from kws_imu_ros.choreography.file import save_choreography
from kws_imu_ros.commands.dance.files import add_tables, motion_table
from kws_imu_ros.decision.decision import Rule
from kws_imu_ros.errors import KwsImuError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument('dance', type=Path, help='choreography file to write')
    parser.add_argument('--input', type=Path, required=True, help='a bag or a sound file')
    parser.add_argument('--audio-topic', default=AUDIO_TOPIC, help="a bag's audio topic")
    parser.add_argument('--imu-topic', default=IMU_TOPIC, help="a bag's IMU topic")
    parser.add_argument('--name', default='', help='of the dance; default: that of the file')
    parser.add_argument('--tempo', type=float, default=60.0, help='beats a minute (default: 60)')
    parser.add_argument('--metre', type=int, default=4, help='beats a bar (default: 4)')
    parser.add_argument(
        '--resolution', type=float, default=1.0, help='of the grid, beats (default: 1)'
    )
    parser.add_argument(
        '--longest', type=float, default=4.0, help='beats of a move that nothing follows'
    )
    parser.add_argument(
        '--start', type=float, default=0.0, help='s from the start of the input to the count-in'
    )
    parser.add_argument('--force', action='store_true', help='write over a dance that is there')
    parser.add_argument('--policy', default='', help='policy table instead of the shipped one')
    add_tables(parser)


def run(args: argparse.Namespace) -> int:
    """Compose; return 0, or 1 where no command became a move."""
    # Here: what is wrong with the options needs no model.
    from kws_imu_ros.replay.offline import load_controller, load_pipeline, replay_input

    if args.dance.exists() and not args.force:
        raise KwsImuError(f'{args.dance} is there already; give another name, or --force.')
    table = motion_table(args)
    composer = Composer(
        args.name or args.dance.stem,
        args.tempo,
        args.metre,
        ComposerOptions(
            args.resolution,
            args.longest,
            stops=frozenset(name for name, stops in table.effects().stops.items() if stops),
        ),
    )
    composer.start(round(args.start * 1e9))
    for event in replay_input(
        args.input,
        load_pipeline(args.model, args.policy),
        load_controller(args.motion),
        (args.audio_topic, args.imu_topic),
    ):
        if event.kind == 'decision' and event.fields['intent']:
            corrects = event.fields['rule'] == Rule.GESTURE_CORRECTS_VOICE
            print(composer.push(event.fields['intent'], event.time_ns, corrects).sentence)
    dance = composer.finish()
    save_choreography(args.dance, dance)
    print(f'{args.dance}: {len(dance.moves)} moves, {len(dance.phrases)} phrases')
    return 0 if dance.moves else 1
