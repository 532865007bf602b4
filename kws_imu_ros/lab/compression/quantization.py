"""
Conversion of tf_keras models to TensorFlow Lite: float32, float16, dynamic range, int8, int8 QAT.

Every function returns the bytes of a ``.tflite`` file whose only signature, ``serving_default``,
carries the names of the model's inputs and outputs; the run time looks tensors up by those names.
The flatbuffer is compacted (`compaction.compact`): fewer bytes, the same outputs to the bit.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping

# tfmot wraps tf_keras only; the switch must be set before TensorFlow is first imported.
os.environ.setdefault('TF_USE_LEGACY_KERAS', '1')
os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')

import numpy as np
import tensorflow as tf
import tf_keras

from kws_imu_ros.console.native_output import silenced
from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.lab.architectures.depthwise import DepthwiseConv2D, exporting
from kws_imu_ros.lab.compression.compaction import compact
from kws_imu_ros.model.signature_runner import SIGNATURE, read_signature

_OUTPUT_ONLY = ('AxisMean', 'Average', 'Maximum', 'Multiply', 'Subtract')

Calibration = Callable[[], Iterator[dict[str, np.ndarray]]]


def calibration_from_arrays(
    inputs: Mapping[str, np.ndarray], samples: int = 200, seed: int = 0
) -> Calibration:
    """
    Return a calibration generator that draws rows of arrays without replacement.

    inputs: input name -> float array (n, ...), all with the same n and in the same order, so that
    a multi-input model sees real pairs. Each call of the result starts the same sequence of
    float32 dictionaries of shape (1, ...) again.

    Raises:
        KwsImuError: no rows, or inputs of different length.

    """
    lengths = {name: len(array) for name, array in inputs.items()}
    if not lengths or min(lengths.values()) == 0:
        raise KwsImuError('Calibration needs at least one sample of every input; none were given.')
    if len(set(lengths.values())) != 1:
        raise KwsImuError(
            f'Calibration inputs differ in length ({lengths}); give the same number of each.'
        )
    count = next(iter(lengths.values()))
    rows = np.random.default_rng(seed).permutation(count)[:samples]

    def generate() -> Iterator[dict[str, np.ndarray]]:
        for row in rows:
            yield {
                name: np.asarray(array[row : row + 1], np.float32) for name, array in inputs.items()
            }

    return generate


@contextlib.contextmanager
def _without_library_warnings() -> Iterator[None]:
    """Silence two warnings that TensorFlow's own code raises and that nobody here can act on."""
    with warnings.catch_warnings():
        warnings.filterwarnings('ignore', message=r'\s*Warning: tf\.lite\.Interpreter')
        warnings.filterwarnings('ignore', message='distutils Version classes')
        yield


def _signature_names(model: tf_keras.Model) -> tuple[dict[str, tuple[int, ...]], list[str]]:
    """Return the input names with their shapes (batch 1) and the output names of a model."""
    inputs = {}
    for name, tensor in zip(model.input_names, model.inputs, strict=True):
        inputs[name] = (1, *tensor.shape[1:])
        if None in inputs[name]:
            raise KwsImuError(
                f"Input '{name}' of model '{model.name}' has the open shape {tensor.shape}; "
                'a model for the robot needs fixed shapes.'
            )
    return inputs, [name.removeprefix('quant_') for name in model.output_names]


def make_converter(model: tf_keras.Model, directory: str) -> tf.lite.TFLiteConverter:
    """Export a model at batch 1 under explicit names and return a converter for it."""
    inputs, outputs = _signature_names(model)
    specs = {name: tf.TensorSpec(shape, tf.float32, name) for name, shape in inputs.items()}

    @tf.function(input_signature=[specs])
    def serve(tensors: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        results = model([tensors[name] for name in inputs], training=False)
        if not isinstance(results, (list, tuple)):
            results = [results]
        return dict(zip(outputs, results, strict=True))

    # A saved model keeps argument names in its signature only if they are keyword arguments.
    def named(**tensors: tf.Tensor) -> dict[str, tf.Tensor]:
        return serve(tensors)

    holder = tf.Module()
    holder.model = model
    with exporting(), silenced():
        concrete = tf.function(named).get_concrete_function(**specs)
        tf.saved_model.save(holder, directory, signatures={SIGNATURE: concrete})
    return tf.lite.TFLiteConverter.from_saved_model(directory, signature_keys=[SIGNATURE])


def _convert(model: tf_keras.Model, configure: Callable[[tf.lite.TFLiteConverter], None]) -> bytes:
    """Convert a model, turn the converter's failures into one sentence, and check the names."""
    with tempfile.TemporaryDirectory() as directory:
        converter = make_converter(model, directory)
        configure(converter)
        try:
            with _without_library_warnings(), silenced():
                model_bytes = converter.convert()
        except Exception as error:
            first = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
            raise KwsImuError(
                f"Model '{model.name}' cannot be converted to TensorFlow Lite: {first}. Replace "
                'the layer it names, or fold normalization before converting.'
            ) from error
    model_bytes = compact(model_bytes)
    verify_signature(model_bytes, *_signature_names(model))
    return model_bytes


def to_float32(model: tf_keras.Model) -> bytes:
    """Return the model as a float32 ``.tflite``, the reference of the quantization table."""
    return _convert(model, lambda converter: None)


def to_float16(model: tf_keras.Model) -> bytes:
    """Return the model with float16 weights; inputs, outputs and arithmetic stay float32."""

    def configure(converter: tf.lite.TFLiteConverter) -> None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = [tf.float16]

    return _convert(model, configure)


def to_dynamic_range(model: tf_keras.Model) -> bytes:
    """
    Return the model with int8 weights and activations quantized on the fly.

    Tensors of fewer than 1024 elements stay float32 (TensorFlow Lite's own rule).
    """

    def configure(converter: tf.lite.TFLiteConverter) -> None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        # tflite-runtime 2.14 cannot run dense layers with a scale for each channel.
        converter._experimental_disable_per_channel_quantization_for_dense_layers = True

    return _convert(model, configure)


def to_int8(model: tf_keras.Model, calibration: Calibration) -> bytes:
    """
    Return the model in int8 throughout, inputs and outputs included, quantized after training.

    calibration: generator function of dictionaries input name -> float32 (1, ...), a few hundred
    real samples, missing modalities included if the model is to see them.

    Raises:
        KwsImuError: an operator has no int8 form, or calibration does not fit the inputs.

    """
    _check_calibration(model, calibration)
    return _convert(model, lambda converter: configure_int8(converter, calibration))


def configure_int8(converter: tf.lite.TFLiteConverter, calibration: Calibration) -> None:
    """Set a converter to int8 throughout, with int8 inputs and outputs."""
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = calibration
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tf.int8
    converter.inference_output_type = tf.int8
    converter._experimental_disable_per_channel_quantization_for_dense_layers = True


def quantization_aware(model: tf_keras.Model) -> tf_keras.Model:
    """
    Return a copy of a model with fake quantization in it, ready to compile and fine-tune.

    Weights are shared in value, not in storage: the argument is not changed by training the copy.
    Layers that only compute with activations (`_OUTPUT_ONLY`), which tfmot does not know, get fake
    quantization of their output.

    Raises:
        KwsImuError: a layer that tfmot cannot quantize; fold normalization first.

    """
    with _without_library_warnings():
        import tensorflow_model_optimization as tfmot

    keras = tfmot.quantization.keras

    class OutputOnly(keras.QuantizeConfig):
        """Quantize what a layer without weights gives, as int8 arithmetic does."""

        def get_weights_and_quantizers(self, layer):
            return []

        def get_activations_and_quantizers(self, layer):
            return []

        def set_quantize_weights(self, layer, quantize_weights):
            pass

        def set_quantize_activations(self, layer, quantize_activations):
            pass

        def get_output_quantizers(self, layer):
            return [
                keras.quantizers.MovingAverageQuantizer(
                    num_bits=8, per_axis=False, symmetric=False, narrow_range=False
                )
            ]

        def get_config(self):
            return {}

    def annotate(layer: tf_keras.layers.Layer) -> tf_keras.layers.Layer:
        if isinstance(layer, tf_keras.layers.InputLayer):
            return layer
        if isinstance(layer, DepthwiseConv2D):
            # tfmot tells layers by their very class: ours would be quantized before its ReLU.
            weights, shape = layer.get_weights(), layer.input_shape
            layer = tf_keras.layers.DepthwiseConv2D.from_config(layer.get_config())
            layer.build(shape)
            layer.set_weights(weights)
        config = OutputOnly() if type(layer).__name__ in _OUTPUT_ONLY else None
        return keras.quantize_annotate_layer(layer, config)

    try:
        annotated = tf_keras.models.clone_model(model, clone_function=annotate)
        with keras.quantize_scope({'OutputOnly': OutputOnly}):
            aware = keras.quantize_apply(annotated)
    except (RuntimeError, ValueError, NotImplementedError) as error:
        first = str(error).strip().splitlines()[0]
        raise KwsImuError(
            f"Model '{model.name}' cannot be trained quantization-aware: {first} "
            'Fold normalization and replace custom layers first.'
        ) from error
    for wrapper in aware.layers:
        layer = getattr(wrapper, 'layer', None)
        if type(layer) is tf_keras.layers.DepthwiseConv2D:
            layer.__class__ = DepthwiseConv2D  # The same layer, now to train on every processor.
    return aware


def to_int8_aware(model: tf_keras.Model) -> bytes:
    """
    Return a model made by `quantization_aware` in int8 with int8 inputs and outputs.

    Ranges come from the fake-quantization nodes learnt in training, so no calibration is needed.
    """

    def configure(converter: tf.lite.TFLiteConverter) -> None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.inference_input_type = tf.int8
        converter.inference_output_type = tf.int8
        converter._experimental_disable_per_channel_quantization_for_dense_layers = True

    return _convert(model, configure)


def _check_calibration(model: tf_keras.Model, calibration: Calibration) -> None:
    """Raise KwsImuError where the first calibration sample does not fit the model's inputs."""
    inputs, _ = _signature_names(model)
    sample = next(iter(calibration()), None)
    if sample is None:
        raise KwsImuError('Calibration needs at least one sample of every input; none were given.')
    shapes = {name: tuple(np.shape(array)) for name, array in sample.items()}
    if shapes != inputs:
        raise KwsImuError(
            f"Calibration gives {shapes} but model '{model.name}' takes {inputs}; "
            'match names and shapes.'
        )


def verify_signature(
    model_bytes: bytes, inputs: Mapping[str, tuple[int, ...]], outputs: Iterable[str]
) -> None:
    """
    Check that ``serving_default`` carries just these input names with shapes and output names.

    Raises:
        KwsImuError: the conversion lost a name or changed a shape.

    """
    found = read_signature(model_bytes)
    shapes = {name: spec.shape for name, spec in found.inputs.items()}
    names = set(found.outputs)
    if shapes != dict(inputs) or names != set(outputs):
        raise KwsImuError(
            f'Conversion changed the signature: wanted inputs {dict(inputs)} and outputs '
            f'{sorted(outputs)}, got {shapes} and {sorted(names)}.'
        )
