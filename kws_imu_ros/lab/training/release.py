"""From data folders and a recipe to a model bundle."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kws_imu_ros.console.progress import make_progress
from kws_imu_ros.decision.table import PolicyTable
from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.lab.compression.quantization import (
    calibration_from_arrays,
    to_float32,
    to_int8,
    to_int8_aware,
)
from kws_imu_ros.lab.data.running_speech import RunningSpeech
from kws_imu_ros.lab.data.running_speech_fetch import credit_running_speech
from kws_imu_ros.lab.data.speech_data import load_speech
from kws_imu_ros.lab.evaluation.complexity import count_tflite
from kws_imu_ros.lab.evaluation.streaming import list_streams, practical_thresholds, voice_peaks
from kws_imu_ros.lab.training.branches import Branch
from kws_imu_ros.lab.training.data import Folders, Senses, TrainingData
from kws_imu_ros.lab.training.fusion import Pairs, train_aware, train_fusion
from kws_imu_ros.lab.training.recipe import Recipe, fingerprint
from kws_imu_ros.lab.training.stages import Finished, Stages
from kws_imu_ros.lab.training.vocabulary import Meanings, meanings_of
from kws_imu_ros.model.bundle import Bundle, DataSource, Metric, make_bundle
from kws_imu_ros.model.interpreter import Interpreter
from kws_imu_ros.resources import write_whole

SPLIT_RULES = {
    'speech': 'by speaker: the official hash or lists of Speech Commands',
    'gestures': 'by subject: number modulo 5; 4 testing, 3 validation, the rest training',
    'activities': 'by user: divisible by 3 testing, 1 modulo 6 validation, the rest training',
    'running_speech': 'training recordings only',
}


class TrainingRun:
    """
    One recipe on one set of data in one work folder: from the branches to the int8 network.

    table: the policy that the robot will have.

    Raises:
        KwsImuError: a pruning budget of the recipe cannot be met.

    """

    def __init__(
        self, recipe: Recipe, table: PolicyTable, data: TrainingData, stages: Stages
    ) -> None:
        self.recipe, self.table, self.data, self._stages = recipe, table, data, stages
        self.senses = Senses(recipe, data)
        self._meanings = meanings_of(table)
        self._pairs = Pairs(recipe, self.senses, self._meanings)
        self._voice = Branch(self.senses.voice, stages, recipe.fold)
        self._gesture = Branch(self.senses.gesture, stages, recipe.fold)
        if recipe.quantize.mode == 'qat' and (
            self._voice.keeps_groups or self._gesture.keeps_groups
        ):
            raise KwsImuError(
                "The recipe's quantize mode is 'qat', which cannot train group normalization; add "
                "a section 'fold', or give the branches {norm: batch}."
            )

    @property
    def work(self) -> Path:
        """Return the work folder."""
        return self._stages.work

    def train(self) -> Finished:
        """Run all training stages; return the float network with posteriors as outputs."""
        voice, gesture = self._voice.finish(), self._gesture.finish()
        inputs = [*self.senses.voice.inputs, *self.senses.gesture.inputs]
        # The shipped policy's meanings do not count, so that they spoil no finished stage.
        if self._meanings != Meanings():
            inputs.append(self._meanings)
        return train_fusion(self.recipe, self._stages, self._pairs, voice, gesture, inputs)

    def quantize(self, network: Finished) -> bytes:
        """
        Return the network as full int8 `.tflite`, after training or trained for it.

        Ranges come from training pairs. It is kept in the work folder as `int8.tflite`, beside it
        the network as `float32.tflite`; nothing is made again while the network is the same.
        """
        recipe, work = self.recipe, self.work
        aware = None
        if recipe.quantize.mode == 'qat' and recipe.quantize.schedule is not None:
            aware = train_aware(recipe.quantize.schedule, self._stages, self._pairs, network)
        trained = (aware or network).fingerprint
        wanted = fingerprint('quantize', recipe.quantize.calibration_pairs, recipe.seed, trained)

        def make() -> str:
            print(f'quantize: full int8, {recipe.quantize.mode}', file=sys.stderr)
            write_whole(work / 'float32.tflite', to_float32(network.model))
            int8 = to_int8_aware(aware.model) if aware else self._calibrated(network)
            write_whole(work / 'int8.tflite', int8)
            return hashlib.sha256(int8).hexdigest()

        digest = once(work / 'quantize.json', 'quantize', wanted, make)
        try:
            int8 = (work / 'int8.tflite').read_bytes()
        except OSError:
            int8 = b''
        if hashlib.sha256(int8).hexdigest() != digest:
            (work / 'quantize.json').unlink(missing_ok=True)
            raise KwsImuError(
                f'{work / "int8.tflite"} is missing or damaged; run again to make it.'
            )
        size = count_tflite(int8)
        print(
            f'quantize: {size.parameters} parameters, {size.macs} MACs, {len(int8)} bytes',
            file=sys.stderr,
        )
        self._stages.reached('quantize')
        return int8

    def _calibrated(self, network: Finished) -> bytes:
        """Return the network in int8 with ranges taken from training pairs."""
        recipe = self.recipe
        log_mel, window, _ = self._pairs.batch(
            recipe.quantize.calibration_pairs, np.random.default_rng(recipe.seed)
        )
        calibration = calibration_from_arrays(
            {'log_mel': log_mel, 'imu': window}, samples=len(log_mel), seed=recipe.seed
        )
        return to_int8(network.model, calibration)


def voice_thresholds(
    run: TrainingRun, bundle: Bundle, policy: str, folders: Folders, streams: Path
) -> dict[str, float]:
    """
    Return thresholds of the words, chosen over long audio with validation people.

    They are chosen anew only when the network, the recordings or the policy (its text) changed.
    """
    recipe = run.recipe.thresholds
    validation = load_speech(folders.speech, 'validation', run.recipe.voice_labels, folders.cache)
    wanted = fingerprint(
        'thresholds',
        recipe,
        hashlib.sha256(bundle.model_bytes).hexdigest(),
        validation.digest,
        [hashlib.sha256(path.read_bytes()).hexdigest() for path in list_streams(streams)],
        policy,
    )

    def make() -> dict[str, float]:
        with make_progress() as progress:
            task = progress.add_task('thresholds over long audio', total=None, note='')
            peaks = voice_peaks(
                Interpreter(bundle),
                run.table,
                folders.speech,
                streams,
                'validation',
                folders.cache,
                lambda done, total: progress.update(task, completed=done, total=total),
            )
        return practical_thresholds(peaks, recipe.false_accepts_per_hour, recipe.most_rejects)

    return once(run.work / 'thresholds.json', 'thresholds', wanted, make)


def once(record: Path, stage: str, wanted: str, make: Callable[[], Any]) -> Any:
    """Return JSON data from `make`, or from the record of an equal run."""
    try:
        found = json.loads(record.read_text())
        if found['fingerprint'] == wanted:
            print(f'{stage}: unchanged, taken from {record}', file=sys.stderr)
            return found['value']
    except (OSError, ValueError, KeyError, TypeError):
        pass
    value = make()
    write_whole(record, json.dumps({'fingerprint': wanted, 'value': value}))
    return value


def bundle_of(
    run: TrainingRun,
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
    recipe, data = run.recipe, run.data
    counts = {
        'speech': len(data.speech.labels),
        'gestures': len(data.gestures),
        'activities': len(data.activities),
        'running_speech': data.running_speech.files if data.running_speech else 0,
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
        front_end=run.senses.front_end,
        imu=run.senses.imu,
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


def model_card(
    bundle: Bundle, results: Mapping[str, Any], command: str, talk: RunningSpeech | None
) -> str:
    """
    Return the card: what the model is, what it reached, on whom, and whom to thank.

    talk: the running speech it was trained on, None for none.
    """
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

`kws-imu train` with the recipe in `manifest.json`; training people only ({counts}).
{_history(m.recipe)}Words and gestures were recorded by different people at different times and
**paired synthetically**: the fused head has never seen a person who spoke and moved at once.

Splits: {'; '.join(f'{name} {s.split}' for name, s in m.data.items())}.

## Limits

- English words, mostly adult speakers, one second each. Children are imitated by changes of speed
  and vocal-tract length only; try it with yours before you rely on it.
- It knows single words. Running speech holds pieces that sound like commands; how often they set
  it off an hour stands above, where long audio was measured.
- Gestures of one wrist sensor, x to the right, y to the hand and z up; one worn otherwise is turned
  by the IMU node's parameter mounting. The people were mostly right-handed and 17 to 22 years old.
- It decides nothing by itself: thresholds, pairing and safety are the policy's and the command
  node's.

## Credits

- Speech Commands by Pete Warden and Google, CC BY 4.0.
- GRWD wrist gestures by Gyronics Technologies (no licence stated).
- Human Activities and Postural Transitions (HAPT), Reyes-Ortiz et al., UCI repository.
{_running_speech_credit(talk)}"""


def _running_speech_credit(talk: RunningSpeech | None) -> str:
    """Return whom to thank for running speech, whole lines, or nothing where there was none."""
    if talk is None:
        return ''
    sources = '\n'.join(f'  - {credit}' for credit in credit_running_speech(talk.folders))
    return f'- Running speech:\n{sources}\n'


def _history(recipe: Mapping[str, Any]) -> str:
    """Return a line for each stage beyond plain training."""
    lines = []
    for sense, teacher, pruning in (
        ('voice', recipe.get('teacher'), recipe.get('voice_pruning')),
        ('gesture', recipe.get('gesture_teacher'), recipe.get('gesture_pruning')),
    ):
        if teacher:
            who = 'A large network' if teacher['members'] == 1 else f'{teacher["members"]} networks'
            lines.append(f'{who} taught the {sense} branch (Hinton et al., 2015).')
        if pruning:
            ((kind, limit),) = pruning['budget'].items()
            budget = f'{limit:.0%} of its {kind}' if limit < 1 else f'{limit:.0f} {kind}'
            lines.append(
                f'The {sense} branch was pruned to {budget} by {pruning["criterion"]}, in '
                f'{pruning["rounds"]} round(s), whole channels at a time.'
            )
    if recipe['quantize'].get('mode') == 'qat':
        lines.append('Quantization-aware training prepared it for int8.')
    return ''.join(f'{line}\n' for line in lines)


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
