"""
Published keyword spotters on Speech Commands, as their publications state them.

They are quoted, not measured here: twelve classes (ten words, silence, unknown) on the official
test speakers, each with its own front end and trained on the whole data set. They show where the
field stands; a small difference to a number measured otherwise means nothing.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Published:
    """
    A published model.

    accuracy: share, 0 to 1. bytes: of the int8 model; parameters, macs: None where the source does
    not state them.
    """

    name: str
    family: str
    accuracy: float
    bytes: int | None
    parameters: int | None
    macs: int | None
    source: str


_HELLO_EDGE = 'Zhang et al., Hello Edge, 2017 (v0.01); operations halved to MACs'
_ML_ZOO = "Arm's ML-zoo, int8 files; Banbury et al., MicroNets, 2021"
_BC_RESNET = 'Kim et al., BC-ResNet, 2021 (v0.02)'
_KWT = 'Berg et al., Keyword Transformer, 2021 (v0.02)'

PUBLISHED = (
    Published(
        'MLPerf Tiny reference',
        'MLPerf Tiny',
        0.923,
        53_936,
        23_756,
        2_660_000,
        'DS-CNN of the benchmark, int8, on the official v0.02 test clips, ten of its classes; '
        "the benchmark's own quality target is 90 %",
    ),
    Published('DS-CNN-S', 'Arm', 0.944, 38_600, None, 2_700_000, _HELLO_EDGE),
    Published('DS-CNN-M', 'Arm', 0.949, 189_200, None, 9_900_000, _HELLO_EDGE),
    Published('DS-CNN-L', 'Arm', 0.954, 497_600, None, 28_450_000, _HELLO_EDGE),
    Published('MicroNet-S', 'MicroNet', 0.953, 114_512, None, None, _ML_ZOO),
    Published('MicroNet-M', 'MicroNet', 0.958, 181_968, None, None, _ML_ZOO),
    Published('MicroNet-L', 'MicroNet', 0.965, 658_832, None, None, _ML_ZOO),
    Published('BC-ResNet-0.625', 'BC-ResNet', 0.954, None, 4_585, 1_900_000, _BC_RESNET),
    Published('BC-ResNet-1', 'BC-ResNet', 0.969, None, 9_232, 3_600_000, _BC_RESNET),
    Published('KWT-1', 'KWT', 0.9808, None, 607_000, None, _KWT),
)
