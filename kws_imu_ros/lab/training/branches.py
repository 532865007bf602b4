"""
The branch that hears and the branch that sees: each through the same stages.

Teachers, the branch itself, rounds of pruning, folding.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.lab.architectures import build
from kws_imu_ros.lab.architectures.normalization import (
    GroupNormalization,
    fold_batch_norm,
    group_to_batch_norm,
)
from kws_imu_ros.lab.compression.distillation import ensemble_logits, soft_loss
from kws_imu_ros.lab.compression.pruning import Budget, Coupling, Samples, score, select_by_budget
from kws_imu_ros.lab.training.loop import (
    MakeBatch,
    Schedule,
    fit,
    smoothed_cross_entropy,
    tf,
    tf_keras,
)
from kws_imu_ros.lab.training.recipe import (
    BranchRecipe,
    DistillationRecipe,
    FoldRecipe,
    PruningRecipe,
    TeacherRecipe,
)
from kws_imu_ros.lab.training.stages import (
    Finished,
    Stages,
    cooling_stage,
    pruning_stages,
    teacher_stages,
)

EXAMPLES_AT_ONCE = 64


def branch_loss(
    model: tf_keras.Model,
    class_count: int,
    label_smoothing: float,
    teachers: Sequence[tf_keras.Model],
    distillation: DistillationRecipe,
) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    """Return the loss of (inputs, labels): cross entropy, and the distance from the teachers."""

    def loss(inputs: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        logits = model(inputs, training=True)
        hard = smoothed_cross_entropy(targets, logits, class_count, label_smoothing)
        if not teachers:
            return hard
        soft = tf.reduce_mean(
            soft_loss(
                ensemble_logits(teachers, inputs, distillation.temperature),
                tf.nn.softmax(logits),
                distillation.temperature,
            )
        )
        return (1.0 - distillation.weight) * hard + distillation.weight * soft

    return loss


@dataclass(frozen=True)
class BranchPlan:
    """
    What the voice and the gesture branch differ in.

    name: of the branch's stage, and of what is made of it. shape: of the input, without the batch.
    teacher_stage: name of the teacher's stage. batch: draws (inputs, labels). inputs: what decides
    the batches, for fingerprints.
    """

    name: str
    shape: tuple[int, int]
    labels: Sequence[str]
    branch: BranchRecipe
    teacher_stage: str
    teacher: TeacherRecipe | None
    distillation: DistillationRecipe
    pruning: PruningRecipe | None
    batch: MakeBatch
    inputs: Sequence[Any]


@dataclass(frozen=True)
class Taught:
    """
    Who answers for a branch while it learns, none where it learns from labels alone.

    recipe: how it listens.
    """

    teachers: tuple[Finished, ...]
    recipe: DistillationRecipe

    @property
    def models(self) -> list[tf_keras.Model]:
        """Return the teachers' models."""
        return [teacher.model for teacher in self.teachers]

    @property
    def inputs(self) -> list[Any]:
        """Return what teachers add to the inputs of a stage."""
        prints = [teacher.fingerprint for teacher in self.teachers]
        return [self.recipe, *prints] if prints else []


class Branch:
    """
    All stages of one sense.

    fold: how group normalization is folded, None to keep it. keeps_groups: whether it will be an
    operation of the finished branch.

    Raises:
        KwsImuError: an architecture or its configuration is wrong, or the pruning budget cannot be
            met.

    """

    def __init__(self, plan: BranchPlan, stages: Stages, fold: FoldRecipe | None) -> None:
        self.plan, self._stages, self._fold = plan, stages, fold
        # Architectures and budgets are tried before hours of training, not after.
        if plan.teacher:
            self.build(plan.teacher)
        untrained = self.build(plan.branch)
        self.keeps_groups = fold is None and _has_groups(untrained)
        if plan.pruning:
            check_budget(plan.name, plan.pruning, untrained)

    def finish(self) -> Finished:
        """Run all stages; returns the finished branch, a logits model."""
        taught = Taught(tuple(self._teachers()), self.plan.distillation)
        done = self._student(taught)
        if self.plan.pruning:
            done = self._pruned(self.plan.pruning, done, taught)
        return self._folded(done, taught)

    def build(self, branch: BranchRecipe, member: int = 0) -> tf_keras.Model:
        """Build a branch whose output is logits, weights seeded by recipe and member."""
        tf_keras.utils.set_random_seed(self._stages.seed + member)
        return build(
            branch.architecture,
            {
                **branch.config,
                'input_shape': self.plan.shape,
                'classes': len(self.plan.labels),
                'output': 'logits',
                'prefix': f'{self.plan.name}_',
            },
        )

    def _learn(
        self,
        stage: str,
        teachers: Sequence[tf_keras.Model],
        schedule: Schedule,
        member: int = 0,
    ) -> Callable[[tf_keras.Model, Path], float]:
        """Return a function that trains a model on the sense's batches and on teachers' answers."""

        def train(model: tf_keras.Model, checkpoint: Path) -> float:
            loss = branch_loss(
                model,
                len(self.plan.labels),
                schedule.label_smoothing,
                teachers,
                self.plan.distillation,
            )
            return fit(
                stage,
                model.trainable_variables,
                loss,
                self.plan.batch,
                schedule,
                self._stages.seed + member,
                checkpoint,
                model,
            )

        return train

    def _teachers(self) -> Iterator[Finished]:
        """Train the members of the teacher; none where the recipe has no teacher."""
        teacher = self.plan.teacher
        if teacher is None:
            return
        plain = BranchRecipe(teacher.architecture, teacher.config, teacher.schedule)
        for member, stage in enumerate(teacher_stages(self.plan.teacher_stage, teacher)):
            yield self._stages.run(
                stage,
                [plain, *self.plan.inputs, member],
                lambda member=member: self.build(plain, member),
                self._learn(stage, (), teacher.schedule, member),
            )

    def _student(self, taught: Taught) -> Finished:
        """Train the branch itself."""
        branch = self.plan.branch
        return self._stages.run(
            self.plan.name,
            [branch, *self.plan.inputs, *taught.inputs],
            lambda: self.build(branch),
            self._learn(self.plan.name, taught.models, branch.schedule),
        )

    def _pruned(self, recipe: PruningRecipe, dense: Finished, taught: Taught) -> Finished:
        """Remove channels of the branch in rounds, with fine-tuning after each."""
        coupling = Coupling(dense.model)
        ((kind, limit),) = recipe.budget.items()
        start = getattr(coupling.cost(), kind)
        limit = limit * start if limit < 1.0 else limit
        widths = {d.name: d.units.size for d in coupling.dimensions}
        if not taught.teachers if recipe.from_dense is None else recipe.from_dense:
            taught = Taught((dense,), taught.recipe)
        before = dense
        for number, stage in enumerate(pruning_stages(self.plan.name, recipe), 1):
            budget = Budget(
                kind,
                start * (limit / start) ** (number / recipe.rounds),
                recipe.keep_share,
                recipe.multiple,
                recipe.per_cost,
            )
            last = number == recipe.rounds or recipe.round_schedule is None
            schedule = recipe.schedule if last else recipe.round_schedule

            def cut(
                stage: str = stage, model: tf_keras.Model = before.model, budget: Budget = budget
            ) -> tf_keras.Model:
                print(
                    f'{stage}: which channels matter, by {recipe.criterion}, for at most '
                    f'{budget.limit:.0f} {kind} of {start}',
                    file=sys.stderr,
                )
                return self._cut(recipe, model, budget, widths)

            before = self._stages.run(
                stage,
                [
                    before.fingerprint,
                    recipe.criterion,
                    budget,
                    recipe.calibration_clips,
                    schedule,
                    *self.plan.inputs,
                    *taught.inputs,
                ],
                cut,
                self._learn(stage, taught.models, schedule),
                stored=True,
            )
        return self._cooled(recipe.cooldown, recipe, before, taught)

    def _cut(
        self,
        recipe: PruningRecipe,
        model: tf_keras.Model,
        budget: Budget,
        widths: dict[str, int],
    ) -> tf_keras.Model:
        """Return the model without the channels that matter least."""
        coupling = Coupling(model)
        samples = Samples(
            list(self._examples(recipe.calibration_clips)),
            logits_cross_entropy,
            self._stages.seed,
        )
        scores = score(recipe.criterion, coupling, samples)
        return coupling.remove(select_by_budget(coupling, scores, budget, widths))

    def _cooled(
        self, schedule: Schedule | None, recipe: PruningRecipe, before: Finished, taught: Taught
    ) -> Finished:
        """Train on in small steps, or return what there is where the recipe has none."""
        if schedule is None:
            return before
        (stage,) = cooling_stage(self.plan.name, recipe)
        return self._stages.run(
            stage,
            [before.fingerprint, schedule, *self.plan.inputs, *taught.inputs],
            lambda: before.model,
            self._learn(stage, taught.models, schedule),
            stored=True,
        )

    def _folded(self, before: Finished, taught: Taught) -> Finished:
        """
        Return the branch without group normalization, fine-tuned, or the branch if it has none.

        Batch normalization that follows a convolution is no operation: the converter folds it.
        """
        recipe, stage = self._fold, f'{self.plan.name}_folded'
        if not _has_groups(before.model):
            return before
        if recipe is None:
            print(
                f'{self.plan.name}: keeps its group normalization as operations of the int8 '
                f"graph; a section 'fold' in the recipe would remove them",
                file=sys.stderr,
            )
            return before

        def fold() -> tf_keras.Model:
            clips = self._examples(recipe.calibration_clips)
            new, errors = group_to_batch_norm(before.model, [inputs for inputs, _ in clips])
            print(
                f'{stage}: {len(errors)} group normalizations folded, relative error left '
                f'{max(errors.values()):.2f} at most',
                file=sys.stderr,
            )
            return new

        done = self._stages.run(
            stage,
            [recipe, before.fingerprint, *self.plan.inputs, *taught.inputs],
            fold,
            # Whoever taught the branch goes on; else the branch as it was before.
            self._learn(stage, taught.models or [before.model], recipe.schedule),
            stored=True,
        )
        return Finished(fold_batch_norm(done.model), done.fingerprint)

    def _examples(self, count: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield (inputs, labels) of so many augmented training examples, the same each time."""
        for start in range(0, count, EXAMPLES_AT_ONCE):
            rng = np.random.default_rng((self._stages.seed, 1 << 30, start))
            yield self.plan.batch(min(EXAMPLES_AT_ONCE, count - start), rng)


def _has_groups(model: tf_keras.Model) -> bool:
    return any(isinstance(layer, GroupNormalization) for layer in model.layers)


def check_budget(sense: str, recipe: PruningRecipe, branch: tf_keras.Model) -> None:
    """
    Check that a branch can be pruned to a budget, whatever it will have learnt.

    Raises:
        KwsImuError: it cannot, or is below the budget already.

    """
    coupling = Coupling(branch)
    ((kind, limit),) = recipe.budget.items()
    dense = getattr(coupling.cost(), kind)
    if limit > dense:
        raise KwsImuError(
            f'{sense}_pruning: budget of {limit:g} {kind} is above the {dense} of the dense '
            f'branch; lower it.'
        )
    limit = limit * dense if limit < 1.0 else limit
    try:
        select_by_budget(
            coupling,
            score('random', coupling),
            Budget(kind, max(limit, 1.0 + 1e-9), recipe.keep_share, recipe.multiple),
        )
    except KwsImuError as error:
        raise KwsImuError(f'{sense}_pruning: {error}') from None


def logits_cross_entropy(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Return the cross entropy of every sample, float32 (n,), of logits and int labels."""
    return tf.nn.sparse_softmax_cross_entropy_with_logits(tf.cast(labels, tf.int64), logits)
