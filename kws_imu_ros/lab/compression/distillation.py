"""
Knowledge distillation (Hinton, Vinyals, Dean, 2015).

The loss is ``(1 - weight) CE(target, student) + weight T^2 KL(teacher_T || student_T)``, where
``_T`` is a softmax at temperature T. The logarithm of a softmax equals its logits up to a constant,
so no model needs to give up its last layer to teach.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kws_imu_ros.lab.compression.quantization import tf, tf_keras

# Posteriors below this carry no knowledge, only the rounding of float32.
SMALLEST_POSTERIOR = 1e-7


def to_logits(posteriors: tf.Tensor | np.ndarray) -> tf.Tensor:
    """Return logits (up to a constant a row) of softmax posteriors, same shape, float32."""
    posteriors = tf.convert_to_tensor(posteriors, tf.float32)
    return tf.math.log(tf.clip_by_value(posteriors, SMALLEST_POSTERIOR, 1.0))


def soft_loss(
    teacher_logits: tf.Tensor, student_posteriors: tf.Tensor, temperature: float
) -> tf.Tensor:
    """
    Return T^2 KL(teacher || student) at temperature T, float32 (n,).

    teacher_logits, student_posteriors: (n, classes). T^2 keeps the gradient's size independent of
    the temperature.
    """
    wanted = tf.nn.softmax(teacher_logits / temperature)
    log_wanted = tf.nn.log_softmax(teacher_logits / temperature)
    log_found = tf.nn.log_softmax(to_logits(student_posteriors) / temperature)
    return temperature**2 * tf.reduce_sum(wanted * (log_wanted - log_found), axis=-1)


def ensemble_logits(
    teachers: Sequence[tf_keras.Model], inputs: tf.Tensor, temperature: float
) -> tf.Tensor:
    """
    Return logits (n, classes) whose softmax at `temperature` is the mean of the teachers'.

    Softened posteriors are averaged, not logits, so that a member that is sure counts as one.
    """
    logits = [teacher(inputs, training=False) for teacher in teachers]
    if len(logits) == 1:
        return logits[0]
    mean = tf.add_n([tf.nn.softmax(z / temperature) for z in logits]) / len(logits)
    return temperature * tf.math.log(mean + 1e-9)
