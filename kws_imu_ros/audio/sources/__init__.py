"""
Where audio comes from: one file a device, and sound files that are played as one.

Every source is a `Source` (sensing/source.py) that reads 16 kHz mono int16 in blocks of equal
length. The next device is a file here with a class that is made like `MicrophoneSource`, and a line
in `DEVICES`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from kws_imu_ros.audio.block import AudioBlock
from kws_imu_ros.audio.sources.microphone import MicrophoneSource, check_microphone
from kws_imu_ros.audio.sources.sound_file import FileSource
from kws_imu_ros.sensing.source import Source

__all__ = ['DEVICES', 'AudioDevice', 'AudioSource', 'DeviceKind', 'FileSource', 'MicrophoneSource']

AudioSource = Source[AudioBlock | None]


class AudioDevice(Source[AudioBlock | None], Protocol):
    """A source that listens now; device: what the next `open` looks for."""

    device: str

    @property
    def inverted(self) -> bool:
        """Return whether the channels cancel each other out, so that the loudest is taken."""
        ...


@dataclass(frozen=True)
class DeviceKind:
    """
    One kind of audio device.

    make: returns a source from (clock, device, block_ms, capture_rate, capture_channels); see
    `MicrophoneSource`. check: raises KwsImuError where a device of that name cannot be opened.
    """

    make: Callable[[Callable[[], int], str, int, int, int], AudioDevice]
    check: Callable[[str], None]


# By what the parameter `input` of the microphone node says; anything else is a sound file's path.
DEVICES: dict[str, DeviceKind] = {
    'microphone': DeviceKind(MicrophoneSource, check_microphone),
}
