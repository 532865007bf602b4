"""
The policy's table as data, and the reader of ``config/policy.yaml``.

The YAML file is for teachers: each wrong entry is refused with one sentence that names it.
"""

from __future__ import annotations

import dataclasses
import math
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from kws_imu_ros.configuration.yaml_problems import YAML_PROBLEMS
from kws_imu_ros.decision.decision import Rule
from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.resources import user_path

SCHEMA_VERSION = 1
MAXIMUM_FILE_BYTES = 200_000
# What 'auto' means for a model without calibrated thresholds.
VOICE_THRESHOLD = 0.6
GESTURE_THRESHOLD = 0.6
ALONE_THRESHOLD = 0.85
SENTENCE_FIELDS = ('heard', 'heard_score', 'seen', 'seen_score', 'fused', 'fused_score', 'intent')


@dataclass(frozen=True)
class Thresholds:
    """Posterior per label from which it counts; None stands for 'auto', the model's calibration."""

    default: float | None
    labels: dict[str, float | None]

    def resolve(
        self, names: Sequence[str], calibrated: Mapping[str, float], fallback: float, offset: float
    ) -> tuple[float, ...]:
        """Return a threshold for each of `names`, moved by `offset` and kept below 1."""
        result = []
        for name in names:
            value = self.labels.get(name, self.default)
            if value is None:
                value = calibrated.get(name, fallback)
            result.append(min(max(value + offset, 0.01), 0.99))
        return tuple(result)


@dataclass(frozen=True)
class PolicyTable:
    """
    All that the policy can be told; the comments are in ``config/policy.yaml``.

    Times are in integer nanoseconds, thresholds are posteriors from 0 to 1. voice_offset and
    gesture_offset are added to the thresholds of words and gestures; they are not in the file but
    set live, to make the robot calmer or keener.
    """

    voice_hops: int
    voice_quick_hops: int
    voice_quick_margin: float
    gesture_hops: int
    intent_hops: int
    pairing_window_ns: int
    refractory_ns: int
    gesture_refractory_ns: int
    quiet_ns: int
    echo_ns: int
    voice_background: str
    voice_unknown: tuple[str, ...]
    voice_thresholds: Thresholds
    weak_threshold: float
    unknown_threshold: float
    voice_release: float
    gesture_background: str
    gesture_thresholds: Thresholds
    alone_thresholds: Thresholds
    gesture_release: float
    meanings: dict[str, str]
    alone: tuple[str, ...]
    intent_background: str
    agreement_threshold: float
    deciding_threshold: float
    stop_intent: str
    stop_words: tuple[str, ...]
    stop_word_threshold: float
    stop_gestures: tuple[str, ...]
    stop_gesture_threshold: float
    directions: tuple[str, ...]
    sentences: dict[Rule, str]
    disabled: tuple[Rule, ...] = ()
    voice_offset: float = 0.0
    gesture_offset: float = 0.0

    def check_labels(self, labels: Mapping[str, Sequence[str]], source: str = 'The policy') -> None:
        """
        Compare the names in the table with the labels of a bundle's heads.

        Raises:
            KwsImuError: the table names a word or a gesture that the model does not know.

        """
        voice, gesture, intent = (tuple(labels[head]) for head in ('voice', 'gesture', 'intent'))
        checks = (
            ('voice.background', (self.voice_background,), 'voice', voice),
            ('voice.unknown', self.voice_unknown, 'voice', voice),
            ('voice.thresholds', self.voice_thresholds.labels, 'voice', voice),
            ('stop.words', self.stop_words, 'voice', voice),
            ('gesture.background', (self.gesture_background,), 'gesture', gesture),
            ('gesture.thresholds', self.gesture_thresholds.labels, 'gesture', gesture),
            ('gesture.alone_thresholds', self.alone_thresholds.labels, 'gesture', gesture),
            ('gesture.meanings', self.meanings, 'gesture', gesture),
            ('stop.gestures', self.stop_gestures, 'gesture', gesture),
            ('intent.background', (self.intent_background,), 'intent', intent),
            ('directions', self.directions, 'voice', voice),
        )
        for where, names, head, known in checks:
            for name in names:
                if name not in known:
                    raise KwsImuError(
                        f"{source}: '{where}' names '{name}', which the model's {head} head does "
                        f'not know; it knows {", ".join(known)}.'
                    )


class _Loader(yaml.SafeLoader):
    """YAML as teachers expect it: 'yes' and 'no' are words, and a key is there once."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        """Refuse a key that is there twice; plain YAML would silently take the last."""
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise yaml.constructor.ConstructorError(
                    None, None, f'{_show(key)} cannot be a name', key_node.start_mark
                )
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"'{key}' is there twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


# YAML 1.1 reads yes, no, on and off as truth values; two of them are commands.
_Loader.yaml_implicit_resolvers = {
    first: [entry for entry in resolvers if entry[0] != 'tag:yaml.org,2002:bool']
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
for _word in ('true', 'false'):
    _Loader.yaml_implicit_resolvers[_word[0]] = [
        *_Loader.yaml_implicit_resolvers.get(_word[0], []),
        (
            'tag:yaml.org,2002:bool',
            yaml.resolver.re.compile('^(?:true|false)$'),
        ),
    ]


def _show(value: Any) -> str:
    """Return a value for an error message, cut short."""
    text = repr(value)
    return text if len(text) <= 60 else f'{text[:57]}...'


class _Section:
    """A mapping of the file whose entries are taken one by one."""

    def __init__(self, value: Any, where: str, source: str) -> None:
        self._where, self._source = where, source
        if not isinstance(value, dict):
            raise self.wrong('', f'is {_show(value)} instead of a list of names with values')
        self._left = dict(value)

    def wrong(self, name: str, problem: str) -> KwsImuError:
        """Return the error for an entry of this section."""
        path = '.'.join(part for part in (self._where, name) if part) or 'the whole file'
        return KwsImuError(f"{self._source}: '{path}' {problem}; correct it there.")

    def take(self, name: str) -> Any:
        """Return an entry that must be there."""
        if name not in self._left:
            raise self.wrong(name, 'is missing')
        return self._left.pop(name)

    def names(self) -> list[str]:
        """Return the names of the entries not taken yet."""
        return list(self._left)

    def section(self, name: str) -> _Section:
        """Return an entry that is a section itself."""
        where = f'{self._where}.{name}' if self._where else name
        return _Section(self.take(name), where, self._source)

    def number(self, name: str, low: float, high: float) -> float:
        """Return a number within bounds."""
        value = self.take(name)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise self.wrong(name, f'is {_show(value)} instead of a number')
        if not low <= value <= high:
            raise self.wrong(name, f'is {_show(value)} but must be from {low:g} to {high:g}')
        return float(value)

    def seconds(self, name: str, high: float = 10.0) -> int:
        """Return a time in seconds as integer nanoseconds."""
        return round(self.number(name, 0.0, high) * 1e9)

    def whole(self, name: str, low: int, high: int) -> int:
        """Return a whole number within bounds."""
        value = self.take(name)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise self.wrong(
                name, f'is {_show(value)} but must be a whole number from {low} to {high}'
            )
        return value

    def word(self, name: str) -> str:
        """Return a label or an intent."""
        value = self.take(name)
        if not _is_name(value):
            raise self.wrong(name, f'is {_show(value)} instead of a word')
        return value

    def words(self, name: str, empty: bool = True) -> tuple[str, ...]:
        """Return a list of labels."""
        value = self.take(name)
        if not isinstance(value, list) or not all(map(_is_name, value)):
            raise self.wrong(name, f'is {_show(value)} instead of a list of words such as [a, b]')
        if len(set(value)) != len(value):
            raise self.wrong(name, 'names a word twice')
        if not value and not empty:
            raise self.wrong(name, 'is empty but needs at least one word')
        return tuple(value)

    def truth(self, name: str) -> bool:
        """Return true or false."""
        value = self.take(name)
        if not isinstance(value, bool):
            raise self.wrong(name, f'is {_show(value)} instead of true or false')
        return value

    def thresholds(self, name: str, above: float, limit: str) -> Thresholds:
        """Return thresholds by label, each above `above`, which the sentence calls `limit`."""
        entries = self.section(name)
        values: dict[str, float | None] = {}
        for label in entries.names():
            if entries._left[label] == 'auto':
                values[label] = entries.take(label)
                values[label] = None
                continue
            values[label] = entries.number(label, 0.0, 0.99)
            if values[label] <= above:
                raise entries.wrong(label, f'is {values[label]:g} but must be above {limit}')
        if 'default' not in values:
            raise entries.wrong('default', 'is missing')
        default = values.pop('default')
        return Thresholds(default, values)

    def end(self) -> None:
        """Refuse entries that nobody took: a misspelt name must not go unseen."""
        if self._left:
            raise self.wrong(next(iter(self._left)), 'is not known')


def _is_name(value: Any) -> bool:
    """Return whether a value is a name of a label or an intent."""
    return isinstance(value, str) and value.isidentifier() and len(value) <= 64


def _read_sentence(rule: _Section) -> str:
    """Return a rule's sentence after trying it."""
    sentence = rule.take('say')
    if not isinstance(sentence, str) or not 1 <= len(sentence.strip()) <= 500:
        raise rule.wrong('say', f'is {_show(sentence)} instead of a sentence')
    try:
        fields = list(string.Formatter().parse(sentence))
    except ValueError as error:
        raise rule.wrong('say', f'has unpaired braces ({error})') from error
    for _, name, specification, conversion in fields:
        if name is not None and (name not in SENTENCE_FIELDS or specification or conversion):
            raise rule.wrong(
                'say',
                f'uses {{{_show(name)[1:-1]}}}; it may use '
                + ' '.join(f'{{{field}}}' for field in SENTENCE_FIELDS),
            )
    return sentence


def _read_rules(section: _Section) -> tuple[dict[Rule, str], tuple[Rule, ...]]:
    """Return the sentences of all rules and the names of those that are disabled."""
    sentences, disabled = {}, []
    for rule in Rule:
        entry = section.section(rule.value)
        if not entry.truth('enabled'):
            if rule is Rule.STOP:
                raise entry.wrong('enabled', 'is false, but a robot must always obey stop')
            disabled.append(rule)
        sentences[rule] = _read_sentence(entry)
        entry.end()
    section.end()
    return sentences, tuple(disabled)


def parse_table(text: str, source: str = 'policy.yaml') -> PolicyTable:
    """
    Return the table in the text of a policy file; `source` names it in errors.

    Raises:
        KwsImuError: the text is not YAML, or an entry is missing, unknown or wrong.

    """
    try:
        value = yaml.load(text, _Loader)
    except YAML_PROBLEMS as error:
        mark = getattr(error, 'problem_mark', None)
        where = f', line {mark.line + 1}' if mark is not None else ''
        problem = getattr(error, 'problem', None) or str(error)
        raise KwsImuError(
            f'{source}{where}: this is not valid YAML ({" ".join(problem.split())[:100]}); correct '
            'it there.'
        ) from error
    top = _Section(value, '', source)
    top.whole('schema_version', SCHEMA_VERSION, SCHEMA_VERSION)
    smoothing, timing = top.section('smoothing'), top.section('timing')
    voice, gesture = top.section('voice'), top.section('gesture')
    intent, stop = top.section('intent'), top.section('stop')
    voice_release = voice.number('release_threshold', 0.0, 0.9)
    weak_threshold = voice.number('weak_threshold', 0.0, 0.95)
    if weak_threshold <= voice_release:
        raise voice.wrong('weak_threshold', 'must be above release_threshold')
    unknown_threshold = voice.number('unknown_threshold', 0.0, 1.0)
    if unknown_threshold <= voice_release:
        raise voice.wrong('unknown_threshold', 'must be above release_threshold')
    gesture_release = gesture.number('release_threshold', 0.0, 0.9)
    meanings_section = gesture.section('meanings')
    meanings = {name: meanings_section.word(name) for name in meanings_section.names()}
    stop_word_threshold = stop.number('word_threshold', 0.0, 0.99)
    if stop_word_threshold <= voice_release:
        raise stop.wrong('word_threshold', 'must be above voice.release_threshold')
    stop_gesture_threshold = stop.number('gesture_threshold', 0.0, 0.99)
    if stop_gesture_threshold <= gesture_release:
        raise stop.wrong('gesture_threshold', 'must be above gesture.release_threshold')
    sentences, disabled = _read_rules(top.section('rules'))
    voice_hops = smoothing.whole('voice_hops', 1, 25)
    table = PolicyTable(
        voice_hops=voice_hops,
        voice_quick_hops=smoothing.whole('voice_quick_hops', 1, voice_hops),
        voice_quick_margin=smoothing.number('voice_quick_margin', 0.0, 1.0),
        gesture_hops=smoothing.whole('gesture_hops', 1, 25),
        intent_hops=smoothing.whole('intent_hops', 1, 25),
        pairing_window_ns=timing.seconds('pairing_window_s'),
        refractory_ns=timing.seconds('refractory_s'),
        gesture_refractory_ns=timing.seconds('gesture_refractory_s'),
        quiet_ns=timing.seconds('quiet_s'),
        echo_ns=timing.seconds('echo_s'),
        voice_background=voice.word('background'),
        voice_unknown=voice.words('unknown'),
        voice_thresholds=voice.thresholds('thresholds', weak_threshold, 'weak_threshold'),
        weak_threshold=weak_threshold,
        unknown_threshold=unknown_threshold,
        voice_release=voice_release,
        gesture_background=gesture.word('background'),
        gesture_thresholds=gesture.thresholds('thresholds', gesture_release, 'release_threshold'),
        alone_thresholds=gesture.thresholds(
            'alone_thresholds', gesture_release, 'release_threshold'
        ),
        gesture_release=gesture_release,
        meanings=meanings,
        alone=gesture.words('alone'),
        intent_background=intent.word('background'),
        agreement_threshold=intent.number('agreement_threshold', 0.0, 1.0),
        deciding_threshold=intent.number('deciding_threshold', 0.0, 1.0),
        stop_intent=stop.word('intent'),
        stop_words=stop.words('words', empty=False),
        stop_word_threshold=stop_word_threshold,
        stop_gestures=stop.words('gestures'),
        stop_gesture_threshold=stop_gesture_threshold,
        directions=top.words('directions'),
        sentences=sentences,
        disabled=disabled,
    )
    for section in (smoothing, timing, voice, gesture, intent, stop, top):
        section.end()
    for name in (*table.alone, *table.stop_gestures):
        if name not in table.meanings:
            raise gesture.wrong(f'meanings.{name}', "is missing but 'alone' or 'stop' names it")
    return table


def load_table(path: Path | str) -> PolicyTable:
    """
    Return the table in a policy file.

    Raises:
        KwsImuError: the file cannot be read, or an entry is missing, unknown or wrong.

    """
    path = user_path(path)
    try:
        if path.stat().st_size > MAXIMUM_FILE_BYTES:
            raise KwsImuError(f'{path} is too large to be a policy file; give another one.')
        text = path.read_text('utf-8')
    except OSError as error:
        raise KwsImuError(
            f'The policy file {path} cannot be read ({error.strerror}); give the path of a file '
            'such as config/policy.yaml.'
        ) from error
    except UnicodeDecodeError as error:
        raise KwsImuError(f'The policy file {path} is not UTF-8 text; save it as that.') from error
    return parse_table(text, str(path))


def with_offsets(table: PolicyTable, voice: float, gesture: float) -> PolicyTable:
    """
    Return the table with all thresholds of words and gestures moved, positive for calmer.

    Raises:
        KwsImuError: an offset is not within -0.5 to 0.5.

    """
    for offset in (voice, gesture):
        if not (math.isfinite(offset) and -0.5 <= offset <= 0.5):
            raise KwsImuError(f'A threshold offset of {offset} is not within -0.5 to 0.5.')
    return dataclasses.replace(table, voice_offset=voice, gesture_offset=gesture)
