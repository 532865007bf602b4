"""Time of one inference on one thread, for each runtime."""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np

from kws_imu_ros.benchmark.machine import package_path, summarize_times, times
from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.model.bundle import Bundle
from kws_imu_ros.model.interpreter import RUNTIMES, Interpreter


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
            'invoke_us': summarize_times(times(native.invoke, 2000), 1e-6, 1),
            'infer_us': summarize_times(times(infer, 2000), 1e-6, 1),
        }
    if runtime_python:
        others = _run_other_python(runtime_python, bundle)
        for runtime, measured in others.items():
            results.setdefault(runtime, measured)
    return results


def _run_other_python(python: Path, bundle: Bundle) -> dict[str, Any]:
    """Measure inference with another interpreter, which needs numpy and a runtime only."""
    arguments = ['-m', 'kws_imu_ros', 'benchmark', '--only', 'inference', '--model']
    environment = dict(os.environ, PYTHONPATH=package_path())
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
