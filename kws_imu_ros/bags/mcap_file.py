"""An MCAP file: https://mcap.dev/spec."""

from __future__ import annotations

import heapq
import os
import struct
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from rosbags.rosbag2.storage_mcap import decompress

from kws_imu_ros.bags.storage import (
    Channel,
    DamagedFileError,
    StoredMessage,
    decompressed,
    message_type,
)

MAGIC = b'\x89MCAP0\r\n'

_SCHEMA, _CHANNEL, _MESSAGE, _CHUNK, _MESSAGE_INDEX = 0x03, 0x04, 0x05, 0x06, 0x07
_CHUNK_INDEX, _STATISTICS, _DATA_END, _FOOTER, _HEADER = 0x08, 0x0B, 0x0F, 0x02, 0x01
_RECORD = struct.Struct('<BQ')
_MESSAGE_HEAD = struct.Struct('<HIQQ')  # Channel, sequence, time of logging, time of publishing.
_CHUNK_HEAD = struct.Struct('<QQQI')
_CHUNK_INDEX_HEAD = struct.Struct('<QQQQ')
_CHANNEL_OFFSET = struct.Struct('<HQ')
_TIME_OFFSET = struct.Struct('<QQ')
_FOOTER_LENGTH = 20
# Beyond any chunk that a recorder writes; a length like this is damage, not data.
_LONGEST_RECORD = 1 << 31


@dataclass(frozen=True)
class _Part:
    """
    A stretch of the file that holds messages: a chunk, or loose records.

    start_ns: earliest time of recording. offset, length: of the chunk's record, or of the loose
    records. index_offset, index_length: of the chunk's message indexes, length 0 where it has none.
    channels: those with messages here, None where that is not known.
    """

    start_ns: int
    offset: int
    length: int
    is_chunk: bool
    index_offset: int = 0
    index_length: int = 0
    channels: frozenset[int] | None = None


class _Record(NamedTuple):
    opcode: int
    start: int
    end: int


class McapFile:
    """An open MCAP file; see `storage.Storage`."""

    def __init__(self, path: Path) -> None:
        """
        Open the file and learn what it holds.

        Raises:
            OSError: the file cannot be opened or read.
            DamagedFileError: it is truncated, or not what the format says.

        """
        self._names: dict[int, str] = {}
        self._topics: dict[int, tuple[str, str, str]] = {}
        self._counts: Counter[int] = Counter()
        self._parts: list[_Part] = []
        self._file = path.open('rb')
        try:
            self._learn()
        except (struct.error, UnicodeDecodeError) as error:
            self.close()
            raise DamagedFileError(str(error)) from error
        except BaseException:
            self.close()
            raise
        self.channels = tuple(
            Channel(number, topic, kind, encoding, self._counts[number])
            for number, (topic, kind, encoding) in sorted(self._topics.items())
        )

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def stamps(self) -> Iterator[tuple[int, int]]:
        """Yield number of the channel and time of recording of all messages, as they lie."""
        for part in self._parts:
            if not part.index_length:
                for message in self._messages_of(part, self._topics):
                    yield message.channel, message.stamp_ns
                continue
            index = self._read(part.index_offset, part.index_length)
            found: list[tuple[int, int, int]] = []
            for record in _records(index, 0, len(index)):
                if record.opcode == _MESSAGE_INDEX:
                    (number,) = struct.unpack_from('<H', index, record.start)
                    times = index[record.start + 6 : record.end]
                    usable = len(times) // _TIME_OFFSET.size * _TIME_OFFSET.size
                    found += (
                        (offset, number, stamp_ns)
                        for stamp_ns, offset in _TIME_OFFSET.iter_unpack(times[:usable])
                    )
            for _, number, stamp_ns in sorted(found):
                yield number, stamp_ns

    def messages(self, numbers: Collection[int], by_time: bool) -> Iterator[StoredMessage]:
        """Yield the messages of these channels; see `storage.Storage`."""
        wanted = set(numbers)
        parts = [part for part in self._parts if part.channels is None or part.channels & wanted]
        if not by_time:
            for part in parts:
                yield from self._messages_of(part, wanted)
            return
        parts.sort(key=lambda part: part.start_ns)
        streams = [self._in_time(place, part, wanted) for place, part in enumerate(parts)]
        for _, _, place, message in heapq.merge(*streams):
            if place >= 0 and message is not None:
                yield message

    def _in_time(
        self, place: int, part: _Part, wanted: set[int]
    ) -> Iterator[tuple[int, int, int, StoredMessage | None]]:
        """Yield a part's messages by time, after a mark that keeps it closed until its time."""
        yield part.start_ns, place, -1, None
        found = sorted(self._messages_of(part, wanted), key=lambda message: message.stamp_ns)
        for number, message in enumerate(found):
            yield message.stamp_ns, place, number, message

    def _messages_of(self, part: _Part, wanted: Collection[int]) -> Iterator[StoredMessage]:
        """Yield the wanted messages of a part, as they lie."""
        data = self._read(part.offset, part.length)
        if part.is_chunk:
            data = _content(data)
        head = _MESSAGE_HEAD.size
        try:
            for opcode, start, end in _records(data, 0, len(data)):
                if opcode == _MESSAGE:
                    number, _, stamp_ns, _ = _MESSAGE_HEAD.unpack_from(data, start)
                    if number in wanted:
                        payload = decompressed(data[start + head : end])
                        yield StoredMessage(stamp_ns, number, payload)
        except struct.error as error:
            raise DamagedFileError(str(error)) from error

    # What the file holds

    def _learn(self) -> None:
        """Find channels, counts and chunks, in the summary or else in the data itself."""
        size = self._file.seek(0, os.SEEK_END)
        if self._read(0, min(len(MAGIC), size)) != MAGIC:
            raise DamagedFileError('it does not begin like an MCAP file')
        footer = size - len(MAGIC) - _FOOTER_LENGTH - _RECORD.size
        if footer < len(MAGIC) or self._read(size - len(MAGIC), len(MAGIC)) != MAGIC:
            raise DamagedFileError('its end is missing')
        record = self._read(footer, _RECORD.size + _FOOTER_LENGTH)
        opcode, length = _RECORD.unpack_from(record)
        if (opcode, length) != (_FOOTER, _FOOTER_LENGTH):
            raise DamagedFileError('its footer is damaged')
        (summary,) = struct.unpack_from('<Q', record, _RECORD.size)
        if summary and not len(MAGIC) <= summary <= footer:
            raise DamagedFileError('its footer points outside of the file')
        if not summary or not self._learn_from_summary(summary, footer):
            self._topics.clear()
            self._counts.clear()
            self._parts.clear()
            self._learn_from_data(summary or footer)

    def _learn_from_summary(self, start: int, end: int) -> bool:
        """Return whether the summary tells all that is needed."""
        data = self._read(start, end - start)
        messages = chunks = None
        for record in _records(data, 0, len(data)):
            self._define(data, record)
            if record.opcode == _CHUNK_INDEX:
                self._parts.append(_indexed_part(data, record))
            elif record.opcode == _STATISTICS:
                (messages,) = struct.unpack_from('<Q', data, record.start)
                (chunks,) = struct.unpack_from('<I', data, record.start + 22)
                counts = data[record.start + 46 : record.end]
                self._counts.update(dict(_CHANNEL_OFFSET.iter_unpack(counts)))
        self._parts.sort(key=lambda part: part.offset)
        return (
            bool(self._topics)
            and chunks == len(self._parts) > 0
            and messages == sum(self._counts.values())
            and set(self._counts) <= set(self._topics)
        )

    def _learn_from_data(self, end: int) -> None:
        """Read every record before `end`."""
        position = len(MAGIC)
        loose: list[int] = []  # Offset, end and earliest time of the loose messages so far.

        def close_loose() -> None:
            if loose:
                self._parts.append(_Part(loose[2], loose[0], loose[1] - loose[0], is_chunk=False))
                loose.clear()

        while position < end:
            opcode, length = _RECORD.unpack(self._read(position, _RECORD.size))
            following = position + _RECORD.size + length
            if opcode == _DATA_END:
                break
            if opcode == _MESSAGE:
                head = self._read(position + _RECORD.size, _MESSAGE_HEAD.size)
                number, _, stamp_ns, _ = _MESSAGE_HEAD.unpack(head)
                self._counts[number] += 1
                if loose and loose[1] - loose[0] < 1 << 20:
                    loose[1:] = [following, min(loose[2], stamp_ns)]
                else:
                    close_loose()
                    loose[:] = [position, following, stamp_ns]
                if following > end:
                    raise DamagedFileError('a message is cut off')
            elif opcode == _CHUNK:
                close_loose()
                self._learn_from_chunk(position, _RECORD.size + length)
            elif opcode in (_SCHEMA, _CHANNEL):
                data = self._read(position, _RECORD.size + length)
                self._define(data, _Record(opcode, _RECORD.size, len(data)))
                if loose:
                    loose[1] = following
            else:
                close_loose()
            position = following
        close_loose()
        for number in self._counts:
            if number not in self._topics:
                raise DamagedFileError(f'channel {number} has messages but no name')

    def _learn_from_chunk(self, offset: int, length: int) -> None:
        data = _content(self._read(offset, length))
        numbers: Counter[int] = Counter()
        start_ns: int | None = None
        for record in _records(data, 0, len(data)):
            self._define(data, record)
            if record.opcode == _MESSAGE:
                number, _, stamp_ns, _ = _MESSAGE_HEAD.unpack_from(data, record.start)
                numbers[number] += 1
                start_ns = stamp_ns if start_ns is None else min(start_ns, stamp_ns)
        self._counts.update(numbers)
        if start_ns is not None:
            self._parts.append(
                _Part(start_ns, offset, length, is_chunk=True, channels=frozenset(numbers))
            )

    def _define(self, data: bytes, record: _Record) -> None:
        """Take note of a schema or a channel."""
        if record.opcode == _SCHEMA:
            (number,) = struct.unpack_from('<H', data, record.start)
            self._names[number], _ = _text(data, record.start + 2)
        elif record.opcode == _CHANNEL:
            number, schema = struct.unpack_from('<HH', data, record.start)
            topic, position = _text(data, record.start + 4)
            encoding, _ = _text(data, position)
            self._topics[number] = (topic, message_type(self._names.get(schema, '')), encoding)

    def _read(self, offset: int, length: int) -> bytes:
        if length > _LONGEST_RECORD:
            raise DamagedFileError(f'a record of {length} bytes')
        self._file.seek(offset)
        data = self._file.read(length)
        if len(data) < length:
            raise DamagedFileError(f'{length - len(data)} bytes are missing at its end')
        return data


def _records(data: bytes, start: int, end: int) -> Iterator[_Record]:
    """Yield the records in a buffer: opcode, start and end of the body."""
    while start < end:
        opcode, length = _RECORD.unpack_from(data, start)
        body = start + _RECORD.size
        start = body + length
        if start > end:
            raise DamagedFileError('a record is cut off')
        yield _Record(opcode, body, start)


def _text(data: bytes, position: int) -> tuple[str, int]:
    """Return a string and the position behind it."""
    (length,) = struct.unpack_from('<I', data, position)
    end = position + 4 + length
    return data[position + 4 : end].decode(), end


def _indexed_part(data: bytes, record: _Record) -> _Part:
    """Return the chunk that a chunk index describes."""
    start_ns, _, offset, length = _CHUNK_INDEX_HEAD.unpack_from(data, record.start)
    position = record.start + _CHUNK_INDEX_HEAD.size
    (size,) = struct.unpack_from('<I', data, position)
    entries = data[position + 4 : position + 4 + size]
    (index_length,) = struct.unpack_from('<Q', data, position + 4 + size)
    numbers = frozenset(number for number, _ in _CHANNEL_OFFSET.iter_unpack(entries))
    # A chunk without message indexes may hold any channel.
    known = numbers if index_length else None
    return _Part(start_ns, offset, length, True, offset + length, index_length, known)


def _content(chunk: bytes) -> bytes:
    """Return the records in a chunk's record."""
    try:
        position = _RECORD.size
        _, _, size, checksum = _CHUNK_HEAD.unpack_from(chunk, position)
        compression, position = _text(chunk, position + _CHUNK_HEAD.size)
        (length,) = struct.unpack_from('<Q', chunk, position)
        packed = chunk[position + 8 : position + 8 + length]
        return decompress(packed, compression, size, checksum)
    except Exception as error:  # Each library of compression has errors of its own.
        raise DamagedFileError(f'a chunk cannot be read: {error}') from error
