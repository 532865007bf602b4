"""
`kws-imu benchmark`: how fast, how late, how heavy, on this machine.

Progress goes to standard error; the last line of standard output is one JSON object. Each part
stands alone, so `--only inference` takes a second.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kws_imu_ros.benchmark.inference import measure_inference
from kws_imu_ros.benchmark.machine import describe_machine
from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.model.bundle import Bundle, find_bundle, load_bundle
from kws_imu_ros.nodes.runtime.environment import prepare_environment
from kws_imu_ros.resources import share_path, write_whole

Part = Callable[[Bundle, argparse.Namespace], dict[str, Any]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verb."""
    parser.add_argument('--model', default='voice_gesture', help='bundle: a name or a directory')
    parser.add_argument('--bag', type=Path, help='bag to play (default: the demo)')
    parser.add_argument('--scenario', type=Path, help="the bag's scenario (default: the demo's)")
    parser.add_argument(
        '--only', nargs='+', choices=PARTS, metavar='PART', help=f'only these: {", ".join(PARTS)}'
    )
    parser.add_argument(
        '--runtime-python',
        type=Path,
        metavar='PYTHON',
        help='another Python whose runtimes are measured too, such as one with tflite-runtime; '
        'see benchmarks/README.md',
    )
    parser.add_argument(
        '--seconds',
        type=float,
        default=20.0,
        help='how long each live graph is watched for its load (default: 20)',
    )
    parser.add_argument('--output', type=Path, help='also write the JSON to this file')


def run(args: argparse.Namespace) -> int:
    """Measure, print the JSON object, return the exit status."""
    if not 1.0 <= args.seconds <= 600.0:
        raise KwsImuError(f'--seconds {args.seconds:g} makes no sense; give 1 to 600.')
    bundle = load_bundle(find_bundle(args.model))
    result: dict[str, Any] = {'machine': describe_machine(), 'model': _model(bundle)}
    for part in args.only or PARTS:
        _progress(f'{part} ...')
        result[part] = PARTS[part](bundle, args)
    line = json.dumps(result)
    if args.output:
        write_whole(args.output, json.dumps(result, indent=2) + '\n')
    print(line)
    return 0


def _progress(text: str) -> None:
    print(f'benchmark: {text}', file=sys.stderr, flush=True)


def _model(bundle: Bundle) -> dict[str, Any]:
    manifest = bundle.manifest
    return {
        'name': manifest.name,
        'version': manifest.version,
        'bytes': len(bundle.model_bytes),
    }


def _bag(args: argparse.Namespace) -> Path:
    return args.bag or share_path('demo', 'bag')


def _plain(name: str) -> Part:
    """Return a part that runs the plain rooms; a Python that times inference alone lacks them."""

    def measure(bundle: Bundle, args: argparse.Namespace) -> dict[str, Any]:
        hop = importlib.import_module('kws_imu_ros.benchmark.hop')
        more = (_bag(args),) if name == 'measure_offline_replay' else ()
        return getattr(hop, name)(bundle, *more)

    return measure


def _live(name: str, module: str = 'live_graph') -> Part:
    """Return a part that watches the live graph, which needs ROS."""

    def measure(bundle: Bundle, args: argparse.Namespace) -> dict[str, Any]:
        try:
            # Before ROS is imported: some settings end the process in the import.
            prepare_environment()
            graph = importlib.import_module(f'kws_imu_ros.benchmark.{module}')
        except ModuleNotFoundError as error:
            return {'skipped': f'{error.name} is not installed'}
        scenario = args.scenario or share_path('demo', 'scenario.yaml')
        return getattr(graph, name)(bundle, _bag(args), scenario, args.seconds, _progress)

    return measure


PARTS: dict[str, Part] = {
    'inference': lambda bundle, args: measure_inference(bundle, args.runtime_python),
    'front_end': _plain('measure_front_end'),
    'hop': _plain('measure_hop'),
    'offline_replay': _plain('measure_offline_replay'),
    'start_up': _live('measure_start_up'),
    'load': _live('measure_load'),
    'latency': _live('measure_latency'),
    'dance': _live('measure_dance', 'dance'),
}
