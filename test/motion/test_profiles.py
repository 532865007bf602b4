"""The motion table: what ships works, and what a slip of a teacher's hand gives is a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.motion.profiles import (
    Drive,
    MotionTable,
    Resume,
    Scale,
    Stop,
    load_motion_table,
    parse_motion_table,
)
from kws_imu_ros.motion.velocity import Velocity

SHIPPED = Path(__file__).resolve().parents[2] / 'config' / 'motion.yaml'


def test_the_shipped_table_covers_the_vocabulary():
    table = load_motion_table(SHIPPED)
    assert table.profile('up') == Drive(Velocity(0.2, 0.0))
    assert table.profile('down').velocity.linear_x < 0.0
    assert table.profile('left').velocity.angular_z > 0.0
    assert table.profile('right').velocity.angular_z < 0.0
    assert table.profile('go') == Resume('forward')
    assert table.profile('stop') == Stop()
    assert table.profile('yes') == Scale(1.25)
    assert table.profile('no') == Scale(0.8)
    assert table.profile('unknown') is None
    assert table.profile('silence') is None


def test_yes_and_no_need_no_quotes():
    text = SHIPPED.read_text().replace("'yes': faster", 'yes: faster').replace("'no': ", 'no: ')
    table = parse_motion_table(text)
    assert table.profile('yes') == Scale(1.25)
    assert table.profile('no') == Scale(0.8)


def change(path: str, value: object) -> str:
    """Return the shipped table as text with one entry changed, or removed where value is None."""
    document = yaml.safe_load(SHIPPED.read_text())
    *sections, name = path.split('.')
    section = document
    for part in sections:
        section = section[part]
    if value is None:
        del section[name]
    else:
        section[name] = value
    return yaml.safe_dump(document)


@pytest.mark.parametrize(
    ('path', 'value', 'sentence'),
    [
        ('schema_version', 2, "'schema_version' is 2 but this release reads 1"),
        ('schema_version', True, "'schema_version' is true instead of a whole number"),
        ('schema_version', None, "'schema_version' is missing"),
        ('profiles', None, "'profiles' is missing"),
        ('profiles', {}, "'profiles' is {} but needs at least 1"),
        ('profiles.forward', 0.2, "'profiles.forward' is 0.2 instead of names with values"),
        (
            'profiles.forward',
            {'linear_x': 5.0},
            "forward.linear_x' is 5.0 but must be from -0.2 to",
        ),
        (
            'profiles.forward',
            {'linear_x': '0.2'},
            "'profiles.forward.linear_x' is '0.2' instead of",
        ),
        ('profiles.forward', {'linear_x': True}, "'profiles.forward.linear_x' is true instead of"),
        ('profiles.forward', {'linear_x': float('nan')}, 'is .nan but must be from -0.2'),
        ('profiles.forward', {'linear_x': 0.0}, 'drives at 0'),
        (
            'profiles.forward',
            {'speed': 0.2},
            "'profiles.forward.speed' is not known; known are lin",
        ),
        (
            'profiles.forward',
            {'liner_x': 0.2},
            "'profiles.forward.liner_x' is not known; did you m",
        ),
        ('profiles.forward', {'linear_x': 0.1, 'stop': True}, 'or one of resume'),
        ('profiles.forward', {}, 'holds nothing'),
        ('profiles.left', {'angular_z': 1.0, 'lifetime': 60}, "'profiles.left.lifetime' is 60 but"),
        ('profiles.go', {'resume': 'faster'}, 'which is no profile that drives'),
        ('profiles.stop', {'stop': False}, 'the only value is true'),
        ('profiles.faster', {'scale': 0}, "'profiles.faster.scale' is 0 but must be from 0.1"),
        ('intents.up', 'fly', "'intents.up' is 'fly', which is not known; known are backward, fa"),
        (
            'intents.up',
            'foward',
            "'intents.up' is 'foward', which is not known; did you mean 'forw",
        ),
        ('intents.up', ['forward'], "'intents.up' is ['forward'], which is not known"),
        ('intents', {True: 'faster'}, 'true cannot be a name; put it in quotes'),
        ('intents', {'up': 'forward'}, "'intents' lead nowhere to a profile with stop: true"),
        ('limits.linear.max_velocity', -1.0, "'limits.linear.max_velocity' is -1.0; give 0 or mor"),
        ('limits.angular.stop_deceleration', 0.1, "'limits.angular.stop_deceleration' is 0.1; gi"),
        ('limits.linear', None, "'limits.linear' is missing"),
        ('scale.maximum', 0.5, "'scale.maximum' is 0.5 but must be from 1 to 10"),
        ('safety.command_lifetime', 3600, "'safety.command_lifetime' is 3600 but must be from 0.1"),
        ('safety.fusion_timeout', 0, "'safety.fusion_timeout' is 0 but must be from 0.05"),
        ('safety.max_clock_skew', -1, "'safety.max_clock_skew' is -1 but must be from 0 to 10"),
    ],
)
def test_each_mistake_gives_one_sentence_that_names_it(path, value, sentence):
    with pytest.raises(KwsImuError) as caught:
        parse_motion_table(change(path, value), 'classroom.yaml')
    message = str(caught.value)
    assert sentence in message
    assert message.startswith('The motion table classroom.yaml, line ')
    assert '\n' not in message


@pytest.mark.parametrize(
    ('text', 'sentence'),
    [
        ('', 'the whole file is empty'),
        ('- forward', 'instead of names with values'),
        ('a: [1', 'line 1: this is not valid YAML'),
        ('limits: 1\nlimits: 2', "line 2: .*'limits' is there twice; line 1 has it too"),
        ('!!python/object/apply:os.getcwd []', 'not valid YAML'),
    ],
)
def test_a_file_that_is_no_table_is_refused(text, sentence):
    with pytest.raises(KwsImuError, match=sentence):
        parse_motion_table(text)


def test_a_missing_or_binary_file_is_refused(tmp_path):
    with pytest.raises(KwsImuError, match='cannot be read'):
        load_motion_table(tmp_path / 'none.yaml')
    (tmp_path / 'noise.yaml').write_bytes(bytes(range(128, 256)))
    with pytest.raises(KwsImuError, match='not UTF-8'):
        load_motion_table(tmp_path / 'noise.yaml')


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)
paths = st.sampled_from(
    [
        'schema_version',
        'intents',
        'intents.up',
        'profiles',
        'profiles.forward',
        'profiles.forward.linear_x',
        'profiles.go.resume',
        'scale.minimum',
        'limits.linear',
        'limits.linear.max_velocity',
        'limits.angular.max_acceleration',
        'safety.command_lifetime',
        'safety.fusion_timeout',
    ]
)


@settings(deadline=None, max_examples=150)
@given(paths, values)
def test_any_value_anywhere_gives_a_table_or_a_sentence(path, value):
    try:
        table = parse_motion_table(change(path, value))
    except KwsImuError as error:
        assert str(error)
    else:
        assert isinstance(table, MotionTable)


@settings(deadline=None, max_examples=150)
@given(st.text(max_size=200))
def test_any_text_gives_a_sentence(text):
    with pytest.raises(KwsImuError):
        parse_motion_table(text)
