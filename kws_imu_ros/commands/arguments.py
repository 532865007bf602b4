"""What the command lines of all verbs share: how a path and a number are read."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kws_imu_ros.errors import KwsImuError, printable
from kws_imu_ros.resources import user_path


class Parser(argparse.ArgumentParser):
    """
    A parser whose paths and numbers are checked for every verb alike.

    A verb says `type=Path`, `type=float` or `type=int`, as ever; what these mean stands here.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Make the parser; see argparse.ArgumentParser."""
        super().__init__(*args, **kwargs)
        self.register('type', Path, _refusing(user_path))
        self.register('type', float, _refusing(finite_number))
        self.register('type', int, _refusing(whole_number))

    def error(self, message: str) -> Any:
        """Say what is wrong, in characters that any terminal has, and exit with status 2."""
        super().error(printable(message))


def finite_number(text: str) -> float:
    """
    Return a number.

    Raises:
        KwsImuError: it is none, or infinite.

    """
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise KwsImuError(f'{printable(text)!r} is not a number')
    return number


def whole_number(text: str) -> int:
    """
    Return a whole number that fits into 32 bits, as sizes, counts and seeds here all do.

    Raises:
        KwsImuError: it is none.

    """
    try:
        number = int(text)
    except ValueError as error:
        raise KwsImuError(f'{printable(text)!r} is not a whole number') from error
    if not -(2**31) <= number < 2**31:
        raise KwsImuError(f'{printable(text)} is too large')
    return number


def _refusing(convert: Callable[[str], Any]) -> Callable[[str], Any]:
    """Return a converter whose sentence argparse puts beside the name of the option."""

    def convert_argument(text: str) -> Any:
        try:
            return convert(text)
        except KwsImuError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return convert_argument
