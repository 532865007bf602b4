"""Every architecture builds from its name, converts to full int8 and says what it said in float."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip('tensorflow', reason='the training extras are not installed')

from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.lab.architectures import ARCHITECTURES, build
from kws_imu_ros.lab.architectures.voice.conv1d_mfcc import cosine_transform
from kws_imu_ros.lab.compression import quantization
from kws_imu_ros.lab.compression.quantization import tf_keras
from kws_imu_ros.lab.evaluation.complexity import operator_name
from kws_imu_ros.model.signature_runner import run_signature
from kws_imu_ros.model.tflite_file import read_tflite

# TensorFlow Lite Micro and XNNPACK have all of these in int8.
INT8_OPERATORS = {
    'ADD',
    'BATCH_MATMUL',
    'CONCATENATION',
    'CONV_2D',
    'DEPTHWISE_CONV_2D',
    'FULLY_CONNECTED',
    'MAX_POOL_2D',
    'MEAN',
    'RESHAPE',
    'SOFTMAX',
    'STRIDED_SLICE',
    'TRANSPOSE',
    'UNIDIRECTIONAL_SEQUENCE_LSTM',
}


def random_inputs(model: tf_keras.Model, count: int = 8) -> dict[str, np.ndarray]:
    """
    Return inputs that bring activations of an untrained network to those of a trained one.

    TensorFlow Lite's int8 LSTM needs that: below 0.1 or so its cell state has no bits left.
    """
    rng = np.random.default_rng(0)
    return {
        i.name: rng.normal(0.0, 30.0, size=(count, *i.shape[1:])).astype(np.float32)
        for i in model.inputs
    }


@pytest.mark.parametrize('name', sorted(ARCHITECTURES))
def test_small_and_large_build_with_every_normalization(name):
    small = build(name, {'classes': 7, 'norm': 'batch'})
    assert small.output_shape == (None, 7)
    assert len(small.get_layer('embedding').output.shape) == 2
    assert build(name, {'size': 'large', 'norm': 'group'}).count_params() > small.count_params()
    assert not any(
        isinstance(layer, tf_keras.layers.BatchNormalization)
        for layer in build(name, {'norm': 'none'}).layers
    )


@pytest.mark.parametrize('name', sorted(ARCHITECTURES))
def test_int8_model_agrees_with_float_and_uses_only_common_operators(name):
    tf_keras.utils.set_random_seed(1)
    # The raw-audio network is slow; half the width proves the same.
    model = build(name, {'classes': 4, 'width': 0.5, 'norm': 'none', 'output': 'logits'})
    inputs = random_inputs(model)
    model_bytes = quantization.to_int8(model, quantization.calibration_from_arrays(inputs))
    graph = read_tflite(model_bytes).main
    assert set(map(operator_name, graph.operators)) <= INT8_OPERATORS
    # Not all tensors of the file: an LSTM also lists its inner scales as four that nobody reads.
    used = {i for operator in graph.operators for i in (*operator.inputs, *operator.outputs)}
    assert not [i for i in used if i >= 0 and graph.tensors[i].spec.dtype == 'float32']
    arrays = [inputs[i.name] for i in model.inputs]
    expected = model(arrays if len(arrays) > 1 else arrays[0]).numpy()
    (found,) = run_signature(model_bytes, inputs).values()
    error = np.sqrt(np.mean((found - expected) ** 2) / np.mean(expected**2))
    # An int8 LSTM rounds its state at each of 25 steps.
    assert error < (0.35 if name == 'crnn' else 0.1)


def test_prefix_lets_two_branches_live_in_one_model():
    voice = build('ds_cnn', {'prefix': 'voice_'})
    imu = build('imu_conv1d', {'prefix': 'imu_', 'classes': 5})
    both = tf_keras.layers.Concatenate()(
        [voice.get_layer('voice_embedding').output, imu.get_layer('imu_embedding').output]
    )
    intent = tf_keras.layers.Dense(9, name='intent')(both)
    model = tf_keras.Model(voice.inputs + imu.inputs, [voice.output, imu.output, intent])
    assert model.output_shape == [(None, 10), (None, 5), (None, 9)]


def test_width_scales_channels_and_logits_leave_out_the_softmax():
    whole = build('ds_cnn', {'output': 'logits'})
    half = build('ds_cnn', {'output': 'logits', 'width': 0.5})
    assert (
        half.get_layer('embedding').output.shape[-1] * 2
        == (whole.get_layer('embedding').output.shape[-1])
    )
    assert whole.layers[-1].name == 'logits'


def test_cosine_transform_is_the_orthonormal_dct():
    fft = pytest.importorskip('scipy.fft')
    frame = np.random.default_rng(0).normal(size=40).astype(np.float32)
    np.testing.assert_allclose(
        frame @ cosine_transform(40), fft.dct(frame, norm='ortho')[:13], atol=1e-5
    )


@pytest.mark.parametrize(
    ('name', 'config', 'message'),
    [
        ('resnet', {}, "architecture 'resnet' is unknown"),
        ('ds_cnn', {'depth': 3}, "'depth' is unknown"),
        ('ds_cnn', {'norm': 'layer'}, 'norm is'),
        ('ds_cnn', {'classes': 1}, 'classes is 1'),
        ('ds_cnn', {'dropout': 1.0}, 'dropout is 1.0'),
        ('ds_cnn', {'input_shape': (16000,)}, 'input_shape is'),
    ],
)
def test_a_wrong_configuration_is_one_clear_sentence(name, config, message):
    with pytest.raises(KwsImuError, match=message):
        build(name, config)
