"""What `kws-imu evaluate` found out about a bundle."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from kws_imu_ros.lab.report.kinds.confusion import confusion_plot, recall_plot
from kws_imu_ros.lab.report.kinds.det import draw_det
from kws_imu_ros.lab.report.kinds.fusion import draw_fusion
from kws_imu_ros.lab.report.kinds.noise import draw_noise
from kws_imu_ros.lab.report.parts import Heading, Part, Plot, Plots, Table, percent, plain, table
from kws_imu_ros.lab.report.results import Result

SHARES = ('accuracy', 'rate', 'share')
NESTED = {'noise': draw_noise, 'fusion': draw_fusion}
CURVES = {'det': 'one threshold for all words', 'det_by_label': 'a threshold for each word'}


def draw_evaluation(result: Result) -> list[Part]:
    """Draw an evaluation: facts, recall by class, confusion of each head, then the sections."""
    facts: list[tuple[str, str]] = []
    drawn: list[Plot] = []
    nested: list[Part] = []
    for section, values in result.data.items():
        if isinstance(values, dict):
            facts += _facts(section, values)
            drawn += _plots(section, values, result)
            nested += _section(section, values, result)
    parts: list[Part] = [Heading(f'{result.model_name}, {result.text("split")} split')]
    if drawn:
        parts.append(Plots(tuple(drawn)))
    return [*parts, table(('measure', 'value'), facts), *nested]


def first_numbers(result: Result) -> Iterator[tuple[str, str]]:
    """Yield the numbers of an evaluation that people look for first: (number, what it is)."""
    name = result.model_name
    voice, gesture, everyday, model = (
        values if isinstance(values := result.data.get(key), dict) else {}
        for key in ('voice', 'gesture', 'everyday', 'model')
    )
    if voice.get('accuracy') is not None:
        yield percent(voice['accuracy']), f'voice, {name}'
    if gesture.get('balanced_accuracy') is not None:
        yield percent(gesture['balanced_accuracy']), f'gesture, balanced, {name}'
    if everyday.get('false_gestures_per_hour') is not None:
        yield f'{everyday["false_gestures_per_hour"]:.1f}', 'false gestures an hour'
    if model.get('bytes'):
        yield f'{model["bytes"] / 1000:.1f} kB', f'model file, {name}'


def _facts(section: str, values: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the numbers of a section."""
    drawn = 'series' in values
    for name, value in values.items():
        if drawn and name.endswith(('_db', '_clean')) and not name.startswith('errors_left'):
            continue  # The points of a plot and its table.
        label = f'{section}: {name.replace("_", " ")}'
        if isinstance(value, float):
            share = any(word in name for word in SHARES)
            yield label, percent(value) if share else plain(value)
        elif isinstance(value, int) and not isinstance(value, bool):
            yield label, plain(value)


def _plots(section: str, values: dict[str, Any], result: Result) -> Iterator[Plot]:
    """Yield what a section tells class by class."""
    if isinstance(values.get('recall'), dict) and values['recall']:
        yield recall_plot(section, values['recall'], result)
    if isinstance(values.get('confusion'), dict):
        labels, counts = values['confusion']['labels'], values['confusion']['rows_are_truth']
        yield confusion_plot(labels, counts, f'{section} confusion', result)


def _section(section: str, values: dict[str, Any], result: Result) -> list[Part]:
    """Draw what a section holds beside its numbers, under a heading."""
    parts: list[Part] = []
    kind = values.get('kind')
    if kind in NESTED and values.get('series'):
        parts += NESTED[kind](Result(kind, values, result.source))
    series = {
        name: _det_points(values[key])
        for key, name in CURVES.items()
        if isinstance(values.get(key), dict)
    }
    if series:
        data = {'series': series, 'hours': values.get('hours_of_negatives')}
        parts += draw_det(Result('det', data, result.source))
    if isinstance(values.get('by_source'), dict):
        parts.append(_sources(values['by_source']))
    if isinstance(values.get('runtimes'), dict):
        rows = _runtimes(values['runtimes'], values.get('reasons', {}))
        parts.append(table(('one inference, one thread', 'time'), rows))
    if values.get('is_estimate'):
        parts.append(table(('estimate, not a measurement', 'value'), _estimates(values)))
    return [Heading(section, 4), *parts] if parts else []


def _det_points(curve: dict[str, Sequence[float]]) -> list[dict[str, float]]:
    """Return the columns of a curve as points."""
    keys = ('false_accepts_per_hour', 'false_reject_rate')
    return [
        dict(zip(keys, point, strict=True))
        for point in zip(*(curve[key] for key in keys), strict=True)
    ]


def _sources(by_source: dict[str, dict[str, Any]]) -> Table:
    """Return a row for each source of negatives."""
    columns = list(dict.fromkeys(key for row in by_source.values() for key in row))
    rows = (
        (source, *(plain(row.get(key)) for key in columns)) for source, row in by_source.items()
    )
    return table(('negatives', *(key.replace('_', ' ') for key in columns)), rows)


def _runtimes(
    runtimes: dict[str, dict[str, Any] | None], reasons: dict[str, str]
) -> Iterator[tuple[str, str]]:
    """Yield the times of each runtime, or why there are none."""
    for runtime, times in runtimes.items():
        if not times:
            yield runtime, reasons.get(runtime, 'not measured')
            continue
        for key, milliseconds in times.items():
            if key.endswith('_ms'):
                name = key.removesuffix('_ms').replace('_', ' ')
                yield f'{runtime} {times.get("version", "")}, {name}', f'{milliseconds:g} ms'


def _estimates(values: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what was estimated, each way."""
    for way, entries in values.items():
        if isinstance(entries, dict):
            for key, value in entries.items():
                yield f'{way}: {key}'.replace('_', ' '), plain(value)
