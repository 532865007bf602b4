"""
The policy's table as data, and the reader of ``config/policy.yaml``.

The YAML file is for teachers: each wrong entry is refused with one sentence that names it.
"""

from __future__ import annotations

import dataclasses
import math
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kws_imu_ros.configuration.section import Section, load_yaml, read_yaml
from kws_imu_ros.decision.decision import Rule
from kws_imu_ros.errors import KwsImuError

SCHEMA_VERSION = 1
# What 'auto' means for a model without calibrated thresholds.
VOICE_THRESHOLD = 0.6
GESTURE_THRESHOLD = 0.6
ALONE_THRESHOLD = 0.85
# What each section must hold, and nothing else.
SECTIONS = {
    'smoothing': (
        'voice_hops',
        'voice_quick_hops',
        'voice_quick_margin',
        'gesture_hops',
        'intent_hops',
    ),
    'timing': ('pairing_window_s', 'refractory_s', 'gesture_refractory_s', 'quiet_s', 'echo_s'),
    'voice': (
        'background',
        'unknown',
        'thresholds',
        'weak_threshold',
        'unknown_threshold',
        'release_threshold',
    ),
    'gesture': (
        'background',
        'thresholds',
        'alone_thresholds',
        'release_threshold',
        'meanings',
        'alone',
    ),
    'intent': ('background', 'agreement_threshold', 'deciding_threshold'),
    'stop': ('intent', 'words', 'word_threshold', 'gestures', 'gesture_threshold'),
}
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
    set live, to make the robot calmer or keener. source: the file, for errors.
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
    source: str = field(default='The policy', compare=False)

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


def _read_thresholds(section: Section, name: str, above: float, limit: str) -> Thresholds:
    """Return thresholds by label, each above `above`, which the sentence calls `limit`."""
    entries = section.names_of(name)
    values: dict[str, float | None] = {}
    for label in entries.names():
        if entries.plain(label) == 'auto':
            values[label] = None
            continue
        value = values[label] = entries.number(label, 0.0, 0.99)
        if value <= above:
            raise entries.wrong(label, f'is {value:g} but must be above {limit}')
    if 'default' not in values:
        raise entries.wrong('default', 'is missing')
    default = values.pop('default')
    return Thresholds(default, values)


def _read_sentence(rule: Section) -> str:
    """Return a rule's sentence after trying it."""
    sentence = rule.plain('say')
    if not isinstance(sentence, str) or not 1 <= len(sentence.strip()) <= 500:
        raise rule.wrong('say', f'is {rule.entry("say").show()} instead of a sentence')
    try:
        fields = list(string.Formatter().parse(sentence))
    except ValueError as error:
        raise rule.wrong('say', f'has unpaired braces ({error})') from error
    for _, name, specification, conversion in fields:
        if name is not None and (name not in SENTENCE_FIELDS or specification or conversion):
            raise rule.wrong(
                'say',
                f'uses {{{name[:60]}}}; it may use '
                + ' '.join(f'{{{field}}}' for field in SENTENCE_FIELDS),
            )
    return sentence


def _read_rules(section: Section) -> tuple[dict[Rule, str], tuple[Rule, ...]]:
    """Return the sentences of all rules and the names of those that are disabled."""
    sentences, disabled = {}, []
    for rule in Rule:
        entry = section.section(rule.value, ('enabled', 'say'))
        if not entry.boolean('enabled'):
            if rule is Rule.STOP:
                raise entry.wrong('enabled', 'is false, but a robot must always obey stop')
            disabled.append(rule)
        sentences[rule] = _read_sentence(entry)
    return sentences, tuple(disabled)


def _read_smoothing(section: Section) -> dict[str, Any]:
    """Return how much is averaged."""
    voice_hops = section.integer('voice_hops', 1, 25)
    return {
        'voice_hops': voice_hops,
        'voice_quick_hops': section.integer('voice_quick_hops', 1, voice_hops),
        'voice_quick_margin': section.number('voice_quick_margin', 0.0, 1.0),
        'gesture_hops': section.integer('gesture_hops', 1, 25),
        'intent_hops': section.integer('intent_hops', 1, 25),
    }


def _read_voice(section: Section) -> dict[str, Any]:
    """Return when a word counts."""
    release = section.number('release_threshold', 0.0, 0.9)
    weak = section.number('weak_threshold', 0.0, 0.95)
    unknown = section.number('unknown_threshold', 0.0, 1.0)
    for name, value in (('weak_threshold', weak), ('unknown_threshold', unknown)):
        if value <= release:
            raise section.wrong(name, 'must be above release_threshold')
    return {
        'voice_background': section.word('background'),
        'voice_unknown': section.words('unknown'),
        'voice_thresholds': _read_thresholds(section, 'thresholds', weak, 'weak_threshold'),
        'weak_threshold': weak,
        'unknown_threshold': unknown,
        'voice_release': release,
    }


def _read_gesture(section: Section) -> dict[str, Any]:
    """Return when a gesture counts, and what each means."""
    release = section.number('release_threshold', 0.0, 0.9)
    meanings = section.names_of('meanings')
    thresholds = {
        name: _read_thresholds(section, name, release, 'release_threshold')
        for name in ('thresholds', 'alone_thresholds')
    }
    return {
        'gesture_background': section.word('background'),
        'gesture_thresholds': thresholds['thresholds'],
        'alone_thresholds': thresholds['alone_thresholds'],
        'gesture_release': release,
        'meanings': {name: meanings.word(name) for name in meanings.names()},
        'alone': section.words('alone'),
    }


def _read_stop(section: Section, voice_release: float, gesture_release: float) -> dict[str, Any]:
    """Return what stops the robot."""
    values = {}
    for sense, release in (('word', voice_release), ('gesture', gesture_release)):
        value = section.number(f'{sense}_threshold', 0.0, 0.99)
        if value <= release:
            head = 'voice' if sense == 'word' else 'gesture'
            raise section.wrong(f'{sense}_threshold', f'must be above {head}.release_threshold')
        values[f'stop_{sense}_threshold'] = value
    return {
        'stop_intent': section.word('intent'),
        'stop_words': section.words('words', least=1),
        'stop_gestures': section.words('gestures'),
        **values,
    }


def _check_stop_labels(stop: Section, table: PolicyTable) -> None:
    """Refuse what means stop and nothing at the same time; raise KwsImuError."""
    for entry, labels, nothing in (
        ('words', table.stop_words, (table.voice_background, *table.voice_unknown)),
        ('gestures', table.stop_gestures, (table.gesture_background,)),
        ('intent', (table.stop_intent,), (table.intent_background,)),
    ):
        for label in labels:
            if label in nothing:
                raise stop.wrong(
                    entry,
                    f"names '{label}', which 'background' or 'unknown' calls no command",
                )


def parse_table(text: str, source: str = 'policy.yaml') -> PolicyTable:
    """
    Return the table in the text of a policy file; `source` names it in errors.

    Raises:
        KwsImuError: the text is not YAML, or an entry is missing, unknown or wrong.

    """
    return _read_table(read_yaml(text, source))


def load_table(path: Path | str) -> PolicyTable:
    """
    Return the table in a policy file.

    Raises:
        KwsImuError: the file cannot be read, or an entry is missing, unknown or wrong.

    """
    return _read_table(load_yaml(path, 'policy file'))


def _read_table(top: Section) -> PolicyTable:
    """Return the table in an open file."""
    top.holding(('schema_version', *SECTIONS, 'directions', 'rules'))
    top.version('schema_version', SCHEMA_VERSION)
    sections = {name: top.section(name, names) for name, names in SECTIONS.items()}
    timing, intent = sections['timing'], sections['intent']
    voice, gesture = _read_voice(sections['voice']), _read_gesture(sections['gesture'])
    stop = _read_stop(sections['stop'], voice['voice_release'], gesture['gesture_release'])
    times: dict[str, Any] = {
        f'{name.removesuffix("_s")}_ns': timing.seconds(name) for name in SECTIONS['timing']
    }
    sentences, disabled = _read_rules(top.section('rules', [rule.value for rule in Rule]))
    table = PolicyTable(
        **_read_smoothing(sections['smoothing']),
        **times,
        **voice,
        **gesture,
        intent_background=intent.word('background'),
        agreement_threshold=intent.number('agreement_threshold', 0.0, 1.0),
        deciding_threshold=intent.number('deciding_threshold', 0.0, 1.0),
        **stop,
        directions=top.words('directions'),
        sentences=sentences,
        disabled=disabled,
        source=top.source,
    )
    _check_stop_labels(sections['stop'], table)
    for name in (*table.alone, *table.stop_gestures):
        if name not in table.meanings:
            raise sections['gesture'].wrong(
                f'meanings.{name}', "is missing but 'alone' or 'stop' names it"
            )
    return table


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
