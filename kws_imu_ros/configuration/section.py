"""The strict reader: a section of a file, whose values are taken by what they must be."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from kws_imu_ros.configuration.document import (
    Entry,
    Source,
    line_in_json,
    parse_json,
    parse_yaml,
)
from kws_imu_ros.configuration.names import nearest, suggestion
from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.resources import read_at_most, user_path

MOST_BYTES = 500_000
LONGEST_NAME = 64
LONGEST_TEXT = 10_000


class Section:
    """
    Names with values, as a file has them.

    A section that is opened with the names that it may hold refuses every other name at once; one
    that is opened without (`names`) holds what the person likes to name. Each method takes one
    value and raises KwsImuError, with file, line and name, where it does not fit.
    """

    def __init__(
        self, entry: Entry, path: tuple[str, ...], source: Source, json_text: str = ''
    ) -> None:
        """
        Make a section; files are opened by `load_yaml`, `read_yaml` and `read_json`.

        Args:
            entry: what it holds. path: the names that lead to it from the top of the file.
            source: what errors say of the file. json_text: the file, where that is JSON.

        Raises:
            KwsImuError: the entry is no section.

        """
        self._entry, self._path, self._source, self._json_text = entry, path, source, json_text
        if not isinstance(entry.value, dict):
            raise self.wrong('', f'is {entry.show()} instead of names with values')
        self._values: dict[str, Entry] = entry.value

    def holding(self, required: Iterable[str] = (), optional: Iterable[str] = ()) -> Section:
        """
        Return this section after comparing its names with those that there are.

        Raises:
            KwsImuError: a name is unknown, or a required one is missing.

        """
        required, optional = tuple(required), tuple(optional)
        known = (*required, *optional)
        for name in self._values:
            if name not in known:
                # Before all, a name that is not there yet: it is the one that was meant.
                absent = [other for other in known if other not in self._values]
                meant = nearest(name, absent)
                hint = f"; did you mean '{meant}'" if meant else suggestion(name, known)
                raise self.wrong(name, f'is not known{hint}')
        for name in required:
            if name not in self._values:
                raise self.wrong(name, 'is missing')
        return self

    def wrong(self, name: str, problem: str) -> KwsImuError:
        """Return the error for a value of this section, or for the section where name is ''."""
        path = (*self._path, name) if name else self._path
        entry = self._values.get(name, self._entry) if name else self._entry
        line = entry.line
        if self._json_text:
            line = line_in_json(self._json_text, path)
        what = f"'{'.'.join(path)}'" if path else 'the whole file'
        return self._source.wrong(line, f'{what} {problem}')

    def refused(self, error: KwsImuError) -> KwsImuError:
        """Return the error for what an object made of this section said: "NAME is VALUE; why"."""
        name, _, problem = str(error).rstrip('.').partition(' ')
        if name in self._values:
            return self.wrong(name, problem)
        return self.wrong('', f'cannot be: {str(error).rstrip(".")}')

    @property
    def source(self) -> str:
        """Return what errors call the file."""
        return self._source.name

    def names(self) -> list[str]:
        """Return the names in the order of the file."""
        return list(self._values)

    def has(self, name: str) -> bool:
        """Return whether there is a value; a name with nothing after it has none."""
        return name in self._values and self._values[name].value is not None

    def line(self, name: str) -> int:
        """Return the line of a value, 0 where it is unknown."""
        return self._values[name].line if name in self._values else self._entry.line

    def entry(self, name: str) -> Entry:
        """Return a value that must be there, as the file has it."""
        if name not in self._values:
            raise self.wrong(name, 'is missing')
        return self._values[name]

    def plain(self, name: str) -> Any:
        """Return a value as plain lists, dicts and scalars, whatever it is."""
        return self.entry(name).plain()

    def section(
        self, name: str, required: Iterable[str] = (), optional: Iterable[str] = ()
    ) -> Section:
        """Return a section that holds the required names, and of others the optional ones only."""
        return self.names_of(name).holding(required, optional)

    def names_of(self, name: str, least: int = 0) -> Section:
        """Return a section whose names, so many or more, are the person's own."""
        section = Section(self.entry(name), (*self._path, name), self._source, self._json_text)
        if len(section.names()) < least:
            raise self.wrong(name, f'is {self._show(name)} but needs at least {least} names')
        return section

    def sections(
        self, name: str, required: Iterable[str] = (), optional: Iterable[str] = ()
    ) -> list[Section]:
        """Return a list of sections that all hold such names."""
        required, optional = tuple(required), tuple(optional)
        return [
            Section(
                item, (*self._path, f'{name}[{number}]'), self._source, self._json_text
            ).holding(required, optional)
            for number, item in enumerate(self._items(name, 'sections'))
        ]

    def text(
        self, name: str, pattern: re.Pattern[str] | None = None, longest: int = LONGEST_TEXT
    ) -> str:
        """Return a text that is not empty and matches all of a pattern."""
        value = self.entry(name).value
        if not isinstance(value, str) or not value.strip():
            raise self.wrong(name, f'is {self._show(name)} instead of text')
        if len(value) > longest:
            raise self.wrong(name, f'is longer than {longest} letters')
        if pattern is not None and not pattern.fullmatch(value):
            raise self.wrong(
                name, f'is {self._show(name)}, which is not of the form {pattern.pattern}'
            )
        return value

    def word(self, name: str) -> str:
        """Return the name of a label, an intent or the like."""
        value = self.entry(name).value
        if not isinstance(value, str) or not is_word(value):
            raise self.wrong(name, f'is {self._show(name)} instead of a word')
        return value

    def words(self, name: str, least: int = 0) -> tuple[str, ...]:
        """Return a list of so many words or more, none of them twice."""
        value = self.plain(name)
        if not isinstance(value, list) or not all(map(is_word, value)):
            raise self.wrong(
                name, f'is {self._show(name)} instead of a list of words such as [a, b]'
            )
        if len(set(value)) != len(value):
            raise self.wrong(name, 'names a word twice')
        if len(value) < least:
            found = ', '.join(value) or 'empty'
            raise self.wrong(name, f'is {found} but needs at least {least} of them')
        return tuple(value)

    def one_of(self, name: str, choices: Sequence[str]) -> str:
        """Return a text that is one of several."""
        value = self.entry(name).value
        if not isinstance(value, str) or value not in choices:
            hint = suggestion(value, choices) if isinstance(value, str) else ''
            hint = hint or f'; choose from {", ".join(choices)}'
            raise self.wrong(name, f'is {self._show(name)}, which is not known{hint}')
        return value

    def boolean(self, name: str) -> bool:
        """Return true or false."""
        value = self.entry(name).value
        if not isinstance(value, bool):
            raise self.wrong(name, f'is {self._show(name)} instead of true or false')
        return value

    def number(self, name: str, low: float = -math.inf, high: float = math.inf) -> float:
        """Return a finite number from low to high."""
        return self._number(self.entry(name), name, low, high)

    def numbers(
        self, name: str, count: int, low: float = -math.inf, high: float = math.inf
    ) -> tuple[float, ...]:
        """Return a list of so many finite numbers from low to high."""
        items = self._items(name, 'numbers')
        if len(items) != count:
            raise self.wrong(name, f'is {self._show(name)} instead of a list of {count} numbers')
        return tuple(self._number(item, name, low, high) for item in items)

    def seconds(self, name: str, high: float = 10.0) -> int:
        """Return a time in seconds, from 0 to high, as integer nanoseconds."""
        return round(self.number(name, 0.0, high) * 1e9)

    def integer(self, name: str, low: int = 0, high: int = 1 << 53) -> int:
        """Return a whole number from low to high."""
        value = self.entry(name).value
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.wrong(name, f'is {self._show(name)} instead of a whole number')
        if not low <= value <= high:
            raise self.wrong(
                name, f'is {self._show(name)} but must be a whole number from {low} to {high}'
            )
        return value

    def version(self, name: str, readable: int) -> None:
        """Refuse a file of another version than this release can read."""
        if self.integer(name) != readable:
            raise self.wrong(name, f'is {self._show(name)} but this release reads {readable}')

    def _number(self, entry: Entry, name: str, low: float, high: float) -> float:
        value = entry.value
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise self.wrong(name, f'is {self._show(name)} instead of a number')
        # Beyond, a whole number is too large for a float; and nan is in no range.
        if not (abs(value) < 1e300 and low <= value <= high):
            raise self.wrong(name, f'is {self._show(name)} but must be {_range(low, high)}')
        return float(value)

    def _items(self, name: str, what: str) -> list[Entry]:
        value = self.entry(name).value
        if not isinstance(value, list):
            raise self.wrong(name, f'is {self._show(name)} instead of a list of {what}')
        return value

    def _show(self, name: str) -> str:
        return self._values[name].show()


def is_word(value: Any) -> bool:
    """Return whether a value can be the name of a label or an intent."""
    return isinstance(value, str) and value.isidentifier() and len(value) <= LONGEST_NAME


def _range(low: float, high: float) -> str:
    """Return what a number must be in words."""
    if math.isinf(low) and math.isinf(high):
        return 'a finite number'
    if math.isinf(high):
        return f'{low:g} or more'
    if math.isinf(low):
        return f'{high:g} or less'
    return f'from {low:g} to {high:g}'


def load_yaml(path: Path | str, what: str) -> Section:
    """
    Open a person's YAML file; the result's names are not compared yet, see `Section.holding`.

    what: what the file is, for errors, for instance 'policy file'.

    Raises:
        KwsImuError: the file cannot be read, is too large, or is not strict YAML.

    """
    path, text = read_text(path, what)
    return read_yaml(text, f'The {what} {path}')


def read_text(path: Path | str, what: str) -> tuple[Path, str]:
    """
    Return a person's text file with its path, in which `~` is the person's home.

    Raises:
        KwsImuError: the file cannot be read, is too large, or is not UTF-8.

    """
    try:
        path = user_path(path)
        content = read_at_most(path, MOST_BYTES)
        if len(content) > MOST_BYTES:
            raise KwsImuError(f'The {what} {path} is too large to be one; give another file.')
        # Other systems' editors begin a file with a mark of its byte order.
        return path, content.decode('utf-8-sig')
    except (UnicodeDecodeError, OSError) as error:
        if isinstance(error, UnicodeDecodeError):
            problem = 'is not UTF-8 text; save it as that'
        else:
            problem = f'cannot be read ({error.strerror}); give the path of a file'
        raise KwsImuError(f'The {what} {path} {problem}.') from error


def read_yaml(text: str, source: str) -> Section:
    """
    Open the text of a person's YAML file; source names it in errors.

    Raises:
        KwsImuError: the text is not strict YAML, or holds no names with values.

    """
    name = Source(source)
    return Section(parse_yaml(text, name), (), name)


def read_json(text: str, source: str, remedy: str) -> Section:
    """
    Open the text of a JSON file; source names it in errors, and remedy ends them.

    Raises:
        KwsImuError: the text is not JSON, or holds no names with values.

    """
    name = Source(source, remedy)
    return Section(parse_json(text, name), (), name, text)
