"""
Where IMU samples come from: a board on a serial line, an MPU-6050 on an I2C bus, a recording.

Sources are the part of this room that touches devices, clocks and threads. Each has `open()`,
`read(timeout_s)` (the samples that came, maybe none), `close()`, `finished` and `counts()` for
diagnostics; all give m/s^2 and rad/s.
"""

from __future__ import annotations

import csv
import errno
import gzip
import math
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, TextIO

from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.imu.calibration import STANDARD_GRAVITY
from kws_imu_ros.imu.sample import ImuSample
from kws_imu_ros.imu.serial_protocol import MICROS_MODULUS, SerialParser
from kws_imu_ros.imu.window import G_UNITS_RANGE
from kws_imu_ros.sensing.device_clock import DeviceClock
from kws_imu_ros.sensing.source import Source

SECOND_NS = 1_000_000_000
DEGREE = math.pi / 180.0


# What every IMU source offers: `read` returns what came, maybe nothing.
ImuSource = Source[list[ImuSample]]


# Serial line


class SerialSource:
    """Read a board that speaks the line protocol of `serial_protocol`."""

    # The slowest useful sensor sends 20 samples a second; a silent line is a dead one.
    STALL_S = 3.0

    def __init__(self, clock: Callable[[], int], port: str, baud_rate: int = 115200) -> None:
        """
        Remember what to open.

        clock: returns ROS time in ns; port: such as /dev/ttyACM0; baud_rate: bits a second.

        Raises:
            KwsImuError: the port is not named or the rate is out of range.

        """
        if not port:
            raise KwsImuError(
                'No serial port was given for the IMU; set the parameter port, for instance to '
                '/dev/ttyACM0.'
            )
        if not 1200 <= baud_rate <= 4_000_000:
            raise KwsImuError(f'baud_rate is {baud_rate} but must be 1200 to 4000000.')
        self._clock = clock
        self._port = port
        self._baud_rate = baud_rate
        self._parser = SerialParser()
        self._board_clock = DeviceClock(quantile=0.0, history=200)
        self._board_us: int | None = None
        self._last_micros = 0
        self._newest_ns = 0
        self._serial: Any = None
        self.description = f'serial board on {port}'

    @property
    def finished(self) -> bool:
        """Return False: a sensor has no end."""
        return False

    def open(self) -> None:
        """
        Open the port.

        Raises:
            KwsImuError: pyserial or the port is missing, or may not be opened.

        """
        try:
            import serial
        except ImportError as error:
            raise KwsImuError(
                'The Python package pyserial is missing; run pip install pyserial.'
            ) from error
        try:
            self._serial = serial.Serial(self._port, self._baud_rate, timeout=0, exclusive=True)
        except (serial.SerialException, OSError, ValueError) as error:
            raise KwsImuError(_port_problem(self._port, error)) from error
        self._parser.restart()
        self._board_clock.restart()
        self._board_us = None
        self._heard_ns = time.monotonic_ns()

    def read(self, timeout_s: float) -> list[ImuSample]:
        """
        Return the samples that came, after at most `timeout_s`.

        Raises:
            KwsImuError: the port is gone or silent; `open` may be tried again.

        """
        if self._serial is None:
            raise KwsImuError('The serial port was read before it was opened.')
        import serial

        try:
            self._serial.timeout = timeout_s
            data = self._serial.read(1)
            data += self._serial.read(self._serial.in_waiting) if data else b''
        except (serial.SerialException, OSError, TypeError) as error:
            self.close()
            raise KwsImuError(f'The {self.description} is gone; plug it in again.') from error
        now_ns = self._clock()
        readings = self._parser.feed(data)
        if readings:
            self._heard_ns = time.monotonic_ns()
        elif time.monotonic_ns() - self._heard_ns > self.STALL_S * SECOND_NS:
            self.close()
            what = 'sends no valid line' if self._parser.health.malformed else 'is silent'
            raise KwsImuError(
                f'The {self.description} {what}; check its program, its power and that it is set '
                f'to {self._baud_rate} bits a second.'
            )
        samples = []
        for reading in readings:
            board_ns = self._unwrap(reading.micros) * 1000
            self._board_clock.update(board_ns, now_ns)
            # Stamps never go back, though the estimate of the offset may.
            stamp_ns = max(self._board_clock.computer_ns(board_ns), self._newest_ns + 1)
            if stamp_ns - now_ns > SECOND_NS or now_ns - stamp_ns > SECOND_NS:
                stamp_ns = now_ns
            self._newest_ns = stamp_ns
            samples.append(
                ImuSample(stamp_ns, reading.linear_acceleration, reading.angular_velocity)
            )
        return samples

    def close(self) -> None:
        """Close the port; harmless when it is not open."""
        port, self._serial = self._serial, None
        if port is not None:
            port.close()

    def counts(self) -> dict[str, int]:
        """Return the parser's counts and how often the board's clock started anew."""
        health = self._parser.health
        return {
            'samples': health.readings,
            'lost lines': health.lost,
            'damaged lines': health.bad_checksums,
            'foreign lines': health.malformed,
            'board restarts': health.restarts,
            'clock restarts': self._board_clock.restarts,
        }

    def _unwrap(self, micros: int) -> int:
        """Return the board's microseconds without the wrap at 2**32 (every 71.6 minutes)."""
        if self._board_us is None:
            self._board_us = micros
        else:
            self._board_us += (micros - self._last_micros) % MICROS_MODULUS
        self._last_micros = micros
        return self._board_us


def _port_problem(port: str, error: Exception) -> str:
    """Return one sentence about a serial port that could not be opened."""
    number = getattr(error, 'errno', None)
    text = str(error)
    if number in (errno.EACCES, errno.EPERM) or 'Permission denied' in text:
        return (
            f'No permission to open the serial port {port}; run sudo usermod -aG dialout $USER, '
            'then log in again.'
        )
    if number == errno.ENOENT or 'No such file' in text:
        ports = ', '.join(_serial_ports()) or 'none'
        return (
            f'Serial port {port} does not exist (ports here: {ports}); plug the board in or '
            'correct the parameter port.'
        )
    if number in (errno.EBUSY, errno.EAGAIN) or 'exclusively lock' in text:
        return f'Serial port {port} is in use; close the other program, such as a serial monitor.'
    return f'{port} cannot be opened as a serial port ({text}); correct the parameter port.'


def _serial_ports() -> list[str]:
    """Return the device paths of the serial ports of this machine."""
    from serial.tools import list_ports

    return sorted(port.device for port in list_ports.comports())


# MPU-6050

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
        self.description = f'MPU-6050 at {address:#04x} on I2C bus {bus_number}'

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
        try:
            identity = self._bus.read_byte_data(self._address, _WHO_AM_I)
            if identity not in _KNOWN_IDS:
                self.close()
                raise KwsImuError(
                    f'The chip at {self._address:#04x} on I2C bus {self._bus_number} says that it '
                    f'is {identity:#04x}, which is no MPU-6050 or relative; correct i2c_address.'
                )
            for register, value in (
                (_PWR_MGMT_1, 0x80),  # Reset.
                (_PWR_MGMT_1, 0x01),  # Awake, clocked by the x gyroscope, as the manual advises.
                (_CONFIG, 0x03),  # 44 Hz low-pass: the window is resampled to 50 Hz.
                (_SMPLRT_DIV, self._divider),
                (_GYRO_CONFIG, self._rotation_code << 3),
                (_ACCEL_CONFIG, self._acceleration_code << 3),
            ):
                self._bus.write_byte_data(self._address, register, value)
                if value == 0x80:
                    time.sleep(0.1)  # The manual's time for a reset.
        except OSError as error:
            self.close()
            raise KwsImuError(
                f'No sensor answers at {self._address:#04x} on I2C bus {self._bus_number} '
                f'({error.strerror or error}); check its wiring and i2c_address.'
            ) from error
        self.description = (
            f'{_KNOWN_IDS[identity]} at {self._address:#04x} on I2C bus {self._bus_number}'
        )
        self._errors_in_a_row = 0
        self._next_poll_ns = time.monotonic_ns()
        self._heard_ns = time.monotonic_ns()

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


# Recordings


@dataclass(frozen=True)
class Recording:
    """
    A recorded IMU.

    samples: in m/s^2 and rad/s; stamps strictly increase and are those of the file.
    rows: rows of the file; dropped: rows that were damaged or had a stray or repeated stamp.
    """

    samples: tuple[ImuSample, ...]
    rows: int
    dropped: int


@dataclass(frozen=True)
class _Columns:
    """How to read the rows of one layout: column names and factors to SI and ns."""

    stamp: str
    stamp_ns: float
    values: tuple[str, ...]
    acceleration: float
    rotation: float
    integers: bool = False


# GRWD (Gyronics): raw readings of +-2 g and +-250 deg/s sensors, milliseconds. The rotation scale
# is not stated; 131 per deg/s follows from the attitude columns and is the MPU-6050's.
_GRWD = _Columns(
    'Timestamp', 1e6, ('Ax', 'Ay', 'Az', 'Gx', 'Gy', 'Gz'), STANDARD_GRAVITY / 16384.0,
    DEGREE / 131.0, integers=True,
)  # fmt: skip
_STAMP_COLUMNS = {
    'stamp_ns': 1.0, 'timestamp_ns': 1.0, 'timestamp_us': 1e3, 'timestamp_ms': 1e6,
    'timestamp_s': 1e9, 'time_s': 1e9, 'time': 1e9, 't': 1e9,
}  # fmt: skip
_VALUE_COLUMNS = ('ax', 'ay', 'az', 'gx', 'gy', 'gz')
# A recording is one stretch of time; what lies further away has a stray stamp, or is left over
# from an earlier one (GRWD's boards sent stale buffers).
_LONGEST_PAUSE_NS = 2_000_000_000


def read_recording(path: Path | str) -> Recording:
    """
    Read a csv or csv.gz file of one IMU recording.

    Two layouts, told apart by the header: GRWD's (Ax .. Gz raw, Timestamp in ms), and a plain one
    with a time column (stamp_ns, timestamp_ns, timestamp_us, timestamp_ms, timestamp_s, time_s,
    time or t; the last three in s) and ax, ay, az in m/s^2, gx, gy, gz in rad/s. Other columns
    are ignored. Damaged rows are dropped and counted.

    Raises:
        KwsImuError: the file is missing, unreadable, of neither layout, without a usable row, or
            in g instead of m/s^2.

    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise KwsImuError(f'IMU recording {path} does not exist; check the path.')
    try:
        with _open_text(path) as file:
            reader = csv.reader(file)
            header = [name.strip() for name in next(reader, [])]
            columns = _columns_of(header, path)
            indices = [header.index(name) for name in (columns.stamp, *columns.values)]
            parsed = [_row(row, len(header), indices, columns) for row in reader]
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise KwsImuError(
            f'IMU recording {path} cannot be read ({error}); it may be truncated, copy it again.'
        ) from error
    samples = _longest_stretch([sample for sample in parsed if sample is not None])
    if len(samples) < 2:
        raise KwsImuError(f'IMU recording {path} holds no usable rows; record it again.')
    size = statistics.median(math.hypot(*sample.linear_acceleration) for sample in samples)
    if G_UNITS_RANGE[0] < size < G_UNITS_RANGE[1]:
        raise KwsImuError(
            f'IMU recording {path} looks like g instead of m/s^2 (typical size {size:.2f}); '
            'multiply ax, ay and az by 9.80665.'
        )
    return Recording(tuple(samples), len(parsed), len(parsed) - len(samples))


def _open_text(path: Path) -> TextIO:
    """Open a csv or csv.gz file as text."""
    if path.suffix == '.gz':
        return gzip.open(path, 'rt', encoding='utf-8', newline='')
    return path.open(encoding='utf-8', newline='')


def _columns_of(header: list[str], path: Path) -> _Columns:
    """Return how to read a file with this header; raise KwsImuError for an unknown one."""
    if {_GRWD.stamp, *_GRWD.values} <= set(header):
        return _GRWD
    stamps = [name for name in header if name in _STAMP_COLUMNS]
    if stamps and set(_VALUE_COLUMNS) <= set(header):
        return _Columns(stamps[0], _STAMP_COLUMNS[stamps[0]], _VALUE_COLUMNS, 1.0, 1.0)
    raise KwsImuError(
        f'IMU recording {path} has columns ({", ".join(header)[:80]}) but needs a time column '
        f'({", ".join(_STAMP_COLUMNS)}) and ax, ay, az, gx, gy, gz.'
    )


def _row(row: list[str], width: int, indices: list[int], columns: _Columns) -> ImuSample | None:
    """Return the sample of one row, or None for a damaged one."""
    if len(row) != width:
        return None
    try:
        numbers = [float(row[i]) for i in indices]
    except ValueError:
        return None
    stamp, *values = numbers
    if not all(map(math.isfinite, numbers)) or stamp < 0 or not any(values):
        return None
    if columns.integers and any(not -32768 <= value <= 32767 for value in values):
        return None
    ax, ay, az = (value * columns.acceleration for value in values[:3])
    gx, gy, gz = (value * columns.rotation for value in values[3:])
    return ImuSample(round(stamp * columns.stamp_ns), (ax, ay, az), (gx, gy, gz))


def _longest_stretch(samples: list[ImuSample]) -> list[ImuSample]:
    """Return the samples of the longest stretch of time, in order, each stamp once."""
    ordered = sorted(samples, key=lambda sample: sample.stamp_ns)
    stretches: list[list[ImuSample]] = [[]]
    for sample in ordered:
        step_ns = sample.stamp_ns - stretches[-1][-1].stamp_ns if stretches[-1] else 1
        if step_ns > _LONGEST_PAUSE_NS:
            stretches.append([])
        if step_ns > 0:
            stretches[-1].append(sample)
    return max(stretches, key=len)


class RecordingSource:
    """Play a recording as if a sensor measured it now."""

    def __init__(self, clock: Callable[[], int], path: Path | str, repeat: bool = False) -> None:
        """
        Read the file.

        clock: returns ROS time in ns, read once when playing starts; repeat: start over at the
        end.

        Raises:
            KwsImuError: the file cannot be used (see `read_recording`).

        """
        self._recording = read_recording(path)
        self._clock = clock
        self._repeat = repeat
        first_ns = self._recording.samples[0].stamp_ns
        last_ns = self._recording.samples[-1].stamp_ns
        count = len(self._recording.samples)
        self._first_ns = first_ns
        # A round ends a typical step after its last sample.
        self._round_ns = last_ns - first_ns + (last_ns - first_ns) // (count - 1)
        self._given = 0
        self._pending: Iterator[ImuSample] | None = None
        self._next: ImuSample | None = None
        self.description = f'recording {path}'

    @property
    def finished(self) -> bool:
        """Return whether every sample was given."""
        return self._pending is not None and self._next is None

    def open(self) -> None:
        """Start playing from the beginning."""
        self._start_ns = self._clock()
        self._steady_start_ns = time.monotonic_ns()
        self._pending = self._play()
        self._next = next(self._pending, None)

    def read(self, timeout_s: float) -> list[ImuSample]:
        """Return the samples that have become due, after at most `timeout_s`."""
        deadline_ns = time.monotonic_ns() + int(timeout_s * SECOND_NS)
        if self._next is None:
            time.sleep(timeout_s)
            return []
        due_ns = self._steady_start_ns + self._next.stamp_ns - self._start_ns
        wait_ns = min(due_ns, deadline_ns) - time.monotonic_ns()
        if wait_ns > 0:
            time.sleep(wait_ns / SECOND_NS)
        played_ns = self._start_ns + time.monotonic_ns() - self._steady_start_ns
        samples = []
        while self._next is not None and self._next.stamp_ns <= played_ns:
            samples.append(self._next)
            self._next = next(self._pending, None)
        self._given += len(samples)
        return samples

    def close(self) -> None:
        """Stop playing; there is nothing to give back."""

    def counts(self) -> dict[str, int]:
        """Return the samples given and the rows of the file that were dropped."""
        return {'samples': self._given, 'dropped rows': self._recording.dropped}

    def _play(self) -> Iterator[ImuSample]:
        """Yield the samples with stamps in ROS time."""
        shift_ns = self._start_ns - self._first_ns
        while True:
            for sample in self._recording.samples:
                yield replace(sample, stamp_ns=sample.stamp_ns + shift_ns)
            if not self._repeat:
                return
            shift_ns += self._round_ns
