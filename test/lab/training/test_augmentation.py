"""What the networks are shown: the run-time front end, labels that fit, ranges that hold."""

import numpy as np
import pytest

from kws_imu_ros.audio.frontend import FrontEndParameters, log_mel
from kws_imu_ros.lab.data.activity_data import load_activities
from kws_imu_ros.lab.data.gesture_data import load_gestures
from kws_imu_ros.lab.data.speech_data import load_noise, load_speech
from kws_imu_ros.lab.training.imu_augmentation import ImuAugmentation, ImuBatches, rotation_matrix
from kws_imu_ros.lab.training.recipe import GESTURE_LABELS, VOICE_LABELS
from kws_imu_ros.lab.training.speech_augmentation import (
    FeatureBatch,
    SpeechAugmentation,
    SpeechBatches,
)

DIVISORS = np.array([19.6133] * 3 + [4.36332] * 3, np.float32)


@pytest.fixture(scope='module')
def speech(test_data):
    return load_speech(test_data / 'speech_commands', 'training', VOICE_LABELS)


@pytest.fixture(scope='module')
def speech_batches(test_data, speech):
    noise = load_noise(test_data / 'speech_commands', 'training')
    return SpeechBatches(
        speech.samples,
        speech.labels,
        noise,
        FrontEndParameters(),
        SpeechAugmentation(),
        len(VOICE_LABELS),
        VOICE_LABELS.index('silence'),
        VOICE_LABELS.index('unknown'),
    )


@pytest.fixture(scope='module')
def imu_batches(test_data):
    return ImuBatches(
        # Subject 13, who swings out clearly.
        load_gestures(test_data / 'gestures' / 'grwd', 'validation'),
        load_activities(test_data / 'hapt', 'training'),
        GESTURE_LABELS,
        DIVISORS,
        100,
        ImuAugmentation(),
    )


def test_batch_features_are_the_front_end(speech):
    parameters = FrontEndParameters()
    audio = speech.samples[:5].astype(np.float32) / 32768.0
    batch = FeatureBatch(parameters)(audio)
    for features, clip in zip(batch, speech.samples[:5], strict=True):
        assert np.abs(features - log_mel(clip, parameters)).max() < 1e-3


def test_speech_batches_repeat_with_their_seed(speech_batches):
    first = speech_batches.batch(40, np.random.default_rng((1, 2)))
    again = speech_batches.batch(40, np.random.default_rng((1, 2)))
    other = speech_batches.batch(40, np.random.default_rng((1, 3)))
    assert np.array_equal(first[0], again[0]) and np.array_equal(first[1], again[1])
    assert not np.array_equal(first[0], other[0])
    assert first[0].shape == (40, 49, 40) and first[0].dtype == np.float32
    assert np.isfinite(first[0]).all()


def test_some_microphones_are_deaf_to_high_frequencies(test_data, speech):
    p = FrontEndParameters()
    batches = SpeechBatches(
        speech.samples,
        speech.labels,
        load_noise(test_data / 'speech_commands', 'training'),
        p,
        SpeechAugmentation(
            noise_probability=0.0, masks=0, narrow_probability=0.5, narrow_hz=(4000.0, 4000.0)
        ),
        len(VOICE_LABELS),
        VOICE_LABELS.index('silence'),
        VOICE_LABELS.index('unknown'),
    )
    words = np.arange(60) % 4
    features, _ = batches.batch(60, np.random.default_rng(0), words)
    level = features * p.scale + p.offset
    # A filter that begins below 4 kHz hears something; the highest one begins far above.
    deaf = np.isclose(level[:, :, -1], p.silence, atol=1e-3).all(axis=1)
    assert 15 < deaf.sum() < 45
    assert not np.isclose(level[deaf][:, :, 20], p.silence, atol=1e-3).all(axis=1).any()


def test_silence_goes_from_digital_zero_to_loud(speech_batches):
    labels = np.full(200, VOICE_LABELS.index('silence'))
    features, _ = speech_batches.batch(200, np.random.default_rng(0), labels)
    p = FrontEndParameters()
    level = features.mean(axis=(1, 2)) * p.scale + p.offset
    assert level.min() == pytest.approx(p.silence, abs=1e-3)
    assert level.max() > -9.0, 'as loud as the recording, which is not a loud one'


def test_imu_windows_fit_their_labels(imu_batches):
    rng = np.random.default_rng(0)
    left, _ = imu_batches.batch(50, rng, np.full(50, GESTURE_LABELS.index('swipe_left')))
    right, _ = imu_batches.batch(50, rng, np.full(50, GESTURE_LABELS.index('swipe_right')))
    assert left.shape == (50, 100, 6) and np.abs(left).max() <= 1.0

    def first_turn(windows):
        """Return which way each hand turned first about the vertical axis."""
        turning = [w[np.flatnonzero(np.abs(w[:, 5]) > 0.25)[:3], 5] for w in windows]
        return np.sign([t.mean() for t in turning if len(t)])

    assert np.mean(first_turn(left) > 0) > 0.8
    assert np.mean(first_turn(right) < 0) > 0.8


def test_none_holds_a_missing_sensor(imu_batches):
    windows, labels = imu_batches.batch(
        300, np.random.default_rng(0), np.full(300, GESTURE_LABELS.index('none'))
    )
    missing = ~windows.any(axis=(1, 2))
    assert 0.0 < missing.mean() < 0.15
    assert (labels == GESTURE_LABELS.index('none')).all()


def test_rotation_is_a_rotation():
    turn = rotation_matrix(np.array([1.0, 2.0, -1.0]), 0.7)
    assert np.allclose(turn @ turn.T, np.eye(3)) and np.linalg.det(turn) == pytest.approx(1.0)
    assert np.allclose(rotation_matrix(np.array([0.0, 0.0, 1.0]), np.pi / 2) @ [1, 0, 0], [0, 1, 0])
