"""YAML and JSON text as a tree of values that know their line."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

import yaml

from kws_imu_ros.errors import KwsImuError

# Deeper or larger than any file of ours; a hostile or broken one ends here and not in the memory.
DEEPEST = 20
MOST_VALUES = 50_000
LONGEST_SHOWN = 60

_PREFIX = 'tag:yaml.org,2002:'
# What a plain scalar is, by the core schema of YAML 1.2; anything else is text. There is no base 60
# (`1:30`), no date, and no truth in `yes`, `no`, `on` and `off`.
_KINDS = {
    'null': re.compile(r'(~|null|Null|NULL)?\Z'),
    'bool': re.compile(r'(true|True|TRUE|false|False|FALSE)\Z'),
    'int': re.compile(r'([-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)\Z'),
    'float': re.compile(
        r'([-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?'
        r'|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))\Z'
    ),
}

_JSON_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}:]')


@dataclass(frozen=True)
class Entry:
    """
    A value of a file.

    value: None, bool, int, float, str, a list of entries or a dict of entries by name. line: from
    1; of the name for a named value; 0 where it is unknown. written: a plain value as it stands in
    the file, without quotes. quoted: whether it stands in quotes, as a block of
    text, or has the tag !!str.
    """

    value: Any
    line: int = 0
    written: str = ''
    quoted: bool = False

    def plain(self) -> Any:
        """Return the value as plain lists, dicts and scalars."""
        if isinstance(self.value, dict):
            return {name: entry.plain() for name, entry in self.value.items()}
        if isinstance(self.value, list):
            return [entry.plain() for entry in self.value]
        return self.value

    def show(self) -> str:
        """Return the value for an error message, as the person wrote it and cut short."""
        if self.value is None:
            return 'empty'
        numeric = isinstance(self.value, (bool, int, float))
        text = self.written if numeric else repr(self.plain())
        return text if len(text) <= LONGEST_SHOWN else f'{text[: LONGEST_SHOWN - 3]}...'


@dataclass(frozen=True)
class Source:
    """
    What errors say of a file.

    name: the file, or what it is and the file. remedy: the end of each sentence.
    """

    name: str
    remedy: str = '; correct it there.'

    def wrong(self, line: int, problem: str) -> KwsImuError:
        """Return the error for a line, 0 for none."""
        where = f'{self.name}, line {line}' if line else self.name
        return KwsImuError(f'{where}: {" ".join(problem.split())}{self.remedy}')


def parse_yaml(text: str, source: Source) -> Entry:
    """
    Return the tree of a YAML text.

    Raises:
        KwsImuError: the text is not YAML, a name is there twice, or it is too deep or too large.

    """
    try:
        node = yaml.compose(text, Loader=_Loader)
        if node is None:
            return Entry(None)
        return _Builder(source).entry(node, node.start_mark.line + 1, ())
    # What the scanner raises for odd characters is no YAMLError.
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, 'problem_mark', None) or getattr(error, 'context_mark', None)
        problem = getattr(error, 'problem', None) or str(error)
        if isinstance(error, RecursionError):
            problem = 'brackets lie in each other too deep'
        raise source.wrong(
            mark.line + 1 if mark is not None else 0,
            f'this is not valid YAML ({" ".join(problem.split())[:100]})',
        ) from error


def parse_json(text: str, source: Source) -> Entry:
    """
    Return the tree of a JSON text; its entries know no line, see `line_in_json`.

    Raises:
        KwsImuError: the text is not JSON, or a name is there twice.

    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(pairs)
        if len(result) != len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise ValueError(f"'{twice}' is there twice")
        return result

    try:
        return _wrap(json.loads(text, object_pairs_hook=unique))
    except (ValueError, RecursionError) as error:
        line = getattr(error, 'lineno', 0)
        raise source.wrong(line, f'this is not JSON ({str(error)[:80]})') from error


def line_in_json(text: str, path: tuple[str, ...]) -> int:
    """Return the line of a field of a JSON text, or of the nearest one that it would lie in."""
    here: list[str] = []  # The names that lead to where the scan is.
    text_before = ''
    line = deepest = 0
    for token in _JSON_TOKEN.finditer(text):
        mark = token.group()
        if mark == '{':
            here.append('')
        elif mark == '}':
            here = here[:-1]
        elif mark == ':' and here:
            here[-1] = text_before
            depth = len(here)
            if depth > deepest and tuple(here) == path[:depth]:
                line, deepest = text.count('\n', 0, token.start()) + 1, depth
        text_before = mark[1:-1]
    return line


def _wrap(value: Any) -> Entry:
    """Return a value of Python as an entry without a line."""
    if isinstance(value, dict):
        return Entry({name: _wrap(inner) for name, inner in value.items()})
    if isinstance(value, list):
        return Entry([_wrap(inner) for inner in value])
    return Entry(value, written=value if isinstance(value, str) else json.dumps(value))


class _Loader(yaml.SafeLoader):
    """PyYAML's parser with the kinds of scalars above."""

    yaml_implicit_resolvers = {
        None: [(f'{_PREFIX}{kind}', pattern) for kind, pattern in _KINDS.items()],
        '<': [(f'{_PREFIX}merge', re.compile(r'<<\Z'))],
    }


class _Builder:
    """Makes entries of PyYAML's nodes."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._count = 0

    def entry(self, node: yaml.Node, line: int, above: tuple[yaml.Node, ...]) -> Entry:
        """Return the entry of a node; above: the nodes that it lies in."""
        self._count += 1
        if node in above:
            self._refuse(line, 'a value lies in itself')
        if len(above) > DEEPEST:
            self._refuse(line, f'sections lie in each other more than {DEEPEST} deep')
        # An anchor of lists of anchors multiplies; the text itself may be short.
        if self._count > MOST_VALUES:
            self._refuse(line, f'this holds more than {MOST_VALUES} values')
        inside = (*above, node)
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, line)
        self._check_tag(node, 'seq' if isinstance(node, yaml.SequenceNode) else 'map', line)
        if isinstance(node, yaml.SequenceNode):
            return Entry(
                [self.entry(item, item.start_mark.line + 1, inside) for item in node.value], line
            )
        return Entry(self._mapping(node, inside), line)

    def _mapping(self, node: yaml.Node, inside: tuple[yaml.Node, ...]) -> dict[str, Entry]:
        values: dict[str, Entry] = {}
        merged: dict[str, Entry] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if key.tag == f'{_PREFIX}merge':
                for earlier in self._merged(value, line, inside):
                    merged = {**earlier, **merged}
                continue
            name = self._name(key, line, inside)
            if name in values:
                self._refuse(line, f"'{name}' is there twice; line {values[name].line} has it too")
            values[name] = self.entry(value, line, inside)
        return {**merged, **values} if merged else values

    def _merged(
        self, node: yaml.Node, line: int, inside: tuple[yaml.Node, ...]
    ) -> Iterator[dict[str, Entry]]:
        """Yield what `<<:` merges: a mapping, or several of which the first wins."""
        entry = self.entry(node, line, inside)
        for item in entry.value if isinstance(entry.value, list) else [entry]:
            if not isinstance(item.value, dict):
                self._refuse(line, f"'<<' is {item.show()} instead of a section")
            yield item.value

    def _name(self, key: yaml.Node, line: int, inside: tuple[yaml.Node, ...]) -> str:
        """Return the name of a value, which is a text."""
        entry = self.entry(key, line, inside)
        if not isinstance(entry.value, str) or not entry.value:
            self._refuse(line, f'{entry.show()} cannot be a name; put it in quotes if it is a word')
        return entry.value

    def _scalar(self, node: yaml.ScalarNode, line: int) -> Entry:
        text, quoted = node.value, node.style is not None
        kind = node.tag.removeprefix(_PREFIX)
        pattern = _KINDS.get(kind)
        if kind != 'str' and (pattern is None or not pattern.match(text)):
            self._refuse(line, f'{text[:20]!r} has the tag {kind[:20]}, which it is not')
        if kind == 'str' and any(pattern.match(text) for pattern in _KINDS.values()):
            quoted = True  # By its tag.
        return Entry(_value(kind, text), line, text, quoted)

    def _check_tag(self, node: yaml.Node, kind: str, line: int) -> None:
        if node.tag != _PREFIX + kind:
            tag = node.tag.replace(_PREFIX, '!!')
            self._refuse(line, f'the tag {tag} is not allowed here')

    def _refuse(self, line: int, problem: str) -> NoReturn:
        raise self._source.wrong(line, f'this is not valid YAML ({problem})')


def _value(kind: str, text: str) -> Any:
    """Return a scalar, which is of a kind, as a value of Python."""
    if kind == 'null':
        return None
    if kind == 'bool':
        return text.lower() == 'true'
    if kind == 'int':
        # Not more digits than a number has; Python itself refuses thousands.
        return int(text, 0 if text[:2] in ('0o', '0x') else 10) if len(text) <= 400 else math.inf
    if kind == 'float':
        return float(text.lower().replace('.inf', 'inf').replace('.nan', 'nan'))
    return text
