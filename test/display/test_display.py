"""What people see: with a terminal, without one, the closing table and the picture."""

from __future__ import annotations

import io
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from kws_imu_ros.decision.decision import Decision, Outcome, Rule, Score
from kws_imu_ros.display.picture import save_picture
from kws_imu_ros.display.terminal import (
    MAP_COLUMNS,
    LineDisplay,
    TerminalDisplay,
    decision_text,
    draw_map,
    judgement_table,
    render,
)
from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.motion.velocity import Pose, Velocity
from kws_imu_ros.replay.run_log import RunLog
from kws_imu_ros.replay.scenario import Command, Motion, Scenario, ScenarioEvent, judge

ARENA = (4.0, 4.0)


def decision(stamp_s: float, intent: str, outcome: str = 'accept', rule: str = 'voice') -> Decision:
    return Decision(
        round(stamp_s * 1e9),
        Outcome(outcome),
        intent if outcome == 'accept' else '',
        Rule(rule),
        f'Heard [{intent}] clearly.',
        Score(intent, 0.97),
        Score('none', 0.9),
        Score(intent, 0.9),
    )


@pytest.fixture
def log() -> RunLog:
    """Return a log of a robot that went ahead, was told to stop, and stood."""
    scenario = Scenario(
        'A short run', 10.0, (ScenarioEvent('"go"', 1, 3, 'go'), ScenarioEvent('hum', 4, 6, ''))
    )
    log = RunLog(scenario, start_ns=0, now_s=5.0, level_dbfs=-23.4)
    log.voice = (('go', 'stop', 'silence'), np.array([0.03, 0.93, 0.04], np.float32))
    log.gesture = (('swipe_left', 'none'), np.array([0.25, 0.75], np.float32))
    log.velocity, log.pose = Velocity(0.2, -0.5), Pose(1.0, -0.5, 1.6)
    log.decisions = [(1.5, decision(1.5, 'go')), (4.5, decision(4.5, 'go', 'ask', 'conflict'))]
    log.commands = [(1.6, 'go')]
    for step in range(60):
        time_s = step / 10
        log.path.append((time_s, Pose(time_s / 6, -time_s / 12, 0.5)))
        log.motions.append(Motion(time_s, 0.2, 0.0))
        log.posteriors.append((time_s, log.voice[1], log.gesture[1]))
    return log


def printed(width: int, *renderables, terminal: bool = False) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=terminal)
    for item in renderables:
        console.print(item)
    return console.file.getvalue()


def test_one_moment_shows_level_senses_decision_velocity_and_pose(log: RunLog):
    text = printed(120, render(log, ARENA))
    for expected in ('-23 dB', 'stop', '93%', 'swipe_left', '25%', '+0.20 m/s', '-29 deg/s'):
        assert expected in text
    assert 'x +1.00 m, y -0.50 m' in text
    assert '5.0 / 10 s' in text
    assert 'hum' in text
    assert '[conflict]' in text, 'brackets are text, not markup'


def test_nothing_is_a_moment_too():
    assert 'nothing decided yet' in printed(120, render(RunLog(), ARENA))


@pytest.mark.parametrize('width', [40, 80, 200])
def test_no_width_breaks_the_live_part(log: RunLog, width: int):
    lines = printed(width, render(log, ARENA)).splitlines()
    assert max(len(line) for line in lines) <= width


def test_the_map_has_the_robot_where_it_is(log: RunLog):
    rows = draw_map(log, ARENA).plain.splitlines()
    assert {len(row) for row in rows} == {MAP_COLUMNS}
    (row,) = (index for index, line in enumerate(rows) if '↑' in line)
    assert row > len(rows) / 2, 'y = -0.5 m is below the middle'
    assert rows[row].index('↑') > MAP_COLUMNS / 2, 'x = 1 m is right of the middle'


def test_a_robot_outside_the_map_is_drawn_at_its_edge(log: RunLog):
    log.pose = Pose(-50.0, 50.0, 3.2)
    assert draw_map(log, ARENA).plain.splitlines()[0].startswith('←')


def test_the_live_terminal_draws_scrolls_and_cleans_up(log: RunLog, monkeypatch):
    # A dumb terminal, as machines without people have it, would get plain lines.
    monkeypatch.setenv('TERM', 'xterm-256color')
    console = Console(file=io.StringIO(), width=120, force_terminal=True)
    with TerminalDisplay(log, console, ARENA) as display:
        display.update()
        display.decided(*log.decisions[0])
        display.decided(2.0, decision(2.0, 'go', 'reject', 'weak_voice'))
        display.update()
    text = console.file.getvalue()
    assert '\x1b[' in text
    assert text.count('Heard [go] clearly.') >= 2
    assert text.rstrip().endswith('\x1b[?25h') or '\x1b[?25h' in text, 'the cursor is back'


def test_without_a_terminal_lines_are_plain_and_whole(log: RunLog):
    console = Console(file=io.StringIO(), width=20)
    with LineDisplay(log, console) as display:
        display.update()
        display.update()
        display.decided(*log.decisions[0])
        log.now_s = 10.5
        display.update()
    lines = console.file.getvalue().splitlines()
    assert len(lines) == 3, 'one line of status each 5 s, one a decision, none wrapped'
    assert '\x1b' not in console.file.getvalue()
    assert lines[1] == '  1.50 s  go      [voice] Heard [go] clearly.'
    assert 'heard stop 93%' in lines[2]


def test_the_table_tells_expected_happened_and_stray(log: RunLog):
    judgement = judge(
        log.scenario, [Command(1.5, 'go', 'voice'), Command(4.5, 'stop', 'stop'), Command(9, 'up')]
    )
    text = printed(140, judgement_table(judgement))
    assert 'go at 1.50 (voice)' in text
    assert 'expected no command, got stop' in text
    assert 'stray' in text
    assert 'by hand' in text


def test_commands_take_time_and_rule_of_their_decision(log: RunLog):
    log.commands = [(1.7, 'go'), (3.0, 'left')]
    assert log.judged_commands() == [
        Command(1.5, 'go', 'voice', arrival_s=1.7),
        Command(3.0, 'left', ''),
    ]


def test_a_machine_that_fell_behind_is_told_from_a_robot_that_erred(log: RunLog):
    assert log.overload() == ''
    log.fusion = {'audio gaps': '0', 'audio restarts': '0'}
    log.warnings = [(1.0, 'command', 'Too old a command.')]
    assert log.overload() == ''
    log.fusion = {'audio gaps': '2', 'audio restarts': '1'}
    assert log.overload() == 'sound was lost 3 times'
    log.warnings.append((2.0, 'command', 'Fusion gives no heartbeat; the robot stands.'))
    assert 'sound was lost 3 times and fusion fell silent' in log.overload()


def test_the_live_part_tells_how_fusion_fares(log: RunLog):
    log.fusion = {
        'inference time (ms: median / p95 / longest)': '0.061 / 0.090 / 0.300',
        'hop time (ms: median / p95 / longest)': '0.310 / 0.500 / 0.800',
        'latency from last sample (ms: median / p95 / longest)': '12.5 / 20.1 / 30.0',
        'audio gaps': '0',
    }
    text = printed(120, render(log, ARENA))
    for expected in ('inference 0.061 ms', 'hop 0.310 ms', 'decision 12.5 ms', 'lost 0 times'):
        assert expected in text


def test_a_warning_of_a_node_is_a_line(log: RunLog):
    sentence = 'No IMU comes any more; [the robot] is told to stop.'
    for terminal, display in ((False, LineDisplay), (True, TerminalDisplay)):
        console = Console(file=io.StringIO(), width=120, force_terminal=terminal)
        with display(log, console) as shown:
            shown.warned(3.0, 'fusion', sentence)
        assert f'fusion warns: {sentence}' in console.file.getvalue()


def test_a_long_reason_wraps_under_itself(log: RunLog):
    console = Console(file=io.StringIO(), width=60, force_terminal=True, color_system=None)
    item = decision(2.0, 'go')
    with TerminalDisplay(log, console, ARENA) as display:
        display.decided(2.0, replace(item, reason='Heard it ' * 12))
    lines = console.file.getvalue().splitlines()
    first = next(i for i, line in enumerate(lines) if '[voice]' in line)
    indent = decision_text(2.0, item).plain.index('[voice]')
    wrapped = lines[first + 1]
    assert len(wrapped) - len(wrapped.lstrip()) == indent
    assert wrapped[indent:].startswith(('Heard it', 'it Heard'))


def test_the_picture_is_a_png_with_the_path(log: RunLog, tmp_path: Path):
    judgement = judge(log.scenario, log.judged_commands(), log.motions)
    save_picture(log, tmp_path / 'new' / 'path.png', judgement, ARENA)
    data = (tmp_path / 'new' / 'path.png').read_bytes()
    assert data.startswith(b'\x89PNG')
    width, height = struct.unpack('>II', data[16:24])
    assert width > 1000
    assert height > 500


def test_a_run_in_which_nothing_happened_has_a_picture(tmp_path: Path):
    save_picture(RunLog(), tmp_path / 'path.png')
    assert (tmp_path / 'path.png').stat().st_size > 1000


def test_a_picture_that_cannot_be_written_is_one_sentence(log: RunLog, tmp_path: Path):
    (tmp_path / 'file').touch()
    with pytest.raises(KwsImuError, match='picture cannot be written') as info:
        save_picture(log, tmp_path / 'file' / 'path.png')
    assert '\n' not in str(info.value)
