"""
A 2-D depthwise-separable residual body followed by residual blocks over time.

While rows of frequency are left, one small pointwise matrix serves all of them, so a parameter
works many times; when they are gathered into channels, longer kernels see a whole word (as in
TC-ResNet, Choi et al., 2019).
"""

from __future__ import annotations

import tf_keras

from kws_imu_ros.lab.architectures.blocks import Blocks
from kws_imu_ros.lab.architectures.config import ArchitectureConfig

# channels of stem, image body, body over time and head; blocks of the image body; kernel lengths of
# the body over time
SHAPES = {
    'small': (16, 32, 40, 32, 6, (9, 11, 13)),
    'large': (24, 56, 72, 64, 6, (9, 11, 13)),
}
# Frames and rows that a block of the image body sees: words change faster than their pitch.
IMAGE_KERNEL = (5, 3)


def build(config: ArchitectureConfig) -> tf_keras.Model:
    """
    Return the model.

    Input (batch, frames, features), output (batch, classes).
    """
    blocks = Blocks(config)
    inputs = blocks.input()
    stem, image, body, head, depth, kernels = SHAPES[config.size]
    filters = config.channels(image)
    x = blocks.as_image(inputs)
    x = blocks.conv(x, config.channels(stem), 3, 'stem', strides=(1, 2))
    x = blocks.separable(x, filters, 3, 'image', strides=2)
    for index in range(1, depth + 1):
        name = f'image{index}'
        y = blocks.separable(x, filters, IMAGE_KERNEL, name)
        x = blocks.add([x, y], name, relu=False)
    x = blocks.separable(x, filters, 3, 'narrow', strides=(1, 2))
    x = blocks.depthwise(x, (1, x.shape[2]), 'rows', relu=False, padding='valid')
    x = blocks.conv(x, config.channels(body), 1, 'bottleneck')
    for index, kernel in enumerate(kernels, 1):
        name = f'block{index}'
        y = blocks.separable(x, x.shape[-1], (kernel, 1), name)
        x = blocks.add([x, y], name, relu=False)
    x = blocks.conv(x, config.channels(head), 1, 'head')
    return blocks.classify(inputs, blocks.global_average(x), 'ds_tc_resnet')
