"""A recipe is held against folders, policy and bundle before the first step."""

from __future__ import annotations

import dataclasses
import unicodedata
from pathlib import Path

import pytest

pytest.importorskip('tensorflow', reason='the training extras are not installed')

from kws_imu_ros.commands.main import main
from kws_imu_ros.decision.table import load_table, parse_table
from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.lab.data.vocabulary import INTENT_LABELS
from kws_imu_ros.lab.training.recipe import (
    GESTURE_LABELS,
    VOICE_LABELS,
    Recipe,
    load_recipe,
)
from kws_imu_ros.lab.training.vocabulary import Meanings, check_vocabulary, meanings_of, policy_for
from kws_imu_ros.resources import share_path

RECIPE = """
name: own
version: 1.0.0
seed: 1
voice: {architecture: ds_cnn, config: {width: 0.2}, schedule: {steps: 2, batch: 8}}
gesture: {architecture: imu_conv1d, config: {width: 0.5}, schedule: {steps: 2, batch: 8}}
fusion: {width: 8, voice_dropout: 0.1, gesture_dropout: 0.1, schedule: {steps: 2, batch: 8}}
"""
POLICY = share_path('config', 'policy.yaml')


@pytest.fixture(scope='module')
def recipe() -> Recipe:
    return load_recipe(share_path('config', 'training', 'release.yaml'))


def own(recipe: Recipe, *words: str, **changes) -> Recipe:
    return dataclasses.replace(recipe, voice_labels=(*words, 'unknown', 'silence'), **changes)


def test_the_shipped_policy_means_what_the_network_was_taught():
    table = load_table(POLICY)
    assert meanings_of(table) == Meanings()
    assert Meanings().intents(VOICE_LABELS, GESTURE_LABELS) == INTENT_LABELS


def test_the_shipped_recipes_fit_the_shipped_policy():
    for path in share_path('config', 'training').glob('*.yaml'):
        recipe, policy = check_vocabulary(load_recipe(path), POLICY)
        assert recipe.intent_labels == INTENT_LABELS
        assert policy == POLICY.read_text('utf-8')


def test_a_stop_word_makes_a_policy_that_fits(recipe: Recipe):
    german, policy = check_vocabulary(
        own(recipe, 'vor', 'zurück', 'halt', stop_word='halt'), POLICY
    )
    table = parse_table(policy)
    labels = {
        'voice': german.voice_labels,
        'gesture': german.gesture_labels,
        'intent': german.intent_labels,
    }
    table.check_labels(labels)
    assert table.stop_words == ('halt',) and table.stop_intent == 'stop'
    assert 'zurück' in german.intent_labels and 'halt' not in german.intent_labels


def test_a_policy_keeps_all_else_for_another_stop_word(recipe: Recipe):
    """With the words of the shipped model, and one that stops beside them, nothing else changes."""
    text = policy_for(dataclasses.replace(recipe, stop_word='no'), POLICY.read_text('utf-8'))
    changed = dataclasses.replace(load_table(POLICY), stop_words=('no',))
    assert parse_table(text) == changed


def test_decomposed_labels_are_composed(recipe: Recipe):
    words = [unicodedata.normalize('NFD', word) for word in ('vor', 'zurück', 'halt')]
    found, _ = check_vocabulary(own(recipe, *words, stop_word='halt'), POLICY)
    assert found.voice_labels[1] == 'zurück'


@pytest.mark.parametrize(
    ('words', 'changes', 'sentence'),
    [
        (('vor', 'halt'), {}, 'None of the recipe.s words stops the robot'),
        (('vor', 'halt'), {'stop_word': 'stopp'}, "stop_word is 'stopp', which is none of its"),
        (('vor', 'halt'), {'stop_word': 'unknown'}, "stop_word is 'unknown', which is none of its"),
        (('nach vorn', 'stop'), {}, "hold 'nach vorn', which cannot be a label"),
        (('3', 'stop'), {}, "hold '3', which cannot be a label"),
        (('_halt', 'stop'), {}, "hold '_halt', which cannot be a label"),
        (('stop', 'stop'), {}, 'name stop twice'),
        (('none', 'stop'), {}, "hold 'none', which is the intent for nothing"),
        (('stop',), {}, r"'directions' names 'left', which the model's voice head does not know"),
        ((), {}, 'hold no word or gesture to learn'),
        (VOICE_LABELS[:8], {'gesture_labels': ('swipe_left', 'swipe_up')}, 'lack none; add it'),
        (VOICE_LABELS[:8], {'gesture_labels': ('swipe_left', 'none')}, "'swipe_right'"),
        (VOICE_LABELS[:8], {'intent_labels': ('left', 'none')}, 'intent_labels .* lack right, up'),
        (VOICE_LABELS[:8], {'name': 'Mein Modell'}, "The recipe's name is 'Mein Modell'"),
    ],
)
def test_what_does_not_fit_is_one_sentence(recipe, words, changes, sentence):
    with pytest.raises(KwsImuError, match=sentence):
        check_vocabulary(own(recipe, *words, **changes), POLICY)


def test_labels_without_their_class_are_refused(recipe: Recipe):
    for missing in ('unknown', 'silence'):
        labels = tuple(label for label in VOICE_LABELS if label != missing)
        with pytest.raises(KwsImuError, match=f'lack {missing}; add it'):
            check_vocabulary(dataclasses.replace(recipe, voice_labels=labels), POLICY)


def test_a_policy_of_other_classes_is_refused(recipe: Recipe, tmp_path: Path):
    text = POLICY.read_text('utf-8')
    for old, new, sentence in (
        ('background: silence', 'background: go', "'voice.background' is 'go', but training"),
        ('unknown: [unknown]', 'unknown: [go]', "'voice.unknown' lacks 'unknown'"),
    ):
        path = tmp_path / 'policy.yaml'
        path.write_text(text.replace(old, new, 1), 'utf-8')
        with pytest.raises(KwsImuError, match=sentence):
            check_vocabulary(recipe, path)


@pytest.mark.parametrize(
    ('old', 'new', 'sentence'),
    [
        ('seed: 1', 'seed: 1\nvoice_labels: [zurück, unknown, silence]', 'stop_word: WORD'),
        (
            'seed: 1',
            'seed: 1\nvoice_labels: [left, right, up, down, stop, links, unknown, silence]',
            'no training recordings of links',
        ),
        (
            'seed: 1',
            'seed: 1\ngesture_labels: [swipe_left, swipe_right, swipe_up, swipe_down, wave, none]',
            'no training recordings of wave',
        ),
        ('steps: 2, batch: 8', 'steps: 2, batch: 0', "'voice.schedule.batch' is 0"),
        ('imu_conv1d', 'imu_conv3d', 'imu_conv3d'),
        ('seed: 1', 'seed: 1\ngesture_threshold: 7', "'gesture_threshold' is 7"),
        (
            'config: {width: 0.2}, schedule: {steps: 2, batch: 8}}',
            'config: {norm: group}, schedule: {steps: 2}}\n'
            'quantize: {mode: qat, schedule: {steps: 1}}',
            "add a section 'fold'",
        ),
    ],
)
def test_training_refuses_before_its_first_step(old, new, sentence, test_data, tmp_path, capsys):
    recipe = tmp_path / 'recipe.yaml'
    text = RECIPE.replace(old, new, 1)
    if 'quantize' not in text:
        text += 'quantize: {calibration_pairs: 12}\n'
    recipe.write_text(text, 'utf-8')
    arguments = ['train', '--recipe', recipe, '--speech', test_data / 'speech_commands']
    arguments += ['--gestures', test_data / 'gestures' / 'grwd', '--work', tmp_path / 'work']
    assert main([str(argument) for argument in arguments]) == 2
    told = capsys.readouterr().err
    assert sentence in told and 'Traceback' not in told
    assert 'training (' not in told
    assert not list((tmp_path / 'work').glob('*.checkpoint'))
