"""
Reading of any rosbag2 (MCAP or sqlite3, a bag's folder or its bare file), without ROS.

`files` finds and opens the storage; this module adds the topics that this package understands, and
one clear sentence for each thing that a bag can lack. A message that cannot be used costs itself,
never the replay.
"""

from __future__ import annotations

import contextlib
import functools
import heapq
import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from rosbags.typesys import Stores, get_typestore

from kws_imu_ros.audio.block import AudioBlock
from kws_imu_ros.bags.files import damaged, find_files, open_storages
from kws_imu_ros.bags.storage import CDR, DamagedFileError, Storage
from kws_imu_ros.bags.timing import ContinuingClock
from kws_imu_ros.errors import KwsImuError, printable
from kws_imu_ros.imu.sample import ImuSample
from kws_imu_ros.messages.audio import audio_block_from_message
from kws_imu_ros.messages.imu import imu_sample_from_message

AUDIO_TYPE = 'std_msgs/msg/Int16MultiArray'
IMU_TYPE = 'sensor_msgs/msg/Imu'
AUDIO_TOPIC = 'audio'
IMU_TOPIC = 'imu/data_raw'


@dataclass(frozen=True)
class TopicSummary:
    """
    A topic of a bag: its absolute name, its type and how many messages it holds.

    encoding: how they are written, 'cdr' for those of ROS 2.
    """

    name: str
    type: str
    count: int
    encoding: str = CDR


@dataclass(frozen=True)
class BagSummary:
    """
    What a bag holds.

    path: what was opened.
    start_ns, end_ns: time of recording of the first and of the last message, integer nanoseconds;
    where the recorder's clock was set back, the times go on as if it had not been.
    topics: sorted by name.
    notes: one sentence for each thing that the metadata has wrong, or that happened to the clock.
    """

    path: Path
    start_ns: int
    end_ns: int
    topics: tuple[TopicSummary, ...]
    notes: tuple[str, ...] = ()

    @property
    def duration_s(self) -> float:
        """Return the time between the first and the last message in seconds."""
        return (self.end_ns - self.start_ns) / 1e9

    def find(self, name: str, message_type: str = '') -> TopicSummary | None:
        """
        Return the topic of this name (with or without the leading slash), or None.

        message_type: preferred where a topic has messages of several types.
        """
        found = [topic for topic in self.topics if topic.name == absolute(name)]
        found.sort(key=lambda topic: topic.type != message_type or topic.encoding != CDR)
        return found[0] if found else None


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


class BadMessages:
    """The messages that could not be used: how many, on which topic, when, and why."""

    def __init__(self) -> None:
        """Start with none."""
        self._counts: Counter[tuple[str, str]] = Counter()
        self._first: dict[tuple[str, str], tuple[int, str]] = {}

    def add(self, topic: str, stamp_ns: int, why: str) -> bool:
        """
        Count a message; return whether it is the first of its kind.

        stamp_ns: time of recording. why: one sentence; one that differs in numbers is of a kind.
        """
        kind = (absolute(topic), re.sub(r'\d+', '0', why))
        self._counts[kind] += 1
        self._first.setdefault(kind, (stamp_ns, why))
        return self._counts[kind] == 1

    def count(self, topic: str) -> int:
        """Return how many messages of a topic there were."""
        return sum(n for (name, _), n in self._counts.items() if name == absolute(topic))

    def sentences(self, start_ns: int) -> tuple[str, ...]:
        """Return one sentence a kind; start_ns: from which times are told, in seconds."""
        found = []
        for (topic, kind), count in sorted(self._counts.items(), key=lambda item: -item[1]):
            stamp_ns, why = self._first[topic, kind]
            times = '' if count == 1 else 's'
            found.append(
                f'{count} message{times} on {topic} could not be used and '
                f'{"was" if count == 1 else "were"} left out, the first at '
                f'{(stamp_ns - start_ns) / 1e9:.2f} s: {why}'
            )
        return tuple(found)


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
    with _open_bag(path) as bag:
        return bag.summary


def read_raw(path: Path, topics: Sequence[str]) -> Iterator[RawMessage]:
    """
    Yield the messages of these topics as bytes, in the order of recording.

    Messages of other encodings than ROS 2's are left out.

    Raises:
        KwsImuError: the bag is missing, unreadable, truncated or empty, or lacks a topic.

    """
    with _open_bag(path) as bag:
        for topic in topics:
            if bag.summary.find(topic) is None:
                raise KwsImuError(
                    f'Bag {printable(path)} has no topic {absolute(topic)}; it holds '
                    f'{_listing(bag.summary)}.'
                )
        wanted = {absolute(topic) for topic in topics}
        yield from bag.messages({key for key in bag.keys if key.name in wanted})


def read_sensors(
    path: Path,
    audio_topic: str = AUDIO_TOPIC,
    imu_topic: str = IMU_TOPIC,
    bad: BadMessages | None = None,
) -> Iterator[SensorMessage]:
    """
    Yield the audio blocks and IMU samples of a bag in the order of recording.

    One of the two topics may be missing: each sense works without the other.

    Args:
        path: of the bag.
        audio_topic, imu_topic: the bag's names of the two.
        bad: takes those that cannot be used, which are left out.

    Raises:
        KwsImuError: the bag is missing, unreadable, truncated or empty, has neither topic, or
            holds other types under their names.

    """
    bad = BadMessages() if bad is None else bad
    with _open_bag(path) as bag:
        names = sensor_topics(bag.summary, audio_topic, imu_topic)
        senses = {_Key(name, kind, CDR) for name in names for kind in (AUDIO_TYPE, IMU_TYPE)}
        deserialize = typestore().deserialize_cdr
        for raw in bag.messages(senses & bag.keys.keys()):
            try:
                message = deserialize(raw.data, raw.type)
            except Exception as error:  # noqa: BLE001 A torn message fails in as many ways as it has bytes.
                bad.add(raw.topic, raw.stamp_ns, unreadable(error))
                continue
            try:
                yield SensorMessage(raw.stamp_ns, sensor_content(message, raw.type))
            except KwsImuError as error:
                bad.add(raw.topic, raw.stamp_ns, str(error))


def unreadable(error: Exception) -> str:
    """Return the sentence for a message whose bytes cannot be read."""
    # rclpy's libraries add the line of their own source.
    detail = ' '.join(str(error).split()).split(', at /')[0].rstrip(' .,_') or type(error).__name__
    return f'It cannot be deserialized ({detail[:200]}); its recording or its sender is torn.'


def sensor_content(message: Any, message_type: str) -> AudioBlock | ImuSample:
    """
    Return what a message of one of the senses carries, by the rules that hold live as well.

    Raises:
        KwsImuError: the message cannot be used.

    """
    if message_type == AUDIO_TYPE:
        return audio_block_from_message(message)
    return imu_sample_from_message(message)


def sensor_topics(
    summary: BagSummary, audio_topic: str = AUDIO_TOPIC, imu_topic: str = IMU_TOPIC
) -> list[str]:
    """
    Return the absolute names of those of the two topics that a bag has.

    A topic of the usual name that carries something else is as good as missing
    (`unusable_topics` says so); one that was named must be what it should.

    Raises:
        KwsImuError: it has neither, or one that was named has another type.

    """
    found, wrong = [], []
    for name, usual, expected in (
        (audio_topic, AUDIO_TOPIC, AUDIO_TYPE),
        (imu_topic, IMU_TOPIC, IMU_TYPE),
    ):
        topic = summary.find(name, expected)
        if topic is None or topic.count == 0:
            continue
        if topic.type == expected and topic.encoding == CDR:
            found.append(topic.name)
            continue
        wrong.append(_wrong_type(summary, topic, expected))
        if absolute(name) != absolute(usual):
            raise KwsImuError(wrong[-1])
    if not found and wrong:
        raise KwsImuError(wrong[0])
    if not found:
        raise KwsImuError(
            f'Bag {printable(summary.path)} has messages neither on {absolute(audio_topic)} nor on '
            f'{absolute(imu_topic)}; name its audio or IMU topic (it holds {_listing(summary)}).'
        )
    return found


def unusable_topics(
    summary: BagSummary, audio_topic: str = AUDIO_TOPIC, imu_topic: str = IMU_TOPIC
) -> tuple[str, ...]:
    """Return a sentence for each of the two topics that a bag has but that is something else."""
    notes = []
    for name, expected, other in (
        (audio_topic, AUDIO_TYPE, 'the IMU alone is replayed'),
        (imu_topic, IMU_TYPE, 'the audio alone is replayed'),
    ):
        topic = summary.find(name, expected)
        if topic and topic.count and (topic.type != expected or topic.encoding != CDR):
            notes.append(f'{_wrong_type(summary, topic, expected).rstrip(".")}; {other}.')
    return tuple(notes)


def _wrong_type(summary: BagSummary, topic: TopicSummary, expected: str) -> str:
    kind = topic.type or 'message'
    if topic.encoding != CDR:
        kind += f' in {topic.encoding or "unknown"} encoding'
    return (
        f'Topic {topic.name} of bag {printable(summary.path)} is a {kind} where a '
        f'{expected} is needed; name the right topic (it holds {_listing(summary)}).'
    )


def _listing(summary: BagSummary) -> str:
    return ', '.join(f'{topic.name} ({topic.type})' for topic in summary.topics)


class _Key(NamedTuple):
    """What tells the topics of a bag apart: one name may carry several types."""

    name: str
    type: str
    encoding: str


class _Bag:
    """An open bag."""

    def __init__(self, path: Path, storages: Sequence[Storage]) -> None:
        self._path = path
        self._storages = storages
        self._keys = [
            {
                channel.number: _Key(channel.topic, channel.type, channel.encoding)
                for channel in storage.channels
            }
            for storage in storages
        ]
        self.keys: Counter[_Key] = Counter()
        for storage, keys in zip(storages, self._keys, strict=True):
            for channel in storage.channels:
                self.keys[keys[channel.number]] += channel.count
        self._clock_was_set = False
        self.summary = BagSummary(path, 0, 0, ())

    def summarize(self, notes: Sequence[str], promised: int | None) -> None:
        """Look at all times of recording; see `BagSummary`."""
        total = sum(self.keys.values())
        if total == 0:
            raise KwsImuError(f'Bag {printable(self._path)} holds no messages; record it again.')
        clock = ContinuingClock()
        start_ns = end_ns = None
        for storage, keys in zip(self._storages, self._keys, strict=True):
            for number, stamp_ns in storage.stamps():
                time_ns = clock.push(keys.get(number), stamp_ns)
                start_ns = time_ns if start_ns is None else min(start_ns, time_ns)
                end_ns = time_ns if end_ns is None else max(end_ns, time_ns)
        start_ns, end_ns = start_ns or 0, end_ns or 0
        self._clock_was_set = bool(clock.jumps)
        notes = [*notes]
        if promised is not None and promised != total:
            notes.append(
                f'The metadata.yaml of bag {printable(self._path)} counts {promised} messages and '
                f'its storage holds {total}, which were read; `ros2 bag reindex` makes it right.'
            )
        notes += (
            f'The clock of the recorder was set back by {-jump.by_ns / 1e9:.1f} s after '
            f'{(jump.at_ns - start_ns) / 1e9:.1f} s of bag {printable(self._path)}; the time goes '
            'on from there.'
            for jump in clock.jumps
        )
        topics = tuple(
            TopicSummary(key.name, key.type, count, key.encoding)
            for key, count in sorted(
                self.keys.items(), key=lambda item: (item[0].name, item[0].type)
            )
        )
        self.summary = BagSummary(self._path, start_ns, end_ns, topics, tuple(notes))

    def messages(self, wanted: Collection[_Key]) -> Iterator[RawMessage]:
        """Yield the messages of some topics that are CDR, in the order of recording."""
        wanted = {key for key in wanted if key.encoding == CDR}
        if not wanted:
            return
        try:
            if self._clock_was_set:
                clock = ContinuingClock()
                for place in range(len(self._storages)):
                    for message in self._of_storage(place, wanted, by_time=False):
                        stamp_ns = clock.push((message.topic, message.type), message.stamp_ns)
                        yield RawMessage(stamp_ns, message.topic, message.type, message.data)
            elif len(self._storages) == 1:
                yield from self._of_storage(0, wanted, by_time=True)
            else:
                yield from heapq.merge(
                    *(
                        self._of_storage(place, wanted, True)
                        for place in range(len(self._storages))
                    ),
                    key=lambda message: message.stamp_ns,
                )
        except DamagedFileError as error:
            raise damaged(self._path, error) from error

    def _of_storage(
        self, place: int, wanted: Collection[_Key], by_time: bool
    ) -> Iterator[RawMessage]:
        keys = {number: key for number, key in self._keys[place].items() if key in wanted}
        for stamp_ns, number, data in self._storages[place].messages(keys.keys(), by_time):
            key = keys[number]
            yield RawMessage(stamp_ns, key.name, key.type, data)


@contextlib.contextmanager
def _open_bag(path: Path) -> Iterator[_Bag]:
    """Open a bag for a `with` block; every failure to open it becomes one sentence."""
    path = Path(path)
    found = find_files(path)
    with open_storages(path, found.files) as storages:
        bag = _Bag(path, storages)
        try:
            bag.summarize(found.notes, found.promised)
        except DamagedFileError as error:
            raise damaged(path, error) from error
        yield bag
