"""The registry of architectures: a model is a name and a small configuration."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import tf_keras

from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.training.architectures import (
    bc_resnet,
    conv_tc_resnet,
    ds_cnn,
    imu_conv1d,
    matchboxnet,
    tc_resnet,
)
from kws_imu_ros.training.architectures.config import ArchitectureConfig

__all__ = ['ARCHITECTURES', 'ArchitectureConfig', 'build']

ARCHITECTURES: dict[str, Callable[[ArchitectureConfig], tf_keras.Model]] = {
    'bc_resnet': bc_resnet.build,
    'conv_tc_resnet': conv_tc_resnet.build,
    'ds_cnn': ds_cnn.build,
    'imu_conv1d': imu_conv1d.build,
    'matchboxnet': matchboxnet.build,
    'tc_resnet': tc_resnet.build,
}


def build(name: str, config: Mapping | ArchitectureConfig | None = None) -> tf_keras.Model:
    """
    Return a new model of the named architecture.

    Layers 'embedding' (pooled features), 'logits' and, for output 'softmax', 'output' exist in
    every model, after the configured prefix.

    :param name: a key of ARCHITECTURES.
    :param config: fields of ArchitectureConfig; what is missing takes its default.
    :raises KwsImuError: when the name or a field is unknown or out of range.
    """
    if name not in ARCHITECTURES:
        known = ', '.join(sorted(ARCHITECTURES))
        raise KwsImuError(f"architecture '{name}' is unknown; choose one of {known}")
    if not isinstance(config, ArchitectureConfig):
        config = ArchitectureConfig.from_mapping(config or {})
    return ARCHITECTURES[name](config)
