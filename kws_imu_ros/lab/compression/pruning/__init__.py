"""Structured pruning: channels removed from the graph and a smaller dense model rebuilt."""

from kws_imu_ros.lab.compression.pruning.coupling import Cost, Coupling, PruningGroup
from kws_imu_ros.lab.compression.pruning.importance import CRITERIA, Samples, cross_entropy, score
from kws_imu_ros.lab.compression.pruning.scan import Scan, ScanRow, limited, scan
from kws_imu_ros.lab.compression.pruning.schedule import Step, prune, prune_in_steps
from kws_imu_ros.lab.compression.pruning.selection import (
    BUDGETS,
    Budget,
    select_by_budget,
    select_by_ratio,
)

__all__ = [
    'BUDGETS',
    'CRITERIA',
    'Budget',
    'Cost',
    'Coupling',
    'PruningGroup',
    'Samples',
    'Scan',
    'ScanRow',
    'Step',
    'cross_entropy',
    'limited',
    'prune',
    'prune_in_steps',
    'scan',
    'score',
    'select_by_budget',
    'select_by_ratio',
]
