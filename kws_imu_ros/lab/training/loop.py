"""One training loop for every stage: prefetched batches, AdamW, cosine schedule, checkpoints."""

from __future__ import annotations

import json
import queue
import shutil
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kws_imu_ros.console.progress import make_progress
from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.lab.architectures.complexity import count
from kws_imu_ros.lab.architectures.framework import tf, tf_keras

Batch = tuple[np.ndarray, ...]
MakeBatch = Callable[[int, np.random.Generator], Batch]
CHECKPOINT_SECONDS = 45.0
PLAIN_LINE_SECONDS = 15.0
PREFETCHED_BATCHES = 8


@dataclass(frozen=True)
class Schedule:
    """
    How long and how fast a stage learns.

    steps: optimizer steps. batch: examples a step. learning_rate: peak, reached after the
    `warmup` share of the steps, then lowered by a cosine to the `last_rate` share of it.
    weight_decay: AdamW's. label_smoothing: share of the target given to all classes.
    """

    steps: int
    batch: int = 128
    learning_rate: float = 3e-3
    warmup: float = 0.05
    weight_decay: float = 1e-4
    label_smoothing: float = 0.05
    last_rate: float = 0.2

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name, low, high in (
            ('steps', 1, 10_000_000),
            ('batch', 1, 100_000),
            ('learning_rate', 1e-9, 10.0),
            ('warmup', 0.0, 1.0),
            ('weight_decay', 0.0, 1.0),
            ('label_smoothing', 0.0, 0.99),
            ('last_rate', 0.0, 1.0),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise KwsImuError(f'{name} is {value:g}; it must be from {low:g} to {high:g}.')


def fit(
    title: str,
    variables: list[tf.Variable],
    loss: Callable[..., tf.Tensor],
    make_batch: MakeBatch,
    schedule: Schedule,
    seed: int,
    checkpoint: Path,
    model: tf_keras.Model,
) -> float:
    """
    Train until the schedule ends and return the mean loss of the last hundred steps.

    variables: what is learned. loss: takes a batch's arrays, returns a scalar; it must call the
    model with training=True. make_batch(size, rng): a batch's arrays; its generator is seeded by
    (seed, step), so a resumed run sees what an uninterrupted one sees.
    checkpoint: folder for model, optimizer and step; a later call goes on from it. Ctrl-C writes
    it before it is passed on.

    Raises:
        KwsImuError: the loss is not a number, or the checkpoint cannot be written.

    """
    optimizer = tf_keras.optimizers.AdamW(
        tf_keras.optimizers.schedules.CosineDecay(
            schedule.learning_rate / 100.0,
            max(1, int(schedule.steps * (1.0 - schedule.warmup))),
            alpha=schedule.last_rate,
            warmup_target=schedule.learning_rate,
            warmup_steps=max(1, int(schedule.steps * schedule.warmup)),
        ),
        weight_decay=schedule.weight_decay,
        global_clipnorm=5.0,
    )
    optimizer.build(variables)
    done = tf.Variable(0, dtype=tf.int64, trainable=False)
    manager = tf.train.CheckpointManager(
        tf.train.Checkpoint(model=model, optimizer=optimizer, done=done), str(checkpoint), 1
    )
    if manager.latest_checkpoint:
        try:
            manager.checkpoint.restore(manager.latest_checkpoint).assert_existing_objects_matched()
        except (AssertionError, ValueError, tf.errors.OpError):
            raise KwsImuError(
                f'The checkpoint in {checkpoint} is of another model; delete the folder to start '
                f'this stage again.'
            ) from None

    @tf.function
    def step(*batch: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            value = loss(*batch)
        gradients = tape.gradient(value, variables)
        optimizer.apply_gradients(zip(gradients, variables, strict=True))
        return value

    def save() -> None:
        try:
            manager.save()
        except (OSError, tf.errors.OpError) as error:
            raise KwsImuError(
                f'The checkpoint {checkpoint} cannot be written ({error}); free some space.'
            ) from None

    first = int(done.numpy())
    recent: list[float] = []
    saved = told = time.monotonic()
    with _Prefetch(make_batch, schedule.batch, seed, first, schedule.steps) as batches:
        with make_progress() as progress:
            task = progress.add_task(title, total=schedule.steps, completed=first, note='')
            try:
                for number in range(first, schedule.steps):
                    value = float(step(*(tf.constant(array) for array in batches.get())))
                    recent = [*recent[-99:], value]
                    if not np.isfinite(value):
                        raise KwsImuError(
                            f'{title}: the loss became {value} at step {number}; lower '
                            f'learning_rate in the recipe and start this stage again.'
                        )
                    done.assign(number + 1)
                    note = f'loss {np.mean(recent):.3f}'
                    progress.update(task, completed=number + 1, note=note)
                    now = time.monotonic()
                    if progress.disable and now - told > PLAIN_LINE_SECONDS:
                        told = now
                        print(
                            f'{title}: step {number + 1}/{schedule.steps}, {note}', file=sys.stderr
                        )
                    if now - saved > CHECKPOINT_SECONDS:
                        saved = now
                        save()
            except BaseException:
                # Whatever broke the run, its progress is kept - unless the weights are spoilt.
                if np.isfinite(recent[-1:]).all():
                    save()
                raise
    save()
    return float(np.mean(recent)) if recent else float('nan')


class _Prefetch:
    """Make batches in a thread, a few ahead of the one that is learned from."""

    def __init__(self, make_batch: MakeBatch, size: int, seed: int, first: int, last: int) -> None:
        self._queue: queue.Queue = queue.Queue(PREFETCHED_BATCHES)
        self._stop = threading.Event()
        self._thread = threading.Thread(
            target=self._run, args=(make_batch, size, seed, first, last), daemon=True
        )

    def __enter__(self) -> _Prefetch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        while not self._queue.empty():
            self._queue.get_nowait()
        self._thread.join(timeout=10.0)

    def get(self) -> Batch:
        """Return the next batch; raise what making it raised."""
        item = self._queue.get()
        if isinstance(item, Exception):
            raise item
        return item

    def _run(self, make_batch: MakeBatch, size: int, seed: int, first: int, last: int) -> None:
        for step in range(first, last):
            try:
                item: Batch | Exception = make_batch(size, np.random.default_rng((seed, step)))
            except Exception as error:  # noqa: BLE001 (handed to the consumer, who raises it)
                item = error
            while not self._stop.is_set():
                try:
                    self._queue.put(item, timeout=0.5)
                    break
                except queue.Full:
                    continue
            if self._stop.is_set() or isinstance(item, Exception):
                return


def run_stage(
    work: Path,
    stage: str,
    wanted: str,
    build: Callable[[], tf_keras.Model],
    train: Callable[[tf_keras.Model, Path], float],
    stored: bool = False,
) -> tf_keras.Model:
    """
    Return the model of a stage: made by `build` and `train`, or what an equal run left.

    work: existing folder, which gets `<stage>.weights.h5` and `<stage>.json`. wanted: fingerprint
    of whatever decides the result; the stage is skipped where it is that of the last run, and goes
    on from the last checkpoint where that run was interrupted.
    train: takes the model and a checkpoint folder, returns the loss.
    stored: the architecture depends on data, so it is kept beside the weights, and `build` is
    called once only, even if training is interrupted.

    Raises:
        KwsImuError: the work folder cannot be written, or what it holds is damaged.

    """
    finished, record = work / stage, work / f'{stage}.json'
    weights = _weights(finished)
    if _fingerprint_of(record) == wanted and weights.is_file():
        model = _load(finished) if stored else build()
        _load_weights(model, weights)
        _tell(stage, model, f'unchanged, taken from {weights}')
        return model
    checkpoint = work / f'{stage}.checkpoint'
    marker, start = checkpoint / 'fingerprint', checkpoint / 'start'
    try:
        if checkpoint.is_dir() and (not marker.is_file() or marker.read_text() != wanted):
            shutil.rmtree(checkpoint)
        checkpoint.mkdir(exist_ok=True)
        marker.write_text(wanted)
        if stored and _architecture(start).is_file():
            model = _load(start)
            _load_weights(model, _weights(start))
        else:
            model = build()
            if stored:
                _store(start, model)
        _tell(stage, model, 'training')
        loss = train(model, checkpoint)
        # Without the record the weights count for nothing, whatever interrupts this.
        record.unlink(missing_ok=True)
        if stored:
            _store(finished, model)
        else:
            model.save_weights(str(weights))
        record.write_text(json.dumps({'fingerprint': wanted, 'loss': loss}))
        shutil.rmtree(checkpoint)
    except OSError as error:
        raise KwsImuError(
            f'Stage {stage} cannot be written to {work}: {error.strerror or error}; free some '
            f'space.'
        ) from None
    return model


def train_once(
    work: Path, stage: str, model: tf_keras.Model, wanted: str, train: Callable[[Path], float]
) -> None:
    """Run a stage, see `run_stage`, on a model that exists already; it is changed in place."""
    run_stage(work, stage, wanted, lambda: model, lambda _, checkpoint: train(checkpoint))


def _weights(stem: Path) -> Path:
    return stem.with_name(f'{stem.name}.weights.h5')


def _architecture(stem: Path) -> Path:
    return stem.with_name(f'{stem.name}.architecture.json')


def _store(stem: Path, model: tf_keras.Model) -> None:
    """Write weights, then the architecture, whose presence says that both are whole."""
    _architecture(stem).unlink(missing_ok=True)
    model.save_weights(str(_weights(stem)))
    _architecture(stem).write_text(model.to_json())


def _load(stem: Path) -> tf_keras.Model:
    """Return a stored model, its weights not set yet."""
    try:
        return tf_keras.models.model_from_json(_architecture(stem).read_text())
    except (OSError, ValueError, TypeError) as error:
        raise KwsImuError(
            f'{_architecture(stem)} is damaged ({error}); delete it and {stem}.json, or the '
            f'checkpoint folder, to make the stage again.'
        ) from None


def _load_weights(model: tf_keras.Model, path: Path) -> None:
    try:
        model.load_weights(str(path))
    except (OSError, ValueError, KeyError) as error:
        raise KwsImuError(
            f'{path} is damaged ({error}); delete it to make the stage again.'
        ) from None


def _tell(stage: str, model: tf_keras.Model, what: str) -> None:
    """Say on stderr how large a stage's model is."""
    try:
        size = count(model)
    except KwsImuError:
        # Wrapped for pruning or quantization: only the network inside is worth counting.
        print(f'{stage}: {what}', file=sys.stderr)
        return
    print(
        f'{stage}: {what} ({size.parameters} parameters, {size.macs} MACs, about {size.bytes} '
        f'bytes in int8)',
        file=sys.stderr,
    )


def _fingerprint_of(record: Path) -> str:
    try:
        return json.loads(record.read_text())['fingerprint']
    except (OSError, ValueError, KeyError, TypeError):
        return ''


def smoothed_cross_entropy(
    labels: tf.Tensor, logits: tf.Tensor, class_count: int, smoothing: float
) -> tf.Tensor:
    """Return the mean cross entropy of int labels (n,) against logits (n, classes)."""
    return tf.reduce_mean(
        tf_keras.losses.categorical_crossentropy(
            tf.one_hot(labels, class_count), logits, from_logits=True, label_smoothing=smoothing
        )
    )
