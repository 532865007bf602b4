"""MatchboxNet: residual time-channel-separable 1-D convolutions (Majumdar and Ginsburg, 2020)."""

from __future__ import annotations

import tf_keras

from kws_imu_ros.lab.architectures.blocks import Blocks
from kws_imu_ros.lab.architectures.config import ArchitectureConfig

KERNELS = (13, 15, 17)
# channels of prologue, blocks and epilogue; separable convolutions in each block
SHAPES = {'small': (64, 48, 96, 2), 'large': (128, 64, 128, 2)}


def build(config: ArchitectureConfig) -> tf_keras.Model:
    """
    Return MatchboxNet 3x2x48 ('small') or 3x2x64 ('large').

    Input (batch, frames, features), output (batch, classes).
    """
    blocks = Blocks(config)
    inputs = blocks.input()
    x = blocks.as_sequence(inputs)
    prologue, body, epilogue, repeats = SHAPES[config.size]
    x = blocks.separable(x, config.channels(prologue), (11, 1), 'prologue', strides=(2, 1))
    filters = config.channels(body)
    for index, kernel in enumerate(KERNELS, 1):
        name = f'block{index}'
        y = x
        for repeat in range(1, repeats + 1):
            last = repeat == repeats
            y = blocks.separable(y, filters, (kernel, 1), f'{name}_{repeat}', relu=not last)
        shortcut = blocks.conv(x, filters, 1, f'{name}_shortcut', relu=False)
        x = blocks.add([shortcut, y], name)
    # The paper's 29 taps with dilation 2 would reach beyond the 25 frames that are left.
    x = blocks.separable(x, config.channels(epilogue), (19, 1), 'epilogue')
    return blocks.classify(inputs, blocks.global_average(x), 'matchboxnet')
