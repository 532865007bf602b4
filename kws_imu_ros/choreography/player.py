"""A choreography in time: which intent is due, and what came too late."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from kws_imu_ros.choreography.choreography import BeatTimes, Choreography
from kws_imu_ros.motion.profiles import Drive, MotionTable, Resume, Stop

# Two frames of a film: nobody sees less.
LATE_NS = 50_000_000
# A move that begins later than this share of its length is left out.
LOST_SHARE = 0.5


class CueKind(Enum):
    """Why an intent is sent."""

    MOVE = 'move'
    RENEWAL = 'renewal'  # What drives on longer than a command lives.
    REST = 'rest'
    END = 'end'


class PlayerState(Enum):
    """What a player does."""

    STOPPED = 'stopped'
    PLAYING = 'playing'
    PAUSED = 'paused'
    ENDED = 'ended'


@dataclass(frozen=True)
class Cue:
    """
    Something that is to be done at a beat.

    beat: from 1. intent: what to send. move: index of the move, -1 for none. until: beat after
    which it makes no sense any more.
    """

    beat: float
    kind: CueKind
    intent: str
    move: int
    until: float


@dataclass(frozen=True)
class DueCue:
    """
    A cue whose time has come.

    due_ns: when it was to be done. late_ns: how much later it is now. lost: so late that it must be
    left out. A late beat is never made up for: what follows keeps its own time.
    """

    cue: Cue
    due_ns: int
    late_ns: int
    lost: bool

    @property
    def late(self) -> bool:
        """Return whether people see that it is late."""
        return self.late_ns > LATE_NS


def cues(choreography: Choreography, table: MotionTable, beats: BeatTimes) -> tuple[Cue, ...]:
    """
    Return what to send, in order of beat; cues at one beat are one.

    What drives without an end of its own is renewed while its move lasts, and stopped where nothing
    follows it.
    """
    stop = stop_intent(table)
    found: list[Cue] = []
    driving = False
    for index, move in enumerate(choreography.moves):
        profile = table.profile(move.robot) if move.robot else None
        if profile is None or isinstance(profile, Stop):
            if driving:
                found.append(Cue(move.beat, CueKind.REST, stop, index, move.end))
            driving = False
            following = False
        else:
            until = move.beat + move.beats * LOST_SHARE
            found.append(Cue(move.beat, CueKind.MOVE, move.robot, index, until))
            drives_on = isinstance(profile, Resume) or (
                isinstance(profile, Drive) and profile.lifetime is None
            )
            driving = drives_on or (driving and not isinstance(profile, Drive))
            following = drives_on
        if following:
            found.extend(_renewals(choreography, index, table, beats))
        last = index + 1 == len(choreography.moves)
        if driving and (last or choreography.moves[index + 1].beat > move.end):
            found.append(Cue(move.end, CueKind.REST, stop, -1, move.end + 1.0))
            driving = False
    found.append(Cue(choreography.end, CueKind.END, '', -1, choreography.end + 1e9))
    return tuple(found)


def _renewals(
    choreography: Choreography, index: int, table: MotionTable, beats: BeatTimes
) -> list[Cue]:
    """Return the cues that keep a long drive alive, half a lifetime apart."""
    move = choreography.moves[index]
    step_ns = round(table.command_lifetime * 1e9 / 2)
    start_ns, end_ns = beats.time_ns(move.beat), beats.time_ns(move.end)
    return [
        Cue(beats.beat(time_ns), CueKind.RENEWAL, move.robot, index, move.end)
        for time_ns in range(start_ns + step_ns, end_ns - step_ns // 4, step_ns)
    ]


def stop_intent(table: MotionTable) -> str:
    """Return the intent by which this robot stops."""
    stops = [
        intent for intent, name in table.intents.items() if isinstance(table.profiles[name], Stop)
    ]
    # Every table has one; see `load_motion_table`.
    return 'stop' if 'stop' in stops else stops[0]


class Player:
    """
    Plays a choreography; time comes in as integer nanoseconds.

    A count-in of one bar goes before the first beat that is played.
    """

    def __init__(
        self, choreography: Choreography, table: MotionTable, beats: BeatTimes | None = None
    ) -> None:
        """
        Be ready to play.

        beats: of the music, None for the tempo of the choreography.
        """
        self.choreography = choreography
        self._beats = beats or BeatTimes(choreography.period_ns)
        self._cues = cues(choreography, table, self._beats)
        self.state = PlayerState.STOPPED
        self._next = 0
        self._origin_ns = 0  # The time at which the clock of `_beats` was 0.
        self._paused_at = 1.0

    def start(self, now_ns: int, beat: float = 1.0, count_in: bool = True) -> None:
        """Play from a beat on, after a bar of counting in."""
        bars = self.choreography.beats_per_bar if count_in else 0
        wait_ns = round(bars * self.choreography.period_ns)
        self._origin_ns = now_ns + wait_ns - self._beats.time_ns(beat)
        # A renewal belongs to a move that was not begun here.
        self._next = self._first(lambda cue: cue.beat >= beat - 1e-9)
        self.state = PlayerState.PLAYING

    def pause(self, now_ns: int) -> None:
        """Hold the dance; `resume` goes on at the move that was begun."""
        if self.state is PlayerState.PLAYING:
            self._paused_at = max(1.0, self.beat(now_ns))
            self.state = PlayerState.PAUSED

    def resume(self, now_ns: int) -> None:
        """Go on with the move in which the dance was held, after a bar of counting in."""
        if self.state is PlayerState.PAUSED:
            begun = [move.beat for move in self.choreography.moves if move.beat <= self._paused_at]
            self.start(now_ns, begun[-1] if begun else 1.0)

    def seek(self, now_ns: int, beat: float) -> None:
        """Go to a beat: playing goes on there after a bar, a held dance stays held there."""
        if self.state is PlayerState.PLAYING:
            self.start(now_ns, beat)
        else:
            self._paused_at = beat
            self.state = PlayerState.PAUSED

    def stop(self) -> None:
        """End the dance."""
        self.state = PlayerState.STOPPED

    def beat(self, now_ns: int) -> float:
        """Return the beat at a time; below 1 while counting in."""
        if self.state is PlayerState.PAUSED:
            return self._paused_at
        return self._beats.beat(now_ns - self._origin_ns)

    def beat_ns(self, beat: float) -> int:
        """Return when a beat falls, on the clock of `start`."""
        return self._origin_ns + self._beats.time_ns(beat)

    def next_ns(self) -> int | None:
        """Return when the next cue is due, None where nothing is played."""
        if self.state is not PlayerState.PLAYING:
            return None
        return self.beat_ns(self._cues[self._next].beat)

    def due(self, now_ns: int) -> list[DueCue]:
        """
        Return the cues whose time has come, in order; each is returned once.

        The newest is to be sent, and those before it that are not lost as well.
        """
        fallen: list[DueCue] = []
        while (next_ns := self.next_ns()) is not None and next_ns <= now_ns:
            cue = self._cues[self._next]
            self._next += 1
            lost = now_ns >= self.beat_ns(cue.until)
            fallen.append(DueCue(cue, next_ns, now_ns - next_ns, lost))
            if cue.kind is CueKind.END:
                self.state = PlayerState.ENDED
        return fallen

    def _first(self, holds: Callable[[Cue], bool]) -> int:
        # The last cue is the end, which is there always.
        return next(
            (index for index, cue in enumerate(self._cues) if holds(cue)), len(self._cues) - 1
        )
