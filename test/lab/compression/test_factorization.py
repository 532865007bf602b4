"""Low-rank layers: exact at full energy, best in the least-squares sense, within the budget."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip('tensorflow', reason='the training extras are not installed')

from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.lab.compression import quantization
from kws_imu_ros.lab.compression.factorization import factorize
from kws_imu_ros.lab.compression.quantization import tf_keras
from kws_imu_ros.model.signature_runner import run_signature


def build(seed: int = 0) -> tf_keras.Model:
    """Build a net with two large dense layers, a shared one and a pointwise convolution."""
    layers = tf_keras.layers
    tf_keras.utils.set_random_seed(seed)
    imu = tf_keras.Input((20, 6), name='imu')
    x = layers.Conv1D(24, 1, strides=2, activation='relu', name='pointwise')(imu)
    x = layers.Flatten()(x)
    shared = layers.Dense(24, activation='relu', name='shared')
    first = layers.Dense(64, activation='relu', name='wide')(x)
    a = shared(first)
    b = shared(layers.ReLU()(first))
    x = layers.Concatenate()([a, b])
    voice = layers.Dense(10, activation='softmax', name='voice')(x)
    gesture = layers.Dense(5, activation='softmax', name='gesture')(x)
    return tf_keras.Model(imu, [voice, gesture], name='net')


@pytest.fixture(scope='module')
def windows(test_data) -> np.ndarray:
    """Return real IMU windows, float32 (50, 20, 6)."""
    parts = [
        np.loadtxt(test_data / 'hapt' / f'{kind}_exp01_user01.txt.gz', dtype=np.float32)
        for kind in ('acc', 'gyro')
    ]
    return np.concatenate(parts, axis=1)[:1000].reshape(50, 20, 6)


def largest_difference(a: tf_keras.Model, b: tf_keras.Model, inputs: np.ndarray) -> float:
    return max(
        float(np.abs(x - y).max())
        for x, y in zip(a.predict(inputs, verbose=0), b.predict(inputs, verbose=0), strict=True)
    )


def lower_rank(model: tf_keras.Model, name: str, rank: int) -> None:
    """Make a layer's kernel exactly of this rank."""
    layer = model.get_layer(name)
    kernel, *rest = layer.get_weights()
    u, s, v = np.linalg.svd(kernel.reshape(-1, kernel.shape[-1]), full_matrices=False)
    low = (u[:, :rank] * s[:rank]) @ v[:rank]
    layer.set_weights([low.reshape(kernel.shape), *rest])


def test_a_layer_of_low_rank_is_found_and_the_outputs_stay(windows):
    model = build()
    lower_rank(model, 'wide', 3)
    lower_rank(model, 'shared', 5)
    small, reports = factorize(model, energy=1.0 - 1e-9)
    ranks = {report.layer: report.rank for report in reports}
    assert (ranks['wide'], ranks['shared']) == (3, 5)
    assert small.count_params() < 0.3 * model.count_params()
    assert largest_difference(model, small, windows) < 1e-5
    assert list(small.output_names) == ['voice', 'gesture']
    after = {report.layer: report.parameters_after for report in reports}
    saved = sum(report.parameters_before - report.parameters_after for report in reports)
    assert model.count_params() - small.count_params() == saved
    assert after['wide'] == 3 * (240 + 64) + 64


def test_a_pointwise_convolution_is_a_matrix_too_and_keeps_its_stride(windows):
    model = build()
    lower_rank(model, 'pointwise', 2)
    small, _ = factorize(model, energy=1.0 - 1e-9, pointwise=True)
    assert small.get_layer('pointwise_reduced').filters == 2
    assert largest_difference(model, small, windows) < 1e-5


def test_less_energy_means_fewer_parameters_and_the_best_approximation():
    model = build()
    kernel = model.get_layer('wide').get_weights()[0]
    sizes = []
    for energy in (0.3, 0.5, 0.7):
        small, reports = factorize(model, energy=energy)
        sizes.append(small.count_params())
        report = next(report for report in reports if report.layer == 'wide')
        product = (
            small.get_layer('wide_reduced').get_weights()[0]
            @ small.get_layer('wide').get_weights()[0]
        )
        lost = np.sum((kernel - product) ** 2) / np.sum(kernel**2)
        assert report.energy >= energy
        assert lost == pytest.approx(1.0 - report.energy, abs=1e-4)  # Eckart and Young.
    assert sizes == sorted(sizes)


def test_the_budget_is_kept_and_spent():
    model = build()
    for budget in (2500, 4000, 9000):
        small, reports = factorize(model, parameters=budget)
        assert small.count_params() <= budget
        # Nothing larger than one more direction of the widest layer is left over.
        assert small.count_params() > budget - (240 + 64)
        assert all(0.0 < report.energy <= 1.0 for report in reports)
    untouched, _ = factorize(model, parameters=model.count_params())
    assert untouched.count_params() == model.count_params()


def test_a_sequential_model_and_conversion_work(windows):
    model = tf_keras.Sequential(
        [
            tf_keras.Input((20, 6), name='imu'),
            tf_keras.layers.Flatten(),
            tf_keras.layers.Dense(64, activation='relu', name='wide'),
            tf_keras.layers.Dense(5, activation='softmax', name='gesture'),
        ]
    )
    small, _ = factorize(model, energy=0.8)
    calibration = quantization.calibration_from_arrays({'imu': windows})
    found = run_signature(quantization.to_int8(small, calibration), {'imu': windows})
    wanted = small.predict(windows, verbose=0)
    assert np.abs(found['gesture'] - wanted).max() < 0.1


def test_impossible_goals_end_in_one_sentence():
    model = build()
    with pytest.raises(KwsImuError, match='not both'):
        factorize(model)
    with pytest.raises(KwsImuError, match='not both'):
        factorize(model, energy=0.5, parameters=100)
    with pytest.raises(KwsImuError, match='at most 1'):
        factorize(model, energy=1.5)
    with pytest.raises(KwsImuError, match='more than the budget of 100'):
        factorize(model, parameters=100)
    inputs = tf_keras.Input((4,))
    with pytest.raises(KwsImuError, match='no dense layer'):
        factorize(tf_keras.Model(inputs, tf_keras.layers.ReLU()(inputs)), energy=0.5)
