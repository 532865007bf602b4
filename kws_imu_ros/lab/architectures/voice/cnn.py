"""CNN: two full convolutions, a linear bottleneck and a dense layer (Zhang et al., 2017)."""

from __future__ import annotations

import tf_keras

from kws_imu_ros.lab.architectures.blocks import Blocks
from kws_imu_ros.lab.architectures.config import ArchitectureConfig

# filters of both convolutions, units of the bottleneck and of the dense layer
SHAPES = {'small': (28, 30, 16, 128), 'large': (60, 76, 58, 128)}


def build(config: ArchitectureConfig) -> tf_keras.Model:
    """
    Return CNN-S ('small') or CNN-L ('large'), strided for 40 bands instead of 10 coefficients.

    Input (batch, frames, features), output (batch, classes).
    """
    blocks = Blocks(config)
    inputs = blocks.input()
    first, second, bottleneck, units = (config.channels(n) for n in SHAPES[config.size])
    x = blocks.conv(blocks.as_image(inputs), first, (10, 4), 'conv1', strides=2)
    x = blocks.conv(x, second, (10, 4), 'conv2', strides=2)
    x = tf_keras.layers.Flatten(name=blocks.name('flatten'))(x)
    x = blocks.dense(x, bottleneck, 'bottleneck', relu=False)
    return blocks.classify(inputs, blocks.dense_embedding(x, units), 'cnn')
