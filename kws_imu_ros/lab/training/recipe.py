"""
A recipe: everything that decides what a training run makes, in one YAML file.

The sections are the stages in the order they run. Only voice, gesture, fusion and quantize must be
there; teachers, pruning, folding of group normalization, quantization-aware training and the policy
of thresholds may be left out. A stage is run again only when its section, the data it reads or a
stage before it has changed.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kws_imu_ros.configuration.section import Section, load_yaml
from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.lab.compression.pruning import BUDGETS, CRITERIA
from kws_imu_ros.lab.data.vocabulary import GESTURE_LABELS, VOICE_LABELS
from kws_imu_ros.lab.training.imu_augmentation import ImuAugmentation
from kws_imu_ros.lab.training.loop import Schedule
from kws_imu_ros.lab.training.speech_augmentation import SpeechAugmentation

QUANTIZE_MODES = ('int8', 'qat')


@dataclass(frozen=True)
class BranchRecipe:
    """One branch: architecture by name, its configuration, and how it learns."""

    architecture: str
    config: Mapping[str, Any]
    schedule: Schedule


@dataclass(frozen=True)
class TeacherRecipe(BranchRecipe):
    """
    A large network that only teaches.

    members: so many are trained, from seeds that follow each other, and their softened posteriors
    are averaged (an ensemble as teacher, Hinton, Vinyals, Dean, 2015).
    """

    members: int = 1

    def __post_init__(self) -> None:
        """Check the number of members."""
        if self.members < 1:
            raise KwsImuError(f'members is {self.members}; a teacher has at least 1.')


@dataclass(frozen=True)
class DistillationRecipe:
    """How a branch learns from its teacher: softened posteriors and their share."""

    temperature: float = 2.0
    weight: float = 0.7

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.temperature <= 0.0 or not 0.0 <= self.weight <= 1.0:
            raise KwsImuError(
                f'temperature is {self.temperature} and weight {self.weight}; temperature must be '
                f'above 0 and weight from 0 to 1.'
            )


@dataclass(frozen=True)
class PruningRecipe:
    """
    How a trained branch becomes a smaller one.

    budget: what may remain, one of parameters, macs, bytes (of the int8 file, estimated): a share
    of the dense branch when below 1, else a count.
    schedule: fine-tuning at the end. criterion: a key of `pruning.CRITERIA`. rounds: the cost falls
    by the same factor in each; round_schedule fine-tunes after every round but the last.
    cooldown: a stage after that, for ending in small steps.
    calibration_clips: examples the criterion looks at. keep_share: the share of its channels that
    every width keeps. multiple: widths become multiples of it.
    per_cost: channels go that matter least for what they cost, not those that matter least.
    from_dense: the dense branch teaches the pruned one; if left out, only where it had no teacher.
    """

    budget: Mapping[str, float]
    schedule: Schedule
    criterion: str = 'taylor'
    rounds: int = 1
    round_schedule: Schedule | None = None
    calibration_clips: int = 512
    keep_share: float = 0.1
    multiple: int = 1
    per_cost: bool = False
    from_dense: bool | None = None
    cooldown: Schedule | None = None

    def __post_init__(self) -> None:
        """Check what can be checked without the network."""
        budget = self.budget
        if not isinstance(budget, Mapping) or len(budget) != 1 or next(iter(budget)) not in BUDGETS:
            raise KwsImuError(
                f'budget is {budget!r}; it must name one of {", ".join(BUDGETS)} and what may '
                f'remain, such as {{parameters: 0.5}}.'
            )
        ((kind, limit),) = budget.items()
        number = isinstance(limit, (int, float)) and not isinstance(limit, bool)
        if not number or not limit > 0 or limit == 1:
            raise KwsImuError(
                f'budget has {limit!r} {kind}; it must be a share between 0 and 1 of the dense '
                f'branch, or a count.'
            )
        if self.criterion not in CRITERIA:
            raise KwsImuError(
                f'criterion is {self.criterion!r}, which is unknown; choose from '
                f'{", ".join(CRITERIA)}.'
            )
        if self.rounds < 1:
            raise KwsImuError(f'rounds is {self.rounds}; pruning takes at least 1.')
        if self.rounds > 1 and self.round_schedule is None:
            raise KwsImuError(
                f"rounds is {self.rounds} but 'round_schedule' is missing; it says how the branch "
                f'is fine-tuned after every round but the last.'
            )
        if self.calibration_clips < 1:
            raise KwsImuError('calibration_clips is 0; a criterion needs at least 1.')
        if not 0.0 <= self.keep_share < 1.0 or self.multiple < 1:
            raise KwsImuError(
                f'keep_share is {self.keep_share} and multiple {self.multiple}; keep_share must be '
                f'at least 0 and below 1, multiple at least 1.'
            )


@dataclass(frozen=True)
class FoldRecipe:
    """
    How group normalization becomes batch normalization, which folds into the convolutions.

    calibration_clips: examples whose statistics are taken. schedule: fine-tuning afterwards.
    """

    schedule: Schedule
    calibration_clips: int = 512

    def __post_init__(self) -> None:
        """Check that there is something to take statistics of."""
        if self.calibration_clips < 1:
            raise KwsImuError('calibration_clips is 0; folding needs at least 1.')


@dataclass(frozen=True)
class FusionRecipe:
    """
    The fusion head.

    width: channels each sense is projected to. voice_dropout, gesture_dropout: share of the pairs
    in which that sense is missing. snr_db: range of the words' signal-to-noise ratio; where words
    drown, the head learns to trust the hand.
    """

    width: int
    voice_dropout: float
    gesture_dropout: float
    schedule: Schedule
    snr_db: tuple[float, float] = (-3.0, 25.0)

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.width < 1:
            raise KwsImuError(f'width is {self.width}; the head needs at least 1 channel.')
        for name in ('voice_dropout', 'gesture_dropout'):
            if not 0.0 <= getattr(self, name) < 1.0:
                raise KwsImuError(
                    f'{name} is {getattr(self, name):g}; it must be at least 0 and below 1.'
                )


@dataclass(frozen=True)
class QuantizeRecipe:
    """
    Full int8.

    mode: 'int8' takes ranges from pairs after training; 'qat' learns them, and weights that bear
    rounding, in quantization-aware training by `schedule`. calibration_pairs: how many pairs.
    """

    mode: str = 'int8'
    calibration_pairs: int = 500
    schedule: Schedule | None = None

    def __post_init__(self) -> None:
        """Check the mode and what it needs."""
        if self.calibration_pairs < 1:
            raise KwsImuError('calibration_pairs is 0; int8 needs at least 1.')
        if self.mode not in QUANTIZE_MODES:
            raise KwsImuError(
                f'mode is {self.mode!r}, which is unknown; choose from {", ".join(QUANTIZE_MODES)}.'
            )
        if self.mode == 'qat' and self.schedule is None:
            raise KwsImuError("mode is 'qat' but 'schedule' is missing; it says how long to train.")


@dataclass(frozen=True)
class ThresholdsRecipe:
    """
    How the words' thresholds are chosen over long audio.

    Fewest rejects at so many false accepts an hour; more are allowed where the rejects would be
    above `most_rejects`.
    """

    false_accepts_per_hour: float = 1.0
    most_rejects: float = 0.1

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.false_accepts_per_hour <= 0.0 or not 0.0 < self.most_rejects <= 1.0:
            raise KwsImuError(
                f'false_accepts_per_hour is {self.false_accepts_per_hour} and most_rejects '
                f'{self.most_rejects}; both must be above 0 and most_rejects at most 1.'
            )


@dataclass(frozen=True)
class Recipe:
    """
    A whole recipe; see the module.

    gesture_threshold: smoothed posterior from which a gesture acts without a word, for the bundle.
    intent_labels: left out, what words and gestures mean by the policy. stop_word: the word that
    stops the robot, where that is none of the policy's.
    """

    name: str
    version: str
    seed: int
    voice: BranchRecipe
    gesture: BranchRecipe
    fusion: FusionRecipe
    quantize: QuantizeRecipe
    teacher: TeacherRecipe | None = None
    distillation: DistillationRecipe = field(default_factory=DistillationRecipe)
    voice_pruning: PruningRecipe | None = None
    gesture_teacher: TeacherRecipe | None = None
    gesture_distillation: DistillationRecipe = field(default_factory=DistillationRecipe)
    gesture_pruning: PruningRecipe | None = None
    fold: FoldRecipe | None = None
    thresholds: ThresholdsRecipe = field(default_factory=ThresholdsRecipe)
    speech_augmentation: SpeechAugmentation = field(default_factory=SpeechAugmentation)
    imu_augmentation: ImuAugmentation = field(default_factory=ImuAugmentation)
    gesture_threshold: float = 0.7
    voice_labels: tuple[str, ...] = VOICE_LABELS
    gesture_labels: tuple[str, ...] = GESTURE_LABELS
    intent_labels: tuple[str, ...] = ()
    stop_word: str | None = None

    def __post_init__(self) -> None:
        """Check what a bundle would refuse at the end."""
        if not 0.0 <= self.gesture_threshold <= 1.0:
            raise KwsImuError(
                f'gesture_threshold is {self.gesture_threshold:g}; it must be from 0 to 1.'
            )

    def to_json(self) -> dict[str, Any]:
        """Return the recipe as plain JSON data, for the manifest."""
        return json.loads(json.dumps(dataclasses.asdict(self)))


def fingerprint(*parts: Any) -> str:
    """
    Return a digest of JSON data and dataclasses, to tell whether a stage's inputs changed.

    Fields left at their defaults do not count, so that a new setting spoils no finished stage.
    """
    text = json.dumps([_changed(part) for part in parts], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _changed(part: Any) -> Any:
    """Return a dataclass as a mapping of what differs from its defaults, anything else as it is."""
    if not dataclasses.is_dataclass(part):
        return part
    return {
        f.name: _changed(getattr(part, f.name))
        for f in dataclasses.fields(part)
        if f.default is dataclasses.MISSING or getattr(part, f.name) != f.default
    }


def load_recipe(path: Path) -> Recipe:
    """
    Load a recipe.

    Raises:
        KwsImuError: the file is missing, is not YAML, or has an unknown, missing or unfit field;
            the sentence names it.

    """
    return _build(Recipe, load_yaml(path, 'recipe'))


def _build(kind: type, section: Section) -> Any:
    """Build a dataclass of a section, naming what does not fit."""
    fields = dataclasses.fields(kind)
    required = [
        field.name
        for field in fields
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    ]
    section.holding(required, [field.name for field in fields if field.name not in required])
    hints = typing.get_type_hints(kind)
    # An optional name with nothing after it is left at its default.
    given = [name for name in section.names() if name in required or section.has(name)]
    values = {name: _value(section, name, hints[name]) for name in given}
    try:
        return kind(**values)
    except KwsImuError as error:
        raise section.refused(error) from error


def _value(section: Section, name: str, hint: Any) -> Any:
    """Return a value, checked against the type of its field."""
    kinds = [kind for kind in typing.get_args(hint) if kind is not types.NoneType]
    if isinstance(hint, types.UnionType) and len(kinds) == 1:
        return _value(section, name, kinds[0])
    if dataclasses.is_dataclass(hint):
        return _build(hint, section.names_of(name))
    if hint is int:
        return section.integer(name)
    if hint is bool:
        return section.boolean(name)
    if hint is str:
        return section.text(name)
    if hint is float:
        section.number(name)
    elif kinds == [float, float]:
        low, high = section.numbers(name, 2)
        if low > high:
            raise section.wrong(name, f'is {section.entry(name).show()}; give [lowest, highest]')
    # As the file has it: whole numbers stay whole, so that fingerprints stay the same.
    value = section.plain(name)
    return tuple(value) if isinstance(value, list) else value
