"""Detection error trade-off: words missed against words that nobody said."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes

from kws_imu_ros.lab.report.parts import Note, Part, percent, plots, table
from kws_imu_ros.lab.report.plots import colour, label_shares, plot, scale_by_logarithm
from kws_imu_ros.lab.report.results import Result

# False accepts an hour at which the table tells what is missed.
LIMITS = (0.5, 1.0, 2.0, 5.0)
# Where no false accept at all is drawn on the axis of logarithms.
LEAST = 0.05


def draw_det(result: Result) -> list[Part]:
    """Draw false rejects against false accepts an hour."""
    series = result.take('series', dict)

    def draw(ax: Axes) -> None:
        for index, (name, points) in enumerate(series.items()):
            ordered = sorted(points, key=lambda point: point['false_accepts_per_hour'])
            accepts = [max(point['false_accepts_per_hour'], LEAST) for point in ordered]
            rejects = [point['false_reject_rate'] for point in ordered]
            ax.plot(accepts, rejects, marker='.', color=colour(index), label=name)
        ax.axvline(1.0, color='#888888', lw=0.8, ls=':')
        scale_by_logarithm(ax)
        ax.set_ylim(bottom=0.0)
        label_shares(ax, f'false accepts an hour (0 drawn at {LEAST})', 'false rejects')

    columns = ('', *(f'false rejects at {limit:g}/h' for limit in LIMITS))
    rows = (
        (name, *(_least_missed(points, at) for at in LIMITS)) for name, points in series.items()
    )
    parts: list[Part] = [
        plots(plot(draw, 'Detection error trade-off', result)),
        table(columns, rows),
    ]
    if result.data.get('hours') is not None:
        parts.append(Note(f'Negatives: {result.data["hours"]:.2f} h of audio.'))
    return parts


def _least_missed(points: list[dict[str, Any]], limit: float) -> str:
    """Return the lowest rate of false rejects with no more false accepts an hour than a limit."""
    rates = [p['false_reject_rate'] for p in points if p['false_accepts_per_hour'] <= limit]
    return percent(min(rates)) if rates else '-'
