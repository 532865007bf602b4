"""MicroNet: separable stages with the uneven widths that a search found (Banbury et al., 2021)."""

from __future__ import annotations

import tf_keras

from kws_imu_ros.lab.architectures.blocks import Blocks
from kws_imu_ros.lab.architectures.config import ArchitectureConfig

# channels of the stem and of every separable stage
CHANNELS = {
    'small': (84, 112, 84, 84, 84, 196),
    'large': (140, 140, 140, 112, 112, 196),
}


def build(config: ArchitectureConfig) -> tf_keras.Model:
    """
    Return a network in the manner of MicroNet-KWS-S ('small') or -M ('large').

    Widths follow the paper; strides are larger, for 40 mel bands instead of 10 coefficients.
    Input (batch, frames, features), output (batch, classes).
    """
    blocks = Blocks(config)
    inputs = blocks.input()
    stem, *stages = (config.channels(count) for count in CHANNELS[config.size])
    x = blocks.conv(blocks.as_image(inputs), stem, (10, 4), 'stem', strides=(2, 4))
    for stage, filters in enumerate(stages, 1):
        x = blocks.separable(x, filters, 3, f'stage{stage}', strides=2 if stage == 1 else 1)
    return blocks.classify(inputs, blocks.global_average(x), 'micronet')
