"""The benchmark measures what it says: words end where they end, latencies count from there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
BAG = REPOSITORY / 'demo' / 'bag'
SCENARIO = REPOSITORY / 'demo' / 'scenario.yaml'

MS = 1_000_000


@pytest.fixture
def graph():
    pytest.importorskip('rclpy', reason='ROS 2 is not installed')
    from kws_imu_ros.benchmark import live_graph

    return live_graph


def test_words_of_the_demo_end_within_their_clips(graph):
    words = graph.find_words(BAG, SCENARIO)
    assert len(words) >= 8
    for word in words:
        # A clip lasts one second; no word is shorter than a tenth of one.
        assert 0.1 < word.end_s - word.start_s <= 1.05, word
        assert word.end_s < word.until_s
        assert 0.0 <= word.rest_s < 0.02
        # Blocks of 20 ms, numbered from the bag's start.
        assert word.sequence == pytest.approx(word.end_s * 50, abs=3)


def test_a_move_counts_by_its_distance_from_its_own_beat():
    pytest.importorskip('rclpy', reason='ROS 2 is not installed')
    from kws_imu_ros.benchmark import dance as measured
    from kws_imu_ros.choreography.choreography import Choreography, Move
    from kws_imu_ros.choreography.feasibility import require_danceable
    from kws_imu_ros.motion.profiles import load_motion_table

    moves = tuple(Move(1.0 + n, 1.0, robot=('up', 'down')[n % 2]) for n in range(4))
    found = measured._lateness(
        Choreography('four', 60.0, 4, moves),
        5_000 * MS,
        # The second is late, the third never came, and a stop between them is no move.
        [(5_010 * MS, 'up'), (6_060 * MS, 'down'), (6_500 * MS, 'stop'), (7_990 * MS, 'down')],
    )
    assert (found['moves'], found['came'], found['share_within_50_ms']) == (4, 3, 0.5)
    assert found['from_beat_ms'] == {'p50': 10.0, 'p95': 55.0, 'maximum': 60.0}
    table = load_motion_table(REPOSITORY / 'config' / 'motion.yaml')
    for seconds in (1.0, 20.0, 600.0):
        require_danceable(measured._dance(seconds), table)


def word(graph, **changes):
    values = {
        'name': 'left',
        'intents': ('left',),
        'start_s': 4.8,
        'end_s': 5.3,
        'until_s': 7.3,
        'sequence': 266,
        'rest_s': 0.005,
    }
    return graph.Word(**{**values, **changes})


def test_latency_counts_from_the_last_sample_to_the_first_changed_velocity(graph):
    audio = {266: 10_000 * MS}
    commands = [(9_000 * MS, 'go'), (10_055 * MS, 'left')]
    velocities = [
        (10_050 * MS, (0.0, 0.0)),
        (10_060 * MS, (0.0, 0.0)),
        (10_095 * MS, (0.0, 0.2)),
        (10_145 * MS, (0.0, 0.4)),
    ]
    to_command, to_velocity = graph.latencies_of(word(graph), audio, commands, velocities)
    assert to_command == pytest.approx(0.060)
    assert to_velocity == pytest.approx(0.100)


def test_a_word_that_is_understood_before_its_end_has_a_negative_latency(graph):
    audio = {266: 10_000 * MS}
    commands = [(9_900 * MS, 'left')]
    velocities = [(9_890 * MS, (0.0, 0.0)), (9_940 * MS, (0.0, 0.2))]
    _, to_velocity = graph.latencies_of(word(graph), audio, commands, velocities)
    assert to_velocity == pytest.approx(-0.055)


@pytest.mark.parametrize(
    ('commands', 'why'),
    [
        ([], 'nothing was understood'),
        ([(10_055 * MS, 'right')], 'it was misunderstood'),
        ([(9_400 * MS, 'left')], 'the command came before the word'),
        ([(12_500 * MS, 'left')], 'the command came after its window'),
    ],
)
def test_a_word_without_its_command_has_no_latency(graph, commands, why):
    velocities = [(t * MS, (0.0, float(t))) for t in range(9_000, 13_000, 50)]
    assert graph.latencies_of(word(graph), {266: 10_000 * MS}, commands, velocities) is None, why


def test_a_word_whose_block_never_came_has_no_latency(graph):
    assert graph.latencies_of(word(graph), {}, [(10_055 * MS, 'left')], []) is None


def test_the_last_line_is_one_json_object(processes, bundle_directory, tmp_path):
    output = tmp_path / 'benchmark.json'
    child = processes.start(
        *('-m', 'kws_imu_ros', 'benchmark', '--only', 'inference', 'front_end', 'hop'),
        *('--model', bundle_directory, '--output', output),
    )
    assert child.wait() == 0, child.output
    result = json.loads(child.output.splitlines()[-1])
    assert result == json.loads(output.read_text(encoding='utf-8'))
    assert result['inference']['litert']['invoke_us']['median'] > 0.0
    assert result['front_end']['frame_us']['median'] > 0.0
    assert result['hop']['hop_us']['median'] > 0.0


@pytest.mark.parametrize(
    ('options', 'sentence'),
    [
        (('--seconds', '0'), 'seconds'),
        (('--model', '/nowhere'), '/nowhere'),
        (('--runtime-python', '/nowhere/python'), '/nowhere/python'),
    ],
)
def test_bad_options_end_in_one_sentence(processes, bundle_directory, options, sentence):
    arguments = ['-m', 'kws_imu_ros', 'benchmark', '--only', 'inference', *options]
    if '--model' not in options:
        arguments += ['--model', bundle_directory]
    child = processes.start(*arguments)
    assert child.wait() == 2
    assert 'Traceback' not in child.output
    assert sentence in child.output.splitlines()[-1]
