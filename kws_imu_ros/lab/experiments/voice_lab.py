"""The bench of the voice experiments: the same data, training and counting for all of them."""

from __future__ import annotations

import functools
import hashlib
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kws_imu_ros.audio.frontend import FrontEndParameters, log_mel
from kws_imu_ros.console.progress import make_progress
from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.lab import architectures
from kws_imu_ros.lab.compression import quantization
from kws_imu_ros.lab.data.speech_data import load_noise, load_speech
from kws_imu_ros.lab.data.vocabulary import VOICE_LABELS
from kws_imu_ros.lab.evaluation.words import voice_clips
from kws_imu_ros.lab.training.branches import branch_loss
from kws_imu_ros.lab.training.loop import MakeBatch, Schedule, fit, tf, tf_keras, train_once
from kws_imu_ros.lab.training.recipe import DistillationRecipe, fingerprint
from kws_imu_ros.lab.training.speech_augmentation import SpeechAugmentation, SpeechBatches
from kws_imu_ros.lab.training.work_folder import hold
from kws_imu_ros.model.signature_runner import read_signature, run_signature
from kws_imu_ros.resources import replacing

EVALUATION_BATCH = 256
POOL_BATCH = 128


class VoiceLab:
    """
    Train and measure voice networks: log-mel windows in, float32 (n, 49, 40), logits out.

    speech: folder in Speech Commands layout; training speakers teach, validation speakers judge.
    work: folder for trained stages and checkpoints. cache: folder for decoded audio, None for none.
    seed: of the initial weights and of every batch.

    Raises:
        KwsImuError: the speech folder is missing or unfit, or the work folder cannot be made or is
            in use.

    """

    def __init__(
        self,
        speech: Path,
        work: Path,
        cache: Path | None = None,
        seed: int = 1,
        labels: Sequence[str] = VOICE_LABELS,
        augmentation: SpeechAugmentation | None = None,
    ) -> None:
        self.speech, self.work, self.cache, self.seed = speech, work, cache, seed
        self.labels = tuple(labels)
        self.augmentation = augmentation or SpeechAugmentation()
        self.front_end = FrontEndParameters()
        self.digest = ''
        self._pool = np.zeros((0, 0, 0), np.float16), np.zeros(0, np.int64)
        if not speech.is_dir():
            raise KwsImuError(
                f'Speech folder {speech} does not exist; give the folder of word folders.'
            )
        # Freed with the lab: two experiments in one folder would write each other's checkpoints.
        weakref.finalize(self, hold(work).close)

    def build(self, architecture: str, config: Mapping[str, Any] | None = None) -> tf_keras.Model:
        """
        Return a new network of a registered architecture, logits out, weights by the lab's seed.

        config: fields of `ArchitectureConfig`; shape, classes and output are the lab's.
        """
        tf_keras.utils.set_random_seed(self.seed)
        return architectures.build(
            architecture,
            {
                **(config or {}),
                'input_shape': (self.front_end.frames, self.front_end.mel_bins),
                'classes': len(self.labels),
                'output': 'logits',
            },
        )

    def train(
        self,
        stage: str,
        model: tf_keras.Model,
        schedule: Schedule,
        teacher: tf_keras.Model | None = None,
        distillation: DistillationRecipe | None = None,
        inputs: Sequence[Any] = (),
        make_batch: MakeBatch | None = None,
    ) -> tf_keras.Model:
        """
        Train a network in place by the release's augmentation and loss, and return it.

        stage: name of its files in the work folder. The stage goes on where it was interrupted and
        is taken from the work folder where data, schedule, initial weights (its own and the
        teacher's) and `inputs` (JSON data) are those of the last run.
        teacher: logits model that sees the same batches; distillation: how it is listened to.
        make_batch: where batches come from, the lab's own when None; what decides about another
        source belongs into `inputs`.
        """
        distillation = distillation or DistillationRecipe()
        # Read before the fingerprint is taken: the data decide, whoever deals them.
        batches = self.batches
        make_batch = make_batch or batches.batch
        wanted = fingerprint(
            stage,
            self.seed,
            schedule,
            self.augmentation,
            self.front_end,
            list(self.labels),
            self.digest,
            weights_digest(model),
            [weights_digest(teacher), vars(distillation)] if teacher else [],
            list(inputs),
        )
        loss = branch_loss(
            model,
            len(self.labels),
            schedule.label_smoothing,
            [teacher] if teacher else [],
            distillation,
        )
        # Dropout has a seed of its own, which must not depend on what was built before.
        tf.random.set_seed(self.seed)
        train_once(
            self.work,
            stage,
            model,
            wanted,
            lambda checkpoint: fit(
                stage,
                model.trainable_variables,
                loss,
                make_batch,
                schedule,
                self.seed,
                checkpoint,
                model,
            ),
        )
        return model

    def train_on_pool(
        self,
        stage: str,
        model: tf_keras.Model,
        schedule: Schedule,
        teacher: tf_keras.Model | None = None,
    ) -> tf_keras.Model:
        """Train as `train` does, on batches of the pool."""
        inputs = ['pool', self.pool_size]
        return self.train(stage, model, schedule, teacher, inputs=inputs, make_batch=self.deal)

    def deal(self, size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Return a batch of the pool, float32 (size, 49, 40), and its labels int64 (size,)."""
        windows, labels = self._pool
        chosen = rng.integers(len(labels), size=size)
        return windows[chosen].astype(np.float32), labels[chosen]

    @property
    def pool_size(self) -> int:
        """Number of windows in the pool, 0 before it is filled."""
        return len(self._pool[1])

    def fill_pool(self, batches: int) -> None:
        """
        Augment `batches` of 128 training windows once, for `deal`; kept in the work folder.

        Where many networks are compared, augmentation would take more time than all of them. Half
        precision is far finer than the noise in the windows.

        Raises:
            KwsImuError: the pool cannot be written.

        """
        source = self.batches
        key = fingerprint(
            self.seed, batches, self.augmentation, self.front_end, list(self.labels), self.digest
        )
        path = self.work / f'pool_{key[:16]}.npz'
        if path.is_file():
            with np.load(path) as stored:
                self._pool = stored['windows'], stored['labels']
            return
        windows, labels = [], []
        with make_progress() as progress:
            task = progress.add_task('augmenting', total=batches, note='')
            for index in range(batches):
                rng = np.random.default_rng((self.seed, 2, index))
                window, label = source.batch(POOL_BATCH, rng)
                windows.append(window.astype(np.float16))
                labels.append(label)
                progress.update(task, completed=index + 1)
        self._pool = np.concatenate(windows), np.concatenate(labels)
        with replacing(path) as partial:
            np.savez(partial, windows=self._pool[0], labels=self._pool[1])

    @functools.cached_property
    def batches(self) -> SpeechBatches:
        """Batches of training speakers."""
        with make_progress() as progress:
            task = progress.add_task('reading training speech', total=None, note='')
            clips = load_speech(
                self.speech,
                'training',
                self.labels,
                self.cache,
                lambda done, total: progress.update(task, completed=done, total=total),
            )
        self.digest = clips.digest
        return SpeechBatches(
            clips.samples,
            clips.labels,
            load_noise(self.speech, 'training'),
            self.front_end,
            self.augmentation,
            len(self.labels),
            self.labels.index('silence'),
            self.labels.index('unknown'),
        )

    @functools.cached_property
    def validation(self) -> tuple[np.ndarray, np.ndarray]:
        """
        Log-mel of the validation speakers in network units, float32 (n, 49, 40), and labels (n,).

        The clips, silence and unknown among them, are those that `kws-imu evaluate` counts, through
        the run time's own front end.
        """
        with make_progress() as progress:
            task = progress.add_task('reading validation speech', total=None, note='')
            clips, truth, _, _ = voice_clips(
                self.speech,
                'validation',
                self.labels,
                self.cache,
                lambda done, total: progress.update(task, completed=done, total=total),
            )
        p = self.front_end
        windows = np.stack([log_mel(clip, p)[-p.frames :] for clip in clips])
        return ((windows - p.offset) / p.scale).astype(np.float32), np.asarray(truth)

    def accuracy(self, model: tf_keras.Model) -> float:
        """Return the share of validation clips that a Keras model gets right, 0 to 1."""
        windows, truth = self.validation
        call = tf.function(lambda batch: model(batch, training=False), reduce_retracing=True)
        found = [
            call(tf.constant(windows[start : start + EVALUATION_BATCH])).numpy().argmax(axis=1)
            for start in range(0, len(windows), EVALUATION_BATCH)
        ]
        return float((np.concatenate(found) == truth).mean())

    def accuracy_of_tflite(self, model_bytes: bytes) -> float:
        """Return the share of validation clips that a `.tflite` of one input gets right, 0 to 1."""
        windows, truth = self.validation
        (name,) = read_signature(model_bytes).inputs
        (posteriors,) = run_signature(model_bytes, {name: windows}).values()
        return float((posteriors.argmax(axis=1) == truth).mean())

    def standard_error(self, accuracy: float) -> float:
        """Return the standard error of an accuracy on the validation clips, as a share."""
        return float(np.sqrt(accuracy * (1.0 - accuracy) / len(self.validation[1])))

    def calibration(self, count: int) -> np.ndarray:
        """Return augmented training windows in network units, float32 (count, 49, 40)."""
        return self.batches.batch(count, np.random.default_rng((self.seed, 1)))[0]

    def to_int8(self, model: tf_keras.Model, count: int = 300) -> bytes:
        """Return a model in full int8, its ranges from `count` calibration windows."""
        windows = {model.input_names[0]: self.calibration(count)}
        calibration = quantization.calibration_from_arrays(windows, count, self.seed)
        return quantization.to_int8(model, calibration)


def weights_digest(model: tf_keras.Model) -> str:
    """Return a digest of the shapes and values of all weights of a model."""
    digest = hashlib.sha256()
    for array in model.get_weights():
        digest.update(str(array.shape).encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
