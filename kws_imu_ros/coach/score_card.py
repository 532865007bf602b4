"""
What a pupil sees after a dance: against the own last try first, against the teacher second.

One thing to change stands on top, the rest below for whoever asks. There is no grade unless asked.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kws_imu_ros.choreography.choreography import Choreography
from kws_imu_ros.coach.alignment import ROWS, Shape
from kws_imu_ros.coach.findings import Finding, FindingKind
from kws_imu_ros.coach.judgement import OwnTries
from kws_imu_ros.coach.tempo import tempo_of
from kws_imu_ros.configuration.section import Section, read_json
from kws_imu_ros.errors import KwsImuError, printable
from kws_imu_ros.resources import read_at_most

SCHEMA_VERSION = 1
# What to change first: what was danced, then when, then how large.
URGENCY = (
    FindingKind.MISSING,
    FindingKind.OTHER_MOVE,
    FindingKind.OTHER_DIRECTION,
    FindingKind.LATE,
    FindingKind.EARLY,
    FindingKind.SMALL,
    FindingKind.LARGE,
)
MOST_TRIES = 5
LARGEST = 10_000_000
_COLUMNS = 6


@dataclass(frozen=True)
class MoveScore:
    """
    A move of the card; None where nothing was measured.

    number: in the dance, from 1. offset_ms: behind the beat as the teacher keeps it, negative
    before it. size: relative to the own last try, teacher_size to the teacher's. direction: 1 as
    the teacher, -1 the other way. last_offset_ms: of the own last try.
    """

    number: int
    phrase: str
    name: str
    text: str
    kind: FindingKind
    sentence: str
    posture: str
    offset_ms: int | None
    last_offset_ms: int | None
    size: float | None
    teacher_size: float | None
    direction: float | None


@dataclass(frozen=True)
class PhraseScore:
    """
    The middle of a phrase's moves; None where nothing was measured.

    right: moves of which nothing is to be changed.
    """

    name: str
    moves: int
    right: int
    offset_ms: int | None
    size: float | None
    teacher_size: float | None
    direction: float | None


@dataclass(frozen=True)
class ScoreCard:
    """
    A dance that was watched.

    change: the one thing to change. progress: against the own last try, '' for a first one.
    beats_per_minute: by the wrist alone, None for too few moves. grade: share of moves that were
    right, None unless asked for. tries: what the next dance is compared with.
    """

    dance: str
    change: str
    progress: str
    tempo_wanted: float
    beats_per_minute: float | None
    moves: tuple[MoveScore, ...]
    phrases: tuple[PhraseScore, ...]
    notes: tuple[str, ...]
    grade: float | None
    tries: OwnTries


def make_score_card(
    choreography: Choreography,
    findings: Sequence[Finding],
    tries: OwnTries,
    last: ScoreCard | None = None,
    notes: Sequence[str] = (),
    grade: bool = False,
) -> ScoreCard:
    """
    Return the card of a dance.

    Args:
        choreography: that was danced.
        findings: of the coach, in order.
        tries: of the coach, this dance included.
        last: card of the own last try.
        notes: on the recording, one sentence each.
        grade: whether a grade was asked for.

    """
    before = {move.number: move.offset_ms for move in last.moves} if last else {}
    moves = tuple(
        _move_score(choreography, finding, before.get(finding.move + 1)) for finding in findings
    )
    onsets = [(f.measures.onset_ns, choreography.moves[f.move].beat) for f in findings]
    onsets = [(onset, beat) for onset, beat in onsets if onset]
    tempo = tempo_of([onset for onset, _ in onsets], [beat for _, beat in onsets])
    right = sum(move.kind is FindingKind.RIGHT for move in moves)
    return ScoreCard(
        choreography.name,
        one_thing(findings),
        _progress(moves, last),
        choreography.beats_per_minute,
        None if len(onsets) < 4 else round(tempo, 1),
        moves,
        tuple(_phrase_scores(moves)),
        tuple(notes),
        right / len(moves) if grade and moves else None,
        _newest(tries),
    )


def one_thing(findings: Sequence[Finding]) -> str:
    """Return the one thing to change in a dance: the most urgent kind, where it is worst."""
    for kind in URGENCY:
        found = [finding for finding in findings if finding.kind is kind]
        if found:
            worst = max(found, key=lambda finding: _badness(finding))
            return worst.sentence
    if any(finding.kind is FindingKind.NOT_SEEN for finding in findings):
        return 'The sensor was silent for a part of the dance; check its cable or radio.'
    return 'All moves were right: dance it faster, or add a move.'


def _badness(finding: Finding) -> float:
    measures = finding.measures
    if finding.kind in (FindingKind.LATE, FindingKind.EARLY):
        return abs(measures.offset_ms)
    if finding.kind in (FindingKind.SMALL, FindingKind.LARGE):
        return abs(math.log(measures.ratio))
    return -float(finding.move)


def _progress(moves: Sequence[MoveScore], last: ScoreCard | None) -> str:
    """Return what has become of the own last try."""
    if last is None:
        return ''
    now = {move.number for move in moves if move.kind is FindingKind.RIGHT}
    then = {move.number for move in last.moves if move.kind is FindingKind.RIGHT}
    parts = [f'{len(now)} of {len(moves)} moves were right, {len(then)} last time']
    if gained := sorted(now - then):
        parts.append(f'new: {", ".join(map(str, gained))}')
    return '; '.join(parts) + '.'


def _move_score(
    choreography: Choreography, finding: Finding, last_offset_ms: int | None
) -> MoveScore:
    move, measures = choreography.moves[finding.move], finding.measures
    offset = _known(measures.offset_ms)
    return MoveScore(
        finding.move + 1,
        choreography.phrase_of(move),
        finding.name,
        move.text or finding.name,
        finding.kind,
        finding.sentence,
        finding.posture,
        None if offset is None else round(offset),
        last_offset_ms,
        _known(measures.ratio),
        _known(measures.teacher_ratio),
        _known(measures.agreement),
    )


def _known(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 3)


def _phrase_scores(moves: Sequence[MoveScore]) -> list[PhraseScore]:
    names = dict.fromkeys(move.phrase for move in moves)
    found = []
    for name in names:
        inside = [move for move in moves if move.phrase == name]
        offset = _middle([move.offset_ms for move in inside])
        found.append(
            PhraseScore(
                name,
                len(inside),
                sum(move.kind is FindingKind.RIGHT for move in inside),
                None if offset is None else round(offset),
                _middle([move.size for move in inside]),
                _middle([move.teacher_size for move in inside]),
                _middle([move.direction for move in inside]),
            )
        )
    return found


def _middle(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(statistics.median(known), 3) if known else None


def _newest(tries: OwnTries) -> OwnTries:
    """Return the newest tries of each move: people grow."""
    return OwnTries(
        {name: sizes[-MOST_TRIES:] for name, sizes in tries.sizes.items()},
        {name: shapes[-MOST_TRIES:] for name, shapes in tries.shapes.items()},
        tries.raise_cue,
    )


def to_json(card: ScoreCard) -> str:
    """Return a card as JSON."""
    value = {
        'schema': SCHEMA_VERSION,
        **{
            field.name: getattr(card, field.name)
            for field in dataclasses.fields(card)
            if field.name not in ('moves', 'phrases', 'tries')
        },
        'moves': [{**vars(move), 'kind': move.kind.value} for move in card.moves],
        'phrases': [vars(phrase) for phrase in card.phrases],
        'tries': {
            'raise_cue': round(card.tries.raise_cue, 4),
            'moves': [
                {
                    'name': name,
                    'sizes': [round(size, 4) for size in card.tries.sizes.get(name, ())],
                    'shapes': [
                        shape.rows.round(3).ravel().tolist()
                        for shape in card.tries.shapes.get(name, ())
                    ],
                }
                for name in sorted({*card.tries.sizes, *card.tries.shapes})
            ],
        },
    }
    return json.dumps(value, ensure_ascii=False, allow_nan=False) + '\n'


def read_card(path: Path) -> ScoreCard:
    """
    Read a card that was written as JSON.

    Raises:
        KwsImuError: it cannot be read, or is no card.

    """
    try:
        data = read_at_most(path, LARGEST)
        text = data.decode('utf-8')
    except OSError as error:
        raise KwsImuError(
            f'Score card {printable(path)} cannot be read ({error.strerror}); check the path.'
        ) from error
    except UnicodeDecodeError as error:
        raise KwsImuError(f'Score card {printable(path)} is no JSON; give another.') from error
    if len(data) > LARGEST:
        raise KwsImuError(f'{printable(path)} is too large for a score card; give another.')
    return from_json(text, f'Score card {printable(path)}')


def from_json(text: str, source: str) -> ScoreCard:
    """
    Return the card in a JSON text; source names it in errors.

    Raises:
        KwsImuError: the text is no card.

    """
    top = read_json(text, source, '; give a score card of `kws-imu dance score`.')
    top.holding(('schema', *(f.name for f in dataclasses.fields(ScoreCard))))
    top.version('schema', SCHEMA_VERSION)
    tries = top.section('tries', ('raise_cue', 'moves'))
    own = OwnTries(raise_cue=tries.number('raise_cue'))
    sizes: dict[str, tuple[float, ...]] = {}
    shapes: dict[str, tuple[Shape, ...]] = {}
    for entry in tries.sections('moves', ('name', 'sizes', 'shapes')):
        name = entry.text('name')
        sizes[name] = tuple(_numbers(entry, 'sizes', entry.plain('sizes')))[:MOST_TRIES]
        shapes[name] = tuple(_shapes(entry))
    sections = top.sections('moves', tuple(f.name for f in dataclasses.fields(MoveScore)))
    return ScoreCard(
        dance=top.text('dance'),
        change=top.text('change'),
        progress='',
        tempo_wanted=top.number('tempo_wanted'),
        beats_per_minute=_optional(top, 'beats_per_minute'),
        moves=tuple(_read_move(section) for section in sections),
        phrases=(),
        notes=(),
        grade=_optional(top, 'grade'),
        tries=dataclasses.replace(own, sizes=sizes, shapes=shapes),
    )


def _read_move(section: Section) -> MoveScore:
    offset = _optional(section, 'offset_ms')
    return MoveScore(
        number=section.integer('number', 1, 1 << 20),
        phrase='',
        name=section.text('name'),
        text=section.text('text'),
        kind=FindingKind(section.one_of('kind', tuple(kind.value for kind in FindingKind))),
        sentence=section.text('sentence'),
        posture='',
        offset_ms=None if offset is None else round(offset),
        last_offset_ms=None,
        size=_optional(section, 'size'),
        teacher_size=_optional(section, 'teacher_size'),
        direction=_optional(section, 'direction'),
    )


def _optional(section: Section, name: str) -> float | None:
    return None if section.plain(name) is None else section.number(name, -1e9, 1e9)


def _shapes(entry: Section) -> list[Shape]:
    given = entry.plain('shapes')
    if not isinstance(given, list):
        raise entry.wrong('shapes', 'must be lists of numbers')
    found = []
    for numbers in given[:MOST_TRIES]:
        values = _numbers(entry, 'shapes', numbers)
        if len(values) != ROWS * _COLUMNS:
            raise entry.wrong('shapes', f'must have {ROWS * _COLUMNS} numbers each')
        found.append(Shape(np.array(values, np.float64).reshape(ROWS, _COLUMNS)))
    return found


def _numbers(entry: Section, name: str, given: Any) -> list[float]:
    if not isinstance(given, list) or not all(
        isinstance(value, (int, float)) and not isinstance(value, bool) and -1e3 <= value <= 1e3
        for value in given
    ):
        raise entry.wrong(name, 'must be numbers from -1000 to 1000')
    return [float(value) for value in given]


def to_html(card: ScoreCard, opened: bool = False) -> str:
    """
    Return a card as one HTML page, whole without a network.

    Args:
        card: to show.
        opened: show all at once; a pupil opens what he or she asks for otherwise.

    Raises:
        KwsImuError: Jinja2 is not installed.

    """
    try:
        jinja2 = importlib.import_module('jinja2')
    except ImportError as error:
        raise KwsImuError(
            'The page of a score card is made by Jinja2, which is not installed here; `pip '
            'install Jinja2`.'
        ) from error
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    page: str = environment.from_string(PAGE).render(
        card=card, right=FindingKind.RIGHT, unseen=FindingKind.NOT_SEEN, place=_place, opened=opened
    )
    return page


def _place(offset_ms: float) -> float:
    """Return where on the bar of half a second either way an offset lies, percent."""
    return 50.0 + max(-50.0, min(50.0, offset_ms / 10.0))


PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ card.dance }}</title>
<style>
:root { color-scheme: light; }
body { font: 17px/1.5 system-ui, sans-serif; color: #1a1a1a; background: #fff; margin: 0 auto;
  max-width: 900px; padding: 1.5rem; }
h1 { margin: 0; } h2 { margin: 2rem 0 .5rem; font-size: 1.15rem; }
.change { border-left: 8px solid #4477aa; background: #eef3f8; padding: .8rem 1.2rem;
  margin: 1.2rem 0; font-size: 1.35rem; }
.change small { display: block; font-size: .85rem; color: #555; }
.progress { font-size: 1.1rem; }
.note { color: #7a4b00; } .quiet { color: #555; }
table { border-collapse: collapse; width: 100%; }
th, td { padding: .4rem .5rem; text-align: left; border-bottom: 1px solid #ddd; }
th { font-weight: 600; font-size: .85rem; color: #555; }
th.n { text-align: right; }
td.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
td.n small { color: #555; }
.bar { position: relative; height: 14px; width: 150px; background: #eee; border-radius: 7px; }
.bar::before { content: ''; position: absolute; left: 50%; top: -3px; height: 20px;
  border-left: 2px solid #555; }
.dot { position: absolute; top: 1px; width: 12px; height: 12px; margin-left: -6px;
  border-radius: 6px; background: #4477aa; }
.last { background: #fff; border: 2px solid #99a; box-sizing: border-box; }
.mark { white-space: nowrap; font-weight: 600; color: #a33c00; }
.mark.right { color: #1d6b2a; } .mark.unseen { color: #555; }
summary { cursor: pointer; margin-top: 2rem; font-weight: 600; }
@media print { details { display: block; } }
</style>
</head>
<body>
<h1>{{ card.dance }}</h1>
<div class="change"><small>One thing to change</small>{{ card.change }}</div>
{% if card.progress %}
<p class="progress">Against your last try: {{ card.progress }}</p>
{% else %}
<p class="quiet">Your first try on this card: the next one is compared with it.</p>
{% endif %}
{% if card.beats_per_minute %}
<p>Your tempo: {{ '%g'|format(card.beats_per_minute) }} beats a minute; the dance has
{{ '%g'|format(card.tempo_wanted) }}.</p>
{% endif %}
{% if card.grade is not none %}
<p>Grade: {{ '%d'|format(card.grade * 100) }} % of the moves were right.</p>
{% endif %}
{% for note in card.notes %}
<p class="note">{{ note }}</p>
{% endfor %}
<details{{ ' open' if opened else '' }}>
<summary>Move by move</summary>
<table>
<tr><th></th><th>move</th><th></th><th>early &nbsp; beat &nbsp; late</th>
{% if card.progress %}<th class="n">size, own<br>last try</th>{% endif %}
<th class="n">size,<br>teacher</th><th class="n">direction</th></tr>
{% for move in card.moves %}
<tr>
<td class="n">{{ move.number }}</td>
<td>{{ move.text }}{% if move.phrase %} <span class="quiet">({{ move.phrase }})</span>{% endif %}
{% if move.posture %}<br><small class="quiet">{{ move.posture }}</small>{% endif %}</td>
<td class="mark {{ 'right' if move.kind == right else 'unseen' if move.kind == unseen else '' }}">
{{ 'well done' if move.kind == right else move.kind.value }}</td>
<td>{% if move.offset_ms is not none %}<div class="bar">
{% if move.last_offset_ms is not none %}
<span class="dot last" style="left: {{ place(move.last_offset_ms) }}%"></span>
{% endif %}
<span class="dot" style="left: {{ place(move.offset_ms) }}%"></span></div>
<small class="quiet">{{ '%+d'|format(move.offset_ms) }} ms
{% if move.last_offset_ms is not none %}(last {{ '%+d'|format(move.last_offset_ms) }}){% endif %}
</small>{% endif %}</td>
{% if card.progress %}<td class="n">
{% if move.size is not none %}{{ '%d'|format(move.size * 100) }} %{% endif %}</td>{% endif %}
<td class="n">{% if move.teacher_size is not none %}
{{ '%d'|format(move.teacher_size * 100) }} %{% endif %}</td>
<td class="n">{% if move.direction is not none %}{{ '%+.1f'|format(move.direction) }}{% endif %}
</td>
</tr>
{% endfor %}
</table>
<p class="quiet">A full dot is this try, an empty one your last try. Direction is +1 where you went
as the teacher did and -1 where you went the other way.</p>
</details>
{% if card.phrases|length > 1 %}
<details{{ ' open' if opened else '' }}>
<summary>Phrase by phrase</summary>
<table>
<tr><th>phrase</th><th class="n">right</th><th class="n">timing</th>
{% if card.progress %}<th class="n">size, own last try</th>{% endif %}
<th class="n">size, teacher</th><th class="n">direction</th></tr>
{% for phrase in card.phrases %}
<tr><td>{{ phrase.name or 'between' }}</td><td class="n">{{ phrase.right }} of {{ phrase.moves }}
</td>
<td class="n">{% if phrase.offset_ms is not none %}{{ '%+d'|format(phrase.offset_ms) }} ms
{% endif %}</td>
{% if card.progress %}<td class="n">
{% if phrase.size is not none %}{{ '%d'|format(phrase.size * 100) }} %{% endif %}</td>{% endif %}
<td class="n">{% if phrase.teacher_size is not none %}
{{ '%d'|format(phrase.teacher_size * 100) }} %{% endif %}</td>
<td class="n">{% if phrase.direction is not none %}{{ '%+.1f'|format(phrase.direction) }}{% endif %}
</td></tr>
{% endfor %}
</table>
</details>
{% endif %}
</body>
</html>
"""
