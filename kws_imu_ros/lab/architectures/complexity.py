"""What a network costs: parameters, multiplications, bytes and activation memory, by one rule."""

from __future__ import annotations

import os

os.environ.setdefault('TF_USE_LEGACY_KERAS', '1')

import dataclasses
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tf_keras

from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.lab.architectures.keras_graph import KerasGraph
from kws_imu_ros.lab.evaluation.flatbuffer import Graph, read_graph

ARENA_ALIGNMENT = 16

# What an int8 .tflite takes beside the int8 kernels, fitted to files written by
# `quantization.to_int8`: an int32 bias, scales and shared zero points for every output channel; the
# tensors and operator record of every layer; the empty file.
_BYTES_PER_CHANNEL = 13.3
_BYTES_PER_OPERATOR = 173
_BYTES_PER_FILE = 2400


@dataclasses.dataclass(frozen=True)
class Complexity:
    """
    What a network costs.

    :param parameters: weights and biases; running statistics of normalization are not counted.
    :param macs: multiply-accumulate operations of one inference.
    :param bytes: size of the file; of a Keras model, an estimate of its int8 file.
    :param arena_bytes: memory for activations when buffers are reused greedily (largest first), as
        TensorFlow Lite Micro plans it, without an operator's scratch memory; of a Keras model, in
        int8.
    :param operators: how often each operator, or Keras layer class, is called.
    """

    parameters: int
    macs: int
    bytes: int
    arena_bytes: int
    operators: dict[str, int]


def count(model: tf_keras.Model | bytes | Path) -> Complexity:
    """
    Return what a Keras model or a `.tflite` file (its path or its bytes) costs.

    :raises KwsImuError: when the file is missing or no TensorFlow Lite model.
    """
    if isinstance(model, tf_keras.Model):
        return _count_keras(model)
    if isinstance(model, bytes | bytearray):
        return _count_tflite(read_graph(bytes(model)))
    path = Path(model)
    if not path.is_file():
        raise KwsImuError(f'model file {path} does not exist; give the path of a .tflite file')
    return _count_tflite(read_graph(path.read_bytes(), str(path)))


def mac_positions(layer, input_shape: Sequence, output_shape: Sequence) -> dict[int, int]:
    """
    Return how often each weight array of a layer is multiplied in full in one inference.

    MACs of the layer are the sum over arrays of size times positions. Shapes have the batch first.

    :return: index in `layer.get_weights()` to positions; empty for a layer without products.
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


def int8_file_bytes(kernel_elements: int, channels: int, operators: int) -> int:
    """Estimate the size of an int8 `.tflite` from its kernels, output channels and operators."""
    return int(
        kernel_elements
        + _BYTES_PER_CHANNEL * channels
        + _BYTES_PER_OPERATOR * operators
        + _BYTES_PER_FILE
    )


def is_fused(layer) -> bool:
    """Return True for layers that the int8 converter absorbs into the layer before."""
    layers = tf_keras.layers
    fused = (layers.ReLU, layers.BatchNormalization, layers.Dropout, layers.SpatialDropout2D)
    relu = tf_keras.activations.relu
    return isinstance(layer, fused) or (
        isinstance(layer, layers.Activation) and layer.activation is relu
    )


def _count_keras(model: tf_keras.Model) -> Complexity:
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


def _count_tflite(graph: Graph) -> Complexity:
    tensors = graph.tensors
    macs, parameters = 0, set()
    for operator in graph.operators:
        inputs = [tensors[i] for i in operator.inputs if i >= 0]
        output = tensors[operator.outputs[0]] if operator.outputs else None
        weighted = operator.name in (
            'CONV_2D',
            'DEPTHWISE_CONV_2D',
            'FULLY_CONNECTED',
            'TRANSPOSE_CONV',
            'UNIDIRECTIONAL_SEQUENCE_LSTM',
        )
        if weighted:
            parameters.update(tensor.index for tensor in inputs if tensor.constant_bytes)
        if operator.name == 'CONV_2D':
            macs += output.elements * int(np.prod(inputs[1].shape[1:]))
        elif operator.name == 'DEPTHWISE_CONV_2D':
            macs += output.elements * int(np.prod(inputs[1].shape[1:3]))
        elif operator.name == 'FULLY_CONNECTED':
            macs += inputs[0].elements * inputs[1].shape[0]
        elif operator.name == 'TRANSPOSE_CONV':
            macs += inputs[2].elements * int(np.prod(inputs[1].shape[:3]))
        elif operator.name == 'BATCH_MATMUL':
            first = inputs[0]
            adjoint = bool(getattr(operator.options, 'adjX', False))
            shared = first.shape[-2 if adjoint else -1]
            macs += output.elements * shared
        elif operator.name == 'UNIDIRECTIONAL_SEQUENCE_LSTM':
            kernels = sum(t.elements for t in inputs if t.constant_bytes and len(t.shape) == 2)
            macs += kernels * inputs[0].shape[1]
    return Complexity(
        sum(tensors[i].elements for i in parameters),
        macs,
        graph.file_bytes,
        _tflite_arena(graph),
        dict(Counter(operator.name for operator in graph.operators)),
    )


def _tflite_arena(graph: Graph) -> int:
    births = dict.fromkeys(graph.inputs, 0)
    deaths = dict.fromkeys(graph.inputs, 0)
    for step, operator in enumerate(graph.operators):
        for index in operator.outputs:
            births.setdefault(index, step)
            deaths[index] = step
        for index in operator.inputs:
            if index in births:
                deaths[index] = step
    for index, tensor in enumerate(graph.tensors):
        if tensor.variable:
            births[index], deaths[index] = 0, len(graph.operators)
    for index in graph.outputs:
        births.setdefault(index, 0)
        deaths[index] = len(graph.operators)
    return plan_arena([(graph.tensors[i].bytes, births[i], deaths[i]) for i in births])


def plan_arena(buffers: Sequence[tuple[int, int, int]]) -> int:
    """
    Return the bytes that buffers need when those that live at different times share memory.

    Greedy by size: the largest first, each at the lowest place free of those that live with it.

    :param buffers: (bytes, first step, last step) of each.
    """
    placed: list[tuple[int, int, int, int]] = []
    for size, birth, death in sorted(buffers, key=lambda buffer: (-buffer[0], buffer[1])):
        size = -(-size // ARENA_ALIGNMENT) * ARENA_ALIGNMENT
        offset = 0
        for start, end, first, last in sorted(placed):
            if first > death or last < birth:
                continue
            if start - offset >= size:
                break
            offset = max(offset, end)
        placed.append((offset, offset + size, birth, death))
    return max((end for _, end, _, _ in placed), default=0)
