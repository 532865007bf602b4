"""Recordings as spreadsheets, loggers and people leave them: every row is read or counted."""

from __future__ import annotations

import gzip
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.imu.recording import read_recording

NAMES = ('time', 'ax', 'ay', 'az', 'gx', 'gy', 'gz')
COUNT = 300
RATE_HZ = 100


def motion() -> np.ndarray:
    """Return three seconds of an arm that swings: (n, 7), time in s, m/s^2, rad/s."""
    time = np.arange(COUNT) / RATE_HZ
    angle = 0.5 * np.sin(2.0 * np.pi * time)
    speed = np.pi * np.cos(2.0 * np.pi * time)
    values = np.zeros((COUNT, 7))
    values[:, 0] = time
    values[:, 1], values[:, 3] = -9.81 * np.sin(angle), 9.81 * np.cos(angle)
    values[:, 5] = speed
    return values


def lines(
    values: np.ndarray, separator: str = ',', decimal: str = '.', tail: str = ''
) -> list[str]:
    return [
        separator.join(f'{value:.5f}'.replace('.', decimal) for value in row) + tail
        for row in values
    ]


def write(path: Path, rows: list[str], header: str = ','.join(NAMES), end: str = '\n') -> Path:
    path.write_bytes((end.join([header, *rows]) + end).encode())
    return path


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    return write(tmp_path / 'plain.csv', lines(motion()))


def assert_same(path: Path, plain: Path) -> None:
    recording = read_recording(path)
    assert recording.samples == read_recording(plain).samples
    assert recording.dropped == 0
    assert recording.notes == ()


def test_a_plain_file_is_read_without_a_word(plain: Path):
    assert len(read_recording(plain).samples) == COUNT
    assert_same(plain, plain)


@pytest.mark.parametrize('encoding', ['utf-8-sig', 'utf-16', 'utf-8'])
def test_text_of_any_encoding_and_line_ends(tmp_path: Path, plain: Path, encoding: str):
    for end in ('\n', '\r\n', '\r', '\n\n'):
        text = end.join(plain.read_text().splitlines())
        path = tmp_path / 'other.csv'
        path.write_bytes(text.encode(encoding))
        assert_same(path, plain)


@pytest.mark.parametrize('name', ['a.csv', 'a.csv.gz', 'a.txt', 'a'])
@pytest.mark.parametrize('packed', [False, True])
def test_what_a_file_holds_counts_not_its_name(tmp_path: Path, plain: Path, name, packed: bool):
    data = plain.read_bytes()
    (tmp_path / name).write_bytes(gzip.compress(data) if packed else data)
    assert_same(tmp_path / name, plain)


@pytest.mark.parametrize(
    ('header', 'tail'), [('', ','), (',', ''), (',', ','), (' , ', ', '), ('', ',,,')]
)
def test_commas_at_the_end_are_no_values(tmp_path: Path, plain: Path, header: str, tail: str):
    rows = lines(motion(), tail=tail)
    assert_same(write(tmp_path / 'a.csv', rows, ','.join(NAMES) + header), plain)


@pytest.mark.parametrize('separator', [';', '\t'])
@pytest.mark.parametrize('decimal', [',', '.'])
def test_spreadsheets_of_other_countries(tmp_path: Path, plain: Path, separator, decimal: str):
    rows = lines(motion(), separator, decimal)
    assert_same(write(tmp_path / 'a.csv', rows, separator.join(NAMES)), plain)


@pytest.mark.parametrize(
    'header',
    [
        'sep=,\ntime,ax,ay,az,gx,gy,gz',
        '# my logger 1.2\n\ntime,ax,ay,az,gx,gy,gz',
        'Time, AX, AY, AZ, GX, GY, GZ',
        '"time","ax","ay","az","gx","gy","gz"',
    ],
)
def test_headers_as_programs_write_them(tmp_path: Path, plain: Path, header: str):
    assert_same(write(tmp_path / 'a.csv', lines(motion()), header), plain)


def test_a_unit_in_the_characters_of_windows_does_no_harm(tmp_path: Path, plain: Path):
    text = plain.read_text().replace('gz\n', 'gz,m/s²\n', 1)
    path = tmp_path / 'a.csv'
    path.write_bytes(text.replace('\n', ',1\n').replace('m/s²,1', 'm/s²').encode('cp1252'))
    assert_same(path, plain)


@pytest.mark.parametrize('decimals', [0, 1])
def test_coarse_times_are_spread_evenly_and_told(tmp_path: Path, decimals: int):
    values = motion()
    factor = 10.0**decimals
    values[:, 0] = np.floor(values[:, 0] * factor + 1e-6) / factor
    recording = read_recording(write(tmp_path / 'a.csv', lines(values)))
    assert len(recording.samples) == COUNT
    steps = np.diff([sample.stamp_ns for sample in recording.samples])
    assert (np.abs(steps - 10_000_000) <= 1000).all()
    (note,) = recording.notes
    assert f'typically {RATE_HZ // 10**decimals} rows in a row share one' in note


def test_coarse_times_of_a_part_of_a_second(tmp_path: Path):
    values = motion()[40:270]
    values[:, 0] = np.floor(values[:, 0] + 1e-6)
    recording = read_recording(write(tmp_path / 'a.csv', lines(values)))
    steps = np.diff([sample.stamp_ns for sample in recording.samples])
    assert (np.abs(steps - 10_000_000) <= 1000).all()


def test_every_row_that_is_left_out_is_told_by_its_flaw(tmp_path: Path):
    rows = lines(motion())
    for i in range(0, 90, 3):
        rows[i] = ','.join([*rows[i].split(',')[:4], '', '', ''])
    rows[100] = rows[100].replace('.', ';')
    rows[101] = '1.01,0,0,0,0,0,0'
    rows[102] = rows[103]
    rows[-1] = rows[-1][:20]
    rows.append('9999.0,0.1,0,9.8,0,0,0.1')
    recording = read_recording(write(tmp_path / 'a.csv', rows))
    assert recording.rows == COUNT + 1
    assert recording.dropped == 35
    assert len(recording.samples) == recording.rows - recording.dropped
    (note,) = recording.notes
    assert note.startswith('35 of 301 rows')
    assert '32 lack a value' in note
    for flaw in (
        'hold nothing but zeros',
        'have the time of another row',
        'have a time far from the others',
    ):
        assert f'1 {flaw}' in note


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_whatever_rows_hold_each_is_read_or_counted(tmp_path: Path, data: st.DataObject):
    rows = lines(motion())
    for _ in range(data.draw(st.integers(1, 40))):
        rows[data.draw(st.integers(0, COUNT - 1))] = data.draw(
            st.sampled_from(
                ['nan,1,2,3,4,5,6', '1,2', 'a,b,c,d,e,f,g', '-1,1,1,9,1,1,1', ',,,,,,1']
            )
            | st.text('0123456789.,-e', min_size=1, max_size=30)
        )
    recording = read_recording(write(tmp_path / 'a.csv', rows))
    assert len(recording.samples) + recording.dropped == recording.rows
    if recording.dropped:
        assert any(f'{recording.dropped} of {recording.rows} rows' in n for n in recording.notes)


@pytest.mark.parametrize(
    ('content', 'sentence'),
    [
        (b'PK\x03\x04\x14\x00', 'is a spreadsheet or an archive'),
        (b'\xd0\xcf\x11\xe0\xa1\xb1', 'is a spreadsheet or an archive'),
        (b'time\x00,ax\n', 'cannot be read'),
        (b'time;ax;ay\n1;2;3\n', r'has columns \(time, ax, ay\)'),
        (b'time,ax,ay,az,gx,gy,gz\n1,,,,,,\n2,,,,,,\n', 'no usable rows .all lack a value'),
    ],
)
def test_what_is_no_recording_is_one_sentence(tmp_path: Path, content: bytes, sentence: str):
    path = tmp_path / 'a.csv'
    path.write_bytes(content)
    with pytest.raises(KwsImuError, match=sentence):
        read_recording(path)


@pytest.mark.parametrize(
    ('factors', 'word'),
    [
        ((1 / 9.80665, 1.0), 'g instead of'),
        ((16384 / 9.80665, 131 * 180 / math.pi), 'raw counts'),
        ((1.0, 180 / math.pi), 'degrees'),
    ],
)
def test_values_in_other_units_are_refused_with_the_unit(tmp_path: Path, factors, word: str):
    values = motion()
    values[:, 1:4] *= factors[0]
    values[:, 4:] *= factors[1]
    with pytest.raises(KwsImuError, match=word):
        read_recording(write(tmp_path / 'a.csv', lines(values)))


def test_a_sensor_that_sleeps_is_told(tmp_path: Path):
    values = motion()
    values[:, 4:] = 0.0
    (note,) = read_recording(write(tmp_path / 'a.csv', lines(values))).notes
    assert 'gyroscope' in note


@pytest.mark.parametrize(('name', 'factor'), [('time', 1e3), ('time', 1e9), ('timestamp_ms', 1.0)])
def test_times_in_another_unit_than_their_name_says_are_refused(tmp_path: Path, name, factor):
    values = motion()
    values[:, 0] *= factor
    header = ','.join([name, *NAMES[1:]])
    with pytest.raises(KwsImuError, match='call it after its unit'):
        read_recording(write(tmp_path / 'a.csv', lines(values), header))


def test_zeros_behind_the_last_row_are_no_text(tmp_path: Path, plain: Path):
    path = tmp_path / 'a.csv'
    path.write_bytes(plain.read_bytes() + bytes(4096))
    assert_same(path, plain)
