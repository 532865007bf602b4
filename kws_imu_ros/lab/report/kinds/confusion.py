"""Confusion matrices and recall by class."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.lab.report.parts import Part, Plot, plots
from kws_imu_ros.lab.report.plots import COLOURS, plot
from kws_imu_ros.lab.report.results import Result


def draw_confusion(result: Result) -> list[Part]:
    """Draw a confusion matrix that stands alone."""
    labels, counts = result.take('labels', list), result.take('rows_are_truth', list)
    return [plots(confusion_plot(labels, counts, result.text('title') or 'confusion', result))]


def confusion_plot(
    labels: Sequence[str], counts: Sequence[Sequence[float]], caption: str, result: Result
) -> Plot:
    """Draw a confusion matrix, rows normalized, counts written in."""
    matrix = np.array(counts, np.float64)
    if matrix.shape != (len(labels), len(labels)):
        raise KwsImuError(
            f'{result.source}: a confusion matrix of {len(labels)} labels is {matrix.shape}; make '
            'the file again.'
        )
    totals = matrix.sum(axis=1, keepdims=True)
    shares = np.divide(matrix, totals, out=np.zeros_like(matrix), where=totals > 0)

    def draw(ax: Axes) -> None:
        ax.imshow(shares, cmap='Blues', vmin=0.0, vmax=1.0)
        ax.set_xticks(range(len(labels)), labels, rotation=45, ha='right', fontsize=8)
        ax.set_yticks(range(len(labels)), labels, fontsize=8)
        ax.grid(False)
        for row, column in np.argwhere(matrix):
            ax.text(
                column,
                row,
                f'{matrix[row, column]:g}',
                ha='center',
                va='center',
                fontsize=7,
                color='white' if shares[row, column] > 0.5 else '#1a1a1a',
            )
        ax.set_xlabel('found')
        ax.set_ylabel('true')

    return plot(draw, caption, result, (6.2, 5.6))


def recall_plot(section: str, recall: dict[str, float], result: Result) -> Plot:
    """Draw the recall of each class as bars."""

    def draw(ax: Axes) -> None:
        names = list(recall)[::-1]
        bars = ax.barh(names, [recall[name] for name in names], color=COLOURS[0])
        ax.bar_label(bars, [f'{100 * recall[name]:.1f}' for name in names], fontsize=8, padding=2)
        low = min(recall.values())
        ax.set_xlim(max(0.0, math.floor(low * 10 - 1) / 10), 1.04)
        ax.xaxis.set_major_formatter(PercentFormatter(1.0))
        ax.set_xlabel('recall')

    return plot(draw, f'{section} recall by class', result)
