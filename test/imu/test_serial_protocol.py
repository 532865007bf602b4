"""The serial line protocol: round trips, damage, and whatever hypothesis can think of."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.imu.serial_protocol import (
    LONGEST_LINE,
    SerialHealth,
    SerialParser,
    SerialReading,
    checksum,
    encode_reading,
)

DOCUMENT = Path(__file__).resolve().parents[2] / 'docs' / 'serial_protocol.md'

VALUES = st.floats(-500, 500).map(lambda value: round(value, 5))
READINGS = st.builds(
    SerialReading,
    st.integers(0, 65535),
    st.integers(0, 2**32 - 1),
    st.tuples(VALUES, VALUES, VALUES),
    st.tuples(VALUES, VALUES, VALUES),
)
GOOD = SerialReading(7, 123456, (0.1, -0.2, 9.81), (0.01, -0.02, 0.03))


def with_checksum(body: bytes) -> bytes:
    return b'$' + body + b'*%02X\n' % checksum(body)


@given(readings=st.lists(READINGS, max_size=8), data=st.data())
def test_round_trip_cut_anywhere(readings, data):
    stream = b''.join(map(encode_reading, readings))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    parser = SerialParser()
    received = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)]):
        received += parser.feed(stream[start:end])
    assert received == readings
    assert parser.health.readings == len(readings)
    assert parser.health.malformed == parser.health.bad_checksums == 0


@settings(max_examples=300)
@given(st.lists(st.binary(max_size=300) | READINGS.map(encode_reading), max_size=8))
def test_garbage_never_raises_and_never_counts_as_a_reading_without_its_checksum(pieces):
    parser = SerialParser()
    stream = b''.join(pieces)
    for reading in parser.feed(stream):
        values = (*reading.linear_acceleration, *reading.angular_velocity)
        assert all(map(math.isfinite, values))
        assert 0 <= reading.sequence < 65536
        assert 0 <= reading.micros < 2**32
    assert len(parser._pending) <= LONGEST_LINE


@settings(max_examples=300)
@given(
    pieces=st.lists(
        st.binary(max_size=40)
        | READINGS.map(encode_reading)
        | st.sampled_from([b'\n', b'\r\n', b'$', b'*', b'#', b'x' * (LONGEST_LINE + 5)]),
        max_size=10,
    ),
    data=st.data(),
)
def test_where_the_stream_is_cut_makes_no_difference(pieces, data):
    stream = b''.join(pieces)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    whole, cut = SerialParser(), SerialParser()
    expected = whole.feed(stream + b'\n')
    received = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)]):
        received += cut.feed(stream[start:end])
    received += cut.feed(b'\n')
    assert received == expected
    assert cut.health == whole.health


@given(reading=READINGS, position=st.integers(0, 200), flip=st.integers(1, 255))
def test_a_changed_byte_never_makes_a_wrong_reading(reading, position, flip):
    line = bytearray(encode_reading(reading))
    line[position % len(line)] ^= flip
    received = SerialParser().feed(bytes(line))
    # Damage to the end of the line, or to the case of the checksum, may leave it whole.
    assert received in ([], [reading])


def test_joining_in_the_middle_costs_one_line():
    stream = encode_reading(GOOD) * 3
    parser = SerialParser()
    assert len(parser.feed(stream[20:])) == 2
    assert parser.health.malformed == 1


def test_lost_lines_and_restarts_are_counted():
    parser = SerialParser()
    for sequence in (65533, 65534, 2, 3, 4, 0, 1):
        parser.feed(encode_reading(SerialReading(sequence, 0, (0, 0, 9.8), (0, 0, 0))))
    # 65535, 0 and 1 were lost; then the board started anew.
    assert parser.health == SerialHealth(readings=7, lost=3, restarts=1)


@pytest.mark.parametrize(
    'body',
    [
        b'IMU,1,2,nan,0,9.8,0,0,0',
        b'IMU,1,2,inf,0,9.8,0,0,0',
        b'IMU,1,2,1e5,0,9.8,0,0,0',
        b'IMU,1,2,1_0,0,9.8,0,0,0',
        b'IMU,1,2,+1,0,9.8,0,0,0',
        b'IMU,1,2,.5,0,9.8,0,0,0',
        b'IMU,1,2, 1,0,9.8,0,0,0',
        b'IMU,65536,2,0,0,9.8,0,0,0',
        b'IMU,1,4294967296,0,0,9.8,0,0,0',
        b'IMU,-1,2,0,0,9.8,0,0,0',
        b'IMU,1,2,0,0,9.8,0,0',
        b'IMU,1,2,0,0,9.8,0,0,0,0',
        b'GPS,1,2,0,0,9.8,0,0,0',
        b'IMU,1,2,0,0,999999999,0,0,0',
        '\u0660'.join(['IMU,1,2,', ',0,9.8,0,0,0']).encode(),
        b'',
    ],
)
def test_other_lines_are_malformed(body):
    parser = SerialParser()
    assert parser.feed(with_checksum(body)) == []
    assert parser.health.malformed == 1


def test_a_bad_checksum_is_told_apart():
    parser = SerialParser()
    line = encode_reading(GOOD)
    damaged = line.replace(b'9.81', b'9.18').replace(b'0.01', b'0.02')
    assert damaged != line
    assert parser.feed(damaged) == []
    assert parser.health.bad_checksums == 1


def test_comments_and_blank_lines_are_skipped():
    parser = SerialParser()
    assert parser.feed(b'# booted\r\n\r\n\n\0\0\n' + encode_reading(GOOD)) == [GOOD]
    assert parser.health == SerialHealth(readings=1)


def test_an_endless_line_takes_no_memory_and_ends():
    parser = SerialParser()
    for _ in range(1000):
        assert parser.feed(b'$IMU,' * 100) == []
    assert parser._pending == b''
    assert parser.feed(b'\n' + encode_reading(GOOD)) == [GOOD]
    assert parser.health.malformed == 1


def test_restart_forgets_the_half_line_and_the_sequence():
    parser = SerialParser()
    parser.feed(encode_reading(GOOD) + b'$IMU,8,')
    parser.restart()
    assert parser.feed(encode_reading(SerialReading(500, 0, (0, 0, 9.8), (0, 0, 0))))
    assert parser.health == SerialHealth(readings=2)


def test_the_line_in_the_documentation_is_valid():
    line = re.search(r'^ {4}(\$IMU,\d.*)$', DOCUMENT.read_text(), re.MULTILINE)[1]
    (reading,) = SerialParser().feed(line.encode() + b'\n')
    assert encode_reading(reading).strip().decode() == line


@pytest.mark.parametrize(
    'reading',
    [
        SerialReading(65536, 0, (0, 0, 0), (0, 0, 0)),
        SerialReading(0, 2**32, (0, 0, 0), (0, 0, 0)),
        SerialReading(0, 0, (math.nan, 0, 0), (0, 0, 0)),
        SerialReading(0, 0, (0, 0, 0), (0, math.inf, 0)),
    ],
)
def test_what_cannot_be_carried_is_refused(reading):
    with pytest.raises(KwsImuError, match='does not fit the serial protocol'):
        encode_reading(reading)
