"""Run any ``.tflite`` file through LiteRT by the names of its signature, real values in and out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from kws_imu_ros.console.native_output import silenced
from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.model.tflite_file import Signature, read_tflite

SIGNATURE = 'serving_default'


def make_interpreter(model_bytes: bytes, threads: int = 1) -> Interpreter:
    """Return an allocated LiteRT interpreter for a model."""
    with silenced():
        interpreter = Interpreter(model_content=model_bytes, num_threads=threads)
        interpreter.allocate_tensors()
    return interpreter


def read_signature(model_bytes: bytes, source: str = 'The model') -> Signature:
    """
    Return the inputs and outputs that a model's signature names; `source` names it in errors.

    Raises:
        KwsImuError: no TensorFlow Lite model, or one without a ``serving_default`` signature.

    """
    signatures = read_tflite(model_bytes, source).signatures
    if SIGNATURE not in signatures:
        raise KwsImuError(f"{source} has no '{SIGNATURE}' signature; convert it again by name.")
    return signatures[SIGNATURE]


def run_signature(
    model_bytes: bytes, inputs: Mapping[str, np.ndarray], threads: int = 1
) -> dict[str, np.ndarray]:
    """
    Run a ``.tflite`` over a batch, one row at a time.

    inputs: input name -> float array (n, ...); quantized here with each tensor's own scale.
    Returns output name -> float32 (n, ...), dequantized.
    """
    interpreter = make_interpreter(model_bytes, threads)
    runner = interpreter.get_signature_runner(SIGNATURE)
    input_details, output_details = runner.get_input_details(), runner.get_output_details()
    count = len(next(iter(inputs.values())))
    results: dict[str, list[np.ndarray]] = {name: [] for name in output_details}
    for row in range(count):
        feed = {
            name: quantize(np.asarray(inputs[name][row : row + 1], np.float32), detail)
            for name, detail in input_details.items()
        }
        for name, value in runner(**feed).items():
            results[name].append(dequantize(value[0], output_details[name]))
    return {name: np.stack(values) for name, values in results.items()}


def quantize(values: np.ndarray, detail: Mapping[str, Any]) -> np.ndarray:
    """Quantize float32 values with a tensor's own scale and zero point; floats pass through."""
    scale, zero_point = detail['quantization']
    dtype = np.dtype(detail['dtype'])
    if scale == 0.0 or dtype.kind == 'f':
        return values.astype(dtype, copy=False)
    limits = np.iinfo(dtype)
    steps: np.ndarray = np.clip(np.round(values / scale) + zero_point, limits.min, limits.max)
    return steps.astype(dtype)


def dequantize(values: np.ndarray, detail: Mapping[str, Any]) -> np.ndarray:
    """Return a tensor's values as float32."""
    scale, zero_point = detail['quantization']
    if scale == 0.0 or np.dtype(detail['dtype']).kind == 'f':
        return np.asarray(values, np.float32)
    real: np.ndarray = (values.astype(np.float32) - np.float32(zero_point)) * np.float32(scale)
    return real
