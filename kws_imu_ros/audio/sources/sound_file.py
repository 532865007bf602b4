"""Play a sound file as if a microphone heard it now."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from kws_imu_ros.audio.block import SAMPLE_RATE, AudioBlock, blocks_of
from kws_imu_ros.audio.sound_file import read_sound
from kws_imu_ros.audio.sources.health import AudioSourceHealth
from kws_imu_ros.errors import KwsImuError

SECOND_NS = 1_000_000_000


class FileSource:
    """
    Play a recording as if a microphone heard it now: each block is given when it has ended.

    remarks: what is odd about the file, see `Sound`.
    """

    def __init__(
        self,
        path: Path | str,
        clock: Callable[[], int],
        block_ms: int = 20,
        repeat: bool = False,
        trailing_silence_s: float = 1.0,
    ) -> None:
        """
        Read the file.

        clock: returns ROS time in ns, read once when playing starts.
        repeat: start over at the end, without a break in stamps and sequence.
        trailing_silence_s: digital silence after the end, so that the last word is decided upon.

        Raises:
            KwsImuError: the file cannot be used (see `read_sound`) or a value is out of
                range.

        """
        if not 0.0 <= trailing_silence_s <= 60.0:
            raise KwsImuError(
                f'trailing_silence_s is {trailing_silence_s} but must be from 0 to 60.'
            )
        sound = read_sound(path)
        silence = np.zeros(round(trailing_silence_s * SAMPLE_RATE), np.int16)
        self._blocks = blocks_of(np.concatenate((sound.samples, silence)), 0, block_ms)
        self._clock = clock
        self._repeat = repeat
        self._next = 0
        self._start_ns = 0
        self._steady_start_ns = 0
        self._health = AudioSourceHealth()
        self.remarks = sound.remarks
        self.description = f'file {path}'

    @property
    def finished(self) -> bool:
        """Return whether every block was given."""
        return not self._repeat and self._next >= len(self._blocks)

    @property
    def health(self) -> AudioSourceHealth:
        """Return the counts so far."""
        return self._health

    def counts(self) -> dict[str, int]:
        """Return the counts so far, by the names that diagnostics show."""
        return self.health.counts()

    def open(self) -> None:
        """Start playing from the beginning."""
        self._next = 0
        self._start_ns = self._clock()
        self._steady_start_ns = time.monotonic_ns()
        self._health = replace(self._health, openings=self._health.openings + 1)

    def read(self, timeout_s: float) -> AudioBlock | None:
        """Wait for the next block, at most `timeout_s`; None when none was due in that time."""
        if self.finished:
            time.sleep(timeout_s)
            return None
        rounds, index = divmod(self._next, len(self._blocks))
        block = self._blocks[index]
        since_start_ns = rounds * self._blocks[-1].end_ns + block.stamp_ns
        due_ns = self._steady_start_ns + since_start_ns + block.duration_ns
        wait_s = (due_ns - time.monotonic_ns()) / SECOND_NS
        if wait_s > timeout_s:
            time.sleep(timeout_s)
            return None
        if wait_s > 0:
            time.sleep(wait_s)
        block = replace(block, stamp_ns=self._start_ns + since_start_ns, sequence=self._next)
        self._next += 1
        self._health = replace(self._health, blocks=self._health.blocks + 1)
        return block

    def close(self) -> None:
        """Stop playing; there is nothing to give back."""
