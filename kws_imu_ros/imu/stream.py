"""One IMU as it comes over the line: its window, and whether it may be believed."""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import replace

import numpy as np

from kws_imu_ros.imu.mixture import MotionMixture
from kws_imu_ros.imu.plausibility import MotionWatch
from kws_imu_ros.imu.sample import ImuSample
from kws_imu_ros.imu.timeline import StampRepair
from kws_imu_ros.imu.window import FrozenPart, ImuHealth, ImuWindow
from kws_imu_ros.sensing.turns import Turns

# Real sensors flicker in their last bit: of two hours of a phone whose accelerometer is coarse the
# longest run was eight readings at 50 Hz, of MPU-6050s at 170 Hz two. Longer than both of these is
# a driver that repeats itself.
FROZEN_NS = 250_000_000
FROZEN_REPEATS = 4


class ImuStream:
    """
    Feed an ImuWindow, and give its window only while the sensor lives and makes sense.

    A reading is a sign of life when it entered the window and both triples still change; talk that
    is NaN, zero, frozen or of a standing clock is none. Where stamps stand still the time of
    arrival takes their place.
    """

    def __init__(
        self, rate_hz: float = 50.0, length: int = 100, max_age_ns: int = 300_000_000
    ) -> None:
        """
        Start without samples; the arguments are those of ImuWindow.

        Raises:
            KwsImuError: a value is out of range.

        """
        self._window = ImuWindow(rate_hz, length, max_age_ns)
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self._window.reset()
        self._watch = MotionWatch()
        self._stamps: StampRepair[ImuSample] = StampRepair()
        self._mixture = MotionMixture()
        self._turns = Turns()
        self._watched_ns: int | None = None
        self._triples: list[tuple[float, ...]] = [(), ()]
        self._repeats = [0, 0]
        self._changed_ns = [0, 0]
        self._frozen = FrozenPart.NOTHING

    @property
    def newest_ns(self) -> int | None:
        """Return the time of the newest sample in the window, None before the first."""
        return self._window.newest_ns

    @property
    def usable(self) -> bool:
        """Return whether the readings mean the motion of one living sensor."""
        return self._watch.usable and not self.mixed and self._frozen is FrozenPart.NOTHING

    @property
    def mixed(self) -> bool:
        """Return whether more than one sensor sends."""
        return self._mixture.mixed or self._turns.mixed

    @property
    def health(self) -> ImuHealth:
        """Return what was seen so far."""
        return replace(
            self._window.health,
            findings=self._watch.findings,
            frozen=self._frozen,
            mixed=self.mixed,
            by_arrival=self._stamps.by_arrival,
            usable=self.usable,
        )

    def push(
        self, sample: ImuSample, arrived_ns: int | None = None, sender: Hashable = None
    ) -> bool:
        """
        Take one sample; return whether it is a sign of life.

        arrived_ns: when it came, of a clock that does not stand still; None where nobody knows.
        sender: who sent it, where that is known.
        """
        if sender is not None:
            self._turns.push(sender)
        values = (*sample.linear_acceleration, *sample.angular_velocity)
        if not all(map(math.isfinite, values)):
            self._window.push(sample)  # It is counted there.
            return False
        self._mixture.push(sample.stamp_ns, values)
        if arrived_ns is None:
            return self._take(sample)
        anew, readings = self._stamps.push(sample.stamp_ns, arrived_ns, sample)
        if anew:
            self._window.restart(len(readings) - 1)
            self._watch.restart()
            self._watched_ns = None
        lives = False
        for stamp_ns, reading in readings:
            if stamp_ns != reading.stamp_ns:
                reading = replace(reading, stamp_ns=stamp_ns)
            lives = self._take(reading)
        return lives

    def window(self, end_ns: int) -> np.ndarray | None:
        """Return the window that ends at `end_ns`, see ImuWindow; None while it means nothing."""
        return self._window.window(end_ns) if self.usable else None

    def _take(self, sample: ImuSample) -> bool:
        """Take a finite sample on its final time; return whether it is a sign of life."""
        values = (*sample.linear_acceleration, *sample.angular_velocity)
        self._look(sample.stamp_ns, values)
        accepted, moves = self._window.accepted, self._window.moves
        self._window.push(sample)
        if self._window.moves != moves:
            self._watch.restart()
            self._watched_ns = sample.stamp_ns
        if self._window.accepted == accepted:
            return False
        self._compare(sample)
        return self.usable and max(self._repeats) <= FROZEN_REPEATS

    def _look(self, stamp_ns: int, values: tuple[float, ...]) -> None:
        """Let the watch see a reading, also one that is beyond the window's range."""
        watched_ns = self._watched_ns
        if watched_ns is not None and not 0 < stamp_ns - watched_ns < MotionWatch.SPAN_NS:
            if stamp_ns == watched_ns:
                return
            self._watch.restart()
        self._watched_ns = stamp_ns
        self._watch.push(stamp_ns, values)

    def _compare(self, sample: ImuSample) -> None:
        """Compare a reading with the one before, to the last bit."""
        frozen = []
        for i, triple in enumerate((sample.linear_acceleration, sample.angular_velocity)):
            if triple == self._triples[i]:
                self._repeats[i] += 1
            else:
                self._triples[i] = triple
                self._repeats[i] = 0
                self._changed_ns[i] = sample.stamp_ns
            still_ns = sample.stamp_ns - self._changed_ns[i]
            frozen.append(self._repeats[i] > FROZEN_REPEATS and still_ns >= FROZEN_NS)
        self._frozen = FrozenPart.of(*frozen)
