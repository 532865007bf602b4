"""Distillation pulls a student to its teacher; the loss is what the paper says."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip('tensorflow', reason='the training extras are not installed')

from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.lab.compression import distillation
from kws_imu_ros.lab.compression.distillation import Distiller, cache_teacher_logits, soft_loss
from kws_imu_ros.lab.compression.quantization import tf, tf_keras


def build(units: int, name: str, seed: int = 0) -> tf_keras.Model:
    """Build a net with a voice and a gesture head."""
    tf_keras.utils.set_random_seed(seed)
    inputs = tf_keras.Input((6,), name='imu')
    x = tf_keras.layers.Dense(units, activation='relu')(inputs)
    heads = [
        tf_keras.layers.Dense(4, activation='softmax', name='voice')(x),
        tf_keras.layers.Dense(3, activation='softmax', name='gesture')(x),
    ]
    return tf_keras.Model(inputs, heads, name=name)


@pytest.fixture(scope='module')
def rows(test_data) -> np.ndarray:
    """Return real accelerometer and gyroscope rows, float32 (n, 6)."""
    parts = [
        np.loadtxt(test_data / 'hapt' / f'{kind}_exp01_user01.txt.gz', dtype=np.float32)
        for kind in ('acc', 'gyro')
    ]
    return np.concatenate(parts, axis=1)[::3]


def divergence(teacher: tf_keras.Model, student: tf_keras.Model, rows: np.ndarray) -> float:
    """Return the mean KL divergence of the student's posteriors from the teacher's."""
    total = 0.0
    for wanted, found in zip(
        teacher.predict(rows, verbose=0), student.predict(rows, verbose=0), strict=True
    ):
        total += float(np.sum(wanted * (np.log(wanted + 1e-9) - np.log(found + 1e-9)), 1).mean())
    return total


def test_soft_loss_equals_its_definition_and_vanishes_for_the_teacher_itself():
    rng = np.random.default_rng(0)
    teacher = rng.normal(size=(5, 4)).astype(np.float32)
    student = rng.normal(size=(5, 4)).astype(np.float32)

    def softmax(x: np.ndarray) -> np.ndarray:
        e = np.exp(x - x.max(1, keepdims=True))
        return e / e.sum(1, keepdims=True)

    p, q = softmax(teacher / 3.0), softmax(student / 3.0)
    wanted = 9.0 * (p * np.log(p / q)).sum(1)
    found = soft_loss(tf.constant(teacher), tf.constant(softmax(student)), 3.0)
    np.testing.assert_allclose(found, wanted, rtol=1e-4)
    same = soft_loss(tf.constant(teacher), tf.constant(softmax(teacher)), 3.0)
    np.testing.assert_allclose(same, 0.0, atol=1e-5)


def test_a_student_comes_closer_to_the_teacher_live_and_from_the_cache_alike(rows, tmp_path):
    teacher = build(32, 'teacher', 1)
    logits = cache_teacher_logits([teacher], {'imu': rows}, tmp_path / 'logits.npz')
    targets = {name: tf.nn.softmax(values).numpy() for name, values in logits.items()}
    weights = []
    for cached in (False, True):
        student = build(8, 'student', 2)
        start = divergence(teacher, student, rows)
        distiller = Distiller(student, None if cached else [teacher], 2.0, 0.5)
        distiller.compile(optimizer=tf_keras.optimizers.Adam(1e-2))
        y = (targets, logits) if cached else targets
        data = tf.data.Dataset.from_tensor_slices((rows, y)).batch(50)
        distiller.fit(data, epochs=8, verbose=0)
        assert divergence(teacher, student, rows) < 0.3 * start
        weights.append(student.get_weights())
    for live, from_cache in zip(*weights, strict=True):
        np.testing.assert_allclose(live, from_cache, atol=1e-3)


def test_alpha_zero_is_plain_training(rows):
    targets = np.eye(4)[np.arange(len(rows)) % 4].astype(np.float32)
    gestures = np.eye(3)[np.arange(len(rows)) % 3].astype(np.float32)
    student, plain = build(8, 'student', 2), build(8, 'plain', 2)
    distiller = Distiller(student, [build(8, 'teacher', 5)], 4.0, 0.0)
    distiller.compile(optimizer=tf_keras.optimizers.SGD(0.05))
    plain.compile(tf_keras.optimizers.SGD(0.05), ['categorical_crossentropy'] * 2)
    data = tf.data.Dataset.from_tensor_slices(
        (rows, {'voice': targets, 'gesture': gestures})
    ).batch(50)
    distiller.fit(data, epochs=1, verbose=0)
    plain.fit(data, epochs=1, verbose=0)
    for a, b in zip(student.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_a_sample_of_weight_zero_teaches_nothing(rows):
    student = build(8, 'student', 2)
    before = [w.copy() for w in student.get_weights()]
    distiller = Distiller(student, [build(8, 'teacher', 5)])
    distiller.compile(optimizer=tf_keras.optimizers.SGD(0.1))
    zeros = np.zeros(len(rows), np.float32)
    targets = {
        'voice': np.tile(np.eye(4)[0], (len(rows), 1)),
        'gesture': np.tile(np.eye(3)[0], (len(rows), 1)),
    }
    data = tf.data.Dataset.from_tensor_slices((rows, targets, {'voice': zeros, 'gesture': zeros}))
    distiller.fit(data.batch(50), epochs=1, verbose=0)
    for a, b in zip(before, student.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_cached_logits_are_used_only_for_the_same_teacher_and_inputs(rows, tmp_path):
    path = tmp_path / 'cache' / 'logits.npz'
    calls = []
    teacher = build(16, 'teacher', 1)
    inputs = {'imu': rows}
    first = cache_teacher_logits([teacher], inputs, path, 100, lambda *done: calls.append(done))
    assert calls[-1] == (len(rows), len(rows))
    calls.clear()
    again = cache_teacher_logits([teacher], inputs, path, 100, lambda *done: calls.append(done))
    assert not calls
    np.testing.assert_array_equal(first['voice'], again['voice'])
    other = cache_teacher_logits([build(16, 'other', 9)], inputs, path)
    assert np.abs(other['voice'] - first['voice']).max() > 1e-3
    path.write_bytes(path.read_bytes()[:100])  # As an interruption would leave it.
    repaired = cache_teacher_logits([teacher], inputs, path)
    np.testing.assert_allclose(first['gesture'], repaired['gesture'], atol=1e-5)


def test_wrong_parameters_and_teachers_end_in_one_sentence():
    student = build(8, 'student')
    with pytest.raises(KwsImuError, match='temperature above 0'):
        Distiller(student, None, temperature=0.0)
    with pytest.raises(KwsImuError, match='alpha from 0 to 1'):
        Distiller(student, None, alpha=1.5)
    inputs = tf_keras.Input((6,), name='imu')
    other = tf_keras.Model(inputs, tf_keras.layers.Dense(4, name='voice')(inputs), name='other')
    with pytest.raises(KwsImuError, match='same inputs and heads'):
        distillation.Distiller(student, [other])
