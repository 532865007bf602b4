"""
Human activity from the IMU branch: six activities of a phone at the waist, for people never met.

Windows of 2.56 s that overlap by half and lie inside one labelled activity, as the literature on
these data counts them (Anguita et al., 2013). Posture shows in the direction of gravity alone, so
gravity stays in.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.lab.data.activity_data import ACTIVITIES, HAR_WINDOW, RATE_HZ, ActivityRecording
from kws_imu_ros.lab.evaluation.classification import classification
from kws_imu_ros.model.imu_scaling import IMU_PARAMETERS, imu_divisors
from kws_imu_ros.model.signature_runner import read_signature, run_signature

WINDOW = HAR_WINDOW
STEP = WINDOW // 2
MAGNIFICATION = 32.0
CHANNELS = 12


def to_network_units(windows: np.ndarray) -> np.ndarray:
    """
    Return what the network sees, float32 (n, 128, 12) within -1 and 1, of windows (n, 128, 6).

    Six channels as the gesture branch sees them, then the same around the window's mean and
    magnified: who stands sways by less than one step of the int8 input, who sits does not sway.
    """
    coarse = windows / imu_divisors(IMU_PARAMETERS)
    fine = (coarse - coarse.mean(axis=1, keepdims=True)) * MAGNIFICATION
    return np.clip(np.concatenate((coarse, fine), axis=2), -1.0, 1.0).astype(np.float32)


def labelled_segments(recordings: Sequence[ActivityRecording]) -> list[tuple[np.ndarray, int, int]]:
    """
    Return (motion (n, 6) in SI units, label, user) of each stretch of one of the six activities.

    Raises:
        KwsImuError: an activity is nowhere long enough for one window.

    """
    segments = [
        (recording.motion[first - 1 : last], activity - 1, recording.user)
        for recording in recordings
        for activity, first, last in recording.segments
        if activity <= len(ACTIVITIES) and last - first + 1 >= WINDOW
    ]
    missing = sorted(set(range(len(ACTIVITIES))) - {label for _, label, _ in segments})
    if missing:
        names = ', '.join(ACTIVITIES[label] for label in missing)
        raise KwsImuError(
            f'The activity recordings hold no {WINDOW / RATE_HZ:.2f} s of {names}; labels.txt must '
            f'lie beside them, and every activity must be there.'
        )
    return segments


def activity_windows(
    recordings: Sequence[ActivityRecording],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """
    Cut recordings as the literature does, to judge a network.

    Returns (windows float32 (n, 128, 6) in SI units, labels int64 (n,), users int64 (n,)).

    Raises:
        KwsImuError: an activity is nowhere long enough for one window.

    """
    windows, labels, users = [], [], []
    for motion, label, user in labelled_segments(recordings):
        for start in range(0, len(motion) - WINDOW + 1, STEP):
            windows.append(motion[start : start + WINDOW])
            labels.append(label)
            users.append(user)
    return np.stack(windows).astype(np.float32), np.array(labels), np.array(users)


def evaluate(
    model_bytes: bytes, windows: np.ndarray, labels: np.ndarray, source: str = 'The model'
) -> dict[str, Any]:
    """
    Return accuracy, recall and confusion of a `.tflite` with one input and one output.

    windows: float32 (n, 128, 6) in SI units; labels: int (n,). source: names the model in errors.

    Raises:
        KwsImuError: the model takes or gives something else.

    """
    signature = read_signature(model_bytes, source)
    taken, given = (
        [spec.shape for spec in side.values()] for side in (signature.inputs, signature.outputs)
    )
    if (taken, given) != ([(1, WINDOW, CHANNELS)], [(1, len(ACTIVITIES))]):
        raise KwsImuError(
            f'{source} takes {taken} and gives {given}; an activity model takes one window '
            f'(1, {WINDOW}, {CHANNELS}) and gives (1, {len(ACTIVITIES)}).'
        )
    (name,) = signature.inputs
    (scores,) = run_signature(model_bytes, {name: to_network_units(windows)}).values()
    return classification(labels, scores.argmax(axis=1), ACTIVITIES)
