"""
A recipe: everything that decides what a training run makes, in one YAML file.

The sections are the stages in the order they run: teacher (may be left out), voice, gesture,
fusion, quantize. A stage is run again only when its section, the data it reads or a stage before it
has changed.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.training.imu_augmentation import ImuAugmentation
from kws_imu_ros.training.loop import Schedule
from kws_imu_ros.training.speech_augmentation import SpeechAugmentation
from kws_imu_ros.yaml_reading import YAML_PROBLEMS

VOICE_LABELS = ('left', 'right', 'up', 'down', 'go', 'stop', 'yes', 'no', 'unknown', 'silence')
GESTURE_LABELS = ('swipe_left', 'swipe_right', 'swipe_up', 'swipe_down', 'none')
INTENT_LABELS = ('left', 'right', 'up', 'down', 'go', 'stop', 'yes', 'no', 'none')


@dataclass(frozen=True)
class BranchRecipe:
    """One branch: architecture by name, its configuration, and how it learns."""

    architecture: str
    config: Mapping[str, Any]
    schedule: Schedule


@dataclass(frozen=True)
class DistillationRecipe:
    """How the voice branch learns from the teacher: softened posteriors and their share."""

    temperature: float = 2.0
    weight: float = 0.7


@dataclass(frozen=True)
class FusionRecipe:
    """
    The fusion head.

    width: channels each sense is projected to. voice_dropout, gesture_dropout: share of the pairs
    in which that sense is missing.
    """

    width: int
    voice_dropout: float
    gesture_dropout: float
    schedule: Schedule


@dataclass(frozen=True)
class QuantizeRecipe:
    """Full int8: how many pairs the ranges are taken from."""

    calibration_pairs: int = 500


@dataclass(frozen=True)
class Recipe:
    """
    A whole recipe; see the module.

    gesture_threshold: smoothed posterior from which a gesture acts without a word, for the bundle.
    """

    name: str
    version: str
    seed: int
    voice: BranchRecipe
    gesture: BranchRecipe
    fusion: FusionRecipe
    quantize: QuantizeRecipe
    teacher: BranchRecipe | None = None
    distillation: DistillationRecipe = field(default_factory=DistillationRecipe)
    speech_augmentation: SpeechAugmentation = field(default_factory=SpeechAugmentation)
    imu_augmentation: ImuAugmentation = field(default_factory=ImuAugmentation)
    gesture_threshold: float = 0.7
    voice_labels: tuple[str, ...] = VOICE_LABELS
    gesture_labels: tuple[str, ...] = GESTURE_LABELS
    intent_labels: tuple[str, ...] = INTENT_LABELS

    def to_json(self) -> dict[str, Any]:
        """Return the recipe as plain JSON data, for the manifest."""
        return json.loads(json.dumps(dataclasses.asdict(self)))


def fingerprint(*parts: Any) -> str:
    """Return a digest of JSON data and dataclasses, to tell whether a stage's inputs changed."""
    plain = [dataclasses.asdict(p) if dataclasses.is_dataclass(p) else p for p in parts]
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:32]


def load_recipe(path: Path) -> Recipe:
    """
    Load a recipe.

    Raises:
        KwsImuError: the file is missing, is not YAML, or has an unknown, missing or unfit field;
            the sentence names it.

    """
    try:
        data = yaml.safe_load(path.read_text())
    except OSError as error:
        raise KwsImuError(f'Recipe {path} cannot be read: {error.strerror}.') from None
    except YAML_PROBLEMS as error:
        raise KwsImuError(f'Recipe {path} is not YAML ({" ".join(str(error).split())}).') from None
    if not isinstance(data, dict):
        raise KwsImuError(f'Recipe {path} must be a mapping of sections; see config/training/.')
    return _build(Recipe, data, str(path))


_NESTED = {
    'voice': BranchRecipe,
    'teacher': BranchRecipe,
    'gesture': BranchRecipe,
    'fusion': FusionRecipe,
    'quantize': QuantizeRecipe,
    'distillation': DistillationRecipe,
    'speech_augmentation': SpeechAugmentation,
    'imu_augmentation': ImuAugmentation,
    'schedule': Schedule,
}


def _build(kind: type, data: Mapping[str, Any], where: str) -> Any:
    """Build a dataclass of plain data, naming what does not fit."""
    if not isinstance(data, Mapping):
        raise KwsImuError(f'{where} must be a mapping; see config/training/ for an example.')
    fields = {f.name: f for f in dataclasses.fields(kind)}
    values = {}
    for key, value in data.items():
        if key not in fields:
            raise KwsImuError(f'{where}: {key!r} is unknown; choose from {", ".join(fields)}.')
        if key in _NESTED:
            value = None if value is None else _build(_NESTED[key], value, f'{where}: {key}')
        elif isinstance(value, list):
            value = tuple(value)
        _check(fields[key], value, f'{where}: {key}')
        values[key] = value
    for name, f in fields.items():
        required = f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
        if name not in values and required:
            raise KwsImuError(f'{where}: {name!r} is missing; see config/training/ for an example.')
    return kind(**values)


def _check(f: dataclasses.Field, value: Any, where: str) -> None:
    """Check plain values against the field's annotation."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if f.type == 'int' and not (isinstance(value, int) and number and value >= 0):
        raise KwsImuError(f'{where} is {value!r}; it must be a whole number, 0 or more.')
    if f.type == 'float' and not number:
        raise KwsImuError(f'{where} is {value!r}; it must be a number.')
    if f.type == 'str' and not (isinstance(value, str) and value):
        raise KwsImuError(f'{where} is {value!r}; it must be text.')
    if f.type == 'tuple[float, float]':
        pair = isinstance(value, tuple) and len(value) == 2
        if not pair or not all(isinstance(v, (int, float)) for v in value) or value[0] > value[1]:
            raise KwsImuError(f'{where} is {value!r}; it must be [lowest, highest].')
