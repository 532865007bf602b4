"""
A pupil's dance as it happens: samples in, a finding at the end of each move.

Time comes in as integer nanoseconds, so that a bag and the live graph give the same findings.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from kws_imu_ros.choreography.choreography import BeatTimes, Choreography, Move
from kws_imu_ros.coach.findings import Finding, FindingKind, Measures, sentence_of
from kws_imu_ros.coach.frame import WristMotion
from kws_imu_ros.coach.judgement import Judgement, Limits, OwnTries, Seen, judge
from kws_imu_ros.coach.movement import MARGIN_NS, Movement, find_movement
from kws_imu_ros.coach.posture import posture_sentence
from kws_imu_ros.coach.teacher import EARLIEST_NS, Teacher, resting_slope, sign_of
from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.imu.sample import ImuSample

# A sensor that is silent for longer may have missed a movement.
LONGEST_GAP_NS = 400_000_000
# Stamps that go back further, or ahead further, are of a clock that was set.
CLOCK_SET_NS = 2_000_000_000
MOST_SAMPLES = 200_000
MOST_GESTURES = 10_000
# Of the network, as in the policy.
GESTURE_THRESHOLD = 0.7
SMOOTHED_HOPS = 3


@dataclass(frozen=True)
class ArmMove:
    """A move of a dance in which the arm does something. index: in the choreography."""

    index: int
    name: str
    text: str
    beat: float
    end: float


def arm_moves(choreography: Choreography) -> list[ArmMove]:
    """Return the moves of a dance in which the arm does something, in order."""
    return [
        ArmMove(index, name, move.text or name, move.beat, move.end)
        for index, move in enumerate(choreography.moves)
        if (name := arm_name(move))
    ]


def arm_name(move: Move) -> str:
    """Return what the arm does in a move, '' for nothing."""
    return move.reference or move.arm


class Coach:
    """Watches one pupil dance one choreography once."""

    def __init__(
        self,
        choreography: Choreography,
        teacher: Teacher,
        own: OwnTries | None = None,
        gestures: Sequence[str] = (),
        limits: Limits | None = None,
        beats: BeatTimes | None = None,
    ) -> None:
        """
        Be ready; `start` says when the dance begins.

        Args:
            choreography: that is danced.
            teacher: whose movements are the measure.
            own: earlier tries of this pupil, None for none.
            gestures: labels of the posteriors of `push_gesture`.
            limits: from where on something is a fault.
            beats: of the music, None for the tempo of the choreography.

        Raises:
            KwsImuError: the reference lacks a move of the dance, or the dance has no move of the
                arm.

        """
        self.moves = arm_moves(choreography)
        if not self.moves:
            raise KwsImuError(
                f'No move of "{choreography.name}" has an arm or a reference, so that there is '
                'nothing to watch; add one.'
            )
        missing = sorted({move.name for move in self.moves if not teacher.knows(move.name)})
        if missing:
            raise KwsImuError(
                f'The reference holds no movement for {", ".join(missing)} of '
                f'"{choreography.name}"; let the teacher dance it with `kws-imu dance record`.'
            )
        self._teacher = teacher
        self._own = own or OwnTries()
        self._tries = self._own
        self._gestures = tuple(gestures)
        self._limits = limits or Limits()
        self._beats = beats or BeatTimes(choreography.period_ns)
        self._samples: deque[ImuSample] = deque(maxlen=MOST_SAMPLES)
        self._seen: deque[tuple[int, np.ndarray]] = deque(maxlen=MOST_GESTURES)
        self.notes: list[str] = []
        self.start(0)

    def start(self, first_beat_ns: int) -> None:
        """Begin a dance whose first beat falls at a time of the samples' clock."""
        self._first_beat_ns = first_beat_ns
        self._next = 0
        self._previous_end_ns: int | None = None
        self._cues: list[float] = []
        self._tries = self._own
        self.findings: list[Finding] = []

    @property
    def tries(self) -> OwnTries:
        """Return the sizes of the pupil's moves, those of this dance included."""
        if not self._cues:
            return self._tries
        return replace(self._tries, raise_cue=sum(self._cues) / len(self._cues))

    def push_imu(self, sample: ImuSample) -> None:
        """Take a sample; one that is older than the newest is left out."""
        if not all(map(math.isfinite, (*sample.linear_acceleration, *sample.angular_velocity))):
            return
        if self._samples:
            step_ns = sample.stamp_ns - self._samples[-1].stamp_ns
            if step_ns < -CLOCK_SET_NS:
                self._note('The clock of the IMU was set back; what came before is left out.')
                self._samples.clear()
            elif step_ns <= 0:
                return
        self._samples.append(sample)

    def push_gesture(self, posteriors: np.ndarray, stamp_ns: int) -> None:
        """Take what the network says of the newest window; float (labels,)."""
        if len(posteriors) == len(self._gestures):
            self._seen.append((stamp_ns, np.asarray(posteriors, np.float64)))

    def next_end_ns(self) -> int | None:
        """Return when the next move ends, None after the last one."""
        if self._next == len(self.moves):
            return None
        return self._time_ns(self.moves[self._next].end)

    def due(self, now_ns: int) -> list[Finding]:
        """Return the findings on moves that have ended by now, each once."""
        found = []
        while (end_ns := self.next_end_ns()) is not None and end_ns <= now_ns:
            found.append(self._finish_move())
        return found

    def finish(self) -> list[Finding]:
        """Return the findings on all moves that are left."""
        found = []
        while self._next < len(self.moves):
            found.append(self._finish_move())
        return found

    def _time_ns(self, beat: float) -> int:
        return self._first_beat_ns + self._beats.time_ns(beat)

    def _finish_move(self) -> Finding:
        """Judge the move that ends now."""
        move = self.moves[self._next]
        self._next += 1
        beat_ns, end_ns = self._time_ns(move.beat), self._time_ns(move.end)
        start_ns = beat_ns - EARLIEST_NS
        if self._previous_end_ns is not None:
            start_ns = min(max(start_ns, self._previous_end_ns), beat_ns)
        motion = self._motion(start_ns - MARGIN_NS, end_ns)
        if not _is_whole(motion, beat_ns, end_ns):
            self._previous_end_ns = None
            return self._tell(move, Judgement(FindingKind.NOT_SEEN, Measures()), '')
        movement = find_movement(motion, start_ns, end_ns)
        if movement is not None:
            self._cues.append(movement.world.raise_cue)
            sign = self._forearm_sign()
            movement = find_movement(motion, start_ns, end_ns, sign)
        # A movement that was cut off goes on into the next move's time.
        whole = movement is not None and movement.offset_ns < end_ns - MARGIN_NS // 3
        self._previous_end_ns = movement.offset_ns if movement is not None and whole else None
        judgement = judge(
            self._teacher,
            move.name,
            movement,
            beat_ns,
            self._tries,
            self._what_was_seen(start_ns, end_ns),
            self._limits,
        )
        if judgement.kind not in (
            FindingKind.MISSING,
            FindingKind.OTHER_MOVE,
            FindingKind.OTHER_DIRECTION,
        ):
            size = math.log(judgement.measures.teacher_ratio)
            self._tries = self._tries.with_size(move.name, size)
        if judgement.plausible is not None:
            self._tries = self._tries.with_shape(move.name, judgement.plausible)
        return self._tell(move, judgement, self._posture(move, motion, movement))

    def _forearm_sign(self) -> float | None:
        """Return which way the sensor sits, by the movements of this dance and the last try."""
        return sign_of([self._own.raise_cue, *self._cues])

    def _posture(self, move: ArmMove, motion: WristMotion, movement: Movement | None) -> str:
        if movement is None:
            return ''
        slope = resting_slope(motion, movement.onset_ns, self._forearm_sign())
        return posture_sentence(slope, self._teacher.slope(move.name))

    def _tell(self, move: ArmMove, judgement: Judgement, posture: str) -> Finding:
        finding = Finding(
            move.index,
            move.name,
            judgement.kind,
            judgement.measures,
            judgement.found,
            sentence_of(judgement.kind, move.text, judgement.measures, judgement.found),
            posture,
        )
        self.findings.append(finding)
        return finding

    def _motion(self, start_ns: int, end_ns: int) -> WristMotion:
        """Return the samples between two times; those before are forgotten."""
        while self._samples and self._samples[0].stamp_ns < start_ns:
            self._samples.popleft()
        return WristMotion.of([s for s in self._samples if s.stamp_ns <= end_ns])

    def _what_was_seen(self, start_ns: int, end_ns: int) -> Seen:
        """Return the gesture of which the network was surest within a move, if any."""
        while self._seen and self._seen[0][0] < start_ns:
            self._seen.popleft()
        rows = [posteriors for stamp_ns, posteriors in self._seen if stamp_ns <= end_ns]
        commands = tuple(label for label in self._gestures if label != 'none')
        if len(rows) < SMOOTHED_HOPS:
            return Seen('', commands)
        sums = np.cumsum(np.stack(rows), axis=0)
        means = sums[SMOOTHED_HOPS - 1 :].copy()
        means[1:] -= sums[:-SMOOTHED_HOPS]
        means /= SMOOTHED_HOPS
        peaks = {label: float(means[:, self._gestures.index(label)].max()) for label in commands}
        best = max(peaks, key=lambda label: peaks[label], default='')
        return Seen(best if best and peaks[best] >= GESTURE_THRESHOLD else '', commands)

    def _note(self, sentence: str) -> None:
        if sentence not in self.notes:
            self.notes.append(sentence)


def _is_whole(motion: WristMotion, start_ns: int, end_ns: int) -> bool:
    """Return whether the sensor was heard all the time between two times."""
    return len(motion.stamps_ns) >= 4 and motion.longest_gap_ns(start_ns, end_ns) <= LONGEST_GAP_NS
