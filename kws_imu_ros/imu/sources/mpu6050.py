"""An MPU-6050, or a relative with its registers, on an I2C bus."""

from __future__ import annotations

import errno
import math
import statistics
import time
from collections.abc import Callable
from typing import Protocol

from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.imu.calibration import STANDARD_GRAVITY
from kws_imu_ros.imu.sample import ImuSample

SECOND_NS = 1_000_000_000
DEGREE = math.pi / 180.0

# Register map: InvenSense RM-MPU-6000A-00, revision 4.2.
_SMPLRT_DIV = 0x19
_CONFIG = 0x1A
_GYRO_CONFIG = 0x1B
_ACCEL_CONFIG = 0x1C
_INT_STATUS = 0x3A
_ACCEL_XOUT_H = 0x3B
_PWR_MGMT_1 = 0x6B
_WHO_AM_I = 0x75
# What WHO_AM_I says on the MPU-6050 and on relatives with the same registers.
_KNOWN_IDS = {0x68: 'MPU-6050', 0x70: 'MPU-6500', 0x71: 'MPU-9250', 0x73: 'MPU-9255'}
# Later relatives, and what copies on cheap boards say (some of them at random): read where they
# measure gravity as an MPU-6050 does.
_RELATIVES = {
    0x11: 'ICM-20600', 0x12: 'ICM-20602', 0x19: 'MPU-6886', 0x74: 'MPU-6515', 0x78: 'MPU-6880',
    0x98: 'ICM-20689', 0xA9: 'IAM-20680', 0xAC: 'ICM-20608', 0xAE: 'ICM-20608-D',
    0xAF: 'ICM-20608-G',
}  # fmt: skip
# A bus whose lines are held low or float.
_NO_CHIP = (0x00, 0xFF)
# PWR_MGMT_1 of the whole family: asleep or awake, on its own clock or the gyroscope's.
_POWER_STATES = (0x00, 0x01, 0x40, 0x41)
_PROBE_SAMPLES = 25
_PROBE_NS = 2 * SECOND_NS
_GRAVITY_RANGE = (0.85 * STANDARD_GRAVITY, 1.15 * STANDARD_GRAVITY)
_ACCELERATION_RANGES_G = {2: 0, 4: 1, 8: 2, 16: 3}
_ROTATION_RANGES_DEG_S = {250: 0, 500: 1, 1000: 2, 2000: 3}


class Bus(Protocol):
    """The part of smbus2.SMBus that is used."""

    def read_byte_data(self, address: int, register: int) -> int:
        """Read one register."""

    def write_byte_data(self, address: int, register: int, value: int) -> None:
        """Write one register."""

    def read_i2c_block_data(self, address: int, register: int, length: int) -> list[int]:
        """Read consecutive registers."""

    def close(self) -> None:
        """Close the bus."""


class Mpu6050Source:
    """Read an MPU-6050 or a relative on an I2C bus."""

    # A loose wire makes single transfers fail; this many in a row mean that the sensor is gone.
    PATIENCE = 20

    def __init__(
        self,
        clock: Callable[[], int],
        bus_number: int = 1,
        address: int = 0x68,
        rate_hz: int = 100,
        acceleration_range_g: int = 8,
        rotation_range_deg_s: int = 1000,
        open_bus: Callable[[int], Bus] | None = None,
    ) -> None:
        """
        Remember what to open.

        clock: returns ROS time in ns; bus_number: 1 for /dev/i2c-1; address: 0x68, or 0x69 with
        AD0 high; rate_hz: 4 to 200; ranges: 2, 4, 8 or 16 g and 250, 500, 1000 or 2000 deg/s;
        open_bus: returns the bus of a number, smbus2.SMBus unless given.

        Raises:
            KwsImuError: a value is out of range.

        """
        if not 4 <= rate_hz <= 200:
            raise KwsImuError(f'rate_hz is {rate_hz} but must be 4 to 200 for an MPU-6050.')
        if not 0x08 <= address <= 0x77:
            raise KwsImuError(
                f'i2c_address is {address:#04x} but an MPU-6050 is at 0x68 (104) or 0x69 (105).'
            )
        if acceleration_range_g not in _ACCELERATION_RANGES_G:
            raise KwsImuError(
                f'acceleration_range_g is {acceleration_range_g} but must be 2, 4, 8 or 16.'
            )
        if rotation_range_deg_s not in _ROTATION_RANGES_DEG_S:
            raise KwsImuError(
                f'rotation_range_deg_s is {rotation_range_deg_s} but must be 250, 500, 1000 or '
                '2000.'
            )
        self._clock = clock
        self._bus_number = bus_number
        self._address = address
        self._divider = round(1000 / rate_hz) - 1
        self._period_s = (self._divider + 1) / 1000
        self._acceleration_code = _ACCELERATION_RANGES_G[acceleration_range_g]
        self._rotation_code = _ROTATION_RANGES_DEG_S[rotation_range_deg_s]
        self._acceleration_lsb = acceleration_range_g * STANDARD_GRAVITY / 32768.0
        self._rotation_lsb = rotation_range_deg_s * DEGREE / 32768.0
        self._open_bus = open_bus
        self._bus: Bus | None = None
        self._samples = self._errors = self._saturated = self._errors_in_a_row = 0
        self._where = f'at {address:#04x} on I2C bus {bus_number}'
        self.description = f'MPU-6050 {self._where}'
        self.notes: tuple[str, ...] = ()

    @property
    def finished(self) -> bool:
        """Return False: a sensor has no end."""
        return False

    def open(self) -> None:
        """
        Wake the sensor and set its rate, filter and ranges.

        Raises:
            KwsImuError: smbus2, the bus or the sensor is missing, or another chip answers.

        """
        open_bus = self._open_bus
        if open_bus is None:
            try:
                import smbus2
            except ImportError as error:
                raise KwsImuError(
                    'The Python package smbus2 is missing; run pip install smbus2.'
                ) from error
            open_bus = smbus2.SMBus
        try:
            self._bus = open_bus(self._bus_number)
        except OSError as error:
            path = f'/dev/i2c-{self._bus_number}'
            if error.errno in (errno.EACCES, errno.EPERM):
                raise KwsImuError(
                    f'No permission to open {path}; run sudo usermod -aG i2c $USER, then log in '
                    'again.'
                ) from error
            raise KwsImuError(
                f'{path} cannot be opened ({error.strerror}); switch I2C on, for instance with '
                'raspi-config, or correct the parameter i2c_bus.'
            ) from error
        self.notes = ()
        try:
            identity = self._bus.read_byte_data(self._address, _WHO_AM_I)
            self._check_identity(identity)
            self._set_up()
        except OSError as error:
            self.close()
            raise KwsImuError(
                f'No sensor answers {self._where} ({error.strerror or error}); check its wiring '
                'and i2c_address.'
            ) from error
        except KwsImuError:
            self.close()
            raise
        name = _KNOWN_IDS.get(identity) or _RELATIVES.get(identity, f'chip {identity:#04x}')
        self.description = f'{name} {self._where}'
        self._errors_in_a_row = 0
        self._next_poll_ns = time.monotonic_ns()
        self._heard_ns = time.monotonic_ns()
        if identity not in _KNOWN_IDS:
            self._probe(identity)

    def read(self, timeout_s: float) -> list[ImuSample]:
        """
        Return the next sample, or nothing when none was ready within `timeout_s`.

        Raises:
            KwsImuError: the sensor no longer answers; `open` may be tried again.

        """
        if self._bus is None:
            raise KwsImuError('The I2C sensor was read before it was opened.')
        deadline_ns = time.monotonic_ns() + int(timeout_s * SECOND_NS)
        while True:
            wait_ns = min(self._next_poll_ns, deadline_ns) - time.monotonic_ns()
            if wait_ns > 0:
                time.sleep(wait_ns / SECOND_NS)
            if time.monotonic_ns() >= deadline_ns and self._next_poll_ns > deadline_ns:
                return []
            try:
                ready = self._bus.read_byte_data(self._address, _INT_STATUS) & 0x01
                data = (
                    bytes(self._bus.read_i2c_block_data(self._address, _ACCEL_XOUT_H, 14))
                    if ready
                    else b''
                )
            except OSError as error:
                self._errors += 1
                self._errors_in_a_row += 1
                if self._errors_in_a_row >= self.PATIENCE:
                    self.close()
                    raise KwsImuError(
                        f'The {self.description} no longer answers; check its wiring and power.'
                    ) from error
                self._next_poll_ns = time.monotonic_ns() + int(self._period_s * SECOND_NS)
                return []
            self._errors_in_a_row = 0
            if len(data) == 14:
                # Polling a third of a period apart finds a sample at most that late.
                self._next_poll_ns = time.monotonic_ns() + int(self._period_s * 0.67 * SECOND_NS)
                self._heard_ns = time.monotonic_ns()
                return [self._sample(data)]
            if time.monotonic_ns() - self._heard_ns > 2 * SECOND_NS:
                self.close()
                raise KwsImuError(
                    f'The {self.description} answers but measures nothing: check its power.'
                )
            self._next_poll_ns = time.monotonic_ns() + int(self._period_s * 0.33 * SECOND_NS)
            if self._next_poll_ns > deadline_ns:
                return []

    def _check_identity(self, identity: int) -> None:
        """Refuse a chip that is none, or none of this family, before anything is written to it."""
        if identity in _NO_CHIP:
            raise KwsImuError(
                f'What is {self._where} answers {identity:#04x} to everything: check its wiring '
                '(SDA and SCL, power, ground).'
            )
        if identity in _KNOWN_IDS or self._bus is None:
            return
        if self._bus.read_byte_data(self._address, _PWR_MGMT_1) not in _POWER_STATES:
            raise KwsImuError(
                f'The chip {self._where} says that it is {identity:#04x} and has no registers of '
                'an MPU-6050 or a relative; correct i2c_address.'
            )

    def _set_up(self) -> None:
        """Wake the sensor; set its rate, filter and ranges."""
        for register, value in (
            (_PWR_MGMT_1, 0x80),  # Reset.
            (_PWR_MGMT_1, 0x01),  # Awake, clocked by the x gyroscope, as the manual advises.
            (_CONFIG, 0x03),  # 44 Hz low-pass: the window is resampled to 50 Hz.
            (_SMPLRT_DIV, self._divider),
            (_GYRO_CONFIG, self._rotation_code << 3),
            (_ACCEL_CONFIG, self._acceleration_code << 3),
        ):
            if self._bus is not None:
                self._bus.write_byte_data(self._address, register, value)
            if value == 0x80:
                time.sleep(0.1)  # The manual's time for a reset.

    def _probe(self, identity: int) -> None:
        """
        Believe an unknown relative that measures gravity; warn, since nobody tried it.

        Raises:
            KwsImuError: it measures something else, or nothing.

        """
        sizes: list[float] = []
        deadline_ns = time.monotonic_ns() + _PROBE_NS
        while len(sizes) < _PROBE_SAMPLES and time.monotonic_ns() < deadline_ns:
            sizes += (math.hypot(*sample.linear_acceleration) for sample in self.read(0.1))
        # A hand that moves adds to gravity as often as it takes away.
        gravity = statistics.median(sizes) if sizes else 0.0
        says = f'The chip {self._where} says that it is {identity:#04x}'
        name = _RELATIVES.get(identity)
        if name:
            says += f' ({name})'
        if not _GRAVITY_RANGE[0] <= gravity <= _GRAVITY_RANGE[1]:
            self.close()
            raise KwsImuError(
                f'{says} and measures gravity as {gravity:.1f} m/s^2 where an MPU-6050 would give '
                '9.8; keep it still at start, or read it with a driver of its own.'
            )
        self.notes = (
            f'{says}, not an MPU-6050; it measures gravity as one does ({gravity:.1f} m/s^2) and '
            'is read as one; if gestures are missed, use a driver of its own.',
        )

    def close(self) -> None:
        """Close the bus; harmless when it is not open."""
        bus, self._bus = self._bus, None
        if bus is not None:
            bus.close()

    def counts(self) -> dict[str, int]:
        """Return samples, failed transfers and samples at the end of the range."""
        return {
            'samples': self._samples,
            'failed transfers': self._errors,
            'saturated samples': self._saturated,
        }

    def _sample(self, data: bytes) -> ImuSample:
        """Return the sample in the 14 bytes from ACCEL_XOUT_H on; bytes 6 and 7 are temperature."""
        words = [int.from_bytes(data[i : i + 2], 'big', signed=True) for i in (0, 2, 4, 8, 10, 12)]
        self._samples += 1
        self._saturated += any(word in (-32768, 32767) for word in words)
        ax, ay, az = (word * self._acceleration_lsb for word in words[:3])
        gx, gy, gz = (word * self._rotation_lsb for word in words[3:])
        return ImuSample(self._clock(), (ax, ay, az), (gx, gy, gz))
