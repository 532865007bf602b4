"""All that can be measured of a bundle on folders of recordings, section by section."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kws_imu_ros.console.progress import make_progress
from kws_imu_ros.decision.table import PolicyTable
from kws_imu_ros.errors import KwsImuError, printable
from kws_imu_ros.lab.data.activity_data import ActivityRecording, load_activities
from kws_imu_ros.lab.data.gesture_data import GestureRecording, load_gestures
from kws_imu_ros.lab.data.speech_data import NOISE_FOLDER, SpeechClips, load_noise, load_speech
from kws_imu_ros.lab.evaluation import energy, fusion, gestures, human_activity, noise, words
from kws_imu_ros.lab.evaluation.latency import measure_latency
from kws_imu_ros.lab.evaluation.robot_stream import DIRECTIONS
from kws_imu_ros.lab.evaluation.streaming import streaming_scores, voice_peaks
from kws_imu_ros.model.bundle import Bundle, make_bundle, read_model_file
from kws_imu_ros.model.interpreter import Interpreter

CONFLICTS = 300
# What each section measures, and the options that it needs.
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

Progress = Callable[[int, int], None]


@dataclasses.dataclass(frozen=True)
class Given:
    """
    What to measure on.

    speech, gestures, activities, streams: folders of recordings. split: whose. float_file: the
    same network in float32. activity_model: a network of the IMU branch that tells activities
    apart. cache: folder for decoded audio. runtime_python: another Python whose runtimes are timed
    too. core_watts: what a busy core takes beyond an idle one.
    """

    speech: Path | None = None
    gestures: Path | None = None
    activities: Path | None = None
    streams: Path | None = None
    split: str = 'validation'
    float_file: Path | None = None
    activity_model: Path | None = None
    cache: Path | None = None
    runtime_python: Path | None = None
    core_watts: float = energy.CORE_WATTS

    def has(self, option: str) -> bool:
        """Return whether an option that a section names was given."""
        attribute = {'float': 'float_file'}.get(option, option.replace('-', '_'))
        return getattr(self, attribute) is not None


def evaluate(
    bundle: Bundle, table: PolicyTable, given: Given, only: Sequence[str] | None = None
) -> dict[str, Any]:
    """
    Return all measures that the given folders allow, or `only` those sections, as JSON data.

    Raises:
        KwsImuError: model or folders are not fit, or a section lacks its folder.

    """
    with make_progress() as progress:

        def shown(title: str) -> Progress:
            task = progress.add_task(title, total=None, note='')
            return lambda done, total: progress.update(task, completed=done, total=total)

        measurements = _Measurements(bundle, table, given, shown)
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
            'split': given.split,
        }
        for section in sections:
            results[section] = getattr(measurements, f'measure_{section}')()
    return _without_nan(results)


class _Measurements:
    """One bundle on one set of folders: a method for each section, each folder read once."""

    def __init__(
        self, bundle: Bundle, table: PolicyTable, given: Given, shown: Callable[[str], Progress]
    ) -> None:
        self.bundle, self.table, self.given, self.shown = bundle, table, given, shown
        self.interpreter = Interpreter(bundle)
        self.labels = bundle.manifest.labels['voice']

    def sections(self, only: Sequence[str] | None) -> list[str]:
        """
        Return the sections to measure, in order.

        Raises:
            KwsImuError: a section was asked for whose folders are not given.

        """
        chosen = []
        for section, (_, needs) in SECTIONS.items():
            missing = [f'--{name}' for name in needs if not self.given.has(name)]
            if section == 'float' and not (self.given.speech or self.given.gestures):
                missing.append('--speech or --gestures')
            if only is None and not missing and self._possible(section):
                chosen.append(section)
            elif only is not None and section in only:
                if missing:
                    raise KwsImuError(f'Section {section} needs {" and ".join(missing)}.')
                chosen.append(section)
        if self.given.streams and not self.given.speech:
            raise KwsImuError('--streams needs --speech, whose words are mixed into the talk.')
        return chosen

    def _possible(self, section: str) -> bool:
        """Return whether folders that were given hold what a section needs beyond the usual."""
        if section in ('noise', 'fusion') and not (self._speech_folder / NOISE_FOLDER).is_dir():
            return False
        if section in ('noise', 'streaming'):
            return len(self.spoken) > 0
        if section == 'fusion':
            meant = {self.table.meanings.get(r.gesture) for r in self.recordings}
            return bool(meant & set(DIRECTIONS) & set(self.speech.words))
        return True

    # What the folders hold

    @property
    def _speech_folder(self) -> Path:
        return _needed(self.given.speech, 'speech')

    @functools.cached_property
    def speech(self) -> SpeechClips:
        """Return the split's clips."""
        return load_speech(
            self._speech_folder,
            self.given.split,
            self.labels,
            self.given.cache,
            self.shown('reading speech'),
        )

    @functools.cached_property
    def spoken(self) -> np.ndarray:
        """Return the indices of the split's command words, int (n,)."""
        others = [self.labels.index('unknown'), self.labels.index('silence')]
        return np.flatnonzero(~np.isin(self.speech.labels, others))

    @functools.cached_property
    def unknown(self) -> np.ndarray:
        """Return the split's words that are no label, int16 (n, 16000)."""
        return self.speech.samples[self.speech.labels == self.labels.index('unknown')]

    @functools.cached_property
    def background(self) -> Sequence[np.ndarray]:
        """Return the split's background recordings."""
        return load_noise(self._speech_folder, self.given.split)

    @functools.cached_property
    def clips(self) -> tuple[np.ndarray, np.ndarray, list[str], dict[str, Any]]:
        """Return what `voice_clips` does."""
        return words.voice_clips(
            self._speech_folder, self.given.split, self.labels, data=self.speech
        )

    @functools.cached_property
    def recordings(self) -> list[GestureRecording]:
        """Return the split's gestures."""
        return load_gestures(
            _needed(self.given.gestures, 'gestures'),
            self.given.split,
            self.bundle.manifest.labels['gesture'],
        )

    @functools.cached_property
    def activity_recordings(self) -> list[ActivityRecording]:
        """Return the split's everyday motion, [] without a folder."""
        folder = self.given.activities
        return load_activities(folder, self.given.split) if folder else []

    # The sections

    def measure_voice(self) -> dict[str, Any]:
        """Classify words."""
        clips, truth, _, notes = self.clips
        result = words.evaluate_voice(self.interpreter, clips, truth, self.shown('words'))
        result.update(notes)
        return result

    def measure_gesture(self) -> dict[str, Any]:
        """Stream gestures."""
        return self._gestures_in_int8

    @functools.cached_property
    def _gestures_in_int8(self) -> dict[str, Any]:
        return self._gestures_of(self.interpreter, 'gestures')

    def _gestures_of(self, interpreter: Interpreter, title: str) -> dict[str, Any]:
        result = gestures.evaluate_gestures(
            interpreter, self.table, self.recordings, self.shown(title)
        )
        result['subjects'] = len({r.subject for r in self.recordings})
        return result

    def measure_float(self) -> dict[str, Any]:
        """Set the float network beside the int8 one; points are lost where int8 is worse."""
        bundle = float_bundle(self.bundle, _needed(self.given.float_file, 'float'))
        interpreter = Interpreter(bundle)
        result: dict[str, Any] = {
            'bytes': bundle.manifest.bytes,
            'sha256': bundle.manifest.sha256,
            'inputs': bundle.manifest.inputs['log_mel'].dtype,
        }
        if self.given.speech:
            clips, truth, _, _ = self.clips
            found = [
                words.voice_posteriors(each, clips, self.shown(title)).argmax(axis=1)
                for each, title in ((interpreter, 'words in float'), (self.interpreter, 'and int8'))
            ]
            accuracy, int8 = ((truth == answers).mean() for answers in found)
            result['voice_accuracy'] = float(accuracy)
            result['voice_lost_points'] = 100.0 * float(accuracy - int8)
            result['voice_same_answer_share'] = float((found[0] == found[1]).mean())
        if self.given.gestures:
            accuracy = self._gestures_of(interpreter, 'gestures in float')['balanced_accuracy']
            result['gesture_balanced_accuracy'] = accuracy
            result['gesture_lost_points'] = 100.0 * (
                accuracy - self._gestures_in_int8['balanced_accuracy']
            )
        return result

    def measure_noise(self) -> dict[str, Any]:
        """Classify command words in noise."""
        return noise.evaluate_noise(
            self.interpreter,
            self.speech.samples[self.spoken],
            self.speech.labels[self.spoken],
            self.background,
            seed=noise.NOISE_SEED,
            progress=self.shown('words in noise'),
        )

    def measure_conflict(self) -> dict[str, Any]:
        """Say one direction and swipe another."""
        clips, _, said, _ = self.clips
        # The same few people again and again would tell nothing new.
        spoken = sum(word in DIRECTIONS for word in said)
        return gestures.evaluate_conflicts(
            self.interpreter,
            self.table,
            clips,
            said,
            self.recordings,
            min(CONFLICTS, spoken * len(self.recordings)),
            0,
            self.shown('conflicts'),
        )

    def measure_fusion(self) -> dict[str, Any]:
        """Say a direction and swipe it, in noise."""
        pairs, negatives = fusion.make_trials(
            self.interpreter,
            self.table,
            self.speech.samples[self.spoken],
            [self.speech.words[i] for i in self.spoken],
            self.unknown,
            self.background,
            self.recordings,
            self.activity_recordings,
            fusion.FUSION_SEED,
        )
        return fusion.evaluate_fusion(
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
            self._speech_folder,
            _needed(self.given.streams, 'streams'),
            self.given.split,
            self.given.cache,
            self.shown('long audio'),
            data=self.speech,
        )
        return streaming_scores(self.interpreter, self.table, peaks)

    def measure_everyday(self) -> dict[str, Any]:
        """Count gestures in everyday motion."""
        result = gestures.evaluate_everyday(
            self.interpreter, self.table, self.activity_recordings, self.shown('everyday motion')
        )
        result['users'] = len({r.user for r in self.activity_recordings})
        return result

    def measure_human_activity(self) -> dict[str, Any]:
        """Tell activities apart, window by window."""
        windows, labels, users = human_activity.activity_windows(self.activity_recordings)
        path = _needed(self.given.activity_model, 'activity-model')
        model_bytes = read_model_file(path)
        result = human_activity.evaluate(model_bytes, windows, labels, str(path))
        return {**result, 'bytes': len(model_bytes), 'users': len(set(users.tolist()))}

    def measure_latency(self) -> dict[str, Any]:
        """Time one inference on one thread in each runtime."""
        return self._latency

    @functools.cached_property
    def _latency(self) -> dict[str, Any]:
        return measure_latency(self.bundle, self.given.runtime_python)

    def measure_energy(self) -> dict[str, Any]:
        """Estimate the energy of listening all the time."""
        runtime = self.interpreter.runtime
        return energy.estimate_energy(
            self.bundle.model_bytes,
            self.bundle.manifest.macs,
            self._latency['runtimes'][runtime]['median_ms'] / 1e3,
            f'{runtime} on {self._latency["machine"]["processor"]}',
            self.given.core_watts,
        )


def float_bundle(bundle: Bundle, path: Path) -> Bundle:
    """
    Return the bundle of the same network in float32, in memory.

    path: the ``.tflite`` that training leaves in its work folder.

    Raises:
        KwsImuError: the file cannot be read, or has other inputs or heads than the bundle.

    """
    manifest = bundle.manifest
    return make_bundle(
        read_model_file(path),
        name=manifest.name,
        version=manifest.version,
        labels=manifest.labels,
        data=manifest.data,
        recipe=manifest.recipe,
        front_end=manifest.front_end,
        imu=manifest.imu,
        thresholds=manifest.thresholds,
        file=printable(path),
    )


def _needed(path: Path | None, option: str) -> Path:
    """Return a path that a section cannot do without."""
    if path is None:
        raise KwsImuError(f'--{option} is missing.')
    return path


def _without_nan(value: Any) -> Any:
    """Return JSON data with NaN as None, which JSON can say."""
    if isinstance(value, dict):
        return {k: _without_nan(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_without_nan(v) for v in value]
    return None if isinstance(value, float) and math.isnan(value) else value
