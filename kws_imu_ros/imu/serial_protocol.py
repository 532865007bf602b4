"""
The line protocol of a microcontroller that carries an IMU; docs/serial_protocol.md tells its story.

One ASCII line a sample, ended by LF or CR LF, at any rate the line can carry::

    $IMU,<sequence>,<micros>,<ax>,<ay>,<az>,<gx>,<gy>,<gz>*<checksum>

sequence   0 to 65535, one more each line, then 0 again
micros     the board's microseconds when it measured, 0 to 4294967295, then 0 again
ax ay az   acceleration in m/s^2, gravity included (at rest, z up: 0, 0, 9.81)
gx gy gz   angular velocity in rad/s, right-handed
checksum   XOR of all characters between $ and *, two hexadecimal digits, as in NMEA 0183

Values are plain decimals (``-0.123``; no exponent, NaN or infinity), at most 12 characters. Lines
that start with ``#`` are comments for people; everything else is counted and skipped, so a reader
may join at any moment and a bad cable costs samples, never the robot.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from kws_imu_ros.errors import KwsImuError

SEQUENCE_MODULUS = 1 << 16
MICROS_MODULUS = 1 << 32
LONGEST_LINE = 160

_NUMBER = rb'-?\d{1,8}(?:\.\d{1,8})?'
_LINE = re.compile(
    rb'\$(IMU,(\d{1,5}),(\d{1,10}),' + rb','.join([rb'(' + _NUMBER + rb')'] * 6) + rb')'
    rb'\*([0-9A-Fa-f]{2})'
)


@dataclass(frozen=True)
class SerialReading:
    """
    One line of the board.

    sequence: 0 to 65535; micros: the board's clock in microseconds, 0 to 2**32 - 1.
    linear_acceleration: x, y, z in m/s^2; angular_velocity: x, y, z in rad/s.
    """

    sequence: int
    micros: int
    linear_acceleration: tuple[float, float, float]
    angular_velocity: tuple[float, float, float]


@dataclass(frozen=True)
class SerialHealth:
    """
    Counts since the parser was made.

    readings: good lines; bad_checksums: lines that arrived damaged; malformed: lines that are not
    of this protocol, or too long; lost: lines missing by their sequence numbers; restarts: times
    that the sequence went back, as after a reset of the board.
    """

    readings: int = 0
    bad_checksums: int = 0
    malformed: int = 0
    lost: int = 0
    restarts: int = 0


def checksum(body: bytes) -> int:
    """Return the XOR of all bytes between $ and *."""
    result = 0
    for byte in body:
        result ^= byte
    return result


def encode_reading(reading: SerialReading) -> bytes:
    """
    Return the line of a reading, ended by CR LF, as a board sends it.

    Raises:
        KwsImuError: a value cannot be carried.

    """
    values = (*reading.linear_acceleration, *reading.angular_velocity)
    if (
        not all(abs(value) < 1e6 for value in values)
        or not 0 <= reading.sequence < SEQUENCE_MODULUS
        or not 0 <= reading.micros < MICROS_MODULUS
    ):
        raise KwsImuError(f'{reading} does not fit the serial protocol; check its values.')
    numbers = ','.join(f'{value:.5f}' for value in values)
    body = f'IMU,{reading.sequence},{reading.micros},{numbers}'.encode('ascii')
    return b'$' + body + b'*%02X\r\n' % checksum(body)


class SerialParser:
    """Turn bytes, cut anywhere, into readings; garbage is counted, never raised."""

    def __init__(self) -> None:
        self._pending = b''
        self._overlong = False
        self._sequence: int | None = None
        self.health = SerialHealth()

    def feed(self, data: bytes) -> list[SerialReading]:
        """Take the next bytes; return the readings that they complete."""
        *lines, rest = (self._pending + data).split(b'\n')
        readings = []
        for line in lines:
            overlong, self._overlong = self._overlong, False
            if overlong:
                continue  # The tail of a line that was counted when it grew too long.
            reading = self._parse(line)
            if reading is not None:
                readings.append(reading)
        if len(rest) > LONGEST_LINE and not self._overlong:
            self._overlong = True
            self._count(malformed=1)
        self._pending = b'' if self._overlong else rest
        return readings

    def restart(self) -> None:
        """Forget a half line and the sequence, for a line that was opened anew; keep the counts."""
        self._pending = b''
        self._overlong = False
        self._sequence = None

    def _parse(self, line: bytes) -> SerialReading | None:
        """Return the reading of one line without its end, or None for anything else."""
        if len(line) > LONGEST_LINE:
            self._count(malformed=1)
            return None
        line = line.strip(b'\r\0 \t')
        if not line or line.startswith(b'#'):
            return None
        match = _LINE.fullmatch(line)
        if match is None:
            self._count(malformed=1)
            return None
        if checksum(match[1]) != int(match[10], 16):
            self._count(bad_checksums=1)
            return None
        sequence, micros = int(match[2]), int(match[3])
        if sequence >= SEQUENCE_MODULUS or micros >= MICROS_MODULUS:
            self._count(malformed=1)
            return None
        ax, ay, az, gx, gy, gz = (float(match[i]) for i in range(4, 10))
        if self._sequence is not None:
            missing = (sequence - self._sequence - 1) % SEQUENCE_MODULUS
            if missing < SEQUENCE_MODULUS // 2:
                self._count(lost=missing)
            else:
                self._count(restarts=1)
        self._sequence = sequence
        self._count(readings=1)
        return SerialReading(sequence, micros, (ax, ay, az), (gx, gy, gz))

    def _count(self, **more: int) -> None:
        """Add to the counts of `health`."""
        self.health = replace(
            self.health, **{name: getattr(self.health, name) + n for name, n in more.items()}
        )
