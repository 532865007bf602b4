"""What is recorded can be read again, also when the disk runs full in the middle."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from rosbags.rosbag2 import Reader

from kws_imu_ros.audio.block import AudioBlock
from kws_imu_ros.bags.reading import read_sensors, summarize_bag, typestore
from kws_imu_ros.bags.writing import BagWriter, seal_mcap
from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.messages.audio import audio_block_to_message
from kws_imu_ros.messages.factory import BagMessages

REPOSITORY = Path(__file__).resolve().parents[2]
BLOCK_NS = 20_000_000


def block_message(index: int):
    samples = np.random.default_rng(index).integers(-999, 999, 320).astype(np.int16)
    block = AudioBlock(index * BLOCK_NS, index, 16000, samples)
    return audio_block_to_message(block, BagMessages(typestore()))


def write_blocks(writer: BagWriter, count: int) -> None:
    for index in range(count):
        writer.write_message('audio', index * BLOCK_NS, block_message(index))


def test_what_is_written_is_read_again(tmp_path: Path):
    with BagWriter(tmp_path / 'bag') as writer:
        write_blocks(writer, 120)
    contents = [message.content for message in read_sensors(tmp_path / 'bag')]
    assert [block.sequence for block in contents] == list(range(120))
    assert sorted(file.name for file in (tmp_path / 'bag').iterdir()) == [
        'bag.mcap',
        'metadata.yaml',
    ]


def test_the_same_messages_give_the_same_bytes(tmp_path: Path):
    for name in ('a', 'b'):
        (tmp_path / name).mkdir()
        with BagWriter(tmp_path / name / 'bag', compress=True) as writer:
            write_blocks(writer, 30)
    first, second = ((tmp_path / name / 'bag' / 'bag.mcap').read_bytes() for name in ('a', 'b'))
    assert first == second


def test_topics_without_messages_are_announced(tmp_path: Path):
    with BagWriter(tmp_path / 'bag') as writer:
        writer.add_topic('command', 'std_msgs/msg/String')
        writer.add_topic('command', 'std_msgs/msg/String')
        write_blocks(writer, 1)
    assert summarize_bag(tmp_path / 'bag').find('/command').count == 0


def test_time_never_runs_backwards_in_a_bag(tmp_path: Path):
    with BagWriter(tmp_path / 'bag') as writer:
        writer.write_message('audio', 5 * BLOCK_NS, block_message(0))
        writer.write_message('audio', 2 * BLOCK_NS, block_message(1))
    stamps = [message.stamp_ns for message in read_sensors(tmp_path / 'bag')]
    assert stamps == [5 * BLOCK_NS, 5 * BLOCK_NS]


def test_most_of_a_recording_that_was_killed_is_on_the_disk(tmp_path: Path):
    writer = BagWriter(tmp_path / 'bag')
    write_blocks(writer, 250)
    # As kill -9 leaves it: no close, the file as the kernel has it.
    copy = tmp_path / 'copy.mcap'
    copy.write_bytes((tmp_path / 'bag' / 'bag.mcap').read_bytes())
    writer.close()
    seal_mcap(copy)
    assert 200 <= len(list(read_sensors(copy))) <= 250


def test_an_existing_folder_is_not_overwritten(tmp_path: Path):
    with pytest.raises(KwsImuError, match='exists already'):
        BagWriter(tmp_path)


def test_a_place_where_nothing_can_be_written_is_refused(tmp_path: Path):
    (tmp_path / 'file').touch()
    with pytest.raises(KwsImuError, match=r'No bag can be written to .*not a directory'):
        BagWriter(tmp_path / 'file' / 'bag')


@pytest.mark.skipif(os.geteuid() == 0, reason='root may write everywhere')
def test_a_folder_without_permission_is_refused(tmp_path: Path):
    tmp_path.chmod(0o500)
    with pytest.raises(KwsImuError, match='permission denied'):
        BagWriter(tmp_path / 'bag')
    tmp_path.chmod(0o700)


def test_a_type_that_is_not_standard_is_refused(tmp_path: Path):
    with (
        BagWriter(tmp_path / 'bag') as writer,
        pytest.raises(KwsImuError, match='not a standard message'),
    ):
        writer.add_topic('thing', 'my_msgs/msg/Thing')


def test_a_closed_bag_takes_no_messages_and_closes_twice(tmp_path: Path):
    writer = BagWriter(tmp_path / 'bag')
    write_blocks(writer, 1)
    writer.close()
    writer.close()
    assert not writer.is_open
    with pytest.raises(KwsImuError, match='is closed'):
        write_blocks(writer, 1)


# The limit on the size of a file stands in for a disk's end: the kernel refuses the write in the
# middle of a chunk, as a full disk does. It needs a process of its own.
FULL = """
import resource, sys
from pathlib import Path
sys.path.insert(0, 'test/bags')
from test_writing import BagWriter, KwsImuError, write_blocks
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
writer = BagWriter(Path(sys.argv[1]))
try:
    write_blocks(writer, 400)
    writer.close()
except KwsImuError as error:
    print(error)
print(writer.message_count, writer.is_open)
"""


@pytest.mark.parametrize('limit', [80_000, 150_000, 200_001, 299_999])
def test_a_full_disk_keeps_what_was_written(tmp_path: Path, limit: int):
    bag = tmp_path / 'bag'
    result = subprocess.run(
        [sys.executable, '-c', FULL, str(bag), str(limit)],
        cwd=REPOSITORY,
        env=dict(os.environ, PYTHONPATH=str(REPOSITORY)),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stderr
    sentence, counted = result.stdout.splitlines()
    assert sentence.startswith(f'Recording to {bag} stopped')
    kept = [message.content.sequence for message in read_sensors(bag)]
    assert kept == list(range(len(kept)))
    # A block is about 770 bytes; at most the second that was in memory may be lost.
    assert limit / 770 - 110 <= len(kept)
    assert counted == f'{len(kept)} False'
    assert f'the first {len(kept)} messages are kept' in sentence
    # Other tools read the bag by its metadata.
    with Reader(bag) as reader:
        assert reader.message_count == len(kept)


def test_a_really_full_disk_keeps_what_was_written():
    """The same on a tiny file system, where this machine lets us make one."""
    script = (
        'mount -t tmpfs -o size=250k tmpfs "$0" && '
        '"$1" -c "$2" "$0/bag" 10000000 && '
        '"$1" -c "from pathlib import Path; from kws_imu_ros.bags.reading import read_sensors; '
        "print(len(list(read_sensors(Path('$0/bag')))))\""
    )
    result = subprocess.run(
        ['unshare', '--mount', 'bash', '-c', script, '/mnt', sys.executable, FULL],
        cwd=REPOSITORY,
        env=dict(os.environ, PYTHONPATH=str(REPOSITORY)),
        capture_output=True,
        text=True,
        timeout=120,
    )
    if 'Operation not permitted' in result.stderr or 'permission denied' in result.stderr.lower():
        pytest.skip('this user may not mount a file system')
    assert result.returncode == 0, result.stderr
    sentence, counted, read = result.stdout.splitlines()
    assert 'the disk is full' in sentence
    assert counted == f'{read} False'
    assert int(read) > 50


def test_sealing_what_is_no_mcap_is_refused(tmp_path: Path):
    (tmp_path / 'x.mcap').write_bytes(b'hello, I am not a bag')
    with pytest.raises(KwsImuError, match='not an MCAP'):
        seal_mcap(tmp_path / 'x.mcap')
