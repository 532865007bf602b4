"""Measured models, alone in a table and among the published ones."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import EngFormatter, NullFormatter, PercentFormatter

from kws_imu_ros.lab.report.kinds.published import PUBLISHED, Published
from kws_imu_ros.lab.report.parts import (
    Note,
    Part,
    Plot,
    Plots,
    count,
    microseconds,
    percent,
    table,
)
from kws_imu_ros.lab.report.plots import OURS, QUOTED, annotate, plot
from kws_imu_ros.lab.report.results import Result

SIZES = {
    'bytes': 'model file, bytes (int8 where quoted)',
    'parameters': 'parameters',
    'macs': 'multiply-accumulates an inference',
}
# Below this a pruned network has collapsed; drawn, it would squeeze all others into one line.
LOWEST_PRUNED = 0.85
FAMILY_MARKERS = {
    'MLPerf Tiny': 's',
    'Arm': 'o',
    'MicroNet': '^',
    'BC-ResNet': 'D',
    'SparkNet': 'P',
    'TC-ResNet': 'X',
    'KWT': 'v',
}
QUOTED_NOTE = (
    'Hollow grey marks are quoted from publications, not measured here: other classes, other test '
    'speakers, other front ends, the whole data set. They show where the field stands; a point of '
    'difference means little.'
)


@dataclass(frozen=True)
class Point:
    """A measured model among the published ones; pruned: on the way from one to the next."""

    name: str
    accuracy: float
    pruned: bool
    bytes: float | None
    parameters: float | None
    macs: float | None


def draw_models(result: Result) -> list[Part]:
    """Return the table of measured models; their points are in the first section."""
    columns = ('model', 'accuracy', 'bytes', 'parameters', 'MACs', 'latency us')
    rows = (
        (
            row['name'],
            percent(row.get('accuracy')),
            *(count(row.get(key)) for key in ('bytes', 'parameters', 'macs')),
            microseconds(row.get('latency_us')),
        )
        for row in result.take('rows', list)
    )
    return [table(columns, rows)]


def draw_points(points: Sequence[Point]) -> list[Part]:
    """Draw accuracy against bytes, parameters and MACs, with the published models as quoted."""
    drawn = tuple(
        _size_plot(key, points) for key in SIZES if any(getattr(point, key) for point in points)
    )
    rows = [(*_cells(point), 'measured') for point in points if not point.pruned]
    rows += [(*_cells(one), f'quoted: {one.source}') for one in PUBLISHED]
    columns = ('model', 'accuracy', 'bytes', 'parameters', 'MACs', 'origin')
    return [Plots(drawn), Note(QUOTED_NOTE), table(columns, rows)]


def points_of(result: Result) -> Iterator[Point]:
    """
    Yield the models that a result measured, with their sizes.

    Raises:
        ValueError: an accuracy or a size is no number.

    """
    for name, accuracy, sizes, pruned in _measured(result):
        if accuracy is not None:
            values = {key: _finite(sizes.get(key)) for key in SIZES}
            yield Point(name, float(accuracy), pruned, **values)


def _finite(value: float | None) -> float | None:
    """Return a size, None where it is unknown."""
    if value is not None and not math.isfinite(value):
        raise ValueError(f'a size is {value}')
    return value


def _measured(result: Result) -> Iterator[tuple[str, float | None, dict[str, Any], bool]]:
    """Yield name, accuracy, the object with the sizes, and whether it is a pruned network."""
    if result.kind == 'evaluation' and isinstance(result.data.get('voice'), dict):
        sizes = result.take('model', dict)
        yield result.model_name, result.data['voice'].get('accuracy'), sizes, False
    elif result.kind == 'models':
        for row in result.take('rows', list):
            yield str(row.get('name')), row.get('accuracy'), row, False
    elif result.kind == 'pruning':
        baseline = result.take('baseline', dict)
        yield str(baseline.get('name', 'dense')), baseline.get('accuracy'), baseline, False
        for criterion, curve in result.take('curves', dict).items():
            for row in curve:
                yield f'pruned by {criterion}', row.get('accuracy'), row, True


def _size_plot(key: str, points: Sequence[Point]) -> Plot:
    """Draw accuracy against one size."""

    def draw(ax: Axes) -> None:
        for family, mark in FAMILY_MARKERS.items():
            quoted = [one for one in PUBLISHED if one.family == family]
            style = {'marker': mark, 'mfc': 'none', 'mec': QUOTED, 'ms': 8}
            _mark(ax, key, quoted, f'{family} (quoted)', QUOTED, style)
        pruned = [p for p in points if p.pruned and getattr(p, key) and p.accuracy >= LOWEST_PRUNED]
        if pruned:
            ax.plot(
                [getattr(point, key) for point in pruned],
                [point.accuracy for point in pruned],
                '.',
                color='#4477aa',
                alpha=0.6,
                label='pruned here',
            )
        own = [point for point in points if not point.pruned]
        style = {'marker': 'P', 'color': OURS, 'ms': 9}
        _mark(ax, key, own, 'measured here', OURS, style)
        ax.set_xscale('log')
        ax.xaxis.set_major_formatter(EngFormatter())
        ax.xaxis.set_minor_formatter(NullFormatter())
        ax.yaxis.set_major_formatter(PercentFormatter(1.0))
        ax.margins(x=0.16, y=0.1)
        ax.set_xlabel(SIZES[key])
        ax.set_ylabel('accuracy')
        ax.legend(fontsize=8, loc='lower right')

    return plot(draw, f'Accuracy against {SIZES[key]}', size=(6.8, 5.0))


def _mark(
    ax: Axes,
    key: str,
    models: Sequence[Point | Published],
    label: str,
    colour: str,
    style: dict[str, Any],
) -> None:
    """Draw the models whose size is known, one entry of the legend for all of them."""
    known = [model for model in models if getattr(model, key)]
    for index, one in enumerate(known):
        shown = label if index == 0 else None
        ax.plot(getattr(one, key), one.accuracy, linestyle='none', label=shown, **style)
        annotate(ax, one.name, getattr(one, key), one.accuracy, colour)


def _cells(model: Point | Published) -> tuple[str, ...]:
    """Return name, accuracy and sizes for people."""
    sizes = (model.bytes, model.parameters, model.macs)
    return (model.name, percent(model.accuracy), *map(count, sizes))
