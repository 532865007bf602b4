"""
`kws-imu benchmark`: how fast, how late, how heavy, on this machine.

Progress goes to standard error; the last line of standard output is one JSON object. Each part
stands alone, so `--only inference` takes a second. The parts that watch the live graph are in
benchmark_graph.py.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import kws_imu_ros
from kws_imu_ros.audio.block import AudioBlock
from kws_imu_ros.audio.frontend import LogMelStream
from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.imu.sample import ImuSample
from kws_imu_ros.model.bundle import Bundle, find_bundle, load_bundle
from kws_imu_ros.model.interpreter import RUNTIMES, Interpreter
from kws_imu_ros.resources import share_path

SAMPLE_RATE = 16000
BLOCK = 320  # 20 ms: what the microphone publishes, and one frame of the front end.


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
        try:
            args.output.write_text(json.dumps(result, indent=2) + '\n', encoding='utf-8')
        except OSError as error:
            raise KwsImuError(f'{args.output} cannot be written: {error.strerror}.') from error
    print(line)
    return 0


def _progress(text: str) -> None:
    print(f'benchmark: {text}', file=sys.stderr, flush=True)


def describe_machine() -> dict[str, Any]:
    """Return what one must know of a machine to read its numbers."""
    name = platform.processor() or platform.machine()
    try:
        for line in Path('/proc/cpuinfo').read_text(encoding='utf-8').splitlines():
            if line.startswith(('model name', 'Model')):
                name = line.split(':', 1)[1].strip()
                break
    except OSError:
        pass
    return {
        'processor': name,
        'cores': os.cpu_count(),
        'load_before': round(os.getloadavg()[0], 2),
        'python': platform.python_version(),
        'numpy': np.__version__,
    }


def _model(bundle: Bundle) -> dict[str, Any]:
    manifest = bundle.manifest
    return {
        'name': manifest.name,
        'version': manifest.version,
        'bytes': len(bundle.model_bytes),
    }


def summarize_times(seconds: list[float], unit: float, digits: int = 2) -> dict[str, float]:
    """Return median and 95th percentile of times in seconds, in units of `unit` seconds."""
    values = np.asarray(seconds) / unit
    return {
        'median': round(float(np.median(values)), digits),
        'p95': round(float(np.percentile(values, 95)), digits),
        'count': len(values),
    }


def _duration(function: Callable[[], Any]) -> float:
    begin = time.perf_counter()
    function()
    return time.perf_counter() - begin


def _source() -> str:
    """Return what a child process needs in PYTHONPATH to import this very package."""
    return str(Path(kws_imu_ros.__file__).resolve().parent.parent)


def _times(function: Callable[[], Any], count: int) -> list[float]:
    """Return the duration in seconds of each of `count` calls, after a few to warm up."""
    for _ in range(10):
        function()
    return [_duration(function) for _ in range(count)]


# Inference


def _inference(bundle: Bundle, args: argparse.Namespace) -> dict[str, Any]:
    return measure_inference(bundle, args.runtime_python)


def measure_inference(bundle: Bundle, runtime_python: Path | None = None) -> dict[str, Any]:
    """
    Time one inference on one thread, for each runtime that is installed.

    `invoke_us` is the network alone; `infer_us` adds turning real values into int8 and back.
    runtime_python: another Python, whose runtimes are measured where this one lacks them.

    Raises:
        KwsImuError: the other Python could not measure.

    """
    rng = np.random.default_rng(0)
    front_end = bundle.manifest.front_end
    log_mel = rng.uniform(-13.8, 2.0, (front_end.frames, front_end.mel_bins)).astype(np.float32)
    imu = rng.normal(0.0, 3.0, (bundle.manifest.imu.length, 6)).astype(np.float32)
    results: dict[str, Any] = {}
    for runtime, (module, package) in RUNTIMES.items():
        try:
            native = importlib.import_module(module).Interpreter(
                model_content=bundle.model_bytes, num_threads=1
            )
            version = importlib.metadata.version(package)
        except (ImportError, AttributeError):
            continue
        native.allocate_tensors()
        interpreter = Interpreter(bundle, runtime=runtime, threads=1)

        def infer(interpreter: Interpreter = interpreter) -> None:
            interpreter.infer(log_mel, imu)

        results[runtime] = {
            'version': version,
            'invoke_us': summarize_times(_times(native.invoke, 2000), 1e-6, 1),
            'infer_us': summarize_times(_times(infer, 2000), 1e-6, 1),
        }
    if runtime_python:
        others = _run_other_python(runtime_python, bundle)
        for runtime, measured in others.items():
            results.setdefault(runtime, measured)
    return results


def _run_other_python(python: Path, bundle: Bundle) -> dict[str, Any]:
    """Measure inference with another interpreter, which needs numpy and a runtime only."""
    arguments = ['-m', 'kws_imu_ros', 'benchmark', '--only', 'inference', '--model']
    environment = dict(os.environ, PYTHONPATH=_source())
    # Belongs to this interpreter's libraries, not to the other's.
    for name in ('LD_LIBRARY_PATH', '_ROS_WHEELS_BOOTSTRAP_COMPLETE'):
        environment.pop(name, None)
    try:
        finished = subprocess.run(
            [str(python), *arguments, str(bundle.path)],
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise KwsImuError(f'{python} could not measure inference: {error}.') from error
    lines = finished.stdout.splitlines()
    if finished.returncode or not lines:
        problem = (finished.stderr.strip() or 'it printed nothing').splitlines()[-1]
        raise KwsImuError(
            f'{python} could not measure inference ({problem}); see benchmarks/README.md.'
        )
    return json.loads(lines[-1])['inference']


# The plain rooms


def _front_end(bundle: Bundle, args: argparse.Namespace) -> dict[str, Any]:
    """Time the front end on one block, which is one frame of 20 ms."""
    parameters = bundle.manifest.front_end
    samples = np.random.default_rng(0).integers(-3000, 3000, BLOCK).astype(np.int16)
    stream = LogMelStream(parameters)
    return {'frame_us': summarize_times(_times(lambda: stream.push(samples), 3000), 1e-6, 1)}


def _synthetic_senses(seconds: float) -> list[AudioBlock | ImuSample]:
    """Return noise in 20 ms blocks and a resting hand at 100 Hz, in the order of time."""
    rng = np.random.default_rng(0)
    events: list[AudioBlock | ImuSample] = []
    for k in range(int(seconds * 50)):
        stamp_ns = 1_000_000_000 + k * 20_000_000
        samples = rng.integers(-300, 300, BLOCK).astype(np.int16)
        events.append(AudioBlock(stamp_ns, k, SAMPLE_RATE, samples))
        for half in (0, 10_000_000):
            x, y, z = rng.normal(0.0, 0.05, 3)
            events.append(ImuSample(stamp_ns + half, (x, y, 9.81 + z), (0.0, 0.0, 0.0)))
    return events


def _hop(bundle: Bundle, args: argparse.Namespace) -> dict[str, Any]:
    """
    Time a whole hop of the pipeline: 40 ms of audio and IMU in, posteriors and decision out.

    A hop is two blocks and four samples; a time holds all that they cost together.
    """
    from kws_imu_ros.replay.offline import load_pipeline

    pipeline = load_pipeline(str(bundle.path))
    durations: list[float] = []
    elapsed = 0.0
    for event in _synthetic_senses(60.0):
        begin = time.perf_counter()
        if isinstance(event, AudioBlock):
            steps = pipeline.push_audio(event)
        else:
            steps = pipeline.push_imu(event)
        elapsed += time.perf_counter() - begin
        if steps:
            durations.append(elapsed)
            elapsed = 0.0
    return {'hop_us': summarize_times(durations[25:], 1e-6, 1)}


def _offline_replay(bundle: Bundle, args: argparse.Namespace) -> dict[str, Any]:
    """
    Replay the bag offline, reading and loading included; return multiples of real time.

    `whole_command` is `kws-imu replay --offline` in a process of its own, start-up included.
    """
    from kws_imu_ros.bags.reading import summarize_bag
    from kws_imu_ros.replay.offline import load_controller, load_pipeline, replay_offline

    bag = args.bag or share_path('demo', 'bag')
    duration_s = summarize_bag(bag).duration_s

    def replay() -> None:
        for _ in replay_offline(bag, load_pipeline(str(bundle.path)), load_controller()):
            pass

    def command() -> None:
        arguments = ['-m', 'kws_imu_ros', 'replay', str(bag), '--offline', '--model']
        finished = subprocess.run(
            [sys.executable, *arguments, str(bundle.path)],
            env=dict(os.environ, PYTHONPATH=_source()),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        # 1: played, but not with the expected outcome, which is not what is measured here.
        if finished.returncode not in (0, 1):
            raise KwsImuError(f'kws-imu replay failed: {finished.stderr.strip()[-300:]}')

    inside = [_duration(replay) for _ in range(3)]
    outside = [_duration(command) for _ in range(3)]
    return {
        'bag_s': round(duration_s, 1),
        'times_real_time': round(duration_s / float(np.median(inside)), 1),
        'whole_command_times_real_time': round(duration_s / float(np.median(outside)), 1),
    }


# Live graphs


def _live(name: str) -> Callable[[Bundle, argparse.Namespace], dict[str, Any]]:
    def measure(bundle: Bundle, args: argparse.Namespace) -> dict[str, Any]:
        try:
            graph = importlib.import_module('kws_imu_ros.benchmark.live_graph')
        except ModuleNotFoundError as error:
            return {'skipped': f'{error.name} is not installed'}
        bag = args.bag or share_path('demo', 'bag')
        scenario = args.scenario or share_path('demo', 'scenario.yaml')
        return getattr(graph, name)(bundle, bag, scenario, args.seconds, _progress)

    return measure


PARTS: dict[str, Callable[[Bundle, argparse.Namespace], dict[str, Any]]] = {
    'inference': _inference,
    'front_end': _front_end,
    'hop': _hop,
    'offline_replay': _offline_replay,
    'start_up': _live('measure_start_up'),
    'load': _live('measure_load'),
    'latency': _live('measure_latency'),
}
