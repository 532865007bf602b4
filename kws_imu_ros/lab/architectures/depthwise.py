"""A depthwise convolution that trains with unequal strides on every processor."""

from __future__ import annotations

import os

os.environ.setdefault('TF_USE_LEGACY_KERAS', '1')

import contextlib
import contextvars
import functools
from collections.abc import Iterator

import tensorflow as tf
import tf_keras

_exporting = contextvars.ContextVar('exporting', default=False)


@tf_keras.utils.register_keras_serializable(package='kws_imu_ros')
class DepthwiseConv2D(tf_keras.layers.DepthwiseConv2D):
    """
    Keras' layer of this name, with the same configuration, weights and outputs.

    TensorFlow's own CPU kernel refuses strides that differ between rows and columns. Only oneDNN's
    takes them, which is on by itself on newer processors only; without it every position of an
    image is computed here, and those between the strides are left out.
    """

    def call(self, inputs):
        """Return the convolution of a tensor (batch, rows, columns, channels)."""
        native = self.strides[0] == self.strides[1] or self.data_format != 'channels_last'
        if native or _exporting.get() or takes_unequal_strides():
            return super().call(inputs)
        sizes = inputs.shape[1:3].as_list()
        if 1 in sizes:
            # No stride passes over a single row or column, so equal ones give the same.
            outputs = self._convolve(inputs, self.strides[1 - sizes.index(1)])
        else:
            rows, columns = (self._first(axis, size) for axis, size in enumerate(sizes))
            outputs = self._convolve(inputs, 1)
            outputs = outputs[:, rows :: self.strides[0], columns :: self.strides[1]]
        if self.use_bias:
            outputs = tf.nn.bias_add(outputs, self.bias)
        return outputs if self.activation is None else self.activation(outputs)

    def _convolve(self, inputs: tf.Tensor, stride: int) -> tf.Tensor:
        return tf_keras.backend.depthwise_conv2d(
            inputs, self.depthwise_kernel, (stride, stride), self.padding, self.data_format
        )

    def _first(self, axis: int, size: int) -> int:
        """Return which position of the convolution without strides is the first with them."""
        if self.padding == 'valid':
            return 0
        kernel, stride = self.kernel_size[axis], self.strides[axis]
        # 'same' pads for the positions it computes: strides leave less to pad, or nothing.
        padding = max((-(-size // stride) - 1) * stride + kernel - size, 0)
        return (kernel - 1) // 2 - padding // 2


@contextlib.contextmanager
def exporting() -> Iterator[None]:
    """
    Trace models as they are to run on the robot: a strided convolution is one operator.

    TensorFlow Lite takes all strides, so nothing is computed in vain there.
    """
    token = _exporting.set(True)
    try:
        yield
    finally:
        _exporting.reset(token)


@functools.cache
def takes_unequal_strides() -> bool:
    """Return True where TensorFlow runs unequal strides, forward and backward, on this machine."""

    def step() -> list[tf.Tensor]:
        inputs, kernel = tf.ones((1, 4, 4, 4)), tf.ones((3, 3, 4, 1))
        with tf.GradientTape() as tape:
            tape.watch((inputs, kernel))
            outputs = tf.nn.depthwise_conv2d(inputs, kernel, (1, 1, 2, 1), 'SAME')
        return tape.gradient(outputs, (inputs, kernel))

    # Asked for while a graph is traced, and answered by running; oneDNN replaces kernels eagerly
    # and in graphs by different rules.
    with tf.init_scope():
        try:
            step()
            tf.function(step)()
        except (tf.errors.InvalidArgumentError, tf.errors.UnimplementedError):
            return False
    return True
