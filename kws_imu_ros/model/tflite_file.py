"""
What a ``.tflite`` file says of itself, read with bounds checks and without any native code.

A damaged flatbuffer handed to an interpreter can end the process. This reader touches all that an
interpreter reads (tables, tensors, weights), so that a truncated or scrambled file becomes one
sentence before it gets there. Bundles and foreign files are read and counted by it alike. Format:
github.com/google/flatbuffers, schema: tensorflow/compiler/mlir/lite/schema/schema.fbs; field
numbers below are the schema's.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import Any

from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.model.file_kinds import is_tflite, refuse_stranger

DTYPES = {
    0: 'float32',
    1: 'float16',
    2: 'int32',
    3: 'uint8',
    4: 'int64',
    5: 'string',
    6: 'bool',
    7: 'int16',
    8: 'complex64',
    9: 'int8',
    10: 'float64',
    11: 'complex128',
    12: 'uint64',
    13: 'resource',
    14: 'variant',
    15: 'uint32',
    16: 'uint16',
    17: 'int4',
    18: 'bfloat16',
}
DTYPE_BITS = {
    'float32': 32,
    'float16': 16,
    'int32': 32,
    'uint8': 8,
    'int64': 64,
    'bool': 8,
    'int16': 16,
    'complex64': 64,
    'int8': 8,
    'float64': 64,
    'complex128': 128,
    'uint64': 64,
    'uint32': 32,
    'uint16': 16,
    'int4': 4,
    'bfloat16': 16,
}
# What a tensor of another type is taken to be.
UNKNOWN_BITS = 32
CUSTOM = 32
CONV_2D, DEPTHWISE_CONV_2D, FULLY_CONNECTED = 3, 4, 9
SEQUENCE_LSTM, TRANSPOSE_CONV, BATCH_MATMUL = 44, 67, 126
WEIGHTED = (CONV_2D, DEPTHWISE_CONV_2D, FULLY_CONNECTED, SEQUENCE_LSTM, TRANSPOSE_CONV)
MAXIMUM_ITEMS = 1_000_000


@dataclass(frozen=True)
class TensorSpec:
    """
    Type of one input or output of the network.

    shape: with the batch of 1 in front. dtype: numpy's name. A real value is
    ``scale * (stored - zero_point)``; scale is 0.0 where the tensor is not quantized.
    """

    shape: tuple[int, ...]
    dtype: str
    scale: float
    zero_point: int


@dataclass(frozen=True)
class Signature:
    """Inputs and outputs of a signature, by name."""

    inputs: dict[str, TensorSpec]
    outputs: dict[str, TensorSpec]


@dataclass(frozen=True)
class Tensor:
    """
    A tensor of a graph.

    constant_bytes: of the values in the file, 0 for a tensor that is computed. variable: it keeps
    its values from one inference to the next.
    """

    name: str
    spec: TensorSpec
    constant_bytes: int
    variable: bool

    @property
    def elements(self) -> int:
        """Return the number of elements."""
        return math.prod(self.spec.shape)

    @property
    def bytes(self) -> int:
        """Return the bytes that the tensor takes when it is computed."""
        return -(-self.elements * DTYPE_BITS.get(self.spec.dtype, UNKNOWN_BITS) // 8)


@dataclass(frozen=True)
class Operator:
    """
    An operator of a graph.

    code: its number in the schema's BuiltinOperator. custom_name: of a `CUSTOM` one, else ''.
    inputs, outputs: tensor indices, -1 for an input that is absent.
    """

    code: int
    custom_name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True)
class Graph:
    """One subgraph; inputs and outputs are tensor indices."""

    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True)
class TfliteFile:
    """
    The facts of a model file.

    graphs: the main one first; WHILE, IF and CALL_ONCE call the others. tensors_by_name: for each
    signature, index into its graph's tensors by the name of an input or output. parameters:
    weights and biases of convolutions, dense and recurrent layers. macs: multiply-accumulates of
    one inference in these and in matrix products.
    """

    graphs: tuple[Graph, ...]
    signatures: dict[str, Signature]
    tensors_by_name: dict[str, dict[str, int]]
    parameters: int
    macs: int

    @property
    def main(self) -> Graph:
        """Return the graph that an inference runs."""
        return self.graphs[0]


class _DamageError(Exception):
    """An offset or a value of the file that cannot be."""


class _Table:
    """A flatbuffer table; every access is checked against the ends of the file."""

    def __init__(self, data: bytes, position: int) -> None:
        self._data = data
        self._position = position
        self._vtable = position - self._number('<i', position)
        self._vtable_bytes = self._number('<H', self._vtable)
        self._number('<H', self._vtable + self._vtable_bytes - 2)

    def _number(self, code: str, position: int) -> int:
        """Return the whole number at a position; negative ones would count from the file's end."""
        if position < 0:
            raise _DamageError('an offset points before the file')
        (number,) = struct.unpack_from(code, self._data, position)
        return int(number)

    def _field(self, index: int) -> int:
        """Return where field `index` lies, 0 when it is absent."""
        slot = 4 + 2 * index
        if slot >= self._vtable_bytes:
            return 0
        offset = self._number('<H', self._vtable + slot)
        return self._position + offset if offset else 0

    def scalar(self, index: int, code: str, default: int = 0) -> int:
        """Return a scalar field."""
        position = self._field(index)
        return self._number(code, position) if position else default

    def _vector(self, index: int) -> tuple[int, int]:
        """Return position and length of a vector field; length 0 when it is absent."""
        field = self._field(index)
        if not field:
            return 0, 0
        position = field + self._number('<I', field)
        length = self._number('<I', position)
        return position + 4, length

    def bytes_length(self, index: int) -> int:
        """Return the length of a byte vector after checking that all of it is in the file."""
        position, length = self._vector(index)
        if position + length > len(self._data):
            raise _DamageError('weights go past the end')
        return length

    def text(self, index: int) -> str:
        """Return a string field, '' when it is absent."""
        position, length = self._vector(index)
        if position + length > len(self._data):
            raise _DamageError('a name goes past the end')
        return self._data[position : position + length].decode('utf-8')

    def numbers(self, index: int, code: str) -> tuple[Any, ...]:
        """Return a vector of scalars, () when it is absent."""
        position, length = self._vector(index)
        if length > MAXIMUM_ITEMS:
            raise _DamageError('a list is longer than any model needs')
        return struct.unpack_from(f'<{length}{code}', self._data, position)

    def tables(self, index: int) -> list[_Table]:
        """Return a vector of tables, [] when it is absent."""
        position, _ = self._vector(index)
        offsets = self.numbers(index, 'I')
        return [_Table(self._data, position + 4 * i + offset) for i, offset in enumerate(offsets)]

    def table(self, index: int) -> _Table | None:
        """Return a table field, None when it is absent."""
        field = self._field(index)
        return _Table(self._data, field + self._number('<I', field)) if field else None


def _read_tensor(table: _Table, buffer_bytes: list[int]) -> Tensor:
    """Return one tensor after comparing its constant bytes with its shape."""
    shape = table.numbers(0, 'i')
    if any(size < 0 for size in shape):
        raise _DamageError(f'a tensor has the shape {shape}')
    dtype = DTYPES.get(table.scalar(1, '<b'), 'unknown')
    quantization = table.table(4)
    scales = quantization.numbers(2, 'f') if quantization else ()
    zero_points = quantization.numbers(3, 'q') if quantization else ()
    constant_bytes = buffer_bytes[table.scalar(2, '<I')]
    # A sparse constant leaves its zeros out.
    if constant_bytes and dtype in DTYPE_BITS and table.table(6) is None:
        needed = -(-math.prod(shape) * DTYPE_BITS[dtype] // 8)
        if constant_bytes != needed:
            raise _DamageError(f'a constant of {needed} bytes has {constant_bytes}')
    spec = TensorSpec(
        shape=shape,
        dtype=dtype,
        scale=float(scales[0]) if len(scales) == 1 else 0.0,
        zero_point=int(zero_points[0]) if len(scales) == len(zero_points) == 1 else 0,
    )
    return Tensor(table.text(3), spec, constant_bytes, bool(table.scalar(5, '<B')))


def _count_macs(code: int, inputs: list[Tensor], output: Tensor, transposed: bool) -> int:
    """Return the multiply-accumulates of one operator; `transposed` as to its first operand."""
    if code in (CONV_2D, FULLY_CONNECTED):
        return output.elements * math.prod(inputs[1].spec.shape[1:])
    if code == DEPTHWISE_CONV_2D:
        return output.elements * math.prod(inputs[1].spec.shape[1:3])
    if code == TRANSPOSE_CONV:
        return inputs[2].elements * math.prod(inputs[1].spec.shape[:3])
    if code == SEQUENCE_LSTM:
        kernels = [t.elements for t in inputs if t.constant_bytes and len(t.spec.shape) == 2]
        return sum(kernels) * inputs[0].spec.shape[1]
    if code == BATCH_MATMUL:
        return output.elements * inputs[0].spec.shape[-2 if transposed else -1]
    return 0


def _read_graph(
    subgraph: _Table, codes: list[tuple[int, str]], buffer_bytes: list[int]
) -> tuple[Graph, int, int]:
    """Return a graph, its parameters and its multiply-accumulates."""
    tensors = [_read_tensor(table, buffer_bytes) for table in subgraph.tables(0)]
    ends = subgraph.numbers(1, 'i'), subgraph.numbers(2, 'i')
    if any(not 0 <= index < len(tensors) for end in ends for index in end):
        raise _DamageError('an input or output of the graph does not exist')
    operators = []
    weights: set[int] = set()
    macs = 0
    for table in subgraph.tables(3):
        code, custom_name = codes[table.scalar(0, '<I')]
        operator = Operator(code, custom_name, table.numbers(1, 'i'), table.numbers(2, 'i'))
        outputs = operator.outputs
        if min(outputs, default=0) < 0 or min(operator.inputs, default=0) < -1:
            raise _DamageError('an operator has no output')
        # -1 stands for an optional input that is not there.
        operands = [tensors[i] for i in operator.inputs if i >= 0]
        results = [tensors[i] for i in outputs]
        if code in WEIGHTED:
            weights.update(i for i in operator.inputs if i >= 0 and tensors[i].constant_bytes)
        options = table.table(4) if code == BATCH_MATMUL else None
        transposed = bool(options is not None and options.scalar(0, '<B'))
        if results:
            macs += _count_macs(code, operands, results[0], transposed)
        operators.append(operator)
    graph = Graph(tuple(tensors), tuple(operators), *ends)
    return graph, sum(tensors[i].elements for i in weights), macs


def _read(data: bytes) -> TfliteFile:
    """Read a model file; raises all kinds of errors when it is damaged."""
    model = _Table(data, struct.unpack_from('<I', data, 0)[0])
    codes = [(max(t.scalar(0, '<b'), t.scalar(3, '<i')), t.text(1)) for t in model.tables(1)]
    buffer_bytes = [buffer.bytes_length(0) for buffer in model.tables(4)]
    read = [_read_graph(subgraph, codes, buffer_bytes) for subgraph in model.tables(2)]
    if not read:
        raise _DamageError('it holds no graph')
    graphs = tuple(graph for graph, _, _ in read)
    signatures, names = {}, {}
    for table in model.tables(7):
        tensors = graphs[table.scalar(4, '<I')].tensors
        sides = [
            {entry.text(0): entry.scalar(1, '<I') for entry in table.tables(index)}
            for index in (0, 1)
        ]
        specs = [{name: tensors[index].spec for name, index in side.items()} for side in sides]
        signatures[table.text(2)] = Signature(*specs)
        names[table.text(2)] = sides[0] | sides[1]
    parameters, macs = (sum(counts) for counts in list(zip(*read, strict=True))[1:])
    return TfliteFile(graphs, signatures, names, parameters, macs)


def read_tflite(data: bytes, source: str = 'The model') -> TfliteFile:
    """
    Return the facts of a ``.tflite`` file's bytes; `source` names it in errors.

    Raises:
        KwsImuError: the bytes are not a TensorFlow Lite model, or one that is cut or damaged.

    """
    if len(data) < 8 or not is_tflite(data):
        refuse_stranger(data, source)
        raise KwsImuError(
            f'{source} is not a TensorFlow Lite model (no TFL3 mark at byte 4); export it again.'
        )
    try:
        return _read(data)
    except (_DamageError, struct.error, IndexError, UnicodeDecodeError) as error:
        raise KwsImuError(
            f'{source} is truncated or damaged and cannot be read as a TensorFlow Lite model '
            f'({error}); copy or export it again.'
        ) from error
