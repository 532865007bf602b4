"""A coach who watches a recording: the same samples and hops as live."""

from __future__ import annotations

from collections.abc import Sequence

from kws_imu_ros.coach.coach import Coach
from kws_imu_ros.coach.findings import Finding
from kws_imu_ros.imu.sample import ImuSample
from kws_imu_ros.imu.window import ImuWindow
from kws_imu_ros.model.interpreter import Interpreter

# As often as fusion runs the network.
HOP_NS = 40_000_000


def watch_recording(
    coach: Coach,
    samples: Sequence[ImuSample],
    first_beat_ns: int,
    interpreter: Interpreter | None = None,
) -> list[Finding]:
    """
    Return the findings of a coach on a recorded dance.

    Args:
        coach: made for the labels of the network.
        samples: of the wrist, in the order of recording.
        first_beat_ns: when beat 1 falls, on the clock of the samples.
        interpreter: the network whose gestures are seen first, None for none.

    """
    coach.start(first_beat_ns)
    window = None
    if interpreter is not None:
        imu = interpreter.manifest.imu
        window = ImuWindow(imu.rate_hz, imu.length)
    hop_ns = samples[0].stamp_ns if samples else 0
    for sample in samples:
        coach.push_imu(sample)
        if window is not None:
            window.push(sample)
        if 0 < hop_ns - sample.stamp_ns <= HOP_NS:
            continue
        hop_ns = sample.stamp_ns + HOP_NS
        if window is not None and interpreter is not None:
            rows = window.window(sample.stamp_ns)
            coach.push_gesture(interpreter.infer(None, rows).gesture, sample.stamp_ns)
        coach.due(sample.stamp_ns)
    coach.finish()
    return coach.findings
