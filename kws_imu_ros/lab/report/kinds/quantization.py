"""Precisions of one network."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.ticker import EngFormatter, PercentFormatter

from kws_imu_ros.lab.report.parts import Part, count, microseconds, percent, plots, table
from kws_imu_ros.lab.report.plots import annotate, colour, marker, plot
from kws_imu_ros.lab.report.results import Result

COLUMNS = ('precision', 'accuracy', 'against first', 'bytes', 'smaller', 'latency us')


def draw_quantization(result: Result) -> list[Part]:
    """Draw the table of precisions of one network, and size against accuracy."""
    rows = result.take('rows', list)
    first = rows[0] if rows else {}

    def draw(ax: Axes) -> None:
        for index, row in enumerate(rows):
            ax.plot(row['bytes'], row['accuracy'], marker(index), ms=9, color=colour(index))
            annotate(ax, str(row['name']), row['bytes'], row['accuracy'], colour(index))
        ax.xaxis.set_major_formatter(EngFormatter('B'))
        ax.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=1))
        ax.margins(0.2)
        ax.set_xlabel('model file')
        ax.set_ylabel('accuracy')

    cells = (
        (
            row['name'],
            percent(row['accuracy']),
            f'{100.0 * (row["accuracy"] - first["accuracy"]):+.2f}',
            count(row['bytes']),
            f'{first["bytes"] / row["bytes"]:.2f}x',
            microseconds(row.get('latency_us')),
        )
        for row in rows
    )
    drawn = plot(draw, 'Precisions of the same network', result)
    return [plots(drawn), table(COLUMNS, cells)]
