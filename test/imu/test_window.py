"""The IMU window on real sensors, on ground truth, and on everything that goes wrong."""

from __future__ import annotations

import gzip
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.imu.recording import read_recording
from kws_imu_ros.imu.sample import ImuSample
from kws_imu_ros.imu.window import ImuHealth, ImuWindow

MS = 1_000_000
SECOND = 1_000_000_000
EPOCH = 1_790_000_000 * SECOND


def sample(stamp_ns, acceleration=(0.0, 0.0, 9.81), rotation=(0.0, 0.0, 0.1)):
    return ImuSample(stamp_ns, acceleration, rotation)


def sine(stamp_ns):
    """Return a smooth motion of which every value at every time is known."""
    t = (stamp_ns - EPOCH) / SECOND
    return sample(stamp_ns, (math.sin(4 * t), t, 9.81), (math.cos(4 * t), 0.1, -0.5 * t))


def filled(rate_hz=100, seconds=4.0, make=sine, **settings_):
    window = ImuWindow(**settings_)
    for i in range(int(seconds * rate_hz)):
        window.push(make(EPOCH + i * SECOND // rate_hz))
    return window


def expected_rows(end_ns, make=sine, count=100):
    rows = [make(end_ns - (count - 1 - i) * 20 * MS) for i in range(count)]
    return np.array([(*r.linear_acceleration, *r.angular_velocity) for r in rows])


@pytest.mark.parametrize('rate_hz', [50, 69, 100, 170, 248, 1000])
def test_resampling_meets_the_truth(rate_hz):
    window = filled(rate_hz)
    end_ns = window.health.newest_ns
    rows = window.window(end_ns)
    assert rows.shape == (100, 6)
    assert rows.dtype == np.float32
    # Linear interpolation of sin(4 t): the error is at most step^2 / 8 * 16.
    tolerance = (1 / rate_hz) ** 2 * 2 + 1e-6
    np.testing.assert_allclose(rows, expected_rows(end_ns), atol=tolerance)
    assert window.health.rate_hz == pytest.approx(rate_hz, rel=0.01)
    assert window.health.sentences() == ()


@settings(max_examples=30, deadline=None)
@given(
    steps_ms=st.lists(st.integers(1, 60), min_size=80, max_size=200),
    end_offset_ms=st.integers(-1000, 250),
)
def test_jittered_stamps_meet_the_truth(steps_ms, end_offset_ms):
    window = ImuWindow()
    stamps = EPOCH + np.cumsum(steps_ms) * MS
    for stamp in stamps.tolist():
        window.push(sample(stamp, ((stamp - EPOCH) / SECOND, 0.0, 9.81)))
    end_ns = int(stamps[-1]) + end_offset_ms * MS
    rows = window.window(end_ns)
    known = stamps[stamps <= end_ns]
    grid = end_ns - np.arange(99, -1, -1) * 20 * MS
    # A ramp is what linear interpolation must reproduce; outside of the samples it is held.
    truth = (np.clip(grid, known[0], known[-1]) - EPOCH) / SECOND
    np.testing.assert_allclose(rows[:, 0], truth, atol=1e-5)


@settings(max_examples=30, deadline=None)
@given(later=st.integers(0, 150), end_index=st.integers(120, 200))
def test_causal_whatever_came_later(later, end_index):
    stamps = [EPOCH + i * 10 * MS for i in range(end_index + 1 + later)]
    now, then = ImuWindow(), ImuWindow()
    for stamp in stamps[: end_index + 1]:
        now.push(sine(stamp))
    for stamp in stamps:
        then.push(sine(stamp))
    end_ns = stamps[end_index] + 5 * MS
    np.testing.assert_array_equal(now.window(end_ns), then.window(end_ns))


def test_before_the_first_sample_and_after_the_newest_values_are_held():
    window = ImuWindow()
    for i in range(10):
        window.push(sample(EPOCH + i * 10 * MS, (float(i), 0.0, 9.0)))
    rows = window.window(EPOCH + 90 * MS + 200 * MS)
    assert (rows[:85, 0] == 0.0).all()
    assert (rows[-10:, 0] == 9.0).all()


def test_no_window_without_samples_or_with_old_ones():
    window = ImuWindow()
    assert window.window(EPOCH) is None
    window = filled()
    newest = window.health.newest_ns
    assert window.window(newest + 300 * MS) is not None
    assert window.window(newest + 301 * MS) is None
    assert window.window(EPOCH - 1) is None


def test_a_short_gap_is_bridged_and_a_long_one_starts_anew():
    window = filled(seconds=1.0)
    first_end = window.health.newest_ns
    window.push(sample(first_end + 250 * MS, (5.0, 0.0, 9.81)))
    assert window.health.gaps == 0
    assert len(np.unique(window.window(first_end + 250 * MS)[:, 0])) > 50
    resumed = first_end + 250 * MS + SECOND
    for i in range(5):
        window.push(sample(resumed + i * 10 * MS, (7.0, 0.0, 9.81)))
    rows = window.window(resumed + 40 * MS)
    # Nothing of before the pause: a bridge would be a motion that nobody made.
    assert (rows[:, 0] == 7.0).all()
    assert window.health.gaps == 1
    assert window.health.longest_gap_ns == SECOND
    assert 'paused 1 times, the longest for 1.00 s' in window.health.sentences()[0]


@pytest.mark.parametrize('jump_ns', [-86_400 * SECOND, -SECOND, 86_400 * SECOND])
def test_the_clock_may_jump_both_ways(jump_ns):
    window = filled(seconds=3.0)
    before = window.health.newest_ns
    for i in range(1, 50):
        window.push(sample(before + jump_ns + i * 10 * MS, (3.0, 0.0, 9.81)))
    rows = window.window(before + jump_ns + 490 * MS)
    assert (rows[:, 0] == 3.0).all()
    assert window.health.clock_jumps == 1
    assert window.health.accepted == 349
    assert 'clock jumped' in ' '.join(window.health.sentences())
    assert window.window(before) is None


@pytest.mark.parametrize('offset_ns', [-5 * SECOND, 7 * SECOND, 10**18])
def test_one_stray_stamp_costs_one_sample(offset_ns):
    window, clean = ImuWindow(), ImuWindow()
    for i in range(200):
        stamp = EPOCH + i * 10 * MS
        if i == 100:
            window.push(sample(stamp + offset_ns))
            continue
        window.push(sine(stamp))
        clean.push(sine(stamp))
    end_ns = EPOCH + 1990 * MS
    np.testing.assert_array_equal(window.window(end_ns), clean.window(end_ns))
    assert window.health.corrupt_stamps == 1
    assert window.health.clock_jumps == window.health.gaps == 0


def test_a_first_stamp_that_is_stray_is_recovered_from():
    window = ImuWindow()
    window.push(sample(EPOCH + 10**15))
    for i in range(100):
        window.push(sine(EPOCH + i * 10 * MS))
    assert window.window(EPOCH + 990 * MS) is not None


def test_duplicates_and_late_samples_are_dropped():
    window, clean = ImuWindow(), ImuWindow()
    for i in range(100):
        stamp = EPOCH + i * 10 * MS
        window.push(sine(stamp))
        clean.push(sine(stamp))
        if i % 10 == 5:
            window.push(sample(stamp, (99.0, 0.0, 0.0)))
            window.push(sample(stamp - 15 * MS, (99.0, 0.0, 0.0)))
    end_ns = EPOCH + 990 * MS
    np.testing.assert_array_equal(window.window(end_ns), clean.window(end_ns))
    assert window.health.duplicates == 10
    assert window.health.out_of_order == 10
    assert '10 duplicate and 10 late' in ' '.join(window.health.sentences())


@pytest.mark.parametrize(
    ('acceleration', 'rotation', 'count'),
    [
        ((math.nan, 0.0, 9.81), (0.0, 0.0, 0.0), 'not_finite'),
        ((0.0, 0.0, 9.81), (0.0, math.inf, 0.0), 'not_finite'),
        ((0.0, -math.inf, 9.81), (0.0, 0.0, 0.0), 'not_finite'),
        ((0.0, 0.0, 1e9), (0.0, 0.0, 0.0), 'absurd'),
        ((0.0, 0.0, 9.81), (250.0, 0.0, 0.0), 'absurd'),
        ((0.0, 0.0, 0.0), (0.0, 0.0, 0.0), 'absurd'),
    ],
)
def test_impossible_values_never_reach_the_window(acceleration, rotation, count):
    window, clean = ImuWindow(), ImuWindow()
    for i in range(150):
        stamp = EPOCH + i * 10 * MS
        if i % 3 == 1:
            window.push(sample(stamp, acceleration, rotation))
            continue
        window.push(sine(stamp))
        clean.push(sine(stamp))
    end_ns = EPOCH + 1490 * MS
    rows = window.window(end_ns)
    np.testing.assert_array_equal(rows, clean.window(end_ns))
    assert np.isfinite(rows).all()
    assert getattr(window.health, count) == 50
    assert len(window.health.sentences()) == 1


@pytest.mark.parametrize(
    ('name', 'rate_hz'), [('phidgets_turning', 248.0), ('razor_shaken', 69.0), ('razor_still', 69)]
)
def test_real_drivers_make_a_clean_window(test_data, name, rate_hz):
    recording = read_recording(test_data / 'imu' / f'{name}.csv.gz')
    window = ImuWindow()
    for reading in recording.samples:
        window.push(reading)
    health = window.health
    assert health.accepted == health.received == len(recording.samples)
    assert health.rate_hz == pytest.approx(rate_hz, rel=0.05)
    assert health.sentences() == ()
    rows = window.window(health.newest_ns)
    stamps = np.array([r.stamp_ns for r in recording.samples])
    values = np.array([(*r.linear_acceleration, *r.angular_velocity) for r in recording.samples])
    grid = stamps[-1] - np.arange(99, -1, -1) * 20 * MS
    for column in range(6):
        seconds = (stamps - stamps[0]) / SECOND
        truth = np.interp((grid - stamps[0]) / SECOND, seconds, values[:, column])
        np.testing.assert_allclose(rows[:, column], truth, atol=1e-4)


@pytest.mark.parametrize('gesture', ['swipe_left', 'swipe_right', 'circle_clk'])
@pytest.mark.parametrize('subject', [1, 13])
def test_real_gestures_with_corrupt_rows_stream_through(test_data, gesture, subject):
    path = test_data / 'gestures' / 'grwd' / gesture / f'subject_{subject}' / '0.csv.gz'
    window = ImuWindow()
    windows = 0
    for reading in read_recording(path).samples:
        window.push(reading)
        rows = window.window(reading.stamp_ns)
        if rows is not None:
            windows += 1
            assert np.isfinite(rows).all()
            # The sensor's range: +-2 g and +-250 degrees/s.
            assert np.abs(rows[:, :3]).max() < 20.0
            assert np.abs(rows[:, 3:]).max() < 4.4
    assert windows > 100


def test_raw_rows_of_many_boards_never_leave_the_sensor_range(data_directory):
    """Stream GRWD as its boards sent it, damage and all: one row in a hundred is corrupt."""
    windows = absurd = stray = 0
    paths = sorted((data_directory / 'gestures' / 'grwd').glob('swipe_*/subject_*/0.csv.gz'))
    assert len(paths) > 20
    for path in paths[::4]:
        window = ImuWindow()
        for line in gzip.decompress(path.read_bytes()).decode().splitlines()[1:]:
            fields = line.rstrip(',').split(',')
            try:
                raw, stamp_ns = [float(v) for v in fields[:6]], int(fields[9]) * MS
            except (ValueError, IndexError):
                continue
            acceleration = tuple(v / 16384 * 9.80665 for v in raw[:3])
            window.push(
                sample(stamp_ns, acceleration, tuple(math.radians(v / 131) for v in raw[3:]))
            )
            rows = window.window(stamp_ns)
            windows += rows is not None
            assert rows is None or np.isfinite(rows).all()
            absurd += window.health.absurd
        stray += window.health.corrupt_stamps
    assert windows > 5000
    assert absurd > 0
    assert stray > 0


@settings(max_examples=50, deadline=None)
@given(
    readings=st.lists(
        st.tuples(
            st.integers(-(2**62), 2**62) | st.integers(0, 10**10),
            st.lists(st.floats(width=64), min_size=6, max_size=6),
        ),
        max_size=80,
    ),
    end_ns=st.integers(-(2**62), 2**62) | st.integers(0, 10**10),
)
def test_no_input_can_break_it(readings, end_ns):
    window = ImuWindow()
    for stamp, values in readings:
        window.push(sample(stamp, tuple(values[:3]), tuple(values[3:])))
    rows = window.window(end_ns)
    assert rows is None or np.isfinite(rows).all()
    assert all(sentence.endswith('.') for sentence in window.health.sentences())


def test_a_fast_sensor_keeps_its_two_seconds_in_bounded_memory():
    window = ImuWindow()
    for i in range(50_000):
        window.push(sample(EPOCH + i * MS, (i / 50_000, 0.0, 9.81)))
    rows = window.window(window.health.newest_ns)
    assert rows[0, 0] == pytest.approx((49_999 - 99 * 20) / 50_000, abs=1e-4)
    assert len(window._stamps) < 20_000


def test_health_since_tells_what_is_new():
    window = filled(seconds=1.0)
    earlier = window.health
    assert 'No IMU sample' in window.health.since(earlier).sentences()[0]
    window.push(sample(earlier.newest_ns + 10 * MS, (math.nan, 0.0, 0.0)))
    new = window.health.since(earlier)
    assert (new.received, new.not_finite, new.accepted) == (1, 1, 0)


def test_reset_forgets():
    window = filled()
    window.reset()
    assert window.health == ImuHealth()
    assert window.window(EPOCH + SECOND) is None


@pytest.mark.parametrize(
    'bad',
    [
        {'rate_hz': 0.0},
        {'rate_hz': math.nan},
        {'length': 0},
        {'max_age_ns': 0},
        {'max_gap_ns': -1},
    ],
)
def test_senseless_settings_are_refused(bad):
    with pytest.raises(KwsImuError, match='must be positive'):
        ImuWindow(**bad)
