"""A file that stands where a model should is known by its content and named."""

from __future__ import annotations

import gzip
import io
import shutil
import zipfile
from pathlib import Path

import pytest

from kws_imu_ros.commands.main import main
from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.model.bundle import find_bundle, load_bundle, read_model_file

POINTER = b"""version https://git-lfs.github.com/spec/v1
oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393
size 59856
"""
PAGE = b"""
<!-- saved from a browser -->
<!DOCTYPE html>
<html><head><title>voice_gesture/model.tflite</title></head></html>
"""


def archive() -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, 'w') as file:
        file.writestr('model.tflite', b'')
    return held.getvalue()


STRANGERS = {
    'pointer': (POINTER, 'Git LFS pointer for a file of 59,856 bytes'),
    'page': (PAGE, 'HTML page'),
    'short page': (b'<html>404</html>', 'HTML page'),
    'empty': (b'', 'empty'),
    'archive': (archive(), 'ZIP archive'),
    'packed': (gzip.compress(b'TFL3'), 'packed with gzip'),
    'weights': (b'\x89HDF\r\n\x1a\n' + bytes(64), 'HDF5 file'),
    'text': (b'voice_gesture 1.2.0\n', 'not a TensorFlow Lite model'),
}


@pytest.fixture(params=STRANGERS)
def stranger(request, tmp_path: Path) -> tuple[Path, str]:
    content, what = STRANGERS[request.param]
    path = tmp_path / 'downloaded.tflite'
    path.write_bytes(content)
    return path, what


def test_it_is_named_for_what_it_is(stranger: tuple[Path, str]):
    path, what = stranger
    with pytest.raises(KwsImuError) as error:
        read_model_file(path)
    assert what in str(error.value) and str(path) in str(error.value)
    assert '\n' not in str(error.value)


@pytest.mark.parametrize(
    'arguments',
    [
        ['compare', '{}', '--rounds', '1'],
        ['export', '{}', '--c', '{}.out'],
        ['evaluate', '--only', 'energy', '--model', '{}'],
        ['evaluate', '--gestures', 'x', '--only', 'float', '--float', '{}'],
    ],
    ids=lambda arguments: ' '.join(arguments[::2]),
)
def test_every_verb_names_the_file(arguments: list[str], tmp_path: Path, capsys):
    # Not by its name: a download may have lost its suffix.
    for name, content in (('pointer.tflite', POINTER), ('page', PAGE)):
        path = tmp_path / name
        path.write_bytes(content)
        assert main([argument.format(path) for argument in arguments]) == 2
        told = capsys.readouterr().err
        assert str(path) in told and ('Git LFS pointer' in told or 'HTML page' in told)


@pytest.mark.parametrize('name', ['model.tflite', 'manifest.json'])
def test_a_bundle_of_pointers_is_told_before_it_is_compared(
    name: str, bundle_directory: Path, tmp_path: Path
):
    folder = tmp_path / '1.2.0'
    shutil.copytree(bundle_directory, folder)
    (folder / name).write_bytes(POINTER)
    with pytest.raises(KwsImuError, match=rf'{name} is a Git LFS pointer.*git lfs pull'):
        load_bundle(find_bundle(folder))


def test_a_model_is_known_whatever_its_name(bundle_directory: Path, tmp_path: Path, capsys):
    path = tmp_path / 'MODEL.TFL'
    shutil.copy(bundle_directory / 'model.tflite', path)
    assert main(['compare', str(path), '--rounds', '1']) == 0
    assert main(['export', str(path), '--c', str(tmp_path / 'c')]) == 0
    assert (tmp_path / 'c' / 'MODEL_model.h').is_file()
    capsys.readouterr()
    assert main(['evaluate', '--only', 'energy', '--model', str(path)]) == 2
    told = capsys.readouterr().err
    assert f'{path} is a TensorFlow Lite model without the manifest.json' in told


def test_the_files_of_a_bundle_stand_for_it(bundle_directory: Path):
    for name in ('model.tflite', 'manifest.json', 'MODEL_CARD.md'):
        assert find_bundle(bundle_directory / name) == bundle_directory
