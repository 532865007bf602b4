"""1-D convolutions over time on MFCC; the cosine transform is the network's first layer."""

from __future__ import annotations

import numpy as np
import tf_keras

from kws_imu_ros.lab.architectures.blocks import Blocks
from kws_imu_ros.lab.architectures.config import ArchitectureConfig

COEFFICIENTS = 13
CHANNELS = {'small': (32, 48, 64), 'large': (64, 96, 128)}


def build(config: ArchitectureConfig) -> tf_keras.Model:
    """
    Return three strided convolutions on the first 13 cepstral coefficients.

    The transform is linear, so it takes the same log-mel window as every other network and stays
    as it is in training. Input (batch, frames, bands), output (batch, classes).
    """
    blocks = Blocks(config)
    inputs = blocks.input()
    x = blocks.as_sequence(inputs)
    transform = tf_keras.layers.Conv2D(
        COEFFICIENTS, 1, use_bias=False, trainable=False, name=blocks.name('cosine_transform')
    )
    x = transform(x)
    transform.set_weights([cosine_transform(inputs.shape[2])[None, None]])
    for index, filters in enumerate(CHANNELS[config.size], 1):
        x = blocks.conv(x, config.channels(filters), (5, 1), f'conv{index}', strides=(2, 1))
    return blocks.classify(inputs, blocks.global_average(x), 'conv1d_mfcc')


def cosine_transform(bands: int, coefficients: int = COEFFICIENTS) -> np.ndarray:
    """Return the orthonormal DCT-II, float32 (bands, coefficients)."""
    angles = np.pi / bands * (np.arange(bands)[:, None] + 0.5) * np.arange(coefficients)
    matrix = np.cos(angles) * np.sqrt(2.0 / bands)
    matrix[:, 0] /= np.sqrt(2.0)
    return matrix.astype(np.float32)
