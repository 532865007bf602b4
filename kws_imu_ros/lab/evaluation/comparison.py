"""
Set models side by side: bytes, parameters, multiplications, memory, and latency in the same run.

Latency is measured by turns: every round times every model once, in an order that changes, so that
a busy moment of the machine hits all of them alike. What is compared is the 10th percentile over
rounds: other work only ever adds time.
"""

from __future__ import annotations

import gzip
import importlib
import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kws_imu_ros.console.native_output import silenced
from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.lab.evaluation.complexity import count_tflite
from kws_imu_ros.model.bundle import find_bundle, is_model_file, load_bundle, read_model_file
from kws_imu_ros.model.interpreter import RUNTIMES
from kws_imu_ros.resources import user_path

# A timing of at least this long is far above the clock's own resolution.
SHORTEST_TIMING_S = 0.002
LONGEST_WARM_UP_S = 0.5

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Candidate:
    """A model to compare. metrics: quoted from the bundle's manifest, {} for a foreign file."""

    name: str
    source: str
    model_bytes: bytes
    metrics: dict[str, float]


@dataclass(frozen=True)
class Latency:
    """Microseconds of one inference: median and the 10th and 90th percentile over rounds."""

    median: float
    low: float
    high: float


@dataclass(frozen=True)
class Row:
    """
    One model in the comparison.

    precision: type of the inputs. latency: None where the runtime refuses the model; then
    `problem` says why.
    """

    name: str
    source: str
    precision: str
    bytes: int
    gzip_bytes: int
    parameters: int
    macs: int
    arena_bytes: int
    operators: dict[str, int]
    latency: Latency | None
    problem: str
    metrics: dict[str, float]


def load_candidate(model: str) -> Candidate:
    """
    Load a bundle by folder or name, or any ``.tflite`` file.

    Raises:
        KwsImuError: there is none, or it is damaged.

    """
    given = user_path(model)
    if is_model_file(given):
        return Candidate(given.stem, str(given), read_model_file(given), {})
    path = find_bundle(model)
    bundle = load_bundle(path)
    manifest = bundle.manifest
    metrics = {name: metric.value for name, metric in manifest.metrics.items()}
    return Candidate(f'{manifest.name} {manifest.version}', str(path), bundle.model_bytes, metrics)


def compare(
    candidates: Sequence[Candidate],
    runtime: str = 'auto',
    threads: int = 1,
    rounds: int = 40,
    progress: Progress | None = None,
) -> tuple[list[Row], str]:
    """
    Return a row for each model, in the given order, and the name of the runtime that was used.

    Raises:
        KwsImuError: a file is no TensorFlow Lite model, or no runtime is installed.

    """
    counts = [count_tflite(candidate.model_bytes, candidate.source) for candidate in candidates]
    runtime, interpreter_class = _find_runtime(runtime)
    calls: list[Callable[[], Any] | None] = []
    problems, precisions = [], []
    for candidate in candidates:
        try:
            call, precision = _prepare(interpreter_class, candidate.model_bytes, threads)
            calls.append(call)
            problems.append('')
        except (RuntimeError, ValueError) as error:
            calls.append(None)
            precision = '?'
            first = str(error).strip().splitlines()[0][:120] if str(error).strip() else repr(error)
            problems.append(f'{runtime} cannot run it: {first}')
        precisions.append(precision)
    latencies = measure(calls, rounds, progress)
    rows = [
        Row(
            candidate.name,
            candidate.source,
            precision,
            count.bytes,
            len(gzip.compress(candidate.model_bytes, 9, mtime=0)),
            count.parameters,
            count.macs,
            count.arena_bytes,
            count.operators,
            latency,
            problem,
            candidate.metrics,
        )
        for candidate, count, latency, problem, precision in zip(
            candidates, counts, latencies, problems, precisions, strict=True
        )
    ]
    return rows, runtime


def _find_runtime(runtime: str) -> tuple[str, type]:
    """Return the name of a runtime and its interpreter class."""
    names = list(RUNTIMES) if runtime == 'auto' else [runtime]
    for name in names:
        if name not in RUNTIMES:
            raise KwsImuError(f"Runtime '{name}' is unknown; choose auto, {', '.join(RUNTIMES)}.")
        try:
            return name, importlib.import_module(RUNTIMES[name][0]).Interpreter
        except ImportError:
            continue
    packages = ' or '.join(RUNTIMES[name][1] for name in names)
    raise KwsImuError(f'No runtime for models is installed; install {packages} with pip.')


def _prepare(
    interpreter_class: type, model_bytes: bytes, threads: int
) -> tuple[Callable[[], None], str]:
    """Return a function that runs a model once on fixed random inputs, and its input type."""
    with silenced():
        interpreter = interpreter_class(model_content=model_bytes, num_threads=threads)
        interpreter.allocate_tensors()
    generator = np.random.default_rng(0)
    types = []
    for detail in interpreter.get_input_details():
        dtype = np.dtype(detail['dtype'])
        types.append(dtype.name)
        shape = tuple(int(size) for size in detail['shape'])
        if dtype.kind == 'f':
            values = generator.normal(size=shape).astype(dtype)
        elif dtype.kind == 'b':
            values = np.zeros(shape, dtype)
        else:
            limits = np.iinfo(dtype)
            # Indices and lengths must stay small; int8 pictures may be anything.
            low, high = (limits.min, limits.max) if dtype.itemsize == 1 else (0, 1)
            values = generator.integers(low, high, shape, dtype, endpoint=True)
        interpreter.set_tensor(detail['index'], values)
    interpreter.invoke()
    return interpreter.invoke, '/'.join(dict.fromkeys(types)) or 'none'


def measure(
    calls: Sequence[Callable[[], Any] | None],
    rounds: int = 40,
    progress: Progress | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> list[Latency | None]:
    """
    Time functions by turns; return the latency of each, None for None.

    Each timing repeats a function until it lasts 2 ms, so that fast ones are timed as well as slow
    ones. clock: seconds.
    """
    repeats = []
    for call in calls:
        if call is None:
            repeats.append(0)
            continue
        count, end = 0, clock() + LONGEST_WARM_UP_S
        start = clock()
        while count < 20 and clock() < end:
            call()
            count += 1
        once = (clock() - start) / count
        repeats.append(max(1, int(np.ceil(SHORTEST_TIMING_S / max(once, 1e-7)))))
    samples: list[list[float]] = [[] for _ in calls]
    generator = np.random.default_rng(0)
    for done in range(1, rounds + 1):
        for index in generator.permutation(len(calls)):
            call = calls[index]
            if call is None:
                continue
            start = clock()
            for _ in range(repeats[index]):
                call()
            samples[index].append((clock() - start) / repeats[index] * 1e6)
        if progress:
            progress(done, rounds)
    return [
        Latency(*(float(value) for value in np.percentile(values, (50, 10, 90))))
        if values
        else None
        for values in samples
    ]


def to_json(rows: Sequence[Row], runtime: str, threads: int, command: str) -> dict[str, Any]:
    """Return the comparison as JSON data, which `kws-imu report` draws."""
    return {
        'kind': 'comparison',
        'command': command,
        'runtime': runtime,
        'threads': threads,
        'machine': f'{platform.machine()}, {os.cpu_count()} cores',
        'rows': [{**vars(row), 'latency': row.latency and vars(row.latency)} for row in rows],
    }
