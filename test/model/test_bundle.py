"""The bundle: every field of the manifest is checked, and refused in one sentence that names it."""

import dataclasses
import hashlib
import json
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.model import bundle as bundle_module
from kws_imu_ros.model.bundle import (
    DataSource,
    Metric,
    find_bundle,
    load_bundle,
    make_bundle,
    manifest_from_json,
    manifest_to_json,
    write_bundle,
)


@pytest.fixture
def copy(bundle_directory: Path, tmp_path: Path) -> Path:
    """Return a copy of the shipped bundle that a test may damage."""
    return Path(shutil.copytree(bundle_directory, tmp_path / 'bundle'))


@pytest.fixture(scope='module')
def manifest_text(bundle_directory: Path) -> str:
    return (bundle_directory / 'manifest.json').read_text()


def change(directory: Path, path: str, value) -> None:
    """Set a field of the manifest, or delete it when value is DELETE."""
    file = directory / 'manifest.json'
    manifest = json.loads(file.read_text())
    *parents, last = path.split('.')
    place = manifest
    for name in parents:
        place = place[name]
    if value is DELETE:
        del place[last]
    else:
        place[last] = value
    file.write_text(json.dumps(manifest))


DELETE = object()
DIGEST = 'ab' * 32


def test_the_shipped_bundle_loads(bundle_directory: Path):
    bundle = load_bundle(bundle_directory)
    assert bundle.path == bundle_directory
    assert bundle.manifest.bytes == len(bundle.model_bytes)
    assert set(bundle.manifest.labels) == {'voice', 'gesture', 'intent'}


def test_the_manifest_comes_back_as_it_went(manifest_text: str):
    manifest = manifest_from_json(manifest_text)
    assert manifest_from_json(manifest_to_json(manifest)) == manifest
    assert json.loads(manifest_to_json(manifest)) == json.loads(manifest_text)


# Each field by itself: (path, wrong value, what the sentence must say).
WRONG_FIELDS = [
    ('schema_version', 2, "'schema_version' is 2 but this release reads 1"),
    ('schema_version', '1', "'schema_version' is '1' instead of a whole number"),
    ('name', 'Voice Gesture', "'name' is 'Voice Gesture'"),
    ('name', '../etc', "'name'"),
    ('version', '1.0', "'version' is '1.0'"),
    ('version', '1.0.0-beta', "'version'"),
    ('labels.voice', ['left', 'right'], "'labels.voice' has 2 labels but output voice"),
    ('labels.voice', ['left', 'left'], "'labels.voice' names a label twice"),
    ('labels.gesture', 'swipe', "'labels.gesture'"),
    ('labels.gesture', ['a', 'b', 'c,d'], "'labels.gesture' holds 'c,d'"),
    ('labels.intent', [1, 2, 3], "'labels.intent' holds 1"),
    ('labels.smell', ['good', 'bad'], "'labels.smell' is not known"),
    ('front_end.sample_rate', 8000, "'front_end."),
    ('front_end.sample_rate', 10, "'front_end.sample_rate'"),
    ('front_end.fft_length', 256, "'front_end."),
    ('front_end.window_length', 100_000, "'front_end.window_length'"),
    ('front_end.hop_length', 0, "'front_end.hop_length'"),
    ('front_end.mel_bins', 41, "'front_end.mel_matrix_sha256'"),
    ('front_end.minimum_hz', -1.0, "'front_end.minimum_hz'"),
    ('front_end.minimum_hz', 30.0, "'front_end.mel_matrix_sha256'"),
    ('front_end.maximum_hz', 9000.0, "'front_end.maximum_hz'"),
    ('front_end.frames', 50, "'inputs.log_mel.shape' is (1, 49, 40) but 'front_end' makes"),
    ('front_end.log_floor', 0.0, "'front_end.log_floor'"),
    ('front_end.offset', 'low', "'front_end.offset'"),
    ('front_end.scale', 0.0, "'front_end.scale'"),
    ('front_end.mel_matrix_sha256', DIGEST, "'front_end.mel_matrix_sha256' is not the digest"),
    ('imu.rate_hz', 0.0, "'imu.rate_hz'"),
    ('imu.length', 99, "'inputs.imu.shape' is (1, 100, 6) but 'imu' makes (1, 99, 6)"),
    ('imu.acceleration_divisor', 0, "'imu.acceleration_divisor'"),
    ('imu.angular_velocity_divisor', True, "'imu.angular_velocity_divisor'"),
    ('imu.columns', ['gx', 'gy', 'gz', 'ax', 'ay', 'az'], "'imu.columns'"),
    ('imu.acceleration_unit', 'g', "'imu.acceleration_unit' is 'g' instead of 'm/s^2'"),
    ('imu.angular_velocity_unit', 'deg/s', "'imu.angular_velocity_unit'"),
    ('signature', 'main', "'signature' is 'main' but model.tflite has (serving_default)"),
    ('inputs.log_mel.shape', [1, 98, 40], "'inputs.log_mel.shape'"),
    ('inputs.log_mel.shape', [1, -1, 40], "'inputs.log_mel.shape'"),
    ('inputs.log_mel.dtype', 'uint8', "'inputs.log_mel."),
    ('inputs.log_mel.dtype', 'complex64', "'inputs.log_mel.dtype'"),
    ('inputs.log_mel.scale', 0.5, "'inputs.log_mel.scale' is 0.5 but model.tflite has"),
    ('inputs.log_mel.scale', 0.0, "'inputs.log_mel.scale'"),
    ('inputs.log_mel.zero_point', 100, "'inputs.log_mel.zero_point' is 100 but"),
    ('inputs.log_mel.zero_point', 300, "'inputs.log_mel.zero_point'"),
    ('inputs.imu.shape', [1, 100, 3], "'inputs.imu.shape'"),
    ('inputs.imu.dtype', 'float32', "'inputs.imu."),
    ('inputs.imu.scale', 1.0, "'inputs.imu.scale'"),
    ('inputs.imu.zero_point', 1.5, "'inputs.imu.zero_point'"),
    ('inputs.radar', {}, "'inputs.radar' is not known"),
    ('inputs.imu', DELETE, "'inputs.imu' is missing"),
    ('outputs.voice.shape', [1, 12], "'outputs.voice.shape'"),
    ('outputs.voice.scale', 0.1, "'outputs.voice.scale'"),
    ('outputs.gesture.zero_point', 0, "'outputs.gesture.zero_point'"),
    ('outputs.intent.dtype', 'int16', "'outputs.intent.dtype'"),
    ('outputs.intent', DELETE, "'outputs.intent' is missing"),
    ('model.sha256', DIGEST, "'model.sha256' is not the digest of model.tflite"),
    ('model.sha256', 'abc', "'model.sha256'"),
    ('model.bytes', 1234, "'model.bytes' is 1234 but model.tflite has"),
    ('model.parameters', 1, "'model.parameters' is 1 but model.tflite has"),
    ('model.macs', 1, "'model.macs' is 1 but model.tflite has"),
    ('data', {}, "'data' names no training data"),
    ('data', {'speech': {'split': 'x', 'counts': {}}}, "'data.speech.sha256' is missing"),
    ('data', {'s': {'sha256': DIGEST, 'split': '', 'counts': {}}}, "'data.s.split'"),
    ('data', {'s': {'sha256': DIGEST, 'split': 'x', 'counts': {'a': -1}}}, "'data.s.counts.a'"),
    ('recipe', {}, "'recipe' must be an object with a text 'command'"),
    ('recipe', None, "'recipe'"),
    ('metrics', {'a': {'value': 1, 'command': '', 'unit': ''}}, "'metrics.a.command'"),
    ('metrics', {'a': {'value': '1', 'command': 'x', 'unit': ''}}, "'metrics.a.value'"),
    ('metrics', {'a': {'value': 1, 'command': 'x', 'unit': 3}}, "'metrics.a.unit'"),
    ('thresholds', {'smell': {}}, "'thresholds.smell' is not a head"),
    ('thresholds', {'voice': {'sit': 0.5}}, "'thresholds.voice.sit' is not a label"),
    ('thresholds', {'voice': {'left': 1.5}}, "'thresholds.voice.left'"),
    ('comment', 'hello', "'comment' is not known"),
]


@pytest.mark.parametrize(('path', 'value', 'sentence'), WRONG_FIELDS)
def test_a_wrong_field_is_named(copy: Path, path: str, value, sentence: str):
    change(copy, path, value)
    with pytest.raises(KwsImuError) as error:
        load_bundle(copy)
    assert sentence in str(error.value)
    assert 'manifest.json' in str(error.value)
    assert '\n' not in str(error.value)


def leaves(value, path: str = ''):
    """Yield the path of every field of a JSON object, down to plain values."""
    for name, inner in value.items():
        yield f'{path}{name}'
        # Free-form objects: what is in them is up to the recipe.
        if isinstance(inner, dict) and name not in ('recipe', 'data', 'metrics', 'thresholds'):
            yield from leaves(inner, f'{path}{name}.')


def test_every_field_must_be_there(copy: Path, manifest_text: str):
    paths = list(leaves(json.loads(manifest_text)))
    assert len(paths) > 50
    for path in paths:
        (copy / 'manifest.json').write_text(manifest_text)
        change(copy, path, DELETE)
        with pytest.raises(KwsImuError) as error:
            load_bundle(copy)
        assert f"'{path}' is missing" in str(error.value)


def test_every_field_is_checked_for_its_type(copy: Path, manifest_text: str):
    """No value may be replaced with nonsense unseen: this is what 'checks all of it' means."""
    for path in leaves(json.loads(manifest_text)):
        (copy / 'manifest.json').write_text(manifest_text)
        change(copy, path, ['nonsense', None])
        with pytest.raises(KwsImuError) as error:
            load_bundle(copy)
        assert path.rpartition('.')[2] in str(error.value)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(1 << 70), 1 << 70)
    | st.floats()
    | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(max_examples=300)
@given(data=st.data())
def test_any_manifest_is_read_or_refused_in_one_sentence(manifest_text: str, data):
    manifest = json.loads(manifest_text)
    for _ in range(data.draw(st.integers(1, 3))):
        paths = list(leaves(manifest))
        *parents, last = data.draw(st.sampled_from(paths)).split('.')
        place = manifest
        for name in parents:
            place = place[name]
        place[last] = data.draw(json_values)
    try:
        manifest_from_json(json.dumps(manifest))
    except KwsImuError as error:
        assert '\n' not in str(error)


@settings(max_examples=200)
@given(text=st.text(max_size=200))
def test_any_text_is_refused_in_one_sentence(text: str):
    with pytest.raises(KwsImuError) as error:
        manifest_from_json(text)
    assert '\n' not in str(error.value)


def test_deeply_nested_json_is_refused():
    with pytest.raises(KwsImuError):
        manifest_from_json('[' * 100_000)


@pytest.mark.parametrize('name', ['manifest.json', 'model.tflite'])
def test_a_missing_file_is_named(copy: Path, name: str):
    (copy / name).unlink()
    with pytest.raises(KwsImuError, match=rf'{name} cannot be read \(No such file'):
        load_bundle(copy)


def test_a_missing_folder_is_named(tmp_path: Path):
    with pytest.raises(KwsImuError, match='is not a folder'):
        load_bundle(tmp_path / 'nowhere')


def test_a_manifest_that_is_not_text_is_refused(copy: Path):
    (copy / 'manifest.json').write_bytes(b'\xff\xfe\x00')
    with pytest.raises(KwsImuError, match='not UTF-8'):
        load_bundle(copy)


def test_a_truncated_model_is_refused(copy: Path):
    model = copy / 'model.tflite'
    model.write_bytes(model.read_bytes()[:-100])
    with pytest.raises(KwsImuError, match=r"'model\.bytes'"):
        load_bundle(copy)


def test_a_corrupt_model_is_refused(copy: Path):
    model = copy / 'model.tflite'
    content = bytearray(model.read_bytes())
    content[len(content) // 2] ^= 0xFF
    model.write_bytes(content)
    with pytest.raises(KwsImuError, match=r"'model\.sha256'"):
        load_bundle(copy)


@pytest.mark.parametrize('content', [b'', b'not a model at all', b'\x1c\x00\x00\x00TFL3'])
def test_a_file_that_is_no_model_is_refused_though_its_digest_fits(copy: Path, content: bytes):
    (copy / 'model.tflite').write_bytes(content)
    change(copy, 'model.bytes', max(len(content), 8))
    change(copy, 'model.sha256', hashlib.sha256(content).hexdigest())
    with pytest.raises(KwsImuError) as error:
        load_bundle(copy)
    assert 'model.tflite' in str(error.value)


# Writing


def make_again(directory: Path, **changes):
    """Return the bundle of a directory as training would make it, with changes."""
    bundle = load_bundle(directory)
    m = bundle.manifest
    values = {
        'name': m.name,
        'version': m.version,
        'labels': m.labels,
        'data': m.data,
        'recipe': m.recipe,
        'metrics': m.metrics,
        'front_end': m.front_end,
        'imu': m.imu,
        'thresholds': m.thresholds,
    }
    return make_bundle(bundle.model_bytes, **(values | changes))


def test_a_bundle_made_again_is_the_same(bundle_directory: Path):
    assert make_again(bundle_directory).manifest == load_bundle(bundle_directory).manifest


def test_a_written_bundle_loads(bundle_directory: Path, tmp_path: Path):
    bundle = make_again(
        bundle_directory,
        name='mine',
        version='1.2.3',
        data={'speech': DataSource(DIGEST, 'by speaker', {'training': 3})},
        metrics={'voice_accuracy': Metric(0.95, 'kws-imu evaluate', '')},
        thresholds={'voice': {'left': 0.5}},
    )
    written = write_bundle(tmp_path, bundle, '# Mine\n')
    assert written.path == tmp_path / 'mine' / '1.2.3'
    assert written.manifest == bundle.manifest
    assert sorted(path.name for path in written.path.iterdir()) == [
        'MODEL_CARD.md',
        'manifest.json',
        'model.tflite',
    ]
    # Nothing half-written stays beside it.
    assert [path.name for path in (tmp_path / 'mine').iterdir()] == ['1.2.3']


def test_a_version_is_never_rewritten(bundle_directory: Path, tmp_path: Path):
    bundle = make_again(bundle_directory, name='mine', version='1.0.0')
    write_bundle(tmp_path, bundle, 'card')
    before = (tmp_path / 'mine/1.0.0/manifest.json').read_text()
    with pytest.raises(KwsImuError, match='never rewritten'):
        write_bundle(tmp_path, bundle, 'another card')
    assert (tmp_path / 'mine/1.0.0/manifest.json').read_text() == before


def test_an_empty_card_is_refused(bundle_directory: Path, tmp_path: Path):
    with pytest.raises(KwsImuError, match='card'):
        write_bundle(tmp_path, make_again(bundle_directory), '  \n')


def test_a_full_disk_leaves_no_half_bundle(bundle_directory: Path, tmp_path: Path, monkeypatch):
    def fail(*args, **kwargs):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(bundle_module.Path, 'write_text', fail)
    with pytest.raises(KwsImuError, match='No space left on device'):
        write_bundle(tmp_path, make_again(bundle_directory, name='mine'), 'card')
    assert list((tmp_path / 'mine').iterdir()) == []


@pytest.mark.parametrize(
    ('changes', 'sentence'),
    [
        ({'version': '1'}, 'version'),
        ({'labels': {'voice': ('a', 'b'), 'gesture': ('a', 'b'), 'intent': ('a', 'b')}}, 'labels'),
        ({'recipe': {'command': object()}}, 'JSON'),
        ({'metrics': {'a': Metric(float('nan'), 'x')}}, 'JSON'),
        ({'data': {}}, 'data'),
    ],
)
def test_training_cannot_make_a_bundle_that_would_not_load(
    bundle_directory: Path, changes: dict, sentence: str
):
    with pytest.raises(KwsImuError, match=sentence):
        make_again(bundle_directory, **changes)


def test_manifests_are_frozen(bundle_directory: Path):
    with pytest.raises(dataclasses.FrozenInstanceError):
        load_bundle(bundle_directory).manifest.name = 'x'


# Finding


def test_the_newest_version_is_found_by_number_not_by_spelling(
    bundle_directory: Path, tmp_path: Path
):
    for version in ('0.9.0', '0.10.0', '0.2.11'):
        write_bundle(tmp_path, make_again(bundle_directory, name='mine', version=version), 'card')
    (tmp_path / 'mine' / '9.9.9').mkdir()  # Not a bundle.
    (tmp_path / 'mine' / 'notes').mkdir()
    assert find_bundle(tmp_path / 'mine').name == '0.10.0'
    assert find_bundle(tmp_path / 'mine' / '0.9.0').name == '0.9.0'


def test_an_installed_model_is_found_by_name(bundle_directory: Path):
    found = find_bundle('voice_gesture')
    assert load_bundle(found).manifest.name == 'voice_gesture'
    assert find_bundle(f'voice_gesture/{found.name}') == found
    assert find_bundle('') == found


@pytest.mark.parametrize('name', ['no_such_model', '/no/such/folder', 'voice_gesture/99.0.0'])
def test_a_model_that_is_nowhere_is_named(name: str):
    with pytest.raises(KwsImuError, match=name):
        find_bundle(name)


def test_a_folder_without_bundles_is_named(tmp_path: Path):
    with pytest.raises(KwsImuError, match='holds neither'):
        find_bundle(tmp_path)
