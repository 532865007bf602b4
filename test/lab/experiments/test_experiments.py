"""The bench of the voice experiments and the experiments on precision, on a handful of clips."""

import json
import subprocess
import sys

import numpy as np
import pytest

from kws_imu_ros.commands.main import main
from kws_imu_ros.lab.compression import quantization as conversion
from kws_imu_ros.lab.evaluation.words import voice_clips
from kws_imu_ros.lab.experiments import folding, normalization, quantization
from kws_imu_ros.lab.experiments.voice_lab import VoiceLab
from kws_imu_ros.lab.report.report import build_report, read_results
from kws_imu_ros.lab.training.loop import Schedule

TINY = {'size': 'small', 'width': 0.25}


@pytest.fixture(scope='module')
def speech(test_data):
    return test_data / 'speech_commands'


@pytest.fixture(scope='module')
def lab(speech, tmp_path_factory):
    lab = VoiceLab(speech, tmp_path_factory.mktemp('lab'))
    lab.fill_pool(2)
    return lab


def run(name, speech, path, capsys, *options):
    """Run an experiment as people do; return its results and the page the report makes of them."""
    file = path / f'{name}.json'
    arguments = ['experiment', name, '--speech', str(speech), '--work', str(path / 'work')]
    assert main([*arguments, '--json', str(file), '--steps', '1', *options]) == 0
    results = json.loads(file.read_text())
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == results
    return results, build_report(read_results([file]), name)


def test_the_bench_judges_by_the_clips_that_evaluate_counts(lab, speech):
    windows, truth = lab.validation
    clips, wanted, _, _ = voice_clips(speech, 'validation', lab.labels, None, None)
    np.testing.assert_array_equal(truth, wanted)
    assert windows.shape == (len(clips), 49, 40) and windows.dtype == np.float32
    model = lab.build('tc_resnet', TINY)
    assert lab.accuracy_of_tflite(conversion.to_float32(model)) == lab.accuracy(model)


def test_a_bench_holds_its_work_folder_until_it_is_gone(speech, tmp_path):
    code = 'import pathlib, sys; from kws_imu_ros.lab.training.work_folder import hold\n'
    code += 'hold(pathlib.Path(sys.argv[1]))'

    def another() -> subprocess.CompletedProcess:
        command = [sys.executable, '-c', code, str(tmp_path)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    bench = VoiceLab(speech, tmp_path)
    assert f'Another run trains in {tmp_path}' in another().stderr
    del bench
    assert another().returncode == 0


def test_the_same_seed_builds_the_same_network(lab):
    for old, new in zip(
        lab.build('tc_resnet', TINY).get_weights(), lab.build('tc_resnet', TINY).get_weights()
    ):
        np.testing.assert_array_equal(old, new)


def test_a_stage_is_trained_once_and_again_when_anything_that_decides_it_changed(lab, capsys):
    def train(schedule, config=TINY):
        model = lab.build('tc_resnet', config)
        lab.train('stage', model, schedule, make_batch=lab.deal)
        return model, 'unchanged' in capsys.readouterr().err

    first, taken = train(Schedule(2, batch=4))
    assert not taken
    second, taken = train(Schedule(2, batch=4))
    assert taken
    for old, new in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert not train(Schedule(3, batch=4))[1]
    assert not train(Schedule(3, batch=4), {**TINY, 'norm': 'group'})[1]


def test_statistics_taken_again_are_those_of_the_windows(lab):
    model = lab.build('tc_resnet', TINY)
    normalization.renew_statistics(model, lab)
    rng = np.random.default_rng((lab.seed, 4))
    windows = [lab.deal(normalization.TIMED_BATCH, rng)[0] for _ in range(16)]
    stem = model.get_layer('stem_conv')(np.concatenate(windows)[:, :, None, :]).numpy()
    layer = model.get_layer('stem_norm')
    np.testing.assert_allclose(layer.moving_mean, stem.mean(axis=(0, 1, 2)), atol=1e-4)
    np.testing.assert_allclose(layer.moving_variance, stem.var(axis=(0, 1, 2)), rtol=0.05)
    assert layer.momentum == 0.95


def test_normalization_covers_the_grid(speech, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(normalization, 'CONFIG', TINY)
    (curves, accuracies, cost), page = run(
        'normalization', speech, tmp_path, capsys, '--batches', '2', '4'
    )
    assert set(curves['series']) == {
        'GroupNorm', 'BatchNorm', 'none', 'BatchNorm, statistics taken again',
    }  # fmt: skip
    for points in curves['series'].values():
        assert [size for size, _ in points] == [2, 4]
        assert all(0.0 <= accuracy <= 1.0 for _, accuracy in points)
    assert accuracies['columns'] == ['normalization', 'batch 2', 'batch 4']
    assert [row[0] for row in cost['rows']] == ['GroupNorm', 'BatchNorm', 'none']
    assert 'Normalization against the size of the batch' in page


def test_folding_leaves_no_normalization(speech, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(folding, 'CONFIG', TINY)
    (table, latency), page = run('folding', speech, tmp_path, capsys)
    left = {row[0]: row[-1] for row in table['rows']}
    assert left.pop('GroupNorm, explicit') > 10
    assert left.pop('GroupNorm, explicit, tuned') > 10
    assert set(left.values()) == {0} and len(left) == 4
    assert [row['name'] for row in latency['rows']] == [row[0] for row in table['rows']]
    assert 'Group normalization, folded away' in page


def test_the_quantization_table_has_every_precision(speech, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(quantization, 'TEACHER', ('tc_resnet', TINY))
    students = {'DNN': ('dnn', {'size': 'small', 'width': 0.5})}
    monkeypatch.setattr(quantization, 'STUDENTS', students)
    (table,), page = run('quantization', speech, tmp_path, capsys)
    rows = {row['name']: row for row in table['rows']}
    for name in (
        'float32',
        'float16',
        'dynamic range',
        'int8 after training',
        'int8 quantization-aware, tuned',
        'int8 after training, distilled',
        'int8 after training, SVD, tuned',
    ):
        assert rows[name]['bytes'] > 0 and 0.0 <= rows[name]['accuracy'] <= 1.0
    assert (
        rows['int8 after training']['bytes'] < rows['float16']['bytes'] < rows['float32']['bytes']
    )
    assert rows['float32, SVD']['parameters'] < rows['float32']['parameters']
    lost = rows['float32']['accuracy'] - rows['int8 after training']['accuracy']
    assert table['int8_loss_points'] == pytest.approx(100 * lost)
    assert table['command'].startswith('kws-imu experiment quantization --speech speech_commands')
    assert str(tmp_path) not in json.dumps(table)
    assert 'DNN in every precision' in page


@pytest.mark.parametrize(
    ('arguments', 'sentence'),
    [
        (['--speech', '/nowhere'], 'Speech folder /nowhere does not exist'),
        (['--steps', '0'], '--steps is 0; a training needs at least one'),
        (['--json', '/nowhere/x.json'], '/nowhere is no folder'),
    ],
)
def test_user_mistakes_end_in_one_sentence(arguments, sentence, speech, tmp_path, capsys):
    common = ['experiment', 'folding', '--speech', str(speech), '--work', str(tmp_path)]
    assert main([*common, *arguments]) == 2
    told = capsys.readouterr().err
    assert sentence in told and 'Traceback' not in told


def test_help_lists_the_experiments_without_importing_them(capsys):
    with pytest.raises(SystemExit):
        main(['experiment', '--help'])
    told = capsys.readouterr().out
    assert 'folding' in told and 'quantization' in told
