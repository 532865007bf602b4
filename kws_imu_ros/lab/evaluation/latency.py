"""Time of one inference, as `kws-imu benchmark --only inference` measures it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kws_imu_ros.benchmark.inference import measure_inference
from kws_imu_ros.benchmark.machine import describe_machine
from kws_imu_ros.console.native_output import silenced
from kws_imu_ros.model.bundle import Bundle
from kws_imu_ros.model.interpreter import RUNTIMES


def measure_latency(bundle: Bundle, runtime_python: Path | None) -> dict[str, Any]:
    """
    Time one inference on one thread in each runtime, ms; None for one that is missing.

    runtime_python: another Python whose runtimes are timed too.
    """
    machine = describe_machine()
    with silenced():
        measured = measure_inference(bundle, runtime_python)
    runtimes: dict[str, Any] = {}
    reasons = {}
    for runtime, (_, package) in RUNTIMES.items():
        times = measured.get(runtime)
        if times is None:
            runtimes[runtime] = None
            reasons[runtime] = (
                f'{package} is not installed here; --runtime-python names a Python that has it'
            )
            continue
        runtimes[runtime] = {
            'version': times['version'],
            'median_ms': times['invoke_us']['median'] / 1e3,
            'p95_ms': times['invoke_us']['p95'] / 1e3,
            'with_conversion_median_ms': times['infer_us']['median'] / 1e3,
            'with_conversion_p95_ms': times['infer_us']['p95'] / 1e3,
            'inferences': times['invoke_us']['count'],
        }
    return {
        'what': 'one inference on one thread; with conversion: real values to int8 and back',
        'machine': machine,
        **{f'{name}_median_ms': times['median_ms'] for name, times in runtimes.items() if times},
        'runtimes': runtimes,
        'reasons': reasons,
    }
