"""Models side by side, timed in one run."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from kws_imu_ros.lab.report.parts import Note, Part, Plot, count, plots, table
from kws_imu_ros.lab.report.plots import COLOURS, plot
from kws_imu_ros.lab.report.results import Result

COLUMNS = (
    *('model', 'inputs', 'bytes', 'gzipped', 'parameters', 'MACs', 'arena'),
    *('quiet us', 'median us', 'speed'),
)


def draw_comparison(result: Result) -> list[Part]:
    """Draw latency and size of models side by side."""
    rows = result.take('rows', list)
    timed = [row for row in rows if row.get('latency')]
    parts: list[Part] = []
    if timed:
        parts.append(plots(_latency_plot(timed, result)))
    base = timed[0]['latency']['low'] if timed else None
    parts.append(table(COLUMNS, (_cells(row, base) for row in rows)))
    facts = [result.text(key) for key in ('runtime', 'machine') if result.text(key)]
    if facts:
        parts.append(
            Note(
                f'{", ".join(facts)}; timed by turns. Quiet is the 10th percentile, which other '
                'work on the machine disturbs least; the speed compares it.'
            )
        )
    return parts


def _latency_plot(timed: list[dict[str, Any]], result: Result) -> Plot:
    """Draw the latencies of the models that ran, the first on top."""

    def draw(ax: Axes) -> None:
        names = [str(row['name']) for row in timed][::-1]
        low, median, high = (
            np.array([row['latency'][key] for row in timed][::-1])
            for key in ('low', 'median', 'high')
        )
        places = np.arange(len(names))
        spread = np.stack((median - low, high - median))
        ax.barh(places, median, xerr=spread, color=COLOURS[0], ecolor='#333333')
        ax.set_yticks(places, names, fontsize=8)
        ax.set_xlabel('latency, us: median, 10th to 90th percentile')

    return plot(draw, 'Latency in the same run', result, (7.5, 1.4 + 0.45 * len(timed)))


def _cells(row: dict[str, Any], base: float | None) -> tuple[Any, ...]:
    """Return the cells of a model; base: the latency to compare with, us."""
    sizes = (count(row[key]) for key in ('bytes', 'gzip_bytes', 'parameters', 'macs'))
    cells = (row['name'], row['precision'], *sizes, count(row['arena_bytes']))
    if base is None or not row.get('latency'):
        return (*cells, '-', '-', '-')
    low, median = row['latency']['low'], row['latency']['median']
    return (*cells, f'{low:.1f}', f'{median:.1f}', f'{base / low:.2f}x')
