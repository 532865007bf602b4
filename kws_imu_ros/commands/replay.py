"""
`kws-imu replay`: a bag in real time into the topics, or offline into the pipeline.

Offline, the result is deterministic to the byte: with --json one object an event and a summary go
to standard output, and how long it took to standard error.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from kws_imu_ros.bags.reading import AUDIO_TOPIC, IMU_TOPIC, sensor_topics, summarize_bag
from kws_imu_ros.errors import KwsImuError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's options."""
    parser.add_argument('bag', type=Path, help='folder of a rosbag2, or its .mcap or .db3 file')
    parser.add_argument('--audio-topic', default=AUDIO_TOPIC, help="the bag's audio topic")
    parser.add_argument('--imu-topic', default=IMU_TOPIC, help="the bag's IMU topic")
    offline = parser.add_argument_group('offline')
    offline.add_argument(
        '--offline', action='store_true', help='straight into the pipeline, without ROS'
    )
    offline.add_argument('--json', action='store_true', help='one JSON object an event')
    offline.add_argument('--model', default='', help='bundle: its folder or its name in models/')
    offline.add_argument('--policy', default='', help='policy table instead of the shipped one')
    offline.add_argument('--motion', default='', help='motion table instead of the shipped one')
    offline.add_argument(
        '--scenario', type=Path, help='what to expect; default: scenario.yaml beside the bag'
    )
    offline.add_argument('--picture', type=Path, metavar='PNG', help='draw the path to this file')
    live = parser.add_argument_group('into the topics')
    live.add_argument('--rate', type=float, default=1.0, help='multiple of real time')
    live.add_argument('--loop', action='store_true', help='start again at the end')
    live.add_argument('--clock', action='store_true', help="publish the bag's time on /clock")
    live.add_argument(
        '--stamps',
        choices=('auto', 'now', 'bag'),
        default='auto',
        help='move stamps to now, or leave them; auto: bag with --clock, now without',
    )
    live.add_argument(
        '--topics', nargs='+', default=[], metavar='TOPIC', help='further topics to play'
    )


def run(args: argparse.Namespace) -> int:
    """Replay; return the exit status (1 when a scenario's expectations are not met)."""
    summary = summarize_bag(args.bag)
    sensor_topics(summary, args.audio_topic, args.imu_topic)
    if args.offline:
        return _offline(args, summary.duration_s)
    if args.json or args.picture or args.model or args.policy or args.motion or args.scenario:
        raise KwsImuError(
            'The options --json, --picture, --model, --policy, --motion and --scenario belong to '
            '--offline; add it, or use `kws-imu run --input BAG`.'
        )
    return _live(args)


def _live(args: argparse.Namespace) -> int:
    from kws_imu_ros.nodes.runtime.environment import prepare_environment

    # Before ROS is imported: some settings end the process in the import.
    prepare_environment()
    from kws_imu_ros.nodes import replay_node

    parameters = {
        'bag': str(args.bag),
        'audio_topic': args.audio_topic,
        'imu_topic': args.imu_topic,
        'rate': args.rate,
        'loop': args.loop,
        'publish_clock': args.clock,
        'stamps': args.stamps,
        'topics': args.topics or [''],
    }
    arguments = ['--ros-args']
    for name, value in parameters.items():
        # JSON is YAML that no shell and no type guess can bend.
        arguments += ['-p', f'{name}:={json.dumps(value)}']
    return replay_node.main(arguments)


def _offline(args: argparse.Namespace, duration_s: float) -> int:
    # Here, so that a bag that cannot be read is refused before the model is loaded.
    from kws_imu_ros.replay.offline import (
        judgement_fields,
        load_controller,
        load_pipeline,
        replay_offline,
    )
    from kws_imu_ros.replay.run_log import RunLog
    from kws_imu_ros.replay.scenario import judge, load_scenario

    beside = args.bag.parent / 'scenario.yaml'
    scenario_path = args.scenario or (beside if beside.is_file() else None)
    log = RunLog(load_scenario(scenario_path) if scenario_path else None)
    pipeline = load_pipeline(args.model, args.policy)
    controller = load_controller(args.motion)
    started = time.perf_counter()
    judgement = None
    for event in replay_offline(
        args.bag, pipeline, controller, log, args.audio_topic, args.imu_topic
    ):
        if event.kind == 'summary' and log.scenario is not None:
            judgement = judge(log.scenario, log.judged_commands(), log.motions)
            event.fields['scenario'] = judgement_fields(judgement)
        print(event.to_json() if args.json else event.to_line())
    elapsed = time.perf_counter() - started
    sys.stdout.flush()
    print(
        f'{duration_s:.1f} s of bag in {elapsed:.2f} s, {duration_s / elapsed:.0f} times real time',
        file=sys.stderr,
    )
    if args.picture:
        from kws_imu_ros.display.picture import save_picture

        save_picture(log, args.picture, judgement)
    return 0 if judgement is None or judgement.passed else 1
