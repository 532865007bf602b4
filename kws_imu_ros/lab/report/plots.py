"""Plots as SVG that is part of the page: one look, colours that everybody tells apart."""

from __future__ import annotations

import html
import io
import warnings
from collections.abc import Callable
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter, PercentFormatter

from kws_imu_ros.lab.report.parts import Plot
from kws_imu_ros.lab.report.results import Result

# Colours that people with any colour vision tell apart (Paul Tol's bright scheme, two of others).
COLOURS = (
    *('#4477aa', '#ee6677', '#228833', '#ccbb44', '#66ccee', '#aa3377', '#555555'),
    *('#332288', '#ee7733'),
)
OURS = '#d62728'
QUOTED = '#555555'
MARKERS = 'osD^vPX*'
SETTINGS: dict[Any, Any] = {
    'svg.fonttype': 'none',
    'font.family': 'sans-serif',
    # Names come from result files: a dollar sign in one begins no formula.
    'text.parse_math': False,
    'axes.grid': True,
    'grid.color': '#dddddd',
    'axes.axisbelow': True,
    'axes.spines.top': False,
    'axes.spines.right': False,
}


class PlainLogFormatter(LogFormatter):
    """Writes the numbers of a logarithmic axis as people do, without powers of ten."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        """Return a number, '' where there is no room for it."""
        return f'{x:g}' if super().__call__(x, pos) else ''


def plot(
    draw: Callable[[Axes], None],
    caption: str,
    result: Result | None = None,
    size: tuple[float, float] = (6.6, 4.4),
) -> Plot:
    """
    Return a plot.

    Args:
        draw: draws into the axes that it is given.
        caption: says what there is to see.
        result: where the numbers come from; its file is named in the caption.
        size: width and height, inches.

    """
    if result:
        caption = f'{caption} ({result.file_name})'
    # Ids must differ among the plots of one page, and be the same in the next run.
    with matplotlib.rc_context({**SETTINGS, 'svg.hashsalt': caption}), warnings.catch_warnings():
        # The browser writes the text, and has letters that matplotlib's own font lacks.
        warnings.filterwarnings('ignore', r'Glyph \d+ .* missing from')
        # Names as long as the plot: it is drawn all the same, over its edges.
        warnings.filterwarnings('ignore', 'constrained_layout not applied')
        figure = Figure(figsize=size)
        figure.set_layout_engine('constrained')
        draw(figure.subplots())
        stream = io.StringIO()
        figure.savefig(stream, format='svg', metadata={'Date': None, 'Creator': None})
    svg = stream.getvalue()
    start = svg.index('<svg') + len('<svg')
    return Plot(f'<svg role="img" aria-label="{html.escape(caption)}"{svg[start:]}', caption)


def colour(index: int) -> str:
    """Return the colour of a series."""
    return COLOURS[index % len(COLOURS)]


def marker(index: int) -> str:
    """Return the marker of a series."""
    return MARKERS[index % len(MARKERS)]


def annotate(ax: Axes, text: str, x: float, y: float, of_colour: str) -> None:
    """Write a name beside a point."""
    ax.annotate(
        text, (x, y), xytext=(6, 5), textcoords='offset points', fontsize=7, color=of_colour
    )


def scale_by_logarithm(ax: Axes) -> None:
    """Make the horizontal axis one of logarithms."""
    ax.set_xscale('log')
    ax.xaxis.set_major_formatter(PlainLogFormatter())
    ax.xaxis.set_minor_formatter(PlainLogFormatter())


def label_shares(ax: Axes, x: str, y: str) -> None:
    """Name the axes of shares, which are percentages to people, and the series."""
    ax.yaxis.set_major_formatter(PercentFormatter(1.0))
    ax.set_xlabel(x)
    ax.set_ylabel(y)
    ax.legend(fontsize=8)
