"""A recording that is played as if a sensor measured it now."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from kws_imu_ros.imu.recording import read_recording
from kws_imu_ros.imu.sample import ImuSample

SECOND_NS = 1_000_000_000


class RecordingSource:
    """Play a recording as if a sensor measured it now."""

    def __init__(self, clock: Callable[[], int], path: Path | str, repeat: bool = False) -> None:
        """
        Read the file.

        clock: returns ROS time in ns, read once when playing starts; repeat: start over at the
        end.

        Raises:
            KwsImuError: the file cannot be used (see `read_recording`).

        """
        self._recording = read_recording(path)
        self._clock = clock
        self._repeat = repeat
        first_ns = self._recording.samples[0].stamp_ns
        last_ns = self._recording.samples[-1].stamp_ns
        count = len(self._recording.samples)
        self._first_ns = first_ns
        # A round ends a typical step after its last sample.
        self._round_ns = last_ns - first_ns + (last_ns - first_ns) // (count - 1)
        self._given = 0
        self._opened = False
        self._pending: Iterator[ImuSample] = iter(())
        self._next: ImuSample | None = None
        self.description = f'recording {path}'
        self.notes = self._recording.notes

    @property
    def finished(self) -> bool:
        """Return whether every sample was given."""
        return self._opened and self._next is None

    def open(self) -> None:
        """Start playing from the beginning."""
        self._start_ns = self._clock()
        self._steady_start_ns = time.monotonic_ns()
        self._opened = True
        self._pending = self._play()
        self._next = next(self._pending, None)

    def read(self, timeout_s: float) -> list[ImuSample]:
        """Return the samples that have become due, after at most `timeout_s`."""
        deadline_ns = time.monotonic_ns() + int(timeout_s * SECOND_NS)
        if self._next is None:
            time.sleep(timeout_s)
            return []
        due_ns = self._steady_start_ns + self._next.stamp_ns - self._start_ns
        wait_ns = min(due_ns, deadline_ns) - time.monotonic_ns()
        if wait_ns > 0:
            time.sleep(wait_ns / SECOND_NS)
        played_ns = self._start_ns + time.monotonic_ns() - self._steady_start_ns
        samples = []
        while self._next is not None and self._next.stamp_ns <= played_ns:
            samples.append(self._next)
            self._next = next(self._pending, None)
        self._given += len(samples)
        return samples

    def close(self) -> None:
        """Stop playing; there is nothing to give back."""

    def counts(self) -> dict[str, int]:
        """Return the samples given and the rows of the file that were dropped."""
        return {'samples': self._given, 'dropped rows': self._recording.dropped}

    def _play(self) -> Iterator[ImuSample]:
        """Yield the samples with stamps in ROS time."""
        shift_ns = self._start_ns - self._first_ns
        while True:
            for sample in self._recording.samples:
                yield replace(sample, stamp_ns=sample.stamp_ns + shift_ns)
            if not self._repeat:
                return
            shift_ns += self._round_ns
