"""Bags as other recorders, tools and people leave them: what can be read is read."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

from kws_imu_ros.audio.block import AudioBlock
from kws_imu_ros.bags.files import find_files
from kws_imu_ros.bags.reading import (
    AUDIO_TYPE,
    IMU_TYPE,
    BadMessages,
    read_raw,
    read_sensors,
    sensor_topics,
    summarize_bag,
    typestore,
    unusable_topics,
)
from kws_imu_ros.bags.writing import BagWriter
from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.imu.sample import ImuSample
from kws_imu_ros.messages.audio import audio_block_to_message
from kws_imu_ros.messages.decision import intent_to_message
from kws_imu_ros.messages.factory import BagMessages
from kws_imu_ros.messages.imu import imu_sample_to_message

SECOND_NS = 1_000_000_000
START_NS = 1_700_000_000 * SECOND_NS
STEP_NS = 20_000_000
COUNT = 50
MAGIC = b'\x89MCAP0\r\n'

Entry = tuple[int, str, str, bytes]


def entries(count: int = COUNT) -> list[Entry]:
    """Return `count` blocks and as many samples, in order: time, topic, type, CDR."""
    messages = BagMessages(typestore())
    found = []
    for i in range(count):
        block = AudioBlock(START_NS + i * STEP_NS, i, 16000, np.full(320, i, np.int16))
        sample = ImuSample(block.end_ns, (0.0, 0.0, 9.8), (0.0, 0.0, float(i)))
        for topic, kind, message in (
            ('/audio', AUDIO_TYPE, audio_block_to_message(block, messages)),
            ('/imu/data_raw', IMU_TYPE, imu_sample_to_message(sample, messages=messages)),
        ):
            data = bytes(typestore().serialize_cdr(message, kind))
            found.append((block.end_ns, topic, kind, data))
    return found


def write(
    path: Path,
    storage: StoragePlugin = StoragePlugin.MCAP,
    compression: CompressionMode = CompressionMode.NONE,
    content: list[Entry] | None = None,
) -> Path:
    """Write a bag with the library's own writer."""
    writer = Writer(path, version=8, storage_plugin=storage)
    if compression is not CompressionMode.NONE:
        writer.set_compression(compression, CompressionFormat.ZSTD)
    with writer:
        connections: dict[tuple[str, str], Any] = {}
        for stamp_ns, topic, kind, data in entries() if content is None else content:
            if (topic, kind) not in connections:
                connections[topic, kind] = writer.add_connection(topic, kind, typestore=typestore())
            writer.write(connections[topic, kind], stamp_ns, data)
    return path


def change_metadata(bag: Path, change: Callable[[dict], Any]) -> Path:
    path = bag / 'metadata.yaml'
    content = yaml.safe_load(path.read_text())
    change(content['rosbag2_bagfile_information'])
    path.write_text(yaml.safe_dump(content))
    return bag


def assert_whole(path: Path) -> None:
    contents = [message.content for message in read_sensors(path)]
    blocks = [content for content in contents if isinstance(content, AudioBlock)]
    assert [block.sequence for block in blocks] == list(range(COUNT))
    assert len(contents) == 2 * COUNT


def topics_of(info: dict) -> list[dict]:
    return info['topics_with_message_count']


def set_counts(info: dict, count: int) -> None:
    for topic in topics_of(info):
        topic['message_count'] = count
    info['message_count'] = count * len(topics_of(info))


def set_qos(info: dict, qos: Any) -> None:
    for topic in topics_of(info):
        topic['topic_metadata']['offered_qos_profiles'] = qos


@pytest.mark.parametrize('storage', [StoragePlugin.MCAP, StoragePlugin.SQLITE3])
@pytest.mark.parametrize(
    'change',
    [
        lambda info: info.update(storage_identifier=''),
        lambda info: info.pop('storage_identifier'),
        lambda info: info.update(storage_identifier='my_own_storage'),
        lambda info: info.update(version=99),
        lambda info: info.pop('duration'),
        lambda info: info.update(topics_with_message_count=[]),
        lambda info: info.update(relative_file_paths=['C:\\\\bags\\\\bag\\\\bag.x']),
        lambda info: set_counts(info, 0),
        lambda info: set_counts(info, 99),
        lambda info: set_qos(info, 'reliability: best_effort'),
        lambda info: set_qos(info, [1, 2]),
        lambda info: set_qos(info, None),
        lambda info: topics_of(info)[0]['topic_metadata'].update(type='my_msgs/msg/Own'),
    ],
)
def test_metadata_that_disagrees_with_the_storage_is_not_believed(tmp_path: Path, storage, change):
    assert_whole(change_metadata(write(tmp_path / 'bag', storage), change))


@pytest.mark.parametrize(
    'text', ['', 'rosbag2_bagfile_information: [1, 2]', '{', '\x80', '- a: [', 'x']
)
def test_metadata_that_is_none_is_noted(tmp_path: Path, text: str):
    bag = write(tmp_path / 'bag')
    (bag / 'metadata.yaml').write_bytes(text.encode('latin-1'))
    assert_whole(bag)
    (note,) = summarize_bag(bag).notes
    assert 'metadata.yaml cannot be read' in note


def test_counts_that_are_wrong_are_told_with_those_that_are_right(tmp_path: Path):
    bag = change_metadata(write(tmp_path / 'bag'), lambda info: set_counts(info, 75))
    (note,) = summarize_bag(bag).notes
    assert 'counts 150 messages and its storage holds 100' in note


def test_a_split_that_is_missing_is_told(tmp_path: Path):
    bag = write(tmp_path / 'bag')
    change_metadata(bag, lambda info: info['relative_file_paths'].append('bag_1.mcap'))
    assert_whole(bag)
    assert 'names bag_1.mcap, which is not there' in summarize_bag(bag).notes[0]


def test_splits_are_one_bag_with_and_without_metadata(tmp_path: Path):
    content = entries()
    bag = tmp_path / 'bag'
    bag.mkdir()
    for number in range(11):
        part = content[number * 10 : number * 10 + 10]
        if part:
            write(tmp_path / 'part', content=part)
            shutil.move(tmp_path / 'part' / 'part.mcap', bag / f'bag_{number}.mcap')
            shutil.rmtree(tmp_path / 'part')
    assert_whole(bag)
    shutil.copy(bag / 'bag_0.mcap', bag / 'other.mcap')
    with pytest.raises(KwsImuError, match=r'11 \.mcap or \.db3 files and no metadata'):
        summarize_bag(bag)


@pytest.mark.parametrize('mark', ['#', '?', '%41', ' ', 'ä', "'"])
@pytest.mark.parametrize('storage', [StoragePlugin.MCAP, StoragePlugin.SQLITE3])
def test_a_path_is_a_path_and_no_uri(tmp_path: Path, mark: str, storage: StoragePlugin):
    bag = write(tmp_path / 'bag', storage)
    (tmp_path / f'class {mark}41').mkdir()
    assert_whole(bag.rename(tmp_path / f'class {mark}41' / 'bag'))


def leave_open(database: Path, target: Path) -> None:
    """Copy a database as a power cut leaves it: the messages are in its write-ahead log."""
    work = target.parent / 'work.db3'
    with contextlib.closing(sqlite3.connect(work, isolation_level=None)) as connection:
        connection.execute('PRAGMA journal_mode=WAL')
        connection.execute('PRAGMA wal_autocheckpoint=0')
        with contextlib.closing(sqlite3.connect(database)) as source:
            for (sql,) in source.execute('SELECT sql FROM sqlite_master WHERE sql IS NOT NULL'):
                connection.execute(sql)
            for table in ('topics', 'messages'):
                rows = source.execute(f'SELECT * FROM {table}').fetchall()
                marks = ','.join('?' * len(rows[0]))
                connection.executemany(f'INSERT INTO {table} VALUES ({marks})', rows)
        # What lies there while the connection is open is what a power cut leaves.
        shutil.copy(work, target)
        shutil.copy(f'{work}-wal', f'{target}-wal')


def test_a_write_ahead_log_is_read_and_the_folder_left_alone(tmp_path: Path):
    whole = write(tmp_path / 'whole', StoragePlugin.SQLITE3)
    bag = tmp_path / 'bag'
    bag.mkdir()
    leave_open(whole / 'whole.db3', bag / 'bag.db3')
    (bag / 'work.db3').unlink()
    before = {path.name: path.read_bytes() for path in bag.iterdir()}
    assert before['bag.db3-wal']
    assert_whole(bag)
    assert_whole(bag / 'bag.db3')
    assert {path.name: path.read_bytes() for path in bag.iterdir()} == before


@pytest.mark.parametrize('bare', [False, True])
@pytest.mark.parametrize(
    ('storage', 'mode'),
    [
        (StoragePlugin.MCAP, CompressionMode.STORAGE),
        (StoragePlugin.MCAP, CompressionMode.MESSAGE),
        (StoragePlugin.MCAP, CompressionMode.FILE),
        (StoragePlugin.SQLITE3, CompressionMode.MESSAGE),
        (StoragePlugin.SQLITE3, CompressionMode.FILE),
    ],
)
def test_every_way_of_compression_is_read(tmp_path: Path, storage, mode, bare: bool):
    bag = write(tmp_path / 'bag', storage, mode)
    if bare:
        (bag / 'metadata.yaml').unlink()
    assert_whole(bag)


# MCAP by other tools


def text(value: str) -> bytes:
    return struct.pack('<I', len(value.encode())) + value.encode()


def record(opcode: int, body: bytes) -> bytes:
    return struct.pack('<BQ', opcode, len(body)) + body


def write_mcap(
    path: Path, content: list[Entry], profile: str = 'ros2', others: tuple[str, ...] = ()
) -> Path:
    """Write an MCAP without chunks and index, with a message of each other encoding in front."""
    out = bytearray(MAGIC + record(0x01, text(profile) + text('another recorder')))
    channels: dict[str, int] = {}

    def announce(topic: str, kind: str, schema: str, encoding: str) -> int:
        number = channels[topic] = len(channels) + 1
        out.extend(record(0x03, struct.pack('<H', number) + text(kind) + text(schema) + text('{}')))
        body = struct.pack('<HH', number, number) + text(topic) + text(encoding)
        qos = text('offered_qos_profiles') + text('- {history: ?}')
        out.extend(record(0x04, body + struct.pack('<I', len(qos)) + qos))
        return number

    def add(number: int, stamp_ns: int, data: bytes) -> None:
        out.extend(record(0x05, struct.pack('<HIQQ', number, 0, stamp_ns, stamp_ns) + data))

    for encoding in others:
        add(announce(f'/{encoding}', 'Battery', f'{encoding}schema', encoding), START_NS, b'{}')
    for stamp_ns, topic, kind, data in content:
        number = channels.get(topic) or announce(topic, kind, 'ros2msg', 'cdr')
        add(number, stamp_ns, data)
    out += record(0x0F, bytes(4)) + record(0x02, bytes(20)) + MAGIC
    path.write_bytes(out)
    return path


@pytest.mark.parametrize('profile', ['ros2', '', 'x-my-robot'])
def test_channels_that_nobody_asked_for_and_other_profiles_do_not_matter(
    tmp_path: Path, profile: str
):
    file = write_mcap(tmp_path / 'a.mcap', entries(), profile, ('json', 'protobuf', 'cbor', ''))
    assert_whole(file)
    assert [topic.encoding for topic in summarize_bag(file).topics].count('cdr') == 2


def test_messages_lie_in_any_order(tmp_path: Path):
    content = sorted(entries(), key=lambda entry: entry[1])
    for path in (write_mcap(tmp_path / 'a.mcap', content), write(tmp_path / 'b', content=content)):
        assert_whole(path)
        stamps = [message.stamp_ns for message in read_sensors(path)]
        assert stamps == sorted(stamps)
        assert summarize_bag(path).notes == ()


def test_a_type_in_its_short_form_is_known(tmp_path: Path):
    short = [
        (stamp, topic, kind.replace('/msg/', '/'), data) for stamp, topic, kind, data in entries()
    ]
    assert_whole(write_mcap(tmp_path / 'a.mcap', short))


def test_a_sense_of_another_type_or_encoding_is_replayed_without(tmp_path: Path):
    word = BagMessages(typestore())
    data = bytes(typestore().serialize_cdr(intent_to_message('go', word), 'std_msgs/msg/String'))
    other = [
        (stamp, topic, 'std_msgs/msg/String', data) if topic == '/audio' else entry
        for entry in entries()
        for stamp, topic, _, _ in [entry]
    ]
    bag = write(tmp_path / 'bag', content=other)
    summary = summarize_bag(bag)
    assert sensor_topics(summary) == ['/imu/data_raw']
    (note,) = unusable_topics(summary)
    assert 'Topic /audio' in note
    assert 'std_msgs/msg/String' in note
    assert 'the IMU alone is replayed' in note
    assert all(isinstance(m.content, ImuSample) for m in read_sensors(bag))


def test_a_topic_with_messages_of_two_types_gives_those_of_the_right_one(tmp_path: Path):
    word = BagMessages(typestore())
    data = bytes(typestore().serialize_cdr(intent_to_message('go', word), 'std_msgs/msg/String'))
    bag = write(
        tmp_path / 'bag', content=[(START_NS, '/audio', 'std_msgs/msg/String', data), *entries()]
    )
    assert_whole(bag)
    assert unusable_topics(summarize_bag(bag)) == ()


def test_a_clock_that_was_set_back_is_told_and_the_time_goes_on(tmp_path: Path):
    content = entries(600)
    back = [
        (stamp - (8 * SECOND_NS if i >= 500 else 0), topic, kind, data)
        for i, (stamp, topic, kind, data) in enumerate(content)
    ]
    for path in (
        write_mcap(tmp_path / 'a.mcap', back),
        write(tmp_path / 'b', content=back),
        write(tmp_path / 'c', StoragePlugin.SQLITE3, content=back),
    ):
        summary = summarize_bag(path)
        assert summary.duration_s == pytest.approx(599 * 0.02, abs=0.03)
        (note,) = summary.notes
        assert 'set back by 8.0 s after 5.0 s' in note
        found = list(read_sensors(path))
        blocks = [m.content for m in found if isinstance(m.content, AudioBlock)]
        assert [block.sequence for block in blocks] == list(range(600))
        stamps = [message.stamp_ns for message in found]
        assert stamps == sorted(stamps)
        assert stamps[-1] - stamps[0] == summary.end_ns - summary.start_ns


def test_a_recorder_whose_clock_is_set_back_records_on(tmp_path: Path):
    with BagWriter(tmp_path / 'bag') as writer:
        for i, (stamp, topic, kind, data) in enumerate(entries(600)):
            writer.add_topic(topic, kind)
            writer.write(topic, stamp - (9 * SECOND_NS if i >= 600 else 0), data)
    summary = summarize_bag(tmp_path / 'bag')
    assert summary.duration_s == pytest.approx(599 * 0.02, abs=0.03)
    assert summary.notes == ()


def test_bad_messages_are_counted_by_topic_and_kind(tmp_path: Path):
    content = entries()
    for i in (11, 13, 31):
        stamp, topic, kind, data = content[i]
        content[i] = (stamp, topic, kind, data[: len(data) // 2])
    bad = BadMessages()
    bag = write(tmp_path / 'bag', content=content)
    assert len(list(read_sensors(bag, bad=bad))) == 2 * COUNT - 3
    (sentence,) = bad.sentences(START_NS)
    assert sentence.startswith('3 messages on /imu/data_raw could not be used')
    assert 'at 0.12 s' in sentence


@pytest.mark.parametrize(
    ('name', 'sentence'),
    [('/dev/null', 'neither a file nor a folder'), ('x' * 5000, 'longer than the file system')],
)
def test_what_is_no_path_of_a_bag_is_refused(name: str, sentence: str):
    with pytest.raises(KwsImuError, match=sentence):
        find_files(Path(name))


def test_the_metadata_file_means_its_folder(tmp_path: Path):
    assert_whole(write(tmp_path / 'bag') / 'metadata.yaml')


def test_a_file_is_known_by_what_it_holds(tmp_path: Path):
    bag = write(tmp_path / 'bag')
    assert_whole((bag / 'bag.mcap').rename(tmp_path / 'download'))


def test_hidden_files_of_other_systems_are_passed_over(tmp_path: Path):
    bag = write(tmp_path / 'bag')
    (bag / 'metadata.yaml').unlink()
    (bag / '._bag.mcap').write_bytes(b'\0\x05\x16\x07')
    assert_whole(bag)


def test_raw_messages_of_other_encodings_are_left_out(tmp_path: Path):
    file = write_mcap(tmp_path / 'a.mcap', entries(), 'ros2', ('json',))
    assert list(read_raw(file, ['/json'])) == []


def test_a_row_without_a_payload_is_a_bad_message(tmp_path: Path):
    bag = write(tmp_path / 'bag', StoragePlugin.SQLITE3)
    with contextlib.closing(sqlite3.connect(bag / 'bag.db3')) as connection:
        connection.execute("UPDATE messages SET data = 'text' WHERE id = 20")
        connection.execute("UPDATE messages SET data = x'' WHERE id = 22")
        connection.commit()
    bad = BadMessages()
    assert len(list(read_sensors(bag, bad=bad))) == 2 * COUNT - 2
    assert bad.sentences(START_NS)[0].startswith('2 messages on /imu/data_raw')
