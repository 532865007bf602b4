"""The one reader of people's files: one dialect, and one sentence for whatever does not fit."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kws_imu_ros.configuration.section import Section, load_yaml, read_json, read_yaml
from kws_imu_ros.errors import KwsImuError


def sentence(text: str, read=lambda section: None) -> str:
    """Return the sentence with which a text is refused."""
    with pytest.raises(KwsImuError) as error:
        read(read_yaml(text, 'my.yaml'))
    message = str(error.value)
    assert message.startswith('my.yaml')
    assert '\n' not in message
    return message


@pytest.mark.parametrize(
    ('written', 'value'),
    [
        ('yes', 'yes'),
        ('no', 'no'),
        ('On', 'On'),
        ('off', 'off'),
        ('true', True),
        ('False', False),
        ('"true"', 'true'),
        ('3', 3),
        ('-0', 0),
        ('010', 10),
        ('0x1F', 31),
        ('0o17', 15),
        ('3.', 3.0),
        ('1e-3', 0.001),
        ('.5', 0.5),
        ('-.inf', -math.inf),
        ('1:30', '1:30'),
        ('1_000', '1_000'),
        ('2026-01-01', '2026-01-01'),
        ('~', None),
        ('', None),
        ("''", ''),
        ('!!str 5', '5'),
        ('[yes, 1]', ['yes', 1]),
        ('{a: no}', {'a': 'no'}),
    ],
)
def test_the_dialect_is_the_core_schema_of_yaml_1_2(written: str, value: object):
    assert read_yaml(f'a: {written}', 'my.yaml').plain('a') == value


def test_nan_is_a_number_of_the_dialect():
    assert math.isnan(read_yaml('a: .nan', 'my.yaml').plain('a'))


@pytest.mark.parametrize(
    ('text', 'problem'),
    [
        ('', 'the whole file is empty'),
        ('# nothing', 'the whole file is empty'),
        ('- a', "line 1: the whole file is ['a'] instead of names with values"),
        ('a: 1\nb: 2\na: 3', "line 3: this is not valid YAML ('a' is there twice; line 1 has it"),
        ('a: 1\n---\nb: 2', 'line 2: this is not valid YAML'),
        ('a: [1,\n', 'this is not valid YAML'),
        ('1: a', '1 cannot be a name; put it in quotes'),
        ('true: a', 'true cannot be a name; put it in quotes'),
        ('? [a]\n: b', "['a'] cannot be a name"),
        (
            'a: !!python/object/apply:os.system [x]',
            'the tag !!python/object/apply:os.system is not',
        ),
        ('a: !mine 3', "'3' has the tag !mine, which it is not"),
        ('a: !!bool maybe', "'maybe' has the tag bool, which it is not"),
        ('a: &x [*x]', 'a value lies in itself'),
        ('a: &x {b: *x}', 'a value lies in itself'),
        ('a: *x', 'undefined alias'),
        (f'a: {"[" * 50}{"]" * 50}', 'more than 20 deep'),
        (f'a: {"[" * 3000}', 'too deep'),
        ('a: \x00', 'this is not valid YAML'),
        ('a:\n\t- b', 'line 2: this is not valid YAML'),
        ('a: &x {b: 1}\nc:\n  <<: 3', "'<<' is 3 instead of a section"),
    ],
)
def test_what_is_no_strict_yaml_is_refused_with_its_line(text: str, problem: str):
    assert problem in sentence(text)


def test_anchors_that_multiply_are_refused():
    lines = ['a0: &a0 [1, 2, 3, 4, 5, 6, 7, 8, 9]']
    lines += [f'a{n}: &a{n} [{", ".join([f"*a{n - 1}"] * 9)}]' for n in range(1, 9)]
    assert 'more than 50000 values' in sentence('\n'.join(lines))


def test_anchors_and_merges_are_read():
    section = read_yaml('a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\nc: *a', 'my.yaml')
    assert section.plain('b') == {'x': 1, 'y': 3}
    assert section.plain('c') == {'x': 1, 'y': 2}


def test_a_name_that_nobody_knows_is_told_with_the_one_that_was_meant():
    def read(section: Section) -> None:
        section.section('stop', ('words', 'intent'), ('after_s',))

    assert "line 2: 'stop.wrods' is not known; did you mean 'words'" in sentence(
        'stop:\n  wrods: [a]\n  intent: b', read
    )
    assert "'stop.After-S' is not known; did you mean 'after_s'" in sentence(
        'stop: {words: [a], intent: b, After-S: 1}', read
    )
    assert "'stop.colour' is not known; known are words, intent, after_s" in sentence(
        'stop: {words: [a], intent: b, colour: 1}', read
    )
    assert "line 1: 'stop.intent' is missing" in sentence('stop: {words: [a]}', read)


@pytest.mark.parametrize(
    ('written', 'take', 'problem'),
    [
        ('2', lambda s: s.number('a', 0, 1), "'a' is 2 but must be from 0 to 1"),
        ('"1"', lambda s: s.number('a', 0, 1), "'a' is '1' instead of a number"),
        ('true', lambda s: s.number('a', 0, 1), "'a' is true instead of a number"),
        ('.nan', lambda s: s.number('a'), "'a' is .nan but must be a finite number"),
        ('9' * 400, lambda s: s.number('a'), 'but must be a finite number'),
        ('-1', lambda s: s.number('a', low=0), "'a' is -1 but must be 0 or more"),
        ('1', lambda s: s.number('a', high=0), "'a' is 1 but must be 0 or less"),
        ('', lambda s: s.number('a'), "'a' is empty instead of a number"),
        ('1.0', lambda s: s.integer('a'), "'a' is 1.0 instead of a whole number"),
        ('11', lambda s: s.integer('a', 1, 10), 'must be a whole number from 1 to 10'),
        ('1', lambda s: s.boolean('a'), "'a' is 1 instead of true or false"),
        ('yes', lambda s: s.boolean('a'), "'a' is 'yes' instead of true or false"),
        ('1', lambda s: s.text('a'), "'a' is 1 instead of text"),
        ('" "', lambda s: s.text('a'), "'a' is ' ' instead of text"),
        ('two words', lambda s: s.word('a'), "'a' is 'two words' instead of a word"),
        ('[a, a]', lambda s: s.words('a'), "'a' names a word twice"),
        ('[]', lambda s: s.words('a', least=1), "'a' is empty but needs at least 1"),
        ('foward', lambda s: s.one_of('a', ['forward', 'left']), "did you mean 'forward'"),
        ('3', lambda s: s.one_of('a', ['forward', 'left']), 'choose from forward, left'),
        ('[1]', lambda s: s.numbers('a', 2), "'a' is [1] instead of a list of 2 numbers"),
        ('1', lambda s: s.sections('a'), "'a' is 1 instead of a list of sections"),
        (
            '[{b: 1}, {c: 1}]',
            lambda s: s.sections('a', ('b',)),
            "'a[1].c' is not known; known are b",
        ),
        ('3', lambda s: s.names_of('a'), "'a' is 3 instead of names with values"),
        ('{}', lambda s: s.names_of('a', least=1), "'a' is {} but needs at least 1"),
        ('2', lambda s: s.version('a', 1), "'a' is 2 but this release reads 1"),
        ('1', lambda s: s.number('b'), "'b' is missing"),
    ],
)
def test_a_value_that_does_not_fit_is_named(written: str, take, problem: str):
    assert problem in sentence(f'a: {written}', take)


def test_a_name_with_nothing_after_it_has_no_value():
    section = read_yaml('a:\nb: 0', 'my.yaml')
    assert (section.has('a'), section.has('b'), section.has('c')) == (False, True, False)
    assert section.names() == ['a', 'b']


def test_json_is_held_to_the_same():
    text = json.dumps({'a': {'b': [1, {'c': 2}], 'd': 3}, 'e': {'d': 'x'}}, indent=2)
    section = read_json(text, 'my.json', '; make it again.')
    assert section.plain('a') == {'b': [1, {'c': 2}], 'd': 3}
    with pytest.raises(KwsImuError, match=r"my\.json, line 12: 'e\.d' is 'x' instead of a num"):
        section.section('e', ('d',)).number('d')
    with pytest.raises(KwsImuError, match=r"line 9: 'a\.d' is not known.*; make it again\.$"):
        section.section('a', ('b',))
    with pytest.raises(KwsImuError, match=r"not JSON \('a' is there twice\)"):
        read_json('{"a": 1, "a": 2}', 'my.json', '.')
    with pytest.raises(KwsImuError, match=r'line 2: this is not JSON'):
        read_json('{"a":\n}', 'my.json', '.')


def test_files_that_cannot_be_read_are_named(tmp_path: Path):
    (tmp_path / 'marked.yaml').write_bytes(b'\xef\xbb\xbfa: 1\r\n')
    assert load_yaml(tmp_path / 'marked.yaml', 'test file').plain('a') == 1
    (tmp_path / 'latin.yaml').write_bytes(b'a: z\xfcruck')
    (tmp_path / 'large.yaml').write_text('#' * 600_000)
    (tmp_path / 'broken.yaml').write_text('a: [')
    for name, problem in (
        ('latin.yaml', 'is not UTF-8 text; save it as that'),
        ('large.yaml', 'is too large to be one'),
        ('none.yaml', r'cannot be read \(No such file or directory\)'),
        ('.', r'cannot be read \(Is a directory\)'),
        ('broken.yaml', 'line 1: this is not valid YAML'),
    ):
        with pytest.raises(KwsImuError, match=f'The test file .*{problem}'):
            load_yaml(tmp_path / name, 'test file')


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(min_size=1, max_size=8), inner)
    ),
    max_leaves=10,
)


@settings(max_examples=200)
@given(document=st.dictionaries(st.text(min_size=1, max_size=8), values, max_size=3))
def test_what_json_holds_comes_back(document: dict):
    text = json.dumps(document, allow_nan=True)
    section = read_json(text, 'my.json', '.')
    assert json.dumps({name: section.plain(name) for name in section.names()}) == text


@settings(max_examples=200)
@given(text=st.text(alphabet=st.sampled_from('ab:-?&*!<[]{}#,"\'\n\t 0.|>%@~'), max_size=60))
def test_any_text_is_read_as_yaml_or_refused_in_one_sentence(text: str):
    try:
        section = read_yaml(text, 'my.yaml')
    except KwsImuError as error:
        assert '\n' not in str(error)
        return
    assert all(section.names())
