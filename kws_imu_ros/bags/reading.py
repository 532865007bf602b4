"""
Reading of any rosbag2 (MCAP or sqlite3, a bag's folder or its bare file), without ROS.

The format is the business of the `rosbags` library; this module adds the topics that this package
understands, and one clear sentence for each thing that a bag can lack.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rosbags.rosbag2 import Reader
from rosbags.typesys import Stores, get_typestore

from kws_imu_ros.audio.block import AudioBlock
from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.imu.sample import ImuSample
from kws_imu_ros.messages.audio import audio_block_from_message
from kws_imu_ros.messages.imu import imu_sample_from_message

AUDIO_TYPE = 'std_msgs/msg/Int16MultiArray'
IMU_TYPE = 'sensor_msgs/msg/Imu'
AUDIO_TOPIC = 'audio'
IMU_TOPIC = 'imu/data_raw'


@dataclass(frozen=True)
class TopicSummary:
    """A topic of a bag: its absolute name, its type and how many messages it holds."""

    name: str
    type: str
    count: int


@dataclass(frozen=True)
class BagSummary:
    """
    What a bag holds.

    path: what was opened.
    start_ns, end_ns: time of recording of the first and of the last message, integer nanoseconds.
    topics: sorted by name.
    """

    path: Path
    start_ns: int
    end_ns: int
    topics: tuple[TopicSummary, ...]

    @property
    def duration_s(self) -> float:
        """Return the time between the first and the last message in seconds."""
        return (self.end_ns - self.start_ns) / 1e9

    def find(self, name: str) -> TopicSummary | None:
        """Return the topic of this name (with or without the leading slash), or None."""
        return next((topic for topic in self.topics if topic.name == absolute(name)), None)


@dataclass(frozen=True)
class RawMessage:
    """
    A message as it lies in the bag.

    stamp_ns: time of recording, integer nanoseconds.
    topic: absolute name. type: 'package/msg/Name'. data: CDR bytes.
    """

    stamp_ns: int
    topic: str
    type: str
    data: bytes


@dataclass(frozen=True)
class SensorMessage:
    """
    A message of one of the two senses.

    stamp_ns: time of recording, integer nanoseconds (the content carries its own stamp).
    """

    stamp_ns: int
    content: AudioBlock | ImuSample


def absolute(topic: str) -> str:
    """Return a topic's absolute name: bags hold '/audio' for what a node calls 'audio'."""
    return topic if topic.startswith('/') else f'/{topic}'


@functools.cache
def typestore() -> Any:
    """Return the definitions of the standard messages (the same in every ROS 2 since Humble)."""
    return get_typestore(Stores.ROS2_JAZZY)


def summarize_bag(path: Path) -> BagSummary:
    """
    Return what a bag holds.

    Raises:
        KwsImuError: the bag is missing, unreadable, truncated or empty.

    """
    with _open_bag(path) as reader:
        return _summary(path, reader)


def read_raw(path: Path, topics: Sequence[str]) -> Iterator[RawMessage]:
    """
    Yield the messages of these topics as bytes, in the order of recording.

    Raises:
        KwsImuError: the bag is missing, unreadable, truncated or empty, or lacks a topic.

    """
    with _open_bag(path) as reader:
        summary = _summary(path, reader)
        for topic in topics:
            if summary.find(topic) is None:
                raise KwsImuError(
                    f'Bag {path} has no topic {absolute(topic)}; it holds {_listing(summary)}.'
                )
        wanted = {absolute(topic) for topic in topics}
        for connection, stamp_ns, data in _messages(path, reader, wanted):
            yield RawMessage(stamp_ns, connection.topic, connection.msgtype, bytes(data))


def read_sensors(
    path: Path, audio_topic: str = AUDIO_TOPIC, imu_topic: str = IMU_TOPIC
) -> Iterator[SensorMessage]:
    """
    Yield the audio blocks and IMU samples of a bag in the order of recording.

    One of the two topics may be missing: each sense works without the other.

    Raises:
        KwsImuError: the bag is missing, unreadable, truncated or empty, has neither topic, or
            holds other types under their names.

    """
    with _open_bag(path) as reader:
        summary = _summary(path, reader)
        wanted = set(sensor_topics(summary, audio_topic, imu_topic))
        audio = absolute(audio_topic)
        deserialize = typestore().deserialize_cdr
        for connection, stamp_ns, data in _messages(path, reader, wanted):
            try:
                message = deserialize(data, connection.msgtype)
            except Exception as error:
                raise _corrupt(path, error) from error
            if connection.topic == audio:
                yield SensorMessage(stamp_ns, audio_block_from_message(message))
            else:
                yield SensorMessage(stamp_ns, imu_sample_from_message(message))


def sensor_topics(
    summary: BagSummary, audio_topic: str = AUDIO_TOPIC, imu_topic: str = IMU_TOPIC
) -> list[str]:
    """
    Return the absolute names of those of the two topics that a bag has.

    Raises:
        KwsImuError: it has neither, or one of them has another type.

    """
    found = []
    for name, expected in ((audio_topic, AUDIO_TYPE), (imu_topic, IMU_TYPE)):
        topic = summary.find(name)
        if topic is None or topic.count == 0:
            continue
        if topic.type != expected:
            raise KwsImuError(
                f'Topic {topic.name} of bag {summary.path} is a {topic.type} where a {expected} '
                f'is needed; name the right topic (it holds {_listing(summary)}).'
            )
        found.append(topic.name)
    if not found:
        raise KwsImuError(
            f'Bag {summary.path} has messages neither on {absolute(audio_topic)} nor on '
            f'{absolute(imu_topic)}; name its audio or IMU topic (it holds {_listing(summary)}).'
        )
    return found


@contextlib.contextmanager
def _open_bag(path: Path) -> Iterator[Reader]:
    """Open a bag's reader for a `with` block; every failure to open it becomes one sentence."""
    storage = _storage(Path(path))
    try:
        reader = Reader(storage)
        reader.open()
    except PermissionError as error:
        raise KwsImuError(
            f'Bag {path} may not be read by this user; change its permissions.'
        ) from error
    except Exception as error:  # A damaged file fails in as many ways as it has bytes.
        raise _corrupt(path, error) from error
    try:
        yield reader
    finally:
        reader.close()


def _storage(path: Path) -> Path:
    """Return what to hand to the library: a bag's folder, or a bare storage file."""
    if not path.exists():
        raise KwsImuError(
            f'There is no bag at {path}; give the folder of a rosbag2 or its .mcap or .db3 file.'
        )
    if path.is_file():
        if path.suffix not in ('.mcap', '.db3'):
            raise KwsImuError(
                f'{path} is not a rosbag2; give the folder of one or its .mcap or .db3 file '
                '(rosbags-convert makes one of a ROS 1 bag).'
            )
        if path.stat().st_size == 0:
            raise KwsImuError(f'Bag {path} is an empty file; record it again.')
        return path
    if (path / 'metadata.yaml').is_file():
        return path
    # A recorder that was killed leaves its file without the metadata.
    files = [file for file in sorted(path.iterdir()) if file.suffix in ('.mcap', '.db3')]
    if len(files) == 1:
        return _storage(files[0])
    raise KwsImuError(
        f'{path} is not a rosbag2: it has no metadata.yaml and {len(files)} .mcap or .db3 files; '
        'give the folder or the file of one bag.'
    )


def _summary(path: Path, reader: Reader) -> BagSummary:
    counts: dict[tuple[str, str], int] = {}
    for connection in reader.connections:
        key = (connection.topic, connection.msgtype)
        counts[key] = counts.get(key, 0) + connection.msgcount
    if sum(counts.values()) == 0:
        raise KwsImuError(f'Bag {path} holds no messages; record it again.')
    topics = tuple(TopicSummary(*key, count) for key, count in sorted(counts.items()))
    return BagSummary(Path(path), reader.start_time, reader.end_time - 1, topics)


def _messages(path: Path, reader: Reader, topics: set[str]) -> Iterator[tuple[Any, int, bytes]]:
    connections = [item for item in reader.connections if item.topic in topics]
    missing = sum(connection.msgcount for connection in connections)
    messages = reader.messages(connections)
    while True:
        try:
            item = next(messages, None)
        except Exception as error:  # See _open_bag.
            raise _corrupt(path, error) from error
        if item is None:
            break
        missing -= 1
        yield item
    if missing > 0:
        raise _corrupt(path, EOFError(f'{missing} messages are missing'))


def _corrupt(path: Path, error: Exception) -> KwsImuError:
    detail = ' '.join(str(error).split()).rstrip('.') or type(error).__name__
    return KwsImuError(
        f'Bag {path} is truncated or damaged ({detail}); record it again, or try `mcap recover`.'
    )


def _listing(summary: BagSummary) -> str:
    return ', '.join(f'{topic.name} ({topic.type})' for topic in summary.topics)
