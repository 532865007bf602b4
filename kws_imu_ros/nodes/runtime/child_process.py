"""
Processes that end with the one that started them, however that ends.

The parent holds the write end of a pipe that is the child's standard input. When the parent is
gone, killed even, the child reads the pipe's end and ends itself in order, with its last words.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from typing import Any

# Set in a child's environment: for how many s it outlives its parent.
_VARIABLE = 'KWS_IMU_OUTLIVES_PARENT_S'
# For last words; what is stuck after that ends without.
_PATIENCE_S = 5.0


def start_child(
    command: Sequence[str], outlives_s: float = 0.0, **kwargs: Any
) -> subprocess.Popen[bytes]:
    """
    Start one of the package's executables, which ends when this process does.

    outlives_s: how long it then goes on, so that a robot stands before it loses its base. kwargs:
    for subprocess.Popen.
    """
    environment = dict(kwargs.pop('env', None) or os.environ, **{_VARIABLE: f'{outlives_s:g}'})
    return subprocess.Popen(command, stdin=subprocess.PIPE, env=environment, **kwargs)


def end_with_parent() -> bool:
    """Watch the parent from now on; return whether `start_child` has started this process."""
    outlives = os.environ.pop(_VARIABLE, '')
    if outlives:
        threading.Thread(target=_watch, args=(float(outlives),), name='parent', daemon=True).start()
    return bool(outlives)


def _watch(outlives_s: float) -> None:
    while os.read(sys.__stdin__.fileno() if sys.__stdin__ else 0, 1024):
        pass
    time.sleep(outlives_s)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_PATIENCE_S)
    os._exit(1)
