"""What is counted on a Keras model is what TensorFlow Lite runs."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip('tensorflow', reason='the training extras are not installed')

from kws_imu_ros.lab.architectures import build
from kws_imu_ros.lab.architectures.complexity import count
from kws_imu_ros.lab.compression import quantization
from kws_imu_ros.lab.compression.quantization import tf_keras
from kws_imu_ros.lab.evaluation.complexity import count_tflite, plan_arena
from kws_imu_ros.model.signature_runner import make_interpreter
from kws_imu_ros.model.tflite_file import read_tflite

# Convolutions of both kinds, residual sums, dense, pooling; recurrent; attention.
NAMES = ('ds_cnn', 'imu_conv1d', 'crnn', 'attention')


def int8_model(name: str) -> tuple[tf_keras.Model, bytes]:
    rng = np.random.default_rng(0)
    model = build(name, {'norm': 'none', 'width': 0.5})
    for layer in model.layers:
        # Zero biases would be left out of the file.
        layer.set_weights([0.1 * rng.normal(size=array.shape) for array in layer.get_weights()])
    shape = model.input_shape[1:]
    samples = {model.input_names[0]: rng.normal(size=(4, *shape)).astype(np.float32)}
    return model, quantization.to_int8(model, quantization.calibration_from_arrays(samples))


@pytest.fixture(scope='module', params=NAMES)
def pair(request) -> tuple[tf_keras.Model, bytes]:
    return int8_model(request.param)


def test_keras_count_equals_the_converted_graph(pair):
    model, model_bytes = pair
    keras, lite = count(model), count_tflite(model_bytes)
    assert keras.macs == lite.macs
    assert keras.parameters == lite.parameters
    assert lite.bytes == len(model_bytes)
    # Converter and planner differ in small buffers of recurrent layers only.
    assert keras.arena_bytes == pytest.approx(lite.arena_bytes, rel=0.02)
    # Attention brings a few more operators than it has layers.
    assert keras.bytes == pytest.approx(lite.bytes, rel=0.06)


def test_macs_equal_those_of_the_tensors_the_interpreter_holds(pair):
    _, model_bytes = pair
    interpreter = make_interpreter(model_bytes)
    shapes = {d['index']: d['shape'] for d in interpreter.get_tensor_details()}
    macs = 0
    for operator in interpreter._get_ops_details():
        inputs = [shapes.get(i) for i in operator['inputs']]
        outputs = [shapes.get(i) for i in operator['outputs']]
        if operator['op_name'] == 'CONV_2D':
            macs += np.prod(outputs[0]) * np.prod(inputs[1][1:])
        elif operator['op_name'] == 'DEPTHWISE_CONV_2D':
            macs += np.prod(outputs[0]) * np.prod(inputs[1][1:3])
        elif operator['op_name'] == 'FULLY_CONNECTED':
            macs += np.prod(inputs[0]) * inputs[1][0]
        elif operator['op_name'] == 'BATCH_MATMUL':
            # All products of shape (rows, inner) x (inner, columns), whichever side is turned.
            left, right, out = (np.prod(s) for s in (inputs[0], inputs[1], outputs[0]))
            heads = outputs[0][1]
            macs += round(np.sqrt(left * right * out / heads))
        elif operator['op_name'] == 'UNIDIRECTIONAL_SEQUENCE_LSTM':
            kernels = [s for s in inputs[1:9] if s is not None]
            macs += inputs[0][1] * sum(np.prod(s) for s in kernels)
    assert count_tflite(model_bytes).macs == macs


def test_arena_holds_the_largest_operator_and_is_less_than_no_sharing(pair):
    _, model_bytes = pair
    graph = read_tflite(model_bytes).main
    computed = {i: t.bytes for i, t in enumerate(graph.tensors) if not t.constant_bytes}
    at_once = max(
        sum(computed.get(i, 0) for i in {*operator.inputs, *operator.outputs})
        for operator in graph.operators
    )
    arena = count_tflite(model_bytes).arena_bytes
    assert at_once <= arena < sum(computed.values())


def test_normalization_parameters_count_but_running_statistics_do_not():
    model = build('ds_cnn', {'norm': 'batch'})
    assert count(model).parameters == sum(int(np.prod(w.shape)) for w in model.trainable_variables)


def test_arena_reuses_what_is_no_longer_needed():
    # 0 and 2 never live together; 1 overlaps both.
    assert plan_arena([(64, 0, 1), (32, 1, 2), (64, 2, 3)]) == 96
    assert plan_arena([(1, 0, 0)]) == 16
    assert plan_arena([]) == 0
