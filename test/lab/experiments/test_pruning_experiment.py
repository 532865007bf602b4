"""The pruning experiments and the tutorial baseline, on a handful of real recordings."""

import json
import re

import numpy as np
import pytest

from kws_imu_ros.commands.main import main
from kws_imu_ros.lab.compression.pruning import Coupling
from kws_imu_ros.lab.experiments import pruning, tutorial_baseline
from kws_imu_ros.lab.experiments.voice_lab import VoiceLab
from kws_imu_ros.lab.report.report import build_report, read_results
from kws_imu_ros.lab.training.loop import Schedule

EFFORT = pruning.Effort(pool=2, dense=3, tune=2, between=2, last=2, sparse=3)


@pytest.fixture(scope='module')
def bench(test_data, tmp_path_factory):
    lab = VoiceLab(test_data / 'speech_commands', tmp_path_factory.mktemp('work'))
    return pruning.PruningBench(lab, EFFORT, {'size': 'small', 'norm': 'batch'})


def drawn(results, path):
    """Write results as the command does, and return the page that the report makes of them."""
    path.write_text(json.dumps([{**result, 'command': 'kws-imu experiment'} for result in results]))
    return build_report(read_results([path]), 'pruning')


def test_the_dense_network_is_trained_once(bench, capfd):
    weights = bench.dense.get_weights()
    capfd.readouterr()
    again = pruning.PruningBench(bench.lab, EFFORT, bench.config)
    for first, second in zip(weights, again.dense.get_weights(), strict=True):
        np.testing.assert_array_equal(first, second)
    assert 'dense: unchanged' in capfd.readouterr().err


def test_the_scan_covers_every_width_and_leaves_the_network_as_it_was(bench, tmp_path):
    before = bench.dense.get_weights()
    curves, table = results = pruning.sensitivity(bench)
    widths = [dimension.name for dimension in Coupling(bench.dense).dimensions]
    assert list(curves['series']) == [row[0] for row in table['rows']] == widths
    for curve in curves['series'].values():
        assert [point[0] for point in curve] == [0.0, *pruning.SCAN_RATIOS]
    for old, new in zip(before, bench.dense.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert 'Sensitivity of the widths' in drawn(results, tmp_path / 'sensitivity.json')


@pytest.mark.parametrize('kind', pruning.BUDGET_NAMES)
def test_criteria_meet_the_same_budget_and_random_is_drawn_again(
    kind, bench, tmp_path, monkeypatch
):
    monkeypatch.setattr(pruning, 'TUNED_SHARES', (0.1,))
    names = ['l1', 'taylor', 'taylor per cost', 'random']
    tuned, right_after, table = results = pruning.criteria(bench, kind, names)
    dense = tuned['baseline'][kind]
    assert set(tuned['curves']) == set(right_after['series']) == set(names)
    for row in table['measured']:
        assert 0.8 * row['share'] * dense < row[kind] <= row['share'] * dense
        assert 0.0 <= row['right_after'] <= 1.0
        assert ('accuracy' in row) == (row['share'] in pruning.TUNED_SHARES)
    plain, by_cost = (
        [(row['macs'], row['parameters']) for row in table['measured'] if row['criterion'] == name]
        for name in ('taylor', 'taylor per cost')
    )
    assert plain != by_cost, 'other channels go where each is weighed against its cost'
    choices = [row for row in table['measured'] if row['criterion'] == 'random']
    assert len(choices) == len(pruning.RANDOM_SEEDS) * len(pruning.SHARES)
    page = drawn(results, tmp_path / 'criteria.json')
    assert 'random (control)' in page and 'spread of choices' in page


def test_tenfold_pruning_says_what_was_reached(bench, tmp_path, monkeypatch):
    monkeypatch.setattr(pruning, 'TENFOLD_STEPS', 2)
    steps, latency, verdict = results = pruning.tenfold(bench)
    assert verdict['parameters_fewer'] >= 10.0
    assert verdict['macs_fewer'] >= 5.0
    dense, pruned = latency['rows']
    assert dense['precision'] == pruned['precision'] == 'int8'
    assert dense['parameters'] / pruned['parameters'] == verdict['parameters_fewer']
    sizes = [row['parameters'] for row in steps['curves']['taylor, in steps']]
    assert sizes == sorted(sizes, reverse=True) and len(sizes) == pruning.TENFOLD_STEPS
    reached = {row[0]: row[-1] for row in verdict['rows']}
    assert reached['parameters'] == reached['macs'] == 'yes'
    assert reached['accuracy, int8'] == ('yes' if verdict['lost_points'] <= 0.5 else 'no')
    assert 'at most 0.5 point lost' in drawn(results, tmp_path / 'tenfold.json')


def test_zeroed_weights_shrink_only_the_compressed_file(bench, tmp_path, monkeypatch):
    monkeypatch.setattr(pruning, 'SPARSE_SHARES', (0.9,))
    table, latency = results = pruning.unstructured(bench)
    dense, zeroed, removed = (
        dict(zip(table['columns'], row, strict=True)) for row in table['rows']
    )
    assert zeroed['zeros'] == '90%'
    assert zeroed['parameters'] == dense['parameters'] and zeroed['MACs'] == dense['MACs']
    assert zeroed['bytes'] == pytest.approx(dense['bytes'], rel=0.01)
    assert zeroed['gzipped'] < 0.7 * dense['gzipped']
    assert removed['parameters'] <= 0.11 * dense['parameters']
    assert removed['bytes'] < 0.5 * dense['bytes']
    assert len(latency['rows']) == 3
    assert 'Weights set to zero' in drawn(results, tmp_path / 'unstructured.json')


def test_the_baseline_is_trained_once_and_compared_with_any_bundle(
    test_data, tmp_path, capfd, monkeypatch
):
    monkeypatch.setattr(tutorial_baseline, 'GESTURE_WINDOWS', 10)
    monkeypatch.setattr(tutorial_baseline, 'CALIBRATION_PAIRS', 4)
    monkeypatch.setattr(tutorial_baseline, 'ROUNDS', 2)
    monkeypatch.setattr(tutorial_baseline, 'SCHEDULE', Schedule(steps=9, batch=2))
    arguments = [
        'experiment', 'tutorial_baseline', '--steps', '1', '--work', str(tmp_path / 'work'),
        '--speech', str(test_data / 'speech_commands'), '--activities', str(test_data / 'hapt'),
        '--gestures', str(test_data / 'gestures' / 'grwd'),
        '--json', str(tmp_path / 'baseline.json'),
    ]  # fmt: skip
    assert main(arguments) == 0
    table, latency = json.loads((tmp_path / 'baseline.json').read_text())
    assert table['smaller'] > 0.9
    assert [row['precision'] for row in latency['rows']] == ['int8', 'int8']
    assert str(tmp_path) not in table['command'] and '--gestures grwd' in table['command']
    assert set(table['accuracies']) == {'tutorial, float32', 'tutorial, int8', table['columns'][3]}
    assert re.search(r'standard error \d', table['note'])
    assert 'bytes' in build_report(read_results([tmp_path / 'baseline.json']), 'baseline')
    capfd.readouterr()
    assert main(arguments) == 0
    told = capfd.readouterr().err
    assert 'tutorial: unchanged' in told and 'tutorial_gesture: unchanged' in told
