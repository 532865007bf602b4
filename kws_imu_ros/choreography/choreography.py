"""A choreography: moves on beats, and the times of the beats."""

from __future__ import annotations

import bisect
import itertools
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from kws_imu_ros.errors import KwsImuError

SLOWEST, FASTEST = 20.0, 300.0
MOST_BEATS_PER_BAR = 16
MOST_MOVES = 2000
# Twenty minutes at 240 beats a minute.
LAST_BEAT = 4800.0
SHORTEST_BEATS = 0.0625


@dataclass(frozen=True)
class Move:
    """
    One move of robot and arm.

    beat: where it begins; the first beat of a dance is 1, and 2.5 is half a beat after 2. beats:
    its length. robot: an intent of the motion table, '' where the robot rests. arm: a gesture label
    of the model, '' where the arm makes none. reference: name of a recorded reference of the arm,
    '' for none. text: what people read.
    """

    beat: float
    beats: float
    robot: str = ''
    arm: str = ''
    reference: str = ''
    text: str = ''

    @property
    def end(self) -> float:
        """Return the beat at which the move has ended."""
        return self.beat + self.beats


@dataclass(frozen=True)
class Phrase:
    """A part of a dance with a name. beat: where it begins; beats: its length."""

    name: str
    beat: float
    beats: float

    @property
    def end(self) -> float:
        """Return the beat at which the phrase has ended."""
        return self.beat + self.beats


@dataclass(frozen=True)
class Choreography:
    """
    A dance.

    beats_per_minute: its tempo. beats_per_bar: its metre. moves, phrases: in order of beat, none
    over another. music: name of a beat file beside the choreography, '' where a metronome does.

    Raises:
        KwsImuError: a number is out of range, a text holds what cannot be printed, or moves or
            phrases overlap.

    """

    name: str
    beats_per_minute: float
    beats_per_bar: int = 4
    moves: tuple[Move, ...] = ()
    phrases: tuple[Phrase, ...] = ()
    music: str = ''

    def __post_init__(self) -> None:
        """Refuse what cannot be danced in any room."""
        if not SLOWEST <= self.beats_per_minute <= FASTEST:
            raise KwsImuError(
                f'beats_per_minute is {self.beats_per_minute:g} but must be from {SLOWEST:g} to '
                f'{FASTEST:g}.'
            )
        if not 1 <= self.beats_per_bar <= MOST_BEATS_PER_BAR:
            raise KwsImuError(
                f'beats_per_bar is {self.beats_per_bar} but must be from 1 to {MOST_BEATS_PER_BAR}.'
            )
        if len(self.moves) > MOST_MOVES:
            raise KwsImuError(
                f'moves are {len(self.moves)}, but a dance has {MOST_MOVES} at most; make two.'
            )
        texts = [self.name, self.music, *(move.text for move in self.moves)]
        for text in (*texts, *(phrase.name for phrase in self.phrases)):
            if not text.isprintable():
                raise KwsImuError(
                    f'{text!r} holds characters that cannot be printed; leave them out.'
                )
        for what, problem in (
            ('moves', misplaced(self.moves)),
            ('phrases', misplaced(self.phrases)),
        ):
            if problem is not None:
                raise KwsImuError(f'{what} {problem[1]}.')

    @property
    def end(self) -> float:
        """Return the beat at which the last move has ended, 1 for an empty dance."""
        return self.moves[-1].end if self.moves else 1.0

    @property
    def period_ns(self) -> float:
        """Return the length of a beat in nanoseconds."""
        return 60e9 / self.beats_per_minute

    def phrase_of(self, move: Move) -> str:
        """Return the name of the phrase in which a move begins, '' for none."""
        for phrase in self.phrases:
            if phrase.beat <= move.beat < phrase.end:
                return phrase.name
        return ''


def misplaced(parts: Sequence[Move | Phrase]) -> tuple[int, str] | None:
    """Return the index of the first part that is out of place with what is wrong, None for none."""
    for index, part in enumerate(parts):
        where = f'number {index + 1} (beat {part.beat:g})'
        if not 1.0 <= part.beat <= LAST_BEAT:
            return index, f'{where} must begin on a beat from 1 to {LAST_BEAT:g}'
        if not SHORTEST_BEATS <= part.beats <= LAST_BEAT:
            return index, f'{where} must last from {SHORTEST_BEATS:g} to {LAST_BEAT:g} beats'
        if index and part.beat < parts[index - 1].end:
            return index, (
                f'{where} begins before number {index} has ended (beat {parts[index - 1].end:g})'
            )
    return None


class BeatTimes:
    """When each beat falls: even ones by the tempo, or those that were found in music."""

    def __init__(self, period_ns: float, beats_ns: Sequence[int] = ()) -> None:
        """
        Know the beats.

        Args:
            period_ns: length of a beat in nanoseconds, where no beat was found.
            beats_ns: times of beats 1, 2, ... from the start of the music, rising; outside of them
                beats go on with the middle length of those there are.

        Raises:
            KwsImuError: the times do not rise.

        """
        if any(later <= earlier for earlier, later in itertools.pairwise(beats_ns)):
            raise KwsImuError('The times of beats do not rise; find them again.')
        self._beats_ns = list(beats_ns)
        if len(beats_ns) > 1:
            period_ns = statistics.median(
                later - earlier for earlier, later in itertools.pairwise(beats_ns)
            )
        self._period_ns = period_ns

    def time_ns(self, beat: float) -> int:
        """Return when a beat falls, nanoseconds from the start (of beat 1 without music)."""
        beats = self._beats_ns
        if not beats:
            return round((beat - 1.0) * self._period_ns)
        place = beat - 1.0
        if place <= 0.0:
            return round(beats[0] + place * self._period_ns)
        whole = int(place)
        if whole >= len(beats) - 1:
            return round(beats[-1] + (place - (len(beats) - 1)) * self._period_ns)
        return round(beats[whole] + (place - whole) * (beats[whole + 1] - beats[whole]))

    def beat(self, time_ns: int) -> float:
        """Return the beat at a time; the other way round than `time_ns`."""
        beats = self._beats_ns
        if not beats:
            return 1.0 + time_ns / self._period_ns
        whole = bisect.bisect_right(beats, time_ns) - 1
        if whole < 0:
            return 1.0 + (time_ns - beats[0]) / self._period_ns
        if whole >= len(beats) - 1:
            return len(beats) + (time_ns - beats[-1]) / self._period_ns
        return 1.0 + whole + (time_ns - beats[whole]) / (beats[whole + 1] - beats[whole])
