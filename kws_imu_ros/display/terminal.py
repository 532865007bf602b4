"""The live terminal: level, what is heard and seen, the decision and why, velocity, a small map."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from rich.columns import Columns
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from kws_imu_ros.decision.decision import Decision, Outcome
from kws_imu_ros.motion.velocity import Pose
from kws_imu_ros.replay.run_log import RunLog
from kws_imu_ros.replay.scenario import Judgement

BAR_WIDTH = 18
MAP_COLUMNS, MAP_ROWS = 30, 13
# A terminal narrower than the three panels does without the map.
FULL_WIDTH = 114
# Map cells between two grid marks.
GRID_COLUMNS, GRID_ROWS = 5, 3
LEVEL_FLOOR_DBFS, LEVEL_TOP_DBFS = -70.0, -10.0
# Braille dots of a character cell, by row and column; 0x2800 is the empty cell.
_BRAILLE = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
_ARROWS = '→↗↑↖←↙↓↘'
_OUTCOME_STYLE = {Outcome.ACCEPT: 'bold green', Outcome.ASK: 'bold yellow', Outcome.REJECT: 'dim'}


class TerminalDisplay:
    """Redraw the run in place, a few times a second."""

    def __init__(self, log: RunLog, console: Console, arena: tuple[float, float] = (4.0, 4.0)):
        """arena: size along x and y in m."""
        self._log = log
        self._arena = arena
        self._live = Live(console=console, auto_refresh=False, transient=True)

    def __enter__(self) -> TerminalDisplay:
        """Take the terminal."""
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Give the terminal back."""
        self._live.stop()

    def update(self) -> None:
        """Draw what is now."""
        width = self._live.console.width
        self._live.update(render(self._log, self._arena, width), refresh=True)

    def decided(self, time_s: float, decision: Decision) -> None:
        """Leave a line above the live part, so that the history scrolls up and stays."""
        self._live.console.print(_decision_row(time_s, decision), highlight=False)

    def warned(self, time_s: float, node: str, sentence: str) -> None:
        """Leave a node's warning above the live part."""
        text = Text(f'{time_s:6.2f} s  ')
        text.append(f'{node} warns: {sentence}', style='yellow')
        self._live.console.print(text, highlight=False)

    def danced(self, time_s: float, intent: str) -> None:
        """Leave a command of a dance above the live part."""
        self._live.console.print(f'{time_s:6.2f} s  {intent}', highlight=False)


class LineDisplay:
    """Print one plain line an event, for logs, pipes and screen readers."""

    STATUS_EVERY_S = 5.0

    def __init__(self, log: RunLog, console: Console):
        """Start silent."""
        self._log = log
        self._console = console
        self._next_status_s = 0.0

    def __enter__(self) -> LineDisplay:
        """Return the display."""
        return self

    def __exit__(self, *_: object) -> None:
        """Leave nothing behind."""

    def update(self) -> None:
        """Print a line of status when the last one is old."""
        log = self._log
        if log.now_s < self._next_status_s:
            return
        self._next_status_s = (log.now_s // self.STATUS_EVERY_S + 1) * self.STATUS_EVERY_S
        self._print(
            f'{log.now_s:6.2f} s  level {log.level_dbfs:.0f} dBFS, heard {_best(log.voice)}, '
            f'saw {_best(log.gesture)}, {_velocity(log)}, {_pose(log.pose)}'
        )

    def decided(self, time_s: float, decision: Decision) -> None:
        """Print a decision."""
        self._print(decision_text(time_s, decision).plain)

    def warned(self, time_s: float, node: str, sentence: str) -> None:
        """Print a node's warning."""
        self._print(f'{time_s:6.2f} s  {node} warns: {sentence}')

    def danced(self, time_s: float, intent: str) -> None:
        """Print a command of a dance."""
        self._print(f'{time_s:6.2f} s  {intent}')

    def _print(self, line: str) -> None:
        # Not wrapped: a line an event is what a reader of logs searches.
        self._console.print(line, soft_wrap=True, highlight=False, markup=False)


def decision_text(time_s: float, decision: Decision) -> Text:
    """Return a decision as one line: when, what, by which rule, and why."""
    what = decision.intent if decision.outcome is Outcome.ACCEPT else decision.outcome.value
    text = Text(f'{time_s:6.2f} s  ')
    text.append(f'{what:<6}', style=_OUTCOME_STYLE[decision.outcome])
    text.append(f'  [{decision.rule}] {decision.reason}')
    return text


def _decision_row(time_s: float, decision: Decision) -> RenderableType:
    """Return `decision_text` with a reason that wraps under itself."""
    text = decision_text(time_s, decision)
    indent = text.plain.index('[')
    row = Table.grid()
    row.add_column(width=indent, no_wrap=True)
    row.add_column()
    reason = text[indent:]
    reason.stylize('cyan', 0, len(decision.rule) + 2)
    row.add_row(text[:indent], reason)
    return row


def render(log: RunLog, arena: tuple[float, float], width: int = FULL_WIDTH) -> RenderableType:
    """Return the whole live part for one moment. width: of the terminal, columns."""
    left = Table.grid(padding=(0, 1))
    left.add_row('level', _level(log.level_dbfs))
    left.add_row('', '')
    for label, value in zip(*log.voice):
        left.add_row(label, _bar(float(value), 'cyan'))
    middle = Table.grid(padding=(0, 1))
    for label, value in zip(*log.gesture):
        middle.add_row(label, _bar(float(value), 'magenta'))
    motion = Text(f'\n{_velocity(log)}\n{_pose(log.pose)}\n\n')
    motion.append(_machine(log), style='dim')
    height = max(MAP_ROWS, len(log.voice[0]) + 2) + 2
    panels = [
        Panel(left, title='heard', width=BAR_WIDTH + 20, height=height),
        Panel(Group(middle, motion), title='seen, and driven', width=BAR_WIDTH + 22, height=height),
    ]
    if width >= FULL_WIDTH:
        map_panel = Panel(draw_map(log, arena), title='map', width=MAP_COLUMNS + 4, height=height)
        panels.append(map_panel)
    return Group(_headline(log), Columns(panels), _latest(log, width))


def _machine(log: RunLog) -> str:
    """Return how fusion fares on this machine, '' before it has told."""
    if not log.fusion:
        return ''

    def median(name: str) -> str:
        key = next((key for key in log.fusion if key.startswith(name)), '')
        return log.fusion.get(key, '-').split(' / ')[0]

    return (
        f'inference {median("inference time")} ms\n'
        f'hop {median("hop time")} ms\n'
        f'from sound to decision {median("latency")} ms\n'
        f'sound lost {log.fusion.get("audio gaps", "-")} times'
    )


def _headline(log: RunLog) -> RenderableType:
    if log.scenario is None:
        return Text(f'{log.now_s:.1f} s')
    share = min(max(log.now_s / log.scenario.duration_s, 0.0), 1.0)
    # One line at any width, so that nothing below jumps.
    text = Text(f'{log.scenario.title}  ', style='bold', no_wrap=True, overflow='ellipsis')
    text.append(_blocks(share, 14), style='blue')
    text.append(f' {log.now_s:4.1f} / {log.scenario.duration_s:.0f} s   ')
    text.append(log.current_event(), style='italic')
    return text


def _latest(log: RunLog, width: int) -> RenderableType:
    # Always two lines of text, so that nothing below or above jumps.
    latest: RenderableType = Text('nothing decided yet', style='dim')
    if log.decisions:
        latest = _decision_row(*log.decisions[-1])
    return Panel(latest, title='decision', height=4, width=min(width, FULL_WIDTH))


def _level(level_dbfs: float) -> Text:
    share = (level_dbfs - LEVEL_FLOOR_DBFS) / (LEVEL_TOP_DBFS - LEVEL_FLOOR_DBFS)
    text = Text(_blocks(min(max(share, 0.0), 1.0), BAR_WIDTH), style='green')
    text.append(f' {level_dbfs:4.0f} dB', style='default')
    return text


def _bar(value: float, style: str) -> Text:
    text = Text(_blocks(value, BAR_WIDTH), style=style if value >= 0.5 else f'dim {style}')
    text.append(f' {value:4.0%}', style='default')
    return text


def _blocks(share: float, width: int) -> str:
    eighths = round(share * width * 8)
    full, rest = divmod(eighths, 8)
    return ('█' * full + (' ▏▎▍▌▋▊▉'[rest] if rest else '')).ljust(width)


def draw_map(log: RunLog, arena: tuple[float, float]) -> Text:
    """Return the arena from above, x to the right and y up: trail in dots, robot as an arrow."""
    cells = np.zeros((MAP_ROWS, MAP_COLUMNS), int)
    poses = [pose for _, pose in log.path[:: max(1, len(log.path) // 2000)]]
    for pose in poses:
        column, row = _dot(pose, arena)
        cells[row // 4, column // 2] |= _BRAILLE[row % 4][column % 2]
    column, row = _dot(log.pose, arena)
    text = Text()
    for index, line in enumerate(cells):
        marks = [
            '·' if index % GRID_ROWS == 0 and i % GRID_COLUMNS == 2 else ' '
            for i in range(MAP_COLUMNS)
        ]
        characters = [chr(0x2800 + bits) if bits else marks[i] for i, bits in enumerate(line)]
        if index == row // 4:
            arrow = _ARROWS[round(log.pose.yaw / (math.pi / 4)) % 8]
            text.append(''.join(characters[: column // 2]), style='blue')
            text.append(arrow, style='bold red')
            text.append(''.join(characters[column // 2 + 1 :]) + '\n', style='blue')
        else:
            text.append(''.join(characters) + '\n', style='blue')
    text.right_crop(1)
    return text


def _dot(pose: Pose, arena: tuple[float, float]) -> tuple[int, int]:
    """Return column and row of a pose in braille dots, kept inside the map."""
    columns, rows = MAP_COLUMNS * 2, MAP_ROWS * 4
    x = int((pose.x / arena[0] + 0.5) * columns)
    y = int((0.5 - pose.y / arena[1]) * rows)
    return min(max(x, 0), columns - 1), min(max(y, 0), rows - 1)


def _best(posterior: tuple[Sequence[str], np.ndarray]) -> str:
    labels, values = posterior
    if not labels:
        return 'nothing'
    index = int(np.argmax(values))
    return f'{labels[index]} {values[index]:.0%}'


def _velocity(log: RunLog) -> str:
    return f'{log.velocity.linear_x:+.2f} m/s {math.degrees(log.velocity.angular_z):+.0f} deg/s'


def _pose(pose: Pose) -> str:
    return f'x {pose.x:+.2f} m, y {pose.y:+.2f} m, {math.degrees(pose.yaw):+.0f} deg'


def judgement_table(judgement: Judgement) -> Table:
    """Return the closing table: expected and happened, event by event."""
    table = Table(title='Expected and happened')
    table.add_column('s', justify='right')
    table.add_column('event')
    table.add_column('expected')
    table.add_column('happened')
    table.add_column('verdict')
    for verdict in judgement.verdicts:
        event = verdict.event
        happened = ', '.join(
            f'{command.intent} at {command.time_s:.2f} ({command.rule or "by hand"})'
            for command in verdict.commands
        )
        expected = event.expect or 'nothing'
        if event.still_within_s is not None:
            expected += f', standing {event.still_within_s:g} s later'
        table.add_row(
            f'{event.start_s:g}',
            Text(event.name),
            expected,
            Text(happened or 'nothing'),
            Text('ok', style='green') if verdict.passed else Text(verdict.why, style='bold red'),
        )
    for command in judgement.stray:
        happened = f'{command.intent} ({command.rule or "by hand"})'
        table.add_row(
            f'{command.time_s:.2f}', 'between events', 'nothing', happened, Text('stray', 'red')
        )
    return table
