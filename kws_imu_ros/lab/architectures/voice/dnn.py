"""DNN: fully connected layers on the whole window (Zhang et al., 2017)."""

from __future__ import annotations

import tf_keras

from kws_imu_ros.lab.architectures.blocks import Blocks
from kws_imu_ros.lab.architectures.config import ArchitectureConfig

UNITS = {'small': (32, 64, 64), 'large': (144, 144, 144)}


def build(config: ArchitectureConfig) -> tf_keras.Model:
    """
    Return three dense layers.

    Input (batch, frames, features), output (batch, classes).
    """
    blocks = Blocks(config)
    inputs = blocks.input()
    x = tf_keras.layers.Flatten(name=blocks.name('flatten'))(inputs)
    *hidden, last = (config.channels(units) for units in UNITS[config.size])
    for index, units in enumerate(hidden, 1):
        x = blocks.dense(x, units, f'dense{index}')
    return blocks.classify(inputs, blocks.dense_embedding(x, last), 'dnn')
