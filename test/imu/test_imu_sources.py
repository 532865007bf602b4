"""IMU sources: a board on a pty, an MPU-6050 as a register map, recordings."""

from __future__ import annotations

import errno
import gzip
import math
import os
import threading
import time
import tty

import numpy as np
import pytest
from conftest import PATIENCE_S

from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.imu.recording import read_recording
from kws_imu_ros.imu.serial_protocol import SerialReading, encode_reading
from kws_imu_ros.imu.sources import (
    Mpu6050Source,
    RecordingSource,
    SerialSource,
)

SECOND = 1_000_000_000
EPOCH = 1_790_000_000 * SECOND
HEADER = 'timestamp_ms,ax,ay,az,gx,gy,gz\n'


class Board:
    """A board at the other end of a pseudo-terminal."""

    def __init__(self) -> None:
        self.master, self._slave = os.openpty()
        tty.setraw(self.master)
        tty.setraw(self._slave)
        self.port = os.ttyname(self._slave)
        self.sequence = 0
        self.plugged_in = True

    def send(self, micros: int, acceleration=(0.1, 0.2, 9.8), rotation=(0.0, 0.0, 0.5)) -> None:
        reading = SerialReading(
            self.sequence % 65536, micros % 2**32, tuple(acceleration), tuple(rotation)
        )
        os.write(self.master, encode_reading(reading))
        self.sequence += 1

    def unplug(self) -> None:
        if self.plugged_in:
            self.plugged_in = False
            os.close(self.master)
            os.close(self._slave)


@pytest.fixture
def board():
    board = Board()
    yield board
    board.unplug()


class SettableClock:
    """ROS time that stands still until it is moved."""

    def __init__(self) -> None:
        self.ns = EPOCH

    def __call__(self) -> int:
        return self.ns


def read_samples(source, count, timeout_s=PATIENCE_S):
    samples = []
    deadline = time.monotonic() + timeout_s
    while len(samples) < count and time.monotonic() < deadline:
        samples += source.read(0.1)
    return samples


# Serial line


def test_a_board_is_heard_with_even_stamps_though_lines_arrive_in_clumps(board):
    clock = SettableClock()
    source = SerialSource(clock, board.port)
    source.open()
    samples = []
    for clump in range(50):
        for i in range(4):
            n = clump * 4 + i
            board.send(1_000_000 + n * 10_000, (0.0, n / 10, 9.8))
        clock.ns = EPOCH + clump * 40_000_000 + 35_000_000
        samples += read_samples(source, 4)
    source.close()
    assert [round(s.linear_acceleration[1] * 10) for s in samples] == list(range(200))
    steps = np.diff([s.stamp_ns for s in samples])
    # Arrival alone would give 0, 0, 0, 40 ms.
    assert (np.abs(steps[8:] - 10_000_000) < 300_000).all()
    assert source.counts()['samples'] == 200
    assert source.counts()['lost lines'] == 0


def test_micros_wrap_and_a_board_reset_are_followed(board):
    clock = SettableClock()
    source = SerialSource(clock, board.port)
    source.open()
    micros = 2**32 - 100_000
    stamps = []
    for n in range(100):
        if n == 50:
            micros = 0  # The board was reset: its clock and sequence start anew.
            board.sequence = 0
        board.send(micros)
        micros += 10_000
        clock.ns += 10_000_000
        stamps += [s.stamp_ns for s in read_samples(source, 1)]
    source.close()
    assert len(stamps) == 100
    assert np.diff(stamps).min() > 0
    assert stamps[-1] == pytest.approx(clock.ns, abs=1_000_000)
    assert (np.diff(stamps)[:45] == 10_000_000).all()
    assert source.counts()['board restarts'] == 1


def test_garbage_between_lines_is_counted_and_skipped(board):
    source = SerialSource(SettableClock(), board.port)
    source.open()
    os.write(board.master, b'5,0.1,9.8,0,0,0*33\n')
    board.send(0)
    os.write(board.master, bytes(range(128, 256)) + b'\n')
    os.write(board.master, encode_reading(SerialReading(1, 1, (1, 2, 3), (4, 5, 6)))[:-6] + b'0\n')
    board.send(10_000)
    assert len(read_samples(source, 2)) == 2
    source.close()
    assert source.counts()['foreign lines'] + source.counts()['damaged lines'] == 3


def test_a_board_that_goes_and_comes_back(board, tmp_path):
    link = tmp_path / 'ttyACM0'
    link.symlink_to(board.port)
    source = SerialSource(time.time_ns, str(link))
    source.open()
    board.send(0)
    assert len(read_samples(source, 1)) == 1
    board.unplug()
    with pytest.raises(KwsImuError, match=r'is gone; plug it in again|is silent'):
        read_samples(source, 1)
    link.unlink()
    with pytest.raises(KwsImuError, match='does not exist'):
        source.open()
    returned = Board()
    link.symlink_to(returned.port)
    source.open()
    returned.send(0)
    assert len(read_samples(source, 1)) == 1
    source.close()
    returned.unplug()


def test_a_silent_board_is_reported(board, monkeypatch):
    monkeypatch.setattr(SerialSource, 'STALL_S', 0.3)
    source = SerialSource(time.time_ns, board.port)
    source.open()
    with pytest.raises(KwsImuError, match='is silent; check its program'):
        read_samples(source, 1)
    source.open()
    os.write(board.master, b'Hello World\r\n')
    with pytest.raises(KwsImuError, match='sends no valid line'):
        read_samples(source, 1)


def test_a_missing_port_is_one_sentence_with_the_ports_there_are():
    with pytest.raises(KwsImuError, match=r'/dev/ttyNone does not exist \(ports here: .+\)'):
        SerialSource(time.time_ns, '/dev/ttyNone').open()


def test_a_file_is_no_serial_port(tmp_path):
    path = tmp_path / 'file'
    path.write_text('')
    with pytest.raises(KwsImuError, match='cannot be opened as a serial port'):
        SerialSource(time.time_ns, str(path)).open()


@pytest.mark.parametrize('number', [errno.EACCES, errno.EPERM])
def test_no_permission_says_which_group(number, board, monkeypatch):
    # Root may open everything, so the kernel's refusal is played; its words are the real ones.
    real_open = os.open

    def refuse(path, *arguments, **keywords):
        if path == board.port:
            raise PermissionError(number, os.strerror(number), path)
        return real_open(path, *arguments, **keywords)

    monkeypatch.setattr(os, 'open', refuse)
    with pytest.raises(KwsImuError, match=r'No permission .* sudo usermod -aG dialout'):
        SerialSource(time.time_ns, board.port).open()


def test_a_port_in_use_is_told_apart(board):
    first = SerialSource(time.time_ns, board.port)
    first.open()
    with pytest.raises(KwsImuError, match='is in use; close the other program'):
        SerialSource(time.time_ns, board.port).open()
    first.close()


@pytest.mark.parametrize(
    ('settings', 'sentence'),
    [({'port': ''}, 'No serial port was given'), ({'port': 'x', 'baud_rate': 1}, 'baud_rate is 1')],
)
def test_serial_settings_are_checked(settings, sentence):
    with pytest.raises(KwsImuError, match=sentence):
        SerialSource(time.time_ns, **settings)


# MPU-6050


class RegisterMap:
    """
    An MPU-6050 as smbus2.SMBus shows it.

    Registers and reset values are those of RM-MPU-6000A-00: PWR_MGMT_1 wakes in sleep (0x40), data
    registers do not move while asleep, and reading INT_STATUS clears DATA_RDY_INT.
    """

    def __init__(self, address: int = 0x68, identity: int = 0x68) -> None:
        self.address = address
        self.registers = bytearray(128)
        self.registers[0x6B] = 0x40
        self.registers[0x75] = identity
        self.broken = False
        self.closed = False
        self.truth = ((0.0, 0.0, 1.0), (0.0, 0.0, 0.0))  # In g and degrees/s.

    def _check(self, address: int) -> None:
        if self.broken or address != self.address:
            raise OSError(errno.EREMOTEIO, 'Remote I/O error')

    def _measure(self) -> None:
        if self.registers[0x6B] & 0x40:
            return
        acceleration, rotation = self.truth
        a_range = 2 << (self.registers[0x1C] >> 3 & 3)
        g_range = 250 << (self.registers[0x1B] >> 3 & 3)
        words = [v / a_range * 32768 for v in acceleration] + [0x1234]
        words += [v / g_range * 32768 for v in rotation]
        raw = b''.join(
            max(-32768, min(32767, round(word))).to_bytes(2, 'big', signed=True) for word in words
        )
        self.registers[0x3B:0x49] = raw
        self.registers[0x3A] |= 0x01

    def write_byte_data(self, address, register, value):
        self._check(address)
        if register == 0x6B and value & 0x80:
            identity = self.registers[0x75]
            self.registers[:] = bytes(128)
            self.registers[0x75] = identity
            value = 0x40
        self.registers[register] = value

    def read_byte_data(self, address, register):
        self._check(address)
        if register == 0x3A:
            self._measure()
            value, self.registers[0x3A] = self.registers[0x3A], 0
            return value
        return self.registers[register]

    def read_i2c_block_data(self, address, register, length):
        self._check(address)
        return list(self.registers[register : register + length])

    def close(self):
        self.closed = True


def asleep(registers: RegisterMap) -> RegisterMap:
    registers.truth = ((0.0, 0.0, 0.0), (0.0, 0.0, 0.0))
    return registers


def other_registers(identity: int) -> RegisterMap:
    """Return a chip that is no motion sensor at all, such as a clock at the same address."""
    registers = RegisterMap(identity=identity)
    registers.registers[0x6B] = 0x1C
    return registers


def mpu(registers, **settings):
    return Mpu6050Source(time.time_ns, open_bus=lambda _number: registers, **settings)


@pytest.mark.parametrize('acceleration_range', [2, 4, 8, 16])
@pytest.mark.parametrize('rotation_range', [250, 500, 1000, 2000])
def test_mpu6050_measures_in_si_at_every_range(acceleration_range, rotation_range):
    registers = RegisterMap()
    registers.truth = ((0.5, -1.25, 1.0), (100.0, -200.0, 12.5))
    source = mpu(
        registers,
        acceleration_range_g=acceleration_range,
        rotation_range_deg_s=rotation_range,
    )
    source.open()
    (sample,) = read_samples(source, 1)
    source.close()
    assert registers.closed
    g = 9.80665
    assert sample.linear_acceleration == pytest.approx(
        (0.5 * g, -1.25 * g, g), abs=acceleration_range * g / 32768
    )
    radians = [math.radians(v) for v in (100.0, -200.0, 12.5)]
    assert sample.angular_velocity == pytest.approx(
        radians, abs=math.radians(rotation_range) / 32768
    )


def test_mpu6050_is_woken_and_set_up():
    registers = RegisterMap()
    source = mpu(registers, rate_hz=100, acceleration_range_g=8, rotation_range_deg_s=1000)
    source.open()
    assert registers.registers[0x6B] == 0x01
    assert registers.registers[0x1A] == 0x03
    assert registers.registers[0x19] == 9  # 1 kHz / (1 + 9) = 100 Hz.
    assert registers.registers[0x1B] == 2 << 3
    assert registers.registers[0x1C] == 2 << 3
    source.close()


@pytest.mark.parametrize('identity', [0x12, 0x19, 0x72, 0x74, 0x75, 0x78, 0x98, 0xAC, 0xAF])
def test_a_relative_that_measures_gravity_is_read_with_a_warning(identity):
    registers = RegisterMap(identity=identity)
    registers.truth = ((0.6, 0.0, -0.8), (1.0, 2.0, -3.0))
    source = mpu(registers)
    source.open()
    assert len(read_samples(source, 3)) == 3
    source.close()
    (note,) = source.notes
    assert f'says that it is {identity:#04x}' in note
    assert 'measures gravity' in note
    registers.truth = ((0.0, 0.0, 0.4), (0.0, 0.0, 0.0))
    with pytest.raises(KwsImuError, match=r'gravity as 3\.9 m/s'):
        source.open()
    assert source.notes == ()


@pytest.mark.parametrize('identity', [0x68, 0x70, 0x71, 0x73])
def test_the_sensors_that_are_known_are_read_without_a_word(identity):
    source = mpu(RegisterMap(identity=identity))
    source.open()
    source.close()
    assert source.notes == ()


def test_a_chip_of_another_kind_is_not_written_to():
    registers = other_registers(0x58)
    before = bytes(registers.registers)
    with pytest.raises(KwsImuError):
        mpu(registers).open()
    assert bytes(registers.registers) == before


def test_mpu6050_counts_saturation():
    registers = RegisterMap()
    registers.truth = ((5.0, 0.0, 1.0), (0.0, 0.0, 0.0))
    source = mpu(registers, acceleration_range_g=2)
    source.open()
    (sample,) = read_samples(source, 1)
    assert sample.linear_acceleration[0] == pytest.approx(2 * 9.80665, rel=1e-3)
    assert source.counts()['saturated samples'] == 1


def test_mpu6050_survives_a_loose_wire_and_reports_a_broken_one():
    registers = RegisterMap()
    source = mpu(registers)
    source.open()
    assert len(read_samples(source, 3)) == 3
    registers.broken = True
    for _ in range(5):
        assert source.read(0.05) == []
    registers.broken = False
    assert len(read_samples(source, 1)) == 1
    assert source.counts()['failed transfers'] == 5
    registers.broken = True
    with pytest.raises(KwsImuError, match='no longer answers; check its wiring'):
        read_samples(source, 1)
    registers.broken = False
    source.open()
    assert len(read_samples(source, 1)) == 1


@pytest.mark.parametrize(
    ('registers', 'settings', 'sentence'),
    [
        (RegisterMap(0x69), {}, 'No sensor answers at 0x68 on I2C bus 1'),
        (asleep(RegisterMap(identity=0x58)), {}, 'says that it is 0x58 .* gravity as 0.0'),
        (other_registers(0x58), {}, 'says that it is 0x58 .* no registers of an MPU-6050'),
        (RegisterMap(identity=0x00), {}, 'answers 0x00 to everything: check its wiring'),
        (RegisterMap(identity=0xFF), {}, 'answers 0xff to everything: check its wiring'),
    ],
)
def test_mpu6050_that_is_not_there_is_one_sentence(registers, settings, sentence):
    with pytest.raises(KwsImuError, match=sentence):
        mpu(registers, **settings).open()
    assert registers.closed


@pytest.mark.parametrize(
    ('number', 'sentence'),
    [
        (errno.ENOENT, '/dev/i2c-1 cannot be opened .* raspi-config'),
        (errno.EACCES, 'No permission to open /dev/i2c-1; run sudo usermod -aG i2c'),
    ],
)
def test_i2c_bus_that_cannot_be_opened_is_one_sentence(number, sentence):
    def refuse(_number):
        raise OSError(number, os.strerror(number))

    with pytest.raises(KwsImuError, match=sentence):
        Mpu6050Source(time.time_ns, open_bus=refuse).open()


def test_the_real_bus_that_is_not_there_is_one_sentence():
    pytest.importorskip('smbus2')
    with pytest.raises(KwsImuError, match='/dev/i2c-250 cannot be opened'):
        Mpu6050Source(time.time_ns, bus_number=250).open()


@pytest.mark.parametrize(
    'bad',
    [
        {'rate_hz': 3},
        {'rate_hz': 201},
        {'address': 0x07},
        {'acceleration_range_g': 3},
        {'rotation_range_deg_s': 100},
    ],
)
def test_mpu6050_settings_are_checked(bad):
    with pytest.raises(KwsImuError, match=r'but (must be|an MPU-6050 is)'):
        Mpu6050Source(time.time_ns, **bad)


# Recordings


def test_grwd_raw_readings_become_si(test_data):
    path = test_data / 'gestures' / 'grwd' / 'swipe_left' / 'subject_13' / '0.csv.gz'
    recording = read_recording(path)
    first = gzip.decompress(path.read_bytes()).decode().splitlines()[1].split(',')
    sample = recording.samples[0]
    assert sample.stamp_ns == int(first[9]) * 1_000_000
    assert sample.linear_acceleration == pytest.approx(
        [int(v) / 16384 * 9.80665 for v in first[:3]]
    )
    assert sample.angular_velocity == pytest.approx(
        [math.radians(int(v) / 131) for v in first[3:6]]
    )
    assert recording.dropped <= recording.rows * 0.05


def test_corrupt_grwd_rows_are_dropped_and_counted(test_data, tmp_path):
    path = test_data / 'gestures' / 'grwd' / 'swipe_left' / 'subject_13' / '0.csv.gz'
    lines = gzip.decompress(path.read_bytes()).decode().splitlines()
    clean = read_recording(path)
    # Real damage of other files of the set: values run together, columns lost, stale buffers.
    damage = {
        40: '1471996,7340,-1112,78,-280,-63000,26000,0,0,188240,',
        90: '0,0,0,0,0,0,-10000,17000,308000,508627,',
        140: '-14496,-18476,864,-2198,3365',
        190: '-11424,-18608,-52,-1274,544,24659,-86000,37000,309000,383,',
        240: '-2424,15616,4144,92,694,x715,72000,11000,127000,389240,',
    }
    for line, text in damage.items():
        lines[line] = text
    damaged = tmp_path / 'damaged.csv'
    damaged.write_text('\n'.join(lines))
    recording = read_recording(damaged)
    assert len(recording.samples) == len(clean.samples) - len(damage)
    assert set(recording.samples) < set(clean.samples)
    assert recording.dropped == clean.dropped + len(damage)


def test_plain_csv(tmp_path):
    path = tmp_path / 'plain.csv'
    path.write_text('label,gx,gy,gz,time_s,ax,ay,az\n' + 'a,1,2,3,1.5,4,5,6\na,1,2,3,1.25,4,5,9\n')
    recording = read_recording(path)
    assert [s.stamp_ns for s in recording.samples] == [1_250_000_000, 1_500_000_000]
    assert recording.samples[1].linear_acceleration == (4.0, 5.0, 6.0)
    assert recording.samples[1].angular_velocity == (1.0, 2.0, 3.0)


@pytest.mark.parametrize(
    ('name', 'content', 'sentence'),
    [
        ('empty.csv', b'', r'has columns \(\) but needs a time column'),
        ('other.csv', b'a,b,c\n1,2,3\n', r'has columns \(a, b, c\) but needs'),
        ('header.csv', HEADER.encode(), 'holds no usable rows'),
        ('nan.csv', (HEADER + 'nan,0,0,9.8,0,0,0\n' * 5).encode(), 'holds no usable rows'),
        ('binary.csv', bytes(range(256)), 'cannot be read'),
        ('text.csv.gz', b'not gzip', r'has columns \(not gzip\)'),
        ('cut.csv.gz', gzip.compress((HEADER + '1,0,0,9.8,0,0,0\n' * 999).encode())[:40], 'cannot'),
        (
            'g.csv',
            (HEADER + ''.join(f'{i * 10},0,0.0{i % 3},1.0,0,0,0\n' for i in range(60))).encode(),
            'looks like g instead of m/s',
        ),
    ],
)
def test_recordings_that_cannot_be_used_are_one_sentence(tmp_path, name, content, sentence):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(KwsImuError, match=sentence) as caught:
        read_recording(path)
    assert str(path) in str(caught.value)


def test_a_missing_recording_is_one_sentence(tmp_path):
    with pytest.raises(KwsImuError, match='does not exist'):
        RecordingSource(time.time_ns, tmp_path / 'none.csv')


def test_a_recording_plays_in_its_own_time(test_data):
    path = test_data / 'imu' / 'phidgets_still.csv.gz'
    expected = read_recording(path).samples
    source = RecordingSource(SettableClock(), path)
    started = time.monotonic()
    source.open()
    played = read_samples(source, len(expected))
    duration = (expected[-1].stamp_ns - expected[0].stamp_ns) / SECOND
    assert time.monotonic() - started >= duration - 0.05
    assert source.finished
    assert source.read(0.0) == []
    shift = EPOCH - expected[0].stamp_ns
    assert [s.stamp_ns for s in played] == [s.stamp_ns + shift for s in expected]
    assert [s.linear_acceleration for s in played] == [s.linear_acceleration for s in expected]


def test_a_repeated_recording_goes_on_without_a_jump(tmp_path):
    path = tmp_path / 'short.csv'
    path.write_text(HEADER + ''.join(f'{i * 10},0,{i},9.8,0,0,0\n' for i in range(5)))
    source = RecordingSource(SettableClock(), path, repeat=True)
    source.open()
    samples = read_samples(source, 23)
    assert (np.diff([s.stamp_ns for s in samples]) == 10_000_000).all()
    assert not source.finished


def test_close_is_harmless_and_read_before_open_says_so(board):
    for source in (SerialSource(time.time_ns, board.port), mpu(RegisterMap())):
        source.close()
        with pytest.raises(KwsImuError, match='was read before it was opened'):
            source.read(0.0)
        source.open()
        source.close()
        source.close()


def test_no_source_leaves_a_thread(board):
    before = set(threading.enumerate())
    source = SerialSource(time.time_ns, board.port)
    source.open()
    source.close()
    assert set(threading.enumerate()) <= before
