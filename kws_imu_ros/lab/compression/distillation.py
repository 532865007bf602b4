"""
Knowledge distillation (Hinton, Vinyals, Dean, 2015) for models with any number of softmax heads.

The loss of a head is ``(1 - alpha) CE(target, student) + alpha T^2 KL(teacher_T || student_T)``,
where ``_T`` is a softmax at temperature T. Heads end in a softmax here, and the logarithm of a
softmax equals its logits up to a constant, so no model needs to give up its last layer to teach.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.lab.compression.quantization import tf, tf_keras

# Posteriors below this carry no knowledge, only the rounding of float32.
SMALLEST_POSTERIOR = 1e-7

Progress = Callable[[int, int], None]


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


def _by_head(model: tf_keras.Model, outputs: Any) -> dict[str, tf.Tensor]:
    """Return the outputs of a model by head name, whatever form the model gives them in."""
    if isinstance(outputs, Mapping):
        return dict(outputs)
    if not isinstance(outputs, (list, tuple)):
        outputs = [outputs]
    return dict(zip(model.output_names, outputs, strict=True))


class Distiller(tf_keras.Model):
    """
    Train a student on targets and on a teacher.

    student: the model that learns; take it from `.student` afterwards.
    teachers: models with the same inputs and heads, whose posteriors are averaged; they see the
        same augmented batch as the student. None where the data bring cached teacher logits: each
        batch is then ``(inputs, (targets, teacher_logits))``.
    temperature: above 1 it brings out what the teacher thinks of the wrong classes.
    alpha: weight of the teacher, 0 (plain training) to 1 (targets unused).
    head_weights: weight of each head in the loss, 1 where absent.

    Targets, cached logits and sample weights are dictionaries head -> array, or the plain array of
    a model with one head. Targets are one-hot or soft, (n, classes). A head without a target in a
    batch learns from the teacher alone.

    Raises:
        KwsImuError: parameters out of range, or a teacher with other heads.

    """

    def __init__(
        self,
        student: tf_keras.Model,
        teachers: Sequence[tf_keras.Model] | None = None,
        temperature: float = 4.0,
        alpha: float = 0.7,
        head_weights: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__(name=f'{student.name}_distilled')
        if temperature <= 0.0 or not 0.0 <= alpha <= 1.0:
            raise KwsImuError(
                f'Distillation needs a temperature above 0 and alpha from 0 to 1, got '
                f'{temperature} and {alpha}; correct the recipe.'
            )
        for teacher in teachers or ():
            check_same_heads(teacher, student)
        self.student = student
        self.teachers = list(teachers or ())
        for teacher in self.teachers:
            teacher.trainable = False
        self.temperature = temperature
        self.alpha = alpha
        self.head_weights = dict(head_weights or {})
        self._loss_tracker = tf_keras.metrics.Mean(name='loss')
        self._accuracies = {
            name: tf_keras.metrics.CategoricalAccuracy(name=f'{name}_accuracy')
            for name in student.output_names
        }

    @property
    def metrics(self) -> list[tf_keras.metrics.Metric]:
        """Return the metrics that are reset at the start of each epoch."""
        return [self._loss_tracker, *self._accuracies.values()]

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Run the student."""
        return self.student(inputs, training=training)

    def _teach(self, inputs: Any) -> dict[str, tf.Tensor]:
        """Return the teachers' logits by head, from their mean posterior."""
        answers = [_by_head(teacher, teacher(inputs, training=False)) for teacher in self.teachers]
        return {
            name: to_logits(tf.add_n([answer[name] for answer in answers]) / len(answers))
            for name in self.student.output_names
        }

    def _as_heads(self, values: Any) -> dict[str, tf.Tensor]:
        """Return targets, logits or sample weights by head."""
        if values is None:
            return {}
        if isinstance(values, Mapping):
            return dict(values)
        if isinstance(values, (list, tuple)):
            return dict(zip(self.student.output_names, values, strict=True))
        return dict.fromkeys(self.student.output_names, values)

    def _loss(
        self,
        posteriors: Mapping[str, tf.Tensor],
        targets: Mapping[str, tf.Tensor],
        logits: Mapping[str, tf.Tensor],
        sample_weight: Mapping[str, tf.Tensor],
    ) -> tf.Tensor:
        """Return the scalar loss over heads."""
        total = tf.constant(0.0)
        for name, posterior in posteriors.items():
            parts = []
            if name in targets:
                hard = tf_keras.losses.categorical_crossentropy(targets[name], posterior)
                parts.append((1.0 - self.alpha if name in logits else 1.0) * hard)
            if name in logits:
                soft = soft_loss(logits[name], posterior, self.temperature)
                parts.append((self.alpha if name in targets else 1.0) * soft)
            if not parts:
                continue
            loss = tf.add_n(parts)
            weight = sample_weight.get(name)
            if weight is None:
                mean = tf.reduce_mean(loss)
            else:
                weight = tf.cast(weight, tf.float32)
                mean = tf.math.divide_no_nan(tf.reduce_sum(loss * weight), tf.reduce_sum(weight))
            total += self.head_weights.get(name, 1.0) * mean
        return total

    def _update(
        self, loss: tf.Tensor, posteriors: Mapping, targets: Mapping, weights: Mapping
    ) -> dict[str, tf.Tensor]:
        """Add a batch to the metrics and return their values."""
        self._loss_tracker.update_state(loss)
        for name, target in targets.items():
            self._accuracies[name].update_state(
                target, posteriors[name], sample_weight=weights.get(name)
            )
        return {metric.name: metric.result() for metric in self.metrics}

    def train_step(self, data: Any) -> dict[str, tf.Tensor]:
        """Run one step of gradient descent on the student."""
        inputs, targets, sample_weight = tf_keras.utils.unpack_x_y_sample_weight(data)
        if self.teachers:
            logits = self._teach(inputs)
        else:
            targets, cached = targets
            logits = self._as_heads(cached)
        targets, weights = self._as_heads(targets), self._as_heads(sample_weight)
        with tf.GradientTape() as tape:
            posteriors = _by_head(self.student, self.student(inputs, training=True))
            loss = self._loss(posteriors, targets, logits, weights)
            if self.student.losses:
                loss += tf.add_n(self.student.losses)
        variables = self.student.trainable_variables
        self.optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return self._update(loss, posteriors, targets, weights)

    def test_step(self, data: Any) -> dict[str, tf.Tensor]:
        """Evaluate the student on targets alone."""
        inputs, targets, sample_weight = tf_keras.utils.unpack_x_y_sample_weight(data)
        if isinstance(targets, tuple):
            targets = targets[0]
        targets, weights = self._as_heads(targets), self._as_heads(sample_weight)
        posteriors = _by_head(self.student, self.student(inputs, training=False))
        loss = self._loss(posteriors, targets, {}, weights)
        return self._update(loss, posteriors, targets, weights)


def check_same_heads(teacher: tf_keras.Model, student: tf_keras.Model) -> None:
    """
    Check that a teacher has the student's inputs and heads.

    Raises:
        KwsImuError: it has not; the sentence shows both.

    """

    def describe(model: tf_keras.Model) -> dict[str, tuple]:
        shapes = {name: tuple(t.shape[1:]) for name, t in zip(model.input_names, model.inputs)}
        shapes.update(
            {name: tuple(t.shape[1:]) for name, t in zip(model.output_names, model.outputs)}
        )
        return shapes

    if describe(teacher) != describe(student):
        raise KwsImuError(
            f"Teacher '{teacher.name}' {describe(teacher)} does not fit student '{student.name}' "
            f'{describe(student)}; both need the same inputs and heads.'
        )


def cache_teacher_logits(
    teachers: Sequence[tf_keras.Model],
    inputs: Mapping[str, np.ndarray],
    path: Path,
    batch_size: int = 256,
    progress: Progress | None = None,
) -> dict[str, np.ndarray]:
    """
    Return the teachers' logits for fixed inputs, computed once and kept in a file.

    inputs: input name -> array (n, ...). path: an ``.npz``; it is used again only where teachers
    and inputs are the same to the bit, else made anew.
    progress: called with (done, total) rows.
    Returns head -> float32 (n, classes), the logarithm of the mean posterior.

    Raises:
        KwsImuError: the file cannot be written.

    """
    digest = _digest(teachers, inputs)
    if path.is_file():
        try:
            with path.open('rb') as stream, np.load(stream) as stored:
                if str(stored['digest']) == digest:
                    return {name: stored[name] for name in stored.files if name != 'digest'}
        except (OSError, KeyError, ValueError, zipfile.BadZipFile):
            pass  # Cut short by an interruption: make it again.
    names = teachers[0].output_names
    count = len(next(iter(inputs.values())))
    logits: dict[str, list[np.ndarray]] = {name: [] for name in names}
    for start in range(0, count, batch_size):
        batch = [
            tf.constant(inputs[name][start : start + batch_size], tf.float32)
            for name in teachers[0].input_names
        ]
        feed = batch if len(batch) > 1 else batch[0]
        answers = [_by_head(teacher, teacher(feed, training=False)) for teacher in teachers]
        for name in names:
            mean = tf.add_n([answer[name] for answer in answers]) / len(answers)
            logits[name].append(to_logits(mean).numpy())
        if progress:
            progress(min(start + batch_size, count), count)
    result = {name: np.concatenate(parts) for name, parts in logits.items()}
    partial = path.with_name(path.name + '.part')
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open('wb') as stream:
            np.savez_compressed(stream, digest=np.array(digest), **result)
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise KwsImuError(f'Teacher logits {path} cannot be written: {error.strerror}.') from error
    return result


def _digest(teachers: Sequence[tf_keras.Model], inputs: Mapping[str, np.ndarray]) -> str:
    """Return a sha256 over the teachers' weights and the inputs."""
    digest = hashlib.sha256()
    for teacher in teachers:
        for weight in teacher.get_weights():
            digest.update(np.ascontiguousarray(weight).tobytes())
    for name, array in sorted(inputs.items()):
        digest.update(f'{name} {array.shape} {array.dtype}'.encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
