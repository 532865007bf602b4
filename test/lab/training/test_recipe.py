"""Recipes: the shipped ones load, wrong ones say what is wrong."""

import pytest

from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.lab.training.recipe import fingerprint, load_recipe
from kws_imu_ros.resources import share_path

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
        ('seed: 1', 'sead: 1', "line 4: 'sead' is not known; did you mean 'seed'"),
        ('seed: 1', 'seed: one', "'seed' is 'one' instead of a whole number"),
        ('steps: 3', 'steps: -3', "'voice.schedule.steps' is -3 but must be a whole number"),
        (
            'voice_dropout: 0.1',
            'voice_dropout: often',
            "'fusion.voice_dropout' is 'often' instead of a number",
        ),
        ('name: test', 'name: ""', "'name' is '' instead of text"),
        ('quantize: {calibration_pairs: 10}', '', "'quantize' is missing"),
        ('{calibration_pairs: 10}', '7', "'quantize' is 7 instead of names with values"),
        ('seed: 1', 'seed: [', 'not valid YAML'),
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
    with pytest.raises(KwsImuError, match=r'give \[lowest, highest\]'):
        load_recipe(write(tmp_path, text))


def test_fingerprints_tell_recipes_apart(tmp_path):
    one = load_recipe(write(tmp_path, GOOD)).voice
    two = load_recipe(write(tmp_path, GOOD.replace('steps: 3', 'steps: 4', 1))).voice
    assert fingerprint(one) == fingerprint(one) != fingerprint(two)


PRUNING = """
voice_pruning:
  criterion: taylor
  budget: {parameters: 0.5}
  rounds: 2
  round_schedule: {steps: 2}
  schedule: {steps: 3}
"""


def test_new_sections_may_all_be_left_out(tmp_path):
    recipe = load_recipe(write(tmp_path, GOOD))
    assert recipe.voice_pruning is recipe.gesture_pruning is recipe.gesture_teacher is None
    assert recipe.fold is None
    assert recipe.quantize.mode == 'int8'
    assert recipe.thresholds.false_accepts_per_hour == 1.0


def test_pruning_and_teachers_load(tmp_path):
    text = GOOD + PRUNING + 'teacher: {architecture: cnn, config: {}, schedule: {steps: 3}, '
    recipe = load_recipe(write(tmp_path, text + 'members: 3}\n'))
    assert recipe.teacher.members == 3
    assert recipe.voice_pruning.budget == {'parameters': 0.5}
    assert recipe.voice_pruning.round_schedule.steps == 2


@pytest.mark.parametrize(
    ('old', 'new', 'sentence'),
    [
        ('{parameters: 0.5}', '{grams: 0.5}', "'voice_pruning.budget' is .* parameters, bytes"),
        ('{parameters: 0.5}', '{parameters: 0.5, macs: 0.5}', 'must name one of'),
        ('{parameters: 0.5}', '0.5', 'must name one of'),
        ('{parameters: 0.5}', '{parameters: -3}', 'has -3 parameters; it must be a share'),
        ('{parameters: 0.5}', '{parameters: half}', "has 'half' parameters; it must be a share"),
        (
            'criterion: taylor',
            'criterion: luck',
            "'voice_pruning.criterion' is 'luck', which is unknown; choose from l1",
        ),
        ('rounds: 2', 'rounds: 0', "'voice_pruning.rounds' is 0; pruning takes at least 1"),
        (
            '  round_schedule: {steps: 2}\n',
            '',
            "'voice_pruning.rounds' is 2 but 'round_schedule' is missing",
        ),
        (
            'rounds: 2',
            'rounds: 2\n  from_dense: maybe',
            "from_dense' is 'maybe' instead of true or false",
        ),
        ('rounds: 2', 'rounds: 2\n  keep_share: 1.5', "keep_share' is 1.5"),
        ('rounds: 2', 'rounds: 2\n  per_cost: 2', "per_cost' is 2 instead of true or false"),
        ('  schedule: {steps: 3}', '', "'voice_pruning.schedule' is missing"),
    ],
)
def test_wrong_pruning_says_what_is_wrong(old, new, sentence, tmp_path):
    assert old in PRUNING
    with pytest.raises(KwsImuError, match=sentence):
        load_recipe(write(tmp_path, GOOD + PRUNING.replace(old, new)))


@pytest.mark.parametrize(
    ('section', 'sentence'),
    [
        (
            'teacher: {architecture: cnn, config: {}, schedule: {steps: 3}, members: 0}',
            "'teacher.members' is 0",
        ),
        ('gesture_distillation: {temperature: 0}', 'temperature must be above 0'),
        ('fold: {calibration_clips: 0, schedule: {steps: 3}}', 'folding needs at least 1'),
        ('thresholds: {false_accepts_per_hour: 0}', 'must be above 0'),
    ],
)
def test_wrong_sections_say_what_is_wrong(section, sentence, tmp_path):
    with pytest.raises(KwsImuError, match=sentence):
        load_recipe(write(tmp_path, f'{GOOD}{section}\n'))


@pytest.mark.parametrize(
    ('new', 'sentence'),
    [
        ('{mode: int4}', "'quantize.mode' is 'int4', which is unknown; choose from int8, qat"),
        ('{mode: qat}', "'quantize.mode' is 'qat' but 'schedule' is missing"),
    ],
)
def test_wrong_quantization_says_what_is_wrong(new, sentence, tmp_path):
    with pytest.raises(KwsImuError, match=sentence):
        load_recipe(write(tmp_path, GOOD.replace('{calibration_pairs: 10}', new)))
