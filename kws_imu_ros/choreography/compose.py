"""A choreography set by voice: each accepted command becomes a move on a beat."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import Enum

from kws_imu_ros.choreography.choreography import MOST_MOVES, BeatTimes, Choreography, Move, Phrase
from kws_imu_ros.errors import KwsImuError

# A word is decided near its end, and people say it on the beat.
SPEAKING_NS = 400_000_000


class Change(Enum):
    """What a command did to the dance."""

    ADDED = 'added'
    CORRECTED = 'corrected'
    PHRASE_ENDED = 'phrase ended'
    TAKEN_BACK = 'taken back'
    KEPT = 'kept'
    IGNORED = 'ignored'


@dataclass(frozen=True)
class Composed:
    """
    What became of a command. beat: where it fell on the grid. move: number from 1 of the move that
    it made or took back, 0 for none. sentence: for people.
    """

    change: Change
    beat: float
    move: int
    sentence: str


@dataclass(frozen=True)
class Tick:
    """
    A beat of the metronome.

    time_ns: when. beat: from 1; 0 and below while counting in. downbeat: the first of a bar.
    """

    time_ns: int
    beat: int
    downbeat: bool


@dataclass(frozen=True)
class ComposerOptions:
    """
    How commands become moves.

    resolution: of the grid, beats. longest: a move that nothing follows lasts so many beats.
    speaking_ns: from the beat on which a word is said to its decision. stops: intents that end a
    phrase. take_back, keep: intents that take the last move back and that keep what there is.

    Raises:
        KwsImuError: a number is out of range.

    """

    resolution: float = 1.0
    longest: float = 4.0
    speaking_ns: int = SPEAKING_NS
    stops: frozenset[str] = frozenset({'stop'})
    take_back: str = 'no'
    keep: str = 'yes'

    def __post_init__(self) -> None:
        """Refuse what makes no grid."""
        if not 0.125 <= self.resolution <= 16.0:
            raise KwsImuError(
                f'A resolution of {self.resolution:g} beats makes no grid; give 0.125 to 16.'
            )
        if not self.resolution <= self.longest <= 64.0:
            raise KwsImuError(
                f'Moves of {self.longest:g} beats do not fit the grid; give {self.resolution:g} '
                'to 64.'
            )
        if not 0 <= self.speaking_ns <= 2_000_000_000:
            raise KwsImuError('speaking_ns must be from 0 to 2 s.')


class Composer:
    """
    Makes a choreography of commands as they fall.

    Time comes in as integer nanoseconds, so that a bag and the live graph give the same dance.
    """

    def __init__(
        self,
        name: str,
        beats_per_minute: float,
        beats_per_bar: int,
        options: ComposerOptions | None = None,
    ) -> None:
        """
        Be ready; `start` begins to count.

        Raises:
            KwsImuError: tempo or metre is out of range.

        """
        self._dance = Choreography(name, beats_per_minute, beats_per_bar)
        self._options = options or ComposerOptions()
        self._times = BeatTimes(self._dance.period_ns)
        self._first_ns: int | None = None  # Beat 1.
        self._ticked = 0
        self._kept = 0
        self._phrase_beat = 1.0

    @property
    def started(self) -> bool:
        """Return whether beats are counted."""
        return self._first_ns is not None

    @property
    def choreography(self) -> Choreography:
        """Return what was composed up to now."""
        return self._dance

    def beat_ns(self, beat: float) -> int:
        """Return when a beat falls, on the clock of `start`; of beat 1 before it, 0."""
        return (self._first_ns or 0) + self._times.time_ns(beat)

    def start(self, now_ns: int) -> None:
        """Count in one bar from now on; beat 1 follows it."""
        bar_ns = round(self._dance.beats_per_bar * self._dance.period_ns)
        self._first_ns = now_ns + bar_ns
        self._ticked = 1 - self._dance.beats_per_bar

    def ticks(self, now_ns: int) -> list[Tick]:
        """Return the beats of the metronome that fell since the last call."""
        if self._first_ns is None:
            return []
        fallen = []
        while (time_ns := self._first_ns + self._times.time_ns(self._ticked)) <= now_ns:
            downbeat = (self._ticked - 1) % self._dance.beats_per_bar == 0
            fallen.append(Tick(time_ns, self._ticked, downbeat))
            self._ticked += 1
        return fallen

    def push(self, intent: str, stamp_ns: int, corrects: bool = False) -> Composed:
        """
        Take an accepted command.

        stamp_ns: when it was decided. corrects: the hand meant this instead of the word before.
        """
        if self._first_ns is None:
            return Composed(Change.IGNORED, 0.0, 0, f'"{intent}" came before the count-in.')
        said = self._times.beat(stamp_ns - self._options.speaking_ns - self._first_ns)
        beat = self._on_grid(said)
        if intent == self._options.take_back:
            return self._take_back(beat)
        if intent == self._options.keep:
            self._kept = len(self._dance.moves)
            return Composed(Change.KEPT, beat, 0, f'{self._kept} moves are kept.')
        if said < 1.0 - self._options.resolution / 2.0:
            return Composed(Change.IGNORED, beat, 0, f'"{intent}" came during the count-in.')
        if intent in self._options.stops:
            return self._end_phrase(beat)
        if corrects and self._can_take_back():
            return self._correct(intent)
        return self._add(intent, max(beat, 1.0))

    def finish(self) -> Choreography:
        """Return the dance; a phrase that was begun ends with its last move."""
        if self._dance.moves and self._dance.moves[-1].beat >= self._phrase_beat:
            self._close_phrase(self._dance.end)
        return self._dance

    def _on_grid(self, beat: float) -> float:
        grid = self._options.resolution
        return 1.0 + round((beat - 1.0) / grid) * grid

    def _add(self, intent: str, beat: float) -> Composed:
        moves = self._dance.moves
        if len(moves) >= MOST_MOVES:
            return Composed(Change.IGNORED, beat, 0, f'A dance has {MOST_MOVES} moves at most.')
        if moves:
            # Two words on one beat: the second takes the next place.
            beat = max(beat, moves[-1].beat + self._options.resolution, self._phrase_beat)
        self._replace((*_cut(moves, beat), Move(beat, self._options.longest, robot=intent)))
        number = len(self._dance.moves)
        return Composed(Change.ADDED, beat, number, f'Move {number}: "{intent}" on beat {beat:g}.')

    def _correct(self, intent: str) -> Composed:
        moves = self._dance.moves
        self._replace((*moves[:-1], replace(moves[-1], robot=intent)))
        number, beat = len(moves), moves[-1].beat
        return Composed(
            Change.CORRECTED,
            beat,
            number,
            f'Move {number}: "{intent}" instead of "{moves[-1].robot}" on beat {beat:g}.',
        )

    def _can_take_back(self) -> bool:
        moves = self._dance.moves
        return len(moves) > self._kept and moves[-1].beat >= self._phrase_beat

    def _take_back(self, beat: float) -> Composed:
        moves = self._dance.moves
        if not self._can_take_back():
            return Composed(Change.IGNORED, beat, 0, 'There is no move that can be taken back.')
        before = moves[:-1]
        if before and before[-1].beat >= self._phrase_beat:
            # It was cut short by what is gone now.
            before = (*before[:-1], replace(before[-1], beats=self._options.longest))
        self._replace(before)
        return Composed(
            Change.TAKEN_BACK,
            beat,
            len(moves),
            f'Move {len(moves)}, "{moves[-1].robot}", is taken back.',
        )

    def _end_phrase(self, beat: float) -> Composed:
        moves = self._dance.moves
        if not moves or moves[-1].beat < self._phrase_beat:
            return Composed(Change.IGNORED, beat, 0, 'There is no phrase that could end.')
        end = max(beat, moves[-1].beat + self._options.resolution)
        self._replace(_cut(moves, end))
        name = self._close_phrase(end)
        self._kept = len(moves)
        return Composed(Change.PHRASE_ENDED, end, 0, f'Phrase {name} ends with beat {end:g}.')

    def _close_phrase(self, end: float) -> str:
        number = len(self._dance.phrases)
        name = chr(ord('A') + number) if number < 26 else str(number + 1)
        phrase = Phrase(name, self._phrase_beat, end - self._phrase_beat)
        self._dance = replace(self._dance, phrases=(*self._dance.phrases, phrase))
        self._phrase_beat = end
        return name

    def _replace(self, moves: Iterable[Move]) -> None:
        self._dance = replace(self._dance, moves=tuple(moves))


def _cut(moves: tuple[Move, ...], beat: float) -> tuple[Move, ...]:
    """Return the moves with the last one ending at a beat, where it lasts longer."""
    if not moves or moves[-1].end <= beat:
        return moves
    return (*moves[:-1], replace(moves[-1], beats=beat - moves[-1].beat))
