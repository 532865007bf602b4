"""
The flatbuffer of a ``.tflite`` file: what operators and tensors it holds, and a smaller writing.

Reads any ``.tflite``, of this package or foreign, without running it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from kws_imu_ros.errors import KwsImuError

FILE_IDENTIFIER = b'TFL3'

_OPERATOR_NAMES = {
    value: name for name, value in vars(schema.BuiltinOperator).items() if not name.startswith('_')
}
_TYPE_NAMES = {
    value: name.lower()
    for name, value in vars(schema.TensorType).items()
    if not name.startswith('_')
}
_TYPE_BYTES = {
    'float32': 4.0,
    'float16': 2.0,
    'bfloat16': 2.0,
    'int64': 8.0,
    'uint64': 8.0,
    'float64': 8.0,
    'int32': 4.0,
    'uint32': 4.0,
    'int16': 2.0,
    'uint16': 2.0,
    'int4': 0.5,
    'int8': 1.0,
    'uint8': 1.0,
    'bool': 1.0,
}


@dataclass(frozen=True)
class Tensor:
    """
    A tensor of a graph.

    constant_bytes is 0 for tensors that are computed; data holds a constant's raw bytes.
    """

    index: int
    name: str
    shape: tuple[int, ...]
    dtype: str
    constant_bytes: int
    data: bytes
    variable: bool

    @property
    def elements(self) -> int:
        """Return the number of elements, an open batch counted as 1."""
        return int(np.prod([max(1, size) for size in self.shape], dtype=np.int64))

    @property
    def bytes(self) -> int:
        """Return the bytes that the tensor takes when it is computed."""
        return int(np.ceil(self.elements * _TYPE_BYTES.get(self.dtype, 4.0)))


@dataclass(frozen=True)
class Operator:
    """An operator of a graph; inputs and outputs are tensor indices, -1 for an absent input."""

    name: str
    version: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Any


@dataclass(frozen=True)
class Graph:
    """
    The first subgraph of a ``.tflite`` file; the others hang from WHILE, IF and CALL_ONCE.

    signature: input or output name -> tensor index, of the file's first signature; {} without one.
    """

    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    signature: dict[str, int]
    subgraphs: int
    file_bytes: int


def _unpack(model_bytes: bytes, source: str) -> schema.ModelT:
    """Return the object form of the flatbuffer, or say that the file is not one."""
    if len(model_bytes) < 8 or bytes(model_bytes[4:8]) != FILE_IDENTIFIER:
        raise KwsImuError(f'{source} is not a TensorFlow Lite model (no TFL3 mark at byte 4).')
    try:
        return schema.ModelT.InitFromObj(schema.Model.GetRootAs(bytes(model_bytes), 0))
    except Exception as error:
        raise KwsImuError(
            f'{source} is cut short or damaged and cannot be read as a TensorFlow Lite model '
            f'({type(error).__name__}); fetch or export it again.'
        ) from error


def _text(value: bytes | str | None) -> str:
    """Return a flatbuffer string as text."""
    return value.decode('utf-8', 'replace') if isinstance(value, bytes) else (value or '')


def read_graph(model_bytes: bytes, source: str = 'the model') -> Graph:
    """
    Return the main graph of a ``.tflite`` file.

    Raises:
        KwsImuError: the bytes are not a TensorFlow Lite model; `source` names them in the sentence.

    """
    model = _unpack(model_bytes, source)
    if not model.subgraphs:
        raise KwsImuError(f'{source} holds no graph; fetch or export it again.')
    subgraph = model.subgraphs[0]
    tensors = []
    for index, tensor in enumerate(subgraph.tensors):
        data = model.buffers[tensor.buffer].data
        raw = b'' if data is None else np.asarray(data, np.uint8).tobytes()
        shape = tensor.shapeSignature if tensor.shapeSignature is not None else tensor.shape
        tensors.append(
            Tensor(
                index,
                _text(tensor.name),
                tuple(int(size) for size in (shape if shape is not None else ())),
                _TYPE_NAMES.get(tensor.type, 'unknown'),
                len(raw),
                raw,
                bool(tensor.isVariable),
            )
        )
    operators = []
    for operator in subgraph.operators:
        code = model.operatorCodes[operator.opcodeIndex]
        builtin = max(code.builtinCode, code.deprecatedBuiltinCode)
        name = _OPERATOR_NAMES.get(builtin, f'UNKNOWN_{builtin}')
        if name == 'CUSTOM':
            name = f'CUSTOM:{_text(code.customCode)}'
        operators.append(
            Operator(
                name,
                int(code.version),
                tuple(int(i) for i in (operator.inputs if operator.inputs is not None else ())),
                tuple(int(i) for i in (operator.outputs if operator.outputs is not None else ())),
                operator.builtinOptions,
            )
        )
    return Graph(
        tuple(tensors),
        tuple(operators),
        tuple(int(i) for i in subgraph.inputs),
        tuple(int(i) for i in subgraph.outputs),
        {
            _text(entry.name): int(entry.tensorIndex)
            for signature in (model.signatureDefs or [])[:1]
            for entry in (*signature.inputs, *signature.outputs)
        },
        len(model.subgraphs),
        len(model_bytes),
    )


def _is_reference(value: Any) -> bool:
    """Say whether a field of a table is kept elsewhere: a vector, a string or another table."""
    return value is not None and not isinstance(value, (bool, int, float))


class _SharingBuilder(flatbuffers.Builder):
    """
    A builder that writes equal vectors and strings once.

    Every channel of every layer repeats its zero points as int64; the format lets equal vectors
    share their place, the converter's writer does not use that. Byte vectors are aligned to 16 as
    the schema demands of weights, which the generated Python writer forgets.
    """

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self._vectors: dict[tuple[str, bytes], int] = {}
        self._strings: dict[bytes, int] = {}

    def CreateNumpyVector(self, x: np.ndarray) -> int:  # noqa: N802 - flatbuffers' name
        """Write a vector, or return the place of an equal one."""
        key = (x.dtype.str, x.tobytes())
        if key not in self._vectors:
            if x.dtype.itemsize == 1:
                self.StartVector(1, x.size, 16)
                self.head -= x.size
                self.Bytes[self.head : self.head + x.size] = x.tobytes()
                self.vectorNumElems = x.size
                self._vectors[key] = self.EndVector()
            else:
                self._vectors[key] = super().CreateNumpyVector(x)
        return self._vectors[key]

    def CreateString(self, s: str | bytes, *arguments: Any, **keywords: Any) -> int:  # noqa: N802
        """Write a string, or return the place of an equal one."""
        key = s if isinstance(s, bytes) else s.encode()
        if key not in self._strings:
            self._strings[key] = super().CreateString(s, *arguments, **keywords)
        return self._strings[key]


class _WrittenOnce:
    """A table without references that is packed once for all that equal it."""

    def __init__(self, table: Any, places: dict[tuple[str, str], int]) -> None:
        self._table, self._places = table, places
        self._key = (type(table).__name__, repr(sorted(vars(table).items())))

    def Pack(self, builder: flatbuffers.Builder) -> int:  # noqa: N802 - flatbuffers' name
        """Write the table, or return the place of an equal one."""
        if self._key not in self._places:
            self._places[self._key] = self._table.Pack(builder)
        return self._places[self._key]


def compact(model_bytes: bytes) -> bytes:
    """
    Return the same model in fewer bytes.

    Names of inner tensors, the converter's notes and unused buffers go; equal vectors, and equal
    options of operators, are written once. Inputs, outputs, signatures, operators, weights and
    scales stay: outputs are the same to the bit.
    """
    model = _unpack(model_bytes, 'the model')
    model.description = None
    kept = []
    for entry in model.metadata or []:
        if _text(entry.name) != 'CONVERSION_METADATA':
            kept.append(entry)
    model.metadata = kept or None
    used = {0} | {entry.buffer for entry in kept}
    for subgraph in model.subgraphs:
        named = set(subgraph.inputs) | set(subgraph.outputs)
        for index, tensor in enumerate(subgraph.tensors):
            used.add(tensor.buffer)
            if index not in named:
                tensor.name = None
            parameters = tensor.quantization
            if parameters is not None:
                # Calibration ranges are for people; scale and zero point carry the arithmetic.
                parameters.min = parameters.max = None
                if parameters.scale is None or not len(parameters.scale):
                    tensor.quantization = None
    # All computed tensors may share the one empty buffer; number the rest anew.
    order = sorted(used)
    renumbered = {}
    buffers = []
    for old in order:
        data = model.buffers[old].data
        if old and data is None and not any(entry.buffer == old for entry in kept):
            renumbered[old] = 0
            continue
        renumbered[old] = len(buffers)
        buffers.append(model.buffers[old])
    model.buffers = buffers
    for entry in kept:
        entry.buffer = renumbered[entry.buffer]
    for subgraph in model.subgraphs:
        for tensor in subgraph.tensors:
            tensor.buffer = renumbered[tensor.buffer]
    if model.metadataBuffer is not None:
        model.metadataBuffer = None
    places: dict[tuple[str, str], int] = {}
    for subgraph in model.subgraphs:
        for operator in subgraph.operators:
            options = operator.builtinOptions
            if options is not None and not any(map(_is_reference, vars(options).values())):
                operator.builtinOptions = _WrittenOnce(options, places)
    builder = _SharingBuilder(len(model_bytes) + 1024)
    builder.Finish(model.Pack(builder), file_identifier=FILE_IDENTIFIER)
    return bytes(builder.Output())
