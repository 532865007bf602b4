"""`kws-imu dance score`: what a pupil's wrist did of a dance, as a card."""

from __future__ import annotations

import argparse
from pathlib import Path

from kws_imu_ros.choreography.file import load_choreography
from kws_imu_ros.commands.dance.files import beat_times
from kws_imu_ros.commands.dance.record import add_wrist
from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.resources import write_whole


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument('dance', type=Path, help='choreography file')
    parser.add_argument(
        '--input', type=Path, required=True, help='bag or IMU csv file in which the pupil dances'
    )
    add_wrist(parser)
    parser.add_argument(
        '--reference', type=Path, help="folder of the teacher's; default: DANCE.reference"
    )
    parser.add_argument(
        '--last', type=Path, metavar='JSON', help="card of the pupil's own last try"
    )
    parser.add_argument('--output', type=Path, metavar='JSON', help='write the card as JSON')
    parser.add_argument('--html', type=Path, metavar='HTML', help='write the card as a page')
    parser.add_argument(
        '--all', action='store_true', help='tell all of every move, on the page too'
    )
    parser.add_argument('--grade', action='store_true', help='put a grade on the card')
    parser.add_argument(
        '--model', default='', help='bundle whose gestures are seen first; default: the newest'
    )
    parser.add_argument('--without-network', action='store_true', help='compare movements only')


def run(args: argparse.Namespace) -> int:
    """Watch and print; return 0, or 1 where something is to be changed."""
    # Here: the other actions need no library that compares movements.
    from kws_imu_ros.coach import reference, score_card
    from kws_imu_ros.coach.coach import Coach
    from kws_imu_ros.coach.findings import FindingKind
    from kws_imu_ros.coach.recorded import watch_recording

    dance = load_choreography(args.dance)
    folder = args.reference or reference.reference_folder(args.dance)
    samples = reference.read_wrist(args.input, args.imu_topic)
    first_ns = reference.first_beat_ns(args.input, samples, args.first_beat)
    last = score_card.read_card(args.last) if args.last else None
    interpreter = None
    if not args.without_network:
        from kws_imu_ros.model.bundle import find_bundle, load_bundle
        from kws_imu_ros.model.interpreter import Interpreter

        bundle = load_bundle(find_bundle(args.model) if args.model else find_bundle())
        interpreter = Interpreter(bundle)
    coach = Coach(
        dance,
        reference.load_teacher(folder),
        last.tries if last else None,
        interpreter.manifest.labels['gesture'] if interpreter else (),
        beats=beat_times(args.dance, dance),
    )
    findings = watch_recording(coach, samples, first_ns, interpreter)
    if all(finding.kind is FindingKind.NOT_SEEN for finding in findings):
        raise KwsImuError(
            f'{args.input} holds no motion during the dance; say with --first-beat where its first '
            'beat lies.'
        )
    card = score_card.make_score_card(dance, findings, coach.tries, last, coach.notes, args.grade)
    if args.output:
        write_whole(args.output, score_card.to_json(card))
    if args.html:
        write_whole(args.html, score_card.to_html(card, args.all))
    if card.progress:
        print(f'Against your last try: {card.progress}')
    print(f'One thing to change: {card.change}')
    if args.all:
        for finding in findings:
            print(f'{finding.move + 1:3}  {finding.sentence} {finding.posture}'.rstrip())
    for note in card.notes:
        print(note)
    return 0 if all(finding.kind is FindingKind.RIGHT for finding in findings) else 1
