"""
The stages that make a model, each from a recipe's section: teacher, voice, gesture, fusion.

A stage writes `<stage>.weights.h5` and `<stage>.json` (its fingerprint and last loss) into the work
folder and is skipped when the fingerprint is unchanged.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kws_imu_ros.audio.frontend import FrontEndParameters
from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.model.bundle import ImuParameters
from kws_imu_ros.training.activity_data import ActivityRecording
from kws_imu_ros.training.architectures import build
from kws_imu_ros.training.distillation import soft_loss
from kws_imu_ros.training.gesture_data import STANDARD_GRAVITY, GestureRecording
from kws_imu_ros.training.imu_augmentation import ImuBatches
from kws_imu_ros.training.loop import fit, smoothed_cross_entropy, tf, tf_keras, train_once
from kws_imu_ros.training.recipe import BranchRecipe, DistillationRecipe, Recipe, fingerprint
from kws_imu_ros.training.speech_augmentation import SpeechBatches
from kws_imu_ros.training.speech_data import SpeechClips

# Full scale of the commonest wrist sensors, +-2 g and +-250 degrees/s, becomes +-1.
IMU_PARAMETERS = ImuParameters(
    rate_hz=50.0,
    length=100,
    acceleration_divisor=2.0 * STANDARD_GRAVITY,
    angular_velocity_divisor=float(np.radians(250.0)),
)


def imu_divisors(imu: ImuParameters) -> np.ndarray:
    """Return what each of the six columns is divided by, float32 (6,)."""
    return np.array([imu.acceleration_divisor] * 3 + [imu.angular_velocity_divisor] * 3, np.float32)


@dataclasses.dataclass(frozen=True)
class TrainingData:
    """Everything the stages read; training people only."""

    speech: SpeechClips
    noise: Sequence[np.ndarray]
    gestures: Sequence[GestureRecording]
    activities: Sequence[ActivityRecording]
    digests: Mapping[str, str]


def voice_loss(
    model: tf_keras.Model,
    class_count: int,
    label_smoothing: float,
    teacher: tf_keras.Model | None,
    distillation: DistillationRecipe,
) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    """Return the loss of (log-mel, labels): cross entropy, and the distance from a teacher."""

    def loss(log_mel: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        logits = model(log_mel, training=True)
        hard = smoothed_cross_entropy(targets, logits, class_count, label_smoothing)
        if teacher is None:
            return hard
        soft = tf.reduce_mean(
            soft_loss(
                teacher(log_mel, training=False), tf.nn.softmax(logits), distillation.temperature
            )
        )
        return (1.0 - distillation.weight) * hard + distillation.weight * soft

    return loss


class StageRunner:
    """Run the stages of one recipe in one work folder."""

    def __init__(self, recipe: Recipe, data: TrainingData, work: Path) -> None:
        self.recipe, self.data, self.work = recipe, data, work
        self.front_end, self.imu = FrontEndParameters(), IMU_PARAMETERS
        self.prints: dict[str, str] = {}
        try:
            work.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise KwsImuError(f'Work folder {work} cannot be made: {error.strerror}.') from None
        self._speech = SpeechBatches(
            data.speech.samples,
            data.speech.labels,
            data.noise,
            self.front_end,
            recipe.speech_augmentation,
            len(recipe.voice_labels),
            recipe.voice_labels.index('silence'),
            recipe.voice_labels.index('unknown'),
        )
        self._imu = ImuBatches(
            data.gestures,
            data.activities,
            recipe.gesture_labels,
            imu_divisors(self.imu),
            self.imu.length,
            recipe.imu_augmentation,
        )

    def run(
        self,
        stage: str,
        model: tf_keras.Model,
        inputs: Sequence[Any],
        train: Callable[[Path], float],
    ) -> None:
        """
        Train `model` with `train(checkpoint folder) -> loss`, or load what an equal run left.

        inputs: whatever decides the result, as JSON data or dataclasses.
        """
        wanted = self.prints[stage] = fingerprint(stage, self.recipe.seed, *inputs)
        train_once(self.work, stage, model, wanted, train)

    def branch(
        self, branch: BranchRecipe, shape: tuple[int, int], labels: Sequence[str], prefix: str
    ) -> tf_keras.Model:
        """Build a branch whose output is logits."""
        return build(
            branch.architecture,
            {
                **branch.config,
                'input_shape': shape,
                'classes': len(labels),
                'output': 'logits',
                'prefix': prefix,
            },
        )

    def voice(self, stage: str, teacher: tf_keras.Model | None) -> tf_keras.Model:
        """Train the voice branch ('voice') or its teacher ('teacher'); returns logits models."""
        recipe = self.recipe
        branch: BranchRecipe = getattr(recipe, stage)
        labels = recipe.voice_labels
        model = self.branch(
            branch, (self.front_end.frames, self.front_end.mel_bins), labels, f'{stage}_'
        )
        distillation = recipe.distillation
        loss = voice_loss(
            model, len(labels), branch.schedule.label_smoothing, teacher, distillation
        )
        inputs = [branch, recipe.speech_augmentation, self.front_end, list(labels)]
        inputs.append(self.data.digests['speech'])
        if teacher is not None:
            inputs += [distillation, self.prints['teacher']]
        self.run(
            stage,
            model,
            inputs,
            lambda checkpoint: fit(
                stage,
                model.trainable_variables,
                loss,
                self._speech.batch,
                branch.schedule,
                recipe.seed,
                checkpoint,
                model,
            ),
        )
        return model

    def gesture(self) -> tf_keras.Model:
        """Train the gesture branch; returns a logits model."""
        recipe = self.recipe
        branch, labels = recipe.gesture, recipe.gesture_labels
        model = self.branch(branch, (self.imu.length, 6), labels, 'gesture_')

        def loss(window: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
            return smoothed_cross_entropy(
                targets,
                model(window, training=True),
                len(labels),
                branch.schedule.label_smoothing,
            )

        self.run(
            'gesture',
            model,
            [
                branch,
                recipe.imu_augmentation,
                self.imu,
                list(labels),
                self.data.digests['gestures'],
                self.data.digests.get('activities', ''),
            ],
            lambda checkpoint: fit(
                'gesture',
                model.trainable_variables,
                loss,
                self._imu.batch,
                branch.schedule,
                recipe.seed,
                checkpoint,
                model,
            ),
        )
        return model

    def fusion(self, voice: tf_keras.Model, gesture: tf_keras.Model) -> tf_keras.Model:
        """Train the fusion head on synthetic pairs; returns the whole network, softmax outputs."""
        recipe = self.recipe
        model = assemble(voice, gesture, len(recipe.intent_labels), recipe.fusion.width)
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

        self.run(
            'fusion',
            model,
            [
                recipe.fusion,
                list(recipe.intent_labels),
                self.prints['voice'],
                self.prints['gesture'],
            ],
            lambda checkpoint: fit(
                'fusion',
                head,
                loss,
                self.pairs,
                recipe.fusion.schedule,
                recipe.seed,
                checkpoint,
                model,
            ),
        )
        return model

    def pairs(
        self, size: int, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """
        Return synthetic pairs: log-mel, IMU windows (network units), intent labels.

        Word and gesture come from different people who never met; each may be missing.
        """
        recipe = self.recipe
        voices, gestures, intents = draw_pairs(recipe, size, rng)
        log_mel, _ = self._speech.batch(size, rng, np.maximum(voices, 0))
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
    heard, voice_logits = _branch_outputs(voice)(log_mel)
    seen, gesture_logits = _branch_outputs(gesture)(imu)
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


def _branch_outputs(branch: tf_keras.Model) -> tf_keras.Model:
    """Return the branch with its embedding beside its logits."""
    embedding = next(layer for layer in branch.layers if layer.name.endswith('embedding'))
    return tf_keras.Model(branch.inputs, [embedding.output, *branch.outputs], name=branch.name)
