"""
The coach judged on real motion: dances put together from recordings of gestures, with faults.

A teacher's dance and a pupil's are laid together from recordings of two people, each movement so
that it begins on its beat. The pupil dances twice: once without a fault, by which the coach learns
how large this person's movements are, then with faults put in.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kws_imu_ros.choreography.choreography import BeatTimes, Choreography, Move
from kws_imu_ros.coach.coach import Coach
from kws_imu_ros.coach.findings import Finding, FindingKind
from kws_imu_ros.coach.frame import Array, WristMotion, rotations
from kws_imu_ros.coach.judgement import Limits, OwnTries
from kws_imu_ros.coach.recorded import watch_recording
from kws_imu_ros.coach.teacher import Cut, Teacher
from kws_imu_ros.coach.tempo import tempo_of
from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.imu.calibration import STANDARD_GRAVITY
from kws_imu_ros.imu.sample import ImuSample
from kws_imu_ros.lab.data.gesture_data import GestureRecording
from kws_imu_ros.model.interpreter import Interpreter

# Beats of a move at each tempo: a gesture of GRWD takes one to two seconds and needs room after it.
TEMPOS = {60: 4, 90: 4, 120: 6}
OPPOSITES = {
    'swipe_left': 'swipe_right',
    'swipe_right': 'swipe_left',
    'swipe_up': 'swipe_down',
    'swipe_down': 'swipe_up',
    'circle_clk': 'circle_cclk',
    'circle_cclk': 'circle_clk',
}
RATE_HZ = 100.0
FIRST_BEAT_NS = 5_000_000_000
LEAST_TAKES = 3
LEAST_GESTURES = 6
TEACHER_TAKES = 3
# A movement fills at most this share of its beats; longer ones are danced faster.
FILLED = 0.75
EDGE_S = 0.35
# How exactly people keep a beat that they tap to, standard deviation.
JITTER_S = 0.02
LEAST_LATE_S, MOST_LATE_S = 0.1, 0.4

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Piece:
    """
    A movement of a dance to be made.

    recording: what is danced, None for rest. onset_s: when it begins, from the first beat. size:
    of the movement, 1 as recorded.
    """

    recording: GestureRecording | None
    onset_s: float
    size: float = 1.0


@dataclass(frozen=True)
class Fault:
    """What is wrong with a move: the finding that is right, and how much later it is, s."""

    kind: FindingKind
    late_s: float = 0.0


def usable(recording: GestureRecording) -> bool:
    """Return whether a recording holds one whole movement, so that it has a beginning."""
    inside = (recording.time >= recording.onset) & (recording.time <= recording.offset)
    gaps = np.diff(recording.time[inside])
    length = recording.offset - recording.onset
    return (
        recording.onset > 0.06
        and recording.offset < recording.duration - 0.06
        and 0.5 <= length <= 3.0
        and len(gaps) > 30.0 * length
        and float(gaps.max(initial=0.0)) < 0.2
        and not _pauses(recording)
    )


def _pauses(recording: GestureRecording) -> bool:
    """Return whether the hand rested within what should be one movement."""
    grid = np.arange(recording.onset, recording.offset, 0.02)
    speed = np.interp(grid, recording.time, np.linalg.norm(recording.motion[:, 3:], axis=1))
    slow = np.flatnonzero(np.convolve(speed, np.ones(5) / 5.0, 'same') > np.radians(25.0))
    return bool(len(slow)) and float(np.diff(slow).max(initial=0)) * 0.02 > 0.3


def transformed(rows: Array, size: float, speed: float) -> Array:
    """
    Return a movement at another size and speed as a sensor on the same arm would measure it.

    rows: float64 (n, 6) at `RATE_HZ` in the sensor's axes. The wrist turns through `size` times the
    angles, and gravity turns with it; at another speed there are more rows or fewer.
    """
    acceleration = np.einsum('tij,tj->ti', rotations(rows[:, 3:], RATE_HZ), rows[:, :3])
    gravity = acceleration.mean(axis=0)
    gravity *= STANDARD_GRAVITY / max(float(np.linalg.norm(gravity)), 1e-9)
    grid = np.arange(0.0, len(rows) - 1, speed)
    both = np.concatenate((acceleration - gravity, rows[:, 3:]), axis=1)
    both = np.stack([np.interp(grid, np.arange(len(rows)), column) for column in both.T], axis=1)
    both[:, :3] *= size * speed**2
    both[:, 3:] *= size * speed
    turned = rotations(both[:, 3:], RATE_HZ)
    both[:, :3] = np.einsum('tji,tj->ti', turned, both[:, :3] + gravity)
    return both


def dance_motion(
    pieces: Sequence[Piece], slot_s: float, rng: np.random.Generator
) -> tuple[WristMotion, list[float]]:
    """
    Return what a wrist measures that dances pieces, and when each begins from the first beat, s.

    The beat lies at `FIRST_BEAT_NS`. Between the pieces the arm rests and gravity goes over from
    one to the next.
    """
    total_s = len(pieces) * slot_s + 2.0 * FIRST_BEAT_NS / 1e9
    count = round(total_s * RATE_HZ)
    values = np.full((count, 6), np.nan)
    begins = []
    for piece in pieces:
        onset_s = piece.onset_s + rng.normal(0.0, JITTER_S)
        begins.append(onset_s)
        if piece.recording is None:
            continue
        recording = piece.recording
        speed = max(1.0, (recording.offset - recording.onset) / (FILLED * slot_s))
        lead_s = min(EDGE_S, recording.onset)
        grid = np.arange(
            recording.onset - lead_s,
            min(recording.offset + EDGE_S, recording.duration),
            1 / RATE_HZ,
        )
        columns = recording.motion.astype(np.float64).T
        rows = np.stack([np.interp(grid, recording.time, column) for column in columns], axis=1)
        if piece.size != 1.0 or speed != 1.0:
            rows = transformed(rows, piece.size, speed)
        start = round((FIRST_BEAT_NS / 1e9 + onset_s - lead_s / speed) * RATE_HZ)
        rows = rows[: count - start]
        # A movement that is late ends where the next begins.
        values[start : start + len(rows)] = rows
        values[start + len(rows) :] = np.nan
    return WristMotion(_stamps(count), _with_rest(values, rng)), begins


def _stamps(count: int) -> np.ndarray:
    return np.rint(np.arange(count) * (1e9 / RATE_HZ)).astype(np.int64)


def _with_rest(values: Array, rng: np.random.Generator) -> Array:
    """Return values with rest where there are none."""
    rest = np.isnan(values[:, 0])
    rows = np.arange(len(values))
    values = values.copy()
    for column in range(3):
        values[rest, column] = np.interp(rows[rest], rows[~rest], values[~rest, column])
    size = np.linalg.norm(values[rest, :3], axis=1, keepdims=True)
    values[rest, :3] *= STANDARD_GRAVITY / np.maximum(size, 1.0)
    values[rest, 3:] = 0.0
    values[rest, :3] += rng.normal(0.0, 0.05, (int(rest.sum()), 3))
    values[rest, 3:] += rng.normal(0.0, 0.01, (int(rest.sum()), 3))
    return values


class Dancers:
    """People with enough recordings of every gesture."""

    def __init__(self, recordings: Sequence[GestureRecording]) -> None:
        """Sort recordings; those that hold no whole movement are left out."""
        self.recordings = len(recordings)
        self._by: dict[tuple[int, str], list[GestureRecording]] = defaultdict(list)
        for recording in recordings:
            if usable(recording):
                self._by[recording.subject, recording.gesture].append(recording)
        self.usable = sum(map(len, self._by.values()))
        self.people = sorted(
            person
            for person in {person for person, _ in self._by}
            if len(self.gestures_of(person)) >= LEAST_GESTURES
        )

    def gestures_of(self, person: int) -> list[str]:
        """Return the gestures of which a person has enough recordings, sorted."""
        return sorted(
            gesture
            for (owner, gesture), found in self._by.items()
            if owner == person and len(found) >= LEAST_TAKES
        )

    def pairs(self, pupils_a_teacher: int) -> list[tuple[int, int, list[str]]]:
        """Return teachers, pupils and the gestures of which both have enough recordings."""
        found = []
        for place, teacher in enumerate(self.people):
            others = self.people[place + 1 :] + self.people[:place]
            shared = [
                (pupil, sorted({*self.gestures_of(teacher)} & {*self.gestures_of(pupil)}))
                for pupil in others
            ]
            shared = [(pupil, names) for pupil, names in shared if len(names) >= LEAST_GESTURES]
            found += [(teacher, pupil, names) for pupil, names in shared[:pupils_a_teacher]]
        return found

    def draw(
        self, person: int, gestures: Sequence[str], times: int, rng: np.random.Generator
    ) -> list[dict[str, GestureRecording]]:
        """Return as many takes of each gesture, no recording twice."""
        takes: list[dict[str, GestureRecording]] = [{} for _ in range(times)]
        for gesture in gestures:
            found = self._by[person, gesture]
            for take, place in zip(takes, rng.permutation(len(found)), strict=False):
                take[gesture] = found[int(place)]
        return takes


def make_teacher(
    dancers: Dancers, person: int, dance: Choreography, rng: np.random.Generator
) -> Teacher:
    """Return the reference of a person who dances a choreography a few times."""
    names = [move.arm for move in dance.moves]
    beats = BeatTimes(dance.period_ns)
    slot_s = dance.moves[0].beats * dance.period_ns / 1e9
    cuts = []
    for take in dancers.draw(person, names, TEACHER_TAKES, rng):
        pieces = [Piece(take[name], slot_s * i) for i, name in enumerate(names)]
        motion, _ = dance_motion(pieces, slot_s, rng)
        cuts += [
            Cut(
                move.arm,
                FIRST_BEAT_NS + beats.time_ns(move.beat),
                FIRST_BEAT_NS + beats.time_ns(move.end),
                motion,
            )
            for move in dance.moves
        ]
    return Teacher.of(cuts)


def _samples(motion: WristMotion) -> list[ImuSample]:
    return [
        ImuSample(int(stamp), (row[0], row[1], row[2]), (row[3], row[4], row[5]))
        for stamp, row in zip(motion.stamps_ns, motion.values.tolist(), strict=True)
    ]


def draw_faults(names: Sequence[str], rng: np.random.Generator) -> list[Fault | None]:
    """Return a fault for four of ten moves: each dance has another mixture."""
    kinds = [
        FindingKind.EARLY,
        FindingKind.LATE,
        FindingKind.SMALL,
        FindingKind.OTHER_DIRECTION,
        FindingKind.OTHER_MOVE,
        FindingKind.MISSING,
    ]
    faults: list[Fault | None] = [None] * len(names)
    places = list(rng.permutation(len(names))[: max(1, 2 * len(names) // 5)])
    for kind in [kinds[i] for i in rng.permutation(len(kinds))]:
        turned = kind is FindingKind.OTHER_DIRECTION
        fits = [p for p in places if not turned or OPPOSITES.get(names[p]) in names]
        if not fits:
            continue
        place = fits[0]
        places.remove(place)
        late_s = float(rng.uniform(LEAST_LATE_S, MOST_LATE_S))
        if kind is FindingKind.EARLY:
            late_s = -late_s
        faults[place] = Fault(
            kind, late_s if kind in (FindingKind.EARLY, FindingKind.LATE) else 0.0
        )
    return faults


def pieces_with(
    take: Mapping[str, GestureRecording],
    names: Sequence[str],
    faults: Sequence[Fault | None],
    slot_s: float,
    rng: np.random.Generator,
) -> list[Piece]:
    """Return the pieces of a dance with faults in it."""
    pieces = []
    for place, (name, fault) in enumerate(zip(names, faults, strict=True)):
        onset_s, size, recording = slot_s * place, 1.0, take[name]
        if fault is not None:
            onset_s += fault.late_s
            if fault.kind is FindingKind.SMALL:
                size = 0.5
            elif fault.kind is FindingKind.OTHER_DIRECTION:
                recording = take[OPPOSITES[name]]
            elif fault.kind is FindingKind.OTHER_MOVE:
                others = [g for g in take if g not in (name, OPPOSITES.get(name))]
                recording = take[others[rng.integers(len(others))]]
        missing = fault is not None and fault.kind is FindingKind.MISSING
        pieces.append(Piece(None if missing else recording, onset_s, size))
    return pieces


def evaluate_coaching(
    recordings: Sequence[GestureRecording],
    interpreter: Interpreter | None = None,
    pupils_a_teacher: int = 3,
    seed: int = 0,
    limits: Limits | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """
    Return how the coach's findings compare with the faults that were put in.

    Args:
        recordings: of people whom no threshold was set on.
        interpreter: the network whose gestures are seen first, None for alignment alone.
        pupils_a_teacher: how many other people dance what each person taught.
        seed: of what is drawn.
        limits: of the coach.
        progress: told of dances done.

    Returns:
        counts and shares: `confusion` (finding by fault, on the second try), `named_right`,
        `false_findings` on dances without a fault, `median_timing_error_ms`, and the same on a
        first try, in which the coach knows nothing of the pupil.

    Raises:
        KwsImuError: too few people have enough recordings.

    """
    dancers = Dancers(recordings)
    labels = interpreter.manifest.labels['gesture'] if interpreter is not None else ()
    tally = {'first': _Tally(), 'second': _Tally()}
    pairs = dancers.pairs(pupils_a_teacher)
    if not pairs:
        raise KwsImuError(
            f'No two people have {LEAST_TAKES} whole recordings of {LEAST_GESTURES} gestures each, '
            'so that no dances can be put together; give more recordings, or --split all.'
        )
    total = len(pairs) * len(TEMPOS)
    for number, (teacher_person, pupil, gestures) in enumerate(pairs):
        for place, (tempo, beats) in enumerate(TEMPOS.items()):
            rng = np.random.default_rng((seed, number, tempo))
            names = [gestures[i] for i in rng.permutation(len(gestures))]
            dance = Choreography(
                'evaluation',
                tempo,
                4,
                tuple(Move(1.0 + beats * i, beats, arm=name) for i, name in enumerate(names)),
            )
            slot_s = beats * 60.0 / tempo
            teacher = make_teacher(dancers, teacher_person, dance, rng)
            first, second, third = dancers.draw(pupil, names, 3, rng)

            def dance_once(
                take: Mapping[str, GestureRecording],
                faults: Sequence[Fault | None],
                own: OwnTries | None,
                which: str,
            ) -> OwnTries:
                pieces = pieces_with(take, names, faults, slot_s, rng)  # noqa: B023 Called below.
                motion, begins = dance_motion(pieces, slot_s, rng)  # noqa: B023
                coach = Coach(dance, teacher, own, labels, limits)  # noqa: B023
                found = watch_recording(coach, _samples(motion), FIRST_BEAT_NS, interpreter)
                late = [begin - slot_s * i for i, begin in enumerate(begins)]  # noqa: B023
                tally[which].add(faults, late, found)
                tally[which].add_tempo(found, dance)  # noqa: B023
                return coach.tries

            none: list[Fault | None] = [None] * len(names)
            own = dance_once(first, none, None, 'first')
            dance_once(second, none, own, 'second')
            faults = draw_faults(names, rng)
            dance_once(third, faults, None, 'first')
            dance_once(third, faults, own, 'second')
            if progress:
                progress(number * len(TEMPOS) + place + 1, total)
    return {
        'people': dancers.people,
        'recordings': dancers.recordings,
        'usable': dancers.usable,
        'dances': total,
        'network': interpreter is not None,
        **tally['second'].results(),
        'first_try': tally['first'].results(),
    }


class _Tally:
    """Counts findings by fault."""

    def __init__(self) -> None:
        self.confusion: dict[str, Counter[str]] = defaultdict(Counter)
        self.false: Counter[str] = Counter()
        self.by_tempo_errors: list[float] = []
        self.timing_errors: list[float] = []

    def add(
        self,
        faults: Sequence[Fault | None],
        late_s: Sequence[float],
        found: Sequence[Finding],
    ) -> None:
        """Count a dance."""
        faultless = not any(faults)
        for fault, late, finding in zip(faults, late_s, found, strict=True):
            wanted = fault.kind if fault else FindingKind.RIGHT
            if faultless:
                self.false[finding.kind.value] += 1
            else:
                self.confusion[wanted.value][finding.kind.value] += 1
            # All that the coach told a time of, whether it was told as a fault or not.
            timed = wanted in (FindingKind.RIGHT, FindingKind.EARLY, FindingKind.LATE)
            if timed and not math.isnan(finding.measures.offset_ms):
                self.timing_errors.append(abs(finding.measures.offset_ms - late * 1e3))

    def add_tempo(self, found: Sequence[Finding], dance: Choreography) -> None:
        """Compare the tempo by the wrist, after four moves, with that of a dance."""
        first = [f for f in found[:4] if f.measures.onset_ns]
        if len(first) == 4 and all(f.kind is FindingKind.RIGHT for f in first):
            tempo = tempo_of(
                [f.measures.onset_ns for f in first], [dance.moves[f.move].beat for f in first]
            )
            self.by_tempo_errors.append(abs(tempo - dance.beats_per_minute))

    def results(self) -> dict[str, Any]:
        """Return counts and shares."""
        faulty = {k: v for k, v in self.confusion.items() if k != FindingKind.RIGHT.value}
        right = sum(v[k] for k, v in faulty.items())
        count = sum(sum(v.values()) for v in faulty.values())
        errors = np.array(self.timing_errors or [math.nan])
        tempo = np.array(self.by_tempo_errors or [math.nan])
        false = sum(self.false.values())
        return {
            'named_right': right / max(count, 1),
            'faults': count,
            'named_right_by_fault': {
                k: round(v[k] / max(sum(v.values()), 1), 4) for k, v in sorted(faulty.items())
            },
            'false_findings': 1.0 - self.false[FindingKind.RIGHT.value] / max(false, 1),
            'faultless_moves': false,
            'false_findings_by_kind': {
                k: n for k, n in sorted(self.false.items()) if k != FindingKind.RIGHT.value
            },
            'median_timing_error_ms': round(float(np.median(errors)), 1),
            'timing_error_95_ms': round(float(np.percentile(errors, 95)), 1),
            'tempo_within_1': round(float(np.mean(tempo <= 1.0)), 4),
            'median_tempo_error': round(float(np.median(tempo)), 3),
            'confusion': {k: dict(sorted(v.items())) for k, v in sorted(self.confusion.items())},
        }
