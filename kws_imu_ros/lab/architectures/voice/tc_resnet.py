"""TC-ResNet: residual 1-D convolutions over time, mel bands as channels (Choi et al., 2019)."""

from __future__ import annotations

import tf_keras

from kws_imu_ros.lab.architectures.blocks import Blocks
from kws_imu_ros.lab.architectures.config import ArchitectureConfig

CHANNELS = {'small': (16, 24, 32, 40), 'large': (24, 36, 36, 48, 48, 72, 72)}
STRIDES = {'small': (2, 2, 2), 'large': (2, 1, 2, 1, 2, 1)}
KERNEL = {'small': 7, 'large': 9}


def build(config: ArchitectureConfig) -> tf_keras.Model:
    """
    Return TC-ResNet8 with kernels of 7 ('small') or TC-ResNet14 at width 1.5 ('large').

    Input (batch, frames, features), output (batch, classes).
    """
    blocks = Blocks(config)
    inputs = blocks.input()
    x = blocks.as_sequence(inputs)
    stem, *channels = CHANNELS[config.size]
    kernel = (KERNEL[config.size], 1)
    x = blocks.conv(x, config.channels(stem), (3, 1), 'stem')
    for index, (count, stride) in enumerate(zip(channels, STRIDES[config.size]), 1):
        filters, name = config.channels(count), f'block{index}'
        y = blocks.conv(x, filters, kernel, f'{name}_1', strides=(stride, 1))
        y = blocks.conv(y, filters, kernel, f'{name}_2', relu=False)
        if stride > 1 or x.shape[-1] != filters:
            x = blocks.conv(x, filters, 1, f'{name}_shortcut', strides=(stride, 1))
        x = blocks.add([x, y], name)
    return blocks.classify(inputs, blocks.global_average(x), 'tc_resnet')
