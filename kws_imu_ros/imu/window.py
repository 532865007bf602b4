"""The newest seconds of an IMU as the evenly spaced window that the network reads."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np

from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.imu.plausibility import MotionFinding
from kws_imu_ros.imu.sample import ImuSample
from kws_imu_ros.imu.timeline import StampVerdict, Timeline

# Beyond every consumer sensor's range (16 g, 2000 deg/s), with room for an uncalibrated one.
MAX_ACCELERATION = 320.0
MAX_ANGULAR_VELOCITY = 50.0
# A typical size between these is gravity in g.
G_UNITS_RANGE = (0.5, 2.0)


class FrozenPart(Enum):
    """Which part of an IMU repeats its last reading."""

    NOTHING = ''
    ACCELEROMETER = 'accelerometer'
    GYROSCOPE = 'gyroscope'
    BOTH = 'both'

    @classmethod
    def of(cls, accelerometer: bool, gyroscope: bool) -> FrozenPart:
        """Return the part by its halves."""
        if accelerometer:
            return cls.BOTH if gyroscope else cls.ACCELEROMETER
        return cls.GYROSCOPE if gyroscope else cls.NOTHING


@dataclass(frozen=True)
class ImuHealth:
    """
    What was seen of an IMU since the start; the fields up to clock_jumps are counts.

    received, accepted: samples pushed, and samples that entered the window.
    not_finite: samples with a NaN or an infinity.
    absurd: samples beyond any real sensor's range, or all zero (a sensor that lost its bus).
    duplicates, out_of_order: samples with a stamp that was there, or older than the newest.
    corrupt_stamps: single samples whose stamp belongs to no stream.
    gaps: pauses longer than `max_gap_ns`; clock_jumps: jumps of the clock, either way.
    rate_hz: rate of the samples in the window, 0 when unknown.
    longest_gap_ns: longest pause between accepted samples that was bridged or restarted from.
    newest_ns: stamp of the newest accepted sample, None before the first.
    findings: why the motion cannot be right.
    frozen: what repeats itself to the last bit.
    mixed: more than one sensor sends.
    by_arrival: the stamps stand still, so the time of arrival is used.
    usable: False where one of these makes the motion mean nothing.
    """

    received: int = 0
    accepted: int = 0
    not_finite: int = 0
    absurd: int = 0
    duplicates: int = 0
    out_of_order: int = 0
    corrupt_stamps: int = 0
    gaps: int = 0
    clock_jumps: int = 0
    rate_hz: float = 0.0
    longest_gap_ns: int = 0
    newest_ns: int | None = None
    findings: tuple[MotionFinding, ...] = ()
    frozen: FrozenPart = FrozenPart.NOTHING
    mixed: bool = False
    by_arrival: bool = False
    usable: bool = True

    def since(self, earlier: ImuHealth) -> ImuHealth:
        """Return what has happened since `earlier`: counts are differences, the rest is now's."""
        return replace(
            self,
            **{name: getattr(self, name) - getattr(earlier, name) for name in _COUNTS},
        )

    def sentences(self) -> tuple[str, ...]:
        """Return one plain sentence a problem, most serious first; empty when all is well."""
        found = []
        if self.received == 0:
            found.append('No IMU sample has arrived: check that the IMU node or driver runs.')
        if self.mixed:
            found.append(
                'More than one sensor sends on imu/data_raw, so gestures are off: stop the other '
                'one, or give each robot a ROS_DOMAIN_ID or a namespace of its own.'
            )
        found += self._motion_sentences()
        if self.by_arrival:
            found.append(
                'The IMU driver does not stamp its messages, or only coarsely: their stamps stand '
                'still while they come, so the time of arrival is used; let the driver fill in '
                'header.stamp.'
            )
        if self.not_finite:
            found.append(
                f'{self.not_finite} IMU samples held NaN or infinity and were dropped: '
                'check the sensor and its driver.'
            )
        if self.absurd:
            found.append(
                f'{self.absurd} IMU samples were beyond any real sensor (or all zero) and were '
                'dropped: check the wiring, and that the driver sends m/s^2 and rad/s.'
            )
        if self.mixed or self.by_arrival:
            return tuple(found)  # What follows would blame clocks, cable and radio.
        if self.clock_jumps:
            found.append(
                f'The IMU clock jumped {self.clock_jumps} times and the window was started anew: '
                'check time synchronization.'
            )
        if self.gaps:
            found.append(
                f'The IMU paused {self.gaps} times, the longest for '
                f'{self.longest_gap_ns / 1e9:.2f} s: check its cable, radio or load.'
            )
        if self.corrupt_stamps:
            found.append(f'{self.corrupt_stamps} IMU samples with a stray stamp were dropped.')
        if self.duplicates or self.out_of_order:
            found.append(
                f'{self.duplicates} duplicate and {self.out_of_order} late IMU samples were '
                'dropped: check that only one driver publishes.'
            )
        return tuple(found)

    def _motion_sentences(self) -> list[str]:
        """Return why the readings mean nothing, each cause once."""
        if self.mixed:
            return []  # Of two sensors nothing is true of one.
        if self.frozen is FrozenPart.BOTH:
            return [
                'The IMU is frozen: its driver repeats the same reading to the last bit, so '
                'gestures are off; check its wiring and start the driver again.'
            ]
        sentences = [finding.sentence for finding in self.findings]
        part = self.frozen.value
        if part and not any(part in sentence for sentence in sentences):
            sentences.append(
                f'The {part} of the IMU is frozen: it repeats the same values to the last bit, so '
                'gestures are off; check that the driver reads it, and rounds less.'
            )
        return sentences


_COUNTS = (
    'received',
    'accepted',
    'not_finite',
    'absurd',
    'duplicates',
    'out_of_order',
    'corrupt_stamps',
    'gaps',
    'clock_jumps',
)


class ImuWindow:
    """
    Collect IMU samples of any rate and give the newest `length / rate_hz` seconds at `rate_hz`.

    The window is resampled on time stamps by linear interpolation and is causal: `window(end_ns)`
    depends only on samples stamped at or before `end_ns`, whatever came later or in which order
    the caller interleaves other senses. Where samples lack, the nearest one is held: before the
    first sample, and between the newest one and `end_ns`. Pauses up to `max_gap_ns` are bridged by
    interpolation; after a longer one, or a jump of the clock, the window starts anew, because a
    bridge would be a motion that nobody made.
    """

    def __init__(
        self,
        rate_hz: float = 50.0,
        length: int = 100,
        max_age_ns: int = 300_000_000,
        max_gap_ns: int = 300_000_000,
    ) -> None:
        """
        Make an empty window.

        rate_hz, length: rate and number of rows of the window.
        max_age_ns: the window is None when the newest sample is older than this.
        max_gap_ns: longest pause that is bridged.

        Raises:
            KwsImuError: a value is out of range.

        """
        if not (math.isfinite(rate_hz) and rate_hz > 0 and length > 0):
            raise KwsImuError(
                f'An IMU window of {length} rows at {rate_hz} Hz makes no sense: '
                'rate_hz and length must be positive.'
            )
        if max_age_ns <= 0 or max_gap_ns <= 0:
            raise KwsImuError('max_age_ns and max_gap_ns of the IMU window must be positive.')
        self.rate_hz = rate_hz
        self.length = length
        self._max_age_ns = max_age_ns
        self._max_gap_ns = max_gap_ns
        period_ns = 1e9 / rate_hz
        self._grid_ns = -np.rint(np.arange(length - 1, -1, -1) * period_ns).astype(np.int64)
        # Samples may run ahead of the `end_ns` that is asked for (another sense's clock), so more
        # than the window is kept.
        self._keep_ns = int(-self._grid_ns[0]) + max_gap_ns + 2_000_000_000
        self._stamps = np.empty(1024, np.int64)
        self._values = np.empty((1024, 6), np.float64)
        self.reset()

    def reset(self) -> None:
        """Forget all samples and counts."""
        self._first = self._last = 0
        self._timeline: Timeline[ImuSample] = Timeline(self._max_gap_ns)
        self._received = self._accepted = 0
        self._not_finite = self._absurd = 0
        self._duplicates = self._out_of_order = 0
        self._gaps = self._clock_jumps = 0
        self._longest_gap_ns = 0

    def restart(self, given_again: int = 0) -> None:
        """Start anew, on another clock; given_again: samples that come a second time."""
        self._first = self._last = 0
        self._received -= given_again
        corrupt_stamps = self._timeline.corrupt_stamps
        self._timeline = Timeline(self._max_gap_ns)
        self._timeline.corrupt_stamps = corrupt_stamps

    @property
    def accepted(self) -> int:
        """Return how many samples entered the window."""
        return self._accepted

    @property
    def moves(self) -> int:
        """Return how often the window started anew, after a pause or a jump of the clock."""
        return self._gaps + self._clock_jumps

    @property
    def health(self) -> ImuHealth:
        """Return what was seen so far."""
        rate_hz = 0.0
        count = self._last - self._first
        if count > 1:
            span_ns = int(self._stamps[self._last - 1] - self._stamps[self._first])
            rate_hz = (count - 1) * 1e9 / span_ns
        return ImuHealth(
            received=self._received,
            accepted=self._accepted,
            not_finite=self._not_finite,
            absurd=self._absurd,
            duplicates=self._duplicates,
            out_of_order=self._out_of_order,
            corrupt_stamps=self._timeline.corrupt_stamps,
            gaps=self._gaps,
            clock_jumps=self._clock_jumps,
            rate_hz=rate_hz,
            longest_gap_ns=self._longest_gap_ns,
            newest_ns=self.newest_ns,
        )

    @property
    def newest_ns(self) -> int | None:
        """Return the stamp of the newest accepted sample, None before the first."""
        return int(self._stamps[self._last - 1]) if self._last > self._first else None

    def push(self, sample: ImuSample) -> None:
        """Take one sample; whatever is wrong with it is counted in `health`, never raised."""
        self._received += 1
        values = (*sample.linear_acceleration, *sample.angular_velocity)
        if not all(map(math.isfinite, values)):
            self._not_finite += 1
            return
        if (
            max(map(abs, values[:3])) > MAX_ACCELERATION
            or max(map(abs, values[3:])) > MAX_ANGULAR_VELOCITY
            or not any(values)
        ):
            self._absurd += 1
            return
        previous_ns = self._timeline.newest_ns
        verdict, readings = self._timeline.push(sample.stamp_ns, sample)
        if verdict is StampVerdict.DUPLICATE:
            self._duplicates += 1
        elif verdict is StampVerdict.OUT_OF_ORDER:
            self._out_of_order += 1
        elif verdict in (StampVerdict.GAP, StampVerdict.CLOCK_JUMP):
            self._first = self._last = 0
            if verdict is StampVerdict.GAP and previous_ns is not None:
                self._gaps += 1
                self._longest_gap_ns = max(self._longest_gap_ns, readings[0][0] - previous_ns)
            else:
                self._clock_jumps += 1
        elif verdict is StampVerdict.CONTINUES and previous_ns is not None:
            self._longest_gap_ns = max(self._longest_gap_ns, sample.stamp_ns - previous_ns)
        for stamp_ns, reading in readings:
            self._append(stamp_ns, (*reading.linear_acceleration, *reading.angular_velocity))

    def window(self, end_ns: int) -> np.ndarray | None:
        """
        Return the window that ends at `end_ns`.

        Returns float32 (length, 6), oldest first, columns ax ay az (m/s^2) and gx gy gz (rad/s);
        None when no sample lies within `max_age_ns` before `end_ns`: the robot has no IMU.
        """
        stamps = self._stamps[self._first : self._last]
        values = self._values[self._first : self._last]
        count = int(np.searchsorted(stamps, end_ns, side='right'))
        if count == 0 or end_ns - int(stamps[count - 1]) > self._max_age_ns:
            return None
        stamps, values = stamps[:count], values[:count]
        grid = self._grid_ns + end_ns
        right = np.searchsorted(stamps, grid, side='right')
        left = np.clip(right - 1, 0, count - 1)
        right = np.clip(right, 0, count - 1)
        width = np.maximum(stamps[right] - stamps[left], 1)
        weight = np.clip((grid - stamps[left]) / width, 0.0, 1.0)[:, None]
        window: np.ndarray = values[left] * (1.0 - weight) + values[right] * weight
        return window.astype(np.float32)

    def _append(self, stamp_ns: int, values: tuple[float, ...]) -> None:
        """Store one accepted sample, dropping those too old to matter."""
        if self._last == len(self._stamps):
            self._make_room(stamp_ns)
        self._stamps[self._last] = stamp_ns
        self._values[self._last] = values
        self._last += 1
        self._accepted += 1

    def _make_room(self, stamp_ns: int) -> None:
        """Move the samples that still matter to the front; grow for a very fast sensor."""
        self._first += int(
            np.searchsorted(self._stamps[self._first : self._last], stamp_ns - self._keep_ns)
        )
        kept = slice(self._first, self._last)
        count = self._last - self._first
        capacity = len(self._stamps)
        if count > capacity // 2:
            capacity *= 2
        stamps = np.empty(capacity, np.int64)
        values = np.empty((capacity, 6), np.float64)
        stamps[:count] = self._stamps[kept]
        values[:count] = self._values[kept]
        self._stamps, self._values = stamps, values
        self._first, self._last = 0, count
