"""Normalization as a switch: a static group normalization, one factory, and folding at export."""

from __future__ import annotations

import os

os.environ.setdefault('TF_USE_LEGACY_KERAS', '1')

import dataclasses
from collections.abc import Iterable, Sequence

import numpy as np
import tensorflow as tf
import tf_keras

from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.lab.architectures.keras_graph import KerasGraph, copy_layer, part, rebuild

NORMALIZATIONS = ('group', 'batch', 'none')


@tf_keras.utils.register_keras_serializable(package='kws_imu_ros')
class GroupNormalization(tf_keras.layers.Layer):
    """
    Group normalization written so that it converts to int8 and survives pruning exactly.

    Group means are products with a constant (channels, channels) averaging matrix: no shape is
    computed at run time, so TFLite's quantizer accepts the graph. Channels that pruning removed
    were zero in the exact case, so the layer keeps each group's original size as the divisor and
    adds the removed channels' share of the variance; removing zero channels then changes nothing.

    Args:
        groups: number of groups; must divide the channels unless `assignment` is given.
        epsilon: added to the variance.
        assignment: group index of every channel, or None for equal consecutive groups.
        group_sizes: channels that each group had before pruning, or None when unpruned.

    Input and output: float (batch, ..., channels).

    """

    def __init__(
        self,
        groups: int = 8,
        epsilon: float = 1e-3,
        assignment: Sequence[int] | None = None,
        group_sizes: Sequence[int] | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.groups = int(groups)
        self.epsilon = float(epsilon)
        self.assignment = None if assignment is None else [int(i) for i in assignment]
        self.group_sizes = None if group_sizes is None else [int(n) for n in group_sizes]

    def build(self, input_shape):
        """Create gamma, beta and the constant averaging matrix; raise KwsImuError on misfits."""
        channels = int(input_shape[-1])
        if self.assignment is None:
            if channels % self.groups:
                raise KwsImuError(
                    f'{self.name}: {self.groups} groups do not divide {channels} channels;'
                    ' choose a divisor'
                )
            self.assignment = [i * self.groups // channels for i in range(channels)]
        if len(self.assignment) != channels:
            raise KwsImuError(
                f'{self.name}: {len(self.assignment)} channels are assigned to groups but the'
                f' input has {channels}; rebuild the layer for this input'
            )
        if self.group_sizes is None:
            self.group_sizes = np.bincount(self.assignment, minlength=self.groups).tolist()
        assignment = np.asarray(self.assignment)
        sizes = np.asarray(self.group_sizes, np.float32)[assignment]
        kept = np.bincount(assignment, minlength=self.groups)[assignment]
        same = assignment[:, None] == assignment[None, :]
        self._averaging = (same / sizes[None, :]).astype(np.float32)
        self._removed_share = (1.0 - kept / sizes).astype(np.float32)
        self.gamma = self.add_weight('gamma', (channels,), initializer='ones')
        self.beta = self.add_weight('beta', (channels,), initializer='zeros')
        super().build(input_shape)

    def call(self, inputs):
        """Return the normalized input, of the same shape."""
        axes = list(range(1, inputs.shape.rank - 1))
        mean = self._group_average(inputs, axes)
        centered = inputs - mean
        # A product, not tf.square: that becomes SQUARED_DIFFERENCE, which XNNPACK has not in int8.
        variance = self._group_average(centered * centered, axes)
        if self._removed_share.any():
            variance += mean * mean * self._removed_share
        scale = tf.math.rsqrt(variance + self.epsilon)
        return centered * (scale * self.gamma) + self.beta

    def _group_average(self, inputs, axes):
        averages = tf.reduce_mean(inputs, axis=axes, keepdims=True) if axes else inputs
        channels = inputs.shape[-1]
        averages = tf.matmul(tf.reshape(averages, (-1, channels)), self._averaging)
        return tf.reshape(averages, [-1] + [1] * len(axes) + [channels])

    def get_config(self):
        """Return what `from_config` needs."""
        return {
            **super().get_config(),
            'groups': self.groups,
            'epsilon': self.epsilon,
            'assignment': self.assignment,
            'group_sizes': self.group_sizes,
        }


def normalization(
    kind: str, channels: int, name: str | None = None, groups: int = 8
) -> tf_keras.layers.Layer | None:
    """
    Return a normalization layer for `channels` channels, or None for kind 'none'.

    Args:
        kind: 'group', 'batch' or 'none'.
        groups: wished groups; the largest divisor of `channels` up to it is taken.

    Raises:
        KwsImuError: `kind` is unknown.

    """
    if kind == 'none':
        return None
    if kind == 'batch':
        return tf_keras.layers.BatchNormalization(momentum=0.95, name=name)
    if kind == 'group':
        divisor = max(g for g in range(1, min(groups, channels) + 1) if channels % g == 0)
        return GroupNormalization(divisor, name=name)
    raise KwsImuError(
        f"normalization '{kind}' is unknown; choose one of {', '.join(NORMALIZATIONS)}"
    )


def fold_batch_norm(model: tf_keras.Model) -> tf_keras.Model:
    """
    Return the same function without BatchNormalization.

    Each one is absorbed into the convolution, depthwise convolution or dense layer whose output
    only it takes. One that follows something else becomes a 1x1 depthwise convolution (or a
    diagonal dense layer after a flat tensor), which is no normalization either.

    Raises:
        KwsImuError: a BatchNormalization is shared or not on the last axis.

    """
    graph = KerasGraph(model)
    replacements: dict[str, tf_keras.layers.Layer | None] = {}
    weights: dict[str, list[np.ndarray]] = {}
    for call in graph.calls:
        layer = call.layer
        if not isinstance(layer, tf_keras.layers.BatchNormalization):
            continue
        rank = len(graph.shapes[call.inputs[0]])
        if len(graph.calls_of(layer)) > 1 or list(layer.axis) != [rank - 1]:
            raise KwsImuError(
                f'{layer.name} cannot be folded: it is shared or does not normalize the last axis'
            )
        scale, offset = _batch_norm_affine(layer)
        before = graph.producer(call.inputs[0])
        if before is not None and _absorbs(graph, before):
            replacements[layer.name] = None
            absorbed, arrays = _absorb(before.layer, scale, offset)
            replacements[before.layer.name] = absorbed
            weights[before.layer.name] = arrays
        else:
            replacements[layer.name], weights[layer.name] = _affine_layer(
                layer, scale, offset, rank
            )
    return rebuild(model, replacements, weights)


def _batch_norm_affine(layer) -> tuple[np.ndarray, np.ndarray]:
    scale = 1.0 / np.sqrt(layer.moving_variance.numpy() + layer.epsilon)
    if layer.scale:
        scale = scale * layer.gamma.numpy()
    offset = -layer.moving_mean.numpy() * scale
    return scale, offset + layer.beta.numpy() if layer.center else offset


def _absorbs(graph: KerasGraph, call) -> bool:
    layer = call.layer
    absorbing = (
        tf_keras.layers.Conv1D,
        tf_keras.layers.Conv2D,
        tf_keras.layers.DepthwiseConv1D,
        tf_keras.layers.DepthwiseConv2D,
        tf_keras.layers.SeparableConv1D,
        tf_keras.layers.SeparableConv2D,
        tf_keras.layers.Dense,
    )
    return (
        isinstance(layer, absorbing)
        and not isinstance(layer, tf_keras.layers.Conv2DTranspose)
        and layer.activation is tf_keras.activations.linear
        and len(graph.calls_of(layer)) == 1
        and len(graph.consumers(call.outputs[0])) == 1
        and call.outputs[0] not in graph.outputs
    )


def _absorb(layer, scale, offset) -> tuple[tf_keras.layers.Layer, list[np.ndarray]]:
    arrays = layer.get_weights()
    kernel = arrays[1] if hasattr(layer, 'pointwise_kernel') else arrays[0]
    if hasattr(layer, 'depth_multiplier') and not hasattr(layer, 'pointwise_kernel'):
        kernel = kernel * scale.reshape(kernel.shape[-2:])
    else:
        kernel = kernel * scale
    bias = offset + (arrays[-1] * scale if layer.use_bias else 0.0)
    before = [arrays[0]] if hasattr(layer, 'pointwise_kernel') else []
    return copy_layer(layer, use_bias=True), [*before, kernel, bias]


def _affine_layer(layer, scale, offset, rank) -> tuple[tf_keras.layers.Layer, list[np.ndarray]]:
    if rank == 4:
        affine = tf_keras.layers.DepthwiseConv2D(1, name=layer.name)
        return affine, [scale.reshape((1, 1, -1, 1)), offset]
    if rank == 3:
        affine = tf_keras.layers.DepthwiseConv1D(1, name=layer.name)
        return affine, [scale.reshape((1, -1, 1)), offset]
    return tf_keras.layers.Dense(scale.size, name=layer.name), [np.diag(scale), offset]


@dataclasses.dataclass
class _Moments:
    """Sums per channel of a normalization's input x and output y."""

    count: float = 0.0
    x: np.ndarray | float = 0.0
    y: np.ndarray | float = 0.0
    xx: np.ndarray | float = 0.0
    xy: np.ndarray | float = 0.0
    yy: np.ndarray | float = 0.0

    def add(self, x: np.ndarray, y: np.ndarray) -> None:
        x = x.reshape((-1, x.shape[-1])).astype(np.float64)
        y = y.reshape((-1, y.shape[-1])).astype(np.float64)
        self.count += len(x)
        for name, value in (('x', x), ('y', y), ('xx', x * x), ('xy', x * y), ('yy', y * y)):
            setattr(self, name, getattr(self, name) + value.sum(axis=0))


def group_to_batch_norm(
    model: tf_keras.Model,
    calibration_batches: Iterable[np.ndarray | Sequence[np.ndarray]],
    method: str = 'least_squares',
) -> tuple[tf_keras.Model, dict[str, float]]:
    """
    Replace GroupNormalization by BatchNormalization that does the same to the calibration set.

    The new layers can be fine-tuned as they are (in training mode they go on adapting) and folded
    without loss. Where every sample has the same group statistics the result is exact.

    Args:
        calibration_batches: inputs of the model; a few hundred samples.
        method: 'statistics' takes the group means and variances of the whole set for those of every
            sample. 'least_squares' fits, layer after layer, the affine that brings the inputs as
            the already replaced layers make them closest to what the original network normalizes
            to, so that errors are corrected and do not add up.

    Returns:
        the new model, and by layer the relative error left, the RMS of the difference over that of
        the normalized activations on the calibration set.

    Raises:
        KwsImuError: the method is unknown, the set empty, or a layer shared.

    """
    if method not in ('statistics', 'least_squares'):
        raise KwsImuError(
            f"folding method '{method}' is unknown; choose statistics or least_squares"
        )
    batches = [_as_inputs(batch) for batch in calibration_batches]
    if not batches:
        raise KwsImuError('no calibration batches to fold group normalization with; give some')
    original = KerasGraph(model)
    names = [c.layer.name for c in original.calls if isinstance(c.layer, GroupNormalization)]
    if len(set(names)) < len(names):
        raise KwsImuError('a shared GroupNormalization cannot be folded; give each call its own')
    new, errors = model, {}
    for name in names:
        target = model.get_layer(name)
        # One layer at a time: the inputs of the next depend on this replacement.
        before = part(new, new.get_layer(name).input)
        around = part(model, target.input, target.output)
        moments, source = _Moments(), _Moments()
        for batch in batches:
            (x,), (x_original, y) = before(batch), around(batch)
            moments.add(x.numpy(), y.numpy())
            source.add(x_original.numpy(), y.numpy())
        if method == 'least_squares':
            scale, offset = _least_squares_affine(moments)
        else:
            scale, offset = _pooled_affine(target, source)
        errors[name] = _relative_error(moments, scale, offset)
        mean = moments.x / moments.count
        variance = np.maximum(moments.xx / moments.count - mean**2, 0.0)
        batch_norm = tf_keras.layers.BatchNormalization(
            momentum=0.95, epsilon=target.epsilon, name=name
        )
        gamma = scale * np.sqrt(variance + target.epsilon)
        arrays = [gamma, offset + scale * mean, mean, variance]
        new = rebuild(new, {name: batch_norm}, {name: arrays})
    return new, errors


def fold_group_norm(
    model: tf_keras.Model,
    calibration_batches: Iterable[np.ndarray | Sequence[np.ndarray]],
    method: str = 'least_squares',
) -> tuple[tf_keras.Model, dict[str, float]]:
    """
    Return a model without any normalization, and the relative error left in each folded layer.

    See `group_to_batch_norm`; batch normalizations of the model are folded as well.
    """
    new, errors = group_to_batch_norm(model, calibration_batches, method)
    return fold_batch_norm(new), errors


def _as_inputs(batch):
    if isinstance(batch, list | tuple):
        return [tf.constant(part_, tf.float32) for part_ in batch]
    return tf.constant(batch, tf.float32)


def _least_squares_affine(moments: _Moments) -> tuple[np.ndarray, np.ndarray]:
    mean_x, mean_y = moments.x / moments.count, moments.y / moments.count
    variance = moments.xx / moments.count - mean_x**2
    covariance = moments.xy / moments.count - mean_x * mean_y
    # A channel that never moves has no slope; any gives the same output.
    still = variance <= 1e-10 * (1e-10 + moments.xx / moments.count)
    scale = np.where(still, 0.0, covariance / np.where(still, 1.0, variance))
    return scale, mean_y - scale * mean_x


def _pooled_affine(layer: GroupNormalization, moments: _Moments) -> tuple[np.ndarray, np.ndarray]:
    assignment = np.asarray(layer.assignment)
    sizes = np.asarray(layer.group_sizes, np.float64)
    mean = np.bincount(assignment, moments.x / moments.count, layer.groups) / sizes
    square = np.bincount(assignment, moments.xx / moments.count, layer.groups) / sizes
    deviation = np.sqrt(np.maximum(square - mean**2, 0.0) + layer.epsilon)
    scale = layer.gamma.numpy() / deviation[assignment]
    return scale, layer.beta.numpy() - mean[assignment] * scale


def _relative_error(moments: _Moments, scale: np.ndarray, offset: np.ndarray) -> float:
    difference = (
        moments.yy
        + scale**2 * moments.xx
        + offset**2 * moments.count
        - 2 * scale * moments.xy
        - 2 * offset * moments.y
        + 2 * scale * offset * moments.x
    )
    return float(np.sqrt(max(difference.sum(), 0.0) / max(moments.yy.sum(), 1e-30)))
