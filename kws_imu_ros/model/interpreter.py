"""Run a bundle's int8 network on LiteRT or tflite-runtime."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np

from kws_imu_ros.console.native_output import silenced
from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.model.bundle import DTYPE_RANGES, HEADS, Bundle
from kws_imu_ros.model.outputs import Posteriors

# LiteRT first: the same model runs about 15 times faster on it than on tflite-runtime 2.14.
RUNTIMES = {
    'litert': ('ai_edge_litert.interpreter', 'ai-edge-litert'),
    'tflite_runtime': ('tflite_runtime.interpreter', 'tflite-runtime'),
}


def _load_runtime(runtime: str) -> tuple[str, type]:
    """Return the name of a runtime and its interpreter class."""
    if runtime != 'auto' and runtime not in RUNTIMES:
        raise KwsImuError(
            f"Runtime '{runtime}' is unknown; choose one of auto, {', '.join(RUNTIMES)}."
        )
    wanted = list(RUNTIMES) if runtime == 'auto' else [runtime]
    problems = []
    for name in wanted:
        module, package = RUNTIMES[name]
        try:
            return name, importlib.import_module(module).Interpreter
        except (ImportError, AttributeError) as error:
            problems.append(f'{package}: {str(error).splitlines()[0] if str(error) else error!r}')
    raise KwsImuError(
        f'No runtime for the model can be imported ({"; ".join(problems)}); '
        f'install {RUNTIMES[wanted[0]][1]} with pip.'
    )


class Interpreter:
    """
    The network of a bundle, ready to infer.

    runtime: name of the runtime in use, 'litert' or 'tflite_runtime'.
    """

    def __init__(self, bundle: Bundle, runtime: str = 'auto', threads: int = 1) -> None:
        """
        Load the network and run it once, so that the first real hop is as fast as the others.

        runtime: 'auto', 'litert' or 'tflite_runtime'. threads: threads of one inference; the
        network is small, more than 1 costs more than it gains.

        Raises:
            KwsImuError: no runtime is installed, or the runtime cannot run the model.

        """
        self.bundle = bundle
        self.manifest = bundle.manifest
        self.runtime, interpreter_class = _load_runtime(runtime)
        where = bundle.path or f'{self.manifest.name} {self.manifest.version}'
        if isinstance(threads, bool) or not isinstance(threads, int) or not 1 <= threads <= 64:
            raise KwsImuError(f'{threads!r} threads make no sense; give a number from 1 to 64.')
        try:
            with silenced():
                self._native = interpreter_class(
                    model_content=bundle.model_bytes, num_threads=threads
                )
                self._native.allocate_tensors()
                runner = self._native.get_signature_runner(self.manifest.signature)
                inputs, outputs = runner.get_input_details(), runner.get_output_details()
                # The runner holds on to the native interpreter, which then refuses to run.
                del runner
        except (RuntimeError, ValueError, KeyError) as error:
            problem = ' '.join(str(error).split())[:160]
            raise KwsImuError(
                f'The model of {where} does not run on {RUNTIMES[self.runtime][1]} ({problem}); '
                'update the runtime or train the model again.'
            ) from error
        front_end, imu = self.manifest.front_end, self.manifest.imu
        divisors = np.repeat([imu.acceleration_divisor, imu.angular_velocity_divisor], 3)
        self._log_mel = _Input(
            inputs['log_mel'], front_end.offset, front_end.scale, front_end.silence
        )
        self._imu = _Input(inputs['imu'], 0.0, divisors, 0.0)
        self._outputs = [_Output(outputs[head]) for head in HEADS]
        with silenced():
            self.infer(None, None)

    def infer(self, log_mel: np.ndarray | None, imu: np.ndarray | None) -> Posteriors:
        """
        Return the posteriors of one window.

        log_mel: float (frames, mel_bins) as the front end gives it, None without audio.
        imu: float (length, 6) in m/s^2 and rad/s, None without IMU.
        NaN counts as silence or as no motion; infinity as a very large number.

        Raises:
            KwsImuError: an array has another shape, or the runtime failed.

        """
        native = self._native
        native.set_tensor(self._log_mel.index, self._log_mel.encode(log_mel, 'log_mel'))
        native.set_tensor(self._imu.index, self._imu.encode(imu, 'imu'))
        try:
            native.invoke()
        except RuntimeError as error:
            raise KwsImuError(
                f'The model failed to run: {" ".join(str(error).split())}.'
            ) from error
        return Posteriors(*(output.decode(native.get_tensor) for output in self._outputs))


class _Input:
    """Turns real values into what an input tensor stores."""

    def __init__(
        self, details: dict[str, Any], offset: float, divisor: Any, missing: float
    ) -> None:
        """Prepare for ``(value - offset) / divisor``; `missing` stands in for NaN."""
        self.index = details['index']
        self._shape = tuple(int(size) for size in details['shape'])
        self._dtype = np.dtype(details['dtype'])
        self._missing = missing
        self.absent = np.full(self._shape[1:], missing, np.float32)
        scale, zero_point = details['quantization']
        # One multiplication and one addition take a real value to its stored one.
        self._gain = np.float32(1.0 / (np.float64(divisor) * (scale if scale > 0.0 else 1.0)))
        self._bias = np.float32(zero_point - offset * self._gain)
        self._low, self._high = DTYPE_RANGES[self._dtype.name]

    def encode(self, values: np.ndarray | None, name: str) -> np.ndarray:
        """Return values as the tensor stores them, with the batch dimension in front."""
        values = self.absent if values is None else np.asarray(values, np.float32)
        if values.shape != self._shape[1:]:
            raise KwsImuError(
                f'The window for {name} has the shape {values.shape} but the model needs '
                f'{self._shape[1:]}; use the front end and the IMU window of the bundle.'
            )
        if not np.isfinite(values).all():
            values = np.nan_to_num(values, nan=self._missing, posinf=1e9, neginf=-1e9)
        stored: np.ndarray = values * self._gain
        stored += self._bias
        if self._dtype == np.float32:
            return stored[None]
        np.rint(stored, out=stored)
        np.minimum(stored, self._high, out=stored)
        np.maximum(stored, self._low, out=stored)
        return stored.astype(self._dtype)[None]


class _Output:
    """Turns what an output tensor stores into a posterior."""

    def __init__(self, details: dict[str, Any]) -> None:
        self._index = details['index']
        scale, zero_point = details['quantization']
        self._scale = np.float32(scale if scale > 0.0 else 1.0)
        self._zero_point = np.float32(zero_point)

    def decode(self, get_tensor: Callable[[int], np.ndarray]) -> np.ndarray:
        """Return the posterior, float32 (labels,)."""
        stored: np.ndarray = get_tensor(self._index)[0].astype(np.float32)
        posterior: np.ndarray = (stored - self._zero_point) * self._scale
        return posterior
