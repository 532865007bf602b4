"""Choreographies as YAML files that people read and write."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kws_imu_ros.choreography.choreography import (
    FASTEST,
    LAST_BEAT,
    MOST_BEATS_PER_BAR,
    MOST_MOVES,
    SHORTEST_BEATS,
    SLOWEST,
    Choreography,
    Move,
    Phrase,
    misplaced,
)
from kws_imu_ros.configuration.section import Section, load_yaml, read_yaml
from kws_imu_ros.resources import write_whole

SCHEMA_VERSION = 1
LONGEST_NAME = 80
LONGEST_TEXT = 200
# One line that people can read.
PRINTABLE = re.compile(r'[^\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff]+')
# Needs no quotes in any dialect of YAML, unless it means something.
PLAIN = re.compile(r'[^\W\d_][\w ]*\w|[^\W\d_]')
MEANING = frozenset(('true', 'false', 'null', 'yes', 'no', 'on', 'off', 'y', 'n'))

HEADER = """\
# A dance: moves on beats. The first beat is 1, and 2.5 lies half a beat after 2. A move lasts
# `beats`; the robot does an intent of motion.yaml (`robot`), the arm a gesture of the model (`arm`)
# or what was recorded under a name (`reference`). `kws-imu dance edit` changes it, or any editor.
"""


@dataclass(frozen=True)
class Vocabulary:
    """
    What moves may say; where a tuple is empty, any word.

    intents: of the motion table. gestures: of the model.
    """

    intents: tuple[str, ...] = ()
    gestures: tuple[str, ...] = ()


def load_choreography(path: Path | str, vocabulary: Vocabulary | None = None) -> Choreography:
    """
    Read a choreography file.

    vocabulary: what robot and arm know; None takes any word.

    Raises:
        KwsImuError: the file is missing, is not YAML, or an entry is missing, unknown or wrong.

    """
    return _read(load_yaml(path, 'choreography'), vocabulary)


def parse_choreography(
    text: str, vocabulary: Vocabulary | None = None, source: str = 'The choreography'
) -> Choreography:
    """
    Read the text of a choreography file; source names it in errors.

    Raises:
        KwsImuError: the text is not YAML, or an entry is missing, unknown or wrong.

    """
    return _read(read_yaml(text, source), vocabulary)


def _read(top: Section, vocabulary: Vocabulary | None) -> Choreography:
    required = ('schema', 'name', 'beats_per_minute', 'moves')
    top.holding(required, ('beats_per_bar', 'music', 'phrases'))
    top.version('schema', SCHEMA_VERSION)
    moves = top.sections('moves', ('beat', 'beats'), ('robot', 'arm', 'reference', 'text'))
    if len(moves) > MOST_MOVES:
        raise top.wrong(
            'moves', f'are {len(moves)}, but a dance has {MOST_MOVES} at most; make two of it'
        )
    phrases = top.sections('phrases', ('name', 'beat', 'beats')) if top.has('phrases') else []
    return Choreography(
        name=top.text('name', pattern=PRINTABLE, longest=LONGEST_NAME),
        beats_per_minute=top.number('beats_per_minute', SLOWEST, FASTEST),
        beats_per_bar=(
            top.integer('beats_per_bar', 1, MOST_BEATS_PER_BAR) if top.has('beats_per_bar') else 4
        ),
        moves=_in_order([_move(section, vocabulary) for section in moves], moves),
        phrases=_in_order([_phrase(section) for section in phrases], phrases),
        music=_file_name(top, 'music') if top.has('music') else '',
    )


def _in_order(parts: Sequence[Any], sections: Sequence[Section]) -> tuple[Any, ...]:
    """Return the parts, or say where in the file one is out of place."""
    problem = misplaced(parts)
    if problem is not None:
        index, what = problem
        raise sections[index].wrong('beat', f'is out of place: {what}')
    return tuple(parts)


def _move(section: Section, vocabulary: Vocabulary | None) -> Move:
    known = vocabulary or Vocabulary()

    def word(name: str, choices: tuple[str, ...]) -> str:
        if not section.has(name):
            return ''
        return section.one_of(name, choices) if choices else section.word(name)

    if section.has('arm') and section.has('reference'):
        raise section.wrong('reference', 'stands beside an arm; a move has one of the two')
    return Move(
        beat=section.number('beat', 1.0, LAST_BEAT),
        beats=section.number('beats', SHORTEST_BEATS, LAST_BEAT),
        robot=word('robot', known.intents),
        arm=word('arm', known.gestures),
        reference=word('reference', ()),
        text=section.text('text', PRINTABLE, LONGEST_TEXT) if section.has('text') else '',
    )


def _phrase(section: Section) -> Phrase:
    return Phrase(
        name=section.text('name', pattern=PRINTABLE, longest=LONGEST_NAME),
        beat=section.number('beat', 1.0, LAST_BEAT),
        beats=section.number('beats', SHORTEST_BEATS, LAST_BEAT),
    )


def _file_name(section: Section, name: str) -> str:
    """Return the name of a file in the folder of this one."""
    text = section.text(name, PRINTABLE, LONGEST_TEXT)
    if Path(text).name != text:
        raise section.wrong(name, f'is {text!r}; name a file in the same folder')
    return text


def to_yaml(choreography: Choreography) -> str:
    """Return the text of a choreography file; reading it gives an equal choreography."""
    top: dict[str, Any] = {
        'schema': SCHEMA_VERSION,
        'name': choreography.name,
        'beats_per_minute': choreography.beats_per_minute,
        'beats_per_bar': choreography.beats_per_bar,
    }
    if choreography.music:
        top['music'] = choreography.music
    lines = [HEADER, *(f'{name}: {scalar(value)}\n' for name, value in top.items())]
    if choreography.phrases:
        lines.append('phrases:\n')
        lines.extend(
            _item({'name': phrase.name, 'beat': phrase.beat, 'beats': phrase.beats})
            for phrase in choreography.phrases
        )
    lines.append('moves:\n' if choreography.moves else 'moves: []\n')
    lines.extend(
        _item({name: value for name, value in vars(move).items() if value != ''})
        for move in choreography.moves
    )
    return ''.join(lines)


def save_choreography(path: Path, choreography: Choreography) -> None:
    """
    Write a choreography file, whole or not at all.

    Raises:
        KwsImuError: it cannot be written.

    """
    write_whole(path, to_yaml(choreography))


def _item(values: Mapping[str, Any]) -> str:
    """Return one line of a list."""
    pairs = ', '.join(f'{name}: {scalar(value)}' for name, value in values.items())
    return f'  - {{{pairs}}}\n'


def scalar(value: str | float) -> str:
    """Return a value as people write it: numbers without a needless point, quotes where needed."""
    if isinstance(value, str):
        # What is in quotes in JSON is in YAML as well. Words that mean something get some, too.
        plain = PLAIN.fullmatch(value) and value.lower() not in MEANING
        return value if plain else json.dumps(value, ensure_ascii=False)
    return repr(int(value) if value == int(value) else value)
