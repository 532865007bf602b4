"""`kws-imu dance`: composed from a bag to the byte, edited, played; mistakes are one sentence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kws_imu_ros.choreography.file import load_choreography
from kws_imu_ros.choreography.music import load_beats
from kws_imu_ros.commands import main as cli

DEMO = Path(__file__).resolve().parents[2] / 'demo' / 'bag'
DANCE = """\
schema: 1
name: square
beats_per_minute: 60
moves:
  - {beat: 1, beats: 4, robot: up}
  - {beat: 5, beats: 2, robot: left, arm: swipe_left}
"""


def dance(*arguments: object) -> int:
    return cli.main(['dance', *map(str, arguments)])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / 'square.yaml'
    path.write_text(DANCE)
    return path


def test_a_bag_becomes_the_same_dance_to_the_byte(tmp_path, capsys):
    first, second = tmp_path / 'first.yaml', tmp_path / 'second.yaml'
    for path in (first, second):
        assert dance('compose', path, '--input', DEMO, '--name', 'demo') == 0
    told = capsys.readouterr().out
    assert first.read_bytes() == second.read_bytes()
    composed = load_choreography(first)
    # The hand corrects the third word, "no" takes the sixth back, "stop" ends the phrase.
    assert [move.robot for move in composed.moves] == [
        *('left', 'up', 'left', 'right', 'down', 'up', 'go')
    ]
    assert [phrase.name for phrase in composed.phrases] == ['A', 'B']
    assert 'Move 3: "left" instead of "right" on beat 10.' in told
    assert dance('compose', first, '--input', DEMO) == 2
    assert 'is there already' in capsys.readouterr().err


def test_edits_are_shown_and_undone(file: Path, capsys):
    before = file.read_text()
    assert dance('edit', file, 'repeat', 1, 2, '--times', 3) == 0
    assert 'square: 8 moves' in capsys.readouterr().out
    assert dance('edit', file, 'mirror') == 0
    assert load_choreography(file).moves[1].robot == 'right'
    assert dance('edit', file, 'undo') == dance('edit', file, 'undo') == 0
    assert file.read_text() == before
    assert dance('edit', file, 'undo') == 2
    assert 'nothing to undo' in capsys.readouterr().err


def test_a_dance_is_played_and_drawn(file: Path, tmp_path, capsys):
    picture = tmp_path / 'dance.png'
    assert dance('play', file, '--picture', picture) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[4] for line in lines] == ['up', 'up', 'up', 'left']
    assert picture.read_bytes().startswith(b'\x89PNG')


def test_what_cannot_be_danced_is_refused_or_stretched(file: Path, capsys):
    file.write_text(DANCE.replace('beats: 2', 'beats: 1'))
    assert dance('play', file) == 2
    assert 'stretch the dance to 33 beats a minute' in capsys.readouterr().err
    assert dance('edit', file, 'stretch') == 0
    assert dance('show', file) == dance('play', file) == 0


@pytest.mark.parametrize(
    ('arguments', 'expected'),
    [
        (['show', 'FILE', '--model', 'nowhere'], 'nowhere'),
        (['edit', 'FILE', 'delete', '7'], 'no move 7; it has 2'),
        (['edit', 'FILE', 'insert', '9', '1', '--robot', 'fly'], '--robot fly is not known'),
        (['edit', 'FILE', 'join', 'nowhere.yaml'], 'nowhere.yaml'),
        (['edit', 'FILE', 'phrase', 'FILE', 'Z'], "no phrase 'Z'"),
        (['edit', 'FILE', 'stretch', '--tempo', '1000'], 'from 20 to 300'),
        (['compose', 'new.yaml', '--input', 'FILE', '--tempo', '0'], 'from 20 to 300'),
        (['music', 'FILE'], 'square.yaml'),
        (['play', 'nowhere.yaml'], 'nowhere.yaml'),
    ],
)
def test_mistakes_are_one_sentence_and_change_nothing(
    file: Path, tmp_path, monkeypatch, capsys, arguments, expected
):
    monkeypatch.chdir(tmp_path)
    assert dance(*(file if item == 'FILE' else item for item in arguments)) == 2
    error = capsys.readouterr().err
    assert expected in error
    assert error.count('\n') == 1
    assert file.read_text() == DANCE
    assert sorted(path.name for path in tmp_path.iterdir()) == ['square.yaml']


@pytest.mark.training  # librosa is there with it.
def test_the_beats_of_music_are_found_and_danced_to(file: Path, tmp_path, capsys):
    pytest.importorskip('librosa')
    soundfile = pytest.importorskip('soundfile')
    rate, period_s = 16000, 0.6  # 100 beats a minute.
    sound = np.zeros(12 * rate, np.float32)
    generator = np.random.default_rng(0)
    hit = 0.5 * generator.standard_normal(rate // 10) * np.exp(-np.arange(rate // 10) / 320)
    for k in range(19):
        start = int((0.3 + k * period_s) * rate)
        sound[start : start + len(hit)] += hit.astype(np.float32)
    soundfile.write(tmp_path / 'song.wav', sound, rate)
    assert dance('music', tmp_path / 'song.wav') == 0
    beats = load_beats(tmp_path / 'song.beats.yaml')
    gaps = [beats.time_ns(k + 1) - beats.time_ns(k) for k in range(1, 15)]
    assert np.median(gaps) == pytest.approx(period_s * 1e9, rel=0.03)
    file.write_text(DANCE.replace('moves:', 'music: song.beats.yaml\nmoves:'))
    assert dance('play', file) == 0
    assert 'beat   1.00  up' in capsys.readouterr().out
