"""The folder in which training keeps its stages and checkpoints."""

from __future__ import annotations

import fcntl
from pathlib import Path
from typing import TextIO

from kws_imu_ros.errors import KwsImuError


def hold(work: Path) -> TextIO:
    """
    Make the folder and keep it until the file is closed; the kernel frees it if we die.

    Raises:
        KwsImuError: another process holds it, whose checkpoints we would write over, or it cannot
            be made.

    """
    try:
        work.mkdir(parents=True, exist_ok=True)
        lock = (work / 'lock').open('w')
    except OSError as error:
        raise KwsImuError(f'Work folder {work} cannot be made: {error.strerror}.') from None
    try:
        fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise KwsImuError(
            f'Another run trains in {work}; wait for its end or give this one another --work.'
        ) from None
    return lock
