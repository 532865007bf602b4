"""
The stages that make a model, each from a recipe's section.

For voice and gesture alike: teachers, the branch, rounds of pruning, folding; then fusion. A stage
writes `<stage>.weights.h5` and `<stage>.json` (its fingerprint and last loss) into the work folder,
with `<stage>.architecture.json` where that depends on data, and is skipped when the fingerprint is
unchanged.
"""

from __future__ import annotations

import dataclasses
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kws_imu_ros.audio.frontend import FrontEndParameters
from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.lab.architectures import build
from kws_imu_ros.lab.architectures.normalization import (
    GroupNormalization,
    fold_batch_norm,
    group_to_batch_norm,
)
from kws_imu_ros.lab.compression.distillation import soft_loss, to_logits
from kws_imu_ros.lab.compression.pruning import Budget, Coupling, Samples, score, select_by_budget
from kws_imu_ros.lab.compression.quantization import quantization_aware
from kws_imu_ros.lab.data.activity_data import ActivityRecording
from kws_imu_ros.lab.data.gesture_data import GestureRecording
from kws_imu_ros.lab.data.running_speech import RunningSpeech
from kws_imu_ros.lab.data.speech_data import SpeechClips
from kws_imu_ros.lab.training.imu_augmentation import ImuBatches
from kws_imu_ros.lab.training.loop import (
    MakeBatch,
    Schedule,
    fit,
    run_stage,
    smoothed_cross_entropy,
    tf,
    tf_keras,
)
from kws_imu_ros.lab.training.recipe import (
    BranchRecipe,
    DistillationRecipe,
    PruningRecipe,
    Recipe,
    TeacherRecipe,
    fingerprint,
)
from kws_imu_ros.lab.training.speech_augmentation import SpeechBatches
from kws_imu_ros.model.imu_scaling import IMU_PARAMETERS, imu_divisors

EXAMPLES_AT_ONCE = 64


@dataclasses.dataclass(frozen=True)
class TrainingData:
    """Everything the stages read; training people only."""

    speech: SpeechClips
    noise: Sequence[np.ndarray]
    gestures: Sequence[GestureRecording]
    activities: Sequence[ActivityRecording]
    digests: Mapping[str, str]
    running_speech: RunningSpeech | None = None


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


@dataclasses.dataclass(frozen=True)
class Sense:
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


class StageReached(Exception):  # noqa: N818 - an end that was asked for, no error
    """The stage after which the run was to stop is done."""


class StageRunner:
    """
    Run the stages of one recipe in one work folder, which exists.

    until: stage after which `StageReached` is raised; 'voice_pruned' stands for its last round,
    'teacher' for its last member.

    Raises:
        KwsImuError: the recipe has no stage `until`, or a budget of it cannot be met.

    """

    def __init__(
        self, recipe: Recipe, data: TrainingData, work: Path, until: str | None = None
    ) -> None:
        self.recipe, self.data, self.work = recipe, data, work
        self.front_end, self.imu = FrontEndParameters(), IMU_PARAMETERS
        self.prints: dict[str, str] = {}
        self.until = last_stage(recipe, until) if until else None
        self._speech = SpeechBatches(
            data.speech.samples,
            data.speech.labels,
            data.noise,
            self.front_end,
            recipe.speech_augmentation,
            len(recipe.voice_labels),
            recipe.voice_labels.index('silence'),
            recipe.voice_labels.index('unknown'),
            data.running_speech.samples if data.running_speech else None,
        )
        self._imu = ImuBatches(
            data.gestures,
            data.activities,
            recipe.gesture_labels,
            imu_divisors(self.imu),
            self.imu.length,
            recipe.imu_augmentation,
        )
        speech_inputs = [recipe.speech_augmentation, self.front_end, list(recipe.voice_labels)]
        speech_inputs.append(data.digests['speech'])
        if data.running_speech:
            speech_inputs.append(data.digests['running_speech'])
        self.voice = Sense(
            'voice',
            (self.front_end.frames, self.front_end.mel_bins),
            recipe.voice_labels,
            recipe.voice,
            'teacher',
            recipe.teacher,
            recipe.distillation,
            recipe.voice_pruning,
            self._speech.batch,
            speech_inputs,
        )
        self.gesture = Sense(
            'gesture',
            (self.imu.length, 6),
            recipe.gesture_labels,
            recipe.gesture,
            'gesture_teacher',
            recipe.gesture_teacher,
            recipe.gesture_distillation,
            recipe.gesture_pruning,
            self._imu.batch,
            [
                recipe.imu_augmentation,
                self.imu,
                list(recipe.gesture_labels),
                data.digests['gestures'],
                data.digests.get('activities', ''),
            ],
        )
        # Before hours of training, not after.
        for sense in (self.voice, self.gesture):
            if sense.pruning:
                check_budget(sense.name, sense.pruning, self.build(sense, sense.branch))

    def run(
        self,
        stage: str,
        inputs: Sequence[Any],
        build: Callable[[], tf_keras.Model],
        train: Callable[[tf_keras.Model, Path], float],
        stored: bool = False,
    ) -> tf_keras.Model:
        """
        Run a stage in the work folder, see `loop.run_stage`.

        inputs: whatever decides the result, as JSON data or dataclasses.

        Raises:
            StageReached: this was the last stage wanted.

        """
        wanted = self.prints[stage] = fingerprint(stage, self.recipe.seed, *inputs)
        model = run_stage(self.work, stage, wanted, build, train, stored)
        self.reached(stage)
        return model

    def reached(self, stage: str) -> None:
        """Raise StageReached if this was the last stage wanted."""
        if stage == self.until:
            raise StageReached(stage)

    def build(self, sense: Sense, branch: BranchRecipe, member: int = 0) -> tf_keras.Model:
        """Build a branch of a sense whose output is logits, weights seeded by recipe and member."""
        tf_keras.utils.set_random_seed(self.recipe.seed + member)
        return build(
            branch.architecture,
            {
                **branch.config,
                'input_shape': sense.shape,
                'classes': len(sense.labels),
                'output': 'logits',
                'prefix': f'{sense.name}_',
            },
        )

    def learn(
        self,
        sense: Sense,
        stage: str,
        teachers: Sequence[tf_keras.Model],
        schedule: Schedule,
        member: int = 0,
    ) -> Callable[[tf_keras.Model, Path], float]:
        """Return a function that trains a model on the sense's batches and on teachers' answers."""

        def train(model: tf_keras.Model, checkpoint: Path) -> float:
            loss = branch_loss(
                model,
                len(sense.labels),
                schedule.label_smoothing,
                teachers,
                sense.distillation,
            )
            return fit(
                stage,
                model.trainable_variables,
                loss,
                sense.batch,
                schedule,
                self.recipe.seed + member,
                checkpoint,
                model,
            )

        return train

    def teachers(self, sense: Sense) -> list[tf_keras.Model]:
        """Train the members of a sense's teacher; none where the recipe has no teacher."""
        branch = sense.teacher
        plain = branch and BranchRecipe(branch.architecture, branch.config, branch.schedule)
        return [
            self.run(
                stage,
                [plain, *sense.inputs, member],
                lambda member=member: self.build(sense, branch, member),
                self.learn(sense, stage, (), branch.schedule, member),
            )
            for member, stage in enumerate(teacher_stages(sense.teacher_stage, branch))
        ]

    def _taught_by(self, sense: Sense, stages: Sequence[str]) -> list[Any]:
        """Return what teachers add to the inputs of a stage."""
        return [sense.distillation, *(self.prints[stage] for stage in stages)] if stages else []

    def student(self, sense: Sense, teachers: Sequence[tf_keras.Model]) -> tf_keras.Model:
        """Train the branch itself."""
        stages = teacher_stages(sense.teacher_stage, sense.teacher)
        return self.run(
            sense.name,
            [sense.branch, *sense.inputs, *self._taught_by(sense, stages)],
            lambda: self.build(sense, sense.branch),
            self.learn(sense, sense.name, teachers, sense.branch.schedule),
        )

    def pruned(
        self, sense: Sense, dense: tf_keras.Model, teachers: Sequence[tf_keras.Model]
    ) -> tf_keras.Model:
        """Remove channels of the branch in rounds, with fine-tuning after each."""
        recipe = sense.pruning
        coupling = Coupling(dense)
        ((kind, limit),) = recipe.budget.items()
        start = getattr(coupling.cost(), kind)
        limit = limit * start if limit < 1.0 else limit
        widths = {d.name: d.units.size for d in coupling.dimensions}
        stages = teacher_stages(sense.teacher_stage, sense.teacher)
        from_dense = not teachers if recipe.from_dense is None else recipe.from_dense
        if from_dense:
            teachers, stages = [dense], [sense.name]
        model, before = dense, self.prints[sense.name]
        for number, stage in enumerate(pruning_stages(sense.name, recipe), 1):
            budget = Budget(
                kind,
                start * (limit / start) ** (number / recipe.rounds),
                recipe.keep_share,
                recipe.multiple,
                recipe.per_cost,
            )
            schedule = recipe.schedule if number == recipe.rounds else recipe.round_schedule
            inputs = [before, recipe.criterion, budget, recipe.calibration_clips, schedule]

            def cut(
                stage: str = stage, model: tf_keras.Model = model, budget: Budget = budget
            ) -> tf_keras.Model:
                print(
                    f'{stage}: which channels matter, by {recipe.criterion}, for at most '
                    f'{budget.limit:.0f} {kind} of {start}',
                    file=sys.stderr,
                )
                coupling = Coupling(model)
                samples = Samples(
                    list(self.examples(sense, recipe.calibration_clips)),
                    logits_cross_entropy,
                    self.recipe.seed,
                )
                scores = score(recipe.criterion, coupling, samples)
                return coupling.remove(select_by_budget(coupling, scores, budget, widths))

            model = self.run(
                stage,
                [*inputs, *sense.inputs, *self._taught_by(sense, stages)],
                cut,
                self.learn(sense, stage, teachers, schedule),
                stored=True,
            )
            before = self.prints[stage]
        if recipe.cooldown:
            (stage,) = cooling_stage(sense.name, recipe)
            model = self.run(
                stage,
                [before, recipe.cooldown, *sense.inputs, *self._taught_by(sense, stages)],
                lambda: model,
                self.learn(sense, stage, teachers, recipe.cooldown),
                stored=True,
            )
        return model

    def folded(
        self, sense: Sense, model: tf_keras.Model, teachers: Sequence[tf_keras.Model]
    ) -> tf_keras.Model:
        """
        Return the branch without group normalization, fine-tuned, or the branch if it has none.

        Batch normalization that follows a convolution is no operation: the converter folds it.
        """
        recipe, stage = self.recipe.fold, f'{sense.name}_folded'
        if not any(isinstance(layer, GroupNormalization) for layer in model.layers):
            return model
        if recipe is None:
            print(
                f'{sense.name}: keeps its group normalization as operations of the int8 graph; '
                f"a section 'fold' in the recipe would remove them",
                file=sys.stderr,
            )
            return model
        before = list(self.prints.values())[-1]
        stages = teacher_stages(sense.teacher_stage, sense.teacher)

        def fold() -> tf_keras.Model:
            clips = self.examples(sense, recipe.calibration_clips)
            new, errors = group_to_batch_norm(model, [inputs for inputs, _ in clips])
            print(
                f'{stage}: {len(errors)} group normalizations folded, relative error left '
                f'{max(errors.values()):.2f} at most',
                file=sys.stderr,
            )
            return new

        found = self.run(
            stage,
            [recipe, before, *sense.inputs, *self._taught_by(sense, stages)],
            fold,
            # Whoever taught the branch goes on; else the branch as it was before.
            self.learn(sense, stage, teachers or [model], recipe.schedule),
            stored=True,
        )
        return fold_batch_norm(found)

    def branch(self, sense: Sense) -> tf_keras.Model:
        """Run all stages of a sense; returns its finished branch, a logits model."""
        teachers = self.teachers(sense)
        model = self.student(sense, teachers)
        if sense.pruning:
            model = self.pruned(sense, model, teachers)
        model = self.folded(sense, model, teachers)
        self.prints[f'finished {sense.name}'] = list(self.prints.values())[-1]
        return model

    def examples(self, sense: Sense, count: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield (inputs, labels) of so many augmented training examples, the same each time."""
        for start in range(0, count, EXAMPLES_AT_ONCE):
            rng = np.random.default_rng((self.recipe.seed, 1 << 30, start))
            yield sense.batch(min(EXAMPLES_AT_ONCE, count - start), rng)

    def fusion(self, voice: tf_keras.Model, gesture: tf_keras.Model) -> tf_keras.Model:
        """Train the fusion head on synthetic pairs; returns the whole network, softmax outputs."""
        recipe = self.recipe

        def build_network() -> tf_keras.Model:
            tf_keras.utils.set_random_seed(recipe.seed)
            return assemble(voice, gesture, len(recipe.intent_labels), recipe.fusion.width)

        def train(model: tf_keras.Model, checkpoint: Path) -> float:
            head = [v for v in model.trainable_variables if v.name.startswith('fusion_')]
            head += [v for v in model.trainable_variables if v.name.startswith('intent_')]

            def loss(log_mel: tf.Tensor, window: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
                # The branches are finished: they run as they will at run time.
                posterior = model([log_mel, window], training=False)[2]
                return tf.reduce_mean(
                    tf_keras.losses.categorical_crossentropy(
                        tf.one_hot(targets, len(recipe.intent_labels)),
                        posterior,
                        label_smoothing=recipe.fusion.schedule.label_smoothing,
                    )
                )

            return fit(
                'fusion',
                head,
                loss,
                self.pairs,
                recipe.fusion.schedule,
                recipe.seed,
                checkpoint,
                model,
            )

        return self.run(
            'fusion',
            [
                recipe.fusion,
                list(recipe.intent_labels),
                *self.voice.inputs,
                *self.gesture.inputs,
                self.prints['finished voice'],
                self.prints['finished gesture'],
            ],
            build_network,
            train,
        )

    def quantization_aware(self, network: tf_keras.Model) -> tf_keras.Model:
        """
        Return a copy of the network that has learnt to answer alike in int8.

        All heads at once learn from the float network's answers to training pairs.
        """
        recipe = self.recipe.quantize

        def train(aware: tf_keras.Model, checkpoint: Path) -> float:
            def loss(log_mel: tf.Tensor, window: tf.Tensor, _: tf.Tensor) -> tf.Tensor:
                wanted = network([log_mel, window], training=False)
                found = aware([log_mel, window], training=True)
                return tf.add_n(
                    [
                        tf.reduce_mean(soft_loss(to_logits(one), other, 1.0))
                        for one, other in zip(wanted, found, strict=True)
                    ]
                )

            return fit(
                'quantize_aware',
                aware.trainable_variables,
                loss,
                self.pairs,
                recipe.schedule,
                self.recipe.seed,
                checkpoint,
                aware,
            )

        return self.run(
            'quantize_aware',
            [recipe.schedule, self.prints['fusion']],
            lambda: quantization_aware(fold_batch_norm(network)),
            train,
        )

    def pairs(
        self, size: int, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """
        Return synthetic pairs: log-mel, IMU windows (network units), intent labels.

        Word and gesture come from different people who never met; each may be missing.
        """
        recipe = self.recipe
        voices, gestures, intents = draw_pairs(recipe, size, rng)
        batches = self._speech.in_noise(recipe.fusion.snr_db)
        log_mel, _ = batches.batch(size, rng, np.maximum(voices, 0))
        window, _ = self._imu.batch(size, rng, np.maximum(gestures, 0))
        silence = (self.front_end.silence - self.front_end.offset) / self.front_end.scale
        log_mel[voices < 0] = silence
        window[gestures < 0] = 0.0
        return log_mel, window, intents


def draw_pairs(
    recipe: Recipe, size: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """
    Draw labels of word, gesture and fused intent, int64 (size,) each; -1 is a missing sense.

    Half of the gestures are 'none', for most words come without one.
    """
    fusion = recipe.fusion
    voices = rng.integers(len(recipe.voice_labels), size=size)
    gestures = rng.integers(len(recipe.gesture_labels), size=size)
    gestures[rng.random(size) < 0.35] = recipe.gesture_labels.index('none')
    voices[rng.random(size) < fusion.voice_dropout] = -1
    gestures[rng.random(size) < fusion.gesture_dropout] = -1
    intents = np.array(
        [
            recipe.intent_labels.index(
                fused_intent(
                    recipe.voice_labels[v] if v >= 0 else 'silence',
                    recipe.gesture_labels[g] if g >= 0 else 'none',
                )
            )
            for v, g in zip(voices, gestures, strict=True)
        ]
    )
    return voices, gestures, intents


def fused_intent(word: str, gesture: str) -> str:
    """
    Return what a word and a gesture mean together: the rule that the fusion head learns.

    A swipe corrects a voiced direction; other words stand as they are; a swipe alone is its
    direction, and downwards alone it is 'stop', as a lowered hand means to people.
    """
    direction = gesture.removeprefix('swipe_') if gesture != 'none' else ''
    if word in ('left', 'right', 'up', 'down'):
        return direction or word
    if word in ('unknown', 'silence'):
        return {'': 'none', 'down': 'stop'}.get(direction, direction)
    return word


def assemble(
    voice: tf_keras.Model, gesture: tf_keras.Model, intent_count: int, width: int
) -> tf_keras.Model:
    """
    Join two branches by attention-weighted fusion; inputs log_mel, imu; outputs are posteriors.

    One attention weight per window, from both embeddings, says how far to trust the hand against
    the voice (a gated multimodal unit, Arevalo et al., 2017, with a scalar gate).
    """
    layers = tf_keras.layers
    log_mel = tf_keras.Input(voice.input_shape[1:], name='log_mel')
    imu = tf_keras.Input(gesture.input_shape[1:], name='imu')
    heard, voice_logits = _branch_outputs(voice, log_mel)
    seen, gesture_logits = _branch_outputs(gesture, imu)
    heard = layers.Dense(width, activation='relu', name='fusion_heard')(heard)
    seen = layers.Dense(width, activation='relu', name='fusion_seen')(seen)
    both = layers.Concatenate(name='fusion_both')([heard, seen])
    trust = layers.Dense(1, activation='sigmoid', name='fusion_attention')(both)
    difference = layers.Subtract(name='fusion_difference')([seen, heard])
    weighted = layers.Multiply(name='fusion_weighted')([difference, trust])
    fused = layers.Add(name='fusion_fused')([heard, weighted])
    fused = layers.Dense(width, activation='relu', name='fusion_hidden')(fused)
    intent_logits = layers.Dense(intent_count, name='intent_logits')(fused)
    outputs = [
        layers.Softmax(name=name)(logits)
        for name, logits in (
            ('voice', voice_logits),
            ('gesture', gesture_logits),
            ('intent', intent_logits),
        )
    ]
    return tf_keras.Model([log_mel, imu], outputs, name='voice_gesture')


def _branch_outputs(branch: tf_keras.Model, inputs: Any) -> tuple[Any, Any]:
    """
    Apply copies of a branch's layers to an input; return its embedding and its logits.

    Layer by layer, not as a model within the model, for what prunes or quantizes sees layers only.
    """
    copy = tf_keras.models.clone_model(branch, input_tensors=inputs)
    for layer in branch.layers:
        if layer.weights:
            copy.get_layer(layer.name).set_weights(layer.get_weights())
    embedding = next(layer for layer in copy.layers if layer.name.endswith('embedding'))
    return embedding.output, copy.output


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


def ensemble_logits(
    teachers: Sequence[tf_keras.Model], inputs: tf.Tensor, temperature: float
) -> tf.Tensor:
    """
    Return logits (n, classes) whose softmax at `temperature` is the mean of the teachers'.

    Softened posteriors are averaged, not logits, so that a member that is sure counts as one.
    """
    logits = [teacher(inputs, training=False) for teacher in teachers]
    if len(logits) == 1:
        return logits[0]
    mean = tf.add_n([tf.nn.softmax(z / temperature) for z in logits]) / len(logits)
    return temperature * tf.math.log(mean + 1e-9)
