"""Typed outputs of the network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Posteriors:
    """
    Posterior probabilities of the three heads for one hop.

    voice: float32 (voice labels,), gesture: float32 (gesture labels,), intent: float32
    (intent labels,); each sums to about 1. The labels are in the bundle's manifest.
    """

    voice: np.ndarray
    gesture: np.ndarray
    intent: np.ndarray
