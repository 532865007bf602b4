"""BC-ResNet: 2-D residuals by frequency, 1-D residuals by time (Kim et al., 2021)."""

from __future__ import annotations

import tf_keras

from kws_imu_ros.lab.architectures.blocks import AxisMean, Blocks
from kws_imu_ros.lab.architectures.config import ArchitectureConfig

# (channels, blocks, stride over frequency, dilation over time)
STAGES = ((8, 2, 1, 1), (12, 2, 2, 2), (16, 4, 2, 4), (20, 4, 1, 8))
SCALE = {'small': 1.5, 'large': 3.0}


def build(config: ArchitectureConfig) -> tf_keras.Model:
    """
    Return BC-ResNet-1.5 ('small') or BC-ResNet-3 ('large').

    Departures from the paper, all for int8: normalization over the whole band (sub-spectral
    statistics cannot be folded into a convolution) and ReLU instead of swish.
    Input (batch, frames, features), output (batch, classes).
    """
    blocks = Blocks(config)
    inputs = blocks.input()
    scale = SCALE[config.size]
    x = blocks.as_image(inputs)
    x = blocks.conv(x, config.channels(16 * scale), 5, 'stem', strides=(1, 2))
    for stage, (channels, depth, stride, dilation) in enumerate(STAGES, 1):
        filters = config.channels(channels * scale)
        for index in range(1, depth + 1):
            name = f'stage{stage}_{index}'
            first = index == 1
            x = _block(blocks, x, filters, name, stride if first else 1, dilation, first)
    x = blocks.depthwise(x, (5, x.shape[2]), 'tail', relu=False, padding='valid')
    x = blocks.conv(x, config.channels(32 * scale), 1, 'tail_point')
    return blocks.classify(inputs, blocks.global_average(x), 'bc_resnet')


def _block(blocks: Blocks, x, filters: int, name: str, stride: int, dilation: int, first: bool):
    identity = x
    if first:
        x = blocks.conv(x, filters, 1, f'{name}_in')
    x = blocks.depthwise(x, (1, 3), f'{name}_frequency', strides=(1, stride), relu=False)
    y = AxisMean(axis=2, name=blocks.name(f'{name}_mean'))(x)
    y = blocks.depthwise(y, (3, 1), f'{name}_time', dilation=(dilation, 1))
    y = blocks.conv(y, filters, 1, f'{name}_point', relu=True)
    # Two sums of two: TFLite adds pairs, and a broadcast sum of three would not map to one.
    if not first:
        x = blocks.add([x, identity], f'{name}_identity', relu=False)
    return blocks.add([x, y], name)
