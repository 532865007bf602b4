"""Conversion keeps names, stays close to float on real speech, and comes out small."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('tensorflow', reason='the training extras are not installed')

from kws_imu_ros.audio.frontend import FrontEndParameters, log_mel
from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.lab.compression import quantization
from kws_imu_ros.lab.compression.compaction import compact
from kws_imu_ros.lab.compression.quantization import tf_keras
from kws_imu_ros.lab.data.speech_data import fit_clip, read_audio
from kws_imu_ros.model.signature_runner import read_signature, run_signature
from kws_imu_ros.model.tflite_file import read_tflite

WORDS = ('cat', 'left', 'stop')
OUTPUTS = ('voice', 'gesture')


def build_model() -> tf_keras.Model:
    """Build a two-input, two-head model with a convolution, a depthwise one and dense layers."""
    layers = tf_keras.layers
    tf_keras.utils.set_random_seed(3)
    log_mel_input = tf_keras.Input((49, 40), name='log_mel')
    imu_input = tf_keras.Input((100, 6), name='imu')
    x = layers.Reshape((49, 40, 1))(log_mel_input)
    x = layers.Conv2D(16, (10, 4), strides=2, padding='same', activation='relu')(x)
    x = layers.DepthwiseConv2D(3, padding='same', activation='relu')(x)
    x = layers.Conv2D(24, 3, strides=2, activation='relu')(x)
    x = layers.GlobalAveragePooling2D()(x)
    y = layers.Reshape((100, 1, 6))(imu_input)
    y = layers.Conv2D(8, (5, 1), strides=(4, 1), activation='relu')(y)
    y = layers.GlobalAveragePooling2D()(y)
    voice = layers.Dense(3, activation='softmax', name='voice')(x)
    fused = layers.Concatenate()([x, y])
    gesture = layers.Dense(2, activation='softmax', name='gesture')(fused)
    return tf_keras.Model([log_mel_input, imu_input], [voice, gesture], name='two_heads')


@pytest.fixture(scope='module')
def recordings(test_data: Path) -> tuple[dict[str, np.ndarray], list[np.ndarray]]:
    """Return real log-mel windows with real IMU windows, and one-hot targets of both heads."""
    parameters = FrontEndParameters()
    imu = np.loadtxt(test_data / 'hapt' / 'acc_exp01_user01.txt.gz', dtype=np.float32)
    gyro = np.loadtxt(test_data / 'hapt' / 'gyro_exp01_user01.txt.gz', dtype=np.float32)
    motion = np.concatenate((imu, gyro / 4.0), axis=1)
    windows, motions, labels = [], [], []
    for label, word in enumerate(WORDS):
        for path in sorted((test_data / 'speech_commands' / word).glob('*.ogg')):
            clip = fit_clip(read_audio(path))
            for shift in (-800, 0, 800):
                features = log_mel(np.roll(clip, shift), parameters)[: parameters.frames]
                features = np.pad(
                    features,
                    ((0, parameters.frames - len(features)), (0, 0)),
                    constant_values=parameters.silence,
                )
                windows.append((features - parameters.offset) / parameters.scale)
                start = 35 * len(motions)
                motions.append(motion[start : start + 100])
                labels.append(label)
    inputs = {'log_mel': np.stack(windows), 'imu': np.stack(motions)}
    labels = np.array(labels)
    return inputs, [np.eye(3)[labels], np.eye(2)[(labels == 1).astype(int)]]


@pytest.fixture(scope='module')
def model(recordings) -> tf_keras.Model:
    """Return the model after a few steps on the real recordings, so that it has opinions."""
    inputs, targets = recordings
    built = build_model()
    built.compile(tf_keras.optimizers.Adam(3e-3), ['categorical_crossentropy'] * 2)
    built.fit([inputs['log_mel'], inputs['imu']], targets, epochs=25, batch_size=12, verbose=0)
    return built


def difference(model_bytes: bytes, model: tf_keras.Model, inputs: dict) -> float:
    """Return the largest difference of a posterior from the float model's."""
    wanted = dict(zip(OUTPUTS, model.predict(list(inputs.values()), verbose=0), strict=True))
    found = run_signature(model_bytes, inputs)
    return max(float(np.abs(found[name] - wanted[name]).max()) for name in OUTPUTS)


@pytest.fixture(scope='module')
def int8(model, recordings) -> bytes:
    """Return the int8 conversion."""
    return quantization.to_int8(model, quantization.calibration_from_arrays(recordings[0]))


def test_the_float_conversion_gives_the_outputs_of_the_model(model, recordings):
    assert difference(quantization.to_float32(model), model, recordings[0]) < 1e-5


def test_every_precision_keeps_names_and_comes_close_on_real_speech(model, recordings, int8):
    inputs, targets = recordings
    float32 = quantization.to_float32(model)
    float16 = quantization.to_float16(model)
    dynamic = quantization.to_dynamic_range(model)
    for model_bytes, tolerance in ((float16, 0.01), (dynamic, 0.05), (int8, 0.12)):
        assert difference(model_bytes, model, inputs) < tolerance
        assert len(model_bytes) < len(float32)
        found = read_signature(model_bytes)
        assert {name: spec.shape for name, spec in found.inputs.items()} == {
            'log_mel': (1, 49, 40),
            'imu': (1, 100, 6),
        }
        assert set(found.outputs) == set(OUTPUTS)
    correct = run_signature(int8, inputs)['voice'].argmax(1) == targets[0].argmax(1)
    assert correct.mean() > 0.8  # It learnt something, so closeness to float means something.


def test_int8_has_int8_inputs_and_outputs_and_no_float_operator(int8):
    signature = read_signature(int8)
    specs = [*signature.inputs.values(), *signature.outputs.values()]
    assert {spec.dtype for spec in specs} == {'int8'}
    assert all(spec.scale > 0 for spec in specs)
    # A softmax head always quantizes to steps of 1/256 from 0.
    assert {(spec.scale, spec.zero_point) for spec in specs[2:]} == {(1 / 256, -128)}
    dtypes = {tensor.spec.dtype for tensor in read_tflite(int8).main.tensors}
    assert 'float32' not in dtypes


def test_quantization_aware_training_converts_without_calibration(model, recordings):
    inputs, targets = recordings
    before = [weight.copy() for weight in model.get_weights()]
    aware = quantization.quantization_aware(model)
    aware.compile(tf_keras.optimizers.Adam(1e-3), ['categorical_crossentropy'] * 2)
    aware.fit(list(inputs.values()), targets, epochs=5, batch_size=12, verbose=0)
    model_bytes = quantization.to_int8_aware(aware)
    signature = read_signature(model_bytes)
    specs = [*signature.inputs.values(), *signature.outputs.values()]
    assert {spec.dtype for spec in specs} == {'int8'}
    assert set(signature.outputs) == set(OUTPUTS)
    found = run_signature(model_bytes, inputs)
    assert (found['voice'].argmax(1) == targets[0].argmax(1)).mean() > 0.8
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)  # The float model is left as it was.


def test_compacting_again_changes_neither_bytes_nor_outputs(int8, recordings):
    again = compact(int8)
    assert again == int8
    inputs = {name: values[:4] for name, values in recordings[0].items()}
    first, second = run_signature(int8, inputs), run_signature(again, inputs)
    for name in OUTPUTS:
        np.testing.assert_array_equal(first[name], second[name])


def test_compacting_saves_a_fifth_of_what_the_converter_wrote(model, recordings, tmp_path):
    calibration = quantization.calibration_from_arrays(recordings[0])
    converter = quantization.make_converter(model, str(tmp_path))
    quantization.configure_int8(converter, calibration)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # TensorFlow warns of a part of its own.
        plain = converter.convert()
    small = compact(plain)
    assert len(small) < 0.8 * len(plain)
    inputs = {name: values[:6] for name, values in recordings[0].items()}
    first, second = run_signature(plain, inputs), run_signature(small, inputs)
    for name in OUTPUTS:
        np.testing.assert_array_equal(first[name], second[name])


def test_calibration_repeats_and_pairs_rows(recordings):
    inputs, _ = recordings
    calibration = quantization.calibration_from_arrays(inputs, samples=5)
    first, second = list(calibration()), list(calibration())
    assert len(first) == 5
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a['imu'], b['imu'])
        row = np.flatnonzero((inputs['imu'] == a['imu']).all(axis=(1, 2)))
        assert any(np.array_equal(inputs['log_mel'][r], a['log_mel'][0]) for r in row)


def test_bad_calibration_ends_in_one_sentence(model, recordings):
    with pytest.raises(KwsImuError, match='at least one sample'):
        quantization.calibration_from_arrays({'log_mel': np.empty((0, 49, 40))})
    with pytest.raises(KwsImuError, match='differ in length'):
        quantization.calibration_from_arrays({'a': np.zeros((2, 1)), 'b': np.zeros((3, 1))})
    with pytest.raises(KwsImuError, match='match names and shapes'):
        quantization.to_int8(
            model, quantization.calibration_from_arrays({'log_mel': recordings[0]['log_mel']})
        )


def test_a_layer_that_cannot_be_trained_quantized_is_named():
    inputs = tf_keras.Input((8, 4), name='log_mel')
    x = tf_keras.layers.GroupNormalization(2, name='normalize')(inputs)
    model = tf_keras.Model(inputs, tf_keras.layers.Flatten()(x), name='with_groups')
    with pytest.raises(KwsImuError, match='with_groups'):
        quantization.quantization_aware(model)
