"""Accuracy where it gets louder."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes

from kws_imu_ros.lab.report.parts import Part, percent, plots, table
from kws_imu_ros.lab.report.plots import colour, label_shares, marker, plot
from kws_imu_ros.lab.report.results import Result

LEVELS = 'signal-to-noise ratio (louder noise to the right)'


def draw_noise(result: Result) -> list[Part]:
    """Draw accuracy against the signal-to-noise ratio."""
    series = result.take('series', dict)
    levels = levels_of(series)
    tables = {name: {p['snr_db']: p['accuracy'] for p in pts} for name, pts in series.items()}

    def draw(ax: Axes) -> None:
        for index, (name, by_level) in enumerate(tables.items()):
            places = [i for i, level in enumerate(levels) if level in by_level]
            shares = [by_level[levels[i]] for i in places]
            ax.plot(places, shares, marker=marker(index), color=colour(index), label=name)
        ax.set_xticks(range(len(levels)), level_names(levels))
        label_shares(ax, LEVELS, 'accuracy')

    rows = [
        (name, *(percent(by_level.get(level)) for level in levels))
        for name, by_level in tables.items()
    ]
    drawn = plot(draw, 'Accuracy in noise', result)
    return [plots(drawn), table(('', *level_names(levels)), rows)]


def levels_of(series: dict[str, Any]) -> list[float | None]:
    """Return the signal-to-noise ratios of series, quietest first, None for no noise at all."""
    found = {point['snr_db'] for points in series.values() for point in points}
    numbers = sorted((level for level in found if level is not None), reverse=True)
    return [None, *numbers] if None in found else numbers


def level_names(levels: list[float | None]) -> list[str]:
    """Return signal-to-noise ratios for people."""
    return ['clean' if level is None else f'{level:g} dB' for level in levels]
