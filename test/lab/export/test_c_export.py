"""The C export compiles without warnings and carries the model and its constants unchanged."""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('tensorflow', reason='the training extras are not installed')

from kws_imu_ros.commands.lab import export as cli_export
from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.lab.compression import quantization
from kws_imu_ros.lab.compression.quantization import tf_keras
from kws_imu_ros.lab.export import c_export
from kws_imu_ros.model.bundle import Bundle, load_bundle
from kws_imu_ros.model.signature_runner import SIGNATURE, make_interpreter

pytestmark = pytest.mark.training

STRICT = ('-Wall', '-Wextra', '-Wpedantic', '-Werror')
# What the operators' header needs of TensorFlow Lite Micro, to compile it without that library.
RESOLVER = """
#pragma once
enum TfLiteStatus { kTfLiteOk, kTfLiteError };
namespace tflite {
template <unsigned int N>
class MicroMutableOpResolver {
 public:
  unsigned int count = 0;
  TfLiteStatus Add() { return ++count <= N ? kTfLiteOk : kTfLiteError; }
METHODS
};
}  // namespace tflite
"""


@pytest.fixture(scope='module')
def bundle(bundle_directory: Path) -> Bundle:
    """Return the shipped bundle."""
    return load_bundle(bundle_directory)


@pytest.fixture(scope='module')
def exported(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the C export of the shipped bundle, made by the command."""
    folder = tmp_path_factory.mktemp('c')
    parser = argparse.ArgumentParser()
    cli_export.add_arguments(parser)
    assert cli_export.run(parser.parse_args([str(bundle.path), '--c', str(folder)])) == 0
    return folder


def compiler(*names: str) -> str:
    """Return the first compiler there is, or skip."""
    for name in names:
        if shutil.which(name):
            return name
    pytest.skip(f'none of {", ".join(names)} is installed')


def build_and_run(arguments: list[str], program: Path) -> str:
    """Compile, which must succeed without a warning, run and return what is printed."""
    result = subprocess.run(arguments, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    return subprocess.run([program], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize('standard', ['-std=c99', '-std=c11'])
def test_a_c_program_sees_the_same_bytes_labels_and_scales(
    standard: str, exported: Path, bundle: Bundle, tmp_path: Path
):
    name = bundle.manifest.name
    prefix = name.upper()
    source = tmp_path / 'main.c'
    source.write_text(f"""
#include <stdint.h>
#include <stdio.h>
#include "{name}_model.h"
int main(void) {{
  if ((uintptr_t){name}_model % 16 != 0) return 1;
  for (unsigned i = 0; i < {prefix}_MODEL_LENGTH; ++i) printf("%02x", {name}_model[i]);
  printf("\\n");
  for (unsigned i = 0; i < {prefix}_VOICE_COUNT; ++i) printf("%s ", {name}_voice_labels[i]);
  printf("\\n%.9g %d %d %.9g %d\\n", (double){prefix}_INPUT_LOG_MEL_SCALE,
         {prefix}_INPUT_LOG_MEL_ZERO_POINT, {prefix}_INPUT_LOG_MEL_ELEMENTS,
         (double){prefix}_FRONT_END_OFFSET, {prefix}_ARENA_BYTES);
  return 0;
}}
""")
    program = tmp_path / 'program'
    printed = build_and_run(
        [
            compiler('cc', 'gcc', 'clang'),
            standard,
            *STRICT,
            '-I',
            str(exported),
            str(source),
            str(exported / f'{name}_model.c'),
            '-o',
            str(program),
        ],
        program,
    ).splitlines()
    assert bytes.fromhex(printed[0]) == bundle.model_bytes
    assert tuple(printed[1].split()) == bundle.manifest.labels['voice']
    scale, zero_point, elements, offset, arena = printed[2].split()
    spec = bundle.manifest.inputs['log_mel']
    assert np.float32(scale) == np.float32(spec.scale) and int(zero_point) == spec.zero_point
    assert int(elements) == np.prod(spec.shape)
    assert np.float32(offset) == np.float32(bundle.manifest.front_end.offset)
    assert 5_000 < int(arena) < 1_000_000


def test_the_operators_header_registers_each_operator_once(
    exported: Path, bundle: Bundle, tmp_path: Path
):
    name = bundle.manifest.name
    header = (exported / f'{name}_operators.h').read_text()
    methods = sorted(set(c_export.MICRO_OPERATORS.values()))
    include = tmp_path / 'tensorflow' / 'lite' / 'micro'
    include.mkdir(parents=True)
    declared = '\n'.join(f'  TfLiteStatus {method}() {{ return Add(); }}' for method in methods)
    (include / 'micro_mutable_op_resolver.h').write_text(RESOLVER.replace('METHODS', declared))
    source = tmp_path / 'main.cc'
    source.write_text(f"""
#include <cstdio>
#include "{name}_operators.h"
int main() {{
  {name}_resolver resolver;
  const bool done = {name}_register_operators(resolver) == kTfLiteOk;
  std::printf("%d %u %u\\n", done, resolver.count, static_cast<unsigned>({name}_model[4]));
}}
""")
    copied = tmp_path / 'model.cc'  # Many a board's tools compile everything as C++.
    copied.write_text((exported / f'{name}_model.c').read_text())
    program = tmp_path / 'program'
    printed = build_and_run(
        [
            compiler('c++', 'g++', 'clang++'),
            '-std=c++17',
            *STRICT,
            '-I',
            str(tmp_path),
            '-I',
            str(exported),
            str(source),
            str(copied),
            '-o',
            str(program),
        ],
        program,
    )
    calls = re.findall(r'resolver\.(Add\w+)\(\)', header)
    assert printed.split() == ['1', str(len(calls)), str(bundle.model_bytes[4])]
    assert len(set(calls)) == len(calls)


def test_tensor_indices_are_those_of_the_interpreter(exported: Path, bundle: Bundle):
    name = bundle.manifest.name
    header = (exported / f'{name}_model.h').read_text()
    running = make_interpreter(bundle.model_bytes)
    runner = running.get_signature_runner(SIGNATURE)
    sides = (
        ('INPUT', running.get_input_details(), runner.get_input_details()),
        ('OUTPUT', running.get_output_details(), runner.get_output_details()),
    )
    for side, ordered, named in sides:
        positions = {detail['index']: position for position, detail in enumerate(ordered)}
        for tensor, detail in named.items():
            macro = f'{name.upper()}_{side}_{tensor.upper()}_INDEX'
            found = re.search(rf'#define {macro} (\d+)', header)
            assert int(found[1]) == positions[detail['index']]


def test_operators_that_micro_lacks_are_refused_by_name():
    inputs = tf_keras.Input((8,), name='log_mel')
    outputs = tf_keras.layers.Activation(tf_keras.activations.gelu)(inputs)
    model_bytes = quantization.to_float32(tf_keras.Model(inputs, outputs))
    with pytest.raises(KwsImuError, match='my_model uses GELU, which TensorFlow Lite Micro does'):
        c_export.export_c(model_bytes, 'my_model')


def test_a_foreign_file_is_exported_and_bad_names_and_folders_are_refused(
    bundle: Bundle, tmp_path: Path
):
    file = tmp_path / 'my model-1.tflite'
    file.write_bytes(bundle.model_bytes)
    parser = argparse.ArgumentParser()
    cli_export.add_arguments(parser)
    folder = tmp_path / 'out'
    assert cli_export.run(parser.parse_args([str(file), '--c', str(folder)])) == 0
    assert (folder / 'my_model_1_model.h').is_file()
    with pytest.raises(KwsImuError, match='cannot be a name in C'):
        cli_export.run(parser.parse_args([str(file), '--c', str(folder), '--name', '1 x']))
    with pytest.raises(KwsImuError, match='cannot be written'):
        cli_export.run(parser.parse_args([str(file), '--c', str(file / 'sub')]))
