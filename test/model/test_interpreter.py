"""The reader of model files and the interpreter: right numbers, and never a crash."""

import dataclasses
import random
import subprocess
import sys
from pathlib import Path

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.model.bundle import Bundle, load_bundle
from kws_imu_ros.model.interpreter import Interpreter
from kws_imu_ros.model.tflite_file import read_tflite


@pytest.fixture(scope='module')
def bundle(bundle_directory: Path) -> Bundle:
    return load_bundle(bundle_directory)


@pytest.fixture(scope='module')
def interpreter(bundle: Bundle) -> Interpreter:
    return Interpreter(bundle)


@pytest.fixture(scope='module')
def windows(bundle: Bundle) -> tuple[np.ndarray, np.ndarray]:
    """Return a log-mel window and an IMU window within what real ones hold."""
    rng = np.random.default_rng(1)
    front_end, imu = bundle.manifest.front_end, bundle.manifest.imu
    log_mel = rng.normal(-6.0, 3.0, (front_end.frames, front_end.mel_bins)).astype(np.float32)
    motion = rng.normal(0.0, 2.0, (imu.length, 6)).astype(np.float32)
    motion[:, 2] += 9.8
    return log_mel, motion


# The file


def test_the_reader_agrees_with_the_interpreter(bundle: Bundle):
    from ai_edge_litert.interpreter import Interpreter as LiteRt

    native = LiteRt(model_content=bundle.model_bytes)
    runner = native.get_signature_runner('serving_default')
    facts = read_tflite(bundle.model_bytes).signatures['serving_default']
    for details, specs in (
        (runner.get_input_details(), facts.inputs),
        (runner.get_output_details(), facts.outputs),
    ):
        assert set(details) == set(specs)
        for name, entry in details.items():
            assert specs[name].shape == tuple(entry['shape'])
            assert specs[name].dtype == np.dtype(entry['dtype']).name
            assert specs[name].scale == pytest.approx(entry['quantization'][0])
            assert specs[name].zero_point == entry['quantization'][1]


def test_every_truncation_is_noticed(bundle: Bundle):
    size = len(bundle.model_bytes)
    for length in [*range(0, size, size // 400), size - 1]:
        with pytest.raises(KwsImuError):
            read_tflite(bundle.model_bytes[:length])


def test_damage_is_read_or_refused_but_never_crashes(bundle: Bundle):
    rng = random.Random(1)
    refused = 0
    for _ in range(400):
        damaged = bytearray(bundle.model_bytes)
        for _ in range(rng.randrange(1, 20)):
            damaged[rng.randrange(8, len(damaged))] = rng.randrange(256)
        try:
            read_tflite(bytes(damaged))
        except KwsImuError as error:
            assert '\n' not in str(error)
            refused += 1
    assert refused > 50


@pytest.mark.parametrize(
    'content', [b'', b'TFL3', b'\0' * 100, b'\xff\xff\xff\xffTFL3' + b'\xff' * 99]
)
def test_what_is_no_model_is_refused(content: bytes):
    with pytest.raises(KwsImuError):
        read_tflite(content)


# The interpreter


def test_posteriors_are_distributions(interpreter: Interpreter, windows):
    posteriors = interpreter.infer(*windows)
    for head in ('voice', 'gesture', 'intent'):
        posterior = getattr(posteriors, head)
        assert posterior.dtype == np.float32
        assert posterior.shape == (len(interpreter.manifest.labels[head]),)
        assert posterior.min() >= 0.0
        assert posterior.sum() == pytest.approx(1.0, abs=0.05)


def test_input_is_quantized_as_the_tensors_say(bundle: Bundle, interpreter: Interpreter, windows):
    """The same numbers as the plain formula through the plain runtime."""
    from ai_edge_litert.interpreter import Interpreter as LiteRt

    native = LiteRt(model_content=bundle.model_bytes, num_threads=1)
    runner = native.get_signature_runner('serving_default')
    m = bundle.manifest
    divisors = np.repeat([m.imu.acceleration_divisor, m.imu.angular_velocity_divisor], 3)
    stored = {}
    for name, values in (
        ('log_mel', (windows[0] - m.front_end.offset) / m.front_end.scale),
        ('imu', windows[1] / divisors),
    ):
        spec = m.inputs[name]
        exact = values / spec.scale + spec.zero_point
        stored[name] = np.clip(np.rint(exact), -128, 127).astype(spec.dtype)[None]
    outputs = runner(**stored)
    posteriors = interpreter.infer(*windows)
    for head in ('voice', 'gesture', 'intent'):
        spec = m.outputs[head]
        expected = (outputs[head][0].astype(np.float32) - spec.zero_point) * spec.scale
        # Rounding of a value that lies between two steps may differ by one step.
        np.testing.assert_allclose(getattr(posteriors, head), expected, atol=2.5 * spec.scale)


def test_the_same_input_gives_the_same_bytes(bundle: Bundle, interpreter: Interpreter, windows):
    first = interpreter.infer(*windows)
    interpreter.infer(None, None)
    again = interpreter.infer(*windows)
    other = Interpreter(bundle).infer(*windows)
    for head in ('voice', 'gesture', 'intent'):
        assert getattr(first, head).tobytes() == getattr(again, head).tobytes()
        assert getattr(first, head).tobytes() == getattr(other, head).tobytes()


def test_a_missing_sense_is_silence_or_stillness_without_gravity(interpreter: Interpreter, windows):
    m = interpreter.manifest
    silence = np.full(windows[0].shape, m.front_end.silence, np.float32)
    nothing = np.zeros(windows[1].shape, np.float32)
    for given, meant in (
        ((None, windows[1]), (silence, windows[1])),
        ((windows[0], None), (windows[0], nothing)),
        ((None, None), (silence, nothing)),
    ):
        left, right = interpreter.infer(*given), interpreter.infer(*meant)
        for head in ('voice', 'gesture', 'intent'):
            np.testing.assert_array_equal(getattr(left, head), getattr(right, head))


def test_what_is_no_number_counts_as_nothing(interpreter: Interpreter, windows):
    everything = interpreter.infer(windows[0] * np.nan, windows[1] * np.nan)
    nothing = interpreter.infer(None, None)
    np.testing.assert_array_equal(everything.intent, nothing.intent)
    endless = interpreter.infer(windows[0] + np.inf, windows[1] - np.inf)
    assert np.isfinite(endless.intent).all()


def test_a_window_of_another_shape_is_refused(interpreter: Interpreter, windows):
    with pytest.raises(KwsImuError, match='log_mel has the shape'):
        interpreter.infer(windows[0][:-1], windows[1])
    with pytest.raises(KwsImuError, match='imu has the shape'):
        interpreter.infer(windows[0], windows[1][:, :3])


@pytest.mark.parametrize(
    ('arguments', 'sentence'),
    [
        ({'runtime': 'abacus'}, "'abacus' is unknown"),
        ({'threads': 0}, '0 threads'),
        ({'threads': True}, 'True threads'),
    ],
)
def test_wrong_settings_are_refused(bundle: Bundle, arguments: dict, sentence: str):
    with pytest.raises(KwsImuError, match=sentence):
        Interpreter(bundle, **arguments)


def test_without_a_runtime_the_sentence_says_what_to_install(bundle: Bundle, monkeypatch):
    for module in ('ai_edge_litert.interpreter', 'tflite_runtime.interpreter'):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(KwsImuError, match='install ai-edge-litert with pip'):
        Interpreter(bundle)


def test_an_operator_that_the_runtime_lacks_is_one_sentence(bundle: Bundle):
    """A model of a newer exporter: its file is sound, but this runtime cannot run it."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(bundle.model_bytes, 0))
    for code in model.operatorCodes:
        if code.builtinCode == schema.BuiltinOperator.SOFTMAX:
            code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
            code.customCode = 'OperatorOfTheFuture'
    builder = flatbuffers.Builder(len(bundle.model_bytes) * 2)
    builder.Finish(model.Pack(builder), file_identifier=b'TFL3')
    content = bytes(builder.Output())
    assert read_tflite(content).signatures
    with pytest.raises(KwsImuError, match='OperatorOfTheFuture') as error:
        Interpreter(dataclasses.replace(bundle, model_bytes=content))
    assert '\n' not in str(error.value)


def test_starting_prints_nothing(bundle_directory: Path):
    code = (
        'from kws_imu_ros.model.bundle import load_bundle\n'
        'from kws_imu_ros.model.interpreter import Interpreter\n'
        f'Interpreter(load_bundle({str(bundle_directory)!r})).infer(None, None)\n'
    )
    result = subprocess.run(
        [sys.executable, '-c', code],
        capture_output=True,
        timeout=120,
        cwd=Path(__file__).resolve().parents[2],
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, b'', b'')
