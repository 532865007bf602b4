"""A SQLite storage file of rosbag2 (.db3), of any version of its schema."""

from __future__ import annotations

import os
import sqlite3
import urllib.parse
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from kws_imu_ros.bags.storage import (
    Channel,
    DamagedFileError,
    StoredMessage,
    decompressed,
    message_type,
)

MAGIC = b'SQLite format 3\0'


class SqliteFile:
    """An open SQLite storage file; see `storage.Storage`."""

    def __init__(self, path: Path) -> None:
        """
        Open the file, which has no write-ahead log beside it, and learn what it holds.

        Raises:
            DamagedFileError: it is truncated, or no storage of rosbag2.

        """
        # A path may look like a URI; and 'immutable' keeps SQLite from writing beside the file.
        quoted = urllib.parse.quote(os.fsencode(path.absolute()))
        try:
            self._database = sqlite3.connect(f'file:{quoted}?mode=ro&immutable=1', uri=True)
        except sqlite3.Error as error:
            raise DamagedFileError(str(error)) from error
        try:
            self.channels = tuple(
                Channel(number, topic, message_type(kind), encoding, count)
                for number, topic, kind, encoding, count in self._database.execute(
                    'SELECT topics.id, name, type, serialization_format, count(messages.id) '
                    'FROM topics LEFT JOIN messages ON topics.id = messages.topic_id '
                    'GROUP BY topics.id ORDER BY topics.id'
                )
            )
        except (sqlite3.Error, UnicodeDecodeError, AttributeError) as error:
            self.close()
            raise DamagedFileError(str(error)) from error

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def stamps(self) -> Iterator[tuple[int, int]]:
        """Yield number of the channel and time of recording of all messages, as they lie."""
        yield from self._rows(
            'SELECT topic_id, CAST(timestamp AS INTEGER) FROM messages ORDER BY id'
        )

    def messages(self, numbers: Collection[int], by_time: bool) -> Iterator[StoredMessage]:
        """Yield the messages of these channels; see `storage.Storage`."""
        rows = self._rows(
            'SELECT CAST(timestamp AS INTEGER), topic_id, data FROM messages '
            f'WHERE topic_id IN ({", ".join(str(int(number)) for number in numbers)}) '
            f'ORDER BY {"timestamp, id" if by_time else "id"}'
        )
        for stamp_ns, number, data in rows:
            payload = decompressed(data) if isinstance(data, bytes) else b''
            yield StoredMessage(stamp_ns, number, payload)

    def _rows(self, query: str) -> Iterator[tuple[Any, ...]]:
        try:
            yield from self._database.execute(query)
        except (sqlite3.Error, UnicodeDecodeError) as error:
            raise DamagedFileError(str(error)) from error
