"""What `kws-imu evaluate` adds to counting: noise, fusion at one rate, float, latency, energy."""

import json
import shutil

import numpy as np
import pytest

from kws_imu_ros.commands.main import main
from kws_imu_ros.decision.policy import Policy
from kws_imu_ros.decision.table import load_table
from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.lab.data.gesture_data import load_gestures
from kws_imu_ros.lab.data.speech_data import load_noise, load_speech
from kws_imu_ros.lab.evaluation import energy
from kws_imu_ros.lab.evaluation import fusion as fusion_evaluation
from kws_imu_ros.lab.evaluation import noise as noise_evaluation
from kws_imu_ros.lab.evaluation.robot_stream import audio_blocks, imu_samples, stream
from kws_imu_ros.lab.evaluation.sections import SECTIONS, Given, evaluate
from kws_imu_ros.lab.evaluation.words import voice_clips
from kws_imu_ros.model.bundle import find_bundle, load_bundle
from kws_imu_ros.model.interpreter import Interpreter
from kws_imu_ros.model.outputs import Posteriors
from kws_imu_ros.resources import share_path


@pytest.fixture(scope='module')
def interpreter():
    return Interpreter(load_bundle(find_bundle()))


@pytest.fixture(scope='module')
def table():
    return load_table(share_path('config', 'policy.yaml'))


@pytest.fixture(scope='module')
def speech(test_data, interpreter):
    labels = interpreter.manifest.labels['voice']
    return load_speech(test_data / 'speech_commands', 'validation', labels)


@pytest.fixture(scope='module')
def noise(test_data):
    return load_noise(test_data / 'speech_commands', 'validation')


@pytest.fixture(scope='module')
def small(test_data, tmp_path_factory):
    """Folders of a few recordings: an evaluation of all sections in seconds."""
    base = tmp_path_factory.mktemp('small')
    source = test_data / 'speech_commands'
    for path in ['_background_noise_', 'cat', 'stop', *fusion_evaluation.DIRECTIONS]:
        shutil.copytree(source / path, base / 'speech' / path)
    (base / 'streams').mkdir()
    for k, path in enumerate(sorted((source / 'cat').iterdir())):
        shutil.copy(path, base / 'streams' / f'{k}.ogg')
    for gesture in ('swipe_left', 'swipe_up'):
        shutil.copytree(
            test_data / 'gestures' / 'grwd' / gesture / 'subject_13',
            base / 'gestures' / gesture / 'subject_13',
        )
    return base


# Noise


@pytest.mark.parametrize('snr_db', [20.0, 0.0, -5.0])
def test_noise_is_as_loud_as_it_says(speech, noise, snr_db):
    clips = speech.samples[:4]
    mixed = noise_evaluation.mix_in_noise(clips, noise, snr_db, seed=1)
    again = noise_evaluation.mix_in_noise(clips, noise, snr_db, seed=1)
    assert mixed.dtype == np.int16 and mixed.shape == clips.shape
    assert np.array_equal(mixed, again)
    for clip, mixture in zip(clips.astype(float), mixed.astype(float), strict=True):
        # What would clip is made quieter as a whole, so find the gain of the clip in it first.
        rest = mixture - clip * (mixture @ clip) / (clip @ clip)
        ratio = 10.0 * np.log10(((mixture - rest) ** 2).mean() / (rest**2).mean())
        assert ratio == pytest.approx(snr_db, abs=0.6)


def test_a_loud_mixture_is_not_clipped():
    mixed = noise_evaluation.to_int16(np.array([70000.0, -35000.0, 0.0]))
    assert mixed.tolist() == [32767, -16384, 0]


def test_words_drown_in_noise(interpreter, speech, noise):
    spoken = np.flatnonzero(speech.labels < 8)
    result = noise_evaluation.evaluate_noise(
        interpreter, speech.samples[spoken], speech.labels[spoken], noise, (20.0, -30.0)
    )
    points = result['series']['int8']
    assert [point['snr_db'] for point in points] == [None, 20.0, -30.0]
    assert result['accuracy_clean'] == points[0]['accuracy'] >= 0.75
    assert result['accuracy_minus_30_db'] < 0.5
    assert set(result['recall_by_level']['clean']) == {'left', 'right', 'up', 'down', 'go'} | {
        'stop', 'yes', 'no',
    }  # fmt: skip


# Fusion


@pytest.fixture(scope='module')
def pair(interpreter, table, speech, noise, test_data):
    """One spoken left with a swipe to the left; also the recording that was swiped."""
    recordings = load_gestures(test_data / 'gestures' / 'grwd', 'validation')
    chosen = [r for r in recordings if r.gesture == 'swipe_left']
    left = np.flatnonzero(np.array(speech.words) == 'left')
    pairs, negatives = fusion_evaluation.make_trials(
        interpreter, table, speech.samples[left], ['left'] * len(left),
        speech.samples[np.array(speech.words) == 'cat'], noise, chosen, [],
    )  # fmt: skip
    return pairs[0], negatives


def test_a_trial_is_what_the_pipeline_hears_and_sees(interpreter, table, test_data, speech, noise):
    recording = next(
        r
        for r in load_gestures(test_data / 'gestures' / 'grwd', 'validation')
        if r.gesture == 'swipe_right'
    )
    begin = 0.3
    windows = fusion_evaluation.trial_imu(
        recording.time, recording.motion, begin, interpreter.manifest
    )
    trial = fusion_evaluation._trial(
        'right', speech.samples[0], 1e6, noise, windows, np.random.default_rng(3)
    )
    heard = fusion_evaluation.hear(interpreter, table, trial, 5.0)
    # The same through the pipeline, sample by sample.
    lead = np.arange(0.0, begin, 0.01)
    still = np.zeros((len(lead), 6), np.float32)
    still[:, :3] = recording.motion[0, :3]
    time = np.concatenate((lead, recording.time + begin))
    motion = np.concatenate((still, recording.motion))
    rest = max(0.0, fusion_evaluation.TRIAL_S - time[-1])
    steps = stream(
        interpreter,
        table,
        list(audio_blocks(trial.audio(5.0))),
        list(imu_samples(time, motion, rest=rest)),
    )
    end_ns = 1_000_000_000 + int(fusion_evaluation.TRIAL_S * 1e9)
    steps = [step for step in steps if step.stamp_ns <= end_ns][-len(windows) :]
    assert len(steps) == len(heard.raw.voice) == 65
    # The first hops differ: the pipeline has averaged over what came before.
    for k in range(table.voice_hops, len(steps)):
        for head in ('voice', 'gesture', 'intent'):
            expected = getattr(steps[k], head)
            assert np.allclose(getattr(heard.smoothed, head)[k], expected, atol=1e-5), (k, head)


def test_word_and_gesture_end_near_each_other(pair):
    trial, _ = pair
    assert trial.direction == 'left'
    turning = [np.abs(window[-3:, 3:]).max() for window in trial.imu]
    moves = np.flatnonzero(np.array(turning) > 1.0) * 0.04 + fusion_evaluation.DECISIONS_FROM_S
    assert 1.2 <= moves.min() and moves.max() <= 3.8
    word = slice(int(2.0 * 16000), int(3.0 * 16000))
    assert np.count_nonzero(trial.speech[word]) == np.count_nonzero(trial.speech) > 0
    ratio = (trial.speech[word] ** 2).mean() / (trial.noise[word] ** 2).mean()
    assert ratio == pytest.approx(1.0, rel=1e-3)


def test_negatives_hold_no_command_and_no_gesture(pair):
    _, negatives = pair
    assert all(trial.direction == '' for trial in negatives)
    silent = [trial for trial in negatives if not trial.speech.any()]
    assert len(silent) == 10 and len(negatives) > len(silent)
    for trial in negatives:
        assert all(np.abs(window[:, 3:]).max() == 0.0 for window in trial.imu)


def test_thresholds_let_through_what_is_allowed():
    scores = np.array([0.1, 0.9, 0.5, 0.9, 0.3])
    for allowed, through in ((0, 0), (1, 0), (2, 2), (3, 3), (9, 5)):
        threshold = fusion_evaluation.threshold_for(scores, allowed)
        assert (scores > threshold).sum() == through <= allowed


def test_stopping_is_neither_right_nor_a_false_accept(table, interpreter):
    labels = interpreter.manifest.labels
    meanings = fusion_evaluation._meanings(table, labels)
    row = np.zeros((1, len(labels['voice'])), np.float32)
    row[0, labels['voice'].index('stop')] = 0.9
    row[0, labels['voice'].index('go')] = 0.1
    assert fusion_evaluation.peak(row, meanings['voice']) == ('go', pytest.approx(0.1))
    assert '' == meanings['intent'][labels['intent'].index('stop')]
    assert meanings['gesture'][labels['gesture'].index('swipe_down')] == 'down'


def heard_of(labels, direction, word, voice, gesture, hand, intent=0.0):
    """Return a trial's posteriors: a word of half a second and then a gesture."""
    hops = 40
    heads = []
    for head, label, score, background, begin in (
        ('voice', word, voice, 'silence', 10),
        ('gesture', gesture, hand, 'none', 14),
        ('intent', word, intent, 'none', 10),
    ):
        posterior = np.zeros((hops, len(labels[head])), np.float32)
        posterior[:, labels[head].index(background)] = 1.0
        if label in labels[head]:
            posterior[begin : begin + 14] = (1.0 - score) / (len(labels[head]) - 1)
            posterior[begin : begin + 14, labels[head].index(label)] = score
        heads.append(posterior)
    posteriors = Posteriors(*heads)
    return fusion_evaluation.Heard(direction, posteriors, posteriors)


def test_each_system_is_held_to_the_same_rate(interpreter, table):
    labels = interpreter.manifest.labels
    rng = np.random.default_rng(0)
    negatives = [
        heard_of(labels, '', 'go', rng.uniform(0.2, 0.7), 'swipe_left', 0.1, 0.1) for _ in range(40)
    ]
    # Words that are as weak as the negatives, with a hand that is sure.
    pairs = [
        heard_of(labels, 'left', 'left', rng.uniform(0.3, 0.6), 'swipe_left', 0.95, 0.5)
        for _ in range(10)
    ]
    found = fusion_evaluation.measure_level(interpreter, table, pairs, negatives, 0.05)
    for system in fusion_evaluation.SYSTEMS:
        assert found[system]['false_accept_rate'] <= 0.05, system
    assert found['voice alone']['error_rate'] >= 0.8
    for system in ('gesture alone', 'rule fusion', 'learned fusion'):
        assert found[system]['error_rate'] == 0.0, system
    assert found['rule fusion']['error_rate_by_direction'] == {'left': 0.0}


def test_a_swipe_down_whose_word_drowned_stops_the_rule(interpreter, table):
    labels = interpreter.manifest.labels
    policy = Policy(table, labels)
    drowned = heard_of(labels, 'down', 'down', 0.2, 'swipe_down', 0.97)
    assert fusion_evaluation.decide(drowned, policy) == 'stop'
    heard = heard_of(labels, 'down', 'down', 0.95, 'swipe_down', 0.97)
    assert fusion_evaluation.decide(heard, policy) == 'down'
    nothing = heard_of(labels, '', 'unknown', 0.9, 'none', 0.9)
    assert fusion_evaluation.decide(nothing, policy) == ''


# Energy


def test_energy_is_what_the_formula_says():
    bundle = load_bundle(find_bundle())
    found = energy.estimate_energy(bundle.model_bytes, 2_000_000, 1e-3, 'here', 0.5, 20.0)
    assert found['is_estimate'] is True
    assert found['by_time']['microjoules_per_inference'] == pytest.approx(500.0)
    assert found['by_time']['milliwatts'] == pytest.approx(10.0)  # 20/s x 1 ms x 0.5 W
    assert found['by_time']['source'] == 'as given'
    parts = found['by_operations']
    assert parts['microjoules_arithmetic'] == pytest.approx(0.6)  # 2 million x 0.3 pJ
    moved = parts['weight_bytes'] + parts['activation_bytes']
    assert parts['microjoules_weights_in_cache'] == pytest.approx(0.6 + moved * 2.5e-6)
    assert parts['microjoules_weights_in_dram'] > parts['microjoules_weights_in_cache']
    # int8 weights are read once, and the file holds little else.
    assert 0.5 * bundle.manifest.bytes < parts['weight_bytes'] < 1.5 * bundle.manifest.bytes
    assert 'Horowitz' in parts['source']
    with pytest.raises(KwsImuError, match='above zero'):
        energy.estimate_energy(bundle.model_bytes, 1, 1e-3, 'here', 0.0)


# The verb


@pytest.fixture(scope='module')
def whole(small):
    """Return the result of the everyday call on a few recordings, taken from its last line."""
    given = Given(
        speech=small / 'speech',
        gestures=small / 'gestures',
        streams=small / 'streams',
        float_file=find_bundle() / 'model.tflite',
    )
    return evaluate(
        load_bundle(find_bundle()), load_table(share_path('config', 'policy.yaml')), given
    )


def test_the_everyday_call_measures_what_its_folders_allow(whole):
    expected = set(SECTIONS) - {'everyday', 'human_activity'}
    assert {name for name in whole if name not in ('model', 'split')} == expected
    json.dumps(whole, allow_nan=False)
    assert [name for name in whole if name in SECTIONS] == [n for n in SECTIONS if n in expected]


def test_false_accepts_are_told_by_source(whole):
    streaming = whole['streaming']
    sources = streaming['by_source']
    assert list(sources) == ['sentences', 'unknown words', 'noise']
    hours = sum(source['hours'] for source in sources.values())
    assert hours == pytest.approx(streaming['hours_of_negatives'])
    shipped = sum(source['shipped_false_accepts'] for source in sources.values())
    assert shipped == pytest.approx(streaming['shipped_false_accepts_per_hour'] * hours)
    assert set(streaming['thresholds']) == {'left', 'right', 'up', 'down', 'go', 'yes', 'no'}
    rates = streaming['det_by_label']['false_reject_rate']
    assert rates == sorted(rates, reverse=True), 'a larger budget never rejects more'


def test_the_same_network_loses_nothing(whole):
    found = whole['float']
    assert found['voice_accuracy'] == whole['voice']['accuracy']
    assert found['voice_lost_points'] == found['gesture_lost_points'] == 0.0
    assert found['voice_same_answer_share'] == 1.0
    assert found['sha256'] == load_bundle(find_bundle()).manifest.sha256


def test_fusion_and_noise_say_on_what(whole):
    assert whole['fusion']['pairs'] == 2, 'left and up have a gesture here'
    assert {p['snr_db'] for p in whole['fusion']['series']['rule fusion']} == {
        None, 20.0, 10.0, 5.0, 0.0, -5.0,
    }  # fmt: skip
    assert whole['noise']['words'] == 5
    assert whole['fusion']['voice_error_rate_0_db'] is not None


def test_latency_names_what_is_missing(whole):
    runtimes = whole['latency']['runtimes']
    assert set(runtimes) == {'litert', 'tflite_runtime'}
    for runtime, times in runtimes.items():
        if times is None:
            assert 'is not installed' in whole['latency']['reasons'][runtime]
        else:
            assert 0.0 < times['median_ms'] <= times['p95_ms']
    timed = [times for times in runtimes.values() if times]
    assert whole['energy']['by_time']['seconds_per_inference'] in [
        times['median_ms'] / 1e3 for times in timed
    ]


def test_only_measures_what_is_asked(capsys):
    assert main(['evaluate', '--only', 'energy', '--core-watts', '2', '--json']) == 0
    result = json.loads(capsys.readouterr().out)
    assert set(result) == {'model', 'split', 'energy'}
    assert result['energy']['by_time']['core_watts'] == 2.0


@pytest.mark.parametrize(
    ('arguments', 'sentence'),
    [
        (['--only', 'noise'], 'Section noise needs --speech'),
        (['--only', 'human_activity', '--activities', 'x'], 'needs --activity-model'),
        (['--only', 'fusion', '--speech', 'x'], 'Section fusion needs --gestures'),
        (['--only', 'float', '--float', 'x'], 'needs --speech or --gestures'),
        (['--gestures', 'x', '--streams', 'x'], '--streams needs --speech'),
        (['--only', 'energy', '--core-watts', '-1'], 'makes no sense'),
    ],
)
def test_a_section_without_its_folder_is_one_sentence(arguments, sentence, capsys):
    assert main(['evaluate', *arguments]) == 2
    told = capsys.readouterr().err
    assert sentence in told and 'Traceback' not in told


def test_a_float_file_that_is_none_is_one_sentence(small, tmp_path, capsys):
    (tmp_path / 'other.tflite').write_bytes(b'no model')
    for path in (tmp_path / 'other.tflite', tmp_path / 'missing.tflite'):
        arguments = ['--speech', str(small / 'speech'), '--only', 'float', '--float', str(path)]
        assert main(['evaluate', *arguments]) == 2
        told = capsys.readouterr().err
        assert path.name in told or 'not a TensorFlow Lite' in told
        assert 'Traceback' not in told


def test_loaded_speech_is_not_read_again(test_data, interpreter, speech):
    labels = interpreter.manifest.labels['voice']
    folder = test_data / 'speech_commands'
    fresh = voice_clips(folder, 'validation', labels)
    handed = voice_clips(folder, 'validation', labels, data=speech)
    assert np.array_equal(fresh[0], handed[0]) and fresh[2:] == handed[2:]
