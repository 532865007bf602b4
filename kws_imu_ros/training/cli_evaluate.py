"""`kws-imu evaluate`: measure a bundle on folders of recordings."""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path
from typing import Any

from kws_imu_ros.errors import KwsImuError

CONFLICTS = 300
SILENCE_SEED = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the verb."""
    parser.add_argument(
        '--model', default='voice_gesture', help='bundle folder, or name of an installed model'
    )
    parser.add_argument('--speech', type=Path, help='folder in Speech Commands layout')
    parser.add_argument('--gestures', type=Path, help='folder in GRWD layout')
    parser.add_argument('--activities', type=Path, help='folder in HAPT raw-data layout')
    parser.add_argument(
        '--streams',
        type=Path,
        help='folder of ordinary speech without commands: false accepts per hour',
    )
    parser.add_argument('--policy', type=Path, help='policy file; default: the installed one')
    parser.add_argument(
        '--split',
        choices=('training', 'validation', 'testing', 'all'),
        default='validation',
        help='whose recordings; default: validation',
    )
    parser.add_argument('--cache', type=Path, help='folder for decoded audio, to be faster twice')
    parser.add_argument('--json', action='store_true', help='print one JSON object, nothing else')


def run(args: argparse.Namespace) -> int:
    """Evaluate and print; return 0."""
    if not (args.speech or args.gestures or args.activities):
        raise KwsImuError('Nothing to evaluate on; give --speech, --gestures or --activities.')
    results = evaluate(
        args.model,
        args.speech,
        args.gestures,
        args.activities,
        args.split,
        args.streams,
        args.policy,
        args.cache,
    )
    if args.json:
        print(json.dumps(results))
    else:
        _print_table(results)
    return 0


def evaluate(
    model: Any,
    speech: Path | None,
    gestures: Path | None,
    activities: Path | None,
    split: str,
    streams: Path | None = None,
    policy_file: Path | None = None,
    cache: Path | None = None,
) -> dict[str, Any]:
    """
    Return all measures that the given folders allow, as JSON data.

    model: a `Bundle`, its folder or its name.

    Raises:
        KwsImuError: model, policy or folders are not fit.

    """
    from kws_imu_ros.decision.table import load_table
    from kws_imu_ros.model.bundle import Bundle, find_bundle, load_bundle
    from kws_imu_ros.model.interpreter import Interpreter
    from kws_imu_ros.resources import share_path
    from kws_imu_ros.training import evaluation
    from kws_imu_ros.training.activity_data import load_activities
    from kws_imu_ros.training.gesture_data import load_gestures
    from kws_imu_ros.training.progress import make_progress

    bundle = model if isinstance(model, Bundle) else load_bundle(find_bundle(model))
    interpreter = Interpreter(bundle)
    table = load_table(policy_file or share_path('config', 'policy.yaml'))
    manifest = bundle.manifest
    results: dict[str, Any] = {
        'model': {
            'name': manifest.name,
            'version': manifest.version,
            'bytes': manifest.bytes,
            'parameters': manifest.parameters,
            'macs': manifest.macs,
            'runtime': interpreter.runtime,
        },
        'split': split,
    }
    with make_progress() as progress:

        def shown(title: str):
            task = progress.add_task(title, total=None, note='')
            return lambda done, total: progress.update(task, completed=done, total=total)

        if speech:
            clips, truth, words, notes = voice_clips(
                speech, split, manifest.labels['voice'], cache, shown('reading speech')
            )
            results['voice'] = evaluation.evaluate_voice(interpreter, clips, truth, shown('words'))
            results['voice'].update(notes)
        if gestures:
            recordings = load_gestures(gestures, split)
            results['gesture'] = evaluation.evaluate_gestures(
                interpreter, table, recordings, shown('gestures')
            )
            results['gesture']['subjects'] = len({r.subject for r in recordings})
        if speech and gestures:
            results['conflict'] = evaluation.evaluate_conflicts(
                interpreter, table, clips, words, recordings, CONFLICTS, 0, shown('conflicts')
            )
        if speech and streams:
            results['streaming'] = _streaming(
                interpreter, table, speech, streams, split, cache, shown('long audio')
            )
        if activities:
            everyday = load_activities(activities, split)
            results['everyday'] = evaluation.evaluate_everyday(
                interpreter, table, everyday, shown('everyday motion')
            )
            results['everyday']['users'] = len({r.user for r in everyday})
    return _without_nan(results)


def _streaming(
    interpreter: Any, table: Any, speech: Path, streams: Path, split: str, cache: Any, progress: Any
) -> dict[str, Any]:
    """Return false accepts and rejects over long audio, and thresholds for one an hour."""
    from kws_imu_ros.decision.policy import VOICE_THRESHOLD
    from kws_imu_ros.training import streaming

    peaks = voice_peaks(interpreter, table, speech, streams, split, cache, progress)
    _, accepts, rejects = streaming.choose_thresholds(peaks)
    used = interpreter.manifest.thresholds.get('voice', {})
    used = {label: used.get(label, VOICE_THRESHOLD) for label in peaks.negative}
    said = sum(map(len, peaks.positive.values()))
    return {
        'hours_of_negatives': peaks.hours,
        'words_mixed_in': said,
        # With thresholds chosen for at most one false accept an hour ...
        'false_accepts_per_hour': accepts,
        'false_reject_rate': rejects,
        # ... and with those that the bundle carries.
        'shipped_false_accepts_per_hour': sum(
            peaks.false_accepts(label, threshold) for label, threshold in used.items()
        )
        / peaks.hours,
        'shipped_false_reject_rate': sum(
            peaks.misses(label, threshold) for label, threshold in used.items()
        )
        / said,
        'false_stops_per_hour': float((peaks.false_stops >= table.stop_word_threshold).sum())
        / peaks.hours,
        'missed_stop_rate': float((peaks.true_stops < table.stop_word_threshold).mean()),
        'det': streaming.det_curve(peaks),
    }


def calibrate_voice(bundle: Any, speech: Path, streams: Path, cache: Path | None) -> dict:
    """Return thresholds of the words, chosen on validation people."""
    from kws_imu_ros.decision.table import load_table
    from kws_imu_ros.model.interpreter import Interpreter
    from kws_imu_ros.resources import share_path
    from kws_imu_ros.training import streaming

    table = load_table(share_path('config', 'policy.yaml'))
    peaks = voice_peaks(Interpreter(bundle), table, speech, streams, 'validation', cache, None)
    return streaming.practical_thresholds(peaks)


def voice_peaks(
    interpreter: Any, table: Any, speech: Path, streams: Path, split: str, cache: Any, progress: Any
) -> Any:
    """
    Return the `DetectionPeaks` of a split.

    Negatives: the streams, all unknown words of the split and its background noise, end to end.
    Positives: all of the split's command words, mixed into them at 10 dB.
    """
    import numpy as np

    from kws_imu_ros.training import speech_data, streaming

    labels = interpreter.manifest.labels['voice']
    data = speech_data.load_speech(speech, split, labels, cache)
    unknown = data.labels == labels.index('unknown')
    spoken = np.flatnonzero(~unknown & (data.labels != labels.index('silence')))
    negatives = streaming.negative_audio(
        streaming.list_streams(streams),
        data.samples[unknown],
        speech_data.load_noise(speech, split),
    )
    return streaming.detection_peaks(
        interpreter,
        negatives,
        data.samples[spoken],
        [labels[k] for k in data.labels[spoken]],
        table,
        progress,
    )


def voice_clips(
    directory: Path, split: str, labels: tuple[str, ...], cache: Path | None, progress: Any
):
    """
    Return (clips, truth, words, notes) of a ten-class evaluation.

    Silence and unknown are as frequent as the average word, as in the data set's own test set: the
    folders `_silence_` and `_unknown_` where there are any; else silence is cut from the split's
    part of the background recordings, and unknown drawn from the words that are no label.
    """
    import numpy as np

    from kws_imu_ros.training import speech_data

    data = speech_data.load_speech(directory, split, labels, cache, progress)
    words = np.array(data.words)
    unknown, silence = labels.index('unknown'), labels.index('silence')
    spoken = np.flatnonzero((data.labels != unknown) & (data.labels != silence))
    average = max(1, round(len(spoken) / (len(labels) - 2)))
    notes: dict[str, Any] = {'digest': data.digest}
    chosen = [spoken]
    ready = np.flatnonzero(words == speech_data.UNKNOWN_FOLDER)
    others = np.flatnonzero((data.labels == unknown) & (words != speech_data.UNKNOWN_FOLDER))
    if len(ready):
        chosen.append(ready)
        notes['unknown_from'] = speech_data.UNKNOWN_FOLDER
    elif len(others):
        chosen.append(np.random.default_rng(0).permutation(others)[:average])
        notes['unknown_from'] = 'words that are no label'
    ready = np.flatnonzero(words == speech_data.SILENCE_FOLDER)
    chosen.append(ready)
    index = np.concatenate(chosen)
    clips, truth = data.samples[index], data.labels[index]
    if len(ready):
        notes['silence_from'] = speech_data.SILENCE_FOLDER
    elif (directory / speech_data.NOISE_FOLDER).is_dir():
        noise = speech_data.load_noise(directory, split)
        made = speech_data.silence_clips(noise, average, SILENCE_SEED)
        clips = np.concatenate((clips, made))
        truth = np.concatenate((truth, np.full(len(made), silence)))
        notes['silence_from'] = speech_data.NOISE_FOLDER
    else:
        notes['silence_from'] = 'nothing: no such folder'
    names = list(words[index]) + ['silence'] * (len(clips) - len(index))
    return clips, truth, names, notes


def _without_nan(value: Any) -> Any:
    """Return JSON data with NaN as None, which JSON can say."""
    if isinstance(value, dict):
        return {k: _without_nan(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_without_nan(v) for v in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def _print_table(results: dict[str, Any]) -> None:
    """Print the numbers for people."""
    from rich.console import Console
    from rich.table import Table

    console = Console(file=sys.stdout)
    table = Table(title=f'{results["model"]["name"]} {results["model"]["version"]}')
    table.add_column('what')
    table.add_column('value', justify='right')
    for section, values in results.items():
        if not isinstance(values, dict):
            continue
        for name, value in values.items():
            if isinstance(value, float):
                table.add_row(f'{section}: {name}', f'{value:.4f}')
            elif isinstance(value, int):
                table.add_row(f'{section}: {name}', str(value))
            elif name in ('recall', 'right_by_folder', 'by_gesture'):
                for label, share in value.items():
                    table.add_row(f'{section}: {name} {label}', f'{share:.3f}')
    console.print(table)
