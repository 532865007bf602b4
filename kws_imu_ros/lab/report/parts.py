"""What a page is made of; templates/parts/ holds the HTML of each."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar


class Part:
    """A piece of a section; its template finds it as ``part``."""

    template: ClassVar[str]


@dataclass(frozen=True)
class Heading(Part):
    """A heading below that of the section, level 3 or 4."""

    template: ClassVar[str] = 'parts/heading.jinja'

    text: str
    level: int = 3


@dataclass(frozen=True)
class Note(Part):
    """A remark in small type, with the command line that it is about, if any."""

    template: ClassVar[str] = 'parts/note.jinja'

    text: str
    command: str = ''


@dataclass(frozen=True)
class Plot:
    """
    A plot with its caption.

    svg: the element itself, in which matplotlib has escaped all text.
    """

    svg: str
    caption: str


@dataclass(frozen=True)
class Plots(Part):
    """Plots side by side where the page is wide enough."""

    template: ClassVar[str] = 'parts/plots.jinja'

    plots: tuple[Plot, ...]


@dataclass(frozen=True)
class Table(Part):
    """A table; columns whose every cell starts like a number are right-aligned."""

    template: ClassVar[str] = 'parts/table.jinja'

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: tuple[bool, ...]


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Table:
    """Return a table of any cells."""
    cells = tuple(tuple(str(cell) for cell in row) for row in rows)
    width = max((len(columns), *map(len, cells)))
    numeric = tuple(
        i < len(columns)
        and bool(cells)
        and all(re.match(r'^[-+]?[\d.,]|^-$', row[i]) for row in cells if i < len(row))
        for i in range(width)
    )
    return Table(tuple(columns), cells, numeric)


def plots(*drawn: Plot) -> Plots:
    """Return plots side by side."""
    return Plots(drawn)


def percent(share: float | None) -> str:
    """Return a share as a percentage for people."""
    return '-' if share is None or not math.isfinite(share) else f'{100.0 * share:.2f} %'


def count(value: float | None) -> str:
    """Return a whole number for people."""
    return '-' if value is None else f'{round(value):,}'


def microseconds(value: float | None) -> str:
    """Return a latency for people."""
    return '-' if value is None else f'{value:.1f}'


def plain(value: Any) -> str:
    """Return a value of any kind for people."""
    if isinstance(value, float):
        return f'{value:.4g}'
    return f'{value:,}' if isinstance(value, int) else str('-' if value is None else value)
