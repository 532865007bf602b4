"""Read text files of data folders, whatever program wrote them."""

from __future__ import annotations

import codecs
import gzip
from pathlib import Path

_GZIP = b'\x1f\x8b'
_MARKS = (
    (codecs.BOM_UTF8, 'utf-8-sig'),
    (codecs.BOM_UTF32_LE, 'utf-32'),
    (codecs.BOM_UTF32_BE, 'utf-32'),
    (codecs.BOM_UTF16_LE, 'utf-16'),
    (codecs.BOM_UTF16_BE, 'utf-16'),
)


def read_text(path: Path) -> str:
    """
    Return the text of a file, unpacked where it is gzipped, whatever its name.

    A byte-order mark decides the encoding; without one it is UTF-8, or Latin-1 where it cannot be.

    Raises:
        OSError, EOFError: the file cannot be read or unpacked.

    """
    content = path.read_bytes()
    return decode_text(gzip.decompress(content) if content.startswith(_GZIP) else content)


def decode_text(content: bytes) -> str:
    """Return bytes as text; see `read_text`."""
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return content.decode(encoding, 'replace')
    try:
        return content.decode('utf-8')
    except UnicodeDecodeError:
        return content.decode('latin-1')
