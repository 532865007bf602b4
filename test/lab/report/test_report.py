"""The report is one page that needs no network and shows the numbers that it was given."""

from __future__ import annotations

import argparse
import html.parser
import json
import re
from pathlib import Path

import pytest

pytest.importorskip('matplotlib', reason='the training extras are not installed')

from kws_imu_ros.commands.lab import report as cli_report
from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.lab.report.kinds.models import FAMILY_MARKERS
from kws_imu_ros.lab.report.kinds.published import PUBLISHED
from kws_imu_ros.lab.report.report import (
    DRAWERS,
    build_report,
    read_results,
)

LABELS = ['left', 'stop', 'silence']
RESULTS = {
    'evaluation': {
        'model': {'name': 'voice_gesture', 'version': '1.2.0', 'bytes': 51234, 'macs': 2_000_000},
        'split': 'validation',
        'voice': {
            'accuracy': 0.9671,
            'examples': 300,
            'recall': {'left': 0.95, 'stop': 0.97, 'silence': 0.98},
            'confusion': {
                'labels': LABELS,
                'rows_are_truth': [[95, 5, 0], [2, 97, 1], [1, 1, 98]],
            },
        },
        'everyday': {'false_gestures_per_hour': 4.25},
        'noise': {
            'kind': 'noise',
            'accuracy_5_db': 0.8765,
            'series': {
                'int8': [{'snr_db': None, 'accuracy': 0.9671}, {'snr_db': 5, 'accuracy': 0.8765}]
            },
        },
        'streaming': {
            'hours_of_negatives': 0.96,
            'det': {
                'threshold': [0.5, 0.9],
                'false_accepts_per_hour': [9.0, 1.0],
                'false_reject_rate': [0.05, 0.1234],
            },
            'by_source': {'sentences': {'hours': 0.7654, 'shipped_false_accepts': 17}},
        },
        'latency': {
            'runtimes': {'litert': {'version': '2', 'median_ms': 0.0421}, 'tflite_runtime': None},
            'reasons': {'tflite_runtime': 'tflite-runtime is not installed here'},
        },
        'energy': {'is_estimate': True, 'by_time': {'milliwatts': 1.2345, 'formula': 'a x b'}},
    },
    'models': {'rows': [{'name': 'tutorial', 'accuracy': 0.951, 'bytes': 1_200_000, 'macs': 9e6}]},
    'pruning': {
        'title': 'One shot',
        'command': 'kws-imu prune --seed 1',
        'baseline': {'accuracy': 0.96, 'parameters': 100_000, 'macs': 8_000_000, 'bytes': 110_000},
        'curves': {
            'taylor': [
                {'accuracy': 0.957, 'parameters': 9_000, 'macs': 1_500_000, 'bytes': 13_000}
            ],
            'random': [
                {'accuracy': 0.913, 'parameters': 9_100, 'macs': 1_510_000, 'bytes': 13_100}
            ],
        },
    },
    'quantization': {
        'rows': [
            {'name': 'float32', 'accuracy': 0.968, 'bytes': 180_000, 'latency_us': 130.4},
            {'name': 'int8', 'accuracy': 0.9655, 'bytes': 58_000, 'latency_us': None},
        ]
    },
    'comparison': {
        'runtime': 'litert',
        'rows': [
            {
                'name': 'ours',
                'precision': 'int8',
                'bytes': 58_000,
                'gzip_bytes': 41_000,
                'parameters': 40_000,
                'macs': 2_000_000,
                'arena_bytes': 21_000,
                'latency': {'median': 50.0, 'low': 40.0, 'high': 90.0},
            },
            {
                'name': 'cannot run',
                'precision': '?',
                'bytes': 1,
                'gzip_bytes': 1,
                'parameters': 1,
                'macs': 1,
                'arena_bytes': 1,
                'latency': None,
            },
        ],
    },
    'noise': {'series': {'voice alone': [{'snr_db': s, 'accuracy': 0.9} for s in (None, 0, -5)]}},
    'fusion': {
        'false_accept_rate': 0.01,
        'series': {
            name: [{'snr_db': s, 'error_rate': e, 'false_accept_rate': 0.01} for s in (None, 0)]
            for name, e in (('voice alone', 0.3125), ('rule fusion', 0.0875))
        },
        'shipped_rule': [{'snr_db': 0, 'error_rate': 0.0625, 'false_accept_rate': 0.0775}],
    },
    'det': {
        'hours': 1.25,
        'series': {
            'int8': [
                {'false_accepts_per_hour': 0.8, 'false_reject_rate': 0.0834},
                {'false_accepts_per_hour': 6.0, 'false_reject_rate': 0.02},
            ]
        },
    },
    'confusion': {'labels': LABELS, 'rows_are_truth': [[9, 1, 0], [0, 10, 0], [0, 0, 10]]},
    'curves': {'title': 'Batch size', 'series': {'group': [[2, 0.95], [128, 0.94]]}, 'log_x': True},
    'table': {'title': 'Energy', 'columns': ['board', 'uJ'], 'rows': [['<b>M4</b> & co', 12.5]]},
}


class Page(html.parser.HTMLParser):
    """What a browser would load, and whether tags are balanced."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.open: list[str] = []
        self.text = ''
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in ('meta', 'link', 'path', 'use', 'rect', 'br', 'img'):
            self.open.append(tag)
        for name, value in attrs:
            if name in ('src', 'href', 'xlink:href', 'data') and value:
                self.addresses.append(value)
            if name == 'id':
                self.ids.append(value)

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if self.open and self.open[-1] == tag:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if self.open and self.open[-1] == tag:
            self.open.pop()


@pytest.fixture(scope='module')
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a result file of every kind."""
    folder = tmp_path_factory.mktemp('results')
    for kind, data in RESULTS.items():
        named = data if kind == 'evaluation' else {'kind': kind, **data}
        (folder / f'{kind}.json').write_text(json.dumps(named))
    return folder


@pytest.fixture(scope='module')
def page(files: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the page that the command writes from them."""
    parser = argparse.ArgumentParser()
    cli_report.add_arguments(parser)
    target = tmp_path_factory.mktemp('page') / 'out' / 'report.html'
    arguments = [str(files), '--out', str(target), '--title', 'Lab <1>']
    assert cli_report.run(parser.parse_args(arguments)) == 0
    return target.read_text('utf-8')


def test_every_kind_of_result_has_an_example_here():
    assert set(RESULTS) == set(DRAWERS)


def test_the_page_loads_nothing_and_runs_nothing(page: str):
    parsed = Page(page)
    inside = ('#', 'data:image/png;base64,')
    assert [address for address in parsed.addresses if not address.startswith(inside)] == []
    assert not {'script', 'iframe', 'object', 'embed', 'img', 'link'} & set(parsed.tags)
    assert '@import' not in page and 'url(http' not in page
    assert parsed.open == []  # Every tag is closed.
    links = {address[1:] for address in parsed.addresses if address.startswith('#')}
    assert links <= set(parsed.ids)


def test_numbers_of_every_result_are_on_the_page(page: str):
    for text in (
        '96.71 %',  # Voice accuracy.
        '51.2 kB',
        '4.2',  # False gestures an hour.
        '11.1x',  # Parameters by Taylor: 100,000 / 9,000.
        '-0.25',  # int8 against float32.
        '1.00x',
        '8.34 %',  # False rejects at one false accept an hour.
        '31.25 %',  # Errors of voice alone.
        '7.75 %',  # False accepts of the rule as shipped.
        '87.65 %',  # In an evaluation: words at 5 dB ...
        '12.34 %',  # ... false rejects at one false accept an hour ...
        '0.7654',  # ... hours of sentences ...
        '0.0421 ms',
        'tflite-runtime is not installed here',
        'estimate, not a measurement',
        '1.234',
        'Negatives: 1.25 h',
        'kws-imu prune --seed 1',
        'tutorial',
    ):
        assert text in page, text
    assert page.count('<svg') >= 12


def test_published_models_are_marked_as_quoted(page: str):
    for published in PUBLISHED:
        assert published.name in page
    assert page.count('quoted: ') == len(PUBLISHED)
    assert 'not measured here' in page
    assert {published.family for published in PUBLISHED} == set(FAMILY_MARKERS)
    assert all(len(published.source) > 20 for published in PUBLISHED)
    names = ' '.join(published.name for published in PUBLISHED)
    for wanted in ('MLPerf', 'DS-CNN-S', 'DS-CNN-M', 'DS-CNN-L', 'MicroNet', 'BC-ResNet', 'KWT'):
        assert wanted in names


def test_text_of_results_cannot_become_markup(page: str):
    assert '&lt;b&gt;M4&lt;/b&gt; &amp; co' in page
    assert '<title>Lab &lt;1&gt;</title>' in page
    assert '<b>M4' not in page


# What would end an attribute, an element or a formula, and letters that few fonts have.
HOSTILE = '"><script>alert(1)</script>\'&<!-- {{ 7 * 7 }} $\\frac{ ]]> 前进 zurück'


# Objects whose keys are names that people gave.
NAMED = ('series', 'curves', 'recall', 'by_source', 'runtimes')


def hostile(value: object, named: bool = False) -> object:
    """Return a result in which each text ends in what is hostile, names of series too."""
    if isinstance(value, str):
        return value + HOSTILE
    if isinstance(value, list):
        return [hostile(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key + HOSTILE if named else key: item if key == 'kind' else hostile(item, key in NAMED)
        for key, item in value.items()
    }


@pytest.mark.parametrize('kind', RESULTS)
def test_hostile_text_of_every_kind_stays_text(kind: str, tmp_path: Path):
    data = {'kind': kind, **RESULTS[kind], 'title': 't', 'note': 'n', 'command': 'c'}
    path = tmp_path / 'result.json'
    path.write_text(json.dumps(hostile(data)))
    page = build_report(read_results([path]), 'x' + HOSTILE)
    parsed = Page(page)
    assert 'script' not in parsed.tags and '<script' not in page
    assert parsed.open == []
    # All of it is there, as it was written: in title, heading, note, command line and plots.
    assert parsed.text.count(HOSTILE) >= 5


def test_the_same_results_give_the_same_page(files: Path):
    results = read_results([files / 'noise.json', files / 'pruning.json'])
    assert build_report(results, 'x') == build_report(results, 'x')


def test_ids_inside_plots_do_not_collide(page: str):
    clips = [set(re.findall(r'<clipPath id="([^"]+)"', svg)) for svg in page.split('<svg')[1:]]
    seen: set[str] = set()
    for ids in clips:
        assert not ids & seen
        seen |= ids


@pytest.mark.parametrize(
    ('content', 'said'),
    [
        ('{"kind": "poem"}', "kind 'poem'"),
        ('not json', 'cannot be read as JSON'),
        ('[1, 2]', 'int where a result is needed'),
        ('{"kind": "pruning", "curves": {}}', "needs a field 'baseline'"),
        ('{"kind": "noise", "series": {"a": [{"snr": 1}]}}', 'not of the form'),
        (
            '{"kind": "quantization", "rows": [{"name": 1, "bytes": 0, "accuracy": 1}]}',
            'not of the',
        ),
        ('{"kind": "models", "rows": [1]}', 'not of the form'),
        ('{"kind": "models", "rows": [{"accuracy": 1, "bytes": NaN}]}', 'a size is nan'),
        ('{"kind": ["a"]}', 'which the report does not know'),
        ('{"kind": "confusion", "labels": ["a"], "rows_are_truth": [[1, 2]]}', 'of 1 labels'),
    ],
)
def test_wrong_files_end_in_one_sentence_that_names_them(content: str, said: str, tmp_path: Path):
    path = tmp_path / 'wrong.json'
    path.write_text(content)
    with pytest.raises(KwsImuError, match=said) as caught:
        build_report(read_results([path]), 'x')
    assert 'wrong.json' in str(caught.value)


def test_missing_files_empty_folders_and_unwritable_places_are_said(files: Path, tmp_path: Path):
    with pytest.raises(KwsImuError, match='cannot be read'):
        read_results([tmp_path / 'none.json'])
    (tmp_path / 'empty').mkdir()
    with pytest.raises(KwsImuError, match=r'holds no \.json'):
        read_results([tmp_path / 'empty'])
    parser = argparse.ArgumentParser()
    cli_report.add_arguments(parser)
    blocked = files / 'table.json' / 'report.html'
    with pytest.raises(KwsImuError, match='cannot be written'):
        cli_report.run(parser.parse_args([str(files / 'table.json'), '--out', str(blocked)]))
