"""`kws-imu train` from folders to a bundle, and `kws-imu evaluate` on it: small, but all of it."""

import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest

from kws_imu_ros.commands.main import main
from kws_imu_ros.lab.architectures.complexity import count
from kws_imu_ros.lab.evaluation.complexity import count_tflite
from kws_imu_ros.lab.training.loop import tf_keras
from kws_imu_ros.lab.training.vocabulary import Meanings
from kws_imu_ros.model.bundle import load_bundle
from kws_imu_ros.model.tflite_file import read_tflite

RECIPE = """
name: tiny
version: 1.0.0
seed: 1
teacher: {architecture: ds_cnn, config: {width: 0.25}, schedule: {steps: 3, batch: 8}}
voice: {architecture: ds_cnn, config: {width: 0.2}, schedule: {steps: 4, batch: 8}}
gesture: {architecture: imu_conv1d, config: {width: 0.5}, schedule: {steps: 4, batch: 8}}
fusion: {width: 8, voice_dropout: 0.1, gesture_dropout: 0.1, schedule: {steps: 4, batch: 8}}
quantize: {calibration_pairs: 12}
"""


@pytest.fixture(scope='module')
def folders(test_data):
    return [
        '--speech', str(test_data / 'speech_commands'),
        '--gestures', str(test_data / 'gestures' / 'grwd'),
        '--activities', str(test_data / 'hapt'),
    ]  # fmt: skip


@pytest.fixture(scope='module')
def trained(folders, tmp_path_factory, test_data):
    base = tmp_path_factory.mktemp('train')
    (base / 'recipe.yaml').write_text(RECIPE)
    # Two sources of talk: one that `kws-imu data running-speech` gathers, and somebody's own.
    recordings = sorted((test_data / 'speech_commands' / 'cat').iterdir())[:2]
    for name, recording in zip(('fillets-ng-data-nl', 'our_class'), recordings, strict=True):
        (base / 'talk' / name).mkdir(parents=True)
        shutil.copy(recording, base / 'talk' / name)
    arguments = ['train', '--recipe', str(base / 'recipe.yaml'), *folders]
    arguments += ['--running-speech', str(base / 'talk')]
    arguments += ['--work', str(base / 'work'), '--output', str(base / 'models')]
    assert main(arguments) == 0
    return base, arguments


def test_training_writes_a_bundle_with_its_history(trained):
    base, _ = trained
    bundle = load_bundle(base / 'models' / 'tiny' / '1.0.0')
    manifest = bundle.manifest
    assert set(manifest.data) == {'speech', 'gestures', 'activities', 'running_speech'}
    assert manifest.data['running_speech'].counts == {'training': 2}
    assert manifest.recipe['voice']['architecture'] == 'ds_cnn'
    assert 'kws-imu evaluate' in manifest.metrics['voice_accuracy'].command
    assert all(spec.dtype == 'int8' for spec in manifest.inputs.values())
    card = (bundle.path / 'MODEL_CARD.md').read_text()
    assert 'paired synthetically' in card and 'CC BY 4.0' in card
    assert 'Fish Fillets' in card and 'our_class' in card and 'Asterisk' not in card


def test_versions_are_never_rewritten(trained, capsys):
    _, arguments = trained
    assert main(arguments) == 2
    assert 'versions are never rewritten' in capsys.readouterr().err


def test_a_second_version_reuses_unchanged_stages(trained, capsys):
    base, arguments = trained
    text = RECIPE.replace('fusion: {width: 8', 'fusion: {width: 12')
    (base / 'recipe.yaml').write_text(text)
    assert main([*arguments, '--version', '1.1.0']) == 0
    told = capsys.readouterr().err
    for stage in ('teacher', 'voice', 'gesture'):
        assert f'{stage}: unchanged' in told
    assert 'fusion: unchanged' not in told


def test_evaluate_prints_one_json_object(trained, folders, capsys):
    base, _ = trained
    model = str(base / 'models' / 'tiny' / '1.0.0')
    assert main(['evaluate', '--model', model, *folders, '--split', 'all', '--json']) == 0
    result = json.loads(capsys.readouterr().out)
    assert result['voice']['examples'] > 20
    assert np.sum(result['gesture']['confusion']['rows_are_truth']) == 10
    assert result['everyday']['users'] == 2
    assert 0.0 <= result['voice']['accuracy'] <= 1.0


def test_evaluate_repeats_the_manifest(trained, folders, capsys):
    base, _ = trained
    path = base / 'models' / 'tiny' / '1.0.0'
    assert main(['evaluate', '--model', str(path), *folders, '--json']) == 0
    result = json.loads(capsys.readouterr().out)
    metrics = load_bundle(path).manifest.metrics
    assert result['voice']['accuracy'] == metrics['voice_accuracy'].value
    assert result['gesture']['balanced_accuracy'] == metrics['gesture_balanced_accuracy'].value


@pytest.mark.parametrize(
    ('change', 'sentence'),
    [
        (['--speech', '/nowhere'], 'Speech folder /nowhere does not exist'),
        (['--gestures', '/nowhere'], 'Gesture folder /nowhere does not exist'),
        (['--version', 'new'], "'new' is not a version"),
        (['--recipe', '/nowhere.yaml'], 'cannot be read'),
    ],
)
def test_wrong_folders_end_in_one_sentence(change, sentence, trained, capsys):
    _, arguments = trained
    assert main([*arguments, '--version', '9.0.0', *change]) == 2
    told = capsys.readouterr().err
    assert sentence in told and 'Traceback' not in told


def test_two_runs_do_not_share_a_work_folder(trained, tmp_path, capsys):
    _, arguments = trained
    holder = 'import pathlib, sys; from kws_imu_ros.lab.training.work_folder import hold\n'
    holder += 'lock = hold(pathlib.Path(sys.argv[1])); print(flush=True); sys.stdin.read()'
    command = [*arguments, '--version', '9.0.0', '--work', str(tmp_path), '--until', 'teacher']
    with subprocess.Popen(
        [sys.executable, '-c', holder, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as other:
        assert other.stdout.readline()
        assert main(command) == 2
        assert f'Another run trains in {tmp_path}' in capsys.readouterr().err
    assert main(command) == 0, 'the folder is free once the other has gone'


def test_a_work_folder_that_cannot_be_made_is_named(trained, tmp_path, capsys):
    (tmp_path / 'file').touch()
    assert main([*trained[1], '--version', '9.0.0', '--work', str(tmp_path / 'file')]) == 2
    assert f'Work folder {tmp_path / "file"} cannot be made' in capsys.readouterr().err


def test_a_gesture_that_nobody_recorded_is_named(trained, test_data, tmp_path, capsys):
    _, arguments = trained
    shutil.copytree(test_data / 'gestures' / 'grwd', tmp_path / 'g')
    shutil.rmtree(tmp_path / 'g' / 'swipe_up')
    assert main([*arguments, '--version', '9.0.0', '--gestures', str(tmp_path / 'g')]) == 2
    assert 'no training recordings of swipe_up' in capsys.readouterr().err


def test_nothing_to_evaluate_is_said(capsys):
    assert main(['evaluate']) == 2
    assert 'Nothing to evaluate on' in capsys.readouterr().err


@pytest.mark.parametrize(
    ('word', 'gesture', 'intent'),
    [
        ('right', 'swipe_left', 'left'),
        ('right', 'none', 'right'),
        ('stop', 'swipe_left', 'stop'),
        ('go', 'swipe_up', 'go'),
        ('silence', 'swipe_up', 'up'),
        ('unknown', 'swipe_down', 'stop'),
        ('up', 'swipe_down', 'down'),
        ('unknown', 'none', 'none'),
    ],
)
def test_what_word_and_gesture_mean_together(word, gesture, intent):
    assert Meanings().intent(word, gesture) == intent


STAGES = """
name: staged
version: 1.0.0
seed: 1
teacher: {architecture: dnn, config: {width: 0.1}, schedule: {steps: 2, batch: 8}, members: 2}
voice: {architecture: cnn, config: {width: 0.25, norm: group}, schedule: {steps: 2, batch: 8}}
voice_pruning:
  budget: {parameters: 0.4}
  rounds: 2
  calibration_clips: 16
  round_schedule: {steps: 2, batch: 8}
  schedule: {steps: 2, batch: 8}
gesture: {architecture: imu_conv1d, config: {width: 0.3}, schedule: {steps: 2, batch: 8}}
gesture_pruning: {budget: {macs: 0.7}, criterion: l1, schedule: {steps: 2, batch: 8}}
fold: {calibration_clips: 16, schedule: {steps: 2, batch: 8}}
fusion: {width: 8, voice_dropout: 0.1, gesture_dropout: 0.1, schedule: {steps: 2, batch: 8}}
quantize: {calibration_pairs: 8}
"""
STAGE_NAMES = (
    'teacher', 'teacher_2', 'voice', 'voice_pruned_1', 'voice_pruned_2', 'voice_folded',
    'gesture', 'gesture_pruned_1', 'fusion', 'quantize',
)  # fmt: skip


@pytest.fixture(scope='module')
def staged(folders, tmp_path_factory):
    base = tmp_path_factory.mktemp('stages')
    (base / 'recipe.yaml').write_text(STAGES)
    arguments = ['train', '--recipe', str(base / 'recipe.yaml'), *folders]
    arguments += ['--work', str(base / 'work'), '--output', str(base / 'models')]
    # In two runs, as a class would: the second finds what the first has made.
    assert main([*arguments, '--until', 'voice_pruned_1']) == 0
    assert not (base / 'work' / 'voice_pruned_2.json').exists()
    assert main([*arguments, '--until', 'quantize']) == 0
    assert not (base / 'models').exists()
    return base, arguments


def stored(work, stage):
    model = tf_keras.models.model_from_json((work / f'{stage}.architecture.json').read_text())
    model.load_weights(str(work / f'{stage}.weights.h5'))
    return model


def test_pruned_branches_are_smaller_by_their_budget_and_load_again(staged):
    work = staged[0] / 'work'
    sizes = [count(stored(work, f'voice_pruned_{n}')) for n in (1, 2)]
    assert sizes[1].parameters < 0.7 * sizes[0].parameters
    # Two rounds of one factor: 0.4 of the dense branch in the end, its root halfway.
    assert sizes[1].parameters > 0.4 * sizes[0].parameters
    gesture = stored(work, 'gesture_pruned_1')
    assert np.isfinite(gesture(np.ones((1, 100, 6), np.float32)).numpy()).all()


def test_folding_leaves_no_normalization_in_the_int8_graph(staged):
    work = staged[0] / 'work'
    int8 = (work / 'int8.tflite').read_bytes()
    assert not {t.spec.dtype for t in read_tflite(int8).main.tensors} & {'float32', 'float16'}
    operators = count_tflite(int8).operators
    # What an explicit group normalization takes; batch normalization would leave MUL or SUB.
    assert not set(operators) & {'RSQRT', 'BATCH_MATMUL', 'SQUARED_DIFFERENCE'}
    assert operators.get('MUL', 0) == 1  # The gate of the fusion head.


def test_a_run_without_changes_trains_nothing(staged, capsys):
    _, arguments = staged
    assert main([*arguments, '--until', 'quantize']) == 0
    told = capsys.readouterr().err
    for stage in STAGE_NAMES:
        assert f'{stage}: unchanged' in told
    assert 'training (' not in told


def test_another_last_schedule_leaves_the_rounds_before_it(staged, tmp_path, capsys):
    base, arguments = staged
    shutil.copytree(base / 'work', tmp_path / 'work')
    text = STAGES.replace('  schedule: {steps: 2', '  schedule: {steps: 3')
    (tmp_path / 'recipe.yaml').write_text(text)
    arguments = [*arguments, '--recipe', str(tmp_path / 'recipe.yaml')]
    arguments += ['--work', str(tmp_path / 'work'), '--until', 'voice_pruned']
    assert main(arguments) == 0
    told = capsys.readouterr().err
    assert 'voice_pruned_1: unchanged' in told and 'voice_pruned_2: training' in told
    assert 'voice_folded' not in told


def test_quantization_aware_training_of_the_whole_network(staged, tmp_path, capsys):
    base, arguments = staged
    shutil.copytree(base / 'work', tmp_path / 'work')
    new = '{mode: qat, calibration_pairs: 8, schedule: {steps: 2, batch: 8}}'
    (tmp_path / 'recipe.yaml').write_text(STAGES.replace('{calibration_pairs: 8}', new))
    arguments = [*arguments, '--recipe', str(tmp_path / 'recipe.yaml')]
    assert main([*arguments, '--work', str(tmp_path / 'work'), '--until', 'quantize']) == 0
    assert 'fusion: unchanged' in capsys.readouterr().err
    file = read_tflite((tmp_path / 'work' / 'int8.tflite').read_bytes())
    assert not {t.spec.dtype for t in file.main.tensors} & {'float32', 'float16'}


@pytest.mark.parametrize(
    ('old', 'new', 'sentence'),
    [
        ('{parameters: 0.4}', '{parameters: 3}', 'voice_pruning: a budget of 3 parameters cannot'),
        ('{parameters: 0.4}', '{parameters: 9000000}', 'above the .* of the dense branch'),
        ('{macs: 0.7}', '{macs: 0.0001}', 'gesture_pruning: a budget of .* macs cannot be met'),
    ],
)
def test_impossible_budgets_are_told_before_training(old, new, sentence, staged, tmp_path, capsys):
    _, arguments = staged
    (tmp_path / 'recipe.yaml').write_text(STAGES.replace(old, new))
    arguments = [*arguments, '--recipe', str(tmp_path / 'recipe.yaml')]
    assert main([*arguments, '--work', str(tmp_path / 'work')]) == 2
    told = capsys.readouterr().err
    assert re.search(sentence, told) and 'training (' not in told and 'Traceback' not in told


def test_a_stage_that_is_none_is_named(staged, capsys):
    assert main([*staged[1], '--until', 'vioce']) == 2
    assert "no stage 'vioce' to stop after; choose from teacher, " in capsys.readouterr().err


def test_speech_of_the_thresholds_is_not_trained_on(staged, test_data, capsys):
    folder = str(test_data / 'speech_commands')
    assert main([*staged[1], '--streams', folder, '--running-speech', folder]) == 2
    assert 'must be chosen on speech that was not trained on' in capsys.readouterr().err
