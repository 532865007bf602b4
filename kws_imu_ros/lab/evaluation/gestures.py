"""
Gestures streamed: alone, in everyday motion, and against a word that contradicts them.

What counts is the first gesture that the robot would have acted on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kws_imu_ros.decision.table import PolicyTable
from kws_imu_ros.lab.data.activity_data import RATE_HZ, ActivityRecording
from kws_imu_ros.lab.data.gesture_data import GestureRecording
from kws_imu_ros.lab.data.speech_data import SAMPLE_RATE, speech_end
from kws_imu_ros.lab.evaluation.classification import classification
from kws_imu_ros.lab.evaluation.robot_stream import (
    DIRECTIONS,
    START_NS,
    accepts,
    audio_blocks,
    first_gesture,
    imu_samples,
    stream,
)
from kws_imu_ros.model.interpreter import Interpreter

# Word and gesture this near to the end of the pairing window may fall on either side of it.
EDGE_NS = 80_000_000

Progress = Callable[[int, int], None]


def evaluate_gestures(
    interpreter: Interpreter,
    table: PolicyTable,
    recordings: Sequence[GestureRecording],
    progress: Progress | None = None,
) -> dict[str, Any]:
    """
    Stream each recording, nothing before and nothing after it, and compare what was acted on.

    Gestures that are no label count as 'none'. `median_delay_s` is from the end of the motion (in
    hindsight) to the decision; the early half of the swipes is decided before the hand is back.
    """
    labels = interpreter.manifest.labels['gesture']
    none = labels.index('none')
    truth, found, delays, by_folder = [], [], [], {}
    for i, recording in enumerate(recordings):
        steps = stream(interpreter, table, [], list(imu_samples(recording.time, recording.motion)))
        label, stamp_ns = first_gesture(steps)
        target = labels.index(recording.gesture) if recording.gesture in labels else none
        truth.append(target)
        found.append(labels.index(label) if label in labels else none)
        right = truth[-1] == found[-1]
        by_folder.setdefault(recording.gesture, []).append(right)
        if right and target != none:
            delays.append((stamp_ns - START_NS) / 1e9 - recording.offset)
        if progress:
            progress(i + 1, len(recordings))
    result = classification(np.array(truth), np.array(found), labels)
    result['right_by_folder'] = {k: float(np.mean(v)) for k, v in sorted(by_folder.items())}
    if delays:
        result['median_delay_s'] = float(np.median(delays))
    return result


def evaluate_everyday(
    interpreter: Interpreter,
    table: PolicyTable,
    recordings: Sequence[ActivityRecording],
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Stream everyday motion and count the gestures that the robot would have acted on."""
    false, seconds = 0, 0.0
    kinds: dict[str, int] = {}
    for i, recording in enumerate(recordings):
        time = np.arange(len(recording.motion)) / RATE_HZ
        steps = stream(interpreter, table, [], list(imu_samples(time, recording.motion)))
        for decision in accepts(steps):
            false += 1
            kinds[decision.seen.label] = kinds.get(decision.seen.label, 0) + 1
        seconds += len(time) / RATE_HZ
        if progress:
            progress(i + 1, len(recordings))
    return {
        'false_gestures_per_hour': false * 3600.0 / seconds,
        'false_gestures': false,
        'hours': seconds / 3600.0,
        'by_gesture': kinds,
    }


def evaluate_conflicts(
    interpreter: Interpreter,
    table: PolicyTable,
    clips: np.ndarray,
    words: Sequence[str],
    recordings: Sequence[GestureRecording],
    count: int = 300,
    seed: int = 0,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """
    Say one direction and swipe another, `count` times; the robot must go where the hand went.

    clips: int16 (n, 16000) with their words. The hand is at rest again between half a second
    before and half a second after the end of the word. A pair counts when each sense alone,
    streamed without the other, was understood, both within the policy's pairing window; it is
    right when the last accepted intent is the hand's.
    """
    rng = np.random.default_rng(seed)
    spoken = [i for i, word in enumerate(words) if word in DIRECTIONS]
    swipes = [r for r in recordings if r.gesture.removeprefix('swipe_') in DIRECTIONS]
    both_right = right = tried = 0
    while tried < count and spoken and swipes:
        clip_index = spoken[rng.integers(len(spoken))]
        recording = swipes[rng.integers(len(swipes))]
        wanted = recording.gesture.removeprefix('swipe_')
        if wanted == words[clip_index]:
            continue
        tried += 1
        lead = 3.0
        audio = np.concatenate(
            (
                np.zeros(int(lead * SAMPLE_RATE), np.int16),
                clips[clip_index],
                np.zeros(2 * SAMPLE_RATE, np.int16),
            )
        )
        # The room is never digitally silent.
        audio = audio + rng.normal(0.0, 3.0, len(audio)).astype(np.int16)
        word_end = lead + speech_end(clips[clip_index]) / SAMPLE_RATE
        begin = word_end + rng.uniform(-0.5, 0.5) - recording.offset
        blocks = list(audio_blocks(audio))
        samples = list(
            imu_samples(recording.time, recording.motion, START_NS + int(begin * 1e9), rest=1.5)
        )
        heard = accepts(stream(interpreter, table, blocks, []))
        if [d.intent for d in heard] != [words[clip_index]]:
            continue
        seen, seen_ns = first_gesture(stream(interpreter, table, [], samples))
        if seen != recording.gesture:
            continue
        if abs(heard[0].stamp_ns - seen_ns) > table.pairing_window_ns - EDGE_NS:
            continue
        both_right += 1
        fused = accepts(stream(interpreter, table, blocks, samples))
        right += bool(fused) and fused[-1].intent == wanted
        if progress:
            progress(tried, count)
    return {
        'accuracy': right / both_right if both_right else float('nan'),
        'conflicts': both_right,
        'tried': tried,
    }
