"""
Which files a path means by a bag, and opening them; the one place that decides it.

A bag is a folder with a metadata.yaml and storage files, or a bare storage file. The storage is
what counts: the metadata only says which files there are and in which order, and where it says
what is not so, the files are read all the same and a note tells the difference. Nothing is ever
written into a bag's folder.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import sqlite3
import stat
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import yaml
from rosbags.rosbag2.storage_mcap import DECOMPRESSORS

from kws_imu_ros.bags import mcap_file, sqlite_file
from kws_imu_ros.bags.mcap_file import McapFile
from kws_imu_ros.bags.sqlite_file import SqliteFile
from kws_imu_ros.bags.storage import ZSTD_MAGIC, DamagedFileError, Storage
from kws_imu_ros.errors import KwsImuError, printable
from kws_imu_ros.resources import user_path

METADATA = 'metadata.yaml'
SUFFIXES = ('.mcap', '.db3')
_ROS_1_MAGIC = b'#ROSBAG V'
# What SQLite keeps beside a database that was not closed: the newest messages, or what to undo.
_SIDECARS = ('-wal', '-journal')
_SPLIT = re.compile(r'(.*)_(\d+)')


@dataclass(frozen=True)
class BagFiles:
    """
    The storage files of a bag.

    files: in order of recording. promised: messages that the metadata counts, None where it does
    not say. notes: one sentence for each thing that the metadata has wrong.
    """

    files: tuple[Path, ...]
    promised: int | None = None
    notes: tuple[str, ...] = ()


def find_files(path: Path) -> BagFiles:
    """
    Return the storage files that a path means.

    Args:
        path: a bag's folder, its metadata.yaml, or a storage file; `~` is the home folder.

    Raises:
        KwsImuError: there is no bag.

    """
    path = user_path(path)
    mode = _mode(path)
    if path.name == METADATA and stat.S_ISREG(mode):
        path = path.parent
        mode = _mode(path)
    try:
        if stat.S_ISDIR(mode):
            return _files_of_folder(path)
        if stat.S_ISREG(mode):
            _check_file(path)
            return BagFiles((path,))
    except PermissionError as error:
        raise _forbidden(path) from error
    raise KwsImuError(
        f'{printable(path)} is not a rosbag2: it is neither a file nor a folder; give '
        'the folder of one or its .mcap or .db3 file.'
    )


def is_bag_file(path: Path) -> bool:
    """Return whether a file is a bag's, by what it holds or, where that is lost, by its name."""
    return path.is_file() and (path.name == METADATA or _is_storage(path))


@contextlib.contextmanager
def open_storages(path: Path, files: Sequence[Path]) -> Iterator[list[Storage]]:
    """
    Open storage files for a `with` block.

    Args:
        path: of the bag, for the sentences.
        files: as `find_files` returns them.

    Raises:
        KwsImuError: a file cannot be read, or is damaged.

    """
    with contextlib.ExitStack() as stack:
        storages: list[Storage] = []
        for file in files:
            try:
                storage = _open(file, stack)
            except PermissionError as error:
                raise _forbidden(path) from error
            except DamagedFileError as error:
                raise damaged(path, error) from error
            except OSError as error:
                raise KwsImuError(
                    f'Bag {printable(path)} cannot be read ({error.strerror or error}); check the '
                    f'disk, and that {tempfile.gettempdir()} has room where the bag is compressed.'
                ) from error
            stack.callback(storage.close)
            storages.append(storage)
        yield storages


def damaged(path: Path, error: Exception) -> KwsImuError:
    """Return the sentence for bytes that cannot be read."""
    detail = ' '.join(str(error).split()).rstrip('.') or type(error).__name__
    return KwsImuError(
        f'Bag {printable(path)} is truncated or damaged ({detail}); record it again, or try '
        '`mcap recover`.'
    )


def _forbidden(path: Path) -> KwsImuError:
    return KwsImuError(
        f'Bag {printable(path)} may not be read by this user; change its permissions.'
    )


def _mode(path: Path) -> int:
    """Return the kind of what is at the path, or say that there is nothing."""
    try:
        return path.stat().st_mode
    except PermissionError as error:
        raise _forbidden(path) from error
    except (OSError, ValueError) as error:
        why = ''
        if isinstance(error, OSError) and error.errno not in (errno.ENOENT, errno.ENOTDIR):
            why = f' ({os.strerror(error.errno or 0).lower()})'
        raise KwsImuError(
            f'There is no bag at {printable(path)}{why}; give the folder of a rosbag2 or '
            'its .mcap or .db3 file.'
        ) from error


def _check_file(path: Path) -> None:
    """Refuse a file that is no storage; what it holds counts, not how it is called."""
    if _holds_messages(path):
        return
    refuse_ros_1(path)
    if not _is_storage(path):
        raise KwsImuError(
            f'{printable(path)} is not a rosbag2; give the folder of one or its .mcap or .db3 file.'
        )
    if not _start(path):
        raise KwsImuError(f'Bag {printable(path)} is an empty file; record it again.')
    raise damaged(path, DamagedFileError('it begins neither like MCAP nor like SQLite'))


def refuse_ros_1(path: Path) -> None:
    """
    Refuse a bag of ROS 1, by its content or, where that is lost, by its name.

    Raises:
        KwsImuError: it is one.

    """
    if path.suffix.lower() == '.bag' or _start(path).startswith(_ROS_1_MAGIC):
        raise KwsImuError(
            f'{printable(path)} is a bag of ROS 1, not a rosbag2; `rosbags-convert` makes one '
            'of it.'
        )


def _is_storage(path: Path) -> bool:
    """Return whether a file is to be a storage, though it may be damaged."""
    return _holds_messages(path) or _is_storage_name(path.name)


def _holds_messages(path: Path) -> bool:
    start = _start(path)
    return start.startswith((mcap_file.MAGIC, sqlite_file.MAGIC, ZSTD_MAGIC)) or bool(
        _sidecars(path)
    )


def _start(path: Path) -> bytes:
    try:
        with path.open('rb') as file:
            return file.read(16)
    except OSError as error:
        # Some, such as a failing disk's, name no file.
        raise KwsImuError(
            f'{printable(path)} cannot be read ({(error.strerror or str(error)).lower()}); check '
            'the path, its permissions and the disk.'
        ) from error


def _is_storage_name(name: str) -> bool:
    return name.removesuffix('.zstd').endswith(SUFFIXES) and not name.startswith('.')


def _files_of_folder(folder: Path) -> BagFiles:
    """Return the files that the metadata names, or else those that are there."""
    notes: list[str] = []
    here = {file.name: file for file in sorted(folder.iterdir()) if _is_storage_name(file.name)}
    metadata: Mapping[str, Any] = {}
    if (folder / METADATA).is_file():
        try:
            metadata = _read_metadata(folder / METADATA)
        except (OSError, ValueError, TypeError, RecursionError, yaml.YAMLError) as error:
            reason = ' '.join(str(error).split())
            notes.append(f'{printable(folder / METADATA)} cannot be read ({reason[:200]}).')
    named = [_file_name(name) for name in _list(metadata.get('relative_file_paths'))]
    found = [here.get(name) or here.get(f'{name}.zstd') for name in named]
    files = [file for file in found if file is not None]
    missing = [name for name, file in zip(named, found, strict=True) if file is None]
    if not files:
        files = _in_order(list(here.values()))
        if not files:
            why = 'it has no .mcap or .db3 file'
            if here:
                why = f'it has {len(here)} .mcap or .db3 files and no metadata.yaml that says which'
            raise KwsImuError(
                f'{printable(folder)} is not a rosbag2: {why}; give the folder or the file of one '
                'bag.'
            )
    if missing:
        notes.append(
            f'The metadata.yaml of bag {printable(folder)} names {", ".join(missing)}, which is '
            f'not there; {", ".join(file.name for file in files)} was read.'
        )
    for file in files:
        _check_file(file)
    promised = metadata.get('message_count')
    return BagFiles(tuple(files), promised if type(promised) is int else None, tuple(notes))


def _read_metadata(path: Path) -> Mapping[str, Any]:
    content = yaml.safe_load(path.read_bytes())
    found = content.get('rosbag2_bagfile_information') if isinstance(content, dict) else None
    if not isinstance(found, dict):
        raise TypeError('it holds no rosbag2_bagfile_information')
    return found


def _list(value: Any) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _file_name(text: str) -> str:
    """Return the name of a file in a path that was written on any system."""
    return PureWindowsPath(text).name if '\\' in text else PurePosixPath(text).name


def _in_order(files: list[Path]) -> list[Path]:
    """Return files without metadata as one bag: a single one, or the splits of one name."""
    if len(files) < 2:
        return files
    splits = [(_SPLIT.fullmatch(file.name.split('.')[0]), file) for file in files]
    names = {match[1] if match else None for match, _ in splits}
    if len(names) > 1 or None in names:
        return []
    return [file for _, file in sorted((int(m[2]), file) for m, file in splits if m)]


def _sidecars(path: Path) -> list[Path]:
    """Return what SQLite left beside a database that was not closed."""
    if path.suffix != '.db3':
        return []
    files = [path.with_name(path.name + suffix) for suffix in _SIDECARS]
    return [file for file in files if file.is_file() and file.stat().st_size > 0]


def _open(file: Path, stack: contextlib.ExitStack) -> Storage:
    """Open a file, by way of a copy elsewhere where it must be unpacked or mended first."""
    start = _start(file)
    if start.startswith(ZSTD_MAGIC):
        copy = Path(stack.enter_context(tempfile.TemporaryDirectory())) / file.stem
        try:
            copy.write_bytes(DECOMPRESSORS['zstd'](file.read_bytes(), 0))
        except OSError:
            raise
        except Exception as error:
            raise DamagedFileError(f'{file.name} cannot be decompressed: {error}') from error
        file, start = copy, _start(copy)
    elif sidecars := _sidecars(file):
        file = _closed_copy(
            file, sidecars, Path(stack.enter_context(tempfile.TemporaryDirectory()))
        )
        start = _start(file)
    if start.startswith(sqlite_file.MAGIC):
        return SqliteFile(file)
    return McapFile(file)


def _closed_copy(database: Path, sidecars: list[Path], folder: Path) -> Path:
    """Return a copy of a database in which its log is written back, as closing would have done."""
    for file in (database, *sidecars):
        shutil.copyfile(file, folder / file.name)
    copy = folder / database.name
    try:
        with contextlib.closing(sqlite3.connect(copy)) as connection:
            connection.execute('PRAGMA wal_checkpoint(TRUNCATE)')
            connection.execute('PRAGMA journal_mode=DELETE')
            connection.execute('SELECT count(*) FROM sqlite_master').fetchone()
    except sqlite3.Error as error:
        raise DamagedFileError(str(error)) from error
    return copy
