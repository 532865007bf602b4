"""`kws-imu train` from folders to a bundle, and `kws-imu evaluate` on it: small, but all of it."""

import json
import shutil

import numpy as np
import pytest

from kws_imu_ros.cli import main
from kws_imu_ros.model.bundle import load_bundle
from kws_imu_ros.training.stages import fused_intent

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
def trained(folders, tmp_path_factory):
    base = tmp_path_factory.mktemp('train')
    (base / 'recipe.yaml').write_text(RECIPE)
    arguments = ['train', '--recipe', str(base / 'recipe.yaml'), *folders]
    arguments += ['--work', str(base / 'work'), '--output', str(base / 'models')]
    assert main(arguments) == 0
    return base, arguments


def test_training_writes_a_bundle_with_its_history(trained):
    base, _ = trained
    bundle = load_bundle(base / 'models' / 'tiny' / '1.0.0')
    manifest = bundle.manifest
    assert set(manifest.data) == {'speech', 'gestures', 'activities'}
    assert manifest.recipe['voice']['architecture'] == 'ds_cnn'
    assert 'kws-imu evaluate' in manifest.metrics['voice_accuracy'].command
    assert all(spec.dtype == 'int8' for spec in manifest.inputs.values())
    card = (bundle.path / 'MODEL_CARD.md').read_text()
    assert 'paired synthetically' in card and 'CC BY 4.0' in card


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
    assert fused_intent(word, gesture) == intent
