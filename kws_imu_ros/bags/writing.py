"""
Writing of a rosbag2 MCAP that survives a full disk.

Chunks go to the disk about every second, and a spare file is held back for the end of the
recording. When the disk is full, the file is cut behind its last whole record and closed the way
the MCAP specification allows (an end of data, a footer without summary), so that every reader
opens it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import struct
from pathlib import Path
from typing import Any

import yaml
from rosbags.rosbag2 import CompressionFormat, CompressionMode, Reader, StoragePlugin, Writer
from rosbags.rosbag2.storage_mcap import McapWriter

from kws_imu_ros.bags.reading import absolute, typestore
from kws_imu_ros.bags.timing import ContinuingClock
from kws_imu_ros.errors import KwsImuError

_FLUSH_NS = 1_000_000_000
_SPARE_BYTES = 64 * 1024
_MCAP_MAGIC = b'\x89MCAP0\r\n'


class BagWriter:
    """
    Write messages of standard types into a new bag.

    Use it as a context manager; leaving the block closes the bag, whatever happened inside.
    """

    def __init__(self, path: Path, compress: bool = False) -> None:
        """
        Create the bag's folder.

        path: a folder that does not exist yet. compress: zstd chunks of 1 MiB, for bags that are
        shipped; without it about a chunk a second reaches the disk.

        Raises:
            KwsImuError: the folder exists, or cannot be created here.

        """
        self.path = Path(path)
        self.message_count = 0
        self._compress = compress
        self._connections: dict[str, Any] = {}
        self._clock = ContinuingClock()
        self._last_ns = 0
        self._flushed_ns: int | None = None
        self._spare = self.path / '.spare'
        if self.path.exists():
            raise KwsImuError(f'{self.path} exists already; record to another folder.')
        try:
            self._writer: Writer | None = self._start()
        except OSError as error:
            raise KwsImuError(
                f'No bag can be written to {self.path} ({_reason(error)}); record to another '
                'folder.'
            ) from error

    def __enter__(self) -> BagWriter:
        """Return the writer."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the bag."""
        self.close()

    @property
    def is_open(self) -> bool:
        """Return whether the bag still takes messages."""
        return self._writer is not None

    def add_topic(self, topic: str, message_type: str) -> None:
        """
        Announce a topic; at least once before its first message.

        Raises:
            KwsImuError: the type is not one of the standard messages.

        """
        if self._writer is None or absolute(topic) in self._connections:
            return
        if message_type not in typestore().fielddefs:
            raise KwsImuError(
                f'Topic {absolute(topic)} cannot be recorded: {message_type} is not a standard '
                'message; leave it out of the topics to record.'
            )
        self._connections[absolute(topic)] = self._writer.add_connection(
            absolute(topic), message_type, typestore=typestore()
        )

    def write(self, topic: str, stamp_ns: int, data: bytes) -> None:
        """
        Write a message.

        topic: one that was announced. data: CDR bytes. stamp_ns: time of recording; it never runs
        backwards in a bag, so an earlier one than the last is raised to it, and after a clock that
        was set back the time goes on.

        Raises:
            KwsImuError: the disk is full or gone; the bag is closed and holds what was written.

        """
        if self._writer is None:
            raise KwsImuError(f'Bag {self.path} is closed; start another recording.')
        self._last_ns = max(self._clock.push(topic, stamp_ns), self._last_ns)
        try:
            self._writer.write(self._connections[absolute(topic)], self._last_ns, data)
            self.message_count += 1
            if not self._compress:
                self._flush(self._writer)
        except OSError as error:
            raise self._rescue(error) from error

    def write_message(self, topic: str, stamp_ns: int, message: Any) -> None:
        """Write a message object of the `rosbags` type store; see `write`."""
        self.add_topic(topic, message.__msgtype__)
        self.write(topic, stamp_ns, bytes(typestore().serialize_cdr(message, message.__msgtype__)))

    def close(self) -> None:
        """
        Finish the bag; harmless when it is closed already.

        Raises:
            KwsImuError: the disk is full or gone; the bag holds what was written.

        """
        if self._writer is None:
            return
        try:
            self._writer.close()
        except OSError as error:
            raise self._rescue(error) from error
        self._writer = None
        self._spare.unlink(missing_ok=True)

    def _start(self) -> Writer:
        """Create the folder, the file and what is held back for its end."""
        writer = Writer(self.path, version=8, storage_plugin=StoragePlugin.MCAP)
        if self._compress:
            writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
        writer.open()
        self._spare.write_bytes(b'\0' * _SPARE_BYTES)
        _storage_of(writer).bio.flush()
        return writer

    def _flush(self, writer: Writer) -> None:
        if self._flushed_ns is None:
            self._flushed_ns = self._last_ns
        if self._last_ns - self._flushed_ns >= _FLUSH_NS:
            # The library itself would keep up to 1 MiB, half a minute, in memory.
            storage = _storage_of(writer)
            storage.close_chunk()
            storage.bio.flush()
            self._flushed_ns = self._last_ns

    def _rescue(self, error: OSError) -> KwsImuError:
        """Close the bag on what has reached the disk; return the sentence for people."""
        writer, self._writer = self._writer, None
        with contextlib.suppress(OSError):
            if writer is not None:
                writer.abort()
        kept = 0
        file = self.path / f'{self.path.name}.mcap'
        with contextlib.suppress(OSError, KwsImuError):
            self._spare.unlink(missing_ok=True)
            seal_mcap(file)
            kept = _write_metadata(self.path, file)
        self.message_count = kept
        return KwsImuError(
            f'Recording to {self.path} stopped ({_reason(error)}); the first {kept} messages are '
            'kept; free some space and start another recording.'
        )


def _storage_of(writer: Writer) -> McapWriter:
    """Return the file behind a writer of this module."""
    if not isinstance(writer.storage, McapWriter):
        raise TypeError('The library writes no MCAP; rosbags has another interface than expected.')
    return writer.storage


def seal_mcap(path: Path) -> None:
    """
    Make a valid MCAP of one that was cut off: drop the torn last record, add the end.

    Raises:
        KwsImuError: the file does not start as an MCAP.
        OSError: not even the 50 bytes of the end can be written.

    """
    with path.open('r+b') as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        if file.read(len(_MCAP_MAGIC)) != _MCAP_MAGIC:
            raise KwsImuError(f'{path} is not an MCAP file; give the .mcap file of a bag.')
        end = file.tell()
        while end + 9 <= size:
            opcode, length = struct.unpack('<BQ', file.read(9))
            # From 'end of data' on there is only what is written anew below.
            if opcode == 0x0F or end + 9 + length > size:
                break
            end = file.seek(end + 9 + length)
        file.truncate(end)
        file.seek(end)
        file.write(struct.pack('<BQI', 0x0F, 4, 0))
        file.write(struct.pack('<BQQQI', 0x02, 20, 0, 0, 0))
        file.write(_MCAP_MAGIC)


def _write_metadata(folder: Path, file: Path) -> int:
    """Write the metadata.yaml of a bag of one file; return its number of messages."""
    with Reader(file) as reader:
        count = reader.message_count
        times = {
            'starting_time': {'nanoseconds_since_epoch': reader.start_time},
            'duration': {'nanoseconds': max(0, reader.duration - 1)},
            'message_count': count,
        }
        topics = [
            {
                'topic_metadata': {
                    'name': item.topic,
                    'type': item.msgtype,
                    'serialization_format': 'cdr',
                    'offered_qos_profiles': '',
                    'type_description_hash': typestore().hash_rihs01(item.msgtype),
                },
                'message_count': item.msgcount,
            }
            for item in reader.connections
        ]
    information = {
        'version': 8,
        'storage_identifier': 'mcap',
        'relative_file_paths': [file.name],
        **times,
        'topics_with_message_count': topics,
        'compression_format': '',
        'compression_mode': '',
        'files': [{'path': file.name, **times}],
        'custom_data': None,
        'ros_distro': 'rosbags',
    }
    (folder / 'metadata.yaml').write_text(
        yaml.safe_dump({'rosbag2_bagfile_information': information}, sort_keys=False)
    )
    return count


def _reason(error: OSError) -> str:
    if error.errno is None:
        return str(error) or type(error).__name__
    if error.errno == errno.ENOSPC:
        return 'the disk is full'
    return os.strerror(error.errno).lower()
