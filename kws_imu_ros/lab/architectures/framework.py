"""
TensorFlow with Keras 2, imported once and without what its libraries say of themselves.

Every room that trains imports this before TensorFlow: its switches are read at the first import.
"""

from __future__ import annotations

import os

from kws_imu_ros.console.native_output import silenced

# tfmot wraps tf_keras only.
os.environ.setdefault('TF_USE_LEGACY_KERAS', '1')
os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')

with silenced():
    import tensorflow as tf
    import tf_keras

    # Looking for devices, at the first step of a training, has its own announcements.
    tf.config.list_physical_devices()

__all__ = ['tf', 'tf_keras']
