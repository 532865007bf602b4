"""
A model as C source for TensorFlow Lite Micro, with everything a microcontroller needs to feed it.

Three files: ``<name>_model.h`` and ``<name>_model.c`` (C99 and C++: the flatbuffer, tensor names,
scales, labels, front-end constants, arena estimate) and ``<name>_operators.h`` (C++: registers just
the operators of this model). Operators that TensorFlow Lite Micro lacks are refused.
"""

from __future__ import annotations

import collections
import functools
import hashlib
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kws_imu_ros import __version__
from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.lab.evaluation.complexity import ARENA_ALIGNMENT, count_tflite, operator_name
from kws_imu_ros.model.bundle import Bundle
from kws_imu_ros.model.signature_runner import SIGNATURE
from kws_imu_ros.model.tflite_file import (
    CONV_2D,
    DEPTHWISE_CONV_2D,
    FULLY_CONNECTED,
    TRANSPOSE_CONV,
    Graph,
    TensorSpec,
    TfliteFile,
    read_tflite,
)

if TYPE_CHECKING:
    import jinja2

# Operators that MicroMutableOpResolver can register, with the method that does it
# (tensorflow/lite/micro/micro_mutable_op_resolver.h at commit 90b983c of August 2026).
MICRO_OPERATORS = {
    'ABS': 'AddAbs',
    'ADD': 'AddAdd',
    'ADD_N': 'AddAddN',
    'ARG_MAX': 'AddArgMax',
    'ARG_MIN': 'AddArgMin',
    'ASSIGN_VARIABLE': 'AddAssignVariable',
    'AVERAGE_POOL_2D': 'AddAveragePool2D',
    'BATCH_MATMUL': 'AddBatchMatMul',
    'BATCH_TO_SPACE_ND': 'AddBatchToSpaceNd',
    'BROADCAST_ARGS': 'AddBroadcastArgs',
    'BROADCAST_TO': 'AddBroadcastTo',
    'CALL_ONCE': 'AddCallOnce',
    'CAST': 'AddCast',
    'CEIL': 'AddCeil',
    'CONCATENATION': 'AddConcatenation',
    'CONV_2D': 'AddConv2D',
    'COS': 'AddCos',
    'CUMSUM': 'AddCumSum',
    'DEPTH_TO_SPACE': 'AddDepthToSpace',
    'DEPTHWISE_CONV_2D': 'AddDepthwiseConv2D',
    'DEQUANTIZE': 'AddDequantize',
    'DIV': 'AddDiv',
    'DYNAMIC_UPDATE_SLICE': 'AddDynamicUpdateSlice',
    'ELU': 'AddElu',
    'EMBEDDING_LOOKUP': 'AddEmbeddingLookup',
    'EQUAL': 'AddEqual',
    'EXP': 'AddExp',
    'EXPAND_DIMS': 'AddExpandDims',
    'FILL': 'AddFill',
    'FLOOR': 'AddFloor',
    'FLOOR_DIV': 'AddFloorDiv',
    'FLOOR_MOD': 'AddFloorMod',
    'FULLY_CONNECTED': 'AddFullyConnected',
    'GATHER': 'AddGather',
    'GATHER_ND': 'AddGatherNd',
    'GREATER': 'AddGreater',
    'GREATER_EQUAL': 'AddGreaterEqual',
    'HARD_SWISH': 'AddHardSwish',
    'IF': 'AddIf',
    'L2_NORMALIZATION': 'AddL2Normalization',
    'L2_POOL_2D': 'AddL2Pool2D',
    'LEAKY_RELU': 'AddLeakyRelu',
    'LESS': 'AddLess',
    'LESS_EQUAL': 'AddLessEqual',
    'LOG': 'AddLog',
    'LOG_SOFTMAX': 'AddLogSoftmax',
    'LOGICAL_AND': 'AddLogicalAnd',
    'LOGICAL_NOT': 'AddLogicalNot',
    'LOGICAL_OR': 'AddLogicalOr',
    'LOGISTIC': 'AddLogistic',
    'MAX_POOL_2D': 'AddMaxPool2D',
    'MAXIMUM': 'AddMaximum',
    'MEAN': 'AddMean',
    'MINIMUM': 'AddMinimum',
    'MIRROR_PAD': 'AddMirrorPad',
    'MUL': 'AddMul',
    'NEG': 'AddNeg',
    'NOT_EQUAL': 'AddNotEqual',
    'PACK': 'AddPack',
    'PAD': 'AddPad',
    'PADV2': 'AddPadV2',
    'PRELU': 'AddPrelu',
    'QUANTIZE': 'AddQuantize',
    'READ_VARIABLE': 'AddReadVariable',
    'REDUCE_ALL': 'AddReduceAll',
    'REDUCE_MAX': 'AddReduceMax',
    'REDUCE_MIN': 'AddReduceMin',
    'RELU': 'AddRelu',
    'RELU6': 'AddRelu6',
    'RESHAPE': 'AddReshape',
    'RESIZE_BILINEAR': 'AddResizeBilinear',
    'RESIZE_NEAREST_NEIGHBOR': 'AddResizeNearestNeighbor',
    'REVERSE_V2': 'AddReverseV2',
    'ROUND': 'AddRound',
    'RSQRT': 'AddRsqrt',
    'SELECT_V2': 'AddSelectV2',
    'SHAPE': 'AddShape',
    'SIN': 'AddSin',
    'SLICE': 'AddSlice',
    'SOFTMAX': 'AddSoftmax',
    'SPACE_TO_BATCH_ND': 'AddSpaceToBatchNd',
    'SPACE_TO_DEPTH': 'AddSpaceToDepth',
    'SPLIT': 'AddSplit',
    'SPLIT_V': 'AddSplitV',
    'SQRT': 'AddSqrt',
    'SQUARE': 'AddSquare',
    'SQUARED_DIFFERENCE': 'AddSquaredDifference',
    'SQUEEZE': 'AddSqueeze',
    'STRIDED_SLICE': 'AddStridedSlice',
    'SUB': 'AddSub',
    'SUM': 'AddSum',
    'SVDF': 'AddSvdf',
    'TANH': 'AddTanh',
    'TRANSPOSE': 'AddTranspose',
    'TRANSPOSE_CONV': 'AddTransposeConv',
    'UNIDIRECTIONAL_SEQUENCE_LSTM': 'AddUnidirectionalSequenceLSTM',
    'UNPACK': 'AddUnpack',
    'VAR_HANDLE': 'AddVarHandle',
    'WHILE': 'AddWhile',
    'ZEROS_LIKE': 'AddZerosLike',
}
# What the micro interpreter keeps beside the activations, in bytes: a TfLiteEvalTensor, a node with
# its registration and op data, multiplier and shift of an output channel, the allocator itself.
TENSOR_BYTES, NODE_BYTES, CHANNEL_BYTES, FIXED_BYTES = 24, 128, 8, 2048
MARGIN = 1.1


@dataclass(frozen=True)
class CExport:
    """The files of an export as text by name, with what they say of memory and operators."""

    files: dict[str, str]
    operators: tuple[str, ...]
    arena_bytes: int


@dataclass(frozen=True)
class Port:
    """
    An input or output of the model by its name.

    side: 'input' or 'output'. index: among those of its side, by which alone the micro interpreter
    knows tensors. macro: the name as it is written in macros.
    """

    name: str
    side: str
    index: int
    spec: TensorSpec
    macro: str

    @property
    def elements(self) -> int:
        """Return how many numbers it holds."""
        return math.prod(self.spec.shape)


def micro_operators(graph: Graph, source: str) -> tuple[str, ...]:
    """
    Return the distinct operators of a model in the order of their first use.

    Raises:
        KwsImuError: some of them are not in TensorFlow Lite Micro; the sentence names them all.

    """
    names = tuple(dict.fromkeys(map(operator_name, graph.operators)))
    missing = [name for name in names if name not in MICRO_OPERATORS]
    if missing:
        raise KwsImuError(
            f'{source} uses {", ".join(missing)}, which TensorFlow Lite Micro does not have; '
            'replace the layer that makes it and convert the model again.'
        )
    return names


def estimate_arena(graph: Graph, model_bytes: bytes) -> int:
    """
    Estimate the tensor arena in bytes: activations and the interpreter's own tables, plus 10 %.

    An estimate, since kernels may ask for scratch memory: give it generously, then read
    ``MicroInterpreter::arena_used_bytes()`` on the board and cut it down.
    """
    channels = 0
    for operator in graph.operators:
        if operator.code in (CONV_2D, DEPTHWISE_CONV_2D, FULLY_CONNECTED, TRANSPOSE_CONV):
            channels += graph.tensors[operator.outputs[0]].spec.shape[-1]
    total = (
        count_tflite(model_bytes).arena_bytes
        + TENSOR_BYTES * len(graph.tensors)
        + NODE_BYTES * len(graph.operators)
        + CHANNEL_BYTES * channels
        + FIXED_BYTES
    )
    return -(-int(total * MARGIN) // ARENA_ALIGNMENT) * ARENA_ALIGNMENT


def export_c(model_bytes: bytes, name: str, bundle: Bundle | None = None) -> CExport:
    """
    Return the C files of a model.

    name: becomes the prefix of files and identifiers. bundle: where given, labels, front-end and
    IMU constants go in as well.

    Raises:
        KwsImuError: the name is no C identifier, or operators are missing in TensorFlow Lite Micro.

    """
    if not re.fullmatch(r'[A-Za-z_][A-Za-z0-9_]*', name):
        raise KwsImuError(
            f"'{name}' cannot be a name in C; give one of letters, digits and _ with --name."
        )
    file = read_tflite(model_bytes, name)
    operators = micro_operators(file.main, name)
    arena = estimate_arena(file.main, model_bytes)
    context = {
        'version': __version__,
        'origin': f'bundle {bundle.manifest.name} {bundle.manifest.version}' if bundle else name,
        'sha256': hashlib.sha256(model_bytes).hexdigest(),
        'name': name,
        'prefix': _macro(name),
        'model_bytes': model_bytes,
        'arena_bytes': arena,
        'operators': operators,
        'methods': MICRO_OPERATORS,
        'ports': _ports(file, name),
        'manifest': bundle.manifest if bundle else None,
        'front_end': vars(bundle.manifest.front_end) if bundle else {},
        'imu': vars(bundle.manifest.imu) if bundle else {},
    }
    files = {
        f'{name}_{kind}': _templates().get_template(f'{kind}.jinja').render(context)
        for kind in ('model.h', 'model.c', 'operators.h')
    }
    return CExport(files, operators, arena)


def write_c(export: CExport, directory: Path) -> list[Path]:
    """
    Write the files of an export into a folder, which is made; return their paths.

    Raises:
        KwsImuError: they cannot be written.

    """
    paths = []
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name, text in export.files.items():
            path = directory / name
            path.write_text(text, 'utf-8')
            paths.append(path)
    except OSError as error:
        raise KwsImuError(
            f'{directory} cannot be written ({error.strerror}); give another folder.'
        ) from error
    return paths


def _ports(file: TfliteFile, source: str) -> list[Port]:
    """Return the inputs, then the outputs, that the model's signature names."""
    if SIGNATURE not in file.signatures:
        raise KwsImuError(f"{source} has no '{SIGNATURE}' signature; convert it again by name.")
    signature, tensors = file.signatures[SIGNATURE], file.tensors_by_name[SIGNATURE]
    sides = (
        ('input', signature.inputs, file.main.inputs),
        ('output', signature.outputs, file.main.outputs),
    )
    return [
        Port(name, side, order.index(tensors[name]), spec, macro)
        for side, specs, order in sides
        for (name, macro), spec in zip(_macros(list(specs), 'TENSOR').items(), specs.values())
    ]


@functools.cache
def _templates() -> jinja2.Environment:
    """Return the templates of the C files, with what writes C's constants and names."""
    import jinja2

    templates = jinja2.Environment(
        loader=jinja2.PackageLoader('kws_imu_ros.lab.export'),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    templates.filters |= {
        'comment': _comment,
        'hexadecimal': '0x{:02x}'.format,
        'macro': _macro,
        'macros': _macros,
        'number': _number,
        'string_literal': _string_literal,
    }
    return templates


def _macro(name: str) -> str:
    """Return a name as it is written in macros."""
    return re.sub(r'[^A-Za-z0-9]', '_', name).upper()


def _macros(names: Sequence[str], fallback: str) -> dict[str, str]:
    """
    Return names as they are written in macros, each as another.

    By its index, after the fallback, where C has no letters for a name or two would be the same.
    """
    plain = {name: _macro(name) for name in names}
    clear = {
        macro
        for macro, times in collections.Counter(plain.values()).items()
        if times == 1 and not re.fullmatch(rf'{fallback}_[0-9]+', macro)
    }
    return {
        name: macro if name.isascii() and macro in clear else f'{fallback}_{index}'
        for index, (name, macro) in enumerate(plain.items())
    }


def _number(value: float | str) -> str:
    """Return a constant of C; of a float, one that gives the same float again."""
    if not isinstance(value, float):
        return str(value)
    text = f'{value:.9g}'
    text = f'{text}f' if any(mark in text for mark in '.en') else f'{text}.0f'
    return f'({text})' if value < 0 else text


def _string_literal(text: str) -> str:
    """Return a literal of C that is the text in UTF-8, whatever the compiler takes a file for."""
    codes = (
        chr(byte) if 32 <= byte < 127 and byte not in b'"\\?' else f'\\{byte:03o}'
        for byte in text.encode('utf-8')
    )
    return f'"{"".join(codes)}"'


def _comment(text: str) -> str:
    """Return a text that neither ends the comment that it stands in nor begins another."""
    return ' '.join(re.sub(r'(?<=\*)(?=/)|(?<=/)(?=\*)', ' ', text).split())
