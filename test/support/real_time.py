"""Runs against the clock, on machines that do not always keep it."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Processes

from kws_imu_ros.bags.reading import read_raw
from kws_imu_ros.errors import KwsImuError

# Each of these comes at least 20 times a second from its own node, from its first message to its
# last; the robot's watchdogs bite after a quarter of a second.
STEADY_TOPICS = ('audio', 'voice', 'cmd_vel', 'odom')
LONGEST_PAUSE_S = 0.2
ATTEMPTS = 3


def longest_pause_s(bag: Path) -> float:
    """Return the longest time for which one of a run's nodes was not heard, by the run's bag."""
    longest_ns = 0
    for topic in STEADY_TOPICS:
        try:
            times = [message.stamp_ns for message in read_raw(bag, [topic])]
        except KwsImuError:  # No bag, or it ends early.
            continue
        longest_ns = max([longest_ns, *(b - a for a, b in itertools.pairwise(times))])
    return longest_ns / 1e9


def in_real_time(processes: Processes, folder: Path, attempt: Callable[[Path], None]) -> None:
    """
    Make an attempt at a run that has to keep real time; again where the machine did not keep it.

    attempt: starts `kws-imu run` with the output folder given to it, and asserts. What it asserts
    fails the test unless the run says, or its bag shows, that the machine held it up; when that was
    so each time, the test is skipped.
    """
    for number in range(ATTEMPTS):
        out = folder / f'out_{number}'
        try:
            return attempt(out)
        except AssertionError:
            pause_s = longest_pause_s(out / 'bag')
            fell_behind = 'fell behind real time' in processes.latest.output
            if pause_s < LONGEST_PAUSE_S and not fell_behind:
                raise
    pytest.skip(f'this machine does not keep real time: a node was held up for {pause_s:.1f} s')
