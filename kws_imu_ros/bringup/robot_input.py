"""Where the robot's audio and IMU come from: the bundled demo, devices, files or a bag."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kws_imu_ros.audio.sound_file import SOUND_SUFFIXES, is_sound_file, what_it_is
from kws_imu_ros.bags.files import SUFFIXES, find_files, is_bag_file, refuse_ros_1
from kws_imu_ros.errors import KwsImuError, printable
from kws_imu_ros.resources import share_path, user_path

# What a person may say beside a path.
DEMO = 'demo'
MICROPHONE = 'microphone'

AUTO, NONE, SERIAL, MPU6050 = 'auto', 'none', 'serial', 'mpu6050'


class InputKind(enum.Enum):
    """What the robot listens to; the demo is a bag."""

    MICROPHONE = enum.auto()
    FILE = enum.auto()
    BAG = enum.auto()


@dataclass(frozen=True)
class RobotInput:
    """
    Where audio and IMU come from.

    path: of the sound file or bag; None for the microphone.
    """

    kind: InputKind
    path: Path | None = None


def parse_input(text: str) -> RobotInput:
    """
    Tell a microphone, a sound file and a bag apart.

    Args:
        text: 'demo', 'microphone', or the path of a sound file or of a bag: whatever `replay` takes
            for one.

    Raises:
        KwsImuError: the text is none of them.

    """
    if text == DEMO:
        return RobotInput(InputKind.BAG, share_path('demo', 'bag'))
    if text == MICROPHONE:
        return RobotInput(InputKind.MICROPHONE)
    path = user_path(text)
    if not path.exists():
        raise KwsImuError(
            f'The input {printable(text)!r} is neither {DEMO!r} nor {MICROPHONE!r} nor an existing '
            'file or bag; check the path.'
        )
    if path.is_dir() or is_bag_file(path):
        find_files(path)  # It says what is wrong with a bag.
        return RobotInput(InputKind.BAG, path)
    # What is called a sound but is none gets the sentence of those who read it.
    if path.suffix.lower() in SOUND_SUFFIXES or is_sound_file(path):
        return RobotInput(InputKind.FILE, path)
    refuse_ros_1(path)
    what = what_it_is(path)
    raise KwsImuError(
        f'The input {path} is neither a sound file (such as {", ".join(SOUND_SUFFIXES[:3])}) nor a '
        f'bag ({", ".join(SUFFIXES)} or its folder)' + (f': it is {what}.' if what else '.')
    )


def imu_parameters(imu: str, source: RobotInput) -> dict[str, Any] | None:
    """
    Return parameters of the imu node, or None for no such node.

    Args:
        imu: 'none' (absent, or published by another driver), 'serial', 'mpu6050', the path of a
            recording, or 'auto': a serial board if there is one with a microphone, else none.
        source: what the robot listens to.

    Raises:
        KwsImuError: the recording does not exist.

    """
    if imu == NONE or (imu == AUTO and source.kind is not InputKind.MICROPHONE):
        return None
    if imu == AUTO:
        # Voice alone works: a missing board is reported and looked for, and stops nothing.
        return {'wait_for_device': True}
    if imu in (SERIAL, MPU6050):
        return {'input': imu}
    path = user_path(imu)
    if not path.is_file():
        raise KwsImuError(
            f'The IMU {printable(imu)!r} is neither auto, none, serial nor mpu6050 nor an existing '
            'recording; check the path.'
        )
    return {'input': 'file', 'file': str(path)}
