"""DS-CNN: depthwise-separable convolutions over time and frequency (Zhang et al., 2017)."""

from __future__ import annotations

import tf_keras

from kws_imu_ros.lab.architectures.blocks import Blocks
from kws_imu_ros.lab.architectures.config import ArchitectureConfig

# (channels, stride, blocks) of each stage after the stem. Resolution is given up early: on 40 mel
# bands the full-size stages would cost four times the rest and bring little.
STAGES = {
    'small': ((48, 2, 4), (96, 2, 2)),
    'large': ((64, 2, 6), (128, 2, 4)),
}
STEM = {'small': 24, 'large': 32}


def build(config: ArchitectureConfig) -> tf_keras.Model:
    """
    Return a DS-CNN with residual sums inside each stage.

    Input (batch, frames, features), output (batch, classes).
    """
    blocks = Blocks(config)
    inputs = blocks.input()
    x = blocks.as_image(inputs)
    x = blocks.conv(x, config.channels(STEM[config.size]), 5, 'stem', strides=2)
    for stage, (channels, stride, depth) in enumerate(STAGES[config.size], 1):
        filters = config.channels(channels)
        x = blocks.separable(x, filters, 3, f'stage{stage}_1', strides=stride)
        for index in range(2, depth + 1):
            name = f'stage{stage}_{index}'
            x = blocks.add([x, blocks.separable(x, filters, 3, name, relu=False)], name)
    return blocks.classify(inputs, blocks.global_average(x), 'ds_cnn')
