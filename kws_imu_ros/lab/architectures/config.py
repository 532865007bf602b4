"""The small configuration that, with a name, determines an architecture."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.lab.architectures.normalization import NORMALIZATIONS

SIZES = ('small', 'large')
OUTPUTS = ('softmax', 'logits')


@dataclasses.dataclass(frozen=True)
class ArchitectureConfig:
    """
    What an architecture is built from.

    Attributes:
        input_shape: (frames, features), without the batch: (49, 40) log-mel, (100, 6) IMU.
        classes: number of output classes.
        size: 'small' or 'large'; where an architecture has one size both give the same.
        width: multiplies every hidden channel count (rounded to a multiple of 4, at least 4).
        norm: 'group', 'batch' or 'none'.
        groups: wished groups of 'group' normalization.
        dropout: rate before the classifier.
        output: 'softmax', or 'logits' to leave the softmax to the loss.
        prefix: goes before every layer's name, so that branches fit into one model.

    """

    input_shape: tuple[int, ...] = (49, 40)
    classes: int = 10
    size: str = 'small'
    width: float = 1.0
    norm: str = 'batch'
    groups: int = 8
    dropout: float = 0.0
    output: str = 'softmax'
    prefix: str = ''

    def __post_init__(self):
        object.__setattr__(self, 'input_shape', tuple(int(n) for n in self.input_shape))
        checks = (
            ('size', self.size in SIZES, f'one of {", ".join(SIZES)}'),
            ('norm', self.norm in NORMALIZATIONS, f'one of {", ".join(NORMALIZATIONS)}'),
            ('output', self.output in OUTPUTS, f'one of {", ".join(OUTPUTS)}'),
            ('classes', self.classes >= 2, 'at least 2'),
            ('width', self.width > 0, 'above 0'),
            ('groups', self.groups >= 1, 'at least 1'),
            ('dropout', 0 <= self.dropout < 1, 'in [0, 1)'),
            ('input_shape', min(self.input_shape, default=0) > 0, 'positive sizes'),
        )
        for field, passed, wanted in checks:
            if not passed:
                raise KwsImuError(
                    f'architecture config: {field} is {getattr(self, field)!r}; it must be {wanted}'
                )

    @classmethod
    def from_mapping(cls, mapping: Mapping) -> ArchitectureConfig:
        """Return the configuration of a mapping; raise KwsImuError on a key it does not have."""
        known = [field.name for field in dataclasses.fields(cls)]
        for key in mapping:
            if key not in known:
                raise KwsImuError(
                    f"architecture config: '{key}' is unknown; choose from {', '.join(known)}"
                )
        return cls(**mapping)

    def channels(self, count: int) -> int:
        """Return `count` scaled by the width, a multiple of 4 (int8 kernels work in fours)."""
        return max(4, 4 * round(count * self.width / 4))
