"""
A 2-D convolutional stem followed by time-channel-separable residual blocks.

The stem sees small shifts of pitch as an image model does; where its rows are few, each row's
channels become the channels of a 1-D network over time (as TC-ResNet, Choi et al., 2019), whose
pointwise layers int8 kernels run fastest.
"""

from __future__ import annotations

import tf_keras

from kws_imu_ros.lab.architectures.blocks import Blocks
from kws_imu_ros.lab.architectures.config import ArchitectureConfig

# channels of the three stem stages, of the body and of the head, and the body's kernel lengths
SHAPES = {
    'small': ((16, 32, 48), 56, 56, (9, 9, 13, 13, 13)),
    'large': ((32, 48, 96), 128, 160, (9, 9, 9, 13, 13, 13, 13)),
}


def build(config: ArchitectureConfig) -> tf_keras.Model:
    """
    Return the model.

    Input (batch, frames, features), output (batch, classes).
    """
    blocks = Blocks(config)
    inputs = blocks.input()
    stem, body, head, kernels = SHAPES[config.size]
    x = blocks.as_image(inputs)
    x = blocks.conv(x, config.channels(stem[0]), 3, 'stem', strides=(1, 2))
    for stage, filters in enumerate(stem[1:], 1):
        x = blocks.depthwise(x, 3, f'stem{stage}_spatial', strides=(1, 2))
        x = blocks.conv(x, config.channels(filters), 1, f'stem{stage}_point')
    frames, rows, filters = x.shape[1:]
    x = tf_keras.layers.Reshape((frames, 1, rows * filters), name=blocks.name('rows_to_channels'))(
        x
    )
    x = blocks.conv(x, config.channels(body), 1, 'bottleneck')
    for index, kernel in enumerate(kernels, 1):
        name = f'block{index}'
        x = blocks.add([x, blocks.separable(x, x.shape[-1], (kernel, 1), name)], name, relu=False)
    x = blocks.conv(x, config.channels(head), 1, 'head')
    return blocks.classify(inputs, blocks.global_average(x), 'conv_tc_resnet')
