"""What is left of accuracy where less and less is left of the network."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import NullFormatter, PercentFormatter

from kws_imu_ros.lab.report.parts import Part, Plot, Plots, count, percent, table
from kws_imu_ros.lab.report.plots import OURS, colour, label_shares, marker, plot
from kws_imu_ros.lab.report.results import Result

SIZES = {'parameters': 'parameters', 'macs': 'MACs', 'bytes': 'bytes'}
COLUMNS = ('criterion', 'accuracy', 'lost', 'parameters', 'fewer', 'MACs', 'fewer', 'bytes')

Curves = dict[str, list[dict[str, Any]]]


def draw_pruning(result: Result) -> list[Part]:
    """Draw accuracy against what is left, a curve for each criterion."""
    baseline = result.take('baseline', dict)
    curves = result.take('curves', dict)
    drawn = tuple(
        _curves_plot(key, baseline, curves, result)
        for key in SIZES
        if baseline.get(key) and all(key in row for curve in curves.values() for row in curve)
    )
    rows = [('dense', *_cells(baseline, baseline))]
    for criterion, curve in curves.items():
        ordered = sorted(curve, key=lambda row: -row.get('macs', row.get('parameters', 0)))
        rows += [(criterion, *_cells(row, baseline)) for row in ordered]
    return [Plots(drawn), table(COLUMNS, rows)]


def _curves_plot(key: str, baseline: dict[str, Any], curves: Curves, result: Result) -> Plot:
    """Draw accuracy against what is left of one size."""

    def draw(ax: Axes) -> None:
        for index, (criterion, curve) in enumerate(curves.items()):
            ordered = sorted(curve, key=lambda row: row[key])
            control = criterion == 'random'
            ax.plot(
                [row[key] / baseline[key] for row in ordered],
                [row['accuracy'] for row in ordered],
                marker=marker(index),
                ms=5,
                color='#888888' if control else colour(index),
                linestyle='--' if control else '-',
                label=f'{criterion} (control)' if control else criterion,
            )
        ax.plot(1.0, baseline['accuracy'], '*', ms=13, color=OURS, label='dense')
        ax.axhline(baseline['accuracy'] - 0.005, color=OURS, lw=0.8, ls=':')
        ax.set_xscale('log')
        ax.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        ax.xaxis.set_minor_formatter(NullFormatter())
        label_shares(ax, f'{SIZES[key]} left', 'accuracy')

    name = f'Accuracy against {SIZES[key]} left by criterion; dotted: half a point below dense'
    return plot(draw, name, result)


def _cells(row: dict[str, Any], baseline: dict[str, Any]) -> tuple[str, ...]:
    """Return the cells of a pruned model beside its baseline."""
    cells = [
        percent(row['accuracy']),
        f'{100.0 * (baseline["accuracy"] - row["accuracy"]):+.2f}',
    ]
    for key in ('parameters', 'macs'):
        cells.append(count(row.get(key)))
        known = row.get(key) and baseline.get(key)
        cells.append(f'{baseline[key] / row[key]:.1f}x' if known else '-')
    return (*cells, count(row.get('bytes')))
