"""Tell one microphone on a topic from two that talk at once."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from kws_imu_ros.audio.block import AudioBlock
from kws_imu_ros.sensing.turns import Turns

# Blocks further ahead than this are of another sender, not of one that lost some.
MOST_LOST = 50
REMEMBERED = 64
MOST_TRACKS = 4


@dataclass
class _Track:
    """What one sender's next block must look like."""

    number: int
    sequence: int
    end_ns: int


class AudioSenders:
    """
    Sort blocks by sender: each counts its own blocks, and its time goes on where it stopped.

    The messages of a bag do not say who sent them, but two microphones cannot count alike.
    """

    def __init__(self) -> None:
        """Start without a sender."""
        self._tracks: list[_Track] = []
        self._tracks_made = 0
        self._known: deque[tuple[int, int]] = deque(maxlen=REMEMBERED)
        self._turns = Turns()

    def push(self, block: AudioBlock) -> None:
        """Take note of a block."""
        key = (block.sequence, block.stamp_ns)
        if key in self._known:
            return  # It came twice; that is nobody else.
        self._known.append(key)
        track = self._track_of(block)
        if track is None:
            self._tracks_made += 1
            track = _Track(self._tracks_made, block.sequence, block.end_ns)
        else:
            self._tracks.remove(track)
            track.sequence, track.end_ns = block.sequence, block.end_ns
        self._tracks = [track, *self._tracks[: MOST_TRACKS - 1]]
        self._turns.push(track.number)

    @property
    def mixed(self) -> bool:
        """Return whether more than one microphone sends."""
        return self._turns.mixed

    def _track_of(self, block: AudioBlock) -> _Track | None:
        """Return the sender that a block goes on from."""

        def late(track: _Track) -> int:
            lost = max(block.sequence - track.sequence - 1, 0)
            return abs(block.stamp_ns - track.end_ns - lost * block.duration_ns)

        following = [track for track in self._tracks if block.sequence == track.sequence + 1]
        if following:
            return min(following, key=late)
        near = [
            track
            for track in self._tracks
            if block.sequence - track.sequence <= MOST_LOST and late(track) < block.duration_ns // 2
        ]
        return min(near, key=late) if near else None
