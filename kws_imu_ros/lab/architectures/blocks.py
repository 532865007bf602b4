"""Building blocks shared by the architectures; all of them convert to full int8."""

from __future__ import annotations

import tensorflow as tf
import tf_keras

from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.lab.architectures.config import ArchitectureConfig
from kws_imu_ros.lab.architectures.depthwise import DepthwiseConv2D
from kws_imu_ros.lab.architectures.normalization import normalization


@tf_keras.utils.register_keras_serializable(package='kws_imu_ros')
class AxisMean(tf_keras.layers.Layer):
    """
    Mean over one axis, which stays with size 1.

    XNNPACK runs an int8 MEAN but no int8 AVERAGE_POOL_2D: with pooling layers BC-ResNet fell into
    13 separate delegate calls.
    """

    def __init__(self, axis: int, **kwargs):
        super().__init__(**kwargs)
        self.axis = axis

    def call(self, inputs):
        """Return the mean, with the axis kept."""
        return tf.reduce_mean(inputs, axis=self.axis, keepdims=True)

    def get_config(self):
        """Return what `from_config` needs."""
        return {**super().get_config(), 'axis': self.axis}


class Blocks:
    """Applies named layers with one configuration; every method takes and returns a tensor."""

    def __init__(self, config: ArchitectureConfig):
        self.config = config

    def name(self, name: str) -> str:
        """Return a layer name with the branch's prefix."""
        return self.config.prefix + name

    def input(self, name: str = 'input', shape: tuple[int, ...] | None = None):
        """Return the model's input, (batch, frames, features) unless `shape` says otherwise."""
        return tf_keras.Input(shape or self.config.input_shape, name=self.name(name))

    def as_image(self, x):
        """Reshape (frames, features) to one image, (frames, features, 1)."""
        self._require_rank(x, 3)
        return tf_keras.layers.Reshape((*x.shape[1:], 1), name=self.name('as_image'))(x)

    def as_sequence(self, x):
        """Reshape (frames, features) to (frames, 1, features): 2-D kernels do 1-D work faster."""
        self._require_rank(x, 3)
        shape = (x.shape[1], 1, x.shape[2])
        return tf_keras.layers.Reshape(shape, name=self.name('as_sequence'))(x)

    def conv(self, x, filters: int, kernel, name: str, strides=1, relu=True, dilation=1):
        """Apply Conv2D, normalization and, unless told otherwise, ReLU."""
        layer = tf_keras.layers.Conv2D(
            filters,
            kernel,
            strides=strides,
            dilation_rate=dilation,
            padding='same',
            use_bias=self.config.norm == 'none',
            name=self.name(f'{name}_conv'),
        )
        return self.normalize(layer(x), name, relu)

    def depthwise(
        self, x, kernel, name: str, strides=1, relu=True, dilation=1, padding='same', norm=True
    ):
        """Apply DepthwiseConv2D, normalization and, unless told otherwise, ReLU."""
        layer = DepthwiseConv2D(
            kernel,
            strides=strides,
            dilation_rate=dilation,
            padding=padding,
            use_bias=self.config.norm == 'none' or not norm,
            name=self.name(f'{name}_depthwise'),
        )
        return self.normalize(layer(x), name, relu) if norm else layer(x)

    def separable(self, x, filters: int, kernel, name: str, strides=1, relu=True, dilation=1):
        """Apply a depthwise and a pointwise convolution, each normalized."""
        x = self.depthwise(x, kernel, f'{name}_spatial', strides, dilation=dilation)
        return self.conv(x, filters, 1, f'{name}_point', relu=relu)

    def dense(self, x, units: int, name: str, relu=True):
        """Apply Dense and, unless told otherwise, ReLU."""
        x = tf_keras.layers.Dense(units, name=self.name(name))(x)
        return self.relu(x, name) if relu else x

    def normalize(self, x, name: str, relu=True):
        """Apply the configured normalization and, unless told otherwise, ReLU."""
        layer = normalization(
            self.config.norm, x.shape[-1], self.name(f'{name}_norm'), self.config.groups
        )
        if layer is not None:
            x = layer(x)
        return self.relu(x, name) if relu else x

    def relu(self, x, name: str):
        """Apply ReLU, which the int8 converter fuses into the layer before it."""
        return tf_keras.layers.ReLU(name=self.name(f'{name}_relu'))(x)

    def add(self, tensors, name: str, relu=True):
        """Add tensors (sizes of 1 are broadcast) and, unless told otherwise, apply ReLU."""
        x = tf_keras.layers.Add(name=self.name(f'{name}_add'))(tensors)
        return self.relu(x, name) if relu else x

    def global_average(self, x, name: str = 'embedding'):
        """Average all positions: (batch, height, width, channels) to (batch, channels)."""
        return tf_keras.layers.GlobalAveragePooling2D(name=self.name(name))(x)

    def dense_embedding(self, x, units: int):
        """Apply Dense and ReLU: the embedding of networks that have nothing to pool."""
        x = tf_keras.layers.Dense(units, name=self.name('hidden'))(x)
        return tf_keras.layers.ReLU(name=self.name('embedding'))(x)

    def classify(self, inputs, embedding, model_name: str) -> tf_keras.Model:
        """Put dropout, the classifier and the softmax on an embedding and return the model."""
        x = embedding
        if self.config.dropout:
            x = tf_keras.layers.Dropout(self.config.dropout, name=self.name('dropout'))(x)
        x = tf_keras.layers.Dense(self.config.classes, name=self.name('logits'))(x)
        if self.config.output == 'softmax':
            x = tf_keras.layers.Softmax(name=self.name('output'))(x)
        return tf_keras.Model(inputs, x, name=self.name(model_name))

    def _require_rank(self, x, rank: int):
        if len(x.shape) != rank:
            raise KwsImuError(
                f'architecture config: input_shape is {tuple(x.shape[1:])}; this architecture'
                ' needs (frames, features)'
            )
