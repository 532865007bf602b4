"""Pruning, quantization, factorization, folding and distillation."""

from kws_imu_ros.lab.architectures import framework as framework  # TensorFlow, quietly
