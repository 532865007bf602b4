"""
A ``.tflite`` file written in fewer bytes, the same outputs to the bit.

The object form of the flatbuffer is LiteRT's own; what a file holds is read by
`model.tflite_file`.
"""

from __future__ import annotations

from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from kws_imu_ros.model.file_kinds import TFLITE_MARK


def _text(value: bytes | str | None) -> str:
    """Return a flatbuffer string as text."""
    return value.decode('utf-8', 'replace') if isinstance(value, bytes) else (value or '')


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
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(bytes(model_bytes), 0))
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
    builder.Finish(model.Pack(builder), file_identifier=TFLITE_MARK)
    return bytes(builder.Output())
