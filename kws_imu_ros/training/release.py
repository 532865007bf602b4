"""From data folders and a recipe to a model bundle."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.model.bundle import Bundle, DataSource, Metric, make_bundle
from kws_imu_ros.training.activity_data import activities_digest, load_activities
from kws_imu_ros.training.gesture_data import gestures_digest, load_gestures
from kws_imu_ros.training.loop import tf_keras
from kws_imu_ros.training.progress import make_progress
from kws_imu_ros.training.quantization import calibration_from_arrays, to_float32, to_int8
from kws_imu_ros.training.recipe import Recipe
from kws_imu_ros.training.speech_data import load_noise, load_speech
from kws_imu_ros.training.stages import StageRunner, TrainingData

SPLIT_RULES = {
    'speech': 'by speaker: the official hash or lists of Speech Commands',
    'gestures': 'by subject: number modulo 5; 4 testing, 3 validation, the rest training',
    'activities': 'by user: divisible by 3 testing, 1 modulo 6 validation, the rest training',
}


def load_training_data(
    recipe: Recipe, speech: Path, gestures: Path, activities: Path | None, cache: Path | None
) -> TrainingData:
    """
    Load the training people of all folders.

    cache: folder for decoded audio, None for none.

    Raises:
        KwsImuError: a folder is missing, empty or lacks a class.

    """
    with make_progress() as progress:
        task = progress.add_task('reading speech', total=None, note='')
        clips = load_speech(
            speech,
            'training',
            recipe.voice_labels,
            cache,
            lambda done, total: progress.update(task, completed=done, total=total),
        )
        noise = load_noise(speech, 'training')
        task = progress.add_task('reading motion', total=None, note='')
        recordings = load_gestures(gestures, 'training')
        everyday = load_activities(activities, 'training') if activities else []
    present = {r.gesture for r in recordings}
    missing = [g for g in recipe.gesture_labels if g != 'none' and g not in present]
    if missing:
        raise KwsImuError(
            f'{gestures} has no training recordings of {", ".join(missing)}; add them or take the '
            f'gesture out of the recipe.'
        )
    digests = {'speech': clips.digest, 'gestures': gestures_digest(recordings)}
    if everyday:
        digests['activities'] = activities_digest(everyday)
    print(
        f'training data: {len(clips.labels)} words, {len(recordings)} gestures, '
        f'{len(everyday)} activity recordings',
        file=sys.stderr,
    )
    return TrainingData(clips, noise, recordings, everyday, digests)


def train_network(runner: StageRunner) -> tf_keras.Model:
    """Run all training stages; return the float network with posteriors as outputs."""
    teacher = runner.voice('teacher', None) if runner.recipe.teacher else None
    voice = runner.voice('voice', teacher)
    gesture = runner.gesture()
    return runner.fusion(voice, gesture)


def quantize_network(runner: StageRunner, network: tf_keras.Model) -> tuple[bytes, bytes]:
    """Return the network as (full int8, float32) `.tflite`; ranges come from training pairs."""
    log_mel, window, _ = runner.pairs(
        runner.recipe.quantize.calibration_pairs, np.random.default_rng(runner.recipe.seed)
    )
    calibration = calibration_from_arrays(
        {'log_mel': log_mel, 'imu': window}, samples=len(log_mel), seed=runner.recipe.seed
    )
    return to_int8(network, calibration), to_float32(network)


def bundle_of(
    runner: StageRunner,
    model_bytes: bytes,
    version: str,
    command: str,
    metrics: Mapping[str, Metric],
    thresholds: Mapping[str, Mapping[str, float]] | None = None,
) -> Bundle:
    """
    Return the bundle of a trained network, checked, in memory.

    command: what trains it again.

    Raises:
        KwsImuError: model and manifest do not fit.

    """
    recipe, data = runner.recipe, runner.data
    counts = {
        'speech': len(data.speech.labels),
        'gestures': len(data.gestures),
        'activities': len(data.activities),
    }
    return make_bundle(
        model_bytes,
        name=recipe.name,
        version=version,
        labels={
            'voice': recipe.voice_labels,
            'gesture': recipe.gesture_labels,
            'intent': recipe.intent_labels,
        },
        data={
            name: DataSource(digest, SPLIT_RULES[name], {'training': counts[name]})
            for name, digest in data.digests.items()
        },
        recipe={'command': command, **recipe.to_json()},
        metrics=metrics,
        front_end=runner.front_end,
        imu=runner.imu,
        thresholds=thresholds,
    )


def metrics_of(results: Mapping[str, Any], command: str) -> dict[str, Metric]:
    """Return the numbers of an evaluation as manifest metrics, each with its command."""
    metrics = {}
    for section, values in results.items():
        if not isinstance(values, Mapping):
            continue
        for name, value in values.items():
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                metrics[f'{section}_{name}'] = Metric(float(value), command)
    return metrics


def model_card(bundle: Bundle, results: Mapping[str, Any], command: str) -> str:
    """Return the card: what the model is, what it reached, on whom, and whom to thank."""
    m = bundle.manifest
    counts = ', '.join(f'{s.counts["training"]} of {name}' for name, s in m.data.items())
    return f"""# {m.name} {m.version}

One int8 network for a robot that listens and watches at once: a log-mel window of
{m.front_end.frames} frames and an IMU window of {m.imu.length} samples go in, posteriors of a word,
a gesture and the fused intent come out. Either sense may be missing.

- words: {', '.join(m.labels['voice'])}
- gestures: {', '.join(m.labels['gesture'])}
- fused intents: {', '.join(m.labels['intent'])}
- {m.bytes} bytes, {m.parameters} parameters, {m.macs} multiply-accumulates an inference

## What it reached

Printed by `{command}`
on people who were never trained on:

```json
{json.dumps(_numbers(results), indent=2)}
```

## How it was made

`kws-imu train` with the recipe in `manifest.json`; training people only ({counts}). A large voice
network taught the small one (Hinton et al., 2015). Words and gestures were recorded by different
people at different times and **paired synthetically**: the fused head has never seen a person who
spoke and moved at once.

Splits: {'; '.join(f'{name} {s.split}' for name, s in m.data.items())}.

## Limits

- English words, mostly adult speakers, one second each. Children are imitated by changes of speed
  and vocal-tract length only; try it with yours before you rely on it.
- It was trained on single words. Running speech holds pieces that sound like commands; how often
  they set it off an hour stands above, where long audio was measured.
- Gestures of one wrist sensor, z up and x towards the hand; a sensor worn otherwise must be rotated
  in the IMU node. The people were mostly right-handed and 17 to 22 years old.
- It decides nothing by itself: thresholds, pairing and safety are the policy's and the command
  node's.

## Credits

- Speech Commands by Pete Warden and Google, CC BY 4.0.
- GRWD wrist gestures by Gyronics Technologies (no licence stated).
- Human Activities and Postural Transitions (HAPT), Reyes-Ortiz et al., UCI repository.
"""


def _numbers(results: Mapping[str, Any]) -> dict[str, Any]:
    """Return the plain numbers of an evaluation, without tables."""
    return {
        section: {
            k: round(v, 4) if isinstance(v, float) else v
            for k, v in values.items()
            if isinstance(v, (int, float))
        }
        for section, values in results.items()
        if isinstance(values, Mapping)
    }
