"""The functional graph of a Keras model: walking it and building it anew with other layers."""

from __future__ import annotations

import os

os.environ.setdefault('TF_USE_LEGACY_KERAS', '1')

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import tensorflow as tf
import tf_keras

from kws_imu_ros.errors import KwsImuError


@dataclasses.dataclass(frozen=True)
class Call:
    """
    One call of a layer, in an order in which every input is computed before its use.

    Attributes:
        layer: the layer that is called.
        inputs: keys of the tensors it takes, in order, tensors among keyword arguments last.
        outputs: keys of the tensors it makes.
        node: Keras' own record of the call.

    """

    layer: tf_keras.layers.Layer
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    node: Any


class KerasGraph:
    """
    The calls of a functional model.

    Tensors are known by an integer key. Raises KwsImuError when the model is not functional or
    holds another model as a layer: its layers would be hidden from the graph.
    """

    def __init__(self, model: tf_keras.Model):
        if not getattr(model, '_is_graph_network', False):
            raise KwsImuError(
                f"model '{model.name}' is no functional model; build it from layer calls on Input"
            )
        for layer in model.layers:
            if isinstance(layer, tf_keras.Model):
                raise KwsImuError(
                    f"model '{model.name}' holds the model '{layer.name}' as a layer;"
                    ' apply its layers one by one'
                )
        self.model = model
        self.calls = tuple(self._calls())
        self.inputs = tuple(id(tensor) for tensor in model.inputs)
        self.outputs = tuple(id(tensor) for tensor in model.outputs)
        self.shapes = {id(tensor): tuple(tensor.shape) for tensor in model.inputs}
        for call in self.calls:
            for tensor in tf.nest.flatten(call.node.outputs):
                self.shapes[id(tensor)] = tuple(tensor.shape)

    def consumers(self, key: int) -> list[Call]:
        """Return the calls that take the tensor."""
        return [call for call in self.calls if key in call.inputs]

    def producer(self, key: int) -> Call | None:
        """Return the call that makes the tensor, None for a model input."""
        return next((call for call in self.calls if key in call.outputs), None)

    def calls_of(self, layer: tf_keras.layers.Layer) -> list[Call]:
        """Return the layer's calls; more than one when it is shared."""
        return [call for call in self.calls if call.layer is layer]

    def _calls(self) -> Iterator[Call]:
        for depth in sorted(self.model._nodes_by_depth, reverse=True):
            for node in self.model._nodes_by_depth[depth]:
                if node.is_input:
                    continue
                yield Call(
                    node.layer,
                    tuple(id(tensor) for tensor in node.keras_inputs),
                    tuple(id(tensor) for tensor in tf.nest.flatten(node.outputs)),
                    node,
                )


def rebuild(
    model: tf_keras.Model,
    replacements: Mapping[str, tf_keras.layers.Layer | None],
    weights: Mapping[str, list | None] | None = None,
) -> tf_keras.Model:
    """
    Return a new model with the same graph, some layers replaced, and the weights copied.

    Args:
        replacements: layer name to its replacement, or to None to pass its input through.
        weights: layer name to the arrays to set instead of the old layer's own; None leaves a layer
            as it was initialized.

    """
    graph = KerasGraph(model)
    weights = weights or {}
    layers: dict[str, tf_keras.layers.Layer] = {}
    tensors: dict[int, Any] = {}
    for tensor in model.inputs:
        layer = tf_keras.layers.InputLayer(
            batch_input_shape=tensor.shape, dtype=tensor.dtype, name=tensor.node.layer.name
        )
        tensors[id(tensor)] = layer.output
    for call in graph.calls:
        name = call.layer.name
        if name in replacements and replacements[name] is None:
            tensors[call.outputs[0]] = tensors[call.inputs[0]]
            continue
        if name not in layers:
            layers[name] = replacements.get(name) or copy_layer(call.layer)
        # Keras looks tensors up by str(id(tensor)) and pops one copy at each use.
        copies = {str(key): [tensors[key]] * len(call.inputs) for key in call.inputs}
        arguments, keywords = call.node.map_arguments(copies)
        outputs = layers[name](*arguments, **keywords)
        tensors.update(zip(call.outputs, tf.nest.flatten(outputs)))
    structure = model._nested_outputs
    outputs = tf.nest.map_structure(lambda tensor: tensors[id(tensor)], structure)
    inputs = tf.nest.map_structure(lambda tensor: tensors[id(tensor)], model._nested_inputs)
    new = tf_keras.Model(inputs, outputs, name=model.name)
    for name, layer in layers.items():
        if name in weights:
            if weights[name] is not None:
                layer.set_weights(weights[name])
        elif name not in replacements:
            layer.set_weights(model.get_layer(name).get_weights())
    return new


def copy_layer(layer: tf_keras.layers.Layer, /, **changes) -> tf_keras.layers.Layer:
    """Return an unbuilt layer of the same class and configuration, with some fields changed."""
    config = {**layer.get_config(), **changes}
    if isinstance(layer, tf_keras.layers.MultiHeadAttention):
        # Its from_config builds the weights for the old input at once.
        shapes = ('query_shape', 'key_shape', 'value_shape')
        return layer.__class__(**{key: config[key] for key in config if key not in shapes})
    return layer.__class__.from_config(config)


def part(model: tf_keras.Model, *tensors) -> Callable:
    """Return a function, in inference mode, from the model's inputs to a list of its tensors."""
    inner = tf_keras.Model(model.inputs, list(tensors))
    # Run eagerly: tracing would take longer than the few batches that these parts see.
    return lambda inputs: tf.nest.flatten(inner(inputs, training=False))
