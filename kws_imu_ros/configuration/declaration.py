"""What a parameter of a node may be, and what to write instead of a value that it may not be."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

TRUE_WORDS = ('true', 'yes', 'y', 'on', '1', '1.0')
FALSE_WORDS = ('false', 'no', 'n', 'off', '0', '0.0')


@dataclass(frozen=True)
class Declaration:
    """
    A parameter of a node.

    default: its value where nobody says otherwise; its type is the parameter's. description: one
    sentence with the unit. minimum, maximum: range of a number, both or neither. read_only: it
    shapes the node and cannot change while that runs. default_from: the file that the default comes
    from at run time, where it is not the one above.
    """

    name: str
    default: Any
    description: str
    minimum: float | None = None
    maximum: float | None = None
    read_only: bool = True
    default_from: str = ''

    @property
    def kind(self) -> str:
        """Return what its values are, in words."""
        if isinstance(self.default, (list, tuple)):
            return 'a list of texts'
        if isinstance(self.default, bool):
            return 'true or false'
        if isinstance(self.default, int):
            return 'a whole number'
        if isinstance(self.default, float):
            return 'a number with a decimal point'
        return 'text'

    def complaint(self, value: Any, written: str) -> str:
        """
        Return what is wrong with a value and what to write, '' where nothing is.

        value: as ROS takes it. written: as it stands in the file.
        """
        if not self._fits(value):
            advice = self._advice(value, written)
            return f'is {_describe(value, written)} but must be {self.kind}; {advice}'
        if isinstance(value, (int, float)) and not self._in_range(value):
            return f'is {written} but must be from {self.minimum:g} to {self.maximum:g}'
        return ''

    def _fits(self, value: Any) -> bool:
        """Return whether ROS takes a value for this parameter: the types must be the same."""
        if isinstance(self.default, (list, tuple)):
            return isinstance(value, list) and all(isinstance(item, str) for item in value)
        return type(value) is type(self.default)

    def _advice(self, value: Any, written: str) -> str:
        """Return what to write instead of a value of another type."""
        if isinstance(self.default, (list, tuple)):
            items = [str(item) for item in value] if isinstance(value, list) else [written]
            return f'write {items}'
        if isinstance(self.default, bool):
            word = str(value).strip().lower()
            if word in TRUE_WORDS or word in FALSE_WORDS:
                return f'write {str(word in TRUE_WORDS).lower()}'
            return 'write true or false'
        if isinstance(self.default, str):
            return 'write one text' if isinstance(value, list) else f"write '{written}'"
        number = _number(value)
        if isinstance(self.default, int) and math.isfinite(number):
            number = round(number)
        if not math.isfinite(number) or not self._in_range(number):
            return f'write one such as {self.default!r}'
        return f'write {number!r}'

    def _in_range(self, value: float) -> bool:
        """Return whether a number is in the range, where there is one; nan is in none."""
        if self.minimum is None or self.maximum is None:
            return True
        return self.minimum <= value <= self.maximum


def _number(value: Any) -> float:
    """Return the number that was probably meant, nan for none."""
    text = str(value).strip().lower()
    try:
        return float(int(text, 0)) if text.startswith('0x') else float(text)
    except (ValueError, OverflowError):
        return math.nan


def _describe(value: Any, written: str) -> str:
    """Return a value of the wrong type with what it is."""
    if isinstance(value, str):
        return f"'{value}', which is text,"
    if isinstance(value, bool):
        return f'{written}, which is true or false,'
    if isinstance(value, list):
        return 'a list'
    return written
