"""Separable 1-D convolutions over an IMU window, for gestures and everyday activity."""

from __future__ import annotations

import tf_keras

from kws_imu_ros.lab.architectures.blocks import Blocks
from kws_imu_ros.lab.architectures.config import ArchitectureConfig

CHANNELS = {'small': (16, 24, 32, 48), 'large': (32, 48, 64, 96)}


def build(config: ArchitectureConfig) -> tf_keras.Model:
    """
    Return a stem and three separable stages, each halving time.

    Input (batch, frames, axes), output (batch, classes).
    """
    blocks = Blocks(config)
    inputs = blocks.input()
    stem, *stages = (config.channels(count) for count in CHANNELS[config.size])
    x = blocks.as_sequence(inputs)
    x = blocks.conv(x, stem, (5, 1), 'stem', strides=(2, 1))
    for stage, filters in enumerate(stages, 1):
        x = blocks.separable(x, filters, (5, 1), f'stage{stage}_1', strides=(2, 1))
        name = f'stage{stage}_2'
        x = blocks.add([x, blocks.separable(x, filters, (5, 1), name, relu=False)], name)
    return blocks.classify(inputs, blocks.global_average(x), 'imu_conv1d')
