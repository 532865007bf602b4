"""
The model bundle: a network, a manifest of everything that must fit it, and a card for people.

A bundle is a folder ``<models>/<name>/<version>/`` with ``model.tflite``, ``manifest.json`` and
``MODEL_CARD.md``. `load_bundle` compares every field of the manifest with the model itself and
with the code that will feed it, and refuses in one sentence what does not fit; a robot that hears
with the wrong front end is worse than one that does not start. Versions are semantic and never
rewritten. Plain Python: no interpreter is needed to check a bundle.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import math
import re
import shutil
import tempfile
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kws_imu_ros.audio.frontend import FrontEndParameters, mel_matrix_digest
from kws_imu_ros.configuration.section import Section, is_word, read_json
from kws_imu_ros.errors import KwsImuError, printable
from kws_imu_ros.model.file_kinds import is_tflite, read_file
from kws_imu_ros.model.tflite_file import TensorSpec, read_tflite
from kws_imu_ros.resources import share_directory, user_path

SCHEMA_VERSION = 1
SIGNATURE = 'serving_default'
MODEL_FILE = 'model.tflite'
MANIFEST_FILE = 'manifest.json'
CARD_FILE = 'MODEL_CARD.md'
DEFAULT_NAME = 'voice_gesture'
HEADS = ('voice', 'gesture', 'intent')
INPUTS = ('log_mel', 'imu')
IMU_UNITS = {'acceleration_unit': 'm/s^2', 'angular_velocity_unit': 'rad/s'}
IMU_COLUMNS = ('ax', 'ay', 'az', 'gx', 'gy', 'gz')
DTYPE_RANGES = {
    'int8': (-128, 127),
    'uint8': (0, 255),
    'int16': (-32768, 32767),
    'float32': (0, 0),
}
MANIFEST_FIELDS = (
    'schema_version',
    'name',
    'version',
    'labels',
    'front_end',
    'imu',
    'signature',
    'inputs',
    'outputs',
    'model',
    'data',
    'recipe',
    'metrics',
    'thresholds',
)
MAXIMUM_MANIFEST_BYTES = 1_000_000
MAXIMUM_MODEL_BYTES = 100_000_000

_NAME = re.compile(r'[a-z][a-z0-9_]{0,63}')
_VERSION = re.compile(r'(0|[1-9]\d{0,5})\.(0|[1-9]\d{0,5})\.(0|[1-9]\d{0,5})')
_DIGEST = re.compile(r'[0-9a-f]{64}')
_WHAT_A_BUNDLE_IS = f'a bundle is a folder with {MODEL_FILE}, {MANIFEST_FILE} and {CARD_FILE}'


@dataclass(frozen=True)
class ImuParameters:
    """
    The IMU window that the network was trained on.

    rate_hz and length give the window; columns ax ay az are in m/s^2 with gravity, gx gy gz in
    rad/s; before quantization they are divided by the divisors. A missing IMU is all zeros.
    """

    rate_hz: float = 50.0
    length: int = 100
    acceleration_divisor: float = 9.80665
    angular_velocity_divisor: float = 4.0


@dataclass(frozen=True)
class DataSource:
    """
    One folder of training data.

    sha256: digest over the files used. split: the rule that divides people among training,
    validation and testing, in words. counts: recordings by split.
    """

    sha256: str
    split: str
    counts: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Metric:
    """A measured value, the command that prints it again, and how to read it (for instance '%')."""

    value: float
    command: str
    unit: str = ''


@dataclass(frozen=True)
class Manifest:
    """
    Everything that a program needs to know of a network to feed it and to trust it.

    labels: label names of the heads voice, gesture and intent, in the order of the outputs.
    inputs: specs of log_mel and imu; outputs: specs of the heads; by name in `signature`.
    sha256, bytes, parameters, macs: facts of the model file, see `tflite_file.TfliteFile`.
    thresholds: head -> label -> posterior above which the label counts as heard or seen, where the
    recipe calibrated them; empty otherwise.
    """

    name: str
    version: str
    labels: dict[str, tuple[str, ...]]
    front_end: FrontEndParameters
    mel_matrix_sha256: str
    imu: ImuParameters
    signature: str
    inputs: dict[str, TensorSpec]
    outputs: dict[str, TensorSpec]
    sha256: str
    bytes: int
    parameters: int
    macs: int
    data: dict[str, DataSource]
    recipe: dict[str, Any]
    metrics: dict[str, Metric]
    thresholds: dict[str, dict[str, float]]


@dataclass(frozen=True)
class Bundle:
    """A model with its manifest; path is None for a bundle that was never written."""

    path: Path | None
    manifest: Manifest
    model_bytes: bytes


def _read_labels(heads: Section) -> dict[str, tuple[str, ...]]:
    """Return the labels of each head."""
    labels = {}
    for head in HEADS:
        value = heads.plain(head)
        if not isinstance(value, list) or not 2 <= len(value) <= 1000:
            shown = heads.entry(head).show()
            raise heads.wrong(head, f'is {shown} instead of a list of 2 or more labels')
        for label in value:
            if not is_label(label):
                raise heads.wrong(head, f'holds {label!r}, which is not a label name')
        if len(set(value)) != len(value):
            raise heads.wrong(head, 'names a label twice')
        labels[head] = tuple(value)
    return labels


def _read_front_end(fields: Section) -> tuple[FrontEndParameters, str]:
    """Return the front end's parameters and the digest of its mel matrix, compared with ours."""
    digest = fields.text('mel_matrix_sha256', _DIGEST)
    values: dict[str, Any] = {}
    for entry in dataclasses.fields(FrontEndParameters):
        if isinstance(entry.default, int):
            values[entry.name] = fields.integer(entry.name, 1, 1_000_000)
        else:
            values[entry.name] = fields.number(entry.name, -1e6, 1e6)
    parameters = FrontEndParameters(**values)
    if not 1000 <= parameters.sample_rate <= 192_000:
        raise fields.wrong('sample_rate', f'is {parameters.sample_rate} Hz')
    if not 2 <= parameters.fft_length <= 65_536:
        raise fields.wrong('fft_length', f'is {parameters.fft_length}')
    if not 2 <= parameters.window_length <= parameters.fft_length:
        raise fields.wrong('window_length', f'is {parameters.window_length}, above fft_length')
    if parameters.hop_length > parameters.fft_length:
        raise fields.wrong('hop_length', f'is {parameters.hop_length}, above fft_length')
    if parameters.frames > 10_000:
        raise fields.wrong('frames', f'is {parameters.frames}, above 10000')
    if parameters.mel_bins > 512:
        raise fields.wrong('mel_bins', f'is {parameters.mel_bins}, above 512')
    if parameters.minimum_hz < 0.0:
        raise fields.wrong('minimum_hz', f'is {parameters.minimum_hz:g}, below zero')
    if not parameters.minimum_hz < parameters.maximum_hz <= parameters.sample_rate / 2:
        raise fields.wrong(
            'maximum_hz',
            f'is {parameters.maximum_hz:g}, which must be above minimum_hz and at most half of '
            'sample_rate',
        )
    if parameters.log_floor <= 0.0:
        raise fields.wrong('log_floor', f'is {parameters.log_floor:g}, which must be above zero')
    if parameters.scale <= 0.0:
        raise fields.wrong('scale', f'is {parameters.scale:g}, which must be above zero')
    if mel_matrix_digest(parameters) != digest:
        raise fields.wrong(
            'mel_matrix_sha256',
            "is not the digest of this program's mel matrix for these parameters",
        )
    return parameters, digest


def _read_imu(fields: Section) -> ImuParameters:
    """Return the parameters of the IMU window."""
    if fields.plain('columns') != list(IMU_COLUMNS):
        shown = fields.entry('columns').show()
        raise fields.wrong('columns', f'is {shown} instead of {list(IMU_COLUMNS)}')
    for name, unit in IMU_UNITS.items():
        if fields.plain(name) != unit:
            raise fields.wrong(name, f"is {fields.entry(name).show()} instead of '{unit}'")
    return ImuParameters(
        rate_hz=fields.number('rate_hz', 1.0, 10_000.0),
        length=fields.integer('length', 2, 100_000),
        acceleration_divisor=fields.number('acceleration_divisor', 1e-6, 1e6),
        angular_velocity_divisor=fields.number('angular_velocity_divisor', 1e-6, 1e6),
    )


def _read_tensor(fields: Section) -> TensorSpec:
    """Return the spec of one tensor."""
    shape = fields.plain('shape')
    sizes_fit = isinstance(shape, list) and all(
        isinstance(size, int) and not isinstance(size, bool) and 1 <= size <= 1_000_000
        for size in shape
    )
    if not sizes_fit:
        shown = fields.entry('shape').show()
        raise fields.wrong('shape', f'is {shown} instead of a list of positive sizes')
    dtype = fields.one_of('dtype', tuple(DTYPE_RANGES))
    scale = fields.number('scale', 0.0, 1e6)
    if (scale > 0.0) == (dtype == 'float32'):
        raise fields.wrong('scale', f'is {scale:g}, which does not go with {dtype}')
    return TensorSpec(
        tuple(shape), dtype, scale, fields.integer('zero_point', *DTYPE_RANGES[dtype])
    )


def _read_data(sources: Section) -> dict[str, DataSource]:
    """Return the training data's digests and splits."""
    data = {}
    for name in sources.names():
        source = sources.section(name, ('sha256', 'split', 'counts'))
        counts = source.names_of('counts')
        data[name] = DataSource(
            source.text('sha256', _DIGEST),
            source.text('split'),
            {split: counts.integer(split) for split in counts.names()},
        )
    if not data:
        raise sources.wrong('', 'names no training data')
    return data


def _read_metrics(entries: Section) -> dict[str, Metric]:
    """Return the metrics, each with the command that prints it again."""
    metrics = {}
    for name in entries.names():
        entry = entries.section(name, ('value', 'command', 'unit'))
        unit = entry.plain('unit')
        if not isinstance(unit, str):
            raise entry.wrong('unit', f'is {entry.entry("unit").show()} instead of text')
        metrics[name] = Metric(entry.number('value'), entry.text('command'), unit)
    return metrics


def _read_thresholds(heads: Section) -> dict[str, dict[str, float]]:
    """Return calibrated thresholds by head and label."""
    thresholds: dict[str, dict[str, float]] = {}
    for head in heads.names():
        if head not in HEADS:
            raise heads.wrong(head, f'is not a head; the heads are {", ".join(HEADS)}')
        labels = heads.names_of(head)
        thresholds[head] = {label: labels.number(label, 0.0, 1.0) for label in labels.names()}
    return thresholds


def _read_manifest(fields: Section) -> Manifest:
    """Return the manifest in a JSON file, checked in itself."""
    fields.holding(MANIFEST_FIELDS)
    fields.version('schema_version', SCHEMA_VERSION)
    labels = _read_labels(fields.section('labels', HEADS))
    front_end_names = tuple(field.name for field in dataclasses.fields(FrontEndParameters))
    front_end, digest = _read_front_end(
        fields.section('front_end', (*front_end_names, 'mel_matrix_sha256'))
    )
    imu_names = tuple(field.name for field in dataclasses.fields(ImuParameters))
    imu = _read_imu(fields.section('imu', (*imu_names, 'columns', *IMU_UNITS)))
    tensors: dict[str, dict[str, TensorSpec]] = {}
    tensor_fields = tuple(field.name for field in dataclasses.fields(TensorSpec))
    for side, names in (('inputs', INPUTS), ('outputs', HEADS)):
        specs = fields.section(side, names)
        tensors[side] = {name: _read_tensor(specs.section(name, tensor_fields)) for name in names}
    model = fields.section('model', ('sha256', 'bytes', 'parameters', 'macs'))
    recipe = fields.plain('recipe')
    if not isinstance(recipe, dict) or not isinstance(recipe.get('command'), str):
        raise fields.wrong('recipe', "must be an object with a text 'command' that trains it again")
    return Manifest(
        name=fields.text('name', _NAME),
        version=fields.text('version', _VERSION),
        labels=labels,
        front_end=front_end,
        mel_matrix_sha256=digest,
        imu=imu,
        signature=fields.text('signature'),
        inputs=tensors['inputs'],
        outputs=tensors['outputs'],
        sha256=model.text('sha256', _DIGEST),
        bytes=model.integer('bytes', 8, MAXIMUM_MODEL_BYTES),
        parameters=model.integer('parameters'),
        macs=model.integer('macs'),
        data=_read_data(fields.names_of('data')),
        recipe=recipe,
        metrics=_read_metrics(fields.names_of('metrics')),
        thresholds=_read_thresholds(fields.names_of('thresholds')),
    )


def _check_model(manifest: Manifest, model_bytes: bytes, source: str) -> None:
    """Compare the manifest with the model file; the first difference is an error."""

    def refuse(path: str, problem: str) -> KwsImuError:
        return KwsImuError(
            f"{source}: field '{path}' {problem}; model and manifest do not belong together, so "
            'fetch or train the bundle again.'
        )

    if len(model_bytes) != manifest.bytes:
        raise refuse('model.bytes', f'is {manifest.bytes} but {MODEL_FILE} has {len(model_bytes)}')
    digest = hashlib.sha256(model_bytes).hexdigest()
    if digest != manifest.sha256:
        raise refuse('model.sha256', f'is not the digest of {MODEL_FILE} ({digest[:12]}...)')
    facts = read_tflite(model_bytes, f'{source}: {MODEL_FILE}')
    signature = facts.signatures.get(manifest.signature)
    if signature is None:
        raise refuse(
            'signature',
            f"is '{manifest.signature}' but {MODEL_FILE} has ({', '.join(facts.signatures)})",
        )
    for name in ('parameters', 'macs'):
        if getattr(manifest, name) != getattr(facts, name):
            raise refuse(
                f'model.{name}',
                f'is {getattr(manifest, name)} but {MODEL_FILE} has {getattr(facts, name)}',
            )
    for side in ('inputs', 'outputs'):
        promised, actual = getattr(manifest, side), getattr(signature, side)
        if set(promised) != set(actual):
            raise refuse(
                side,
                f'names ({", ".join(sorted(promised))}) but {MODEL_FILE} has '
                f'({", ".join(sorted(actual))})',
            )
        for name, spec in promised.items():
            for entry in dataclasses.fields(TensorSpec):
                ours, its = getattr(spec, entry.name), getattr(actual[name], entry.name)
                same = (
                    math.isclose(ours, its, rel_tol=1e-6)
                    if entry.name == 'scale'
                    else (ours == its)
                )
                if not same:
                    raise refuse(
                        f'{side}.{name}.{entry.name}', f'is {ours} but {MODEL_FILE} has {its}'
                    )
    front_end, imu = manifest.front_end, manifest.imu
    shapes = {
        'log_mel': ((1, front_end.frames, front_end.mel_bins), 'front_end'),
        'imu': ((1, imu.length, len(IMU_COLUMNS)), 'imu'),
    }
    for name, (shape, what) in shapes.items():
        if manifest.inputs[name].shape != shape:
            raise refuse(
                f'inputs.{name}.shape',
                f"is {manifest.inputs[name].shape} but '{what}' makes {shape}",
            )
    for head in HEADS:
        count = len(manifest.labels[head])
        if manifest.outputs[head].shape != (1, count):
            raise refuse(
                f'labels.{head}',
                f'has {count} labels but output {head} has the shape '
                f'{manifest.outputs[head].shape}',
            )
    for head, thresholds in manifest.thresholds.items():
        for label in thresholds:
            if label not in manifest.labels[head]:
                raise refuse(f'thresholds.{head}.{label}', f'is not a label of the {head} head')


def manifest_to_json(manifest: Manifest) -> str:
    """Return the manifest as the text of ``manifest.json``."""
    front_end = dataclasses.asdict(manifest.front_end)
    front_end['mel_matrix_sha256'] = manifest.mel_matrix_sha256
    imu = dataclasses.asdict(manifest.imu)
    imu['columns'] = list(IMU_COLUMNS)
    imu |= IMU_UNITS
    value = {
        'schema_version': SCHEMA_VERSION,
        'name': manifest.name,
        'version': manifest.version,
        'labels': manifest.labels,
        'front_end': front_end,
        'imu': imu,
        'signature': manifest.signature,
        'inputs': {name: dataclasses.asdict(spec) for name, spec in manifest.inputs.items()},
        'outputs': {name: dataclasses.asdict(spec) for name, spec in manifest.outputs.items()},
        'model': {
            'sha256': manifest.sha256,
            'bytes': manifest.bytes,
            'parameters': manifest.parameters,
            'macs': manifest.macs,
        },
        'data': {name: dataclasses.asdict(source) for name, source in manifest.data.items()},
        'recipe': manifest.recipe,
        'metrics': {name: dataclasses.asdict(entry) for name, entry in manifest.metrics.items()},
        'thresholds': manifest.thresholds,
    }
    return json.dumps(value, indent=2, allow_nan=False) + '\n'


def manifest_from_json(text: str, source: str = MANIFEST_FILE) -> Manifest:
    """
    Return the manifest in the text of ``manifest.json``, checked in itself.

    Raises:
        KwsImuError: the text is not JSON, or a field is missing, unknown or wrong; the sentence
            names it, and `source` as where it is.

    """
    return _read_manifest(
        read_json(
            text,
            source,
            '; the bundle was damaged or made for another version, so train or fetch it again.',
        )
    )


def load_bundle(path: Path | str) -> Bundle:
    """
    Load and check the bundle in a version's folder.

    Raises:
        KwsImuError: a file is missing or damaged, or a field of the manifest is wrong or does not
            fit the model; the sentence names the field.

    """
    path = Path(path)
    if not path.is_dir():
        raise KwsImuError(
            f'{path} is not a folder, so there is no model bundle in it; give the folder of a '
            f"version, such as models/{DEFAULT_NAME}/1.0.0, or a model's name."
        )
    source = str(path / MANIFEST_FILE)
    text = read_file(path / MANIFEST_FILE, MAXIMUM_MANIFEST_BYTES, _WHAT_A_BUNDLE_IS)
    try:
        manifest = manifest_from_json(text.decode('utf-8'), source)
    except UnicodeDecodeError as error:
        raise KwsImuError(
            f'{source} is not UTF-8 text; train or fetch the bundle again.'
        ) from error
    model_bytes = read_file(path / MODEL_FILE, MAXIMUM_MODEL_BYTES, _WHAT_A_BUNDLE_IS)
    _check_model(manifest, model_bytes, source)
    return Bundle(path, manifest, model_bytes)


def make_bundle(
    model_bytes: bytes,
    *,
    name: str,
    version: str,
    labels: Mapping[str, tuple[str, ...]],
    data: Mapping[str, DataSource],
    recipe: Mapping[str, Any],
    metrics: Mapping[str, Metric] | None = None,
    front_end: FrontEndParameters | None = None,
    imu: ImuParameters | None = None,
    thresholds: Mapping[str, Mapping[str, float]] | None = None,
    file: str = '',
) -> Bundle:
    """
    Return a bundle that is in memory only, checked as `load_bundle` would.

    What the model file itself says (tensors, digest, size, parameters, MACs) is read from it.
    file: names it in errors, where it is a file already.

    Raises:
        KwsImuError: the model has other inputs or heads than a bundle needs, or a value is one
            that `load_bundle` would refuse.

    """
    source = file or f"Bundle '{name}' {version}"
    where = file or f'{source}: {MODEL_FILE}'
    facts = read_tflite(model_bytes, where)
    signature = facts.signatures.get(SIGNATURE)
    if signature is None:
        raise KwsImuError(
            f"{where} lacks the signature '{SIGNATURE}'; export it with named inputs and outputs."
        )
    front_end = front_end or FrontEndParameters()
    manifest = Manifest(
        name=name,
        version=version,
        labels={head: tuple(names) for head, names in labels.items()},
        front_end=front_end,
        mel_matrix_sha256=mel_matrix_digest(front_end),
        imu=imu or ImuParameters(),
        signature=SIGNATURE,
        inputs=signature.inputs,
        outputs=signature.outputs,
        sha256=hashlib.sha256(model_bytes).hexdigest(),
        bytes=len(model_bytes),
        parameters=facts.parameters,
        macs=facts.macs,
        data=dict(data),
        recipe=dict(recipe),
        metrics=dict(metrics or {}),
        thresholds={head: dict(values) for head, values in (thresholds or {}).items()},
    )
    try:
        text = manifest_to_json(manifest)
    except (TypeError, ValueError) as error:
        raise KwsImuError(f'{source}: a value cannot be written as JSON ({error}).') from error
    manifest = manifest_from_json(text, source)
    _check_model(manifest, model_bytes, source)
    return Bundle(None, manifest, model_bytes)


def write_bundle(models: Path | str, bundle: Bundle, card_text: str) -> Bundle:
    """
    Write a bundle to ``<models>/<name>/<version>/`` and return it as loaded from there.

    The folder appears complete or not at all, and is never written twice.

    Raises:
        KwsImuError: the version exists, the card is empty, or the files cannot be written.

    """
    manifest = bundle.manifest
    target = Path(models) / manifest.name / manifest.version
    if not card_text.strip():
        raise KwsImuError(f'The card of {manifest.name} {manifest.version} is empty; describe it.')
    if target.exists():
        raise KwsImuError(
            f'{target} exists and versions are never rewritten; choose a higher version.'
        )
    staging = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix='.writing_', dir=target.parent))
        (staging / MODEL_FILE).write_bytes(bundle.model_bytes)
        (staging / MANIFEST_FILE).write_text(manifest_to_json(manifest), 'utf-8')
        (staging / CARD_FILE).write_text(card_text, 'utf-8')
        staging.chmod(0o755)
        staging.rename(target)
    except OSError as error:
        if staging is not None:
            shutil.rmtree(staging, ignore_errors=True)
        raise KwsImuError(
            f'{target} cannot be written ({error.strerror}); free space or choose another folder.'
        ) from error
    return load_bundle(target)


def is_label(value: Any) -> bool:
    """Return whether a value can name a word, a gesture or an intent, in any language."""
    return is_word(value) and not value.startswith('_') and unicodedata.is_normalized('NFC', value)


def is_bundle_name(name: str) -> bool:
    """Return whether a name can be that of a bundle."""
    return _NAME.fullmatch(name) is not None


def version_key(version: str) -> tuple[int, int, int] | None:
    """Return a semantic version as numbers that sort, None when it is not one."""
    match = _VERSION.fullmatch(version)
    if match is None:
        return None
    major, minor, patch = match.groups()
    return int(major), int(minor), int(patch)


def _newest(folder: Path) -> Path | None:
    """Return the folder of the newest version in a model's folder, None when it has none."""
    if not folder.is_dir():
        return None
    versions = {
        key: path
        for path in folder.iterdir()
        if (key := version_key(path.name)) and (path / MANIFEST_FILE).exists()
    }
    return versions[max(versions)] if versions else None


def find_bundle(name_or_path: Path | str = DEFAULT_NAME) -> Path:
    """
    Return the folder of a bundle.

    name_or_path: a bundle's folder, or one of the files in it; a model's folder, of which the
    newest version is taken; or the name of an installed model, alone or with a version as in
    'voice_gesture/1.0.0'.

    Raises:
        KwsImuError: there is no such bundle.

    """
    given = user_path(name_or_path or DEFAULT_NAME)
    candidates = [given]
    if not given.is_absolute():
        # A path of the user's own needs no installed files.
        with contextlib.suppress(KwsImuError):
            candidates.append(share_directory() / 'models' / given)
    for candidate in candidates:
        if _is_there(candidate / MANIFEST_FILE):
            return candidate
        newest = _newest(candidate)
        if newest is not None:
            return newest
    if given.is_file():
        return _bundle_around(given)
    name = printable(name_or_path)
    if given.is_dir():
        raise KwsImuError(
            f'{name} holds neither {MANIFEST_FILE} nor a version such as 1.0.0; give the folder '
            "of a bundle or the name of a model, such as 'voice_gesture'."
        )
    raise KwsImuError(
        f"No model '{name}' was found (looked at {', '.join(map(printable, candidates))}); give "
        "the folder of a bundle or the name of a model, such as 'voice_gesture'."
    )


def _bundle_around(file: Path) -> Path:
    """Return the folder of the bundle that a file belongs to; say what the file is otherwise."""
    if file.name in (MODEL_FILE, MANIFEST_FILE, CARD_FILE) and _is_there(
        file.with_name(MANIFEST_FILE)
    ):
        return file.parent
    data = read_file(file, MAXIMUM_MODEL_BYTES, _WHAT_A_BUNDLE_IS)
    if is_tflite(data):
        raise KwsImuError(
            f'{printable(file)} is a TensorFlow Lite model without the {MANIFEST_FILE} that says '
            'what it hears and sees; give the folder of a bundle or the name of a model. '
            '`kws-imu compare` and `kws-imu export` take the file alone.'
        )
    raise KwsImuError(f'{printable(file)} is no model bundle; {_WHAT_A_BUNDLE_IS}.')


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return False


def is_model_file(path: Path) -> bool:
    """Return whether a person who gives this path means one model file instead of a bundle."""
    return path.suffix == '.tflite' or (
        path.is_file() and path.name not in (MANIFEST_FILE, CARD_FILE)
    )


def read_model_file(path: Path | str) -> bytes:
    """
    Return the bytes of a TensorFlow Lite model, known by its content whatever its name.

    Raises:
        KwsImuError: it cannot be read, or is something else; the sentence says what.

    """
    path = user_path(path)
    model_bytes = read_file(path, MAXIMUM_MODEL_BYTES, 'give a TensorFlow Lite model (.tflite)')
    read_tflite(model_bytes, printable(path))
    return model_bytes
