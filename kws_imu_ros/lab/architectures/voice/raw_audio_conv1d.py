"""
The dense two-branch network of the tutorials: raw audio and IMU, no features, no separation.

The baseline that small networks are measured against.
"""

from __future__ import annotations

import tf_keras

from kws_imu_ros.lab.architectures.blocks import Blocks
from kws_imu_ros.lab.architectures.config import ArchitectureConfig

IMU_SHAPE = (100, 6)
AUDIO_FILTERS = {'small': (64, 64, 64, 128), 'large': (64, 64, 128, 256)}
IMU_FILTERS = (32, 64)
HIDDEN = 64


def build(config: ArchitectureConfig) -> tf_keras.Model:
    """
    Return Conv1D(64, 3) and deeper on (samples,) audio, Conv2D on (100, 6) IMU, and their fusion.

    'large' flattens what the convolutions leave into a dense layer, as the tutorials do; 'small'
    averages it.
    Inputs 'audio' (batch, samples) and 'imu' (batch, 100, 6), output (batch, classes). Layers
    'audio_embedding' and 'imu_embedding' are there for heads of their own.
    """
    blocks = Blocks(config)
    layers = tf_keras.layers
    audio = blocks.input('audio', config.input_shape[:1])
    x = layers.Reshape((config.input_shape[0], 1, 1), name=blocks.name('as_wave'))(audio)
    for index, filters in enumerate(AUDIO_FILTERS[config.size], 1):
        x = blocks.conv(x, config.channels(filters), (3, 1), f'audio{index}')
        x = layers.MaxPooling2D((4, 1), name=blocks.name(f'audio{index}_pool'))(x)
    x = _embedding(blocks, x, 'audio')
    imu = blocks.input('imu', IMU_SHAPE)
    y = layers.Reshape((*IMU_SHAPE, 1), name=blocks.name('as_image'))(imu)
    for index, filters in enumerate(IMU_FILTERS, 1):
        y = blocks.conv(y, config.channels(filters), 3, f'imu{index}')
        y = layers.MaxPooling2D((2, 1), name=blocks.name(f'imu{index}_pool'))(y)
    y = _embedding(blocks, y, 'imu')
    both = layers.Concatenate(name=blocks.name('both'))([x, y])
    embedding = blocks.dense_embedding(both, config.channels(HIDDEN))
    return blocks.classify([audio, imu], embedding, 'raw_audio_conv1d')


def _embedding(blocks: Blocks, x, branch: str):
    name = f'{branch}_embedding'
    if blocks.config.size == 'small':
        return blocks.global_average(x, name)
    x = tf_keras.layers.Flatten(name=blocks.name(f'{branch}_flatten'))(x)
    units = blocks.config.channels(HIDDEN)
    return tf_keras.layers.Dense(units, activation='relu', name=blocks.name(name))(x)
