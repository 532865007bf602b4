"""Attention over time on top of separable convolutions, in the spirit of KWT and Att-RNN."""

from __future__ import annotations

import tf_keras

from kws_imu_ros.lab.architectures.blocks import Blocks
from kws_imu_ros.lab.architectures.config import ArchitectureConfig

# channels, heads, attention blocks
SHAPES = {'small': (48, 2, 1), 'large': (64, 4, 2)}


def build(config: ArchitectureConfig) -> tf_keras.Model:
    """
    Return a separable stem over time and residual blocks of attention and dense layers.

    There is no layer normalization, which int8 would pay for at every frame; the convolutions'
    own switch is enough for so shallow a stack.
    Input (batch, frames, features), output (batch, classes).
    """
    blocks = Blocks(config)
    layers = tf_keras.layers
    channels, heads, depth = SHAPES[config.size]
    channels = config.channels(channels)
    inputs = blocks.input()
    x = blocks.separable(blocks.as_sequence(inputs), channels, (9, 1), 'stem', strides=(2, 1))
    x = blocks.separable(x, channels, (9, 1), 'stem2', strides=(2, 1))
    x = layers.Reshape((x.shape[1], channels), name=blocks.name('tokens'))(x)
    for index in range(1, depth + 1):
        attention = layers.MultiHeadAttention(
            heads, max(1, channels // heads), name=blocks.name(f'attention{index}')
        )
        x = blocks.add([x, attention(x, x)], f'attention{index}', relu=False)
        y = blocks.dense(x, 2 * channels, f'dense{index}_1')
        y = blocks.dense(y, channels, f'dense{index}_2', relu=False)
        x = blocks.add([x, y], f'dense{index}', relu=False)
    x = layers.GlobalAveragePooling1D(name=blocks.name('embedding'))(x)
    return blocks.classify(inputs, x, 'attention')
