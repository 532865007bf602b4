"""
The registry of model bundles: a folder ``<models>/<name>/<version>/``, nothing more.

The newest version of a name is the one that robots take, so promoting means: verify a candidate,
compare its metrics with the newest version's, and write it under a higher version number. Nothing
is ever rewritten; going back to an older model is promoting it again under a new number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.model.bundle import (
    CARD_FILE,
    HEADS,
    Bundle,
    find_bundle,
    load_bundle,
    version_key,
    write_bundle,
)
from kws_imu_ros.model.interpreter import Interpreter
from kws_imu_ros.resources import share_path

# Which way a metric is better is read from its name.
HIGHER_IS_BETTER = ('accuracy', 'recall', 'precision', 'f1')
LOWER_IS_BETTER = ('false', 'error', 'latency', 'reject')
TOLERANCE_POINTS = 0.5


@dataclass(frozen=True)
class Entry:
    """A version in the registry; problem is '' where the bundle is sound, and then bundle is it."""

    name: str
    version: str
    path: Path
    newest: bool
    bundle: Bundle | None
    problem: str


@dataclass(frozen=True)
class Verification:
    """The checks that a bundle passed, and the first that it failed in a sentence, or ''."""

    path: Path
    passed: tuple[str, ...]
    problem: str


def models_directory(given: Path | None = None) -> Path:
    """
    Return the folder of models: the given one, else the installed one.

    Raises:
        KwsImuError: it does not exist.

    """
    directory = given if given is not None else share_path('models')
    if not directory.is_dir():
        raise KwsImuError(f'{directory} is not a folder of models; give one with --models.')
    return directory


def list_models(directory: Path) -> list[Entry]:
    """Return every version under a folder of models, by name, the newest version first."""
    entries = []
    for folder in sorted(path for path in directory.iterdir() if path.is_dir()):
        versions = sorted(
            (
                (key, path)
                for path in folder.iterdir()
                if (key := version_key(path.name)) is not None
            ),
            reverse=True,
        )
        for _, path in versions:
            bundle, problem = None, ''
            try:
                bundle = load_bundle(path)
                manifest = bundle.manifest
                if (manifest.name, manifest.version) != (folder.name, path.name):
                    problem = (
                        f'{path} holds {manifest.name} {manifest.version}; a bundle must lie under '
                        'its own name and version, so move it.'
                    )
            except KwsImuError as error:
                problem = str(error)
            newest = path == versions[0][1]
            entries.append(Entry(folder.name, path.name, path, newest, bundle, problem))
    return entries


def verify(path: Path) -> Verification:
    """
    Check a bundle as far as that goes without data.

    The manifest is compared with the model and this program's front end, the network is run on
    silence without an IMU, on noise, and on noise with motion, and the posteriors must be such.
    """
    passed: list[str] = []
    try:
        bundle = load_bundle(path)
        passed.append('manifest fits the model and the front end')
        card = path / CARD_FILE
        if not card.is_file() or not card.read_text('utf-8').strip():
            raise KwsImuError(f'{card} is missing or empty; describe the model in it.')
        passed.append('card')
        missing = [name for name, metric in bundle.manifest.metrics.items() if not metric.command]
        if missing:
            raise KwsImuError(
                f'{path}: metrics {", ".join(missing)} name no command to repeat them.'
            )
        passed.append('metrics name their commands')
        _run(bundle)
        passed.append('runs, with and without each sensor, and gives posteriors')
    except KwsImuError as error:
        return Verification(path, tuple(passed), str(error))
    return Verification(path, tuple(passed), '')


def _run(bundle: Bundle) -> None:
    """Run a bundle on inputs of every kind; raise KwsImuError where outputs are no posteriors."""
    interpreter = Interpreter(bundle)
    front_end, imu = bundle.manifest.front_end, bundle.manifest.imu
    generator = np.random.default_rng(0)
    noise = generator.normal(
        front_end.offset, front_end.scale, (front_end.frames, front_end.mel_bins)
    )
    motion = np.concatenate(
        (generator.normal(0.0, 9.8, (imu.length, 3)), generator.normal(0.0, 2.0, (imu.length, 3))),
        1,
    )
    cases = ((None, None), (noise, None), (None, motion), (noise, motion))
    for log_mel, window in cases:
        posteriors = interpreter.infer(
            None if log_mel is None else log_mel.astype(np.float32),
            None if window is None else window.astype(np.float32),
        )
        for head in HEADS:
            values = getattr(posteriors, head)
            if not np.isfinite(values).all() or abs(float(values.sum()) - 1.0) > 0.05:
                raise KwsImuError(
                    f'{bundle.path}: the {head} head does not give posteriors (their sum is '
                    f'{float(values.sum()):.3f}); convert the model again.'
                )


def compare_metrics(candidate: Bundle, current: Bundle) -> list[str]:
    """
    Return, in words, the metrics by which a candidate is worse than the current version.

    Only metrics that both name, of the same unit, and whose direction the name tells are compared.
    """
    worse = []
    for name, new in candidate.manifest.metrics.items():
        old = current.manifest.metrics.get(name)
        if old is None or old.unit != new.unit:
            continue
        if any(word in name for word in LOWER_IS_BETTER):
            loss = new.value - old.value
        elif any(word in name for word in HIGHER_IS_BETTER):
            loss = old.value - new.value
        else:
            continue
        share = 0.0 <= max(abs(new.value), abs(old.value)) <= 1.0 and new.unit != '%'
        tolerance = TOLERANCE_POINTS / 100.0 if share else TOLERANCE_POINTS
        if loss > tolerance:
            worse.append(f'{name} {old.value:.4g} -> {new.value:.4g}{new.unit and " " + new.unit}')
    return worse


def next_version(versions: Sequence[str], part: str = 'minor') -> str:
    """Return the version after the newest of a name; part is 'major', 'minor' or 'patch'."""
    keys = (version_key(version) for version in versions)
    newest = max((key for key in keys if key is not None), default=(0, 0, 0))
    index = ('major', 'minor', 'patch').index(part)
    return '.'.join(
        str(number + 1 if i == index else number if i < index else 0)
        for i, number in enumerate(newest)
    )


def promote(
    candidate: Path, models: Path, version: str | None = None, allow_worse: bool = False
) -> Bundle:
    """
    Verify a bundle and write it into a folder of models as the newest version of its name.

    candidate: folder of a bundle, of a training run or of an older version. version: its new
    version; without one, its own where that is the highest, else an error that names the next.
    allow_worse: promote even though a metric is worse than the newest version's.

    Raises:
        KwsImuError: the candidate fails verification, is worse, or the version is not the highest.

    """
    verification = verify(candidate)
    if verification.problem:
        raise KwsImuError(f'Not promoted: {verification.problem}')
    bundle = load_bundle(candidate)
    name = bundle.manifest.name
    folder = models / name
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    versions = {key: entry for entry in names if (key := version_key(entry)) is not None}
    wanted = version or bundle.manifest.version
    wanted_key = version_key(wanted)
    if wanted_key is None:
        raise KwsImuError(f"'{wanted}' is no version; give three numbers, such as 1.2.0.")
    if versions:
        newest_key = max(versions)
        newest = versions[newest_key]
        if wanted_key <= newest_key:
            raise KwsImuError(
                f'{name} {newest} is there already and versions only go up; promote it with '
                f'--version {next_version([newest])}.'
            )
        worse = compare_metrics(bundle, load_bundle(folder / newest))
        if worse and not allow_worse:
            raise KwsImuError(
                f'Not promoted: worse than {name} {newest} in {"; ".join(worse)}. Improve it, or '
                'promote it anyway with --allow-worse.'
            )
    card = (candidate / CARD_FILE).read_text('utf-8')
    if wanted != bundle.manifest.version:
        card = f'{card.rstrip()}\n\nPromoted from version {bundle.manifest.version}.\n'
    renamed = Bundle(None, replace(bundle.manifest, version=wanted), bundle.model_bytes)
    return write_bundle(models, renamed, card)


def find_version(name: str, models: Path) -> Path:
    """
    Return the folder of ``name`` or ``name/version`` in a folder of models, or of a path.

    Raises:
        KwsImuError: there is none.

    """
    inside = models / name
    return find_bundle(inside if inside.is_dir() else name)
