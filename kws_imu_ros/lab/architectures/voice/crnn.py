"""CRNN: convolutions over time and frequency, then a recurrent layer over time."""

from __future__ import annotations

import tf_keras

from kws_imu_ros.lab.architectures.blocks import Blocks
from kws_imu_ros.lab.architectures.config import ArchitectureConfig

# filters of the stem and of the separable convolution, units of the recurrent layer
SHAPES = {'small': (16, 24, 32), 'large': (32, 48, 64)}


def build(config: ArchitectureConfig) -> tf_keras.Model:
    """
    Return a convolutional stem and one LSTM.

    LSTM rather than the usual GRU: TensorFlow Lite has it as one int8 operator, a GRU becomes a
    loop that no int8 converter takes. In int8 its inputs must not be tiny: with activations of a
    hundredth the cell state has no bits left and the output is wrong.
    Input (batch, frames, features), output (batch, classes).
    """
    blocks = Blocks(config)
    inputs = blocks.input()
    stem, filters, units = (config.channels(n) for n in SHAPES[config.size])
    x = blocks.conv(blocks.as_image(inputs), stem, 5, 'stem', strides=2)
    x = blocks.separable(x, filters, 3, 'conv', strides=(1, 2))
    frames, bands, channels = x.shape[1:]
    x = tf_keras.layers.Reshape((frames, bands * channels), name=blocks.name('frames'))(x)
    x = tf_keras.layers.LSTM(units, name=blocks.name('embedding'))(x)
    return blocks.classify(inputs, x, 'crnn')
