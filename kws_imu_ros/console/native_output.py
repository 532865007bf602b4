"""Silence what native libraries write to standard error."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def silenced() -> Iterator[None]:
    """
    Discard what native code writes to standard error in the body.

    TensorFlow and LiteRT announce themselves, their delegates and every conversion there, before
    any switch of theirs is read; a user's own result would drown. Only start-up and conversion run
    in here, so that no later warning of another thread is lost. Python exceptions pass as they are.
    """
    try:
        sys.stderr.flush()
        kept = os.dup(2)
    except (AttributeError, OSError, ValueError):
        yield  # No standard error to silence.
        return
    null = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(null)
