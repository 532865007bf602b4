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

import contextlib
import functools
import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from kws_imu_ros import __version__
from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.lab.report.kinds.comparison import draw_comparison
from kws_imu_ros.lab.report.kinds.confusion import draw_confusion
from kws_imu_ros.lab.report.kinds.curves import draw_curves, draw_table
from kws_imu_ros.lab.report.kinds.det import draw_det
from kws_imu_ros.lab.report.kinds.evaluation import draw_evaluation, first_numbers
from kws_imu_ros.lab.report.kinds.fusion import draw_fusion
from kws_imu_ros.lab.report.kinds.models import Point, draw_models, draw_points, points_of
from kws_imu_ros.lab.report.kinds.noise import draw_noise
from kws_imu_ros.lab.report.kinds.pruning import draw_pruning
from kws_imu_ros.lab.report.kinds.quantization import draw_quantization
from kws_imu_ros.lab.report.parts import Heading, Note, Part
from kws_imu_ros.lab.report.results import Result
from kws_imu_ros.lab.report.results import read_results as read_results_of

if TYPE_CHECKING:
    import jinja2

# The heading under which each kind is drawn, in the order of the page.
DRAWERS: dict[str, tuple[str, Callable[[Result], list[Part]]]] = {
    'models': ('Models', draw_models),
    'evaluation': ('Evaluation', draw_evaluation),
    'confusion': ('Confusion', draw_confusion),
    'noise': ('Noise', draw_noise),
    'fusion': ('Fusion', draw_fusion),
    'det': ('Streaming', draw_det),
    'pruning': ('Pruning', draw_pruning),
    'quantization': ('Quantization', draw_quantization),
    'comparison': ('Comparison', draw_comparison),
    'curves': ('Experiments', draw_curves),
    'table': ('Experiments', draw_table),
}
MOST_FIRST_NUMBERS = 10


@dataclass
class Section:
    """A part of the page: a heading and what is under it."""

    title: str
    parts: list[Part] = field(default_factory=list)

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
    return read_results_of(paths, DRAWERS)


def build_report(results: Sequence[Result], title: str) -> str:
    """
    Return the page as HTML.

    Raises:
        KwsImuError: a result lacks a field that its kind needs.

    """
    if not results:
        raise KwsImuError('There are no results to report; give result files of kws-imu.')
    sections = {heading: Section(heading) for heading, _ in DRAWERS.values()}
    points: list[Point] = []
    numbers: list[tuple[str, str]] = []
    for result in results:
        with _explained(result):
            points += points_of(result)
            if result.kind == 'evaluation':
                numbers += first_numbers(result)
            heading, draw = DRAWERS[result.kind]
            sections[heading].parts += _framed(result, draw(result))
    overview = Section('Size and accuracy', draw_points(points) if points else [])
    return (
        _templates()
        .get_template('page.jinja')
        .render(
            title=title,
            sections=[section for section in (overview, *sections.values()) if section.parts],
            first_numbers=numbers[:MOST_FIRST_NUMBERS],
            version=__version__,
            count=len(results),
            files=_files(results),
        )
    )


@functools.cache
def _templates() -> jinja2.Environment:
    """Return the templates; what they are given is text, whatever it looks like."""
    import jinja2

    return jinja2.Environment(
        loader=jinja2.PackageLoader('kws_imu_ros.lab.report'),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
    )


@contextlib.contextmanager
def _explained(result: Result) -> Iterator[None]:
    """Say in one sentence which result is not of the form of its kind."""
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise KwsImuError(
            f"{result.source}: a result of kind '{result.kind}' is not of the form that the "
            f'report draws ({type(error).__name__}: {error}); make the file again.'
        ) from error


def _framed(result: Result, parts: list[Part]) -> list[Part]:
    """Return what was drawn below its title, and above what was said of it."""
    framed: list[Part] = [Heading(result.text('title'))] if result.text('title') else []
    framed += parts
    if result.text('note'):
        framed.append(Note(result.text('note')))
    if result.text('command'):
        framed.append(Note('Made by', result.text('command')))
    return framed


def _files(results: Sequence[Result]) -> list[tuple[str, str]]:
    """Return the names of the result files with the start of their sha256."""
    paths = dict.fromkeys(Path(result.source) for result in results)
    return [
        (path.name, hashlib.sha256(path.read_bytes()).hexdigest()[:12] if path.is_file() else '')
        for path in paths
    ]
