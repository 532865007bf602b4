"""Any curves, and any table."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes

from kws_imu_ros.lab.report.parts import Part, plots, table
from kws_imu_ros.lab.report.plots import colour, marker, plot, scale_by_logarithm
from kws_imu_ros.lab.report.results import Result


def draw_curves(result: Result) -> list[Part]:
    """Draw any curves."""
    series = result.take('series', dict)

    def draw(ax: Axes) -> None:
        for index, (name, points) in enumerate(series.items()):
            x, y = zip(*points, strict=True)
            ax.plot(x, y, marker=marker(index), ms=4, color=colour(index), label=name)
        if result.data.get('log_x'):
            scale_by_logarithm(ax)
        ax.set_xlabel(result.text('x'))
        ax.set_ylabel(result.text('y'))
        ax.legend(fontsize=8)

    return [plots(plot(draw, result.text('title'), result))]


def draw_table(result: Result) -> list[Part]:
    """Return any table."""
    columns = [str(name) for name in result.take('columns', list)]
    return [table(columns, ([_cell(value) for value in row] for row in result.take('rows', list)))]


def _cell(value: Any) -> Any:
    """Return a value of any kind for people."""
    if isinstance(value, float):
        return f'{value:.4g}'
    return f'{value:,}' if isinstance(value, int) and not isinstance(value, bool) else value
