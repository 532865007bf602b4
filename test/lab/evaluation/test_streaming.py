"""Long audio: the stream is the pipeline's, peaks and thresholds count what they say."""

import numpy as np
import pytest

from kws_imu_ros.decision.policy import Policy
from kws_imu_ros.decision.smoothing import make_smoothers, smooth
from kws_imu_ros.decision.table import load_table
from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.fusion.pipeline import FusionPipeline
from kws_imu_ros.lab.data.speech_data import load_noise, load_speech
from kws_imu_ros.lab.data.vocabulary import VOICE_LABELS
from kws_imu_ros.lab.evaluation.robot_stream import audio_blocks
from kws_imu_ros.lab.evaluation.streaming import (
    DetectionPeaks,
    choose_thresholds,
    det_curve,
    detection_peaks,
    list_streams,
    negative_audio,
    positive_audio,
    practical_thresholds,
    stretch_peaks,
    voice_stream,
)
from kws_imu_ros.model.bundle import find_bundle, load_bundle
from kws_imu_ros.model.interpreter import Interpreter
from kws_imu_ros.resources import share_path


@pytest.fixture(scope='module')
def interpreter():
    return Interpreter(load_bundle(find_bundle()))


def test_the_stream_is_what_the_pipeline_hears(test_data, interpreter):
    clips = load_speech(test_data / 'speech_commands', 'validation', VOICE_LABELS).samples
    audio = clips[:4].reshape(-1)
    manifest = interpreter.manifest
    table = load_table(share_path('config', 'policy.yaml'))
    pipeline = FusionPipeline(interpreter, Policy(table, manifest.labels, manifest.thresholds))
    steps = [step for block in audio_blocks(audio) for step in pipeline.push_audio(block)]
    smoother, _, _ = make_smoothers(table, manifest.labels)
    smoothed = smooth(smoother, voice_stream(interpreter, audio))
    assert len(smoothed) == len(steps) == 100
    for step, row in zip(steps, smoothed, strict=True):
        assert np.allclose(step.voice, row, atol=1e-5)


def test_stretches_count_once():
    scores = np.array([0.1, 0.5, 0.9, 0.6, 0.1, 0.3, 0.7, 0.1, 0.8])
    peaks, places = stretch_peaks(scores, 0.25)
    assert peaks.tolist() == pytest.approx([0.9, 0.7, 0.8])
    assert places.tolist() == [2, 6, 8]
    assert stretch_peaks(np.zeros(5), 0.25)[0].tolist() == []


def test_positives_lie_where_they_should(test_data):
    clips = load_speech(test_data / 'speech_commands', 'validation', VOICE_LABELS).samples[:3]
    noise = load_noise(test_data / 'speech_commands', 'training')[0]
    audio = positive_audio(clips, noise)
    assert len(audio) == 9 * 16000
    for i, clip in enumerate(clips):
        part = audio[i * 48000 + 16000 : i * 48000 + 32000].astype(float)
        assert np.corrcoef(part, clip)[0, 1] > 0.9
        rest = part - clip
        ratio = 10 * np.log10(np.mean(clip.astype(float) ** 2) / np.mean(rest**2))
        assert ratio > 9.5


def test_thresholds_keep_the_budget():
    rng = np.random.default_rng(0)
    peaks = DetectionPeaks(
        {'go': rng.uniform(0.3, 0.99, 60), 'no': rng.uniform(0.3, 0.7, 10)},
        {'go': rng.uniform(0.5, 1.0, 100), 'no': rng.uniform(0.5, 1.0, 100)},
        hours=2.0,
    )
    thresholds, accepts, rejects = choose_thresholds(peaks, 1.0)
    assert accepts <= 1.0
    found = sum(peaks.false_accepts(k, t) for k, t in thresholds.items()) / 2.0
    assert found == accepts
    assert rejects == sum(peaks.misses(k, t) for k, t in thresholds.items()) / 200
    assert thresholds['go'] > thresholds['no'], 'the word that is often heard wrongly is stricter'
    curve = det_curve(peaks)
    assert np.all(np.diff(curve['false_accepts_per_hour']) <= 0)
    assert np.all(np.diff(curve['false_reject_rate']) >= 0)


def test_practical_thresholds_would_rather_hear():
    rng = np.random.default_rng(0)
    peaks = DetectionPeaks({'go': rng.uniform(0.9, 0.99, 60)}, {'go': rng.uniform(0.7, 1, 100)}, 1)
    _, _, rejects = choose_thresholds(peaks, 1.0)
    assert rejects > 0.5
    threshold = practical_thresholds(peaks)['go']
    assert peaks.misses('go', threshold) <= 10


def test_peaks_on_real_speech(test_data, interpreter):
    folder = test_data / 'speech_commands'
    data = load_speech(folder, 'validation', VOICE_LABELS)
    spoken = np.flatnonzero(data.labels < 8)
    negatives = negative_audio([], data.samples[data.labels == 8], load_noise(folder, 'training'))
    words = [VOICE_LABELS[k] for k in data.labels[spoken]]
    table = load_table(share_path('config', 'policy.yaml'))
    peaks = detection_peaks(interpreter, negatives, data.samples[spoken], words, table)
    heard = sum(len(v) - peaks.misses(k, 0.6) for k, v in peaks.positive.items())
    assert 'stop' not in peaks.positive and len(peaks.true_stops) == 1
    assert heard >= 0.7 * len(spoken)
    assert sum(peaks.false_accepts(k, 0.9) for k in peaks.negative) <= 1
    seconds = {name: len(part) / 16000 for name, part in negatives.items()}
    assert set(seconds) == {'unknown words', 'noise'}
    assert peaks.hours_by_source == pytest.approx({k: v / 3600 for k, v in seconds.items()})
    assert peaks.hours == pytest.approx(sum(peaks.hours_by_source.values()))
    low = dict.fromkeys(peaks.negative, 0.26)
    by_source = peaks.false_accepts_by_source(low)
    assert sum(by_source.values()) == sum(peaks.false_accepts(k, t) for k, t in low.items()) > 0
    assert by_source['unknown words'] > 0


def test_an_empty_folder_of_streams_is_one_sentence(tmp_path):
    with pytest.raises(KwsImuError, match='holds no wav, flac or ogg'):
        list_streams(tmp_path)
    with pytest.raises(KwsImuError, match='no negative audio'):
        negative_audio([], np.zeros((0, 16000), np.int16), [])
