"""One rule for recordings that cannot be read, whatever they are recordings of."""

from __future__ import annotations

import sys
from collections.abc import Collection

from kws_imu_ros.errors import KwsImuError


def leave_out(problems: Collection[str], total: int, subject: str) -> None:
    """
    Name recordings that are left out on stderr, or refuse to go on without so many.

    One bad file among thousands must not cost an hour of training. problems: a sentence for each.
    total: recordings, the unreadable ones included. subject: of the refusal.

    Raises:
        KwsImuError: more than one recording in twenty cannot be read.

    """
    if len(problems) * 20 > total:
        raise KwsImuError(f'{subject} cannot be read; the first: {next(iter(problems))}')
    for problem in problems:
        print(f'left out: {problem}', file=sys.stderr)
