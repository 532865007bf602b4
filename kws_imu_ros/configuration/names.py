"""The name that somebody probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

# Share of letters in common from which one name is taken for a slip of another.
LIKENESS = 0.75
# A list that is longer than this helps nobody.
MOST_NAMES = 12


def nearest(name: str, known: Iterable[str], likeness: float = LIKENESS) -> str:
    """Return the one of `known` that `name` is most likely a slip of, '' if it is none."""
    plain = {_plain(candidate): candidate for candidate in known}
    found = difflib.get_close_matches(_plain(name), plain, 1, likeness)
    return plain[found[0]] if found else ''


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return the end of a sentence about an unknown name: what was meant, or what there is."""
    known = list(known)
    meant = nearest(name, known)
    if meant:
        return f"; did you mean '{meant}'"
    if not known:
        return ''
    more = ' and others' if len(known) > MOST_NAMES else ''
    return f'; known are {", ".join(known[:MOST_NAMES])}{more}'


def _plain(name: str) -> str:
    """Return a name without what people vary: case, and how words are joined."""
    return name.casefold().replace('-', '_').replace(' ', '_')
