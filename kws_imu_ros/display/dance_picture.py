"""The picture of a rehearsed dance: the path on the floor, and the moves on their beats."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kws_imu_ros.choreography.choreography import Choreography
from kws_imu_ros.choreography.rehearsal import Step
from kws_imu_ros.display.figure import new_figure, save_figure

# Told apart by people of any colour vision (Okabe and Ito, 2008).
_COLORS = ('#0072b2', '#e69f00', '#009e73', '#cc79a7', '#56b4e9', '#d55e00', '#f0e442', '#666666')
_LEAST_EXTENT_M = 0.5


def save_dance_picture(choreography: Choreography, steps: Sequence[Step], path: Path) -> None:
    """
    Write a PNG.

    Raises:
        KwsImuError: matplotlib is not installed, or the file cannot be written.

    """
    figure = new_figure(11, 6.5)
    grid = figure.add_gridspec(1, 2, width_ratios=(1.2, 1))
    intents = list(dict.fromkeys(move.robot for move in choreography.moves if move.robot))
    colors = {intent: _COLORS[k % len(_COLORS)] for k, intent in enumerate(intents)}
    _draw_path(figure.add_subplot(grid[0, 0]), steps, colors)
    _draw_moves(figure.add_subplot(grid[0, 1]), choreography, colors)
    figure.suptitle(
        f'{choreography.name}: {len(choreography.moves)} moves at '
        f'{choreography.beats_per_minute:g} beats a minute'
    )
    save_figure(figure, path)


def _draw_path(axes: Any, steps: Sequence[Step], colors: dict[str, str]) -> None:
    axes.plot(
        [step.pose.x for step in steps], [step.pose.y for step in steps], color='#999999', zorder=1
    )
    numbers: dict[tuple[float, float], list[str]] = {}
    for step in steps:
        if step.move >= 0:
            # Moves that begin at one place share a label.
            place = (round(step.pose.x, 2), round(step.pose.y, 2))
            numbers.setdefault(place, []).append(str(step.move + 1))
            axes.scatter(*place, color=colors[step.sent], s=60, zorder=2)
    for place, names in numbers.items():
        axes.annotate(' '.join(names), place, xytext=(8, -4), textcoords='offset points')
    axes.set_aspect('equal', adjustable='datalim')
    middle_x, middle_y = (sum(axes.get_xlim()) / 2, sum(axes.get_ylim()) / 2)
    axes.update_datalim(
        [
            (middle_x - _LEAST_EXTENT_M, middle_y - _LEAST_EXTENT_M),
            (middle_x + _LEAST_EXTENT_M, middle_y + _LEAST_EXTENT_M),
        ]
    )
    axes.autoscale_view()
    axes.grid(alpha=0.3)
    axes.set_xlabel('x, forward (m)')
    axes.set_ylabel('y, left (m)')


def _draw_moves(axes: Any, choreography: Choreography, colors: dict[str, str]) -> None:
    bar = choreography.beats_per_bar
    for move in choreography.moves:
        beat, left = move.beat, move.beats
        while left > 1e-9:  # A move that goes over the bar goes on in the next row.
            row = int((beat - 1.0) // bar)
            here = min(left, 1.0 + (row + 1) * bar - beat)
            axes.barh(
                row,
                here,
                left=(beat - 1.0) % bar,
                height=0.8,
                color=colors.get(move.robot, '#dddddd'),
                edgecolor='white',
                alpha=0.6,
            )
            if beat == move.beat:
                label = '\n'.join(filter(None, (move.robot, move.arm or move.reference)))
                axes.text((beat - 1.0) % bar + 0.05, row, label, va='center', fontsize=8)
            beat, left = beat + here, left - here
    rows = max(1, -(-int(choreography.end - 1.0) // bar))
    axes.set_ylim(rows - 0.5, -0.5)
    axes.set_xlim(0, bar)
    axes.set_yticks(range(rows), [str(1 + row * bar) for row in range(rows)])
    axes.set_xticks(range(bar), [f'+{k}' for k in range(bar)])
    axes.set_ylabel('beat')
    axes.set_title('moves, a row a bar')
