"""Any rosbag2 can be read, and each way in which one can be bad is one clear sentence."""

from __future__ import annotations

import itertools
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rosbags.rosbag2 import StoragePlugin, Writer

from kws_imu_ros.audio.block import AudioBlock
from kws_imu_ros.bags.reading import (
    AUDIO_TYPE,
    IMU_TYPE,
    BadMessages,
    read_raw,
    read_sensors,
    sensor_topics,
    summarize_bag,
    typestore,
)
from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.imu.sample import ImuSample
from kws_imu_ros.messages.audio import audio_block_to_message
from kws_imu_ros.messages.decision import intent_to_message
from kws_imu_ros.messages.factory import BagMessages
from kws_imu_ros.messages.imu import imu_sample_to_message

REPOSITORY = Path(__file__).resolve().parents[2]
DEMO = REPOSITORY / 'demo' / 'bag'
SECOND_NS = 1_000_000_000


@pytest.fixture
def razor(test_data: Path) -> Path:
    return test_data / 'rosbags' / 'sparkfun_razor'


def blocks(count: int) -> list[AudioBlock]:
    rng = np.random.default_rng(0)
    return [
        AudioBlock(
            SECOND_NS + i * 20_000_000, i, 16000, rng.integers(-999, 999, 320).astype(np.int16)
        )
        for i in range(count)
    ]


def write_bag(path: Path, storage: StoragePlugin = StoragePlugin.MCAP, intents: int = 0) -> Path:
    """Write a bag of 10 audio blocks and 10 IMU samples with the library's own writer."""
    messages = BagMessages(typestore())
    with Writer(path, version=8, storage_plugin=storage) as writer:
        audio = writer.add_connection('/audio', AUDIO_TYPE, typestore=typestore())
        imu = writer.add_connection('/imu/data_raw', IMU_TYPE, typestore=typestore())
        command = writer.add_connection('/command', 'std_msgs/msg/String', typestore=typestore())

        def write(connection, stamp_ns: int, message) -> None:
            data = typestore().serialize_cdr(message, message.__msgtype__)
            writer.write(connection, stamp_ns, data)

        for block in blocks(10):
            write(audio, block.end_ns, audio_block_to_message(block, messages))
            sample = ImuSample(block.end_ns + 1, (0.0, 0.0, 9.8), (0.1, 0.2, 0.3))
            write(imu, sample.stamp_ns, imu_sample_to_message(sample, messages=messages))
        for i in range(intents):
            write(command, 2 * SECOND_NS + i, intent_to_message('go', messages))
    return path


def assert_one_sentence(error: KwsImuError) -> None:
    text = str(error)
    assert '\n' not in text
    assert text[0].isupper() or text[0] == '/'
    assert text.endswith('.')
    assert 'Traceback' not in text


def test_the_demo_bag_is_what_its_readme_says():
    summary = summarize_bag(DEMO)
    assert 40 <= summary.duration_s <= 60
    assert {topic.name: topic.type for topic in summary.topics} == {
        '/audio': AUDIO_TYPE,
        '/imu/data_raw': IMU_TYPE,
    }
    assert sum(file.stat().st_size for file in DEMO.iterdir()) < 3_000_000


def test_the_demo_bag_holds_gapless_audio_and_si_units_in_order():
    messages = list(read_sensors(DEMO))
    stamps = [message.stamp_ns for message in messages]
    assert stamps == sorted(stamps)
    audio = [m.content for m in messages if isinstance(m.content, AudioBlock)]
    assert [block.sequence for block in audio] == list(range(len(audio)))
    assert {len(block.samples) for block in audio} == {320}
    assert all(b.stamp_ns == a.end_ns for a, b in itertools.pairwise(audio))
    imu = [m.content for m in messages if isinstance(m.content, ImuSample)]
    gravity = np.median(np.linalg.norm([s.linear_acceleration for s in imu], axis=1))
    assert 9.3 < gravity < 10.3


@pytest.mark.parametrize('storage', [StoragePlugin.MCAP, StoragePlugin.SQLITE3])
@pytest.mark.parametrize('bare', [False, True])
def test_both_storages_are_read_as_a_folder_and_as_a_bare_file(
    tmp_path: Path, storage: StoragePlugin, bare: bool
):
    bag = write_bag(tmp_path / 'bag', storage)
    if bare:
        bag = next(file for file in bag.iterdir() if file.suffix in ('.mcap', '.db3'))
    contents = [message.content for message in read_sensors(bag)]
    read = [item for item in contents if isinstance(item, AudioBlock)]
    for expected, block in zip(blocks(10), read, strict=True):
        assert block.stamp_ns == expected.stamp_ns
        assert block.sequence == expected.sequence
        np.testing.assert_array_equal(block.samples, expected.samples)
    assert sum(isinstance(item, ImuSample) for item in contents) == 10


def test_a_folder_without_metadata_is_read_by_its_only_file(tmp_path: Path):
    bag = write_bag(tmp_path / 'bag')
    (bag / 'metadata.yaml').unlink()
    assert len(list(read_sensors(bag))) == 20


def test_a_foreign_bag_of_a_real_driver_is_read(razor: Path):
    samples = [message.content for message in read_sensors(razor)]
    assert len(samples) == 332
    assert all(isinstance(sample, ImuSample) for sample in samples)
    assert summarize_bag(razor).find('imu/mag').type == 'sensor_msgs/msg/MagneticField'


def test_one_sense_alone_is_enough_and_its_topic_can_be_named(tmp_path: Path):
    summary = summarize_bag(write_bag(tmp_path / 'bag'))
    assert sensor_topics(summary, 'nowhere', '/imu/data_raw') == ['/imu/data_raw']
    assert sensor_topics(summary, 'audio', 'nowhere') == ['/audio']


def test_raw_messages_come_as_bytes_of_the_topics_asked_for(tmp_path: Path):
    bag = write_bag(tmp_path / 'bag', intents=3)
    messages = list(read_raw(bag, ['command']))
    assert [message.topic for message in messages] == ['/command'] * 3
    content = typestore().deserialize_cdr(messages[0].data, messages[0].type)
    assert content.data == 'go'


def test_a_bag_without_the_topics_names_those_it_has(razor: Path):
    with pytest.raises(
        KwsImuError, match=r'neither on /audio nor on /wrist.*/imu/data_raw'
    ) as info:
        list(read_sensors(razor, imu_topic='wrist'))
    assert_one_sentence(info.value)


def test_a_topic_of_another_type_is_refused(razor: Path):
    with pytest.raises(KwsImuError, match='MagneticField where a sensor_msgs/msg/Imu') as info:
        list(read_sensors(razor, imu_topic='/imu/mag'))
    assert_one_sentence(info.value)


def test_a_raw_topic_that_is_missing_is_refused(razor: Path):
    with pytest.raises(KwsImuError, match='has no topic /command') as info:
        list(read_raw(razor, ['command']))
    assert_one_sentence(info.value)


def test_a_bag_without_messages_is_refused(tmp_path: Path):
    with Writer(tmp_path / 'bag', version=8, storage_plugin=StoragePlugin.MCAP) as writer:
        writer.add_connection('/audio', AUDIO_TYPE, typestore=typestore())
    with pytest.raises(KwsImuError, match='holds no messages') as info:
        list(read_sensors(tmp_path / 'bag'))
    assert_one_sentence(info.value)


def make_missing(path: Path) -> None:
    """Leave nothing at the path."""


def make_folder(path: Path) -> None:
    path.mkdir()


def make_empty_file(path: Path) -> None:
    path.touch()


def make_text(path: Path) -> None:
    path.write_text('this is no bag')


@pytest.mark.parametrize(
    ('name', 'make', 'sentence'),
    [
        ('bag', make_missing, 'There is no bag'),
        ('bag', make_folder, 'not a rosbag2'),
        ('bag.bag', make_text, 'not a rosbag2'),
        ('bag.mcap', make_empty_file, 'empty file'),
        ('bag.db3', make_empty_file, 'empty file'),
        ('bag.mcap', make_text, 'truncated or damaged'),
        ('bag.db3', make_text, 'truncated or damaged'),
    ],
)
def test_what_is_no_bag_is_refused(tmp_path: Path, name: str, make, sentence: str):
    make(tmp_path / name)
    with pytest.raises(KwsImuError, match=sentence) as info:
        list(read_sensors(tmp_path / name))
    assert_one_sentence(info.value)


@pytest.mark.skipif(os.geteuid() == 0, reason='root may read everything')
def test_a_bag_that_may_not_be_read_is_refused(tmp_path: Path):
    bag = write_bag(tmp_path / 'bag')
    next(bag.glob('*.mcap')).chmod(0)
    with pytest.raises(KwsImuError) as info:
        list(read_sensors(bag))
    assert_one_sentence(info.value)


@pytest.mark.parametrize('storage', [StoragePlugin.MCAP, StoragePlugin.SQLITE3])
@pytest.mark.parametrize('share', [0.02, 0.3, 0.6, 0.9, 0.999])
def test_a_truncated_bag_is_refused(tmp_path: Path, storage: StoragePlugin, share: float):
    bag = write_bag(tmp_path / 'bag', storage)
    file = next(path for path in bag.iterdir() if path.suffix in ('.mcap', '.db3'))
    os.truncate(file, int(file.stat().st_size * share))
    try:
        messages = list(read_sensors(bag))
    except KwsImuError as error:
        assert_one_sentence(error)
    else:
        # The end of a sqlite3 file may be padding.
        assert storage is StoragePlugin.SQLITE3
        assert len(messages) == 20


@pytest.fixture(scope='module')
def sound_file(tmp_path_factory) -> bytes:
    bag = write_bag(tmp_path_factory.mktemp('sound') / 'bag')
    return next(bag.glob('*.mcap')).read_bytes()


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_a_bag_with_flipped_bytes_is_read_or_refused_in_a_sentence(
    tmp_path: Path, sound_file: bytes, data: st.DataObject
):
    broken = bytearray(sound_file)
    for _ in range(data.draw(st.integers(1, 4))):
        broken[data.draw(st.integers(0, len(broken) - 1))] = data.draw(st.integers(0, 255))
    file = tmp_path / 'broken.mcap'
    file.write_bytes(bytes(broken))
    try:
        list(read_sensors(file))
    except KwsImuError as error:
        assert '\n' not in str(error)


def test_a_message_that_is_no_audio_of_ours_is_left_out(tmp_path: Path):
    messages = BagMessages(typestore())
    foreign = messages.make(
        AUDIO_TYPE,
        layout=messages.make('std_msgs/msg/MultiArrayLayout', dim=[], data_offset=0),
        data=np.zeros(320, np.int16),
    )
    with Writer(tmp_path / 'bag', version=8, storage_plugin=StoragePlugin.MCAP) as writer:
        connection = writer.add_connection('/audio', AUDIO_TYPE, typestore=typestore())
        writer.write(connection, 0, typestore().serialize_cdr(foreign, AUDIO_TYPE))
    bad = BadMessages()
    assert list(read_sensors(tmp_path / 'bag', bad=bad)) == []
    (sentence,) = bad.sentences(0)
    assert sentence.startswith('1 message on /audio could not be used')
    assert 'dimensions' in sentence


def test_a_copy_under_another_name_is_the_same_bag(tmp_path: Path):
    shutil.copytree(DEMO, tmp_path / 'copy')
    assert summarize_bag(tmp_path / 'copy').topics == summarize_bag(DEMO).topics
