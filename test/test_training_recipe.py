"""Recipes: the shipped ones load, wrong ones say what is wrong."""

import pytest

from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.resources import share_path
from kws_imu_ros.training.recipe import fingerprint, load_recipe

GOOD = """
name: test
version: 1.0.0
seed: 1
voice: {architecture: ds_cnn, config: {}, schedule: {steps: 3}}
gesture: {architecture: imu_conv1d, config: {}, schedule: {steps: 3}}
fusion: {width: 8, voice_dropout: 0.1, gesture_dropout: 0.1, schedule: {steps: 3}}
quantize: {calibration_pairs: 10}
"""


def write(tmp_path, text):
    path = tmp_path / 'recipe.yaml'
    path.write_text(text)
    return path


def test_shipped_recipes_load():
    paths = list(share_path('config', 'training').glob('*.yaml'))
    assert paths
    for path in paths:
        assert load_recipe(path).voice.schedule.steps > 0


def test_a_recipe_survives_json(tmp_path):
    recipe = load_recipe(write(tmp_path, GOOD))
    assert recipe.to_json()['voice']['schedule']['steps'] == 3
    assert recipe.teacher is None


@pytest.mark.parametrize(
    ('old', 'new', 'sentence'),
    [
        ('seed: 1', 'sead: 1', "'sead' is unknown"),
        ('seed: 1', 'seed: one', "seed is 'one'; it must be a whole number"),
        ('steps: 3', 'steps: -3', 'steps is -3; it must be a whole number'),
        ('voice_dropout: 0.1', 'voice_dropout: often', "is 'often'; it must be a number"),
        ('name: test', 'name: ""', 'it must be text'),
        ('quantize: {calibration_pairs: 10}', '', "'quantize' is missing"),
        ('{calibration_pairs: 10}', '7', 'quantize must be a mapping'),
        ('seed: 1', 'seed: [', 'is not YAML'),
    ],
)
def test_wrong_recipes_say_what_is_wrong(old, new, sentence, tmp_path):
    with pytest.raises(KwsImuError, match=sentence):
        load_recipe(write(tmp_path, GOOD.replace(old, new, 1)))


def test_a_missing_recipe_is_one_sentence(tmp_path):
    with pytest.raises(KwsImuError, match='cannot be read'):
        load_recipe(tmp_path / 'none.yaml')


def test_ranges_are_checked(tmp_path):
    text = GOOD + 'speech_augmentation: {speed: [1.2, 0.8]}\n'
    with pytest.raises(KwsImuError, match=r'must be \[lowest, highest\]'):
        load_recipe(write(tmp_path, text))


def test_fingerprints_tell_recipes_apart(tmp_path):
    one = load_recipe(write(tmp_path, GOOD)).voice
    two = load_recipe(write(tmp_path, GOOD.replace('steps: 3', 'steps: 4', 1))).voice
    assert fingerprint(one) == fingerprint(one) != fingerprint(two)
