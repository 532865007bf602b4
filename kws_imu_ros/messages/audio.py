"""
Blocks of audio as `std_msgs/Int16MultiArray`.

A standard message has no field for a time or a rate, so further dimensions carry them:

======  =============  =======================  ================================
dim     label          size                     stride
======  =============  =======================  ================================
0       frames         frames in this block     frames * channels
1       channels       1                        channels
2       sample_rate    Hz                       1
3       sequence       low 32 bits of number    high 32 bits of number
4       stamp          seconds of first sample  nanoseconds of first sample
======  =============  =======================  ================================

`data` is channel-interleaved int16, so dimensions 0 and 1 describe it as the message's definition
asks and a reader that knows nothing of this table still gets the samples.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from kws_imu_ros.audio.block import AudioBlock
from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.messages.factory import ROS, MessageFactory
from kws_imu_ros.messages.fields import (
    SECOND_NS,
    dimension,
    multi_array,
    stamp_dimension,
    stamp_from_dimension,
)

MAXIMUM_BLOCK_SECONDS = 10
AUDIO_DIMENSIONS = ('frames', 'channels', 'sample_rate', 'sequence', 'stamp')


def audio_block_to_message(block: AudioBlock, messages: MessageFactory = ROS) -> Any:
    """
    Return a block as std_msgs/Int16MultiArray; see the table at the top of this module.

    Raises:
        KwsImuError: samples are not int16 (n,), or stamp or sequence cannot be carried.

    """
    samples = block.samples
    if samples.dtype != np.int16 or samples.ndim != 1:
        raise KwsImuError(
            f'An audio block holds {samples.dtype} of shape {samples.shape}; convert it to mono '
            'int16 before publishing.'
        )
    if not 0 <= block.stamp_ns < SECOND_NS << 32 or not 0 <= block.sequence < 1 << 64:
        raise KwsImuError(
            f'An audio block has stamp {block.stamp_ns} ns and sequence {block.sequence}; neither '
            'may be negative or too large for its message.'
        )
    count = len(samples)
    dimensions = [
        dimension('frames', count, count, messages),
        dimension('channels', 1, 1, messages),
        dimension('sample_rate', block.sample_rate, 1, messages),
        dimension('sequence', block.sequence & 0xFFFFFFFF, block.sequence >> 32, messages),
        stamp_dimension(block.stamp_ns, messages),
    ]
    return multi_array('std_msgs/msg/Int16MultiArray', dimensions, samples, messages)


def audio_block_from_message(message: Any, sample_rate: int | None = None) -> AudioBlock:
    """
    Return a std_msgs/Int16MultiArray as a block; its samples share the message's memory.

    sample_rate: the only rate to accept, Hz; any sensible one when None.

    Raises:
        KwsImuError: the message is not audio in this package's layout, is not mono, or has
            another sample rate.

    """
    dimensions = message.layout.dim
    labels = tuple(d.label for d in dimensions)
    if labels != AUDIO_DIMENSIONS:
        raise KwsImuError(
            f'Audio message has dimensions ({", ".join(labels)[:80]}) instead of '
            f"({', '.join(AUDIO_DIMENSIONS)}); publish it with this package's codec."
        )
    frames, channels, rate, sequence, stamp = dimensions
    if channels.stride != 1 or channels.size != 1:
        raise KwsImuError(
            f'Audio message has {channels.stride} channels but 1 is needed; mix it down before '
            'publishing.'
        )
    if sample_rate is not None and rate.size != sample_rate:
        raise KwsImuError(
            f'Audio message has a sample rate of {rate.size} Hz but {sample_rate} Hz is needed; '
            'resample it before publishing.'
        )
    if not 1000 <= rate.size <= 768_000:
        raise KwsImuError(
            f'Audio message has a sample rate of {rate.size} Hz; expected 1000 to 768000.'
        )
    samples = np.asarray(message.data)
    if samples.dtype != np.int16 or samples.ndim != 1:
        raise KwsImuError(
            f'Audio message holds {samples.dtype} of shape {samples.shape} instead of int16 (n,).'
        )
    if message.layout.data_offset != 0 or not frames.size == frames.stride == len(samples):
        raise KwsImuError(
            f'Audio message announces {frames.size} frames (stride {frames.stride}, offset '
            f'{message.layout.data_offset}) but carries {len(samples)} samples; it is damaged.'
        )
    if not 0 < len(samples) <= rate.size * MAXIMUM_BLOCK_SECONDS:
        raise KwsImuError(
            f'Audio message carries {len(samples)} samples at {rate.size} Hz; expected at least '
            f'one and at most {MAXIMUM_BLOCK_SECONDS} s.'
        )
    return AudioBlock(
        stamp_ns=stamp_from_dimension(stamp, 'Audio'),
        sequence=int(sequence.size) | int(sequence.stride) << 32,
        sample_rate=int(rate.size),
        samples=samples,
    )
