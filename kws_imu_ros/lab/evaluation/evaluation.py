"""
Measure a bundle on recordings with the run-time code alone: what is measured is what it does.

Words are judged clip by clip. Gestures are streamed sample by sample through the fusion pipeline
and its policy; what counts is the first gesture that the robot would have acted on. No TensorFlow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from kws_imu_ros.audio.block import AudioBlock
from kws_imu_ros.audio.frontend import log_mel
from kws_imu_ros.decision.decision import Decision, Outcome
from kws_imu_ros.decision.policy import Policy
from kws_imu_ros.decision.table import PolicyTable
from kws_imu_ros.fusion.pipeline import FusionPipeline, Step
from kws_imu_ros.imu.sample import ImuSample
from kws_imu_ros.lab.data.activity_data import RATE_HZ, ActivityRecording
from kws_imu_ros.lab.data.gesture_data import GestureRecording
from kws_imu_ros.lab.data.speech_data import SAMPLE_RATE, speech_end
from kws_imu_ros.model.interpreter import Interpreter

BLOCK_SAMPLES = 320
START_NS = 1_000_000_000
# Word and gesture this near to the end of the pairing window may fall on either side of it.
EDGE_NS = 80_000_000
DIRECTIONS = ('left', 'right', 'up', 'down')

Progress = Callable[[int, int], None]


def classification(truth: np.ndarray, found: np.ndarray, labels: Sequence[str]) -> dict[str, Any]:
    """
    Return accuracy, balanced accuracy, recall by class and the confusion matrix.

    truth, found: int (n,), indices into labels. Classes that `truth` lacks have no recall.
    """
    count = len(labels)
    confusion = np.zeros((count, count), np.int64)
    np.add.at(confusion, (truth, found), 1)
    totals = confusion.sum(axis=1)
    recall = {
        label: float(confusion[k, k] / totals[k]) for k, label in enumerate(labels) if totals[k]
    }
    return {
        'accuracy': float((truth == found).mean()),
        'balanced_accuracy': float(np.mean(list(recall.values()))),
        'examples': len(truth),
        'recall': recall,
        'confusion': {'labels': list(labels), 'rows_are_truth': confusion.tolist()},
    }


def voice_posteriors(
    interpreter: Interpreter, samples: np.ndarray, progress: Progress | None = None
) -> np.ndarray:
    """Return the voice head's posteriors, float32 (n, labels), of int16 clips (n, 16000)."""
    posteriors = []
    for i, clip in enumerate(samples):
        window = log_mel(clip, interpreter.manifest.front_end)
        posteriors.append(
            interpreter.infer(window[-interpreter.manifest.front_end.frames :], None).voice
        )
        if progress and i % 50 == 0:
            progress(i, len(samples))
    return np.array(posteriors)


def evaluate_voice(
    interpreter: Interpreter,
    samples: np.ndarray,
    truth: np.ndarray,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """
    Classify one-second clips, int16 (n, 16000), truth int (n,).

    Beside the scores of all classes, `accuracy_without_silence` leaves silence clips out, since
    they decide many a published ranking.
    """
    labels = interpreter.manifest.labels['voice']
    found = voice_posteriors(interpreter, samples, progress).argmax(axis=1)
    result = classification(truth, found, labels)
    spoken = truth != labels.index('silence')
    result['accuracy_without_silence'] = float((truth == found)[spoken].mean())
    return result


def imu_samples(
    time: np.ndarray, motion: np.ndarray, start_ns: int = START_NS, rest: float = 0.0
) -> Iterator[ImuSample]:
    """
    Yield a recording as samples; time in s (n,), motion (n, 6) in SI units.

    rest: seconds of stillness after it, in which gravity stays as it was last measured.
    """
    for second, row in zip(time, motion.astype(np.float64), strict=True):
        yield ImuSample(start_ns + int(second * 1e9), tuple(row[:3]), tuple(row[3:]))
    still = motion[-1, :3].astype(np.float64)
    for k in range(1, int(rest * 100) + 1):
        stamp = start_ns + int((time[-1] + k / 100.0) * 1e9)
        yield ImuSample(stamp, tuple(still), (0.0, 0.0, 0.0))


def audio_blocks(samples: np.ndarray, start_ns: int = START_NS) -> Iterator[AudioBlock]:
    """Yield int16 samples (n,) at 16 kHz as blocks of 20 ms; an incomplete last one is left out."""
    for k in range(len(samples) // BLOCK_SAMPLES):
        first = k * BLOCK_SAMPLES
        yield AudioBlock(
            start_ns + first * 1_000_000_000 // SAMPLE_RATE,
            k,
            SAMPLE_RATE,
            samples[first : first + BLOCK_SAMPLES],
        )


def stream(
    interpreter: Interpreter,
    table: PolicyTable,
    blocks: Sequence[AudioBlock],
    samples: Sequence[ImuSample],
) -> list[Step]:
    """Run audio and IMU through a fresh pipeline in the order they would arrive."""
    manifest = interpreter.manifest
    pipeline = FusionPipeline(interpreter, Policy(table, manifest.labels, manifest.thresholds))
    events = [(block.end_ns, 0, block) for block in blocks]
    events += [(sample.stamp_ns, 1, sample) for sample in samples]
    steps: list[Step] = []
    for _, kind, event in sorted(events, key=lambda item: item[:2]):
        steps += pipeline.push_imu(event) if kind else pipeline.push_audio(event)
    return steps


def accepts(steps: Sequence[Step]) -> list[Decision]:
    """Return the accepting decisions of steps."""
    return [s.decision for s in steps if s.decision and s.decision.outcome is Outcome.ACCEPT]


def first_gesture(steps: Sequence[Step]) -> tuple[str, int]:
    """Return the gesture that was acted on first and its time; ('none', 0) without one."""
    for decision in accepts(steps):
        return decision.seen.label, decision.stamp_ns
    return 'none', 0


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
