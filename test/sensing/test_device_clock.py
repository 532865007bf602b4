"""Mapping of device time to computer time, against clocks whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.sensing.device_clock import DeviceClock

SECOND = 1_000_000_000
EPOCH = 1_790_000_000 * SECOND
MS = 1_000_000


def run(clock, device_ns, computer_ns):
    """Feed both clocks; return what the clock says about each reading, right after it."""
    result = []
    for device, computer in zip(device_ns, computer_ns):
        clock.update(int(device), int(computer))
        result.append(clock.computer_ns(int(device)))
    return np.array(result)


def test_clumped_arrivals_get_even_stamps():
    # A serial line at 100 Hz whose lines arrive in clumps of up to 16 ms.
    random = np.random.default_rng(1)
    measured = np.arange(3000) * 10 * MS
    arrival = np.maximum.accumulate(
        EPOCH + measured + random.integers(1 * MS, 17 * MS, len(measured))
    )
    stamps = run(DeviceClock(quantile=0.0), measured, arrival)
    error = stamps - (EPOCH + measured)
    assert np.abs(error[100:]).max() < 3 * MS  # The line's shortest delay cannot be known.
    assert np.diff(stamps).min() > 0


@pytest.mark.parametrize('drift', [-0.005, -1e-4, 1e-4, 0.005])
def test_drift_is_followed(drift):
    # The ceramic resonators of cheap boards are off by up to half a percent.
    random = np.random.default_rng(2)
    true = np.arange(12000) * 10 * MS
    device = (true * (1 + drift)).astype(np.int64)
    stamps = run(DeviceClock(), device, EPOCH + true + random.integers(0, 5 * MS, len(true)))
    error = np.abs(stamps - (EPOCH + true))[300:]
    assert error.max() < 15 * MS


def test_errors_both_ways_are_averaged():
    random = np.random.default_rng(3)
    true = np.arange(1000) * 20 * MS
    noisy = EPOCH + true + (random.normal(0, 5 * MS, len(true))).astype(np.int64)
    stamps = run(DeviceClock(quantile=0.5, history=100), true, noisy)
    assert np.abs(stamps - (EPOCH + true))[200:].max() < 3 * MS


def test_one_late_reading_changes_nothing():
    clock = DeviceClock()
    true = np.arange(200) * 10 * MS
    late = EPOCH + true
    late[100] += 2 * SECOND
    stamps = run(clock, true, late)
    np.testing.assert_array_equal(stamps, EPOCH + true)
    assert clock.restarts == 0


@pytest.mark.parametrize('jump', [-3600 * SECOND, -SECOND, SECOND, 3600 * SECOND])
def test_a_computer_clock_that_is_set_is_followed(jump):
    clock = DeviceClock()
    true = np.arange(400) * 10 * MS
    computer = EPOCH + true
    computer[200:] += jump
    stamps = run(clock, true, computer)
    np.testing.assert_array_equal(stamps[210:], computer[210:])
    assert clock.restarts == 1


def test_a_clock_without_readings_says_so():
    clock = DeviceClock()
    with pytest.raises(KwsImuError, match='before the device sent'):
        clock.computer_ns(0)
    clock.update(0, EPOCH)
    clock.restart()
    assert clock.restarts == 1
    with pytest.raises(KwsImuError, match='before the device sent'):
        clock.computer_ns(0)


@pytest.mark.parametrize(
    'bad', [{'quantile': 1.1}, {'history': 0}, {'slew': 0.0}, {'step_ns': 0}, {'patience': 0}]
)
def test_senseless_settings_are_refused(bad):
    with pytest.raises(KwsImuError, match='needs a quantile'):
        DeviceClock(**bad)
