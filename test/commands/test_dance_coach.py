"""`kws-imu dance record`, `score` and `evaluate` from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from wrist import dance

from kws_imu_ros.commands.main import main

pytest.importorskip('dtaidistance')
pytest.importorskip('jinja2')

NAMES = ('left', 'up', 'roll')
MOVES = [(name, 2.0 + 3.0 * i, 0.9) for i, name in enumerate(NAMES)]


@pytest.fixture
def choreography(tmp_path) -> Path:
    moves = ''.join(
        f'  - {{beat: {1 + 3 * i}, beats: 3, reference: {name}}}\n' for i, name in enumerate(NAMES)
    )
    path = tmp_path / 'first.yaml'
    path.write_text(
        f'schema: 1\nname: First\nbeats_per_minute: 60\nmoves:\n{moves}', encoding='utf-8'
    )
    return path


def csv(path: Path, moves, seed: int = 0) -> Path:
    motion = dance(moves, 12.0, seed=seed)
    lines = ['stamp_ns,ax,ay,az,gx,gy,gz']
    lines += (
        f'{stamp},' + ','.join(f'{value:.5f}' for value in row)
        for stamp, row in zip(motion.stamps_ns, motion.values, strict=True)
    )
    path.write_text('\n'.join(lines), encoding='utf-8')
    return path


def test_a_teacher_is_recorded_and_two_tries_of_a_pupil_are_scored(choreography, tmp_path, capsys):
    teacher = csv(tmp_path / 'teacher.csv', MOVES, 1)
    record = ['dance', 'record', str(choreography), '--first-beat', '2']
    assert main([*record, '--input', str(teacher)]) == 0
    assert (tmp_path / 'first.reference' / 'index.yaml').exists()
    score = ['dance', 'score', str(choreography), '--first-beat', '2', '--without-network']
    first, second = tmp_path / 'card_1.json', tmp_path / 'card_2.json'
    page = tmp_path / 'card.html'
    good = csv(tmp_path / 'good.csv', MOVES, 2)
    assert main([*score, '--input', str(good), '--output', str(first)]) == 0
    late = csv(tmp_path / 'late.csv', [MOVES[0], ('up', 5.3, 0.9), MOVES[2]], 3)
    capsys.readouterr()
    again = [*score, '--input', str(late), '--last', str(first)]
    assert main([*again, '--output', str(second), '--html', str(page)]) == 1
    told = capsys.readouterr().out
    assert 'Against your last try: 2 of 3 moves were right, 3 last time.' in told
    assert 'One thing to change: up: begin sooner' in told
    kinds = [move['kind'] for move in json.loads(second.read_text(encoding='utf-8'))['moves']]
    assert kinds == ['right', 'late', 'right']
    assert 'begin sooner' in page.read_text(encoding='utf-8')
    assert main([*record[:3], '--delete']) == 0
    assert not (tmp_path / 'first.reference').exists()


@pytest.mark.parametrize(
    ('arguments', 'sentence'),
    [
        (['record', 'DANCE', '--input', 'CSV'], 'give --first-beat'),
        (['record', 'DANCE', '--input', 'CSV', '--first-beat', '40'], 'outside of'),
        (['record', 'DANCE', '--input', 'CSV', '--first-beat', '8'], 'gap of'),
        (['record', 'DANCE'], '--input is missing'),
        (['record', 'DANCE', '--delete'], 'holds no reference'),
        (['score', 'DANCE', '--input', 'CSV', '--first-beat', '2'], 'holds no reference'),
        (['score', 'DANCE', '--input', 'CSV', '--first-beat', '2', '--last', 'CSV'], 'score card'),
        (['evaluate', '--gestures', 'FOLDER', '--pupils', '0'], '--pupils 0'),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(
    choreography, tmp_path, capsys, arguments, sentence
):
    names = {
        'DANCE': str(choreography),
        'CSV': str(csv(tmp_path / 'wrist.csv', MOVES)),
        'FOLDER': str(tmp_path),
    }
    assert main(['dance', *(names.get(argument, argument) for argument in arguments)]) == 2
    told = capsys.readouterr().err
    assert sentence in told and 'Traceback' not in told
