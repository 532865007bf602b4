"""
The parameters that somebody gave: in ROS parameter files, and after ``-p`` on a command line.

rcl keeps no record of files and lines, drops what no node declares, and lets a value of the wrong
type lose against one of the right type from another file, all in silence. So they are read here a
second time, with rcl's rules for types, and compared with what the nodes declare.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kws_imu_ros.configuration.document import Entry, Source, parse_yaml
from kws_imu_ros.configuration.names import nearest
from kws_imu_ros.configuration.section import read_text

PARAMETERS = 'ros__parameters'
ANY_NODE = ('**', '*')

# rcl_yaml_param_parser/src/parse.c: get_value.
_TRUE = {'Y', 'y', 'yes', 'Yes', 'YES', 'true', 'True', 'TRUE', 'on', 'On', 'ON'}
_FALSE = {'N', 'n', 'no', 'No', 'NO', 'false', 'False', 'FALSE', 'off', 'Off', 'OFF'}
_INTEGER = re.compile(r'([-+]?)(0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)')
_HEXADECIMAL = re.compile(r'[-+]?0[xX]')
_SPECIAL = re.compile(r'^([-+]?)\.(inf|Inf|INF|nan|NaN|NAN)$')
MOST_DIGITS = 40


@dataclass(frozen=True)
class Given:
    """
    A parameter that somebody gave.

    source: the file or argument, for errors. line: in the file, 0 where there is none. node: the
    names that lead to the node, such as ('**', 'command'), None for every node of the process.
    name: of the parameter. value: as ROS takes it. written: as the person wrote it.
    """

    source: str
    line: int
    node: tuple[str, ...] | None
    name: str
    value: Any
    written: str

    @property
    def base(self) -> str:
        """Return the name of the node, '' where it is for any."""
        return '' if self.node is None or self.node[-1] in ANY_NODE else self.node[-1]

    def where(self) -> str:
        """Return where it was given, for an error."""
        return f'{self.source}, line {self.line}' if self.line else self.source

    def is_for(self, full_name: str) -> bool:
        """Return whether a node, by its full name such as /robot1/command, is meant."""
        if self.node is None:
            return True
        pattern = ''.join(
            {'**': '(/[^/]+)*', '*': '/[^/]+'}.get(part, f'/{re.escape(part)}')
            for part in self.node
        )
        return re.fullmatch(pattern, full_name) is not None


@dataclass(frozen=True)
class Arguments:
    """
    What follows --ros-args on a command line.

    given: all parameters, in the order in which they win. names: node name by the one that it has
    without a remapping, '' for all nodes of the process. namespaces: the same for namespaces.
    """

    given: tuple[Given, ...]
    names: dict[str, str]
    namespaces: dict[str, str]

    def full_name(self, node: str) -> str:
        """Return the full name that a node will have."""
        namespace = self.namespaces.get(node, self.namespaces.get('', ''))
        return f'/{namespace}/{self.base_name(node)}'.replace('//', '/').replace('//', '/')

    def base_name(self, node: str) -> str:
        """Return the name, without namespace, that a node will have."""
        return self.names.get(node, self.names.get('', node))


def read_arguments(arguments: Sequence[str], namespace: str = '') -> Arguments:
    """
    Return what a command line gives, with the parameter files that it names.

    Args:
        arguments: the command line.
        namespace: of the nodes where the command line says no other.

    Raises:
        KwsImuError: a file cannot be read, or is no file of ROS parameters.

    """
    in_files: list[Given] = []
    single: list[Given] = []
    remapped: dict[str, dict[str, str]] = {'__node': {}, '__ns': {'': namespace}}
    for option, value in _ros_options(arguments):
        if option == '--params-file':
            in_files += read_parameters_file(value)
        elif option in ('-p', '--param'):
            single += _single(value)
        elif option in ('-r', '--remap'):
            left, _, right = value.partition(':=')
            node, _, rule = left.rpartition(':')
            rule = {'__name': '__node'}.get(rule, rule)
            if rule in remapped:
                remapped[rule][node] = right
    # rcl: a single parameter wins over any file.
    return Arguments((*in_files, *single), remapped['__node'], remapped['__ns'])


def _ros_options(arguments: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield the options between --ros-args and -- with their values."""
    inside = False
    rest = iter(arguments)
    for argument in rest:
        if argument in ('--ros-args', '--'):
            inside = argument == '--ros-args'
        elif inside and argument in ('--params-file', '-p', '--param', '-r', '--remap'):
            yield argument, next(rest, '')


def _single(text: str) -> Iterator[Given]:
    """Yield the parameter of NODE:NAME:=VALUE; what is none is ROS's to refuse."""
    left, found, value = text.partition(':=')
    if not found:
        return
    node, _, name = left.rpartition(':')
    source = f'The argument -p {text}'
    entry = parse_yaml(value, Source(source, '; correct it.'))
    tokens = tuple(filter(None, node.split('/'))) or None
    yield from _flat(source, tokens, name, Entry(entry.value, 0, entry.written, entry.quoted))


def read_parameters_file(path: Path | str) -> list[Given]:
    """
    Return the parameters in a file.

    Raises:
        KwsImuError: it cannot be read, or is no file of ROS parameters.

    """
    found, text = read_text(path, 'parameters file')
    source = Source(f'The parameters file {found}')
    entry = parse_yaml(text, source)
    if entry.value is None:
        return []
    return list(_nodes(entry, (), source))


def _nodes(entry: Entry, node: tuple[str, ...], source: Source) -> Iterator[Given]:
    """Yield the parameters of all nodes below a name."""
    if not isinstance(entry.value, dict):
        raise source.wrong(
            entry.line,
            f"{entry.show()} is where a node's name with '{PARAMETERS}:' below it must be",
        )
    for name, inner in entry.value.items():
        if name == PARAMETERS and not node:
            raise source.wrong(
                inner.line, f"'{PARAMETERS}' is not below a node's name such as '/**/command:'"
            )
        if name == PARAMETERS:
            if inner.value is not None and not isinstance(inner.value, dict):
                raise source.wrong(inner.line, f"'{PARAMETERS}' is {inner.show()}; give names")
            for parameter, value in (inner.value or {}).items():
                yield from _flat(source.name, node, parameter, value)
            continue
        if nearest(name, [PARAMETERS]):
            raise source.wrong(
                inner.line, f"'{name}' is not known; did you mean '{PARAMETERS}', with two _"
            )
        if not isinstance(inner.value, dict):
            raise source.wrong(
                inner.line, f"'{name}' is not below '{PARAMETERS}:', so that no node reads it"
            )
        yield from _nodes(inner, (*node, *filter(None, name.split('/'))), source)


def _flat(source: str, node: tuple[str, ...] | None, name: str, entry: Entry) -> Iterator[Given]:
    """Yield a parameter, or those of a group: `limits: {linear: ...}` is limits.linear."""
    if isinstance(entry.value, dict):
        for inner, value in entry.value.items():
            yield from _flat(source, node, f'{name}.{inner}', value)
    else:
        yield Given(source, entry.line, node, name, _as_ros(entry), entry.written or entry.show())


def _as_ros(entry: Entry) -> Any:
    """Return a value as rcl takes it."""
    if isinstance(entry.value, list):
        return [_as_ros(item) for item in entry.value]
    text = entry.written
    if entry.quoted:
        return text
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    integer = _INTEGER.fullmatch(text)
    if integer and len(text) < MOST_DIGITS:
        sign, digits = integer.groups()
        base = 16 if digits[:2] in ('0x', '0X') else 8 if digits.startswith('0') else 10
        value = int(sign + digits, base)
        if -(1 << 63) <= value < 1 << 63:
            return value
    number = _number(text)
    return text if number is None else number


def _number(text: str) -> float | None:
    """Return what C's strtod makes of a text, None where it is no number or too large for one."""
    if '_' in text:
        return None
    try:
        if _HEXADECIMAL.match(text):
            return float.fromhex(text)
        number = float(_SPECIAL.sub(r'\1\2', text))
    except (ValueError, OverflowError):
        return None
    too_large = math.isinf(number) and 'inf' not in text.lower()
    return None if too_large else number
