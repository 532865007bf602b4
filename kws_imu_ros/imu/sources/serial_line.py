"""A board on a serial line that speaks the protocol of `imu.serial_protocol`."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable
from typing import Any

from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.imu.sample import ImuSample
from kws_imu_ros.imu.serial_protocol import MICROS_MODULUS, SerialParser
from kws_imu_ros.sensing.device_clock import DeviceClock

SECOND_NS = 1_000_000_000


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
        self.notes: tuple[str, ...] = ()

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
