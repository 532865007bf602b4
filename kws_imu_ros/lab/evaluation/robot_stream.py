"""
Recordings sample by sample through the fusion pipeline and its policy, as in the robot.

What is measured is what the run-time code does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from kws_imu_ros.audio.block import AudioBlock
from kws_imu_ros.decision.decision import Decision, Outcome
from kws_imu_ros.decision.policy import Policy
from kws_imu_ros.decision.table import PolicyTable
from kws_imu_ros.fusion.pipeline import FusionPipeline, Step
from kws_imu_ros.imu.sample import ImuSample
from kws_imu_ros.lab.data.speech_data import SAMPLE_RATE
from kws_imu_ros.model.interpreter import Interpreter

BLOCK_SAMPLES = 320
START_NS = 1_000_000_000
DIRECTIONS = ('left', 'right', 'up', 'down')


def imu_samples(
    time: np.ndarray, motion: np.ndarray, start_ns: int = START_NS, rest: float = 0.0
) -> Iterator[ImuSample]:
    """
    Yield a recording as samples; time in s (n,), motion (n, 6) in SI units.

    rest: seconds of stillness after it, in which gravity stays as it was last measured.
    """
    for second, row in zip(time, motion.astype(np.float64), strict=True):
        yield ImuSample(start_ns + int(second * 1e9), tuple(row[:3]), tuple(row[3:]))
    still = motion[-1, :3].astype(np.float64)
    for k in range(1, int(rest * 100) + 1):
        stamp = start_ns + int((time[-1] + k / 100.0) * 1e9)
        yield ImuSample(stamp, tuple(still), (0.0, 0.0, 0.0))


def audio_blocks(samples: np.ndarray, start_ns: int = START_NS) -> Iterator[AudioBlock]:
    """Yield int16 samples (n,) at 16 kHz as blocks of 20 ms; an incomplete last one is left out."""
    for k in range(len(samples) // BLOCK_SAMPLES):
        first = k * BLOCK_SAMPLES
        yield AudioBlock(
            start_ns + first * 1_000_000_000 // SAMPLE_RATE,
            k,
            SAMPLE_RATE,
            samples[first : first + BLOCK_SAMPLES],
        )


def stream(
    interpreter: Interpreter,
    table: PolicyTable,
    blocks: Sequence[AudioBlock],
    samples: Sequence[ImuSample],
) -> list[Step]:
    """Run audio and IMU through a fresh pipeline in the order they would arrive."""
    manifest = interpreter.manifest
    pipeline = FusionPipeline(interpreter, Policy(table, manifest.labels, manifest.thresholds))
    events = [(block.end_ns, 0, block) for block in blocks]
    events += [(sample.stamp_ns, 1, sample) for sample in samples]
    steps: list[Step] = []
    for _, kind, event in sorted(events, key=lambda item: item[:2]):
        steps += pipeline.push_imu(event) if kind else pipeline.push_audio(event)
    return steps


def accepts(steps: Sequence[Step]) -> list[Decision]:
    """Return the accepting decisions of steps."""
    return [s.decision for s in steps if s.decision and s.decision.outcome is Outcome.ACCEPT]


def first_gesture(steps: Sequence[Step]) -> tuple[str, int]:
    """Return the gesture that was acted on first and its time; ('none', 0) without one."""
    for decision in accepts(steps):
        return decision.seen.label, decision.stamp_ns
    return 'none', 0
