"""Comparison: sizes are exact, timing by turns tells fast from slow, foreign files are welcome."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

pytest.importorskip('tensorflow', reason='the training extras are not installed')

from kws_imu_ros.commands.lab import compare as cli_compare
from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.lab.compression import quantization
from kws_imu_ros.lab.compression.quantization import tf_keras
from kws_imu_ros.lab.evaluation import comparison
from kws_imu_ros.model.bundle import load_bundle

pytestmark = pytest.mark.training


@pytest.fixture(scope='module')
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a float model of another make: one image input, 28 x 28."""
    inputs = tf_keras.Input((28, 28, 1), name='image')
    x = tf_keras.layers.Conv2D(4, 3, activation='relu')(inputs)
    x = tf_keras.layers.Flatten()(x)
    model = tf_keras.Model(
        inputs, tf_keras.layers.Dense(3, bias_initializer='ones', name='digit')(x)
    )
    path = tmp_path_factory.mktemp('foreign') / 'digits.tflite'
    path.write_bytes(quantization.to_float32(model))
    return path


def test_sizes_of_a_bundle_and_of_a_foreign_file_are_exact(bundle_directory, foreign):
    candidates = [comparison.load_candidate(str(model)) for model in (bundle_directory, foreign)]
    calls = []
    rows, runtime = comparison.compare(
        candidates, rounds=3, progress=lambda *done: calls.append(done)
    )
    manifest = load_bundle(bundle_directory).manifest
    ours, theirs = rows
    assert runtime == 'litert' and calls[-1] == (3, 3)
    assert (ours.bytes, ours.macs) == (manifest.bytes, manifest.macs)
    assert ours.precision == 'int8' and theirs.precision == 'float32'
    assert theirs.bytes == foreign.stat().st_size
    assert theirs.parameters == 4 * 9 + 4 + 3 * 26 * 26 * 4 + 3
    assert theirs.macs == 26 * 26 * 4 * 9 + 3 * 26 * 26 * 4
    assert theirs.operators['CONV_2D'] == 1
    for row in rows:
        assert 0 < row.latency.low <= row.latency.median <= row.latency.high
        assert 0 < row.gzip_bytes < row.bytes


def test_timing_by_turns_tells_fast_from_slow_on_a_busy_machine():
    now, calls = [0.0], [0]

    def work(seconds: float) -> None:
        calls[0] += 1
        # Something else takes the processor now and then, for much longer than the work lasts.
        now[0] += seconds + (0.05 if calls[0] % 7 == 0 else 0.0)

    fast, nothing, slow = comparison.measure(
        [lambda: work(0.004), None, lambda: work(0.012)], rounds=60, clock=lambda: now[0]
    )
    assert nothing is None
    assert fast.low == pytest.approx(4000.0) and slow.low == pytest.approx(12000.0)
    assert fast.low <= fast.median <= fast.high


def test_a_model_that_cannot_run_is_listed_with_the_reason(foreign):
    import numpy as np
    from ai_edge_litert import schema_py_generated as schema

    from kws_imu_ros.lab.compression import compaction

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(foreign.read_bytes(), 0))
    for code in model.operatorCodes:
        if code.builtinCode == schema.BuiltinOperator.CONV_2D:
            code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
            code.customCode = 'SecretSauce'
    for operator in model.subgraphs[0].operators:
        if model.operatorCodes[operator.opcodeIndex].customCode == 'SecretSauce':
            operator.builtinOptionsType, operator.builtinOptions = 0, None
            operator.customOptions = np.zeros(0, np.uint8)
    builder = compaction._SharingBuilder(1024)
    builder.Finish(model.Pack(builder), file_identifier=compaction.TFLITE_MARK)
    secret = comparison.Candidate('secret', 'secret.tflite', bytes(builder.Output()), {})
    rows, _ = comparison.compare([secret, comparison.load_candidate(str(foreign))], rounds=1)
    assert rows[0].latency is None and 'SecretSauce' in rows[0].problem
    assert rows[0].operators['CUSTOM:SecretSauce'] == 1
    assert rows[1].latency is not None


def test_the_command_prints_a_table_and_writes_json(bundle_directory, foreign, tmp_path, capsys):
    parser = argparse.ArgumentParser()
    cli_compare.add_arguments(parser)
    target = tmp_path / 'comparison.json'
    models = [str(bundle_directory), str(foreign)]
    args = parser.parse_args([*models, '--rounds', '2', '--json', str(target)])
    assert cli_compare.run(args) == 0
    printed = capsys.readouterr().out
    # How well a bundle understands stands beside its speed; a file alone says nothing of it.
    words = load_bundle(bundle_directory).manifest.metrics['voice_accuracy'].value
    assert f'{words:.1%}' in printed
    assert 'digits' in printed and f'{foreign.stat().st_size:,}' in printed
    data = json.loads(target.read_text())
    assert data['kind'] == 'comparison'
    assert [row['bytes'] for row in data['rows']][1] == foreign.stat().st_size
    assert data['rows'][0]['latency']['median'] > 0


def test_wrong_models_and_options_end_in_one_sentence(tmp_path, foreign):
    damaged = tmp_path / 'cut.tflite'
    damaged.write_bytes(foreign.read_bytes()[:5000])
    with pytest.raises(KwsImuError, match='damaged'):
        comparison.compare([comparison.load_candidate(str(damaged))], rounds=1)
    with pytest.raises(KwsImuError, match='cannot be read'):
        comparison.load_candidate(str(tmp_path / 'none.tflite'))
    parser = argparse.ArgumentParser()
    cli_compare.add_arguments(parser)
    with pytest.raises(KwsImuError, match='at least one round'):
        cli_compare.run(parser.parse_args([str(foreign), '--rounds', '0']))
