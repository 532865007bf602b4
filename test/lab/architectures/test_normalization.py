"""Group normalization is what it claims, and folding it or batch normalization is measured."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip('tensorflow', reason='the training extras are not installed')

from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.lab.architectures import build
from kws_imu_ros.lab.architectures.normalization import (
    GroupNormalization,
    fold_batch_norm,
    fold_group_norm,
    group_to_batch_norm,
    normalization,
)
from kws_imu_ros.lab.compression.quantization import tf_keras

NORMALIZATIONS = (GroupNormalization, tf_keras.layers.BatchNormalization)


def randomize(model: tf_keras.Model, seed: int = 0) -> tf_keras.Model:
    """Give normalizations parameters and statistics that a fold cannot get right by chance."""
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        if isinstance(layer, NORMALIZATIONS):
            layer.set_weights([rng.uniform(0.5, 1.5, w.shape) for w in layer.get_weights()])
    return model


def output(model: tf_keras.Model, inputs: np.ndarray) -> np.ndarray:
    return model(inputs, training=False).numpy()


def has_normalization(model: tf_keras.Model) -> bool:
    return any(isinstance(layer, NORMALIZATIONS) for layer in model.layers)


@pytest.fixture(scope='module')
def windows() -> np.ndarray:
    rng = np.random.default_rng(1)
    return rng.normal(size=(24, 49, 40)).astype(np.float32)


@pytest.mark.parametrize('groups', [1, 4, 12])
def test_group_normalization_equals_the_definition(groups):
    rng = np.random.default_rng(2)
    x = rng.normal(2.0, 3.0, size=(3, 5, 7, 12)).astype(np.float32)
    layer = GroupNormalization(groups)
    layer.build(x.shape)
    gamma, beta = rng.normal(size=(2, 12)).astype(np.float32)
    layer.set_weights([gamma, beta])
    split = x.reshape((3, 35, groups, 12 // groups))
    mean = split.mean(axis=(1, 3), keepdims=True)
    variance = split.var(axis=(1, 3), keepdims=True)
    expected = ((split - mean) / np.sqrt(variance + layer.epsilon)).reshape(x.shape)
    np.testing.assert_allclose(layer(x), expected * gamma + beta, atol=2e-4)


def test_groups_that_do_not_divide_the_channels_are_refused_or_lowered():
    with pytest.raises(KwsImuError, match='do not divide'):
        GroupNormalization(5).build((None, 4, 12))
    assert normalization('group', 12, groups=8).groups == 6
    assert normalization('none', 12) is None
    with pytest.raises(KwsImuError, match="'layer' is unknown"):
        normalization('layer', 12)


# Depthwise, pointwise, broadcast sums, dense after flattening, one dimension.
@pytest.mark.parametrize('name', ['bc_resnet', 'cnn', 'matchboxnet'])
def test_batch_norm_folds_exactly(name, windows):
    model = randomize(build(name, {'norm': 'batch', 'output': 'logits', 'width': 0.5}))
    folded = fold_batch_norm(model)
    assert not has_normalization(folded)
    expected = output(model, windows)
    np.testing.assert_allclose(output(folded, windows), expected, rtol=1e-4, atol=1e-4)


def test_batch_norm_with_nothing_before_it_becomes_an_affine(windows):
    layers = tf_keras.layers
    inputs = tf_keras.Input((49, 40))
    x = layers.BatchNormalization()(inputs)
    x = layers.Conv1D(6, 3, activation='relu')(x)
    x = layers.BatchNormalization()(x)
    x = layers.SeparableConv1D(5, 3)(x)
    x = layers.BatchNormalization(scale=False)(x)
    x = layers.GlobalAveragePooling1D()(x)
    x = layers.BatchNormalization(center=False)(x)
    model = randomize(tf_keras.Model(inputs, layers.Dense(3)(x)))
    folded = fold_batch_norm(model)
    assert not has_normalization(folded)
    expected = output(model, windows)
    np.testing.assert_allclose(output(folded, windows), expected, rtol=1e-4, atol=1e-4)


def test_a_shared_convolution_is_not_folded_into(windows):
    layers = tf_keras.layers
    inputs = tf_keras.Input((49, 40))
    shared = layers.Conv1D(40, 3, padding='same')
    x = layers.BatchNormalization()(shared(inputs))
    x = layers.BatchNormalization()(shared(x))
    model = randomize(tf_keras.Model(inputs, x))
    folded = fold_batch_norm(model)
    assert not has_normalization(folded)
    expected = output(model, windows)
    np.testing.assert_allclose(output(folded, windows), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('method', ['statistics', 'least_squares'])
def test_group_norm_folds_exactly_where_statistics_are_constant(method, windows):
    model = randomize(
        build('imu_conv1d', {'norm': 'group', 'output': 'logits', 'input_shape': (49, 40)})
    )
    # The same window over and over: every sample has the same statistics.
    same = np.repeat(windows[:1], 4, axis=0)
    folded, errors = fold_group_norm(model, [same, same], method)
    assert not has_normalization(folded)
    assert len(errors) == 13
    # float32 sums of squares, and a fit that is undetermined where a channel hardly moves.
    assert max(errors.values()) < 2e-3
    np.testing.assert_allclose(output(folded, same), output(model, same), atol=5e-3)


def test_least_squares_leaves_less_error_than_statistics(windows):
    model = randomize(
        build('imu_conv1d', {'norm': 'group', 'output': 'logits', 'input_shape': (49, 40)})
    )
    # Loud and quiet windows: what group normalization evens out and an affine cannot.
    loudness = np.linspace(0.3, 2.0, len(windows), dtype=np.float32)[:, None, None]
    loud = windows * loudness
    errors = {}
    for method in ('statistics', 'least_squares'):
        folded, by_layer = fold_group_norm(model, [loud], method)
        assert all(0.0 < error < 1.0 for error in by_layer.values())
        errors[method] = np.mean((output(folded, loud) - output(model, loud)) ** 2)
    assert errors['least_squares'] < errors['statistics']


def test_the_batch_norm_in_between_equals_the_folded_model(windows):
    model = randomize(build('tc_resnet', {'norm': 'group', 'output': 'logits', 'width': 0.5}))
    between, _ = group_to_batch_norm(model, [windows])
    assert has_normalization(between)
    folded = fold_batch_norm(between)
    np.testing.assert_allclose(
        output(folded, windows), output(between, windows), rtol=1e-4, atol=1e-4
    )


def test_folding_without_data_or_by_an_unknown_method_is_one_clear_sentence(windows):
    model = build('tc_resnet', {'norm': 'group', 'width': 0.25})
    with pytest.raises(KwsImuError, match='no calibration batches'):
        fold_group_norm(model, [])
    with pytest.raises(KwsImuError, match="'median' is unknown"):
        fold_group_norm(model, [windows], 'median')
