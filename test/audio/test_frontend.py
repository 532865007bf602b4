"""The log-mel front end against librosa, and its stream against its batch."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kws_imu_ros.audio.frontend import (
    FrontEndParameters,
    LogMelStream,
    frame_count,
    log_mel,
    mel_matrix,
    mel_matrix_digest,
)
from kws_imu_ros.audio.sound_file import read_audio_file
from kws_imu_ros.errors import KwsImuError

CLIPS = sorted((Path(__file__).parents[1] / 'data' / 'speech_commands').glob('[!_]*/*.ogg'))


def librosa_log_mel(audio: np.ndarray) -> np.ndarray:
    librosa = pytest.importorskip('librosa', reason='librosa serves tests and training only')
    mel = librosa.feature.melspectrogram(
        y=audio,
        sr=16000,
        n_fft=512,
        win_length=480,
        hop_length=320,
        center=False,
        power=2.0,
        n_mels=40,
        fmin=20,
        fmax=7600,
    )
    return np.log(mel + 1e-6).T


@pytest.mark.parametrize('clip', CLIPS, ids=lambda path: path.parent.name + '-' + path.stem)
def test_equals_librosa_on_real_speech(clip):
    samples = read_audio_file(clip)
    expected = librosa_log_mel(samples.astype(np.float32) / 32768.0)
    result = log_mel(samples)
    assert result.dtype == np.float32
    assert result.shape == expected.shape
    np.testing.assert_allclose(result, expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize('kind', ['silence', 'full scale', 'impulse'])
def test_equals_librosa_at_the_extremes(kind):
    audio = np.zeros(16000, np.float32)
    if kind == 'full scale':
        audio = np.where(np.arange(16000) // 8 % 2, 1.0, -1.0).astype(np.float32)
    elif kind == 'impulse':
        audio[8000] = 1.0
    np.testing.assert_allclose(log_mel(audio), librosa_log_mel(audio), atol=1e-4, rtol=0)


def test_mel_matrix_is_librosas():
    librosa = pytest.importorskip('librosa', reason='librosa serves tests and training only')
    expected = librosa.filters.mel(sr=16000, n_fft=512, n_mels=40, fmin=20, fmax=7600)
    np.testing.assert_allclose(mel_matrix(FrontEndParameters()), expected, atol=1e-7)


@settings(max_examples=25, deadline=None)
@given(
    clip=st.sampled_from(CLIPS),
    cuts=st.lists(st.integers(0, 16000), max_size=40),
)
def test_stream_equals_batch_for_any_chunking(clip, cuts):
    samples = read_audio_file(clip)
    stream = LogMelStream()
    edges = [0, *sorted(min(cut, len(samples)) for cut in cuts), len(samples)]
    frames = [stream.push(samples[a:b]) for a, b in itertools.pairwise(edges)]
    batch = log_mel(samples)
    # Exactly: the robot must see what the training saw, to the bit.
    np.testing.assert_array_equal(np.concatenate(frames), batch)
    parameters = stream.parameters
    tail = batch[-parameters.frames :]
    window = stream.window()
    np.testing.assert_array_equal(window[parameters.frames - len(tail) :], tail)
    assert (window[: parameters.frames - len(tail)] == np.float32(parameters.silence)).all()


def test_a_chunk_longer_than_the_window_leaves_the_newest_frames():
    samples = np.concatenate([read_audio_file(clip) for clip in CLIPS[:3]])
    stream = LogMelStream()
    stream.push(samples)
    np.testing.assert_array_equal(stream.window(), log_mel(samples)[-49:])


def test_reset_forgets():
    samples = read_audio_file(CLIPS[0])
    stream = LogMelStream()
    stream.push(samples[:5001])
    stream.reset()
    assert (stream.window() == np.float32(stream.parameters.silence)).all()
    np.testing.assert_array_equal(stream.push(samples), log_mel(samples))


def test_digital_silence_is_the_floor():
    assert (log_mel(np.zeros(4000, np.int16)) == np.float32(np.log(np.float32(1e-6)))).all()


def test_window_is_a_copy():
    stream = LogMelStream()
    stream.window()[:] = 7.0
    assert (stream.window() != 7.0).all()


@pytest.mark.parametrize(('samples', 'frames'), [(0, 0), (511, 0), (512, 1), (831, 1), (832, 2)])
def test_only_whole_frames_count(samples, frames):
    assert frame_count(samples, FrontEndParameters()) == frames
    assert len(log_mel(np.zeros(samples, np.int16))) == frames


def test_a_second_fills_the_window_but_for_a_frame():
    parameters = FrontEndParameters()
    assert frame_count(parameters.window_samples, parameters) == parameters.frames == 49


def test_digest_tells_filter_banks_apart():
    digest = mel_matrix_digest(FrontEndParameters())
    assert digest == mel_matrix_digest(FrontEndParameters())
    assert len(digest) == 64
    assert digest != mel_matrix_digest(FrontEndParameters(maximum_hz=7601.0))


@pytest.mark.parametrize(
    'bad',
    [
        {'window_length': 600},
        {'hop_length': 0},
        {'frames': 0},
        {'maximum_hz': 9000.0},
        {'minimum_hz': 7600.0},
    ],
)
def test_impossible_parameters_are_refused_in_one_sentence(bad):
    with pytest.raises(KwsImuError, match=r'[;:] .+\.$'):
        LogMelStream(FrontEndParameters(**bad))
