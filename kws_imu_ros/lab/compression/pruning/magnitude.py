"""The unstructured baseline: `prune_low_magnitude` zeroes weights and makes no layer smaller."""

from __future__ import annotations

import os

os.environ.setdefault('TF_USE_LEGACY_KERAS', '1')

import dataclasses
import gzip
import warnings
from collections.abc import Callable

import numpy as np
import tf_keras

from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.lab.architectures.keras_graph import rebuild

# Depthwise kernels are left out, as TensorFlow Model Optimization does: they hold few weights.
_SPARSE_LAYERS = (
    tf_keras.layers.Conv1D,
    tf_keras.layers.Conv2D,
    tf_keras.layers.Dense,
    tf_keras.layers.SeparableConv1D,
    tf_keras.layers.SeparableConv2D,
)
_UPDATES = 50


@dataclasses.dataclass(frozen=True)
class StoredBytes:
    """Size of a model file as it lies on the device, and compressed as it is sent."""

    dense: int
    gzip: int


def stored_bytes(model_bytes: bytes) -> StoredBytes:
    """Return the size of a `.tflite` file plain and gzipped (level 9, no time stamp)."""
    return StoredBytes(len(model_bytes), len(gzip.compress(model_bytes, 9, mtime=0)))


def sparsity(model: tf_keras.Model) -> float:
    """Return the share of zeros among the weights that this baseline may zero."""
    kernels = [array for layer in model.layers for array in _kernels(layer)]
    return sum(int((array == 0).sum()) for array in kernels) / sum(a.size for a in kernels)


def prune_low_magnitude(
    model: tf_keras.Model,
    share: float,
    train: Callable[[tf_keras.Model], None],
    steps: int,
) -> tf_keras.Model:
    """
    Return a model of the same shape with the smallest `share` of weights zeroed in training.

    Sparsity rises from 0 by a cubic over the first two thirds of the steps, then stays.

    Args:
        train: trains the given (wrapped) model for `steps` optimizer steps, in any loop that calls
            it with training=True once a step. Its weights are not the given model's.
        steps: optimizer steps that `train` will do.

    Raises:
        KwsImuError: the share is outside (0, 1), or no layer can be made sparse.

    """
    if not 0 < share < 1:
        raise KwsImuError(f'the share of weights to zero is {share}; it must be between 0 and 1')
    # Imported here: only this baseline needs it, and it takes seconds.
    with warnings.catch_warnings():
        warnings.filterwarnings('ignore', message='distutils Version classes')
        from tensorflow_model_optimization.sparsity import keras as sparse
    names = [layer.name for layer in model.layers if _kernels(layer)]
    if not names:
        raise KwsImuError(f"model '{model.name}' has no convolution or dense layer to make sparse")
    schedule = sparse.PolynomialDecay(
        initial_sparsity=0.0,
        final_sparsity=share,
        begin_step=1,
        end_step=max(2, 2 * steps // 3),
        frequency=max(1, steps // _UPDATES),
    )
    wrappers, weights = {}, {}
    for name in names:
        layer = model.get_layer(name)
        copy = layer.__class__.from_config(layer.get_config())
        wrappers[name] = sparse.prune_low_magnitude(copy, pruning_schedule=schedule)
        weights[name] = layer.get_weights()
    wrapped = rebuild(model, wrappers, dict.fromkeys(names))
    for name, wrapper in wrappers.items():
        wrapper.layer.set_weights(weights[name])
        # The wrapper counts calls in training from here and refuses to start below zero.
        wrapper.pruning_step.assign(0)
    train(wrapped)
    pruned = {}
    for name, wrapper in wrappers.items():
        # The last optimizer step moved zeroed weights away from zero.
        wrapper.pruning_obj.weight_mask_op()
        pruned[name] = wrapper.layer.get_weights()
    for layer in wrapped.layers:
        if layer not in wrappers.values() and layer.get_weights():
            pruned[layer.name] = layer.get_weights()
    return rebuild(model, {}, pruned)


def _kernels(layer: tf_keras.layers.Layer) -> list[np.ndarray]:
    depthwise = (tf_keras.layers.DepthwiseConv1D, tf_keras.layers.DepthwiseConv2D)
    if not isinstance(layer, _SPARSE_LAYERS) or isinstance(layer, depthwise):
        return []
    return [weight.numpy() for weight in layer.weights if 'kernel' in weight.name]
