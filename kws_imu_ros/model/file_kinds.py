"""What a file is that stands where a model should, told by its content."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from kws_imu_ros.errors import KwsImuError, printable
from kws_imu_ros.resources import read_at_most

TFLITE_MARK = b'TFL3'
# As much as a byte-order mark and a comment may put before a page's first tag.
_HEAD_BYTES = 512


@dataclass(frozen=True)
class Stranger:
    """What a file is instead of what it should be, and what to do about it."""

    what: str
    advice: str


_BY_FIRST_BYTES = (
    (b'PK\x03\x04', Stranger('a ZIP archive', 'unpack it; a .keras file must be converted')),
    (b'\x1f\x8b', Stranger('packed with gzip', 'unpack it with gunzip')),
    (b'\x89HDF', Stranger('an HDF5 file, as Keras saves weights', 'convert it to TensorFlow Lite')),
    (b'/annex/objects/', Stranger('a git-annex pointer', 'run `git annex get` where it lies')),
)


def is_tflite(data: bytes) -> bool:
    """Return whether a file's first bytes are those of a TensorFlow Lite model."""
    return data[4:8] == TFLITE_MARK


def recognize(data: bytes) -> Stranger | None:
    """Return what a file's bytes are where that is known and no file of a bundle."""
    if not data:
        return Stranger('empty', 'copy or download it again')
    head = data[:_HEAD_BYTES].lstrip(b'\xef\xbb\xbf \t\r\n')
    if head.startswith(b'version https://git-lfs.github.com/spec/'):
        size = re.search(rb'^size (\d+)$', head, re.MULTILINE)
        of = f' for a file of {int(size[1]):,} bytes' if size else ''
        return Stranger(
            f'a Git LFS pointer{of}, not the file itself', 'run `git lfs pull` where it was cloned'
        )
    if re.match(rb'(<\?xml.*?>\s*|<!--.*?-->\s*)*<(!doctype\s+html|html)\b', head, re.I | re.S):
        return Stranger('an HTML page', 'download the file itself, not the page that shows it')
    return next((kind for mark, kind in _BY_FIRST_BYTES if head.startswith(mark)), None)


def refuse_stranger(data: bytes, source: str) -> None:
    """
    Refuse bytes that are known to be something else than a file of a bundle.

    Raises:
        KwsImuError: they are; `source` names the file in the sentence.

    """
    stranger = recognize(data)
    if stranger is not None:
        raise KwsImuError(f'{source} is {stranger.what}; {stranger.advice}.')


def read_file(path: Path, maximum: int, advice: str) -> bytes:
    """
    Return the bytes of a file that is neither huge nor known to be something else.

    Raises:
        KwsImuError: it is, or it cannot be read; then `advice` says what to give.

    """
    name = printable(path)
    try:
        data = read_at_most(path, maximum)
        if len(data) > maximum:
            raise KwsImuError(
                f'{name} is larger than {maximum:,} bytes, which no model needs; fetch it again.'
            )
    except OSError as error:
        raise KwsImuError(f'{name} cannot be read ({error.strerror}); {advice}.') from error
    refuse_stranger(data, name)
    return data
