"""
The dense two-branch network of the tutorials, trained on the same people, beside a bundle.

`Conv1D(64, 3)` and deeper on 16,000 samples of raw audio, `Conv2D` on 100 IMU frames, dense layers
on what is left: what one gets without features, without separable convolutions, without pruning.
Training is kept in the work folder, so that a newer bundle is compared without training again.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from kws_imu_ros.audio.frontend import LogMelStream
from kws_imu_ros.console.progress import make_progress
from kws_imu_ros.lab import architectures
from kws_imu_ros.lab.compression import quantization
from kws_imu_ros.lab.data.activity_data import (
    ActivityRecording,
    activities_digest,
    load_activities,
)
from kws_imu_ros.lab.data.gesture_data import GestureRecording, gestures_digest, load_gestures
from kws_imu_ros.lab.data.speech_data import load_noise, load_speech
from kws_imu_ros.lab.data.vocabulary import GESTURE_LABELS, INTENT_LABELS, VOICE_LABELS
from kws_imu_ros.lab.evaluation import comparison
from kws_imu_ros.lab.evaluation.classification import classification
from kws_imu_ros.lab.evaluation.words import evaluate_voice, voice_clips
from kws_imu_ros.lab.experiments.voice_lab import VoiceLab
from kws_imu_ros.lab.training.imu_augmentation import ImuAugmentation, ImuBatches
from kws_imu_ros.lab.training.loop import (
    MakeBatch,
    Schedule,
    fit,
    smoothed_cross_entropy,
    tf,
    tf_keras,
    train_once,
)
from kws_imu_ros.lab.training.recipe import fingerprint
from kws_imu_ros.lab.training.speech_augmentation import SpeechAugmentation, SpeechBatches
from kws_imu_ros.lab.training.vocabulary import Meanings
from kws_imu_ros.model.bundle import HEADS, Bundle, find_bundle, load_bundle
from kws_imu_ros.model.imu_scaling import IMU_PARAMETERS, imu_divisors
from kws_imu_ros.model.interpreter import Interpreter
from kws_imu_ros.model.signature_runner import run_signature

ARCHITECTURE = 'raw_audio_conv1d'
CONFIG = {'size': 'large', 'norm': 'batch', 'dropout': 0.2}
# The IMU branch is small enough to be trained to its end; then the whole network learns.
GESTURE_SCHEDULE = Schedule(steps=500, batch=64, learning_rate=2e-3)
# Larger steps kill every unit behind the 15,872 inputs of the dense layer that hears.
SCHEDULE = Schedule(steps=9000, batch=32, learning_rate=3e-4, last_rate=0.02)
# What tutorials do: the word comes a little earlier or later, and there is noise. All that the
# release does beyond that would need far more steps than a network this slow gets.
SPEECH_AUGMENTATION = SpeechAugmentation(
    speed=(0.95, 1.05),
    gain_db=(-6.0, 6.0),
    noise_probability=0.5,
    snr_db=(5.0, 30.0),
    confusing_share=0.0,
    babble_probability=0.0,
)
# As recorded, for measuring.
NO_AUGMENTATION = ImuAugmentation((1.0, 1.0), 0.0, (1.0, 1.0), 0.0, 0.0, 0.0)
GESTURE_WINDOWS = 1000
KERAS_BATCH = 50
CALIBRATION_PAIRS = 200
HOP_SAMPLES = 640
ROUNDS = 60

# Audio and IMU windows, float32 (n, ...), in; posteriors by head, float32 (n, labels), out.
Heads = Callable[[np.ndarray, np.ndarray], dict[str, np.ndarray]]

SMALLER, FASTER, LOST = 0.9, 4.0, 0.4


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the data of the other branch and the bundle."""
    parser.add_argument('--gestures', type=Path, required=True, help='folder in GRWD layout')
    parser.add_argument('--activities', type=Path, required=True, help='folder in HAPT layout')
    parser.add_argument(
        '--model', default='voice_gesture', help='bundle folder, or name of an installed model'
    )


def run(lab: VoiceLab, options: argparse.Namespace) -> list[dict[str, Any]]:
    """
    Train the baseline where that is not done, and set the bundle beside it.

    Returns results of the kinds 'table' (with what was wanted) and 'comparison' (latency in the
    same run).
    """
    bundle = load_bundle(find_bundle(options.model))
    steps = options.steps or SCHEDULE.steps
    baseline = TutorialBaseline(lab, options.gestures, options.activities, steps)
    network = baseline.train()
    model_bytes = baseline.to_int8(network)
    manifest = bundle.manifest
    name = f'{manifest.name} {manifest.version}'
    rows, runtime = _compared({'tutorial, int8': model_bytes, name: bundle.model_bytes})
    hop_us = _front_end_us(bundle)
    accuracies = {
        'tutorial, float32': baseline.accuracies(_keras_heads(network)),
        'tutorial, int8': baseline.accuracies(_int8_heads(model_bytes)),
        name: baseline.accuracies_of_bundle(bundle),
    }
    big, ours = rows
    smaller = 1.0 - ours.bytes / big.bytes
    faster = big.latency.low / ours.latency.low
    whole = big.latency.low / (ours.latency.low + hop_us)
    clips, windows = baseline.judged()
    voice = accuracies[name]['voice']
    error = 100.0 * np.sqrt(voice * (1.0 - voice) / clips)
    seen = steps * SCHEDULE.batch / baseline.clip_count
    note = (
        f'Same training people for both. The baseline learned {GESTURE_SCHEDULE.steps} batches of '
        f'gestures, then {steps} of {SCHEDULE.batch} pairs ({seen:.1f} times every clip). '
        'More would help its words; its size and its latency would stay as they are. '
        f'Words: {clips} clips of validation speakers, as `kws-imu evaluate` counts them, '
        f'standard error {error:.1f} points. '
        f'Gestures: {windows} windows of validation subjects and everyday motion, balanced '
        'accuracy, not streamed. One seed. Quiet latency of one inference on one thread; the '
        f'front end of the bundle takes {hop_us:.1f} us for every hop of 40 ms, the baseline has '
        'none.'
    )
    table = [
        [
            'bytes',
            f'at least {SMALLER:.0%} smaller',
            f'{big.bytes:,}',
            f'{ours.bytes:,}',
            f'{smaller:.1%} smaller',
            _reached(smaller >= SMALLER),
        ],
        *(
            [
                label,
                '-',
                f'{getattr(big, key):,}',
                f'{getattr(ours, key):,}',
                f'{getattr(big, key) / getattr(ours, key):.1f}x less',
                '-',
            ]
            for key, label in (
                ('parameters', 'parameters'),
                ('macs', 'MACs'),
                ('arena_bytes', 'activation arena, bytes'),
            )
        ),
        [
            'latency, us',
            f'at least {FASTER:.0f}x faster',
            f'{big.latency.low:.1f}',
            f'{ours.latency.low:.1f}',
            f'{faster:.1f}x faster',
            _reached(faster >= FASTER),
        ],
        [
            'latency with front end, us',
            '-',
            f'{big.latency.low:.1f}',
            f'{ours.latency.low + hop_us:.1f}',
            f'{whole:.1f}x faster',
            '-',
        ],
    ]
    for key, label in (('voice', 'words'), ('gesture', 'gestures')):
        theirs, own = accuracies['tutorial, int8'][key], accuracies[name][key]
        lost = 100.0 * (theirs - own)
        exact = accuracies['tutorial, float32'][key]
        table.append(
            [
                f'{label}, accuracy',
                f'at most {LOST} point lost',
                f'{theirs:.2%} (float32 {exact:.2%})',
                f'{own:.2%}',
                f'{lost:+.2f} points lost',
                _reached(lost <= LOST),
            ]
        )
    title = f'{name} beside the dense two-branch network of the tutorials'
    return [
        {
            'kind': 'table',
            'title': title,
            'note': note,
            'columns': ['measure', 'wanted', 'tutorial, int8', name, 'measured', 'reached'],
            'rows': table,
            'accuracies': accuracies,
            'smaller': smaller,
            'faster': faster,
            'steps': steps,
        },
        {'title': title, **comparison.to_json(rows, runtime, 1, '')},
    ]


class TutorialBaseline:
    """
    The baseline: its data, training, quantization and accuracy.

    lab: speech, work folder and seed. gestures, activities: data folders. steps: of training.
    """

    def __init__(self, lab: VoiceLab, gestures: Path, activities: Path, steps: int) -> None:
        self.lab, self.steps = lab, steps
        self.gestures, self.activities = gestures, activities
        self.clip_count = 0

    def build(self) -> tf_keras.Model:
        """Return the network: audio (16000,) and imu (100, 6) in, logits of three heads out."""
        tf_keras.utils.set_random_seed(self.lab.seed)
        config = {**CONFIG, 'classes': len(INTENT_LABELS), 'output': 'logits'}
        both = architectures.build(ARCHITECTURE, config)
        heads = [
            tf_keras.layers.Dense(len(labels), name=f'{name}_logits')(
                both.get_layer(f'{branch}_embedding').output
            )
            for name, branch, labels in (
                ('voice', 'audio', VOICE_LABELS),
                ('gesture', 'imu', GESTURE_LABELS),
            )
        ]
        return tf_keras.Model(both.inputs, [*heads, *both.outputs], name='tutorial_baseline')

    def train(self) -> tf_keras.Model:
        """Return the trained network with posteriors as outputs voice, gesture and intent."""
        network = self.build()
        clips, speech = self._speech
        recordings, everyday, motion = self._motion('training')
        self.clip_count = len(clips.labels)
        schedule = dataclasses.replace(SCHEDULE, steps=self.steps)

        def make_batch(size: int, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
            audio, words = speech.audio(size, rng)
            windows, swipes = motion.batch(size, rng)
            intents = [
                INTENT_LABELS.index(Meanings().intent(VOICE_LABELS[word], GESTURE_LABELS[swipe]))
                for word, swipe in zip(words, swipes, strict=True)
            ]
            return audio, windows, words, swipes, np.array(intents, np.int64)

        def loss(audio: tf.Tensor, windows: tf.Tensor, *targets: tf.Tensor) -> tf.Tensor:
            logits = network([audio, windows], training=True)
            return tf.add_n(
                [
                    smoothed_cross_entropy(target, logit, logit.shape[-1], schedule.label_smoothing)
                    for target, logit in zip(targets, logits, strict=True)
                ]
            )

        people = [clips.digest, gestures_digest(recordings), activities_digest(everyday)]
        gesture = tf_keras.Model(network.inputs[1], network.outputs[1])
        shorter = min(GESTURE_SCHEDULE.steps, self.steps)

        def gesture_loss(windows: tf.Tensor, swipes: tf.Tensor) -> tf.Tensor:
            logits = gesture(windows, training=True)
            return smoothed_cross_entropy(swipes, logits, len(GESTURE_LABELS), 0.05)

        self._stage(
            'tutorial_gesture',
            gesture,
            dataclasses.replace(GESTURE_SCHEDULE, steps=shorter),
            gesture_loss,
            motion.batch,
            people[1:],
        )
        self._stage('tutorial', network, schedule, loss, make_batch, [*people, shorter])
        posteriors = [
            tf_keras.layers.Softmax(name=name)(logits)
            for name, logits in zip(HEADS, network.outputs, strict=True)
        ]
        return tf_keras.Model(network.inputs, posteriors, name='tutorial_baseline')

    def _stage(
        self,
        stage: str,
        network: tf_keras.Model,
        schedule: Schedule,
        loss: Callable[..., tf.Tensor],
        make_batch: MakeBatch,
        inputs: list[Any],
    ) -> None:
        """Train a network in place, or take from the work folder what an equal run left."""
        augmentations = [SPEECH_AUGMENTATION, ImuAugmentation()]
        wanted = fingerprint(
            stage,
            self.lab.seed,
            ARCHITECTURE,
            CONFIG,
            GESTURE_SCHEDULE,
            schedule,
            *augmentations,
            inputs,
        )
        seed, variables = self.lab.seed, network.trainable_variables
        train_once(
            self.lab.work,
            stage,
            network,
            wanted,
            lambda checkpoint: fit(
                stage, variables, loss, make_batch, schedule, seed, checkpoint, network
            ),
        )

    def to_int8(self, network: tf_keras.Model) -> bytes:
        """Return the network in full int8; ranges come from augmented training pairs."""
        rng = np.random.default_rng((self.lab.seed, 1))
        pairs = {
            'audio': self._speech[1].audio(CALIBRATION_PAIRS, rng)[0],
            'imu': self._motion('training')[2].batch(CALIBRATION_PAIRS, rng)[0],
        }
        calibration = quantization.calibration_from_arrays(pairs, CALIBRATION_PAIRS, self.lab.seed)
        return quantization.to_int8(network, calibration)

    def judged(self) -> tuple[int, int]:
        """Return the number of clips and of IMU windows that accuracies are counted on."""
        return len(self._words[1]), len(self._windows[1])

    def accuracies(self, heads: Heads) -> dict[str, float]:
        """Return the accuracy of words and the balanced accuracy of gestures of the network."""
        clips, truth = self._words
        windows, swipes = self._windows
        audio = clips.astype(np.float32) / 32768.0
        none = np.zeros((len(audio), *windows.shape[1:]), np.float32)
        found = heads(audio, none)['voice']
        seen = heads(np.zeros((len(windows), audio.shape[1]), np.float32), windows)['gesture']
        return {
            'voice': float((found.argmax(axis=1) == truth).mean()),
            'gesture': _balanced(swipes, seen.argmax(axis=1), GESTURE_LABELS),
        }

    def accuracies_of_bundle(self, bundle: Bundle) -> dict[str, float]:
        """Return the same of a bundle, through the run time's own interpreter."""
        interpreter = Interpreter(bundle)
        labels = bundle.manifest.labels
        clips, truth = self._words
        names = np.array(VOICE_LABELS)[truth]
        own = np.array([labels['voice'].index(name) for name in names])
        words = evaluate_voice(interpreter, clips, own)
        windows, swipes = self._windows
        scaled = windows * imu_divisors(IMU_PARAMETERS)
        seen = [int(interpreter.infer(None, window).gesture.argmax()) for window in scaled]
        own = np.array([labels['gesture'].index(GESTURE_LABELS[swipe]) for swipe in swipes])
        return {
            'voice': words['accuracy'],
            'gesture': _balanced(own, np.array(seen), labels['gesture']),
        }

    @functools.cached_property
    def _speech(self) -> tuple[Any, SpeechBatches]:
        """Training speakers and their batches."""
        clips = load_speech(self.lab.speech, 'training', VOICE_LABELS, self.lab.cache)
        return clips, SpeechBatches(
            clips.samples,
            clips.labels,
            load_noise(self.lab.speech, 'training'),
            self.lab.front_end,
            SPEECH_AUGMENTATION,
            len(VOICE_LABELS),
            VOICE_LABELS.index('silence'),
            VOICE_LABELS.index('unknown'),
        )

    @functools.cached_property
    def _words(self) -> tuple[np.ndarray, np.ndarray]:
        """Clips of validation speakers, int16 (n, 16000), and labels (n,)."""
        clips, truth, _, _ = voice_clips(
            self.lab.speech, 'validation', VOICE_LABELS, self.lab.cache, None
        )
        return clips, truth

    @functools.cached_property
    def _windows(self) -> tuple[np.ndarray, np.ndarray]:
        """IMU windows of validation subjects and users, float32 (n, 100, 6), and labels (n,)."""
        _, _, batches = self._motion('validation')
        return batches.batch(GESTURE_WINDOWS, np.random.default_rng(0))

    @functools.cache  # noqa: B019 (one baseline a run)
    def _motion(
        self, split: str
    ) -> tuple[list[GestureRecording], list[ActivityRecording], ImuBatches]:
        """Return the recordings of a split and their batches, augmented for training only."""
        recordings = load_gestures(self.gestures, split)
        everyday = load_activities(self.activities, split)
        augmentation = ImuAugmentation() if split == 'training' else NO_AUGMENTATION
        divisors = imu_divisors(IMU_PARAMETERS)
        batches = ImuBatches(
            recordings, everyday, GESTURE_LABELS, divisors, IMU_PARAMETERS.length, augmentation
        )
        return recordings, everyday, batches


def _int8_heads(model_bytes: bytes) -> Heads:
    return lambda audio, imu: _in_pieces(
        lambda *piece: run_signature(model_bytes, dict(zip(('audio', 'imu'), piece))), audio, imu
    )


def _keras_heads(network: tf_keras.Model) -> Heads:
    call = tf.function(lambda audio, imu: network([audio, imu], training=False))

    def heads(audio: np.ndarray, imu: np.ndarray) -> dict[str, np.ndarray]:
        outputs = call(tf.constant(audio), tf.constant(imu))
        return {name: value.numpy() for name, value in zip(HEADS, outputs, strict=True)}

    return lambda audio, imu: _in_pieces(heads, audio, imu)


def _in_pieces(heads: Heads, audio: np.ndarray, imu: np.ndarray) -> dict[str, np.ndarray]:
    """Run the baseline piece by piece, for it is slow; return posteriors by head."""
    parts = []
    with make_progress() as progress:
        task = progress.add_task('measuring the baseline', total=len(audio), note='')
        for start in range(0, len(audio), KERAS_BATCH):
            piece = slice(start, start + KERAS_BATCH)
            parts.append(heads(audio[piece], imu[piece]))
            progress.advance(task, len(audio[piece]))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _balanced(truth: np.ndarray, found: np.ndarray, labels: tuple[str, ...]) -> float:
    return classification(truth, found, labels)['balanced_accuracy']


def _reached(yes: bool) -> str:
    return 'yes' if yes else 'no'


def _compared(models: dict[str, bytes]) -> tuple[list[comparison.Row], str]:
    """Return the rows of a comparison by turns, and the runtime."""
    print('timing by turns', file=sys.stderr)
    candidates = [comparison.Candidate(name, '', content, {}) for name, content in models.items()]
    return comparison.compare(candidates, rounds=ROUNDS)


def _front_end_us(bundle: Bundle) -> float:
    """Return the quiet microseconds of the front end for a hop of audio."""
    stream = LogMelStream(bundle.manifest.front_end)
    hop = np.random.default_rng(0).integers(-3000, 3000, HOP_SAMPLES).astype(np.int16)

    def push() -> None:
        stream.push(hop)
        stream.window()

    return comparison.measure([push], ROUNDS)[0].low
