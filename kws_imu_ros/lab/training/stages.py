"""
The stages of a run, each skipped when nothing that decides its result has changed.

A stage writes `<stage>.weights.h5` and `<stage>.json` (its fingerprint and last loss) into the work
folder, with `<stage>.architecture.json` where that depends on data.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.lab.training.loop import run_stage, tf_keras
from kws_imu_ros.lab.training.recipe import PruningRecipe, Recipe, TeacherRecipe, fingerprint


class StageReached(Exception):  # noqa: N818 - an end that was asked for, no error
    """The stage after which the run was to stop is done."""


@dataclass(frozen=True)
class Finished:
    """A stage that is done: its model, and the fingerprint of all that decided it."""

    model: tf_keras.Model
    fingerprint: str


class Stages:
    """
    Run stages in one work folder, which exists.

    until: stage after which `StageReached` is raised; 'voice_pruned' stands for its last round,
    'teacher' for its last member.

    Raises:
        KwsImuError: the recipe has no stage `until`.

    """

    def __init__(self, recipe: Recipe, work: Path, until: str | None = None) -> None:
        self.seed, self.work = recipe.seed, work
        self._until = last_stage(recipe, until) if until else None

    def run(
        self,
        stage: str,
        inputs: Sequence[Any],
        build: Callable[[], tf_keras.Model],
        train: Callable[[tf_keras.Model, Path], float],
        stored: bool = False,
    ) -> Finished:
        """
        Run a stage, see `loop.run_stage`.

        inputs: whatever decides the result, as JSON data or dataclasses.

        Raises:
            StageReached: this was the last stage wanted.

        """
        wanted = fingerprint(stage, self.seed, *inputs)
        model = run_stage(self.work, stage, wanted, build, train, stored)
        self.reached(stage)
        return Finished(model, wanted)

    def reached(self, stage: str) -> None:
        """Raise StageReached if this was the last stage wanted."""
        if stage == self._until:
            raise StageReached(stage)


def stage_names(recipe: Recipe) -> list[str]:
    """Return the stages of a recipe in the order in which they run."""
    names = []
    for sense, teacher, teacher_stage, branch, pruning in (
        ('voice', recipe.teacher, 'teacher', recipe.voice, recipe.voice_pruning),
        (
            'gesture',
            recipe.gesture_teacher,
            'gesture_teacher',
            recipe.gesture,
            recipe.gesture_pruning,
        ),
    ):
        names += [*teacher_stages(teacher_stage, teacher), sense, *pruning_stages(sense, pruning)]
        names += cooling_stage(sense, pruning)
        if recipe.fold and branch.config.get('norm') == 'group':
            names.append(f'{sense}_folded')
    names.append('fusion')
    if recipe.quantize.mode == 'qat':
        names.append('quantize_aware')
    return [*names, 'quantize', 'thresholds']


def last_stage(recipe: Recipe, name: str) -> str:
    """
    Return the last stage that a name stands for.

    Raises:
        KwsImuError: the recipe has no such stage.

    """
    names = stage_names(recipe)
    found = [n for n in names if n == name or re.fullmatch(rf'{re.escape(name)}_\d+', n)]
    if not found:
        raise KwsImuError(
            f'The recipe has no stage {name!r} to stop after; choose from {", ".join(names)}.'
        )
    return found[-1]


def teacher_stages(stage: str, teacher: TeacherRecipe | None) -> list[str]:
    """Return the stages of a teacher: one for each member."""
    members = teacher.members if teacher else 0
    return [stage if k == 0 else f'{stage}_{k + 1}' for k in range(members)]


def pruning_stages(sense: str, pruning: PruningRecipe | None) -> list[str]:
    """Return the stages of pruning: one for each round."""
    return [f'{sense}_pruned_{k + 1}' for k in range(pruning.rounds if pruning else 0)]


def cooling_stage(sense: str, pruning: PruningRecipe | None) -> list[str]:
    """Return the stage after pruning that ends in small steps, in a list; [] without one."""
    return [f'{sense}_cooled'] if pruning and pruning.cooldown else []
