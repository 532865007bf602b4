"""Normalization as a switch: a static group normalization, one factory, and folding at export."""

from __future__ import annotations

import os

os.environ.setdefault('TF_USE_LEGACY_KERAS', '1')

from collections.abc import Sequence

import numpy as np
import tensorflow as tf
import tf_keras

from kws_imu_ros.errors import KwsImuError

NORMALIZATIONS = ('group', 'batch', 'none')


@tf_keras.utils.register_keras_serializable(package='kws_imu_ros')
class GroupNormalization(tf_keras.layers.Layer):
    """
    Group normalization written so that it converts to int8 and survives pruning exactly.

    Group means are products with a constant (channels, channels) averaging matrix: no shape is
    computed at run time, so TFLite's quantizer accepts the graph. Channels that pruning removed
    were zero in the exact case, so the layer keeps each group's original size as the divisor and
    adds the removed channels' share of the variance; removing zero channels then changes nothing.

    :param groups: number of groups; must divide the channels unless `assignment` is given.
    :param epsilon: added to the variance.
    :param assignment: group index of every channel, or None for equal consecutive groups.
    :param group_sizes: channels that each group had before pruning, or None when unpruned.

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
        mean, scale = self.statistics(inputs)
        return (inputs - mean) * (scale * self.gamma) + self.beta

    def statistics(self, inputs):
        """Return each sample's (mean, 1 / standard deviation), both (batch, 1, ..., channels)."""
        axes = list(range(1, inputs.shape.rank - 1))
        mean = self._group_average(inputs, axes)
        variance = self._group_average(tf.square(inputs - mean), axes)
        if self._removed_share.any():
            variance += tf.square(mean) * self._removed_share
        return mean, tf.math.rsqrt(variance + self.epsilon)

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

    :param kind: 'group', 'batch' or 'none'.
    :param groups: wished groups; the largest divisor of `channels` up to it is taken.
    :raises KwsImuError: when `kind` is unknown.
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
