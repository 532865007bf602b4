"""What may stand behind input:= and imu:=."""

from __future__ import annotations

from pathlib import Path

import pytest

from kws_imu_ros.bringup.robot_input import InputKind, RobotInput, imu_parameters, parse_input
from kws_imu_ros.errors import KwsImuError

MICROPHONE_INPUT = RobotInput(InputKind.MICROPHONE)


def test_the_kinds_of_input(tmp_path: Path):
    sound = tmp_path / 'talk.FLAC'
    sound.touch()
    bag = tmp_path / 'bag'
    bag.mkdir()
    (bag / 'metadata.yaml').touch()
    mcap = tmp_path / 'talk.mcap'
    mcap.touch()
    assert parse_input('microphone') == MICROPHONE_INPUT
    assert parse_input(str(sound)) == RobotInput(InputKind.FILE, sound)
    assert parse_input(str(bag)) == RobotInput(InputKind.BAG, bag)
    assert parse_input(str(mcap)) == RobotInput(InputKind.BAG, mcap)
    demo = parse_input('demo')
    assert demo.kind is InputKind.BAG
    assert (demo.path / 'metadata.yaml').is_file()


def test_what_is_no_input_gives_one_sentence(tmp_path: Path):
    text = tmp_path / 'notes.txt'
    text.touch()
    for value, sentence in (
        ('', 'empty path'),
        ('micro', "'micro' is neither"),
        (str(tmp_path), 'has no metadata.yaml'),
        (str(text), 'neither a sound file'),
    ):
        with pytest.raises(KwsImuError, match=sentence):
            parse_input(value)


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
