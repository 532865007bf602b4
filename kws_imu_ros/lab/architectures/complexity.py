"""What a Keras network costs, by the rule that counts its ``.tflite``."""

from __future__ import annotations

import os

os.environ.setdefault('TF_USE_LEGACY_KERAS', '1')

from collections import Counter
from collections.abc import Sequence

import numpy as np
import tf_keras

from kws_imu_ros.lab.architectures.keras_graph import KerasGraph
from kws_imu_ros.lab.evaluation.complexity import Complexity, int8_file_bytes, plan_arena


def mac_positions(layer, input_shape: Sequence, output_shape: Sequence) -> dict[int, int]:
    """
    Return how often each weight array of a layer is multiplied in full in one inference.

    MACs of the layer are the sum over arrays of size times positions. Shapes have the batch first.
    Returns index in `layer.get_weights()` to positions; empty for a layer without products.
    """
    layers = tf_keras.layers
    steps = int(np.prod([n or 1 for n in output_shape[1:-1]], dtype=np.int64))
    if isinstance(layer, layers.SeparableConv1D | layers.SeparableConv2D):
        return {0: steps, 1: steps}
    if isinstance(layer, layers.Conv2DTranspose | layers.Conv1DTranspose):
        return {0: int(np.prod([n or 1 for n in input_shape[1:-1]], dtype=np.int64))}
    convolutions = (layers.Conv1D, layers.Conv2D, layers.DepthwiseConv1D, layers.DepthwiseConv2D)
    if isinstance(layer, (*convolutions, layers.Dense)):
        return {0: steps}
    if isinstance(layer, layers.Bidirectional):
        inner = mac_positions(layer.forward_layer, input_shape, output_shape)
        arrays = len(layer.forward_layer.weights)
        return {i + shift: n for shift in (0, arrays) for i, n in inner.items()}
    if isinstance(layer, layers.LSTM | layers.GRU | layers.SimpleRNN):
        return {0: int(input_shape[1] or 1), 1: int(input_shape[1] or 1)}
    if isinstance(layer, layers.MultiHeadAttention):
        time = int(input_shape[1] or 1)
        kernels = [i for i, weight in enumerate(layer.weights) if 'kernel' in weight.name]
        return dict.fromkeys(kernels, time)
    return {}


def array_product_macs(layer, input_shapes: Sequence[Sequence]) -> int:
    """Return the MACs of products between activations: attention scores and weighted sums."""
    layers = tf_keras.layers
    if isinstance(layer, layers.MultiHeadAttention):
        config = layer.get_config()
        queries, keys = input_shapes[0][1], input_shapes[-1][1]
        width = config['key_dim'] + (config['value_dim'] or config['key_dim'])
        return int(queries * keys * config['num_heads'] * width)
    if isinstance(layer, layers.Dot):
        axes = layer.axes if isinstance(layer.axes, list | tuple) else (layer.axes, layer.axes)
        first, second = input_shapes
        shared = first[axes[0]]
        return int(np.prod(first[1:]) * np.prod(second[1:]) // shared)
    return 0


def is_fused(layer) -> bool:
    """Return True for layers that the int8 converter absorbs into the layer before."""
    layers = tf_keras.layers
    fused = (layers.ReLU, layers.BatchNormalization, layers.Dropout, layers.SpatialDropout2D)
    relu = tf_keras.activations.relu
    return isinstance(layer, fused) or (
        isinstance(layer, layers.Activation) and layer.activation is relu
    )


def count(model: tf_keras.Model) -> Complexity:
    """Return what a Keras model costs; bytes and memory are those of its int8 file."""
    graph = KerasGraph(model)
    macs = kernel_elements = channels = operators = 0
    seen = set()
    for call in graph.calls:
        shapes = [graph.shapes[key] for key in call.inputs]
        weights = call.layer.weights
        positions = mac_positions(call.layer, shapes[0], graph.shapes[call.outputs[0]])
        macs += sum(n * int(np.prod(weights[i].shape)) for i, n in positions.items())
        macs += array_product_macs(call.layer, shapes)
        operators += not is_fused(call.layer)
        if call.layer not in seen:
            seen.add(call.layer)
            kernel_elements += sum(int(np.prod(weights[i].shape)) for i in positions)
            channels += graph.shapes[call.outputs[0]][-1] if positions else 0
    statistics = {
        id(weight)
        for layer in model.layers
        if isinstance(layer, tf_keras.layers.BatchNormalization)
        for weight in (layer.moving_mean, layer.moving_variance)
    }
    parameters = sum(
        int(np.prod(weight.shape)) for weight in model.weights if id(weight) not in statistics
    )
    return Complexity(
        parameters,
        macs,
        int8_file_bytes(kernel_elements, channels, operators),
        _keras_arena(graph),
        dict(Counter(type(call.layer).__name__ for call in graph.calls)),
    )


def _keras_arena(graph: KerasGraph) -> int:
    # A fused layer writes where the layer before it would have written.
    place = {key: key for key in graph.inputs}
    births, deaths, sizes = dict.fromkeys(graph.inputs, 0), {}, {}
    for step, call in enumerate(graph.calls):
        for key in call.inputs:
            deaths[place[key]] = step
        for key in call.outputs:
            fused = is_fused(call.layer)
            place[key] = place[call.inputs[0]] if fused else key
            births.setdefault(place[key], step)
            deaths[place[key]] = step
    for key in graph.outputs:
        deaths[place[key]] = len(graph.calls)
    for key in births:
        sizes[key] = int(np.prod([n or 1 for n in graph.shapes[key][1:]], dtype=np.int64))
    return plan_arena([(sizes[key], births[key], deaths[key]) for key in births])
