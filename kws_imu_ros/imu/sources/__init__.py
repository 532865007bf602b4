"""
Where IMU samples come from: one file a device, and recordings that are played as one.

Every source is a `Source` (sensing/source.py) that reads the samples that came, maybe none, in
m/s^2 and rad/s. The next device is a file here with a class, what it needs to know a field of
`ImuSettings`, and a line in `KINDS`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.imu.sample import ImuSample
from kws_imu_ros.imu.sources.mpu6050 import Mpu6050Source
from kws_imu_ros.imu.sources.recording import RecordingSource
from kws_imu_ros.imu.sources.serial_line import SerialSource
from kws_imu_ros.sensing.source import Source

__all__ = [
    'KINDS',
    'ImuSettings',
    'ImuSource',
    'Mpu6050Source',
    'RecordingSource',
    'SerialSource',
    'make_source',
]


class ImuSource(Source[list[ImuSample]], Protocol):
    """
    A source of samples.

    notes: what people should know of it, one sentence each; it may be more once it was opened.
    """

    notes: tuple[str, ...]


@dataclass(frozen=True)
class ImuSettings:
    """
    What the sources need to know; each reads its own part.

    port, baud_rate: of a serial line. i2c_bus, i2c_address, rate_hz, acceleration_range_g,
    rotation_range_deg_s: of an MPU-6050. file, repeat: of a recording.
    """

    port: str = '/dev/ttyACM0'
    baud_rate: int = 115200
    i2c_bus: int = 1
    i2c_address: int = 0x68
    rate_hz: int = 100
    acceleration_range_g: int = 8
    rotation_range_deg_s: int = 1000
    file: str = ''
    repeat: bool = False


def _serial(clock: Callable[[], int], settings: ImuSettings) -> ImuSource:
    return SerialSource(clock, settings.port, settings.baud_rate)


def _mpu6050(clock: Callable[[], int], settings: ImuSettings) -> ImuSource:
    return Mpu6050Source(
        clock,
        settings.i2c_bus,
        settings.i2c_address,
        settings.rate_hz,
        settings.acceleration_range_g,
        settings.rotation_range_deg_s,
    )


def _recording(clock: Callable[[], int], settings: ImuSettings) -> ImuSource:
    return RecordingSource(clock, settings.file, settings.repeat)


RECORDING = 'file'
# By what the parameter `input` of the imu node says.
KINDS: dict[str, Callable[[Callable[[], int], ImuSettings], ImuSource]] = {
    'serial': _serial,
    'mpu6050': _mpu6050,
    RECORDING: _recording,
}


def make_source(kind: str, clock: Callable[[], int], settings: ImuSettings) -> ImuSource:
    """
    Return a source, not yet opened.

    Args:
        kind: a key of `KINDS`.
        clock: returns ROS time in ns.
        settings: of all sources.

    Raises:
        KwsImuError: there is no such kind, a setting is out of range, or a recording cannot be
            used.

    """
    make = KINDS.get(kind)
    if make is None:
        raise KwsImuError(
            f'The parameter input of the imu node is {kind!r}; choose one of {", ".join(KINDS)}.'
        )
    return make(clock, settings)
