"""What a source of audio counts."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class AudioSourceHealth:
    """
    Counts since the source was made.

    blocks: blocks given; overruns: times that audio was lost because nobody read it in time;
    lost_blocks: estimate of the blocks lost to overruns and to reopening; openings: times the
    device was opened; clock_restarts: times the mapping of its clock to ROS time started anew.
    """

    blocks: int = 0
    overruns: int = 0
    lost_blocks: int = 0
    openings: int = 0
    clock_restarts: int = 0

    def counts(self) -> dict[str, int]:
        """Return the counts by the names that diagnostics show."""
        return {
            'blocks': self.blocks,
            'overruns': self.overruns,
            'lost blocks': self.lost_blocks,
            'openings': self.openings,
            'clock restarts': self.clock_restarts,
        }
