"""Only an IMU that lives and makes sense is believed, and people are told why another is not."""

from __future__ import annotations

import gzip
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kws_imu_ros.imu.recording import read_recording
from kws_imu_ros.imu.sample import ImuSample
from kws_imu_ros.imu.stream import ImuStream

SECOND = 1_000_000_000
STEP = 10_000_000
EPOCH = 1_790_000_000 * SECOND
RESTING = ImuSample(0, (0.2, -0.4, 9.8), (0.01, 0.0, -0.02))


def resting(count: int, start_ns: int = EPOCH, step_ns: int = STEP, seed: int = 1):
    """Return a sensor that lies still, with the noise that every sensor has."""
    rng = np.random.default_rng(seed)
    return [
        ImuSample(
            start_ns + i * step_ns,
            tuple((np.array(RESTING.linear_acceleration) + rng.normal(0, 0.05, 3)).tolist()),
            tuple((np.array(RESTING.angular_velocity) + rng.normal(0, 0.005, 3)).tolist()),
        )
        for i in range(count)
    ]


def push(stream: ImuStream, samples: list[ImuSample]) -> list[bool]:
    """Push samples that arrive 5 ms after they were taken; return the signs of life."""
    return [stream.push(sample, sample.stamp_ns + 5_000_000) for sample in samples]


def newest_window(stream: ImuStream) -> np.ndarray | None:
    newest_ns = stream.newest_ns
    assert newest_ns is not None
    return stream.window(newest_ns)


def real_recordings(test_data: Path) -> list[list[ImuSample]]:
    paths = [*(test_data / 'imu').glob('*.gz'), *(test_data / 'gestures').rglob('*.csv.gz')]
    assert len(paths) > 10
    return [list(read_recording(path).samples) for path in paths]


# Life


def test_real_sensors_live_all_the_time(test_data: Path) -> None:
    for samples in real_recordings(test_data):
        stream = ImuStream()
        # A pause in a recording costs a reading.
        assert sum(push(stream, samples)) >= len(samples) - 2
        assert stream.usable


def test_a_coarse_phone_at_rest_lives(test_data: Path) -> None:
    tables = []
    for kind in ('acc', 'gyro'):
        (path,) = (test_data / 'hapt').glob(f'{kind}_exp01_user01.txt*')
        opened = gzip.open(path, 'rt') if path.suffix == '.gz' else path.open()
        with opened as file:
            tables.append(np.loadtxt(file))
    stream = ImuStream()
    for i, (g, rotation) in enumerate(zip(*tables)):
        acceleration = tuple((g[[1, 2, 0]] * 9.80665).tolist())
        sample = ImuSample(EPOCH + i * 2 * STEP, acceleration, tuple(rotation.tolist()))
        stream.push(sample, sample.stamp_ns)
        assert stream.usable


def frozen(sample: ImuSample, previous: ImuSample) -> ImuSample:
    return replace(previous, stamp_ns=sample.stamp_ns)


def frozen_accelerometer(sample: ImuSample, previous: ImuSample) -> ImuSample:
    return replace(sample, linear_acceleration=previous.linear_acceleration)


def frozen_gyroscope(sample: ImuSample, previous: ImuSample) -> ImuSample:
    return replace(sample, angular_velocity=previous.angular_velocity)


def zeros(sample: ImuSample, _: ImuSample) -> ImuSample:
    return replace(sample, linear_acceleration=(0.0,) * 3, angular_velocity=(0.0,) * 3)


def nan(sample: ImuSample, _: ImuSample) -> ImuSample:
    return replace(sample, linear_acceleration=(math.nan,) * 3)


def no_rotation(sample: ImuSample, _: ImuSample) -> ImuSample:
    return replace(sample, angular_velocity=(0.0,) * 3)


@pytest.mark.parametrize(
    ('dies', 'words'),
    [
        (frozen, ['frozen']),
        (frozen_accelerometer, ['accelerometer', 'last bit']),
        (frozen_gyroscope, ['gyroscope', 'last bit']),
        (no_rotation, ['gyroscope']),
        (zeros, ['all zero']),
        (nan, ['NaN']),
    ],
)
@pytest.mark.parametrize('rate', [50, 100, 400])
def test_a_sensor_that_is_dead_but_talks_gives_no_sign_of_life(dies, words, rate: int) -> None:
    samples = resting(7 * rate, step_ns=SECOND // rate)
    stream = ImuStream()
    assert all(push(stream, samples[: 2 * rate]))
    last = samples[2 * rate - 1]
    dead = [dies(sample, last) for sample in samples[2 * rate : 5 * rate]]
    signs = push(stream, dead)
    # A reading may repeat a few times.
    assert not any(signs[5:])
    assert newest_window(stream) is None or dies in (zeros, nan)
    said = ' '.join(stream.health.sentences())
    assert all(word in said for word in words)
    signs = push(stream, samples[5 * rate :])
    # It is believed again within the span that is judged.
    assert all(signs[-rate // 4 :])
    assert newest_window(stream) is not None


def test_a_slow_sensor_may_repeat_a_reading_more_often() -> None:
    samples = resting(100, step_ns=5 * STEP)
    stream = ImuStream()
    for i in range(3, 100, 5):
        samples[i] = frozen(samples[i], samples[i - 1])
        samples[i + 1] = frozen(samples[i + 1], samples[i - 1])
    assert all(push(stream, samples))


# Units and mounting


def test_g_is_refused_in_one_sentence(test_data: Path) -> None:
    stream = ImuStream()
    samples = [
        replace(s, linear_acceleration=tuple(v / 9.80665 for v in s.linear_acceleration))
        for s in read_recording(test_data / 'imu' / 'razor_still.csv.gz').samples
    ]
    push(stream, samples)
    assert newest_window(stream) is None
    assert stream.health.sentences() == (
        'The IMU acceleration looks like g instead of m/s^2, so gestures are off: '
        'multiply it by 9.80665 in the driver.',
    )


def test_a_driver_that_corrects_its_unit_is_trusted_again() -> None:
    stream = ImuStream()
    samples = resting(600)
    in_g = [
        replace(s, linear_acceleration=tuple(v / 9.80665 for v in s.linear_acceleration))
        for s in samples[:200]
    ]
    push(stream, in_g)
    assert not stream.usable
    push(stream, samples[200:])
    assert stream.usable and newest_window(stream) is not None


@pytest.mark.parametrize('factor', [180.0 / math.pi, 131.0 * 180.0 / math.pi])
def test_degrees_and_counts_are_told_though_their_samples_are_dropped(
    test_data: Path, factor: float
) -> None:
    path = test_data / 'gestures' / 'grwd' / 'swipe_right' / 'subject_13' / '0.csv.gz'
    stream = ImuStream()
    push(
        stream,
        [
            replace(s, angular_velocity=tuple(v * factor for v in s.angular_velocity))
            for s in read_recording(path).samples
        ],
    )
    said = ' '.join(stream.health.sentences())
    assert ('raw counts' if factor > 1000 else 'degrees/s') in said
    assert not stream.usable


def test_a_sensor_worn_upside_down_is_used_and_told() -> None:
    stream = ImuStream()
    push(
        stream,
        [
            replace(s, linear_acceleration=tuple(-v for v in s.linear_acceleration))
            for s in resting(400)
        ],
    )
    assert newest_window(stream) is not None
    assert 'upside down' in stream.health.sentences()[0]


# Stamps that stand still


STAMPS = {
    'none': lambda ns: 0,
    'whole seconds': lambda ns: ns // SECOND * SECOND,
    'microseconds': lambda ns: ns // SECOND * SECOND + ns % SECOND // 1000,
    'minutes': lambda ns: ns // (60 * SECOND) * 60 * SECOND,
}


@pytest.mark.parametrize('stamp', STAMPS.values(), ids=STAMPS)
@pytest.mark.parametrize('start_ns', [EPOCH, EPOCH + 900_000_000])
def test_stamps_that_stand_give_way_to_the_time_of_arrival(stamp, start_ns: int) -> None:
    samples = resting(400, start_ns)
    stream, truth = ImuStream(), ImuStream()
    for sample in samples:
        stream.push(replace(sample, stamp_ns=stamp(sample.stamp_ns)), sample.stamp_ns)
        truth.push(sample, sample.stamp_ns)
    end_ns = samples[-1].stamp_ns
    np.testing.assert_array_equal(stream.window(end_ns), truth.window(end_ns))
    (sentence,) = stream.health.sentences()
    assert 'driver does not stamp' in sentence and 'arrival' in sentence
    assert stream.health.received == len(samples)


def test_stamps_that_stop_are_first_no_life_and_then_replaced() -> None:
    samples = resting(500)
    stream = ImuStream()
    assert all(push(stream, samples[:200]))
    signs = [
        stream.push(replace(s, stamp_ns=samples[199].stamp_ns), s.stamp_ns) for s in samples[200:]
    ]
    # Long enough for the robot to be told to stop.
    assert not any(signs[:40])
    assert all(signs[60:])
    assert 'stamps stand still' in ' '.join(stream.health.sentences())


def test_a_driver_that_stamps_again_is_believed_again() -> None:
    samples = resting(1000)
    stream = ImuStream()
    for sample in samples[:300]:
        stream.push(replace(sample, stamp_ns=0), sample.stamp_ns)
    assert stream.health.by_arrival
    push(stream, samples[300:])
    assert not stream.health.by_arrival
    assert newest_window(stream) is not None


def test_coarse_stamps_bursts_and_slow_replays_keep_their_stamps() -> None:
    samples = resting(500)
    stream = ImuStream()
    for sample in samples:
        tenth = sample.stamp_ns // 100_000_000 * 100_000_000
        stream.push(replace(sample, stamp_ns=tenth), sample.stamp_ns)
    assert not stream.health.by_arrival
    stream = ImuStream()
    for sample in samples:  # A radio that sends twenty readings at once.
        stream.push(sample, EPOCH + (sample.stamp_ns - EPOCH) // 200_000_000 * 200_000_000)
    assert not stream.health.by_arrival
    stream = ImuStream()
    for sample in samples:
        stream.push(sample, EPOCH + (sample.stamp_ns - EPOCH) * 10)
    assert not stream.health.by_arrival


# Two sensors


def between(one: list[ImuSample], other: list[ImuSample]) -> list[ImuSample]:
    return [sample for pair in zip(one, other) for sample in pair]


def turned_over(samples: list[ImuSample]) -> list[ImuSample]:
    return [
        replace(s, linear_acceleration=tuple(-v for v in s.linear_acceleration)) for s in samples
    ]


@pytest.mark.parametrize('apart_ns', [3_000_000, -25_000_000, 3600 * SECOND])
def test_two_sensors_are_told_and_neither_is_believed(apart_ns: int) -> None:
    one = resting(500)
    stream = ImuStream()
    for sample in between(one, turned_over(resting(500, EPOCH + apart_ns, seed=2))):
        stream.push(sample, EPOCH)
    assert newest_window(stream) is None
    (sentence, *others) = stream.health.sentences()
    assert 'More than one sensor sends on imu/data_raw' in sentence
    assert not [s for s in others if 'clock' in s or 'cable' in s or 'duplicate' in s]
    # The other one was switched off.
    push(stream, resting(600, one[-1].stamp_ns + STEP, seed=3))
    assert newest_window(stream) is not None


def test_two_sensors_in_the_same_pose_are_told_by_their_senders() -> None:
    stream = ImuStream()
    for i, sample in enumerate(between(resting(100), resting(100, EPOCH + 3_000_000, seed=2))):
        assert not stream.push(sample, sample.stamp_ns, 'ab'[i % 2]) or i < 10
    assert stream.mixed


def test_a_hand_that_shakes_and_real_gestures_are_one_sensor(test_data: Path) -> None:
    for samples in real_recordings(test_data):
        stream = ImuStream()
        push(stream, samples)
        assert not stream.mixed
    stream = ImuStream()
    for i, sample in enumerate(resting(1000)):
        shaken = 8.0 * math.sin(i * 0.01 * 2.0 * math.pi * 6.0)
        ax, ay, az = sample.linear_acceleration
        stream.push(replace(sample, linear_acceleration=(ax + shaken, ay, az)), sample.stamp_ns)
        assert not stream.mixed
