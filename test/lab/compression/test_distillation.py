"""The distillation loss is what the paper says."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip('tensorflow', reason='the training extras are not installed')

from kws_imu_ros.lab.compression.distillation import soft_loss
from kws_imu_ros.lab.compression.quantization import tf


def test_soft_loss_equals_its_definition_and_vanishes_for_the_teacher_itself():
    rng = np.random.default_rng(0)
    teacher = rng.normal(size=(5, 4)).astype(np.float32)
    student = rng.normal(size=(5, 4)).astype(np.float32)

    def softmax(x: np.ndarray) -> np.ndarray:
        e = np.exp(x - x.max(1, keepdims=True))
        return e / e.sum(1, keepdims=True)

    p, q = softmax(teacher / 3.0), softmax(student / 3.0)
    wanted = 9.0 * (p * np.log(p / q)).sum(1)
    found = soft_loss(tf.constant(teacher), tf.constant(softmax(student)), 3.0)
    np.testing.assert_allclose(found, wanted, rtol=1e-4)
    same = soft_loss(tf.constant(teacher), tf.constant(softmax(teacher)), 3.0)
    np.testing.assert_allclose(same, 0.0, atol=1e-5)
