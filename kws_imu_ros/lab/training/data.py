"""What training reads: the folders before anything is done with them, their data, the batches."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kws_imu_ros.audio.frontend import FrontEndParameters
from kws_imu_ros.console.progress import make_progress
from kws_imu_ros.errors import KwsImuError, printable
from kws_imu_ros.lab.data.activity_data import (
    ActivityRecording,
    activities_digest,
    load_activities,
)
from kws_imu_ros.lab.data.folders import (
    NOISE_FOLDER,
    SILENCE_FOLDER,
    likely_mistakes,
    survey_gestures,
    survey_speech,
    unread_below,
)
from kws_imu_ros.lab.data.gesture_data import GestureRecording, gestures_digest, load_gestures
from kws_imu_ros.lab.data.running_speech import RunningSpeech, load_running_speech
from kws_imu_ros.lab.data.speech_data import SpeechClips, load_noise, load_speech
from kws_imu_ros.lab.training.branches import BranchPlan
from kws_imu_ros.lab.training.imu_augmentation import ImuBatches
from kws_imu_ros.lab.training.recipe import Recipe
from kws_imu_ros.lab.training.speech_augmentation import SpeechBatches
from kws_imu_ros.lab.training.vocabulary import NO_GESTURE, SILENCE, UNKNOWN
from kws_imu_ros.model.imu_scaling import IMU_PARAMETERS, imu_divisors


@dataclass(frozen=True)
class Folders:
    """
    Where the recordings lie.

    activities: motion that is no gesture. running_speech: ordinary speech to train on. cache: for
    decoded audio.
    """

    speech: Path
    gestures: Path
    activities: Path | None = None
    running_speech: Path | None = None
    cache: Path | None = None


@dataclass(frozen=True)
class TrainingData:
    """Everything the stages read; training people only."""

    speech: SpeechClips
    noise: Sequence[np.ndarray]
    gestures: Sequence[GestureRecording]
    activities: Sequence[ActivityRecording]
    digests: Mapping[str, str]
    running_speech: RunningSpeech | None = None


def check_folders(recipe: Recipe, folders: Folders) -> None:
    """
    Compare folders with a recipe's labels by their names alone, before minutes of reading.

    Raises:
        KwsImuError: a label has no recordings to train on, or nobody is left to judge by.

    """
    speech = survey_speech(folders.speech, recipe.voice_labels)
    gestures = survey_gestures(folders.gestures, recipe.gesture_labels)
    # Who judges at the end must be there at the beginning.
    for split in ('training', 'validation'):
        for survey, people in ((speech, 'speakers'), (gestures, 'subjects')):
            if not survey.of_split(split):
                unread = unread_below(survey.directory)
                raise KwsImuError(
                    f'{printable(survey.directory)} holds no recordings of the {split} split'
                    + (f' (there are {unread})' if unread else '')
                    + f'; people are dealt to the splits by their names, so add {people}.'
                )
    words = {clip.word for clip in speech.of_split('training')}
    wanted = set(recipe.voice_labels) - {UNKNOWN, SILENCE}
    _refuse_missing(folders.speech, wanted, words, 'voice_labels')
    if not words - wanted - {SILENCE_FOLDER}:
        raise KwsImuError(
            f'{printable(folders.speech)} has no training recordings of words that are no command; '
            'add some, or the network takes every word for one.'
        )
    if not speech.noise:
        raise KwsImuError(
            f'{printable(folders.speech)} has no recordings in {NOISE_FOLDER}; put some of your '
            'rooms there.'
        )
    seen = {take.gesture for take in gestures.of_split('training')}
    wanted = set(recipe.gesture_labels) - {NO_GESTURE}
    _refuse_missing(folders.gestures, wanted, seen, 'gesture_labels')


def _refuse_missing(folder: Path, wanted: set[str], found: set[str], name: str) -> None:
    """Refuse a folder without training recordings of a label."""
    missing = wanted - found
    if missing:
        meant = likely_mistakes(folder, sorted(found), sorted(wanted))
        hint = f' ({meant[0].file}: {meant[0].detail})' if meant else ''
        raise KwsImuError(
            f'{printable(folder)} has no training recordings of {", ".join(sorted(missing))}{hint};'
            f" add them, or take the name out of the recipe's {name}."
        )


def load_training_data(recipe: Recipe, folders: Folders) -> TrainingData:
    """
    Load the training people of all folders.

    Raises:
        KwsImuError: a folder is missing, empty or lacks a class.

    """
    with make_progress() as progress:
        task = progress.add_task('reading speech', total=None, note='')
        clips = load_speech(
            folders.speech,
            'training',
            recipe.voice_labels,
            folders.cache,
            lambda done, total: progress.update(task, completed=done, total=total),
        )
        noise = load_noise(folders.speech, 'training')
        talk = None
        if folders.running_speech:
            talk_task = progress.add_task('reading running speech', total=None, note='')
            talk = load_running_speech(
                folders.running_speech,
                folders.cache,
                lambda done, total: progress.update(talk_task, completed=done, total=total),
            )
        progress.add_task('reading motion', total=None, note='')
        recordings = load_gestures(folders.gestures, 'training', recipe.gesture_labels)
        everyday = load_activities(folders.activities, 'training') if folders.activities else []
    _refuse_missing(
        folders.gestures,
        set(recipe.gesture_labels) - {NO_GESTURE},
        {recording.gesture for recording in recordings},
        'gesture_labels',
    )
    digests = {'speech': clips.digest, 'gestures': gestures_digest(recordings)}
    if everyday:
        digests['activities'] = activities_digest(everyday)
    hours = ''
    if talk:
        digests['running_speech'] = talk.digest
        hours = f', {talk.hours:.2f} h of running speech'
    print(
        f'training data: {len(clips.labels)} words, {len(recordings)} gestures, '
        f'{len(everyday)} activity recordings{hours}',
        file=sys.stderr,
    )
    return TrainingData(clips, noise, recordings, everyday, digests, talk)


class Senses:
    """The batches of both senses, and what their branches differ in."""

    def __init__(self, recipe: Recipe, data: TrainingData) -> None:
        self.front_end, self.imu = FrontEndParameters(), IMU_PARAMETERS
        self.speech = SpeechBatches(
            data.speech.samples,
            data.speech.labels,
            data.noise,
            self.front_end,
            recipe.speech_augmentation,
            len(recipe.voice_labels),
            recipe.voice_labels.index(SILENCE),
            recipe.voice_labels.index(UNKNOWN),
            data.running_speech.samples if data.running_speech else None,
        )
        self.motion = ImuBatches(
            data.gestures,
            data.activities,
            recipe.gesture_labels,
            imu_divisors(self.imu),
            self.imu.length,
            recipe.imu_augmentation,
        )
        speech_inputs = [recipe.speech_augmentation, self.front_end, list(recipe.voice_labels)]
        speech_inputs.append(data.digests['speech'])
        if data.running_speech:
            speech_inputs.append(data.digests['running_speech'])
        self.voice = BranchPlan(
            'voice',
            (self.front_end.frames, self.front_end.mel_bins),
            recipe.voice_labels,
            recipe.voice,
            'teacher',
            recipe.teacher,
            recipe.distillation,
            recipe.voice_pruning,
            self.speech.batch,
            speech_inputs,
        )
        self.gesture = BranchPlan(
            'gesture',
            (self.imu.length, 6),
            recipe.gesture_labels,
            recipe.gesture,
            'gesture_teacher',
            recipe.gesture_teacher,
            recipe.gesture_distillation,
            recipe.gesture_pruning,
            self.motion.batch,
            [
                recipe.imu_augmentation,
                self.imu,
                list(recipe.gesture_labels),
                data.digests['gestures'],
                data.digests.get('activities', ''),
            ],
        )
