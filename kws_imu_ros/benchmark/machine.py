"""The machine that is measured, and how its times are taken."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import kws_imu_ros


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


def summarize_times(seconds: list[float], unit: float, digits: int = 2) -> dict[str, float]:
    """Return median and 95th percentile of times in seconds, in units of `unit` seconds."""
    values = np.asarray(seconds) / unit
    return {
        'median': round(float(np.median(values)), digits),
        'p95': round(float(np.percentile(values, 95)), digits),
        'count': len(values),
    }


def duration(function: Callable[[], Any]) -> float:
    """Return the seconds that one call takes."""
    begin = time.perf_counter()
    function()
    return time.perf_counter() - begin


def package_path() -> str:
    """Return what a child process needs in PYTHONPATH to import this very package."""
    return str(Path(kws_imu_ros.__file__).resolve().parent.parent)


def times(function: Callable[[], Any], count: int) -> list[float]:
    """Return the duration in seconds of each of `count` calls, after a few to warm up."""
    for _ in range(10):
        function()
    return [duration(function) for _ in range(count)]
