"""Time of the plain rooms: a frame of the front end, a hop of the pipeline, a whole replay."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from kws_imu_ros.audio.block import AudioBlock
from kws_imu_ros.audio.frontend import LogMelStream
from kws_imu_ros.bags.reading import summarize_bag
from kws_imu_ros.benchmark.machine import duration, package_path, summarize_times, times
from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.imu.sample import ImuSample
from kws_imu_ros.model.bundle import Bundle
from kws_imu_ros.replay.offline import load_controller, load_pipeline, replay_offline

SAMPLE_RATE = 16000
BLOCK = 320  # 20 ms: what the microphone publishes, and one frame of the front end.


def measure_front_end(bundle: Bundle) -> dict[str, Any]:
    """Time the front end on one block, which is one frame of 20 ms."""
    parameters = bundle.manifest.front_end
    samples = np.random.default_rng(0).integers(-3000, 3000, BLOCK).astype(np.int16)
    stream = LogMelStream(parameters)
    return {'frame_us': summarize_times(times(lambda: stream.push(samples), 3000), 1e-6, 1)}


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


def measure_hop(bundle: Bundle) -> dict[str, Any]:
    """
    Time a whole hop of the pipeline: 40 ms of audio and IMU in, posteriors and decision out.

    A hop is two blocks and four samples; a time holds all that they cost together.
    """
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


def measure_offline_replay(bundle: Bundle, bag: Path) -> dict[str, Any]:
    """
    Replay the bag offline, reading and loading included; return multiples of real time.

    `whole_command` is `kws-imu replay --offline` in a process of its own, start-up included.
    """
    duration_s = summarize_bag(bag).duration_s

    def replay() -> None:
        for _ in replay_offline(bag, load_pipeline(str(bundle.path)), load_controller()):
            pass

    def command() -> None:
        arguments = ['-m', 'kws_imu_ros', 'replay', str(bag), '--offline', '--model']
        finished = subprocess.run(
            [sys.executable, *arguments, str(bundle.path)],
            env=dict(os.environ, PYTHONPATH=package_path()),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        # 1: played, but not with the expected outcome, which is not what is measured here.
        if finished.returncode not in (0, 1):
            raise KwsImuError(f'kws-imu replay failed: {finished.stderr.strip()[-300:]}')

    inside = [duration(replay) for _ in range(3)]
    outside = [duration(command) for _ in range(3)]
    return {
        'bag_s': round(duration_s, 1),
        'times_real_time': round(duration_s / float(np.median(inside)), 1),
        'whole_command_times_real_time': round(duration_s / float(np.median(outside)), 1),
    }
