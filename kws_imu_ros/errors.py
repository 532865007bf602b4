"""The one exception that a user's mistake or a broken outside world raises."""

from __future__ import annotations

import errno
import os

# These name no file, since they are met while writing to one that is open.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class KwsImuError(Exception):
    """
    A problem that the user can act on.

    The message is one clear sentence that says what is wrong, where, and what to do. Command lines
    and nodes print it without a traceback and exit non-zero; no robot moves after it.
    """


def as_user_error(error: BaseException) -> KwsImuError | None:
    """
    Return the sentence for what a file, a disk or a name did to Python; None for a bug.

    The last net below the readers, who know better what they read: a file that the system refuses
    is the user's to mend, whichever of us met it.
    """
    if isinstance(error, KwsImuError):
        return error
    if isinstance(error, OSError):
        reason = (error.strerror or type(error).__name__).lower()
        if error.filename is not None:
            names = [printable(name) for name in (error.filename, error.filename2) if name]
            return KwsImuError(
                f'{" and ".join(names) or "An empty path"} cannot be used ({reason}); correct the '
                'path or its permissions.'
            )
        if error.errno in _FULL:
            return KwsImuError(f'What is to be written does not fit ({reason}); free some space.')
        if error.errno == errno.EIO:
            return KwsImuError(
                f'A file or device failed in use ({reason}); check the disk and the path.'
            )
        return None
    if isinstance(error, UnicodeEncodeError):
        return KwsImuError(
            f'The name {printable(error.object[max(0, error.start - 60) : error.end + 20])} is not '
            'UTF-8 and cannot be written; rename what has it.'
        )
    if isinstance(error, UnicodeDecodeError):
        return KwsImuError(
            f'A file that should be text is not UTF-8 (byte {error.object[error.start]:#04x} at '
            f'{error.start}, after {printable(error.object[: error.start][-30:])!r}); save it as '
            'UTF-8.'
        )
    return None


def printable(name: object) -> str:
    """Return a path or a text of the outside for a sentence: what cannot be printed, escaped."""
    text = os.fsdecode(name) if isinstance(name, bytes | os.PathLike) else str(name)
    text = ''.join(c if c.isprintable() else c.encode('unicode_escape').decode() for c in text)
    text = text.encode('utf-8', 'backslashreplace').decode('utf-8')
    # A name of thousands of characters hides the sentence that it is in.
    return text if len(text) <= 300 else f'{text[:120]} ... {text[-60:]}'
