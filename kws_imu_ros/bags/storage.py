"""
What a storage file of a bag offers, whatever its format.

The `rosbags` library reads both formats too, but refuses a whole file for a channel that nobody
asked for (JSON, protobuf), a profile or a QoS text that it does not know, and a database whose path
looks like a URI. What is needed of a file is little: which channels, which times, which bytes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from rosbags.rosbag2.storage_mcap import DECOMPRESSORS

CDR = 'cdr'
ZSTD_MAGIC = b'\x28\xb5\x2f\xfd'


class DamagedFileError(Exception):
    """The bytes of a storage file are not what its format says; the text tells what is wrong."""


@dataclass(frozen=True)
class Channel:
    """
    A topic as one storage file has it.

    number: of the channel in its file. type: 'package/msg/Name'. encoding: 'cdr' for messages of
    ROS 2. count: messages.
    """

    number: int
    topic: str
    type: str
    encoding: str
    count: int


class StoredMessage(NamedTuple):
    """A message: time of recording in integer nanoseconds, number of the channel, payload."""

    stamp_ns: int
    channel: int
    data: bytes


class Storage(Protocol):
    """An open storage file."""

    channels: tuple[Channel, ...]

    def stamps(self) -> Iterator[tuple[int, int]]:
        """Yield number of the channel and time of recording of all messages, as they lie."""
        ...

    def messages(self, numbers: Collection[int], by_time: bool) -> Iterator[StoredMessage]:
        """
        Yield the messages of these channels, by time of recording or as they lie in the file.

        Raises:
            DamagedFileError: the file is not what its format says.

        """
        ...

    def close(self) -> None:
        """Close the file."""
        ...


def message_type(name: str) -> str:
    """Return 'package/msg/Name' of the names in use for a type, such as 'package/Name'."""
    parts = name.split('/')
    return f'{parts[0]}/msg/{parts[1]}' if len(parts) == 2 else name


def decompressed(data: bytes) -> bytes:
    """Return a message that was compressed on its own; CDR never begins like zstd."""
    if data[:4] != ZSTD_MAGIC:
        return data
    try:
        return DECOMPRESSORS['zstd'](data, 0)
    except Exception as error:
        raise DamagedFileError(f'a compressed message cannot be read: {error}') from error
