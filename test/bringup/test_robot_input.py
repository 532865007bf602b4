"""What may stand behind input:= and imu:=."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from kws_imu_ros.bags.files import find_files
from kws_imu_ros.bringup.robot_input import InputKind, RobotInput, imu_parameters, parse_input
from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.resources import share_path

MICROPHONE_INPUT = RobotInput(InputKind.MICROPHONE)


def test_the_kinds_of_input(tmp_path: Path):
    sound = tmp_path / 'talk.FLAC'
    sound.touch()
    assert parse_input('microphone') == MICROPHONE_INPUT
    assert parse_input(str(sound)) == RobotInput(InputKind.FILE, sound)
    demo = parse_input('demo')
    assert demo.kind is InputKind.BAG
    assert (demo.path / 'metadata.yaml').is_file()


def test_what_is_no_input_gives_one_sentence(tmp_path: Path):
    text = tmp_path / 'notes.txt'
    text.touch()
    for value, sentence in (
        ('', 'empty path'),
        ('micro', "'micro' is neither"),
        (str(tmp_path), 'is not a rosbag2: it has no .mcap or .db3 file'),
        (str(text), 'neither a sound file'),
    ):
        with pytest.raises(KwsImuError, match=sentence):
            parse_input(value)


@pytest.mark.parametrize('name', ['bag', 'bag/metadata.yaml', 'bag/bag.mcap', 'words.dat'])
def test_whatever_replay_takes_for_a_bag_is_one(tmp_path: Path, name: str):
    shutil.copytree(share_path('demo', 'bag'), tmp_path / 'bag')
    (recording,) = (tmp_path / 'bag').glob('*.mcap')
    shutil.copy(recording, tmp_path / 'words.dat')
    recording.rename(tmp_path / 'bag' / 'bag.mcap')
    path = tmp_path / name
    assert find_files(path).files
    assert parse_input(str(path)) == RobotInput(InputKind.BAG, path)


def test_a_bag_folder_without_metadata_is_one(tmp_path: Path):
    (recording,) = share_path('demo', 'bag').glob('*.mcap')
    shutil.copy(recording, tmp_path)
    assert parse_input(str(tmp_path)) == RobotInput(InputKind.BAG, tmp_path)


@pytest.mark.parametrize('content', [b'', b'no bag at all'])
def test_what_replay_says_of_a_damaged_bag_is_said_of_an_input(tmp_path: Path, content: bytes):
    path = tmp_path / 'talk.mcap'
    path.write_bytes(content)
    with pytest.raises(KwsImuError) as replay:
        find_files(path)
    with pytest.raises(KwsImuError) as run:
        parse_input(str(path))
    assert str(run.value) == str(replay.value)


def test_the_kinds_of_imu(tmp_path: Path):
    recording = tmp_path / 'swipe.csv'
    recording.touch()
    bag = RobotInput(InputKind.BAG, tmp_path)
    assert imu_parameters('auto', MICROPHONE_INPUT) == {'wait_for_device': True}
    assert imu_parameters('auto', bag) is None, 'a bag brings its own'
    assert imu_parameters('none', MICROPHONE_INPUT) is None
    assert imu_parameters('mpu6050', bag) == {'input': 'mpu6050'}
    assert imu_parameters(str(recording), bag) == {'input': 'file', 'file': str(recording)}
    with pytest.raises(KwsImuError, match='nor an existing recording'):
        imu_parameters('bluetooth', MICROPHONE_INPUT)


@pytest.mark.parametrize('content', [b'', b'#ROSBAG V2.0\n', b'cut off'])
def test_a_bag_of_ros_1_gets_the_hint_that_replay_gives(tmp_path: Path, content: bytes):
    bag = tmp_path / 'talk.bag'
    bag.write_bytes(content)
    with pytest.raises(KwsImuError, match='bag of ROS 1, not a rosbag2; `rosbags-convert`'):
        parse_input(str(bag))


def test_a_zip_gets_no_hint_about_ros_1(tmp_path: Path):
    path = tmp_path / 'talk.zip'
    path.write_bytes(b'PK\x03\x04' + bytes(60))
    with pytest.raises(KwsImuError) as info:
        parse_input(str(path))
    assert 'rosbags-convert' not in str(info.value)
