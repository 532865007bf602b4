"""
A model as C source for TensorFlow Lite Micro, with everything a microcontroller needs to feed it.

Three files: ``<name>_model.h`` and ``<name>_model.c`` (C99 and C++: the flatbuffer, tensor names,
scales, labels, front-end constants, arena estimate) and ``<name>_operators.h`` (C++: registers just
the operators of this model). Operators that TensorFlow Lite Micro lacks are refused.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

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
    knows tensors.
    """

    name: str
    side: str
    index: int
    spec: TensorSpec


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
    ports = _ports(file, name)
    banner = _banner(model_bytes, name, bundle)
    files = {
        f'{name}_model.h': banner + _header(name, model_bytes, operators, arena, ports, bundle),
        f'{name}_model.c': banner + _source(name, model_bytes, bundle),
        f'{name}_operators.h': banner + _operators_header(name, operators),
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
        Port(name, side, order.index(tensors[name]), spec)
        for side, specs, order in sides
        for name, spec in specs.items()
    ]


def _banner(model_bytes: bytes, name: str, bundle: Bundle | None) -> str:
    """Return the comment at the head of each file."""
    origin = f'bundle {bundle.manifest.name} {bundle.manifest.version}' if bundle else f'{name}'
    return (
        f'/* Made by kws-imu {__version__} from {origin}; do not edit.\n'
        f' * sha256 of the model: {hashlib.sha256(model_bytes).hexdigest()}\n'
        ' */\n'
    )


def _macro(name: str) -> str:
    """Return a name as it is written in macros."""
    return re.sub(r'[^A-Za-z0-9]', '_', name).upper()


def _label_macro(label: str, labels: Sequence[str]) -> str:
    """Return a label as it is written in macros; by its index where C has no letters for it."""
    return _macro(label) if label.isascii() else f'LABEL_{labels.index(label)}'


def _number(value: float) -> str:
    """Return a float constant of C that gives the same float again."""
    text = f'{value:.9g}'
    text = f'{text}f' if any(mark in text for mark in '.en') else f'{text}.0f'
    return f'({text})' if value < 0 else text


def _header(
    name: str,
    model_bytes: bytes,
    operators: tuple[str, ...],
    arena: int,
    ports: Sequence[Port],
    bundle: Bundle | None,
) -> str:
    """Return the header that C and C++ programs include."""
    prefix = _macro(name)
    lines = [
        f'#ifndef {prefix}_MODEL_H_',
        f'#define {prefix}_MODEL_H_',
        '',
        '#ifdef __cplusplus',
        'extern "C" {',
        '#endif',
        '',
        '/* The flatbuffer, aligned to 16 bytes as the interpreter needs it. */',
        f'#define {prefix}_MODEL_LENGTH {len(model_bytes)}',
        f'extern const unsigned char {name}_model[{prefix}_MODEL_LENGTH];',
        '',
        '/* An estimate: start with it, then use MicroInterpreter::arena_used_bytes(). */',
        f'#define {prefix}_ARENA_BYTES {arena}',
        '',
        f'/* Operators: {", ".join(operators)}. */',
        f'#define {prefix}_OPERATOR_COUNT {len(operators)}',
        '',
        '/* Tensors: real value = scale * (stored - zero point); scale 0 means not quantized. */',
    ]
    for port in ports:
        tensor = f'{prefix}_{port.side.upper()}_{_macro(port.name)}'
        spec = port.spec
        shape = ' x '.join(str(size) for size in spec.shape)
        lines += [
            f'/* {port.side} {port.name}: {spec.dtype} {shape} */',
            f'#define {tensor}_INDEX {port.index}',
            f'#define {tensor}_ELEMENTS {math.prod(spec.shape)}',
            f'#define {tensor}_SCALE {_number(spec.scale)}',
            f'#define {tensor}_ZERO_POINT ({spec.zero_point})',
        ]
    if bundle:
        manifest = bundle.manifest
        lines += ['', '/* Labels, in the order of the outputs. */']
        for head, labels in manifest.labels.items():
            lines += [
                f'#define {prefix}_{_macro(head)}_COUNT {len(labels)}',
                f'extern const char *const {name}_{head}_labels[{prefix}_{_macro(head)}_COUNT];',
            ]
        lines += [
            '',
            '/* log_mel: log of the mel power of Hann windows, then (x - offset) / scale. */',
        ]
        for key, value in vars(manifest.front_end).items():
            text = _number(value) if isinstance(value, float) else str(value)
            lines.append(f'#define {prefix}_FRONT_END_{_macro(key)} {text}')
        lines += ['', '/* imu: m/s^2 and rad/s divided by these, oldest row first. */']
        for key, value in vars(manifest.imu).items():
            text = _number(value) if isinstance(value, float) else str(value)
            lines.append(f'#define {prefix}_IMU_{_macro(key)} {text}')
        if manifest.thresholds:
            lines += ['', '/* Posteriors above which a label counts, 0 to 1. */']
            for head, values in manifest.thresholds.items():
                for label, value in values.items():
                    name_of_label = _label_macro(label, manifest.labels[head])
                    macro = f'{prefix}_THRESHOLD_{_macro(head)}_{name_of_label}'
                    lines.append(f'#define {macro} {_number(value)}')
    lines += ['', '#ifdef __cplusplus', '}', '#endif', '', f'#endif /* {prefix}_MODEL_H_ */', '']
    return '\n'.join(lines)


def _source(name: str, model_bytes: bytes, bundle: Bundle | None) -> str:
    """Return the C source with the data."""
    prefix = _macro(name)
    lines = [
        f'#include "{name}_model.h"',
        '',
        '#if defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L',
        f'#define {prefix}_ALIGNED _Alignas(16)',
        '#elif defined(__cplusplus)',
        f'#define {prefix}_ALIGNED alignas(16)',
        '#elif defined(__GNUC__)',
        f'#define {prefix}_ALIGNED __attribute__((aligned(16)))',
        '#else',
        '#error "say how this compiler aligns data to 16 bytes"',
        '#endif',
        '',
    ]
    if bundle:
        for head, labels in bundle.manifest.labels.items():
            joined = ', '.join(f'"{label}"' for label in labels)
            count = f'{prefix}_{_macro(head)}_COUNT'
            lines.append(f'const char *const {name}_{head}_labels[{count}] = {{{joined}}};')
        lines.append('')
    lines.append(f'{prefix}_ALIGNED const unsigned char {name}_model[{prefix}_MODEL_LENGTH] = {{')
    for start in range(0, len(model_bytes), 16):
        row = ', '.join(f'0x{byte:02x}' for byte in model_bytes[start : start + 16])
        lines.append(f'  {row},')
    lines += ['};', '']
    return '\n'.join(lines)


def _operators_header(name: str, operators: tuple[str, ...]) -> str:
    """Return the C++ header that registers the operators."""
    prefix = _macro(name)
    lines = [
        f'#ifndef {prefix}_OPERATORS_H_',
        f'#define {prefix}_OPERATORS_H_',
        '',
        '#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"',
        '',
        f'#include "{name}_model.h"',
        '',
        f'using {name}_resolver = tflite::MicroMutableOpResolver<{prefix}_OPERATOR_COUNT>;',
        '',
        '/* Register the operators of the model, and no others. */',
        f'inline TfLiteStatus {name}_register_operators({name}_resolver &resolver) {{',
    ]
    for operator in operators:
        lines.append(
            f'  if (resolver.{MICRO_OPERATORS[operator]}() != kTfLiteOk) return kTfLiteError;'
        )
    lines += ['  return kTfLiteOk;', '}', '', f'#endif /* {prefix}_OPERATORS_H_ */', '']
    return '\n'.join(lines)
