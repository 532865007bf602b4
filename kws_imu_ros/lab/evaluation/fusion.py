"""
Does a gesture help where a word is hard to hear? Four systems at the same rate of false accepts.

A *trial* is a few seconds of sound and wrist motion, streamed hop by hop through front end, window,
network and smoothing as in the robot. In a *pair* somebody says a direction while a hand makes the
gesture of the same direction; a *negative* holds an unknown word or noise alone, and a hand at rest
or everyday motion. All lie in background noise of the same level.

Each system hears and sees the same trials, and gives each a direction and a score:

- voice alone: the highest smoothed posterior of any command word; the word that has it.
- gesture alone: the highest smoothed posterior of any gesture with a meaning; that meaning.
- learned fusion: the highest smoothed posterior of any intent of the fused head; that intent.
- rule fusion: the policy of the robot, with one threshold for all words and one for all gestures
  alone. Both are set so that each sense alone accepts the same number k of negatives; k is the
  largest with which the whole policy stays within the rate. What it accepted last counts, as it may
  correct itself.

For the first three the threshold is the lowest that keeps to the rate on the negatives of the
level. A pair is an error when nothing is accepted or the wrong thing. Stopping is left out of all
four, as the safe outcome with thresholds of its own: it is neither a false accept nor right. This
weighs on the rule: swiping down without a word that was heard means stop there, by design, so every
"down" that noise drowns is an error of the rule (`stopped_rate`), but none of gesture alone.

The smoothed posteriors of an int8 network have few values near 1, so many negatives may tie at the
top; then a system can keep to the rate only far below it, and `false_accept_rate` beside each error
rate says so.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kws_imu_ros.audio.frontend import log_mel
from kws_imu_ros.decision.decision import Outcome
from kws_imu_ros.decision.policy import Policy
from kws_imu_ros.decision.smoothing import make_smoothers, smooth
from kws_imu_ros.decision.table import PolicyTable, Thresholds
from kws_imu_ros.imu.window import ImuWindow
from kws_imu_ros.lab.data.activity_data import RATE_HZ, ActivityRecording
from kws_imu_ros.lab.data.gesture_data import GestureRecording
from kws_imu_ros.lab.data.speech_data import SAMPLE_RATE, speech_end
from kws_imu_ros.lab.evaluation.noise import (
    LEVELS_DB,
    draw_noise,
    level_name,
    power,
    to_int16,
)
from kws_imu_ros.lab.evaluation.robot_stream import DIRECTIONS, START_NS, imu_samples
from kws_imu_ros.lab.evaluation.streaming import HOP_SAMPLES
from kws_imu_ros.model.interpreter import Interpreter
from kws_imu_ros.model.outputs import Posteriors

HOP_NS = HOP_SAMPLES * 1_000_000_000 // SAMPLE_RATE
# The word begins when the windows hold this trial's sound and motion only ...
LEAD_S = 2.0
# ... and decisions count from here.
DECISIONS_FROM_S = 1.2
TRIAL_S = 3.8
# The hand rests again this long before or after the end of the word.
LARGEST_LAG_S = 0.5
# The quietest rooms are not digitally silent.
ROOM_NOISE = 3.0
FALSE_ACCEPT_RATE = 0.01
FUSION_SEED = 7
MOST_PAIRS_OF_A_DIRECTION = 100
MOST_UNKNOWN_WORDS = 600
NOISE_ALONE = 200
SYSTEMS = ('voice alone', 'gesture alone', 'rule fusion', 'learned fusion')
# Thresholds that no posterior reaches: the policy's own ceiling.
CEILING = 0.99

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Trial:
    """
    Sound and motion of one trial.

    direction: what was meant, '' in a negative. speech: float32 (samples,), the word in place.
    noise: float32 (samples,), as powerful as the word in its second. imu: for each hop from
    `DECISIONS_FROM_S` on the window that the robot would have, float32 (length, 6).
    """

    direction: str
    speech: np.ndarray
    noise: np.ndarray
    imu: Sequence[np.ndarray | None]

    def audio(self, snr_db: float | None) -> np.ndarray:
        """Return the sound at a level, None for a quiet room, int16 (samples,)."""
        rng = np.random.default_rng(0)
        mixture = self.speech + rng.normal(0.0, ROOM_NOISE, len(self.speech)).astype(np.float32)
        if snr_db is not None:
            mixture += self.noise * np.float32(10.0 ** (-snr_db / 20.0))
        return to_int16(mixture)


@dataclass(frozen=True)
class Heard:
    """Posteriors of a trial's hops, float32 (hops, labels) each, raw and smoothed."""

    direction: str
    raw: Posteriors
    smoothed: Posteriors


def trial_imu(
    time: np.ndarray, motion: np.ndarray, begin: float, manifest: Any
) -> list[np.ndarray | None]:
    """
    Return the IMU windows of a trial's hops from `DECISIONS_FROM_S` on.

    time: s (n,), motion: (n, 6) in SI units; the recording begins `begin` seconds into the trial,
    before 0 for one that is cut. Before and after it the hand is still.
    """
    inside = time + begin >= 0.0
    time, motion = time[inside] + begin, motion[inside]
    if time[0] > 0.0:
        still = np.concatenate((motion[0, :3], np.zeros(3, motion.dtype)))
        lead = np.arange(0.0, time[0], 0.01)
        time = np.concatenate((lead, time))
        motion = np.concatenate((np.repeat(still[None], len(lead), axis=0), motion))
    rest = max(0.0, TRIAL_S - time[-1])
    samples = list(imu_samples(time, motion, START_NS, rest))
    window = ImuWindow(manifest.imu.rate_hz, manifest.imu.length)
    windows, pushed = [], 0
    for hop in range(int(TRIAL_S * SAMPLE_RATE) // HOP_SAMPLES):
        end_ns = START_NS + (hop + 1) * HOP_NS
        while pushed < len(samples) and samples[pushed].stamp_ns < end_ns:
            window.push(samples[pushed])
            pushed += 1
        if hop >= _first_hop():
            windows.append(window.window(end_ns))
    return windows


def _first_hop() -> int:
    return int(DECISIONS_FROM_S * SAMPLE_RATE) // HOP_SAMPLES


def make_trials(
    interpreter: Interpreter,
    table: PolicyTable,
    clips: np.ndarray,
    words: Sequence[str],
    unknown: np.ndarray,
    noise: Sequence[np.ndarray],
    recordings: Sequence[GestureRecording],
    activities: Sequence[ActivityRecording],
    seed: int = 0,
) -> tuple[list[Trial], list[Trial]]:
    """
    Return (pairs, negatives).

    clips: int16 (n, 16000) with their words; unknown: int16 (m, 16000); noise: int16 recordings.
    Half of the negatives have everyday motion where there are activities, the others rest.
    """
    rng = np.random.default_rng(seed)
    manifest = interpreter.manifest
    swipes = {
        direction: [r for r in recordings if table.meanings.get(r.gesture) == direction]
        for direction in DIRECTIONS
    }
    typical = float(np.median([power(clip) for clip in clips])) if len(clips) else 1.0
    words = np.array(words)
    pairs = []
    for direction in DIRECTIONS:
        spoken = rng.permutation(np.flatnonzero(words == direction))
        if not swipes[direction]:
            continue
        for index in spoken[:MOST_PAIRS_OF_A_DIRECTION]:
            recording = swipes[direction][rng.integers(len(swipes[direction]))]
            word_end = LEAD_S + speech_end(clips[index]) / SAMPLE_RATE
            begin = word_end + rng.uniform(-LARGEST_LAG_S, LARGEST_LAG_S) - recording.offset
            windows = trial_imu(recording.time, recording.motion, begin, manifest)
            pairs.append(_trial(direction, clips[index], power(clips[index]), noise, windows, rng))
    at_rest = [r.motion[:1] for r in recordings]
    negatives = []
    chosen = rng.permutation(len(unknown))[:MOST_UNKNOWN_WORDS]
    silent = min(NOISE_ALONE, max(10, len(chosen)))
    for k, index in enumerate([*chosen, *[-1] * silent]):
        clip = unknown[index] if index >= 0 else np.zeros(SAMPLE_RATE, np.int16)
        if activities and k % 2:
            motion = activities[rng.integers(len(activities))].motion
            length = min(len(motion), int(TRIAL_S * RATE_HZ))
            first = rng.integers(len(motion) - length + 1)
            motion = motion[first : first + length]
        else:
            motion = np.repeat(at_rest[rng.integers(len(at_rest))], 2, axis=0)
            motion[:, 3:] = 0.0
        windows = trial_imu(np.arange(len(motion)) / RATE_HZ, motion, 0.0, manifest)
        loudness = power(clip) if index >= 0 else typical
        negatives.append(_trial('', clip, loudness, noise, windows, rng))
    return pairs, negatives


def _trial(
    direction: str,
    clip: np.ndarray,
    loudness: float,
    noise: Sequence[np.ndarray],
    windows: Sequence[np.ndarray | None],
    rng: np.random.Generator,
) -> Trial:
    """Return the trial of a clip, int16 (16000,), whose noise has the power `loudness` under it."""
    length, first = int(TRIAL_S * SAMPLE_RATE), int(LEAD_S * SAMPLE_RATE)
    speech = np.zeros(length, np.float32)
    speech[first : first + len(clip)] = clip
    piece = draw_noise(noise, length, rng)
    piece *= np.float32(np.sqrt(loudness / power(piece[first : first + len(clip)])))
    return Trial(direction, speech, piece, windows)


def hear(interpreter: Interpreter, table: PolicyTable, trial: Trial, snr_db: float | None) -> Heard:
    """Stream a trial at a level; the same posteriors as of the fusion pipeline."""
    parameters = interpreter.manifest.front_end
    frames = log_mel(trial.audio(snr_db), parameters)
    silence = np.full((parameters.frames, parameters.mel_bins), parameters.silence, np.float32)
    frames = np.concatenate((silence, frames))
    raw: list[Posteriors] = []
    for hop, imu in enumerate(trial.imu, _first_hop()):
        # The newest frame needs a whole transform's length, so it lags the hop.
        end = parameters.frames + max(
            0, 1 + ((hop + 1) * HOP_SAMPLES - parameters.fft_length) // parameters.hop_length
        )
        raw.append(interpreter.infer(frames[end - parameters.frames : end], imu))
    heads = ('voice', 'gesture', 'intent')
    whole = [np.array([getattr(p, head) for p in raw]) for head in heads]
    smoothers = make_smoothers(table, interpreter.manifest.labels)
    smoothed = [smooth(smoother, values) for smoother, values in zip(smoothers, whole, strict=True)]
    return Heard(trial.direction, Posteriors(*whole), Posteriors(*smoothed))


def _meanings(table: PolicyTable, labels: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Return for each head what its labels mean, '' for what is nothing, other or stopping."""
    nothing = {table.voice_background, *table.voice_unknown, *table.stop_words}
    return {
        'voice': ['' if label in nothing else label for label in labels['voice']],
        'gesture': [table.meanings.get(label, '') for label in labels['gesture']],
        'intent': [
            '' if label in (table.intent_background, table.stop_intent) else label
            for label in labels['intent']
        ],
    }


def peak(smoothed: np.ndarray, meanings: Sequence[str]) -> tuple[str, float]:
    """Return what smoothed posteriors, (hops, labels), mean at their highest, and how high."""
    heights = np.where([bool(meaning) for meaning in meanings], smoothed.max(axis=0), 0.0)
    best = int(heights.argmax())
    return meanings[best], float(heights[best])


def threshold_for(scores: np.ndarray, accepts: int) -> float:
    """Return the lowest threshold that at most `accepts` of the scores (n,) lie above."""
    ordered = np.sort(scores)[::-1]
    return float(ordered[accepts]) if accepts < len(ordered) else 0.0


def decide(heard: Heard, policy: Policy) -> str:
    """
    Return what a fresh policy accepted last in a trial, '' for nothing.

    The intent to stop is returned only where nothing else was accepted.
    """
    policy.reset()
    stop = policy.table.stop_intent
    outcome = ''
    raw, smoothed = heard.raw, heard.smoothed
    for k in range(len(raw.voice)):
        decision = policy.step(
            START_NS + k * HOP_NS,
            Posteriors(raw.voice[k], raw.gesture[k], raw.intent[k]),
            Posteriors(smoothed.voice[k], smoothed.gesture[k], smoothed.intent[k]),
        )
        accepted = decision is not None and decision.outcome is Outcome.ACCEPT
        if accepted and (decision.intent != stop or not outcome):
            outcome = decision.intent
    return outcome


def _false_accepts(negatives: Sequence[Heard], policy: Policy) -> int:
    """Return in how many trials without a command the policy would have moved the robot."""
    harmless = ('', policy.table.stop_intent)
    return sum(decide(heard, policy) not in harmless for heard in negatives)


def policy_at(
    table: PolicyTable, labels: Mapping[str, Sequence[str]], voice: float, gesture: float
) -> Policy:
    """Return the policy with one threshold for all words and one for all gestures alone."""
    above = 1e-6  # A threshold is reached; a score that counts lies above it.
    voice = min(max(voice + above, table.weak_threshold + above), CEILING)
    gesture = min(max(gesture + above, table.gesture_release + above), CEILING)
    return Policy(
        dataclasses.replace(
            table,
            voice_thresholds=Thresholds(voice, {}),
            alone_thresholds=Thresholds(gesture, {}),
        ),
        labels,
    )


def _rule_at(
    table: PolicyTable,
    labels: Mapping[str, Sequence[str]],
    negatives: Sequence[Heard],
    scores: Mapping[str, np.ndarray],
    allowed: int,
) -> tuple[Policy, int]:
    """Return the policy that keeps to `allowed` false accepts, or comes nearest, and its number."""

    def tried(k: int) -> tuple[Policy, int]:
        policy = policy_at(
            table,
            labels,
            threshold_for(scores['voice alone'], k),
            threshold_for(scores['gesture alone'], k),
        )
        return policy, _false_accepts(negatives, policy)

    best = tried(0)
    low, high = 0, allowed
    while low < high:
        middle = (low + high + 1) // 2
        found = tried(middle)
        if found[1] <= allowed:
            low, best = middle, found
        else:
            high = middle - 1
    return best


def measure_level(
    interpreter: Interpreter,
    table: PolicyTable,
    pairs: Sequence[Heard],
    negatives: Sequence[Heard],
    rate: float,
) -> dict[str, dict[str, Any]]:
    """
    Return for each system its error rate, rate of false accepts, thresholds and errors by word.

    'shipped rule' is the policy with its own thresholds and the model's, at whatever rate of false
    accepts they give.
    """
    manifest = interpreter.manifest
    meanings = _meanings(table, manifest.labels)
    heads = {'voice alone': 'voice', 'gesture alone': 'gesture', 'learned fusion': 'intent'}
    allowed = int(rate * len(negatives))
    found: dict[str, tuple[list[str], int, dict[str, float]]] = {}
    scores = {}
    for system, head in heads.items():
        scores[system] = np.array(
            [peak(getattr(heard.smoothed, head), meanings[head])[1] for heard in negatives]
        )
        threshold = threshold_for(scores[system], allowed)
        peaks = [peak(getattr(heard.smoothed, head), meanings[head]) for heard in pairs]
        found[system] = (
            [meaning if score > threshold else '' for meaning, score in peaks],
            int((scores[system] > threshold).sum()),
            {'threshold': threshold},
        )
    policy, accepts = _rule_at(table, manifest.labels, negatives, scores, allowed)
    found['rule fusion'] = (
        [decide(heard, policy) for heard in pairs],
        accepts,
        {
            'voice_threshold': policy.table.voice_thresholds.default,
            'gesture_threshold': policy.table.alone_thresholds.default,
        },
    )
    shipped = Policy(table, manifest.labels, manifest.thresholds)
    found['shipped rule'] = (
        [decide(heard, shipped) for heard in pairs],
        _false_accepts(negatives, shipped),
        {},
    )
    truth = np.array([heard.direction for heard in pairs])
    results = {}
    for system in (*SYSTEMS, 'shipped rule'):
        answers, accepts, thresholds = found[system]
        wrong = np.array(answers) != truth
        results[system] = {
            'error_rate': float(wrong.mean()),
            'not_accepted_rate': float(np.mean([not answer for answer in answers])),
            'stopped_rate': float(np.mean([answer == table.stop_intent for answer in answers])),
            'false_accept_rate': accepts / len(negatives),
            'error_rate_by_direction': {
                direction: float(wrong[truth == direction].mean())
                for direction in dict.fromkeys(truth.tolist())
            },
            **thresholds,
        }
    return results


def evaluate_fusion(
    interpreter: Interpreter,
    table: PolicyTable,
    pairs: Sequence[Trial],
    negatives: Sequence[Trial],
    levels_db: Sequence[float] = LEVELS_DB,
    rate: float = FALSE_ACCEPT_RATE,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """
    Measure all systems in a quiet room and at each level; see the module's description.

    A result of kind 'fusion', as `kws-imu report` draws it.
    """
    levels: list[float | None] = [None, *levels_db]
    series: dict[str, list[dict[str, Any]]] = {}
    total = len(levels) * (len(pairs) + len(negatives))
    flat = {}
    done = 0
    for level in levels:
        heard: list[list[Heard]] = []
        for trials in (pairs, negatives):
            heard.append([])
            for trial in trials:
                heard[-1].append(hear(interpreter, table, trial, level))
                done += 1
                if progress and done % 20 == 0:
                    progress(done, total)
        measured = measure_level(interpreter, table, *heard, rate)
        for system, values in measured.items():
            series.setdefault(system, []).append({'snr_db': level, **values})
        for system in SYSTEMS:
            name = f'{system.split()[0]}_error_rate_{level_name(level)}'
            flat[name] = measured[system]['error_rate']
        voice = measured['voice alone']['error_rate']
        best = min(measured[system]['error_rate'] for system in ('rule fusion', 'learned fusion'))
        if level == 0.0 and voice > 0.0:
            flat['errors_left_of_voice_alone_0_db'] = best / voice
    shipped = series.pop('shipped rule')
    return {
        'kind': 'fusion',
        'false_accept_rate': rate,
        'pairs': len(pairs),
        'negatives': len(negatives),
        'decision_seconds_of_a_trial': TRIAL_S - DECISIONS_FROM_S,
        **flat,
        'series': series,
        'shipped_rule': shipped,
    }
