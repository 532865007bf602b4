"""The head that fuses both senses, trained on synthetic pairs, and the whole network in int8."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kws_imu_ros.lab.architectures.normalization import fold_batch_norm
from kws_imu_ros.lab.compression.distillation import soft_loss, to_logits
from kws_imu_ros.lab.compression.quantization import quantization_aware
from kws_imu_ros.lab.training.data import Senses
from kws_imu_ros.lab.training.loop import Schedule, fit, tf, tf_keras
from kws_imu_ros.lab.training.recipe import Recipe
from kws_imu_ros.lab.training.stages import Finished, Stages
from kws_imu_ros.lab.training.vocabulary import NO_GESTURE, SILENCE, Meanings


class Pairs:
    """
    Synthetic pairs of a word and a gesture, and what they mean together.

    Word and gesture come from different people who never met; each may be missing.
    """

    def __init__(self, recipe: Recipe, senses: Senses, meanings: Meanings) -> None:
        self._recipe, self._senses, self._meanings = recipe, senses, meanings

    def batch(
        self, size: int, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return log-mel windows, IMU windows (network units) and intent labels."""
        senses = self._senses
        voices, gestures, intents = draw_pairs(self._recipe, self._meanings, size, rng)
        batches = senses.speech.in_noise(self._recipe.fusion.snr_db)
        log_mel, _ = batches.batch(size, rng, np.maximum(voices, 0))
        window, _ = senses.motion.batch(size, rng, np.maximum(gestures, 0))
        front_end = senses.front_end
        log_mel[voices < 0] = (front_end.silence - front_end.offset) / front_end.scale
        window[gestures < 0] = 0.0
        return log_mel, window, intents


def draw_pairs(
    recipe: Recipe, meanings: Meanings, size: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """
    Draw labels of word, gesture and fused intent, int64 (size,) each; -1 is a missing sense.

    Half of the gestures are 'none', for most words come without one.
    """
    fusion = recipe.fusion
    voices = rng.integers(len(recipe.voice_labels), size=size)
    gestures = rng.integers(len(recipe.gesture_labels), size=size)
    gestures[rng.random(size) < 0.35] = recipe.gesture_labels.index(NO_GESTURE)
    voices[rng.random(size) < fusion.voice_dropout] = -1
    gestures[rng.random(size) < fusion.gesture_dropout] = -1
    intents = np.array(
        [
            recipe.intent_labels.index(
                meanings.intent(
                    recipe.voice_labels[v] if v >= 0 else SILENCE,
                    recipe.gesture_labels[g] if g >= 0 else NO_GESTURE,
                )
            )
            for v, g in zip(voices, gestures, strict=True)
        ]
    )
    return voices, gestures, intents


def train_fusion(
    recipe: Recipe,
    stages: Stages,
    pairs: Pairs,
    voice: Finished,
    gesture: Finished,
    inputs: Sequence[Any],
) -> Finished:
    """
    Train the fusion head on synthetic pairs; returns the whole network, softmax outputs.

    inputs: what decides the pairs, for the fingerprint.
    """
    count = len(recipe.intent_labels)

    def build_network() -> tf_keras.Model:
        tf_keras.utils.set_random_seed(recipe.seed)
        return assemble(voice.model, gesture.model, count, recipe.fusion.width)

    def train(model: tf_keras.Model, checkpoint: Path) -> float:
        head = [v for v in model.trainable_variables if v.name.startswith('fusion_')]
        head += [v for v in model.trainable_variables if v.name.startswith('intent_')]

        def loss(log_mel: tf.Tensor, window: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
            # The branches are finished: they run as they will at run time.
            posterior = model([log_mel, window], training=False)[2]
            return tf.reduce_mean(
                tf_keras.losses.categorical_crossentropy(
                    tf.one_hot(targets, count),
                    posterior,
                    label_smoothing=recipe.fusion.schedule.label_smoothing,
                )
            )

        return fit(
            'fusion',
            head,
            loss,
            pairs.batch,
            recipe.fusion.schedule,
            recipe.seed,
            checkpoint,
            model,
        )

    return stages.run(
        'fusion',
        [
            recipe.fusion,
            list(recipe.intent_labels),
            *inputs,
            voice.fingerprint,
            gesture.fingerprint,
        ],
        build_network,
        train,
    )


def train_aware(schedule: Schedule, stages: Stages, pairs: Pairs, network: Finished) -> Finished:
    """
    Return a copy of the network that has learnt to answer alike in int8.

    All heads at once learn from the float network's answers to training pairs.
    """

    def train(aware: tf_keras.Model, checkpoint: Path) -> float:
        def loss(log_mel: tf.Tensor, window: tf.Tensor, _: tf.Tensor) -> tf.Tensor:
            wanted = network.model([log_mel, window], training=False)
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
            pairs.batch,
            schedule,
            stages.seed,
            checkpoint,
            aware,
        )

    return stages.run(
        'quantize_aware',
        [schedule, network.fingerprint],
        lambda: quantization_aware(fold_batch_norm(network.model)),
        train,
    )


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
