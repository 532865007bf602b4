"""
Published keyword spotters on Speech Commands, as their publications state them.

They are quoted, not measured here: twelve classes (ten words, silence, unknown) on the official
test speakers, each with its own front end and trained on the whole data set. They show where the
field stands; a small difference to a number measured otherwise means nothing. Where a publication
gives no parameters or MACs but the layers, these were counted from the layers by the rule of
`architectures.complexity.count`, normalization folded.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Published:
    """
    A published model.

    accuracy: share, 0 to 1. bytes: of the int8 file; parameters, macs: None where the source does
    not state them.
    """

    name: str
    family: str
    accuracy: float
    bytes: int | None
    parameters: int | None
    macs: int | None
    source: str


_MLPERF = (
    'github.com/mlcommons/tiny, benchmark/training/keyword_spotting, kws_ref_model.tflite; its '
    "README says 'about 92 %' (v0.02), 92.3 % was counted on ten of its classes for this project; "
    "the benchmark's own quality target is 90 %"
)
_ARM = (
    'github.com/ARM-software/ML-zoo, definition.yaml of tflite_int8 in the model package; layers '
    'from train_commands.txt of github.com/ARM-software/ML-KWS-for-MCU (Zhang et al., Hello Edge, '
    '2017)'
)
_MICRONET = (
    'github.com/ARM-software/ML-zoo, definition.yaml of tflite_int8 (Banbury et al., MicroNets, '
    '2021)'
)
_BC_RESNET = (
    'Kim et al., Broadcasted Residual Learning, Interspeech 2021, as in table 3 of Svirsky et al., '
    'Interspeech 2024 (v0.02; mean of several runs)'
)
_SPARKNET = 'Svirsky et al., SparkNet, Interspeech 2024, table 3 (v0.02; mean of several runs)'
_TC_RESNET = 'Choi et al., Temporal Convolution, Interspeech 2019, table 1 (v0.01)'
_KWT = 'github.com/ARM-software/keyword-transformer, README (Berg et al., Interspeech 2021; v0.02)'

PUBLISHED = (
    Published('MLPerf Tiny reference', 'MLPerf Tiny', 0.923, 53_936, 22_604, 2_656_768, _MLPERF),
    Published('DS-CNN-S', 'Arm', 0.9311, 47_616, 22_604, 2_656_768, _ARM),
    Published('DS-CNN-M', 'Arm', 0.9393, 186_288, 135_032, 9_816_384, _ARM),
    Published('DS-CNN-L', 'Arm', 0.9452, 503_816, 410_700, 28_327_812, _ARM),
    Published('MicroNet-S', 'MicroNet', 0.953, 114_512, None, None, _MICRONET),
    Published('MicroNet-M', 'MicroNet', 0.958, 181_968, None, None, _MICRONET),
    Published('MicroNet-L', 'MicroNet', 0.965, 658_832, None, None, _MICRONET),
    Published('BC-ResNet-0.625', 'BC-ResNet', 0.954, None, 4_585, 1_900_000, _BC_RESNET),
    Published('BC-ResNet-1', 'BC-ResNet', 0.969, None, 9_232, 3_600_000, _BC_RESNET),
    Published('SparkNet-16', 'SparkNet', 0.957, None, 4_636, 454_500, _SPARKNET),
    Published('SparkNet-32', 'SparkNet', 0.970, None, 11_500, 1_200_000, _SPARKNET),
    Published('TC-ResNet8', 'TC-ResNet', 0.961, None, 66_000, None, _TC_RESNET),
    Published('KWT-1', 'KWT', 0.977, None, 607_000, None, _KWT),
)
