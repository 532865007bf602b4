"""`kws-imu evaluate`: measure a bundle on folders of recordings."""

from __future__ import annotations

import argparse
import functools
import json
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from kws_imu_ros.errors import KwsImuError

CONFLICTS = 300
SILENCE_SEED = 3
NOISE_SEED = 5
FUSION_SEED = 7
# What each section measures, and the folders that it needs.
SECTIONS: dict[str, tuple[str, tuple[str, ...]]] = {
    'voice': ('words, clip by clip', ('speech',)),
    'float': ('the same network in float against int8', ('float',)),
    'noise': ('words in background noise', ('speech',)),
    'gesture': ('gestures, streamed', ('gestures',)),
    'conflict': ('word and hand contradict each other', ('speech', 'gestures')),
    'fusion': ('voice, gesture, rule and learned fusion in noise', ('speech', 'gestures')),
    'streaming': ('false accepts and rejects over long audio', ('speech', 'streams')),
    'everyday': ('false gestures in everyday motion', ('activities',)),
    'human_activity': (
        'six activities of people never met, by a network of its own',
        ('activities', 'activity-model'),
    ),
    'latency': ('time of one inference, by runtime', ()),
    'energy': ('energy, an estimate', ()),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the verb."""
    parser.add_argument(
        '--model', default='voice_gesture', help='bundle folder, or name of an installed model'
    )
    parser.add_argument('--speech', type=Path, help='folder in Speech Commands layout')
    parser.add_argument('--gestures', type=Path, help='folder in GRWD layout')
    parser.add_argument('--activities', type=Path, help='folder in the layout of UCI HAPT or HAR')
    parser.add_argument(
        '--streams',
        type=Path,
        help='folder of ordinary speech without commands: false accepts per hour',
    )
    parser.add_argument(
        '--float',
        type=Path,
        metavar='FILE',
        help='the same network in float32, as training leaves it in its work folder: what int8 '
        'costs',
    )
    parser.add_argument(
        '--activity-model',
        type=Path,
        metavar='FILE',
        help='.tflite of the experiment on human activity, judged on --activities',
    )
    parser.add_argument(
        '--only',
        nargs='+',
        choices=SECTIONS,
        metavar='SECTION',
        help='only these of all that the folders allow: '
        + '; '.join(f'{name} ({what})' for name, (what, _) in SECTIONS.items()),
    )
    parser.add_argument('--policy', type=Path, help='policy file; default: the installed one')
    parser.add_argument(
        '--split',
        choices=('training', 'validation', 'testing', 'all'),
        default='validation',
        help='whose recordings; default: validation',
    )
    parser.add_argument('--cache', type=Path, help='folder for decoded audio, to be faster twice')
    parser.add_argument(
        '--runtime-python',
        type=Path,
        metavar='PYTHON',
        help='another Python whose runtimes are timed too, such as one with tflite-runtime; see '
        'benchmarks/README.md',
    )
    parser.add_argument(
        '--core-watts',
        type=float,
        metavar='W',
        help='what a busy core takes beyond an idle one, for the estimate of energy; default: '
        'that of a Raspberry Pi 4',
    )
    parser.add_argument('--json', action='store_true', help='print one JSON object, nothing else')


def run(args: argparse.Namespace) -> int:
    """Evaluate and print; return 0."""
    if not (args.speech or args.gestures or args.activities or args.only):
        raise KwsImuError('Nothing to evaluate on; give --speech, --gestures or --activities.')
    if args.core_watts is not None and not 0.0 < args.core_watts <= 1000.0:
        raise KwsImuError(f'--core-watts {args.core_watts:g} makes no sense; give 0.1 to 100.')
    results = evaluate(
        args.model,
        args.speech,
        args.gestures,
        args.activities,
        args.split,
        args.streams,
        args.policy,
        args.cache,
        float_file=args.float,
        activity_model=args.activity_model,
        only=args.only,
        runtime_python=args.runtime_python,
        core_watts=args.core_watts,
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
    *,
    float_file: Path | None = None,
    activity_model: Path | None = None,
    only: Sequence[str] | None = None,
    runtime_python: Path | None = None,
    core_watts: float | None = None,
) -> dict[str, Any]:
    """
    Return all measures that the given folders allow, or `only` those sections, as JSON data.

    model: a `Bundle`, its folder or its name. float_file: the same network in float32.
    activity_model: a network of the IMU branch that tells activities apart.
    runtime_python: another Python whose runtimes are timed too. core_watts: of a busy core.

    Raises:
        KwsImuError: model, policy or folders are not fit, or a section lacks its folder.

    """
    from kws_imu_ros.console.progress import make_progress
    from kws_imu_ros.decision.table import load_table
    from kws_imu_ros.model.bundle import Bundle, find_bundle, load_bundle
    from kws_imu_ros.resources import share_path

    bundle = model if isinstance(model, Bundle) else load_bundle(find_bundle(model))
    given = {
        'speech': speech,
        'gestures': gestures,
        'activities': activities,
        'streams': streams,
        'float': float_file,
        'activity-model': activity_model,
    }
    table = load_table(policy_file or share_path('config', 'policy.yaml'))
    with make_progress() as progress:

        def shown(title: str) -> Callable[[int, int], None]:
            task = progress.add_task(title, total=None, note='')
            return lambda done, total: progress.update(task, completed=done, total=total)

        measurements = _Measurements(bundle, table, given, split, cache, shown)
        measurements.runtime_python, measurements.core_watts = runtime_python, core_watts
        sections = measurements.sections(only)
        manifest = bundle.manifest
        results: dict[str, Any] = {
            'model': {
                'name': manifest.name,
                'version': manifest.version,
                'bytes': manifest.bytes,
                'parameters': manifest.parameters,
                'macs': manifest.macs,
                'runtime': measurements.interpreter.runtime,
            },
            'split': split,
        }
        for section in sections:
            results[section] = getattr(measurements, f'measure_{section}')()
    return _without_nan(results)


class _Measurements:
    """One bundle on one set of folders: a method for each section, each folder read once."""

    def __init__(
        self,
        bundle: Any,
        table: Any,
        given: dict[str, Path | None],
        split: str,
        cache: Path | None,
        shown: Callable[[str], Callable[[int, int], None]],
    ) -> None:
        from kws_imu_ros.model.interpreter import Interpreter

        self.bundle, self.table, self.given = bundle, table, given
        self.split, self.cache, self.shown = split, cache, shown
        self.interpreter = Interpreter(bundle)
        self.labels = bundle.manifest.labels['voice']
        self.runtime_python: Path | None = None
        self.core_watts: float | None = None
        self._made: dict[str, dict[str, Any]] = {}

    def sections(self, only: Sequence[str] | None) -> list[str]:
        """
        Return the sections to measure, in order.

        Raises:
            KwsImuError: a section was asked for whose folders are not given.

        """
        chosen = []
        for section, (_, needs) in SECTIONS.items():
            missing = [f'--{name}' for name in needs if not self.given[name]]
            if section == 'float' and not (self.given['speech'] or self.given['gestures']):
                missing.append('--speech or --gestures')
            if only is None and not missing and self._possible(section):
                chosen.append(section)
            elif only is not None and section in only:
                if missing:
                    raise KwsImuError(f'Section {section} needs {" and ".join(missing)}.')
                chosen.append(section)
        if self.given['streams'] and not self.given['speech']:
            raise KwsImuError('--streams needs --speech, whose words are mixed into the talk.')
        return chosen

    def _possible(self, section: str) -> bool:
        """Return whether folders that were given hold what a section needs beyond the usual."""
        from kws_imu_ros.lab.data.speech_data import NOISE_FOLDER
        from kws_imu_ros.lab.evaluation.evaluation import DIRECTIONS

        if section in ('noise', 'fusion') and not (self.given['speech'] / NOISE_FOLDER).is_dir():
            return False
        if section in ('noise', 'streaming'):
            return len(self.spoken) > 0
        if section == 'fusion':
            meant = {self.table.meanings.get(r.gesture) for r in self.recordings}
            return bool(meant & set(DIRECTIONS) & set(self.speech.words))
        return True

    # What the folders hold

    @functools.cached_property
    def speech(self) -> Any:
        """Return the split's `SpeechClips`."""
        from kws_imu_ros.lab.data.speech_data import load_speech

        return load_speech(
            self.given['speech'], self.split, self.labels, self.cache, self.shown('reading speech')
        )

    @functools.cached_property
    def spoken(self) -> Any:
        """Return the indices of the split's command words, int (n,)."""
        import numpy as np

        others = [self.labels.index('unknown'), self.labels.index('silence')]
        return np.flatnonzero(~np.isin(self.speech.labels, others))

    @functools.cached_property
    def unknown(self) -> Any:
        """Return the split's words that are no label, int16 (n, 16000)."""
        return self.speech.samples[self.speech.labels == self.labels.index('unknown')]

    @functools.cached_property
    def background(self) -> Any:
        """Return the split's background recordings."""
        from kws_imu_ros.lab.data.speech_data import load_noise

        return load_noise(self.given['speech'], self.split)

    @functools.cached_property
    def clips(self) -> Any:
        """Return what `voice_clips` does."""
        return voice_clips(self.given['speech'], self.split, self.labels, data=self.speech)

    @functools.cached_property
    def recordings(self) -> Any:
        """Return the split's gestures."""
        from kws_imu_ros.lab.data.gesture_data import load_gestures

        return load_gestures(self.given['gestures'], self.split)

    @functools.cached_property
    def activity_recordings(self) -> Any:
        """Return the split's everyday motion, [] without a folder."""
        from kws_imu_ros.lab.data.activity_data import load_activities

        folder = self.given['activities']
        return load_activities(folder, self.split) if folder else []

    # The sections

    def measure_voice(self) -> dict[str, Any]:
        """Classify words."""
        from kws_imu_ros.lab.evaluation import evaluation

        clips, truth, _, notes = self.clips
        result = evaluation.evaluate_voice(self.interpreter, clips, truth, self.shown('words'))
        result.update(notes)
        return result

    def measure_gesture(self) -> dict[str, Any]:
        """Stream gestures."""
        if 'gesture' not in self._made:
            self._made['gesture'] = self._gestures_of(self.interpreter, 'gestures')
        return self._made['gesture']

    def _gestures_of(self, interpreter: Any, title: str) -> dict[str, Any]:
        from kws_imu_ros.lab.evaluation import evaluation

        result = evaluation.evaluate_gestures(
            interpreter, self.table, self.recordings, self.shown(title)
        )
        result['subjects'] = len({r.subject for r in self.recordings})
        return result

    def measure_float(self) -> dict[str, Any]:
        """Set the float network beside the int8 one; points are lost where int8 is worse."""
        from kws_imu_ros.lab.evaluation import evaluation
        from kws_imu_ros.model.interpreter import Interpreter

        bundle = float_bundle(self.bundle, self.given['float'])
        interpreter = Interpreter(bundle)
        result: dict[str, Any] = {
            'bytes': bundle.manifest.bytes,
            'sha256': bundle.manifest.sha256,
            'inputs': bundle.manifest.inputs['log_mel'].dtype,
        }
        if self.given['speech']:
            clips, truth, _, _ = self.clips
            found = [
                evaluation.voice_posteriors(each, clips, self.shown(title)).argmax(axis=1)
                for each, title in ((interpreter, 'words in float'), (self.interpreter, 'and int8'))
            ]
            accuracy, int8 = ((truth == answers).mean() for answers in found)
            result['voice_accuracy'] = float(accuracy)
            result['voice_lost_points'] = 100.0 * float(accuracy - int8)
            result['voice_same_answer_share'] = float((found[0] == found[1]).mean())
        if self.given['gestures']:
            accuracy = self._gestures_of(interpreter, 'gestures in float')['balanced_accuracy']
            result['gesture_balanced_accuracy'] = accuracy
            result['gesture_lost_points'] = 100.0 * (
                accuracy - self.measure_gesture()['balanced_accuracy']
            )
        return result

    def measure_noise(self) -> dict[str, Any]:
        """Classify command words in noise."""
        from kws_imu_ros.lab.evaluation import noise_evaluation

        return noise_evaluation.evaluate_noise(
            self.interpreter,
            self.speech.samples[self.spoken],
            self.speech.labels[self.spoken],
            self.background,
            seed=NOISE_SEED,
            progress=self.shown('words in noise'),
        )

    def measure_conflict(self) -> dict[str, Any]:
        """Say one direction and swipe another."""
        from kws_imu_ros.lab.evaluation import evaluation

        clips, _, words, _ = self.clips
        # The same few people again and again would tell nothing new.
        spoken = sum(word in evaluation.DIRECTIONS for word in words)
        return evaluation.evaluate_conflicts(
            self.interpreter,
            self.table,
            clips,
            words,
            self.recordings,
            min(CONFLICTS, spoken * len(self.recordings)),
            0,
            self.shown('conflicts'),
        )

    def measure_fusion(self) -> dict[str, Any]:
        """Say a direction and swipe it, in noise."""
        from kws_imu_ros.lab.evaluation import fusion_evaluation

        pairs, negatives = fusion_evaluation.make_trials(
            self.interpreter,
            self.table,
            self.speech.samples[self.spoken],
            [self.speech.words[i] for i in self.spoken],
            self.unknown,
            self.background,
            self.recordings,
            self.activity_recordings,
            FUSION_SEED,
        )
        return fusion_evaluation.evaluate_fusion(
            self.interpreter,
            self.table,
            pairs,
            negatives,
            progress=self.shown('word and gesture in noise'),
        )

    def measure_streaming(self) -> dict[str, Any]:
        """Listen to long audio."""
        peaks = voice_peaks(
            self.interpreter,
            self.table,
            self.given['speech'],
            self.given['streams'],
            self.split,
            self.cache,
            self.shown('long audio'),
            data=self.speech,
        )
        return _streaming(self.interpreter, self.table, peaks)

    def measure_everyday(self) -> dict[str, Any]:
        """Count gestures in everyday motion."""
        from kws_imu_ros.lab.evaluation import evaluation

        result = evaluation.evaluate_everyday(
            self.interpreter, self.table, self.activity_recordings, self.shown('everyday motion')
        )
        result['users'] = len({r.user for r in self.activity_recordings})
        return result

    def measure_human_activity(self) -> dict[str, Any]:
        """Tell activities apart, window by window."""
        from kws_imu_ros.console.native_output import silenced

        with silenced():
            from kws_imu_ros.lab.evaluation import human_activity
            from kws_imu_ros.lab.evaluation.comparison import read_model_file

        windows, labels, users = human_activity.activity_windows(self.activity_recordings)
        model_bytes = read_model_file(self.given['activity-model'])
        result = human_activity.evaluate(model_bytes, windows, labels)
        return {**result, 'bytes': len(model_bytes), 'users': len(set(users.tolist()))}

    def measure_latency(self) -> dict[str, Any]:
        """Time one inference on one thread in each runtime, ms; null for one that is missing."""
        if 'latency' not in self._made:
            self._made['latency'] = _latency(self.bundle, self.runtime_python)
        return self._made['latency']

    def measure_energy(self) -> dict[str, Any]:
        """Estimate the energy of listening all the time."""
        from kws_imu_ros.lab.evaluation import energy

        latency = self.measure_latency()
        runtime = self.interpreter.runtime
        return energy.estimate_energy(
            self.bundle.model_bytes,
            self.bundle.manifest.macs,
            latency['runtimes'][runtime]['median_ms'] / 1e3,
            f'{runtime} on {latency["machine"]["processor"]}',
            energy.CORE_WATTS if self.core_watts is None else self.core_watts,
        )


def float_bundle(bundle: Any, path: Path) -> Any:
    """
    Return the bundle of the same network in float32, in memory.

    path: the ``.tflite`` that training leaves in its work folder.

    Raises:
        KwsImuError: the file cannot be read, or has other inputs or heads than the bundle.

    """
    from kws_imu_ros.model.bundle import make_bundle

    try:
        model_bytes = path.read_bytes()
    except OSError as error:
        raise KwsImuError(
            f'{path} cannot be read ({error.strerror}); give the float32.tflite of the work folder.'
        ) from None
    manifest = bundle.manifest
    return make_bundle(
        model_bytes,
        name=manifest.name,
        version=manifest.version,
        labels=manifest.labels,
        data=manifest.data,
        recipe=manifest.recipe,
        front_end=manifest.front_end,
        imu=manifest.imu,
        thresholds=manifest.thresholds,
    )


def _latency(bundle: Any, runtime_python: Path | None) -> dict[str, Any]:
    """Time the runtimes, as `kws-imu benchmark --only inference` does."""
    from kws_imu_ros.benchmark.measurements import describe_machine, measure_inference
    from kws_imu_ros.console.native_output import silenced
    from kws_imu_ros.model.interpreter import RUNTIMES

    machine = describe_machine()
    with silenced():
        measured = measure_inference(bundle, runtime_python)
    runtimes: dict[str, Any] = {}
    reasons = {}
    for runtime, (_, package) in RUNTIMES.items():
        times = measured.get(runtime)
        if times is None:
            runtimes[runtime] = None
            reasons[runtime] = (
                f'{package} is not installed here; --runtime-python names a Python that has it'
            )
            continue
        runtimes[runtime] = {
            'version': times['version'],
            'median_ms': times['invoke_us']['median'] / 1e3,
            'p95_ms': times['invoke_us']['p95'] / 1e3,
            'with_conversion_median_ms': times['infer_us']['median'] / 1e3,
            'with_conversion_p95_ms': times['infer_us']['p95'] / 1e3,
            'inferences': times['invoke_us']['count'],
        }
    return {
        'what': 'one inference on one thread; with conversion: real values to int8 and back',
        'machine': machine,
        **{f'{name}_median_ms': times['median_ms'] for name, times in runtimes.items() if times},
        'runtimes': runtimes,
        'reasons': reasons,
    }


def _streaming(interpreter: Any, table: Any, peaks: Any) -> dict[str, Any]:
    """Return false accepts and rejects over long audio, and thresholds for one an hour."""
    import numpy as np

    from kws_imu_ros.decision.table import VOICE_THRESHOLD
    from kws_imu_ros.lab.evaluation import streaming

    chosen, accepts, rejects = streaming.choose_thresholds(peaks)
    used = interpreter.manifest.thresholds.get('voice', {})
    used = {label: used.get(label, VOICE_THRESHOLD) for label in peaks.negative}
    said = sum(map(len, peaks.positive.values()))
    false_stops = peaks.false_stops >= table.stop_word_threshold
    at_one, at_used = (peaks.false_accepts_by_source(each) for each in (chosen, used))
    by_source = {
        source: {
            'hours': hours,
            'false_accepts': at_one[source],
            'shipped_false_accepts': at_used[source],
            'shipped_false_accepts_per_hour': at_used[source] / hours,
            'false_stops': int(np.sum(false_stops & (peaks.false_stop_sources == index))),
        }
        for index, (source, hours) in enumerate(peaks.hours_by_source.items())
    }
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
        'false_stops_per_hour': float(false_stops.sum()) / peaks.hours,
        'missed_stop_rate': float((peaks.true_stops < table.stop_word_threshold).mean()),
        'by_source': by_source,
        'thresholds': chosen,
        'det': streaming.det_curve(peaks),
        'det_by_label': streaming.det_curve_by_label(peaks),
    }


def voice_peaks(
    interpreter: Any,
    table: Any,
    speech: Path,
    streams: Path,
    split: str,
    cache: Any,
    progress: Any,
    *,
    data: Any = None,
) -> Any:
    """
    Return the `DetectionPeaks` of a split.

    Negatives: the streams, all unknown words of the split and its background noise, end to end.
    Positives: all of the split's command words, mixed into them at 10 dB.
    data: the split's `SpeechClips` where they are loaded already.
    """
    import numpy as np

    from kws_imu_ros.lab.data import speech_data
    from kws_imu_ros.lab.evaluation import streaming

    labels = interpreter.manifest.labels['voice']
    data = data or speech_data.load_speech(speech, split, labels, cache)
    unknown = data.labels == labels.index('unknown')
    spoken = np.flatnonzero(~unknown & (data.labels != labels.index('silence')))
    negatives = streaming.negative_audio(
        streaming.list_streams(streams),
        data.samples[unknown],
        speech_data.load_noise(speech, split),
        progress,
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
    directory: Path,
    split: str,
    labels: tuple[str, ...],
    cache: Path | None = None,
    progress: Any = None,
    *,
    data: Any = None,
):
    """
    Return (clips, truth, words, notes) of a ten-class evaluation.

    Silence and unknown are as frequent as the average word, as in the data set's own test set: the
    folders `_silence_` and `_unknown_` where there are any; else silence is cut from the split's
    part of the background recordings, and unknown drawn from the words that are no label.
    data: the split's `SpeechClips` where they are loaded already.
    """
    import numpy as np

    from kws_imu_ros.lab.data import speech_data

    data = data or speech_data.load_speech(directory, split, labels, cache, progress)
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
        if isinstance(values, dict):
            for name, value in _numbers(values):
                table.add_row(f'{section}: {name}', value)
    console.print(table)


def _numbers(values: dict[str, Any], path: str = '') -> list[tuple[str, str]]:
    """Return the plain numbers of a section, and of what is in it, as text."""
    found = []
    for name, value in values.items():
        where = f'{path}{name}'
        if isinstance(value, bool) or name in ('det', 'det_by_label', 'confusion', 'machine'):
            continue
        if isinstance(value, float):
            # Seconds and joules are small; shares are not.
            found.append((where, f'{value:.4f}' if abs(value) >= 0.01 else f'{value:.4g}'))
        elif isinstance(value, int):
            found.append((where, str(value)))
        elif isinstance(value, dict) and name not in ('series', 'recall_by_level'):
            found += _numbers(value, f'{where} ')
    return found
