"""The policy file: what a teacher may write, and the sentence for what does not work."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from kws_imu_ros.decision.decision import Rule
from kws_imu_ros.decision.table import (
    SENTENCE_FIELDS,
    load_table,
    parse_table,
    with_offsets,
)
from kws_imu_ros.errors import KwsImuError

POLICY = Path(__file__).resolve().parents[2] / 'config' / 'policy.yaml'
TEXT = POLICY.read_text()
LABELS = {
    'voice': ('left', 'right', 'up', 'down', 'go', 'stop', 'yes', 'no', 'unknown', 'silence'),
    'gesture': ('swipe_left', 'swipe_right', 'swipe_up', 'swipe_down', 'none'),
    'intent': ('left', 'right', 'up', 'down', 'go', 'stop', 'yes', 'no', 'none'),
}


class _Strings(yaml.SafeLoader):
    """A loader that leaves yes and no alone, to change the file in tests."""


_Strings.yaml_implicit_resolvers = {
    key: [entry for entry in value if 'bool' not in entry[0] or key in 'tf']
    for key, value in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def changed(path: str, value) -> str:
    """Return the shipped file with one entry set."""
    document = yaml.load(TEXT, _Strings)
    *parents, last = path.split('.')
    place = document
    for name in parents:
        place = place[name]
    place[last] = value
    return yaml.safe_dump(document)


def entries(document: dict, path: str = ''):
    """Yield the path of every entry that must be in the file."""
    for name, value in document.items():
        if path in ('voice.thresholds.', 'gesture.meanings.') and name != 'default':
            continue
        yield f'{path}{name}'
        if isinstance(value, dict):
            yield from entries(value, f'{path}{name}.')


ENTRIES = list(entries(yaml.load(TEXT, _Strings)))


def test_the_shipped_file_is_read():
    table = load_table(POLICY)
    assert table.directions == ('left', 'right', 'up', 'down')
    assert list(yaml.safe_load(TEXT)['rules']) == [rule.value for rule in table.sentences]
    assert list(table.sentences) == list(Rule)
    assert table.disabled == ()
    table.check_labels(LABELS)


def test_yes_and_no_are_words():
    text = TEXT.replace('default: auto', 'default: 0.6\n    yes: 0.7\n    no: 0.8', 1)
    assert parse_table(text).voice_thresholds.labels == {'yes': 0.7, 'no': 0.8}


@pytest.mark.parametrize('path', ENTRIES)
def test_every_entry_must_be_there(path: str):
    document = yaml.load(TEXT, _Strings)
    *parents, last = path.split('.')
    place = document
    for name in parents:
        place = place[name]
    del place[last]
    with pytest.raises(KwsImuError) as error:
        parse_table(yaml.safe_dump(document), 'my.yaml')
    assert f"'{path}' is missing" in str(error.value)
    assert str(error.value).startswith('my.yaml, line ')


@pytest.mark.parametrize('path', ENTRIES)
def test_every_entry_is_checked(path: str):
    with pytest.raises(KwsImuError) as error:
        parse_table(changed(path, [None, {'nonsense': 1}]), 'my.yaml')
    assert f"'{path}" in str(error.value)


@pytest.mark.parametrize(
    ('path', 'value', 'sentence'),
    [
        ('schema_version', 2, "'schema_version' is 2"),
        ('smoothing.voice_hops', 0, "'smoothing.voice_hops' is 0 but must be a whole number"),
        ('smoothing.voice_quick_hops', 9, 'is 9 but must be a whole number from 1 to 8'),
        ('smoothing.voice_quick_margin', -0.1, "'smoothing.voice_quick_margin' is -0.1"),
        ('smoothing.voice_hops', 2.5, "'smoothing.voice_hops' is 2.5"),
        ('timing.pairing_window_s', -1, "'timing.pairing_window_s' is -1 but must be from 0 to 10"),
        ('timing.refractory_s', 'long', "'timing.refractory_s' is 'long' instead of a number"),
        ('timing.quiet_s', float('nan'), "'timing.quiet_s' is .nan"),
        ('timing.quiet_s', float('inf'), "'timing.quiet_s' is .inf"),
        ('timing.pause_s', 1.0, "'timing.pause_s' is not known"),
        ('timing.quite_s', 1.0, "'timing.quite_s' is not known; did you mean 'quiet_s'"),
        ('voice.thresholds.left', 1.5, "'voice.thresholds.left' is 1.5"),
        ('voice.thresholds.left', 0.3, "'voice.thresholds.left' is 0.3 but must be above weak_th"),
        ('voice.thresholds.default', 'often', "'voice.thresholds.default' is 'often'"),
        ('voice.weak_threshold', 0.1, "'voice.weak_threshold' must be above release_threshold"),
        ('voice.unknown', 'unknown', "'voice.unknown' is 'unknown' instead of a list of words"),
        ('voice.background', '', "'voice.background' is '' instead of a word"),
        ('gesture.thresholds.default', 0.2, 'but must be above release_threshold'),
        ('gesture.meanings.swipe_up', 3, "'gesture.meanings.swipe_up' is 3 instead of a word"),
        ('gesture.alone', ['swipe_left', 'swipe_left'], "'gesture.alone' names a word twice"),
        ('gesture.alone', ['wave'], "'gesture.meanings.wave' is missing"),
        ('stop.words', [], "'stop.words' is empty"),
        ('stop.words', ['silence'], "'stop.words' names 'silence', which 'background' or"),
        ('voice.unknown', ['unknown', 'stop'], "'stop.words' names 'stop', which 'background' or"),
        ('gesture.background', 'swipe_down', "'stop.gestures' names 'swipe_down', which"),
        ('intent.background', 'stop', "'stop.intent' names 'stop', which"),
        ('stop.words', 'stop', "'stop.words' is 'stop' instead of a list of words"),
        ('stop.word_threshold', 0.1, "'stop.word_threshold' must be above voice.release"),
        ('stop.gesture_threshold', 2, "'stop.gesture_threshold' is 2"),
        ('directions', None, "'directions' is empty"),
        ('rules.voice.enabled', 'maybe', "'rules.voice.enabled' is 'maybe' instead of true"),
        ('rules.stop.enabled', False, 'a robot must always obey stop'),
        ('rules.voice.say', 'Heard {hear}', "'rules.voice.say' uses {hear}; it may use {heard}"),
        ('rules.voice.say', 'Heard {heard', "'rules.voice.say' has unpaired braces"),
        ('rules.voice.say', '{heard.__class__}', "'rules.voice.say' uses"),
        ('rules.voice.say', '{heard:>9999999}', "'rules.voice.say' uses"),
        ('rules.voice.say', '', "'rules.voice.say' is '' instead of a sentence"),
        ('rules.obey', {'enabled': True, 'say': 'x'}, "'rules.obey' is not known"),
        ('thresholds', {}, "'thresholds' is not known"),
    ],
)
def test_a_wrong_entry_is_named(path: str, value, sentence: str):
    with pytest.raises(KwsImuError) as error:
        parse_table(changed(path, value), 'my.yaml')
    assert sentence in str(error.value)
    assert str(error.value).startswith('my.yaml')
    assert '\n' not in str(error.value)


@pytest.mark.parametrize(
    ('text', 'sentence'),
    [
        ('', 'the whole file is empty'),
        ('just words', "the whole file is 'just words'"),
        ('a: [1, 2', 'not valid YAML'),
        ('a: 1\na: 2\n', "line 2: this is not valid YAML ('a' is there twice; line 1 has it too)"),
        ('1: 2\n', '1 cannot be a name'),
        ('{a: {b: 1}}: 2', 'cannot be a name'),
        ('a: !!python/object/apply:os.system ["true"]', 'not valid YAML'),
        ('a: &x [*x]', 'line 1: this is not valid YAML (a value lies in itself)'),
        ('\t- a', 'not valid YAML'),
        ('a: \x00', 'not valid YAML'),
    ],
)
def test_a_broken_file_is_refused(text: str, sentence: str):
    with pytest.raises(KwsImuError) as error:
        parse_table(text, 'my.yaml')
    assert sentence in str(error.value)


def test_files_that_cannot_be_read_are_named(tmp_path: Path):
    with pytest.raises(KwsImuError, match=r'nowhere\.yaml cannot be read'):
        load_table(tmp_path / 'nowhere.yaml')
    with pytest.raises(KwsImuError, match='cannot be read'):
        load_table(tmp_path)
    (tmp_path / 'binary.yaml').write_bytes(b'\xff\xfe\xff')
    with pytest.raises(KwsImuError, match='not UTF-8'):
        load_table(tmp_path / 'binary.yaml')
    (tmp_path / 'large.yaml').write_text('#' * 600_000)
    with pytest.raises(KwsImuError, match='too large'):
        load_table(tmp_path / 'large.yaml')


@pytest.mark.parametrize(
    ('path', 'value', 'sentence'),
    [
        ('voice.background', 'quiet', "'voice.background' names 'quiet'"),
        ('voice.thresholds.jump', 0.9, "'voice.thresholds' names 'jump'"),
        ('stop.words', ['halt'], "'stop.words' names 'halt'"),
        ('gesture.meanings.wave', 'go', "'gesture.meanings' names 'wave'"),
        ('directions', ['north'], "'directions' names 'north'"),
        ('intent.background', 'nothing', "'intent.background' names 'nothing'"),
    ],
)
def test_a_name_that_the_model_does_not_know_is_named(path: str, value, sentence: str):
    table = parse_table(changed(path, value))
    with pytest.raises(KwsImuError) as error:
        table.check_labels(LABELS)
    assert sentence in str(error.value)


def test_auto_takes_the_calibrated_threshold_of_the_model():
    text = TEXT.replace('default: auto', 'default: auto\n    go: 0.9', 1)
    thresholds = parse_table(text).voice_thresholds
    names = ('left', 'go', 'up')
    assert thresholds.resolve(names, {'left': 0.44, 'go': 0.5}, 0.6, 0.0) == (0.44, 0.9, 0.6)
    assert thresholds.resolve(names, {}, 0.6, 0.1) == pytest.approx((0.7, 0.99, 0.7))


@pytest.mark.parametrize('offset', [float('nan'), float('inf'), 0.6, -0.6])
def test_an_absurd_offset_is_refused(offset: float):
    with pytest.raises(KwsImuError, match='not within'):
        with_offsets(load_table(POLICY), offset, 0.0)


yaml_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(1 << 70), 1 << 70)
    | st.floats()
    | st.text(max_size=10)
    | st.sampled_from(['auto', '{heard}', 'left', 'swipe_left']),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=5,
)


@settings(max_examples=50)
@given(path=st.sampled_from(ENTRIES), value=yaml_values)
def test_any_entry_is_read_or_refused_in_one_sentence(path: str, value):
    try:
        table = parse_table(changed(path, value))
    except KwsImuError as error:
        assert '\n' not in str(error)
        return
    fields = dict.fromkeys(SENTENCE_FIELDS, 'x')
    assert all(sentence.format(**fields) for sentence in table.sentences.values())


@settings(max_examples=100)
@given(text=st.text(max_size=100))
def test_any_text_is_refused_in_one_sentence(text: str):
    with pytest.raises(KwsImuError) as error:
        parse_table(text)
    assert '\n' not in str(error.value)


lines = TEXT.splitlines()


@settings(max_examples=50)
@given(
    at=st.integers(0, len(lines) - 1),
    line=st.text(max_size=30) | st.sampled_from(['', '  ', '- a', 'voice:', '  say: x']),
)
def test_any_line_that_a_teacher_breaks_is_refused_in_one_sentence(at: int, line: str):
    try:
        parse_table('\n'.join([*lines[:at], line, *lines[at + 1 :]]))
    except KwsImuError as error:
        assert '\n' not in str(error)
