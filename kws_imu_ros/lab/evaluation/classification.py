"""Scores of a classifier that the literature compares."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def classification(truth: np.ndarray, found: np.ndarray, labels: Sequence[str]) -> dict[str, Any]:
    """
    Return accuracy, balanced accuracy, recall by class and the confusion matrix.

    truth, found: int (n,), indices into labels. Classes that `truth` lacks have no recall.
    """
    count = len(labels)
    confusion = np.zeros((count, count), np.int64)
    np.add.at(confusion, (truth, found), 1)
    totals = confusion.sum(axis=1)
    recall = {
        label: float(confusion[k, k] / totals[k]) for k, label in enumerate(labels) if totals[k]
    }
    return {
        'accuracy': float((truth == found).mean()),
        'balanced_accuracy': float(np.mean(list(recall.values()))),
        'examples': len(truth),
        'recall': recall,
        'confusion': {'labels': list(labels), 'rows_are_truth': confusion.tolist()},
    }
