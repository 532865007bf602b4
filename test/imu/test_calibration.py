"""Calibration on real sensors at rest, and its refusals."""

from __future__ import annotations

import math

import numpy as np
import pytest

from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.imu.calibration import Calibration, calibrate_at_rest
from kws_imu_ros.imu.recording import read_recording
from kws_imu_ros.imu.sample import ImuSample

MS = 1_000_000


def still(count=200, acceleration=(0.0, 0.0, 9.9), rotation=(0.02, -0.03, 0.01), noise=0.005):
    random = np.random.default_rng(4)
    return [
        ImuSample(
            i * 10 * MS,
            tuple(random.normal(acceleration, noise).tolist()),
            tuple(random.normal(rotation, noise).tolist()),
        )
        for i in range(count)
    ]


def test_a_real_sensor_at_rest(test_data):
    samples = read_recording(test_data / 'imu' / 'razor_still.csv.gz').samples
    calibration = calibrate_at_rest(samples)
    # This sensor's gyroscope is off by 7 degrees/s, and it lies at a slant.
    assert calibration.angular_velocity_bias == pytest.approx((-0.12, -0.002, 0.022), abs=0.003)
    corrected = [calibration.apply(s) for s in samples]
    rotation = np.mean([s.angular_velocity for s in corrected], axis=0)
    gravity = np.linalg.norm(np.mean([s.linear_acceleration for s in corrected], axis=0))
    np.testing.assert_allclose(rotation, 0.0, atol=1e-9)
    assert gravity == pytest.approx(9.80665)
    assert [s.stamp_ns for s in corrected] == [s.stamp_ns for s in samples]


def test_another_real_sensor_at_rest(test_data):
    calibration = calibrate_at_rest(
        read_recording(test_data / 'imu' / 'phidgets_still.csv.gz').samples
    )
    assert np.abs(calibration.angular_velocity_bias).max() < 0.01
    assert calibration.acceleration_scale == pytest.approx(0.993, abs=0.003)


@pytest.mark.parametrize('name', ['razor_shaken', 'phidgets_turning'])
def test_real_motion_is_refused(test_data, name):
    # One is shaken; the other turns so evenly that only the size of the turn gives it away.
    samples = read_recording(test_data / 'imu' / f'{name}.csv.gz').samples
    with pytest.raises(KwsImuError, match=r'was not calibrated because it (moved|turns)'):
        calibrate_at_rest(samples)


def test_a_slow_tilt_is_refused():
    samples = [
        ImuSample(
            i * 10 * MS, (9.81 * math.sin(i / 2000), 0.0, 9.81 * math.cos(i / 2000)), (0, 0, 0)
        )
        for i in range(200)
    ]
    with pytest.raises(KwsImuError, match='moved'):
        calibrate_at_rest(samples)


@pytest.mark.parametrize(
    ('samples', 'sentence'),
    [
        ([], 'cannot be calibrated from 0 samples'),
        (still(10), 'cannot be calibrated from 10 samples'),
        (still(200, (0.0, 0.0, 1.0)), 'looks like g instead of m/s'),
        (still(200, (0.0, 0.0, 5.0)), 'measures gravity as 5.0'),
        (still(200, (0.0, 0.0, 0.0), noise=0.0), 'measures gravity as 0.00'),
        (still(200, (math.nan, 0.0, 9.8)), 'NaN or infinity'),
        (still(200, rotation=(0.5, 0.0, 0.0)), 'turns at 0.50 rad/s'),
    ],
)
def test_refusals_are_one_sentence(samples, sentence):
    with pytest.raises(KwsImuError, match=sentence) as caught:
        calibrate_at_rest(samples)
    assert str(caught.value).endswith('.')


def test_the_default_changes_nothing():
    sample = still(1)[0]
    assert Calibration().apply(sample) == sample
