"""The picture of a run: the path with the commands on it; what was heard, seen and driven."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from kws_imu_ros.display.figure import new_figure, save_figure
from kws_imu_ros.replay.run_log import RunLog
from kws_imu_ros.replay.scenario import Command, Judgement

_MARGIN_M = 0.25
_LEAST_EXTENT_M = 1.0
_LABEL_ROOM_M = 0.08
_COLORS = {'gesture': '#b5179e', 'voice': '#0077b6', 'both': '#e85d04'}


def save_picture(
    log: RunLog,
    path: Path,
    judgement: Judgement | None = None,
    arena: tuple[float, float] = (4.0, 4.0),
) -> None:
    """
    Write a PNG.

    arena: size along x and y in m, its walls are drawn where they are near.

    Raises:
        KwsImuError: matplotlib is not installed, or the file cannot be written.

    """
    figure = new_figure(14, 6.6)
    commands = log.judged_commands()
    grid = figure.add_gridspec(4, 2, width_ratios=(1, 1.15), height_ratios=(1, 2.2, 1.3, 1.1))
    _draw_path(figure.add_subplot(grid[:, 0]), log, commands, arena)
    rows = [figure.add_subplot(grid[0, 1])]
    rows += [figure.add_subplot(grid[index, 1], sharex=rows[0]) for index in (1, 2, 3)]
    _draw_commands(rows[0], log, commands, judgement)
    _draw_posterior(rows[1], log, log.voice[0], 1, 'heard', 'Blues')
    _draw_posterior(rows[2], log, log.gesture[0], 2, 'seen', 'RdPu')
    _draw_velocity(rows[3], log)
    for row in rows[:-1]:
        row.tick_params(labelbottom=False)
    end_s = max([log.now_s, *(item[0] for item in log.path[-1:])])
    rows[0].set_xlim(0.0, log.scenario.duration_s if log.scenario else max(end_s, 1.0))
    rows[-1].set_xlabel('time (s)')
    figure.suptitle(log.scenario.title if log.scenario else 'A run of the robot')
    save_figure(figure, path)


def _color(command: Command) -> str:
    if 'gesture' in command.rule:
        return _COLORS['both'] if 'voice' in command.rule else _COLORS['gesture']
    return _COLORS['both'] if 'agree' in command.rule else _COLORS['voice']


def _draw_path(axes: Any, log: RunLog, commands: list[Command], arena: tuple[float, float]) -> None:
    from matplotlib.collections import LineCollection
    from matplotlib.patches import Rectangle

    poses = [pose for _, pose in log.path] or [log.pose]
    xy = np.array([(pose.x, pose.y) for pose in poses])
    if len(xy) > 1:
        segments = list(np.stack([xy[:-1], xy[1:]], axis=1))
        lines = LineCollection(segments, cmap='viridis', linewidths=3, capstyle='round')
        lines.set_array(np.array([time_s for time_s, _ in log.path[1:]]))
        axes.add_collection(lines)
        axes.figure.colorbar(lines, ax=axes, label='time (s)', shrink=0.5, aspect=30, pad=0.01)
    axes.add_patch(
        Rectangle(
            (-arena[0] / 2, -arena[1] / 2), *arena, fill=False, edgecolor='black', linewidth=3
        )
    )
    axes.plot(*xy[0], 'o', color='black', markersize=7, zorder=3)
    final = poses[-1]
    axes.annotate(
        '',
        (final.x + 0.14 * math.cos(final.yaw), final.y + 0.14 * math.sin(final.yaw)),
        (final.x, final.y),
        arrowprops={'arrowstyle': '-|>', 'color': 'black', 'linewidth': 2},
        zorder=4,
    )
    places: list[np.ndarray] = []
    for number, command in enumerate(commands, 1):
        pose = log.pose_at(command.time_s)
        place = _free_place(np.array((pose.x, pose.y)), places, xy[::5])
        places.append(place)
        axes.plot([pose.x, place[0]], [pose.y, place[1]], color=_color(command), linewidth=1)
        axes.text(
            *place,
            f'{number} {command.intent}',
            fontsize=9,
            ha='center',
            va='center',
            color='white',
            bbox={'boxstyle': 'round,pad=0.25', 'facecolor': _color(command), 'linewidth': 0},
            zorder=5,
        )
    corners = np.concatenate([xy, places]) if places else xy
    low, high = corners.min(axis=0), corners.max(axis=0)
    center, extent = (low + high) / 2, max(float((high - low).max()), _LEAST_EXTENT_M) + _MARGIN_M
    axes.set_xlim(center[0] - extent / 2, center[0] + extent / 2)
    axes.set_ylim(center[1] - extent / 2, center[1] + extent / 2)
    axes.set_aspect('equal')
    axes.grid(alpha=0.3)
    axes.set_title(f'path, {log.distance():.2f} m (dot: start, arrow: end)')
    axes.set_xlabel('x (m)')
    axes.set_ylabel('y (m)')


def _free_place(anchor: np.ndarray, labels: list[np.ndarray], path: np.ndarray) -> np.ndarray:
    """Return where to put a label: near its anchor, clear of the others and of the path."""
    best, best_room = anchor, -1.0
    for radius in (0.1, 0.16, 0.22, 0.3):
        for angle in np.arange(0.0, 2 * math.pi, math.pi / 8):
            place = anchor + radius * np.array((math.cos(angle), math.sin(angle)))
            # Labels are wide and low: distance counts more up and down than sideways.
            rooms = [
                np.hypot((obstacles - place)[:, 0] / 2.5, (obstacles - place)[:, 1]).min() * weight
                for obstacles, weight in ((np.reshape(labels, (-1, 2)), 1.0), (path, 1.8))
                if len(obstacles)
            ]
            room = min(rooms, default=1.0)
            if room > _LABEL_ROOM_M:
                return place
            if room > best_room:
                best, best_room = place, room
    return best


def _draw_commands(
    axes: Any, log: RunLog, commands: list[Command], judgement: Judgement | None
) -> None:
    for event in log.scenario.events if log.scenario else ():
        axes.axvspan(event.start_s, event.end_s, color='0.93', linewidth=0)
        if not event.expect:
            axes.text(
                (event.start_s + event.end_s) / 2,
                0.5,
                'do nothing',
                color='0.45',
                fontsize=8,
                rotation=90,
                ha='center',
                va='center',
            )
    for number, command in enumerate(commands, 1):
        axes.axvline(command.time_s, color=_color(command))
        axes.text(
            command.time_s,
            0.84 - 0.34 * ((number - 1) % 3),
            f'{number} {command.intent}',
            color='white',
            fontsize=7.5,
            ha='center',
            va='center',
            bbox={'boxstyle': 'round,pad=0.2', 'facecolor': _color(command), 'linewidth': 0},
        )
    axes.set_ylim(0, 1)
    axes.set_yticks([])
    verdict = ''
    if judgement is not None:
        verdict = ': as expected' if judgement.passed else ': NOT as expected'
    axes.set_title(f'commands by voice (blue), hand (pink), both (orange){verdict}', fontsize=10)


def _draw_posterior(
    axes: Any, log: RunLog, labels: tuple[str, ...], column: int, title: str, cmap: str
) -> None:
    # Best effort brings a message late now and then; a picture wants them in order.
    rows = sorted(
        (item for item in log.posteriors if np.size(item[column]) == len(labels)),
        key=lambda item: item[0],
    )
    if len(rows) > 1 and labels:
        times = np.array([item[0] for item in rows])
        values = np.array([item[column] for item in rows])
        axes.pcolormesh(
            times,
            np.arange(len(labels)),
            values.T,
            vmin=0,
            vmax=1,
            cmap=cmap,
            shading='nearest',
        )
    axes.set_yticks(np.arange(len(labels)), labels, fontsize=8)
    axes.set_ylabel(title)


def _draw_velocity(axes: Any, log: RunLog) -> None:
    times = [motion.time_s for motion in log.motions]
    axes.step(times, [m.linear_x for m in log.motions], where='post', label='m/s', color='#2a9d8f')
    axes.step(
        times,
        [m.angular_z / 5 for m in log.motions],
        where='post',
        label='rad/s, a fifth',
        color='#e9c46a',
    )
    axes.grid(alpha=0.3)
    axes.set_ylabel('driven')
    axes.legend(fontsize=8, loc='lower left', ncols=1)
