"""The registry of architectures: a model is a name and a small configuration."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from kws_imu_ros.errors import KwsImuError

from kws_imu_ros.lab.architectures.framework import tf_keras  # isort: skip (before all others)
from kws_imu_ros.lab.architectures.config import ArchitectureConfig
from kws_imu_ros.lab.architectures.gesture import imu_conv1d
from kws_imu_ros.lab.architectures.voice import (
    attention,
    bc_resnet,
    cnn,
    conv1d_mfcc,
    conv_tc_resnet,
    crnn,
    dnn,
    ds_cnn,
    ds_tc_resnet,
    matchboxnet,
    micronet,
    raw_audio_conv1d,
    tc_resnet,
)

__all__ = ['ARCHITECTURES', 'ArchitectureConfig', 'build']

ARCHITECTURES: dict[str, Callable[[ArchitectureConfig], tf_keras.Model]] = {
    'attention': attention.build,
    'bc_resnet': bc_resnet.build,
    'cnn': cnn.build,
    'conv1d_mfcc': conv1d_mfcc.build,
    'conv_tc_resnet': conv_tc_resnet.build,
    'crnn': crnn.build,
    'dnn': dnn.build,
    'ds_cnn': ds_cnn.build,
    'ds_tc_resnet': ds_tc_resnet.build,
    'imu_conv1d': imu_conv1d.build,
    'matchboxnet': matchboxnet.build,
    'micronet': micronet.build,
    'raw_audio_conv1d': raw_audio_conv1d.build,
    'tc_resnet': tc_resnet.build,
}

# (49, 40) log-mel frames where nothing is said.
_INPUT_SHAPES = {'imu_conv1d': (100, 6), 'raw_audio_conv1d': (16000,)}


def build(name: str, config: Mapping | ArchitectureConfig | None = None) -> tf_keras.Model:
    """
    Return a new model of the named architecture.

    Layers 'embedding' (pooled features), 'logits' and, for output 'softmax', 'output' exist in
    every model, after the configured prefix.

    Args:
        name: a key of ARCHITECTURES.
        config: fields of ArchitectureConfig; what is missing takes its default.

    Raises:
        KwsImuError: the name or a field is unknown or out of range.

    """
    if name not in ARCHITECTURES:
        known = ', '.join(sorted(ARCHITECTURES))
        raise KwsImuError(f"architecture '{name}' is unknown; choose one of {known}")
    if not isinstance(config, ArchitectureConfig):
        shape = _INPUT_SHAPES.get(name, ArchitectureConfig.input_shape)
        config = ArchitectureConfig.from_mapping({'input_shape': shape, **(config or {})})
    return ARCHITECTURES[name](config)
