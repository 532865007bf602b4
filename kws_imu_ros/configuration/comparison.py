"""Given parameters against declared ones: what was misspelt, misplaced or of the wrong type."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from kws_imu_ros.configuration.declaration import Declaration
from kws_imu_ros.configuration.given import Arguments, Given
from kws_imu_ros.configuration.names import MOST_NAMES, nearest
from kws_imu_ros.errors import KwsImuError

# What rclpy itself declares in every node.
EVERY_NODE_S = (
    Declaration('use_sim_time', False, 'Take the time of stamps from /clock.'),
    Declaration('start_type_description_service', True, 'Offer the service of types.'),
)
# More than for parameters: a file may well hold the nodes of other packages.
NODE_LIKENESS = 0.8
QOS_OVERRIDES = 'qos_overrides.'

Declarations = Mapping[str, Declaration]


def compare(
    arguments: Arguments,
    here: Sequence[str],
    kinds: Sequence[str],
    declarations_of: Callable[[str], Iterable[Declaration]],
) -> list[str]:
    """
    Compare what was given with what is declared; return warnings, one sentence each.

    A parameter near a declared one, one of another node, and a value of the wrong type or out of
    range are errors; so is the name of a node near one that there is. Anything else that nobody
    reads is a warning.

    Args:
        arguments: what was given.
        here: the nodes that somebody starts now.
        kinds: all nodes of the package.
        declarations_of: returns what a node declares; asked for others than `here` only when
            something is not known.

    Raises:
        KwsImuError: what was given must not be dropped in silence.

    """
    comparison = _Comparison(arguments, here, kinds, declarations_of)
    warnings = [warning for given in arguments.given if (warning := comparison.look(given))]
    return list(dict.fromkeys([*warnings, *comparison.namespaces()]))


class _Comparison:
    """One comparison; see `compare`."""

    def __init__(
        self,
        arguments: Arguments,
        here: Sequence[str],
        kinds: Sequence[str],
        declarations_of: Callable[[str], Iterable[Declaration]],
    ) -> None:
        self._arguments = arguments
        self._here = {arguments.base_name(node): node for node in here}
        self._kinds = kinds
        self._declarations_of = declarations_of
        self._cache: dict[str, Declarations] = {}

    def look(self, given: Given) -> str:
        """Return a warning about what was given, '' where it fits; raise where it must not be."""
        if given.name.startswith(QOS_OVERRIDES):
            return ''
        if not given.base:
            return self._look_at_all(given)
        kind = self._here.get(given.base)
        if kind is not None:
            return self._look_at(given, kind)
        if given.base in self._kinds:
            return ''  # It does not take part, or another process looks.
        return self._look_at_stranger(given)

    def namespaces(self) -> list[str]:
        """Return warnings about nodes here that are meant by name but in another namespace."""
        warnings = []
        for name, kind in self._here.items():
            full = self._arguments.full_name(kind)
            sources: dict[str, list[Given]] = {}
            for given in self._arguments.given:
                if given.base == name:
                    sources.setdefault(given.source, []).append(given)
            for items in sources.values():
                if not any(given.is_for(full) for given in items):
                    given = items[0]
                    section = '/'.join(given.node or ())
                    warnings.append(
                        f"{given.where()}: '{section}' is not the {name} node here, which is "
                        f"{full} and reads nothing of it; write '/**/{name}'."
                    )
        return warnings

    def _look_at(self, given: Given, kind: str) -> str:
        """Look at a parameter of a node that is here."""
        own = self._declared(kind)
        if given.name in own:
            complaint = own[given.name].complaint(given.value, given.written)
            if complaint:
                raise _wrong(given, f"'{given.name}' of {given.base} {complaint}")
            return ''
        for other in self._others(kind):
            if given.name in self._declared(other):
                raise _wrong(
                    given,
                    f"'{given.name}' is a parameter of {other}, not of {given.base}; move it to "
                    f"'/**/{other}'",
                )
        meant = _meant(given.name, own)
        if meant:
            raise _wrong(
                given,
                f"'{given.name}' is no parameter of {given.base}; did you mean '{meant}'",
            )
        for other in self._others(kind):
            meant = _meant(given.name, self._declared(other))
            if meant:
                raise _wrong(
                    given,
                    f"'{given.name}' is no parameter of {given.base}; did you mean '{meant}' of "
                    f"{other}, which belongs to '/**/{other}'",
                )
        return _nobody(given, given.base)

    def _look_at_all(self, given: Given) -> str:
        """Look at a parameter that is given to every node."""
        readers = [kind for kind in self._here.values() if given.name in self._declared(kind)]
        if readers:
            # Several may mean different things by a name; one that is wrong for all is wrong.
            complaints = [
                self._declared(kind)[given.name].complaint(given.value, given.written)
                for kind in readers
            ]
            if all(complaints):
                raise _wrong(given, f"'{given.name}' of {readers[0]} {complaints[0]}")
            return ''
        owners = [kind for kind in self._kinds if given.name in self._declared(kind)]
        if owners and given.node is not None:
            return ''  # A file for all nodes, of which some are in other processes.
        if owners:
            raise _wrong(
                given,
                f"'{given.name}' is a parameter of {' and '.join(owners)}, which is not here; "
                f'write {owners[0]}:{given.name}:=... where that is',
            )
        every = {name: kind for kind in self._kinds for name in self._declared(kind)}
        meant = _meant(given.name, every)
        if meant:
            raise _wrong(
                given,
                f"'{given.name}' is no parameter of any node; did you mean '{meant}' of "
                f'{every[meant]}',
            )
        return _nobody(given, 'any node')

    def _look_at_stranger(self, given: Given) -> str:
        """Look at a parameter of a node that nobody has."""
        names = [*self._here, *self._kinds]
        meant = nearest(given.base, names, NODE_LIKENESS)
        # imu0 and imu_node are what others call drivers of their own.
        plain = re.sub(r'_?\d+$|_?node$', '', given.base)
        if meant and plain not in names:
            raise _wrong(given, f"no node is called '{given.base}'; did you mean '{meant}'")
        section = [
            item
            for item in self._arguments.given
            if (item.source, item.node) == (given.source, given.node)
        ]
        if plain in names:
            kind = self._here.get(plain, plain)
            if all(item.name in self._declared(kind) for item in section):
                raise _wrong(given, f"no node is called '{given.base}'; did you mean '{plain}'")
        unread = ', '.join(item.name for item in section[:MOST_NAMES])
        return (
            f"{section[0].where()}: no node of this robot is called '{given.base}', so that none "
            f'reads {unread}; the nodes are {", ".join(dict.fromkeys(names))}.'
        )

    def _declared(self, kind: str) -> Declarations:
        if kind not in self._cache:
            declared = (*EVERY_NODE_S, *self._declarations_of(kind))
            self._cache[kind] = {declaration.name: declaration for declaration in declared}
        return self._cache[kind]

    def _others(self, kind: str) -> list[str]:
        return [other for other in self._kinds if other != kind]


def _meant(name: str, declared: Iterable[str]) -> str:
    """Return the declared parameter that a name is a slip of, '' if it is of none."""
    declared = list(declared)
    found = nearest(name, declared)
    if found:
        return found
    # A group that was left out, as in max_velocity for limits.linear.max_velocity.
    parts = name.split('.')
    for candidate in declared:
        pieces = candidate.split('.')
        if len(pieces) > 1 and pieces[-1] == parts[-1]:
            return candidate
    return ''


def _nobody(given: Given, whose: str) -> str:
    return f"{given.where()}: nobody reads '{given.name}', which is no parameter of {whose}."


def _wrong(given: Given, problem: str) -> KwsImuError:
    return KwsImuError(f'{given.where()}: {problem}.')
