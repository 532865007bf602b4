"""Files: those that the package brings, paths that people give, and writing whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from kws_imu_ros.errors import KwsImuError, printable

PACKAGE = 'kws_imu_ros'


def share_directory() -> Path:
    """
    Return the folder that holds config/, models/, launch/ and demo/.

    A colcon or apt install is found through AMENT_PREFIX_PATH, a pip install through the
    interpreter's prefix, a source tree beside the package; the source tree wins so that what a
    teacher edits is what runs.

    Raises:
        KwsImuError: the package's files are nowhere to be found.

    """
    candidates = [Path(__file__).resolve().parent.parent]
    for prefix in os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep):
        if prefix:
            candidates.append(Path(prefix) / 'share' / PACKAGE)
    candidates.append(Path(sys.prefix) / 'share' / PACKAGE)
    for candidate in candidates:
        if (candidate / 'config').is_dir() and (candidate / 'package.xml').is_file():
            return candidate
    raise KwsImuError(
        f'The installed files of {PACKAGE} (config, models, demo) were not found in '
        f'{", ".join(map(str, candidates))}; install the package again or source its workspace.'
    )


def share_path(*parts: str) -> Path:
    """
    Return a path inside the share directory.

    Raises:
        KwsImuError: the package's files are nowhere to be found, or this one is missing.

    """
    path = share_directory().joinpath(*parts)
    if not path.exists():
        raise KwsImuError(
            f'{path} is missing; install the package again or give the path yourself.'
        )
    return path


def user_path(text: str | os.PathLike[str]) -> Path:
    """
    Return a path that a person gave, in a command line, a parameter or a file, with `~` expanded.

    Whether there is anything at the path is left to whoever reads or writes it.

    Raises:
        KwsImuError: it is empty, names the home of a user who is not there, or is no path at all.

    """
    given = os.fspath(text)
    if not given.strip():
        raise KwsImuError('An empty path was given where a file or folder must be named.')
    if '\0' in given:
        raise KwsImuError(f'{printable(given)!r} is no path: it holds a zero byte.')
    try:
        path = Path(given).expanduser()
        os.lstat(path)
    except RuntimeError as error:
        raise KwsImuError(
            f'{printable(given)} begins with the home folder of a user whom this machine does not '
            'know; write the path without `~`.'
        ) from error
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise KwsImuError(
                f'{printable(given)} is no path: it is longer than the file system allows.'
            ) from error
    return path


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """
    Give a file beside `path` to write, which takes its place when the body has ended well.

    So `path` is whole or as it was before, whatever interrupts the body. Its folder is made, and
    the file given has its suffix. What is no plain file, such as /dev/stdout, is written itself.

    Raises:
        KwsImuError: it cannot be written.

    """
    place = Path(os.path.realpath(path))
    in_place = place.exists() and not place.is_file()
    partial = place if in_place else place.with_name(f'.{os.getpid()}.{place.name}')
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        if not in_place:
            partial.replace(place)
    except OSError as error:
        raise KwsImuError(
            f'{printable(path)} cannot be written: {error.strerror or error}.'
        ) from error
    finally:
        if not in_place:
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)


def write_whole(path: Path, content: str | bytes) -> None:
    """
    Write a file, text in UTF-8, whole or not at all; see `replacing`.

    Raises:
        KwsImuError: it cannot be written.

    """
    with replacing(path) as partial:
        partial.write_bytes(content.encode() if isinstance(content, str) else content)


def read_at_most(path: Path, most_bytes: int) -> bytes:
    """
    Return the beginning of a file, one byte longer than `most_bytes` where the file is larger.

    The size that the system tells is no guide: that of a device or a pipe, which may never end, is
    zero.
    """
    with path.open('rb') as file:
        return file.read(most_bytes + 1)
