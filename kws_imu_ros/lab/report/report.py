"""
One HTML page from the JSON results of experiments: plots and tables, whole without a network.

Each result file holds an object (or a list of objects) with a ``kind``:

- ``evaluation``: what `kws-imu evaluate --json` prints (``kind`` may be absent);
- ``comparison``: what `kws-imu compare --json` writes;
- ``pruning``: ``baseline`` {name, accuracy, bytes, parameters, macs} and ``curves``
  {criterion: [{accuracy, bytes, parameters, macs}, ...]};
- ``quantization``: ``rows`` [{name, bytes, accuracy, latency_us}, ...] of one network;
- ``noise``: ``series`` {name: [{snr_db, accuracy}, ...]}, snr_db null for no noise;
- ``fusion``: ``series`` {system: [{snr_db, error_rate, false_accept_rate}, ...]}, the
  ``false_accept_rate`` they were set to, and optionally ``shipped_rule``, points as in the series;
- ``det``: ``series`` {name: [{false_accepts_per_hour, false_reject_rate}, ...]}, ``hours``;
- ``confusion``: ``labels`` and ``rows_are_truth`` (counts);
- ``models``: ``rows`` [{name, accuracy, bytes, parameters, macs}, ...], points among the published;
- ``curves``: ``series`` {name: [[x, y], ...]}, ``x``, ``y``, ``log_x``: any other plot;
- ``table``: ``columns`` and ``rows``: any other table.

All take ``title``, ``note`` and ``command`` (what makes the file again). Accuracies and rates are
shares from 0 to 1.
"""

from __future__ import annotations

import hashlib
import html
import io
import json
import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, NullFormatter, PercentFormatter

from kws_imu_ros import __version__
from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.lab.report.published import PUBLISHED
from kws_imu_ros.resources import read_at_most

# Colours that people with any colour vision tell apart (Paul Tol's bright scheme, two of others).
COLOURS = (
    *('#4477aa', '#ee6677', '#228833', '#ccbb44', '#66ccee', '#aa3377', '#555555'),
    *('#332288', '#ee7733'),
)
OURS = '#d62728'
MARKERS = 'osD^vPX*'
# Below this a pruned network has collapsed; drawn, it would squeeze all others into one line.
LOWEST_PRUNED = 0.85
FAMILY_MARKERS = {
    'MLPerf Tiny': 's',
    'Arm': 'o',
    'MicroNet': '^',
    'BC-ResNet': 'D',
    'SparkNet': 'P',
    'TC-ResNet': 'X',
    'KWT': 'v',
}
MAXIMUM_BYTES = 50_000_000

STYLE = """
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, sans-serif; color: #1a1a1a; background: #fff; margin: 0 auto;
  max-width: 1080px; padding: 1.5rem; }
h1 { margin: 0 0 .25rem; } h2 { margin: 2.5rem 0 .5rem; border-bottom: 2px solid #4477aa; }
h3, h4 { margin: 1.5rem 0 .25rem; } h4 { text-transform: capitalize; }
p.note, footer { color: #555; font-size: .9rem; }
nav a { margin-right: 1rem; }
.cards { display: flex; flex-wrap: wrap; gap: 1rem; margin: 1rem 0; }
.card { border: 1px solid #ccc; border-radius: 8px; padding: .6rem 1rem; min-width: 8.5rem; }
.card b { display: block; font-size: 1.5rem; } .card span { color: #555; font-size: .85rem; }
.plots { display: flex; flex-wrap: wrap; gap: 1rem; }
figure { margin: 0; flex: 1 1 460px; max-width: 660px; min-width: 0; }
figure svg { width: 100%; height: auto; }
figcaption { color: #555; font-size: .85rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; margin: .75rem 0; font-size: .9rem; }
th, td { padding: .3rem .7rem; border-bottom: 1px solid #ddd; text-align: left; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
thead th { border-bottom: 2px solid #888; }
code { background: #f2f2f2; padding: .1rem .3rem; border-radius: 3px; overflow-wrap: anywhere; }
"""


@dataclass
class Result:
    """One object of a result file, with where it came from."""

    kind: str
    data: dict[str, Any]
    source: str

    def take(self, name: str, kind: type | tuple[type, ...] = object) -> Any:
        """
        Return a field of the result.

        Raises:
            KwsImuError: it is missing or of another type; the sentence names file and field.

        """
        if name not in self.data or not isinstance(self.data[name], kind):
            raise KwsImuError(
                f"{self.source}: a result of kind '{self.kind}' needs a field '{name}' of the "
                'right form; make the file again with this version, or leave it out.'
            )
        return self.data[name]

    @property
    def title(self) -> str:
        """Return the title of the result, '' without one."""
        return str(self.data.get('title', ''))


@dataclass
class Section:
    """A part of the page: a heading and HTML."""

    title: str
    parts: list[str] = field(default_factory=list)

    @property
    def anchor(self) -> str:
        """Return the heading as a link target."""
        return re.sub(r'\W+', '-', self.title.lower()).strip('-')


def read_results(paths: Sequence[Path]) -> list[Result]:
    """
    Read result files, and all ``*.json`` of folders.

    Raises:
        KwsImuError: a file is missing, too large, not JSON, or of an unknown kind.

    """
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            found = sorted(path.rglob('*.json'))
            if not found:
                raise KwsImuError(f'{path} holds no .json result files; give another folder.')
            files += found
        else:
            files.append(path)
    results = []
    for path in files:
        try:
            content = read_at_most(path, MAXIMUM_BYTES)
            if len(content) > MAXIMUM_BYTES:
                raise KwsImuError(f'{path} is too large for a result file; leave it out.')
            value = json.loads(content.decode('utf-8'))
        except (OSError, ValueError, RecursionError) as error:
            raise KwsImuError(
                f'{path} cannot be read as JSON ({str(error)[:80]}); give result files of kws-imu.'
            ) from error
        for data in value if isinstance(value, list) else [value]:
            if not isinstance(data, dict):
                raise KwsImuError(f'{path} holds {type(data).__name__} where a result is needed.')
            kind = data.get('kind') or ('evaluation' if 'split' in data else '')
            if kind not in DRAWERS:
                raise KwsImuError(
                    f"{path} is of the kind '{kind}', which the report does not know; the kinds "
                    f'are {", ".join(DRAWERS)}.'
                )
            results.append(Result(kind, data, str(path)))
    return results


def build_report(results: Sequence[Result], title: str) -> str:
    """
    Return the page as HTML.

    Raises:
        KwsImuError: a result lacks a field that its kind needs.

    """
    if not results:
        raise KwsImuError('There are no results to report; give result files of kws-imu.')
    headings = ['Size and accuracy', *(heading for heading, _ in DRAWERS.values())]
    sections = {heading: Section(heading) for heading in headings}
    overview = _draw_size_and_accuracy(results)
    for name, parts in overview.items():
        sections[name].parts += parts
    for result in results:
        heading, draw = DRAWERS[result.kind]
        section = sections[heading]
        try:
            parts = draw(result)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise KwsImuError(
                f"{result.source}: a result of kind '{result.kind}' is not of the form that the "
                f'report draws ({type(error).__name__}: {error}); make the file again.'
            ) from error
        if result.title:
            section.parts.append(f'<h3>{html.escape(result.title)}</h3>')
        section.parts += parts
        if result.data.get('note'):
            section.parts.append(f'<p class="note">{html.escape(str(result.data["note"]))}</p>')
        if result.data.get('command'):
            section.parts.append(
                f'<p class="note">Made by <code>{html.escape(str(result.data["command"]))}</code>'
                '</p>'
            )
    drawn = [section for section in sections.values() if section.parts]
    navigation = ' '.join(
        f'<a href="#{section.anchor}">{html.escape(section.title)}</a>' for section in drawn
    )
    body = '\n'.join(
        f'<section id="{section.anchor}"><h2>{html.escape(section.title)}</h2>\n'
        + '\n'.join(section.parts)
        + '</section>'
        for section in drawn
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<title>{html.escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n'
        f'<h1>{html.escape(title)}</h1>\n<nav>{navigation}</nav>\n{_cards(results)}\n{body}\n'
        f'<footer><p>kws-imu {__version__}, from {len(results)} result(s): '
        f'{_provenance(results)}</p></footer>\n</body>\n</html>\n'
    )


def _provenance(results: Sequence[Result]) -> str:
    """Return the result files with the start of their sha256."""
    entries = []
    for source in dict.fromkeys(result.source for result in results):
        path = Path(source)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()[:12] if path.is_file() else ''
        entries.append(f'<code>{html.escape(path.name)} {digest}</code>')
    return ', '.join(entries)


def _percent(share: float | None) -> str:
    """Return a share as a percentage for people."""
    return '-' if share is None or not math.isfinite(share) else f'{100.0 * share:.2f} %'


def _count(value: float | None) -> str:
    """Return a whole number for people."""
    return '-' if value is None else f'{round(value):,}'


def _table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return an HTML table; columns whose every cell starts like a number are right-aligned."""
    rows = [[str(cell) for cell in row] for row in rows]
    numeric = [
        bool(rows) and all(re.match(r'^[-+]?[\d.,]|^-$', row[i]) for row in rows if i < len(row))
        for i in range(len(columns))
    ]

    def cells(tag: str, values: Sequence[str]) -> str:
        return ''.join(
            f'<{tag}{" class=number" if i < len(numeric) and numeric[i] else ""}>'
            f'{html.escape(value)}</{tag}>'
            for i, value in enumerate(values)
        )

    head = cells('th', columns)
    body = '\n'.join(f'<tr>{cells("td", row)}</tr>' for row in rows)
    return (
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
        '</div>'
    )


def _figure(
    draw: Callable[[Axes], None], caption: str, size: tuple[float, float] = (6.6, 4.4)
) -> str:
    """Return a plot as an HTML figure with the SVG inside."""
    settings = {
        'svg.fonttype': 'none',
        # Ids must differ among the plots of one page, and be the same in the next run.
        'svg.hashsalt': caption,
        'font.family': 'sans-serif',
        'axes.grid': True,
        'grid.color': '#dddddd',
        'axes.axisbelow': True,
        'axes.spines.top': False,
        'axes.spines.right': False,
    }
    with matplotlib.rc_context(settings):
        figure = Figure(figsize=size)
        figure.set_layout_engine('constrained')
        draw(figure.subplots())
        stream = io.StringIO()
        figure.savefig(stream, format='svg', metadata={'Date': None, 'Creator': None})
    svg = stream.getvalue()
    svg = svg[svg.index('<svg') :]
    label = html.escape(caption, quote=True)
    svg = svg.replace('<svg', f'<svg role="img" aria-label="{label}"', 1)
    return f'<figure>{svg}<figcaption>{html.escape(caption)}</figcaption></figure>'


def _plots(figures: Sequence[str]) -> str:
    """Return figures side by side where the page is wide enough."""
    return f'<div class="plots">{"".join(figures)}</div>'


@dataclass(frozen=True)
class _Point:
    """A measured model among the published ones."""

    name: str
    accuracy: float
    bytes: float | None
    parameters: float | None
    macs: float | None


def _points(results: Sequence[Result]) -> list[_Point]:
    """Return the models that results measured, with their sizes."""
    points = []

    def add(name: str, accuracy: float | None, sizes: dict[str, Any]) -> None:
        if accuracy is not None:
            values = (sizes.get(key) for key in ('bytes', 'parameters', 'macs'))
            points.append(_Point(name, float(accuracy), *values))

    for result in results:
        if result.kind == 'evaluation' and isinstance(result.data.get('voice'), dict):
            model = result.take('model', dict)
            name = f'{model.get("name", "model")} {model.get("version", "")}'.strip()
            add(name, result.data['voice'].get('accuracy'), model)
        elif result.kind == 'models':
            for row in result.take('rows', list):
                add(str(row.get('name')), row.get('accuracy'), row)
        elif result.kind == 'pruning':
            baseline = result.take('baseline', dict)
            add(str(baseline.get('name', 'dense')), baseline.get('accuracy'), baseline)
            for criterion, curve in result.take('curves', dict).items():
                for row in curve:
                    add(f'pruned by {criterion}', row.get('accuracy'), row)
    return points


def _draw_size_and_accuracy(results: Sequence[Result]) -> dict[str, list[str]]:
    """Draw accuracy against bytes, parameters and MACs, with the published models as quoted."""
    points = _points(results)
    if not points:
        return {}
    pruned = [point for point in points if point.name.startswith('pruned by')]
    named = [point for point in points if not point.name.startswith('pruned by')]
    axes = (
        ('bytes', 'model file, bytes (int8 where quoted)'),
        ('parameters', 'parameters'),
        ('macs', 'multiply-accumulates an inference'),
    )
    figures = []
    for key, label in axes:
        if not any(getattr(point, key) for point in points):
            continue

        def draw(ax: Axes, key: str = key, label: str = label) -> None:
            for family, marker in FAMILY_MARKERS.items():
                quoted = [p for p in PUBLISHED if p.family == family and getattr(p, key)]
                for index, one in enumerate(quoted):
                    ax.plot(
                        getattr(one, key),
                        one.accuracy,
                        marker,
                        mfc='none',
                        mec='#555555',
                        ms=8,
                        label=f'{family} (quoted)' if index == 0 else None,
                    )
                    _annotate(ax, one.name, getattr(one, key), one.accuracy, '#555555')
            some = [p for p in pruned if getattr(p, key) and p.accuracy >= LOWEST_PRUNED]
            if some:
                ax.plot(
                    [getattr(p, key) for p in some],
                    [p.accuracy for p in some],
                    '.',
                    color='#4477aa',
                    alpha=0.6,
                    label='pruned here',
                )
            own = [p for p in named if getattr(p, key)]
            for index, one in enumerate(own):
                ax.plot(
                    getattr(one, key),
                    one.accuracy,
                    'P',
                    color=OURS,
                    ms=9,
                    label='measured here' if index == 0 else None,
                )
                _annotate(ax, one.name, getattr(one, key), one.accuracy, OURS)
            ax.set_xscale('log')
            ax.xaxis.set_major_formatter(EngFormatter())
            ax.xaxis.set_minor_formatter(NullFormatter())
            ax.yaxis.set_major_formatter(PercentFormatter(1.0))
            ax.margins(x=0.16, y=0.1)
            ax.set_xlabel(label)
            ax.set_ylabel('accuracy')
            ax.legend(fontsize=8, loc='lower right')

        figures.append(_figure(draw, f'Accuracy against {label}', (6.8, 5.0)))
    rows = [
        (
            point.name,
            _percent(point.accuracy),
            _count(point.bytes),
            _count(point.parameters),
            _count(point.macs),
            'measured',
        )
        for point in named
    ]
    rows += [
        (
            one.name,
            _percent(one.accuracy),
            _count(one.bytes),
            _count(one.parameters),
            _count(one.macs),
            f'quoted: {one.source}',
        )
        for one in PUBLISHED
    ]
    note = (
        '<p class="note">Hollow grey marks are quoted from publications, not measured here: other '
        'classes, other test speakers, other front ends, the whole data set. They show where the '
        'field stands; a point of difference means little.</p>'
    )
    columns = ('model', 'accuracy', 'bytes', 'parameters', 'MACs', 'origin')
    return {'Size and accuracy': [_plots(figures), note, _table(columns, rows)]}


def _annotate(ax: Axes, text: str, x: float, y: float, colour: str) -> None:
    """Write a name beside a point."""
    ax.annotate(text, (x, y), xytext=(6, 5), textcoords='offset points', fontsize=7, color=colour)


def _cards(results: Sequence[Result]) -> str:
    """Return the first numbers that people look for."""
    cards = []
    for result in results:
        if result.kind != 'evaluation':
            continue
        data = result.data
        model = data.get('model', {})
        name = f'{model.get("name", "")} {model.get("version", "")}'.strip()
        if isinstance(data.get('voice'), dict) and data['voice'].get('accuracy') is not None:
            cards.append((_percent(data['voice']['accuracy']), f'voice, {name}'))
        if isinstance(data.get('gesture'), dict):
            share = data['gesture'].get('balanced_accuracy')
            if share is not None:
                cards.append((_percent(share), f'gesture, balanced, {name}'))
        if isinstance(data.get('everyday'), dict):
            value = data['everyday'].get('false_gestures_per_hour')
            if value is not None:
                cards.append((f'{value:.1f}', 'false gestures an hour'))
        if model.get('bytes'):
            cards.append((f'{model["bytes"] / 1000:.1f} kB', f'model file, {name}'))
    if not cards:
        return ''
    inner = ''.join(
        f'<div class="card"><b>{html.escape(value)}</b><span>{html.escape(label)}</span></div>'
        for value, label in cards[:10]
    )
    return f'<div class="cards">{inner}</div>'


def _draw_evaluation(result: Result) -> list[str]:
    """Draw an evaluation: facts, recall by class, confusion of each head."""
    data = result.data
    parts, facts, figures, nested = [], [], [], []
    for section, values in data.items():
        if not isinstance(values, dict):
            continue
        drawn = 'series' in values
        for name, value in values.items():
            if drawn and name.endswith(('_db', '_clean')) and not name.startswith('errors_left'):
                continue  # The points of a plot and its table.
            label = f'{section}: {name.replace("_", " ")}'
            if isinstance(value, bool) or value is None:
                continue
            if isinstance(value, float):
                share = any(word in name for word in ('accuracy', 'rate', 'share'))
                facts.append((label, _percent(value) if share else f'{value:.4g}'))
            elif isinstance(value, int):
                facts.append((label, f'{value:,}'))
        if isinstance(values.get('recall'), dict) and values['recall']:
            figures.append(_recall_figure(section, values['recall'], result))
        if isinstance(values.get('confusion'), dict):
            confusion = values['confusion']
            figures.append(
                _confusion_figure(
                    confusion['labels'],
                    confusion['rows_are_truth'],
                    f'{section} confusion',
                    result,
                )
            )
        nested += _draw_nested(section, values, result)
    model = data.get('model', {})
    name = f'{model.get("name", "model")} {model.get("version", "")}'.strip()
    parts.append(f'<h3>{html.escape(name)}, {html.escape(str(data.get("split", "")))} split</h3>')
    if figures:
        parts.append(_plots(figures))
    parts.append(_table(('measure', 'value'), facts))
    return parts + nested


def _draw_nested(section: str, values: dict[str, Any], result: Result) -> list[str]:
    """Draw what a section of an evaluation holds beside its numbers, under a heading."""
    parts: list[str] = []
    if values.get('kind') in ('noise', 'fusion') and values.get('series'):
        parts += DRAWERS[values['kind']][1](Result(values['kind'], values, result.source))
    curves = {
        'one threshold for all words': values.get('det'),
        'a threshold for each word': values.get('det_by_label'),
    }
    series = {
        name: [
            {'false_accepts_per_hour': accepts, 'false_reject_rate': rejects}
            for accepts, rejects in zip(
                curve['false_accepts_per_hour'], curve['false_reject_rate'], strict=True
            )
        ]
        for name, curve in curves.items()
        if isinstance(curve, dict)
    }
    if series:
        data = {'series': series, 'hours': values.get('hours_of_negatives')}
        parts += _draw_det(Result('det', data, result.source))
    if isinstance(values.get('by_source'), dict):
        columns = list(dict.fromkeys(key for row in values['by_source'].values() for key in row))
        rows = [
            (source, *(_plain(row.get(key)) for key in columns))
            for source, row in values['by_source'].items()
        ]
        parts.append(_table(('negatives', *(key.replace('_', ' ') for key in columns)), rows))
    if isinstance(values.get('runtimes'), dict):
        rows = []
        for runtime, times in values['runtimes'].items():
            if not times:
                rows.append((runtime, values.get('reasons', {}).get(runtime, 'not measured')))
                continue
            rows += [
                (
                    f'{runtime} {times.get("version", "")}, {key[:-3].replace("_", " ")}',
                    f'{ms:g} ms',
                )
                for key, ms in times.items()
                if key.endswith('_ms')
            ]
        parts.append(_table(('one inference, one thread', 'time'), rows))
    if values.get('is_estimate'):
        rows = [
            (f'{way}: {key}'.replace('_', ' '), _plain(value))
            for way, entries in values.items()
            if isinstance(entries, dict)
            for key, value in entries.items()
        ]
        parts.append(_table(('estimate, not a measurement', 'value'), rows))
    return [f'<h4>{html.escape(section)}</h4>', *parts] if parts else []


def _plain(value: Any) -> str:
    """Return a value of any kind for a table."""
    if isinstance(value, float):
        return f'{value:.4g}'
    return f'{value:,}' if isinstance(value, int) else str('-' if value is None else value)


def _recall_figure(section: str, recall: dict[str, float], result: Result) -> str:
    """Draw the recall of each class as bars."""

    def draw(ax: Axes) -> None:
        names = list(recall)[::-1]
        bars = ax.barh(names, [recall[name] for name in names], color=COLOURS[0])
        ax.bar_label(bars, [f'{100 * recall[name]:.1f}' for name in names], fontsize=8, padding=2)
        low = min(recall.values())
        ax.set_xlim(max(0.0, math.floor(low * 10 - 1) / 10), 1.04)
        ax.xaxis.set_major_formatter(PercentFormatter(1.0))
        ax.set_xlabel('recall')

    return _figure(draw, f'{section} recall by class ({Path(result.source).name})')


def _confusion_figure(
    labels: Sequence[str], counts: Sequence[Sequence[float]], caption: str, result: Result
) -> str:
    """Draw a confusion matrix, rows normalized, counts written in."""
    matrix = np.array(counts, np.float64)
    if matrix.shape != (len(labels), len(labels)):
        raise KwsImuError(
            f'{result.source}: a confusion matrix of {len(labels)} labels is {matrix.shape}; make '
            'the file again.'
        )
    totals = matrix.sum(axis=1, keepdims=True)
    shares = np.divide(matrix, totals, out=np.zeros_like(matrix), where=totals > 0)

    def draw(ax: Axes) -> None:
        ax.imshow(shares, cmap='Blues', vmin=0.0, vmax=1.0)
        ax.set_xticks(range(len(labels)), labels, rotation=45, ha='right', fontsize=8)
        ax.set_yticks(range(len(labels)), labels, fontsize=8)
        ax.grid(False)
        for row in range(len(labels)):
            for column in range(len(labels)):
                if matrix[row, column]:
                    ax.text(
                        column,
                        row,
                        f'{matrix[row, column]:g}',
                        ha='center',
                        va='center',
                        fontsize=7,
                        color='white' if shares[row, column] > 0.5 else '#1a1a1a',
                    )
        ax.set_xlabel('found')
        ax.set_ylabel('true')

    return _figure(draw, f'{caption} ({Path(result.source).name})', (6.2, 5.6))


def _draw_confusion(result: Result) -> list[str]:
    """Draw a confusion matrix that stands alone."""
    figure = _confusion_figure(
        result.take('labels', list),
        result.take('rows_are_truth', list),
        result.title or 'confusion',
        result,
    )
    return [_plots([figure])]


def _draw_comparison(result: Result) -> list[str]:
    """Draw latency and size of models side by side."""
    rows = result.take('rows', list)
    timed = [row for row in rows if row.get('latency')]

    def draw(ax: Axes) -> None:
        names = [str(row['name']) for row in timed][::-1]
        medians = np.array([row['latency']['median'] for row in timed][::-1])
        low = medians - np.array([row['latency']['low'] for row in timed][::-1])
        high = np.array([row['latency']['high'] for row in timed][::-1]) - medians
        places = np.arange(len(names))
        ax.barh(places, medians, xerr=np.stack((low, high)), color=COLOURS[0], ecolor='#333333')
        ax.set_yticks(places, names, fontsize=8)
        ax.set_xlabel('latency, us: median, 10th to 90th percentile')

    parts = []
    if timed:
        height = 1.4 + 0.45 * len(timed)
        caption = f'Latency in the same run ({Path(result.source).name})'
        parts.append(_plots([_figure(draw, caption, (7.5, height))]))
    base = timed[0]['latency']['low'] if timed else None
    parts.append(
        _table(
            (
                'model',
                'inputs',
                'bytes',
                'gzipped',
                'parameters',
                'MACs',
                'arena',
                'quiet us',
                'median us',
                'speed',
            ),
            (
                (
                    row['name'],
                    row['precision'],
                    _count(row['bytes']),
                    _count(row['gzip_bytes']),
                    _count(row['parameters']),
                    _count(row['macs']),
                    _count(row['arena_bytes']),
                    f'{row["latency"]["low"]:.1f}' if row.get('latency') else '-',
                    f'{row["latency"]["median"]:.1f}' if row.get('latency') else '-',
                    f'{base / row["latency"]["low"]:.2f}x' if row.get('latency') else '-',
                )
                for row in rows
            ),
        )
    )
    facts = [str(result.data[key]) for key in ('runtime', 'machine') if result.data.get(key)]
    if facts:
        parts.append(
            f'<p class="note">{html.escape(", ".join(facts))}; timed by turns. '
            'Quiet is the 10th percentile, which other work on the machine disturbs least; '
            'the speed compares it.</p>'
        )
    return parts


def _draw_pruning(result: Result) -> list[str]:
    """Draw accuracy against what is left, a curve for each criterion."""
    baseline = result.take('baseline', dict)
    curves = result.take('curves', dict)
    figures = []
    for key, label in (('parameters', 'parameters'), ('macs', 'MACs'), ('bytes', 'bytes')):
        if not baseline.get(key) or not all(
            key in row for curve in curves.values() for row in curve
        ):
            continue

        def draw(ax: Axes, key: str = key, label: str = label) -> None:
            for index, (criterion, curve) in enumerate(curves.items()):
                ordered = sorted(curve, key=lambda row: row[key])
                control = criterion == 'random'
                ax.plot(
                    [row[key] / baseline[key] for row in ordered],
                    [row['accuracy'] for row in ordered],
                    marker=MARKERS[index % len(MARKERS)],
                    ms=5,
                    color='#888888' if control else COLOURS[index % len(COLOURS)],
                    linestyle='--' if control else '-',
                    label=f'{criterion} (control)' if control else criterion,
                )
            ax.plot(1.0, baseline['accuracy'], '*', ms=13, color=OURS, label='dense')
            ax.axhline(baseline['accuracy'] - 0.005, color=OURS, lw=0.8, ls=':')
            ax.set_xscale('log')
            ax.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
            ax.xaxis.set_minor_formatter(NullFormatter())
            ax.yaxis.set_major_formatter(PercentFormatter(1.0))
            ax.set_xlabel(f'{label} left')
            ax.set_ylabel('accuracy')
            ax.legend(fontsize=8)

        name = f'Accuracy against {label} left by criterion; dotted: half a point below dense'
        figures.append(_figure(draw, f'{name} ({Path(result.source).name})'))
    rows = [('dense', *_sizes(baseline, baseline))]
    for criterion, curve in curves.items():
        ordered = sorted(curve, key=lambda row: -row.get('macs', row.get('parameters', 0)))
        rows += [(criterion, *_sizes(row, baseline)) for row in ordered]
    columns = ('criterion', 'accuracy', 'lost', 'parameters', 'fewer', 'MACs', 'fewer', 'bytes')
    return [_plots(figures), _table(columns, rows)]


def _sizes(row: dict[str, Any], baseline: dict[str, Any]) -> tuple[str, ...]:
    """Return the cells of a pruned model beside its baseline."""
    cells = [
        _percent(row['accuracy']),
        f'{100.0 * (baseline["accuracy"] - row["accuracy"]):+.2f}',
    ]
    for key in ('parameters', 'macs'):
        cells.append(_count(row.get(key)))
        known = row.get(key) and baseline.get(key)
        cells.append(f'{baseline[key] / row[key]:.1f}x' if known else '-')
    return (*cells, _count(row.get('bytes')))


def _draw_quantization(result: Result) -> list[str]:
    """Draw the table of precisions of one network, and size against accuracy."""
    rows = result.take('rows', list)
    first = rows[0] if rows else {}

    def draw(ax: Axes) -> None:
        for index, row in enumerate(rows):
            colour = COLOURS[index % len(COLOURS)]
            ax.plot(
                row['bytes'], row['accuracy'], MARKERS[index % len(MARKERS)], ms=9, color=colour
            )
            _annotate(ax, str(row['name']), row['bytes'], row['accuracy'], colour)
        ax.xaxis.set_major_formatter(EngFormatter('B'))
        ax.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=1))
        ax.margins(0.2)
        ax.set_xlabel('model file')
        ax.set_ylabel('accuracy')

    table = _table(
        ('precision', 'accuracy', 'against first', 'bytes', 'smaller', 'latency us'),
        (
            (
                row['name'],
                _percent(row['accuracy']),
                f'{100.0 * (row["accuracy"] - first["accuracy"]):+.2f}',
                _count(row['bytes']),
                f'{first["bytes"] / row["bytes"]:.2f}x',
                f'{row["latency_us"]:.1f}' if row.get('latency_us') is not None else '-',
            )
            for row in rows
        ),
    )
    caption = f'Precisions of the same network ({Path(result.source).name})'
    return [_plots([_figure(draw, caption)]), table]


def _levels(series: dict[str, Any]) -> list[float | None]:
    """Return the signal-to-noise ratios of series, quietest first, None for no noise at all."""
    found = {point['snr_db'] for points in series.values() for point in points}
    numbers = sorted((level for level in found if level is not None), reverse=True)
    return [None, *numbers] if None in found else numbers


def _level(level: float | None) -> str:
    """Return a signal-to-noise ratio for people."""
    return 'clean' if level is None else f'{level:g} dB'


def _draw_noise(result: Result) -> list[str]:
    """Draw accuracy against the signal-to-noise ratio."""
    series = result.take('series', dict)
    levels = _levels(series)
    tables = {name: {p['snr_db']: p['accuracy'] for p in pts} for name, pts in series.items()}

    def draw(ax: Axes) -> None:
        for index, (name, by_level) in enumerate(tables.items()):
            places = [i for i, level in enumerate(levels) if level in by_level]
            ax.plot(
                places,
                [by_level[levels[i]] for i in places],
                marker=MARKERS[index % len(MARKERS)],
                color=COLOURS[index % len(COLOURS)],
                label=name,
            )
        ax.set_xticks(range(len(levels)), [_level(level) for level in levels])
        ax.yaxis.set_major_formatter(PercentFormatter(1.0))
        ax.set_xlabel('signal-to-noise ratio (louder noise to the right)')
        ax.set_ylabel('accuracy')
        ax.legend(fontsize=8)

    rows = [
        (name, *(_percent(by_level.get(level)) for level in levels))
        for name, by_level in tables.items()
    ]
    columns = ('', *(_level(level) for level in levels))
    caption = f'Accuracy in noise ({Path(result.source).name})'
    return [_plots([_figure(draw, caption)]), _table(columns, rows)]


def _draw_fusion(result: Result) -> list[str]:
    """Draw the error rates of systems that use one sense or both, as bars at each noise level."""
    series = result.take('series', dict)
    levels = _levels(series)
    rate = result.take('false_accept_rate', (int, float))

    def draw(ax: Axes) -> None:
        width = 0.8 / max(1, len(series))
        for index, (name, points) in enumerate(series.items()):
            by_level = {point['snr_db']: point['error_rate'] for point in points}
            places = np.arange(len(levels)) + (index - (len(series) - 1) / 2) * width
            heights = [by_level.get(level, math.nan) for level in levels]
            bars = ax.bar(places, heights, width, color=COLOURS[index % len(COLOURS)], label=name)
            ax.bar_label(bars, [f'{100 * h:.0f}' for h in heights], fontsize=6, padding=1)
        ax.set_xticks(range(len(levels)), [_level(level) for level in levels])
        ax.yaxis.set_major_formatter(PercentFormatter(1.0))
        ax.set_xlabel('signal-to-noise ratio (louder noise to the right)')
        ax.set_ylabel('errors')
        ax.legend(fontsize=8)

    rows = []
    for name, points in series.items():
        by_level = {point['snr_db']: point for point in points}
        for key, label in (('error_rate', 'errors'), ('false_accept_rate', 'false accepts')):
            cells = [by_level.get(level, {}).get(key) for level in levels]
            rows.append((f'{name}: {label}', *map(_percent, cells)))
    for point_key, label in (('error_rate', 'errors'), ('false_accept_rate', 'false accepts')):
        by_level = {p['snr_db']: p.get(point_key) for p in result.data.get('shipped_rule', [])}
        if by_level:
            cells = [_percent(by_level.get(level)) for level in levels]
            rows.append((f'the rule with its own thresholds: {label}', *cells))
    caption = (
        f'Errors of each system at {_percent(rate)} false accepts on the same negatives '
        f'({Path(result.source).name})'
    )
    columns = ('', *(_level(level) for level in levels))
    return [_plots([_figure(draw, caption, (7.2, 4.4))]), _table(columns, rows)]


def _draw_det(result: Result) -> list[str]:
    """Draw false rejects against false accepts an hour."""
    series = result.take('series', dict)

    def draw(ax: Axes) -> None:
        for index, (name, points) in enumerate(series.items()):
            ordered = sorted(points, key=lambda point: point['false_accepts_per_hour'])
            ax.plot(
                [max(point['false_accepts_per_hour'], 0.05) for point in ordered],
                [point['false_reject_rate'] for point in ordered],
                marker='.',
                color=COLOURS[index % len(COLOURS)],
                label=name,
            )
        ax.axvline(1.0, color='#888888', lw=0.8, ls=':')
        ax.set_xscale('log')
        ax.xaxis.set_major_formatter('{x:g}')
        ax.yaxis.set_major_formatter(PercentFormatter(1.0))
        ax.set_ylim(bottom=0.0)
        ax.set_xlabel('false accepts an hour (0 drawn at 0.05)')
        ax.set_ylabel('false rejects')
        ax.legend(fontsize=8)

    rows = []
    for name, points in series.items():
        cells = [name]
        for limit in (0.5, 1.0, 2.0, 5.0):
            rates = [p['false_reject_rate'] for p in points if p['false_accepts_per_hour'] <= limit]
            cells.append(_percent(min(rates)) if rates else '-')
        rows.append(cells)
    columns = ('', *(f'false rejects at {limit:g}/h' for limit in (0.5, 1.0, 2.0, 5.0)))
    parts = [
        _plots([_figure(draw, f'Detection error trade-off ({Path(result.source).name})')]),
        _table(columns, rows),
    ]
    if result.data.get('hours') is not None:
        parts.append(f'<p class="note">Negatives: {result.data["hours"]:.2f} h of audio.</p>')
    return parts


def _draw_models(result: Result) -> list[str]:
    """Return the table of measured models; their points are in the first section."""
    rows = result.take('rows', list)
    return [
        _table(
            ('model', 'accuracy', 'bytes', 'parameters', 'MACs', 'latency us'),
            (
                (
                    row['name'],
                    _percent(row.get('accuracy')),
                    *(_count(row.get(key)) for key in ('bytes', 'parameters', 'macs')),
                    f'{row["latency_us"]:.1f}' if row.get('latency_us') is not None else '-',
                )
                for row in rows
            ),
        )
    ]


def _draw_curves(result: Result) -> list[str]:
    """Draw any curves."""
    series = result.take('series', dict)

    def draw(ax: Axes) -> None:
        for index, (name, points) in enumerate(series.items()):
            x, y = zip(*points, strict=True)
            ax.plot(
                x,
                y,
                marker=MARKERS[index % len(MARKERS)],
                ms=4,
                color=COLOURS[index % len(COLOURS)],
                label=name,
            )
        if result.data.get('log_x'):
            ax.set_xscale('log')
        ax.set_xlabel(str(result.data.get('x', '')))
        ax.set_ylabel(str(result.data.get('y', '')))
        ax.legend(fontsize=8)

    return [_plots([_figure(draw, f'{result.title} ({Path(result.source).name})')])]


def _draw_table(result: Result) -> list[str]:
    """Return any table."""

    def cell(value: Any) -> Any:
        if isinstance(value, float):
            return f'{value:.4g}'
        return f'{value:,}' if isinstance(value, int) and not isinstance(value, bool) else value

    columns = [str(name) for name in result.take('columns', list)]
    rows = result.take('rows', list)
    return [_table(columns, ([cell(value) for value in row] for row in rows))]


DRAWERS: dict[str, tuple[str, Callable[[Result], list[str]]]] = {
    'models': ('Models', _draw_models),
    'evaluation': ('Evaluation', _draw_evaluation),
    'confusion': ('Confusion', _draw_confusion),
    'noise': ('Noise', _draw_noise),
    'fusion': ('Fusion', _draw_fusion),
    'det': ('Streaming', _draw_det),
    'pruning': ('Pruning', _draw_pruning),
    'quantization': ('Quantization', _draw_quantization),
    'comparison': ('Comparison', _draw_comparison),
    'curves': ('Experiments', _draw_curves),
    'table': ('Experiments', _draw_table),
}
