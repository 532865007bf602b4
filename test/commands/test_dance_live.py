"""`kws-imu dance perform` and `demo`: the real graph dances, or refuses what cannot be danced."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from teachers import save_reference

from kws_imu_ros.bags.reading import read_raw, summarize_bag, typestore
from kws_imu_ros.choreography.file import load_choreography
from kws_imu_ros.coach.findings import FindingKind
from kws_imu_ros.coach.score_card import read_card
from kws_imu_ros.commands import main as cli
from kws_imu_ros.commands.dance.perform import HAND_RULES, _policy_of_voice
from kws_imu_ros.decision.decision import Rule
from kws_imu_ros.decision.table import load_table
from kws_imu_ros.errors import KwsImuError

REPOSITORY = Path(__file__).resolve().parents[2]
DEMO = REPOSITORY / 'demo' / 'dance'
WORDS = ['up', 'left', 'up', 'right', 'right', 'down', 'left', 'go']
DANCE = """\
schema: 1
name: short
beats_per_minute: 120
beats_per_bar: 2
moves:
  - {beat: 1, beats: 2, robot: up}
  - {beat: 3, beats: 2, robot: down}
"""


def dance(*arguments: object) -> int:
    return cli.main(['dance', *map(str, arguments)])


@pytest.mark.parametrize('start', ['0', '0.1', '-0.2'])
def test_the_demo_s_voice_sets_its_eight_moves_on_their_beats(tmp_path, capsys, start):
    path = tmp_path / 'dance.yaml'
    assert dance('compose', path, '--input', DEMO / 'bag', '--tempo', 60, f'--start={start}') == 0
    composed = load_choreography(path)
    assert [move.robot for move in composed.moves] == WORDS
    assert [move.beat for move in composed.moves] == list(range(1, 17, 2))
    assert {move.beats for move in composed.moves} == {2.0}
    assert len(composed.phrases) == 1


def test_the_demo_s_coach_names_both_faults_and_nothing_else(tmp_path, capsys):
    robot = load_choreography(DEMO / 'arms.yaml')
    assert [move.robot for move in robot.moves] == WORDS
    card = tmp_path / 'card.json'
    status = dance(
        *('score', DEMO / 'arms.yaml', '--input', DEMO / 'performance', '--output', card),
        *('--reference', DEMO / 'reference', '--html', tmp_path / 'card.html'),
    )
    assert status == 1, 'there is something to change'
    kinds = {move.number: move.kind for move in read_card(card).moves}
    wrong = {number: kind for number, kind in kinds.items() if kind is not FindingKind.RIGHT}
    assert wrong == {3: FindingKind.LATE, 4: FindingKind.OTHER_DIRECTION}


def test_the_demo_s_bags_are_small_and_hold_what_the_scenario_says():
    assert sum(path.stat().st_size for path in DEMO.rglob('*') if path.is_file()) < 1_500_000
    scenario = yaml.safe_load((DEMO / 'scenario.yaml').read_text())
    assert [event['expect'] for event in scenario['events']] == [*WORDS, 'stop']


@pytest.mark.parametrize(
    ('text', 'sentence'),
    [
        (DANCE.replace('120', '300'), 'needs 0.5 s and gets 0.4 s'),
        (DANCE[: DANCE.index('moves')] + 'moves: []\n', 'has no moves'),
        (DANCE.replace('robot: up', 'robot: fly'), 'fly'),
    ],
)
def test_what_cannot_be_danced_is_refused_before_anything_starts(tmp_path, capsys, text, sentence):
    path = tmp_path / 'dance.yaml'
    path.write_text(text)
    assert dance('perform', path, '--output', tmp_path / 'out') == 2
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()


def test_a_real_robot_must_hear(tmp_path, capsys):
    path = tmp_path / 'dance.yaml'
    path.write_text(DANCE)
    assert dance('perform', path, '--no-simulation') == 2
    assert 'give --input microphone' in capsys.readouterr().err


@pytest.mark.ros
@pytest.mark.realtime
def test_a_dance_is_performed_in_the_real_graph(tmp_path, processes, bundle_directory):
    pytest.importorskip('rclpy', reason='ROS 2 is not installed')
    path, out = tmp_path / 'dance.yaml', tmp_path / 'out'
    path.write_text(DANCE)
    child = processes.start(
        *('-m', 'kws_imu_ros', 'dance', 'perform', path, '--no-terminal', '--output', out),
        *('--model', bundle_directory),
    )
    status = child.wait()
    assert 'The dance has ended' in child.output
    assert 'of 2 moves danced' in child.output
    # A machine that was held up tells so, and leaves moves out.
    assert status == (0 if ' 0 left out' in child.output else 1)
    assert (out / 'path.png').is_file()
    # Where the first beat lies, for `kws-imu dance record` and `score`.
    topics = {topic.name: topic.count for topic in summarize_bag(out / 'bag').topics}
    assert topics['/choreography'] >= 1
    beats = [
        typestore().deserialize_cdr(raw.data, raw.type).data
        for raw in read_raw(out / 'bag', ['/beat'])
    ]
    assert beats == sorted(beats)
    assert beats[0] == 0
    assert 'Traceback' not in child.output


def test_the_hand_of_who_dances_commands_nothing(tmp_path):
    table = load_table(_policy_of_voice(tmp_path, ''))
    assert {rule.value for rule in table.disabled} == set(HAND_RULES)
    assert Rule.STOP not in table.disabled
    own = tmp_path / 'own.yaml'
    own.write_text(
        (REPOSITORY / 'config' / 'policy.yaml').read_text().replace('  conflict:', '  # a')
    )
    with pytest.raises(KwsImuError):
        _policy_of_voice(tmp_path, str(own))


@pytest.mark.ros
@pytest.mark.realtime
def test_a_coach_watches_a_dance_in_the_real_graph(tmp_path, processes, bundle_directory, capsys):
    pytest.importorskip('rclpy', reason='ROS 2 is not installed')
    path, folder = save_reference(tmp_path)
    child = processes.start(
        *('-m', 'kws_imu_ros', 'dance', 'perform', path, '--coach', '--no-terminal'),
        *('--model', bundle_directory, '--output', tmp_path / 'out'),
    )
    child.wait()
    # Nobody wears a sensor here.
    assert 'the sensor was silent' in child.output
    assert 'The dance has ended' in child.output
    assert len(list((tmp_path / 'out' / 'cards').glob('*.html'))) == 1
    assert 'Traceback' not in child.output
    folder.rename(tmp_path / 'elsewhere')
    assert dance('perform', path, '--coach') == 2
    assert 'kws-imu dance record' in capsys.readouterr().err
