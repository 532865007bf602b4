"""Every architecture trains on processors whose TensorFlow knows no unequal depthwise strides."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('tensorflow', reason='the training extras are not installed')

import tensorflow as tf
import tf_keras
from ai_edge_litert import schema_py_generated as schema

from kws_imu_ros.lab.architectures import ARCHITECTURES, build, depthwise
from kws_imu_ros.lab.architectures.keras_graph import copy_layer
from kws_imu_ros.lab.compression import quantization
from kws_imu_ros.model.signature_runner import run_signature

# Rows, columns, kernel, strides and padding: even and odd sizes, kernels, remainders.
CASES = (
    (7, 10, (1, 3), (1, 2), 'same'),
    (7, 9, (1, 3), (1, 2), 'same'),
    (8, 10, (3, 3), (1, 2), 'same'),
    (8, 9, (3, 3), (2, 1), 'same'),
    (7, 10, (4, 2), (2, 3), 'same'),
    (8, 9, (2, 5), (3, 2), 'same'),
    (8, 10, (1, 1), (3, 4), 'same'),
    (7, 9, (5, 4), (1, 4), 'same'),
    (10, 1, (5, 1), (2, 1), 'same'),
    (1, 9, (3, 4), (1, 3), 'same'),
    (8, 10, (3, 3), (1, 2), 'valid'),
    (7, 9, (2, 4), (3, 2), 'valid'),
)
# An architecture for each kernel that is strided in one direction of an image; the others have the
# same kernels, or are in sequences, or have equal strides.
IMAGES = {'bc_resnet': (1, 3), 'ds_tc_resnet': (3, 3)}


def images(columns: int, rows: int = 49, count: int = 2) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(count, rows, columns)).astype(np.float32)


def results_of_cases() -> dict[str, np.ndarray]:
    """Return output and gradients of our layer in every case, eagerly and from a graph."""
    calls = {}
    for rows, columns, kernel, strides, padding in CASES:
        tf_keras.utils.set_random_seed(2)
        layer = depthwise.DepthwiseConv2D(
            kernel,
            strides=strides,
            padding=padding,
            depth_multiplier=2,
            activation='tanh',
            bias_initializer='ones',
        )
        x = tf.constant(images(columns, rows)[..., None] * np.float32([1.0, -0.5, 2.0]))
        layer.build(x.shape)
        calls[f'{rows}x{columns} {kernel} {strides} {padding}'] = layer, x

    def step() -> dict[str, tf.Tensor]:
        results = {}
        for name, (layer, x) in calls.items():
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = layer(x)
            results[f'{name} output'] = y
            sources = (x, *layer.trainable_variables)
            for source, gradient in zip(('x', 'kernel', 'bias'), tape.gradient(y, sources)):
                results[f'{name} gradient of {source}'] = gradient
        return results

    ways = {'eager': step(), 'graph': tf.function(step)()}
    return {f'{k} {way}': v.numpy() for way, values in ways.items() for k, v in values.items()}


def strided_layers(model: tf_keras.Model) -> list[depthwise.DepthwiseConv2D]:
    """Return the layers whose strides over an image are unequal, in their order."""
    return [
        layer
        for layer in model.layers
        if isinstance(layer, depthwise.DepthwiseConv2D)
        and len(set(layer.strides)) > 1
        and 1 not in layer.input_shape[1:3]
    ]


def train_a_step(name: str) -> None:
    """Train one step of an architecture and check that it learnt something."""
    tf_keras.utils.set_random_seed(1)
    model = build(name, {'classes': 3, 'width': 0.25, 'norm': 'none'})
    kernels = {layer.kernel_size for layer in strided_layers(model)}
    assert kernels <= set(IMAGES.values()), f'{name}: convert one with such a kernel below'
    assert name not in IMAGES or IMAGES[name] in kernels, name
    inputs = [
        images(*reversed(i.shape[1:])) if len(i.shape) == 3 else np.ones((2, 16000), 'f4')
        for i in model.inputs
    ]
    # Eagerly, since a graph for one step takes far longer; the cases above are in graphs too.
    loss = 'sparse_categorical_crossentropy'
    model.compile(tf_keras.optimizers.SGD(0.01), loss, run_eagerly=True)
    before = model.get_weights()
    assert np.isfinite(model.train_on_batch(inputs, np.array([0, 1]))), name
    assert any(np.any(a != b) for a, b in zip(before, model.get_weights(), strict=True)), name


def child(directory: Path) -> None:
    """Do everything that depends on TensorFlow's kernels; write what the test compares."""
    results = results_of_cases()
    results['native'] = np.array(depthwise.takes_unequal_strides())
    if os.environ['TF_ENABLE_ONEDNN_OPTS'] == '0':
        for name in ARCHITECTURES:
            train_a_step(name)
        for name in IMAGES:
            tf_keras.utils.set_random_seed(1)
            whole = build(name, {'classes': 3, 'width': 0.25, 'norm': 'none', 'output': 'logits'})
            # What follows the last such convolution takes long to convert.
            model = tf_keras.Model(whole.inputs, strided_layers(whole)[-1].output)
            inputs = {'input': 30.0 * images(40, count=4)}
            calibration = quantization.calibration_from_arrays(inputs)
            (directory / f'{name}.tflite').write_bytes(quantization.to_int8(model, calibration))
            results[name] = model(inputs['input']).numpy()
    np.savez(directory / 'results.npz', **results)


def run_child(processes, directory: Path, onednn: str) -> dict[str, np.ndarray]:
    directory.mkdir()
    # A graphics card has kernels of its own.
    environment = {'TF_ENABLE_ONEDNN_OPTS': onednn, 'CUDA_VISIBLE_DEVICES': '-1'}
    started = processes.start(__file__, directory, environment=environment)
    assert started.wait(540.0) == 0, started.output
    return dict(np.load(directory / 'results.npz'))


def depthwise_strides(model_bytes: bytes) -> set[tuple[int, int]]:
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(model_bytes, 0))
    wanted = schema.BuiltinOperator.DEPTHWISE_CONV_2D
    return {
        (operator.builtinOptions.strideH, operator.builtinOptions.strideW)
        for operator in model.subgraphs[0].operators
        if model.operatorCodes[operator.opcodeIndex].builtinCode == wanted
    }


def test_every_architecture_trains_where_unequal_strides_are_unknown(processes, tmp_path):
    """Compare a process whose TensorFlow lacks the kernel with one that has it."""
    plain = run_child(processes, tmp_path / 'plain', '0')
    native = run_child(processes, tmp_path / 'native', '1')
    # Where this fails, TensorFlow's own kernel has learnt it, and our layer can go.
    assert not plain.pop('native')
    if native.pop('native'):
        for name, expected in native.items():
            np.testing.assert_allclose(plain[name], expected, 1e-4, 1e-5, err_msg=name)
    for name in IMAGES:
        model_bytes = (tmp_path / 'plain' / f'{name}.tflite').read_bytes()
        found = run_signature(model_bytes, {'input': 30.0 * images(40, count=4)})
        (outputs,) = found.values()
        error = np.sqrt(np.mean((outputs - plain[name]) ** 2) / np.mean(plain[name] ** 2))
        assert error < 0.1, name
        # One strided operator, as on the robot ever since.
        assert (1, 2) in depthwise_strides(model_bytes), name


def test_quantization_aware_training_and_copies_keep_the_layer():
    inputs = tf_keras.Input((7, 10, 3), name='input')
    ours = depthwise.DepthwiseConv2D(3, strides=(1, 2), padding='same', name='ours')
    keras = tf_keras.layers.DepthwiseConv2D(3, strides=(1, 2), padding='same', name='keras')
    x = tf_keras.layers.ReLU()(ours(inputs))
    y = tf_keras.layers.ReLU()(keras(inputs))
    model = tf_keras.Model(inputs, tf_keras.layers.Concatenate()([x, y]))
    restored = tf_keras.Model.from_config(model.get_config())
    for layer in (copy_layer(ours), restored.get_layer('ours')):
        assert type(layer) is depthwise.DepthwiseConv2D
    aware = quantization.quantization_aware(model)
    wrapped = [aware.get_layer(f'quant_{name}') for name in ('ours', 'keras')]
    assert type(wrapped[0].layer) is depthwise.DepthwiseConv2D
    quantizers = [
        (type(wrapper.quantize_config), [w.name.split('/')[-1] for w in wrapper.weights])
        for wrapper in wrapped
    ]
    assert quantizers[0] == quantizers[1]
    for wrapper, layer in zip(wrapped, (ours, keras), strict=True):
        for found, expected in zip(wrapper.layer.get_weights(), layer.get_weights(), strict=True):
            np.testing.assert_array_equal(found, expected)


if __name__ == '__main__':
    child(Path(sys.argv[1]))
