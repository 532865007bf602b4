"""What a ``.tflite`` costs: parameters, multiplications, bytes and memory, by one rule."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence

from ai_edge_litert.schema_py_generated import BuiltinOperator

from kws_imu_ros.model.tflite_file import CUSTOM, Graph, Operator, read_tflite

ARENA_ALIGNMENT = 16
# What an int8 .tflite takes beside the int8 kernels, fitted to files of the converter: an int32
# bias, scales and shared zero points for every output channel; the tensors and operator record of
# every layer; the empty file.
_BYTES_PER_CHANNEL = 13.3
_BYTES_PER_OPERATOR = 173
_BYTES_PER_FILE = 2400

_OPERATOR_NAMES = {
    value: name for name, value in vars(BuiltinOperator).items() if not name.startswith('_')
}


@dataclasses.dataclass(frozen=True)
class Complexity:
    """
    What a network costs.

    parameters: weights and biases; running statistics of normalization are not counted.
    macs: multiply-accumulate operations of one inference. bytes: size of the file; of a Keras
    model, an estimate of its int8 file. arena_bytes: memory for activations when buffers are reused
    greedily (largest first), as TensorFlow Lite Micro plans it, without an operator's scratch
    memory; of a Keras model, in int8. operators: how often each operator, or Keras layer class, is
    called.
    """

    parameters: int
    macs: int
    bytes: int
    arena_bytes: int
    operators: dict[str, int]


def operator_name(operator: Operator) -> str:
    """Return an operator's name in the schema, with the name of its own of a custom one."""
    name = _OPERATOR_NAMES.get(operator.code, f'UNKNOWN_{operator.code}')
    return f'CUSTOM:{operator.custom_name}' if operator.code == CUSTOM else name


def count_tflite(model_bytes: bytes, source: str = 'The model') -> Complexity:
    """
    Return what a `.tflite` file's bytes cost; `source` names them in errors.

    Raises:
        KwsImuError: they are no TensorFlow Lite model.

    """
    file = read_tflite(model_bytes, source)
    return Complexity(
        file.parameters,
        file.macs,
        len(model_bytes),
        _arena(file.main),
        dict(Counter(map(operator_name, file.main.operators))),
    )


def int8_file_bytes(kernel_elements: int, channels: int, operators: int) -> int:
    """Estimate the size of an int8 `.tflite` from its kernels, output channels and operators."""
    return int(
        kernel_elements
        + _BYTES_PER_CHANNEL * channels
        + _BYTES_PER_OPERATOR * operators
        + _BYTES_PER_FILE
    )


def _arena(graph: Graph) -> int:
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
    buffers: (bytes, first step, last step) of each.
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
