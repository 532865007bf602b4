"""The training loop resumes where it stopped, and refuses what cannot go on."""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.lab.training.loop import (
    Schedule,
    fit,
    run_stage,
    smoothed_cross_entropy,
    tf_keras,
)

SCHEDULE = Schedule(steps=12, batch=8, learning_rate=0.01)


def make_model():
    tf_keras.utils.set_random_seed(3)
    return tf_keras.Sequential(
        [tf_keras.layers.Dense(4, input_shape=(5,)), tf_keras.layers.BatchNormalization()]
    )


def make_batch(size, rng):
    x = rng.normal(size=(size, 5)).astype(np.float32)
    return x, (x[:, 0] > 0).astype(np.int64) + 2 * (x[:, 1] > 0)


def train(model, checkpoint, batches=make_batch, scale=1.0):
    return fit(
        'test',
        model.trainable_variables,
        lambda x, y: scale * smoothed_cross_entropy(y, model(x, training=True), 4, 0.0),
        batches,
        SCHEDULE,
        7,
        checkpoint,
        model,
    )


def test_loss_falls(tmp_path):
    model = make_model()
    x, y = make_batch(200, np.random.default_rng(0))
    before = float(smoothed_cross_entropy(y, model(x), 4, 0.0))
    train(model, tmp_path)
    assert float(smoothed_cross_entropy(y, model(x), 4, 0.0)) < before


def test_a_finished_run_is_not_run_again(tmp_path):
    model = make_model()
    train(model, tmp_path)
    other = make_model()
    train(other, tmp_path, batches=lambda size, rng: pytest.fail('no batch is needed'))
    for mine, theirs in zip(model.get_weights(), other.get_weights(), strict=True):
        assert np.array_equal(mine, theirs)


def test_a_run_broken_by_bad_data_resumes_to_the_same_end(tmp_path):
    whole = make_model()
    train(whole, tmp_path / 'whole')

    part = make_model()
    made = []

    def interrupted(size, rng):
        made.append(1)
        if len(made) > 6:
            raise KwsImuError('the disk is gone')
        return make_batch(size, rng)

    with pytest.raises(KwsImuError, match='the disk is gone'):
        train(part, tmp_path / 'part', batches=interrupted)
    resumed = make_model()
    train(resumed, tmp_path / 'part')
    for mine, theirs in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        assert np.allclose(mine, theirs, atol=1e-6)


def test_a_loss_that_is_no_number_ends_in_one_sentence(tmp_path):
    with pytest.raises(KwsImuError, match='the loss became nan at step 0; lower learning_rate'):
        train(make_model(), tmp_path, scale=float('nan'))


def test_a_checkpoint_of_another_model_is_refused(tmp_path):
    train(make_model(), tmp_path)
    other = tf_keras.Sequential([tf_keras.layers.Dense(7, input_shape=(5,))])
    with pytest.raises(KwsImuError, match='is of another model'):
        train(other, tmp_path)


def test_control_c_leaves_a_resumable_state(test_data, tmp_path):
    recipe = tmp_path / 'long.yaml'
    recipe.write_text(
        'name: long\nversion: 1.0.0\nseed: 1\n'
        'voice: {architecture: ds_cnn, config: {width: 0.2}, schedule: {steps: 100000, batch: 4}}\n'
        'gesture: {architecture: imu_conv1d, config: {}, schedule: {steps: 2}}\n'
        'fusion: {width: 8, voice_dropout: 0.1, gesture_dropout: 0.1, schedule: {steps: 2}}\n'
        'quantize: {}\n'
    )
    process = subprocess.Popen(
        [
            sys.executable, '-m', 'kws_imu_ros', 'train', '--recipe', str(recipe),
            '--speech', str(test_data / 'speech_commands'),
            '--gestures', str(test_data / 'gestures' / 'grwd'),
            '--work', str(tmp_path / 'work'), '--output', str(tmp_path / 'models'),
        ],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, 'PYTHONPATH': os.pathsep.join(sys.path)},
        # Tests that run in the background inherit an ignored SIGINT; a person's Ctrl-C never is.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    checkpoint = tmp_path / 'work' / 'voice.checkpoint'
    try:
        for line in process.stderr:
            if '/100000' in line:  # It is on its way, and says how far.
                break
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=240)
    finally:
        process.kill()
    assert process.returncode == 130
    assert 'Traceback' not in errors
    assert any(path.suffix == '.index' for path in checkpoint.iterdir())


def test_a_stage_that_was_interrupted_keeps_the_architecture_it_began_with(tmp_path):
    def build(width):
        inputs = tf_keras.Input((5,))
        return tf_keras.Model(inputs, tf_keras.layers.Dense(width, name='out')(inputs))

    def interrupt(model, checkpoint):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_stage(tmp_path, 'cut', 'a', lambda: build(3), interrupt, stored=True)
    # What chooses the width would choose another one by now; it is not asked.
    first = run_stage(tmp_path, 'cut', 'a', lambda: build(4), lambda *_: 0.0, stored=True)
    assert first.output_shape == (None, 3)
    again = run_stage(tmp_path, 'cut', 'a', lambda: pytest.fail('built'), interrupt, stored=True)
    for one, other in zip(first.get_weights(), again.get_weights(), strict=True):
        assert np.array_equal(one, other)
    other = run_stage(tmp_path, 'cut', 'b', lambda: build(4), lambda *_: 0.0, stored=True)
    assert other.output_shape == (None, 4)
