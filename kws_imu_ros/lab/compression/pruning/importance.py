"""How much each unit matters: seven criteria, every one a function of coupling and data."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf
import tf_keras

from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.lab.architectures.normalization import GroupNormalization
from kws_imu_ros.lab.compression.pruning.coupling import Coupling, PruningGroup

Loss = Callable[[object, object], tf.Tensor]


def cross_entropy(outputs, labels) -> tf.Tensor:
    """
    Return the cross entropy of every sample, summed over the model's outputs.

    Args:
        outputs: softmax probabilities (batch, classes), or a list or dictionary of them.
        labels: int classes (batch,), in the same structure.

    """
    losses = [
        tf_keras.losses.sparse_categorical_crossentropy(label, output)
        for output, label in zip(tf.nest.flatten(outputs), tf.nest.flatten(labels))
    ]
    return tf.add_n(losses)


@dataclasses.dataclass(frozen=True)
class Samples:
    """
    Data that a criterion may look at.

    Attributes:
        batches: (inputs, labels) pairs; inputs as the model takes them.
        loss: loss of every sample from the model's outputs and the labels, shape (batch,).
        seed: of the random criterion.

    """

    batches: Sequence[tuple[object, object]] = ()
    loss: Loss = cross_entropy
    seed: int = 0


def score(criterion: str, coupling: Coupling, samples: Samples | None = None) -> np.ndarray:
    """
    Return the importance of every unit: float64 (unit_count,), 0 where a unit is not prunable.

    Criteria of weights and activations have no scale that layers share, so they are divided by
    their mean over each dimension; those of the loss ('taylor', 'sensitivity') are comparable as
    they are.

    Args:
        criterion: a key of CRITERIA.

    Raises:
        KwsImuError: the criterion is unknown, needs data and has none, or yields NaN.

    """
    if criterion not in CRITERIA:
        known = ', '.join(CRITERIA)
        raise KwsImuError(f"criterion '{criterion}' is unknown; choose one of {known}")
    function, needs_data, by_dimension = CRITERIA[criterion]
    samples = samples or Samples()
    if needs_data and not samples.batches:
        raise KwsImuError(f"criterion '{criterion}' needs data; give it at least one batch")
    scores = np.asarray(function(coupling, samples), np.float64)
    if not np.isfinite(scores).all():
        raise KwsImuError(
            f"criterion '{criterion}' gave scores that are no numbers; check the model's weights"
        )
    result = np.zeros(coupling.unit_count)
    for dimension in coupling.dimensions:
        values = scores[dimension.units]
        mean = values.mean() if by_dimension else 1.0
        result[dimension.units] = values / mean if mean > 0 else values
    return result


def _weight_norms(order: int) -> Callable[[Coupling, Samples], np.ndarray]:
    def scores(coupling: Coupling, samples: Samples) -> np.ndarray:
        totals = np.zeros(coupling.unit_count)
        layers = np.zeros(coupling.unit_count)
        for item in coupling.slices:
            if item.role != 'produce' or item.tensor is None:
                continue
            array = coupling.model.get_layer(item.layer).get_weights()[item.weight]
            rows = np.moveaxis(array, item.axis, 0).reshape((array.shape[item.axis], -1))
            norms = np.linalg.norm(rows, ord=order, axis=1)
            norms = norms * _following_scale(coupling, item.tensor, norms)
            # Layers that share units count alike, whatever the size of their weights.
            np.add.at(totals, item.units, norms / max(norms.mean(), 1e-30))
            np.add.at(layers, item.units, 1.0)
        return totals / np.maximum(layers, 1.0)

    return scores


def _following_scale(coupling: Coupling, tensor: int, norms: np.ndarray) -> np.ndarray | float:
    """Return what a normalization right after multiplies each channel with, 1 without one."""
    consumers = coupling.graph.consumers(tensor)
    layer = consumers[0].layer if len(consumers) == 1 else None
    if isinstance(layer, tf_keras.layers.BatchNormalization):
        scale = 1.0 / np.sqrt(layer.moving_variance.numpy() + layer.epsilon)
        return np.abs(layer.gamma.numpy()) * scale if layer.scale else scale
    if isinstance(layer, GroupNormalization):
        assignment = np.asarray(layer.assignment)
        squares = np.bincount(assignment, norms**2, layer.groups)
        return np.abs(layer.gamma.numpy()) / np.sqrt(squares[assignment] + 1e-30)
    return 1.0


def _random(coupling: Coupling, samples: Samples) -> np.ndarray:
    return np.random.default_rng(samples.seed).uniform(0.5, 1.5, coupling.unit_count)


class _Cuts:
    """The tensors that weighted layers read: where removing a unit is felt."""

    def __init__(self, coupling: Coupling):
        readers = (item.tensor for item in coupling.slices if item.role == 'consume')
        prunable = np.zeros(coupling.unit_count, bool)
        for dimension in coupling.dimensions:
            prunable[dimension.units] = True
        self.keys = [
            key
            for key in dict.fromkeys(readers)
            if key is not None and prunable[coupling.tensor_units(key)].any()
        ]
        tensors = {
            id(tensor): tensor
            for call in coupling.graph.calls
            for tensor in tf.nest.flatten(call.node.outputs)
        }
        self.units = [coupling.tensor_units(key) for key in self.keys]
        self.count = coupling.unit_count
        model = coupling.model
        self._model = tf_keras.Model(
            model.inputs, [[tensors[key] for key in self.keys], model.outputs]
        )
        self._structure = model._nested_outputs

    def __call__(self, inputs) -> tuple[list[tf.Tensor], object]:
        """Return the cut tensors and the model's outputs, in inference mode."""
        cuts, outputs = self._model(inputs, training=False)
        return cuts, tf.nest.pack_sequence_as(self._structure, outputs)

    def by_unit(self, index: int, values: np.ndarray) -> np.ndarray:
        """Sum one cut's values (batch, ...) over the positions of each unit: (batch, units)."""
        units = self.units[index].ravel()
        values = values.reshape((len(values), -1))
        result = np.zeros((len(values), self.count))
        channels = self.units[index].shape[-1]
        if (self.units[index] == units[:channels]).all():
            values = values.reshape((len(values), -1, channels)).sum(axis=1)
            units = units[:channels]
        np.add.at(result, (slice(None), units), values)
        return result


def _taylor(coupling: Coupling, samples: Samples) -> np.ndarray:
    """Mean over samples of |sum of activation times gradient|: the loss's first-order change."""
    cuts = _Cuts(coupling)
    totals, count = np.zeros(coupling.unit_count), 0
    for inputs, labels in samples.batches:
        with tf.GradientTape() as tape:
            activations, outputs = cuts(_tensors(inputs))
            loss = tf.reduce_sum(samples.loss(outputs, labels))
        gradients = tape.gradient(loss, activations)
        changes = 0.0
        for index, (activation, gradient) in enumerate(zip(activations, gradients)):
            if gradient is not None:
                changes = changes + cuts.by_unit(index, (activation * gradient).numpy())
        totals += np.abs(changes).sum(axis=0)
        count += len(changes)
    return totals / max(count, 1)


def _activation(statistic: Callable[[np.ndarray], np.ndarray]) -> Callable:
    def scores(coupling: Coupling, samples: Samples) -> np.ndarray:
        cuts = _Cuts(coupling)
        totals = [0.0] * len(cuts.keys)
        for inputs, _ in samples.batches:
            for index, activation in enumerate(cuts(_tensors(inputs))[0]):
                values = cuts.by_unit(index, statistic(activation.numpy()))
                totals[index] = totals[index] + values.sum(axis=0)
        sums, layers = np.zeros(coupling.unit_count), np.zeros(coupling.unit_count)
        for total, units in zip(totals, cuts.units):
            there = np.unique(units)
            # Several readers of a unit count alike, whatever the scale of what they read.
            sums[there] += total[there] / max(total[there].mean(), 1e-30)
            layers[there] += 1.0
        return sums / np.maximum(layers, 1.0)

    return scores


def _sensitivity(coupling: Coupling, samples: Samples) -> np.ndarray:
    """Loss with the unit zeroed minus the loss without: exact, one forward pass for each unit."""
    evaluate = mean_loss(coupling.model, samples)
    before = evaluate()
    scores = np.zeros(coupling.unit_count)
    removed = np.zeros(coupling.unit_count, bool)
    for dimension in coupling.dimensions:
        for unit in dimension.units:
            removed[unit] = True
            with zeroed(coupling, removed):
                scores[unit] = evaluate() - before
            removed[unit] = False
    # A unit whose loss change is below zero does harm; the shift keeps the order.
    return scores - min(0.0, scores.min())


class zeroed:  # noqa: N801 - a context manager reads as a verb
    """While entered, the coupling's model has the units marked in `removed` set to zero."""

    def __init__(self, coupling: Coupling, removed: np.ndarray):
        self.coupling = coupling
        self.removed = removed

    def __enter__(self):
        names = {item.layer for item in self.coupling.slices if self.removed[item.units].any()}
        model = self.coupling.model
        self.saved = {name: model.get_layer(name).get_weights() for name in names}
        self.coupling.zero(self.removed)

    def __exit__(self, *exception):
        for name, arrays in self.saved.items():
            self.coupling.model.get_layer(name).set_weights(arrays)


def mean_loss(model: tf_keras.Model, samples: Samples) -> Callable[[], float]:
    """Return a function that gives the model's mean loss over the samples with its weights now."""

    @tf.function(reduce_retracing=True)
    def batch_loss(inputs, labels):
        return tf.reduce_sum(samples.loss(model(inputs, training=False), labels))

    batches = [(_tensors(inputs), _tensors(labels, None)) for inputs, labels in samples.batches]
    count = sum(int(tf.nest.flatten(labels)[0].shape[0]) for _, labels in batches)
    return lambda: float(sum(batch_loss(*batch) for batch in batches)) / count


def _tensors(arrays, dtype=tf.float32):
    # Lists and dictionaries of arrays stay what they are.
    return tf.nest.map_structure(lambda array: tf.convert_to_tensor(array, dtype), arrays)


# criterion: (function, needs data, divided by the mean of its dimension)
CRITERIA: dict[str, tuple[Callable[[Coupling, Samples], np.ndarray], bool, bool]] = {
    'l1': (_weight_norms(1), False, True),
    'l2': (_weight_norms(2), False, True),
    'taylor': (_taylor, True, False),
    'activation': (_activation(np.abs), True, True),
    'apoz': (_activation(lambda values: (values != 0).astype(np.float32)), True, True),
    'sensitivity': (_sensitivity, True, False),
    'random': (_random, False, True),
}


def weakest_first(dimension: PruningGroup, scores: np.ndarray) -> np.ndarray:
    """Return the dimension's units, least important first, ties in order of their number."""
    return dimension.units[np.argsort(scores[dimension.units], kind='stable')]
