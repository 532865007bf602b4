"""Errors of systems that use one sense or both."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from kws_imu_ros.lab.report.kinds.noise import LEVELS, level_names, levels_of
from kws_imu_ros.lab.report.parts import Part, Plot, percent, plots, table
from kws_imu_ros.lab.report.plots import colour, label_shares, plot
from kws_imu_ros.lab.report.results import Result

RATES = {'error_rate': 'errors', 'false_accept_rate': 'false accepts'}


def draw_fusion(result: Result) -> list[Part]:
    """Draw the error rates of systems that use one sense or both, as bars at each noise level."""
    series = result.take('series', dict)
    levels = levels_of(series)
    rows = []
    for name, points in series.items():
        by_level = {point['snr_db']: point for point in points}
        for key, label in RATES.items():
            cells = [by_level.get(level, {}).get(key) for level in levels]
            rows.append((f'{name}: {label}', *map(percent, cells)))
    for key, label in RATES.items():
        shipped = {p['snr_db']: p.get(key) for p in result.data.get('shipped_rule', [])}
        if shipped:
            cells = [shipped.get(level) for level in levels]
            rows.append((f'the rule with its own thresholds: {label}', *map(percent, cells)))
    columns = ('', *level_names(levels))
    return [plots(_bars(series, levels, result)), table(columns, rows)]


def _bars(series: dict[str, Any], levels: list[float | None], result: Result) -> Plot:
    """Draw a bar for each system at each noise level."""
    rate = percent(result.take('false_accept_rate', (int, float)))

    def draw(ax: Axes) -> None:
        width = 0.8 / max(1, len(series))
        for index, (name, points) in enumerate(series.items()):
            by_level = {point['snr_db']: point['error_rate'] for point in points}
            places = np.arange(len(levels)) + (index - (len(series) - 1) / 2) * width
            heights = [by_level.get(level, math.nan) for level in levels]
            bars = ax.bar(places, heights, width, color=colour(index), label=name)
            ax.bar_label(bars, [f'{100 * h:.0f}' for h in heights], fontsize=6, padding=1)
        ax.set_xticks(range(len(levels)), level_names(levels))
        label_shares(ax, LEVELS, 'errors')

    caption = f'Errors of each system at {rate} false accepts on the same negatives'
    return plot(draw, caption, result, (7.2, 4.4))
