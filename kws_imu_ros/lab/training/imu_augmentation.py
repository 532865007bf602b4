"""
Make batches of augmented IMU windows, labelled as a robot meets them: by what lies behind the end.

A window is a swipe once most of the motion has passed and its beginning is still inside. A window
that ends before, one that has lost the beginning (a hand coming back looks like the opposite
swipe), other gestures, everyday motion, rest and a missing sensor are 'none'.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kws_imu_ros.lab.data.activity_data import RATE_HZ, ActivityRecording
from kws_imu_ros.lab.data.gesture_data import STANDARD_GRAVITY, GestureRecording


@dataclass(frozen=True)
class ImuAugmentation:
    """
    Ranges of the augmentation, drawn uniformly per window.

    time_warp: factor of speed. rotation_degrees: largest rotation of the sensor on the wrist about
    any axis. scale: factor of all amplitudes. acceleration_bias in m/s^2 and angular_bias in rad/s:
    largest offsets. noise: standard deviation as share of the input's full scale.
    swipe_share: share of a swipe's motion that must be over before a window is called a swipe;
    early labels make a fast robot, but the first stroke of other figures looks like a swipe.
    """

    time_warp: tuple[float, float] = (0.8, 1.25)
    rotation_degrees: float = 20.0
    scale: tuple[float, float] = (0.85, 1.15)
    acceleration_bias: float = 0.6
    angular_bias: float = 0.05
    noise: float = 0.01
    swipe_share: float = 0.9


def rotation_matrix(axis: np.ndarray, angle: float) -> np.ndarray:
    """Return the (3, 3) rotation about `axis` (3,) by `angle` rad (Rodrigues)."""
    x, y, z = axis / (np.linalg.norm(axis) + 1e-12)
    k = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    return np.eye(3) + np.sin(angle) * k + (1.0 - np.cos(angle)) * (k @ k)


class ImuBatches:
    """Draw augmented batches of (IMU window in network units, label)."""

    def __init__(
        self,
        gestures: Sequence[GestureRecording],
        activities: Sequence[ActivityRecording],
        labels: Sequence[str],
        divisors: np.ndarray,
        length: int,
        augmentation: ImuAugmentation,
    ) -> None:
        self._labels = tuple(labels)
        self._none = self._labels.index('none')
        self._swipes = {
            k: [g for g in gestures if g.gesture == label]
            for k, label in enumerate(self._labels)
            if label != 'none'
        }
        self._others = [g for g in gestures if g.gesture not in self._labels]
        self._activities = list(activities)
        self._divisors = divisors.astype(np.float32)
        self._length = length
        self._augmentation = augmentation

    def batch(
        self, size: int, rng: np.random.Generator, labels: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """
        Return (windows float32 (size, length, 6) in network units, labels int64 (size,)).

        labels: int (size,) to choose the classes, None to draw them; half of a drawn batch is
        'none', for a robot sees little else.
        """
        if labels is None:
            labels = rng.integers(len(self._labels), size=size)
            labels[rng.random(size) < 0.4] = self._none
        windows = np.zeros((size, self._length, 6), np.float32)
        for i, label in enumerate(labels):
            windows[i] = (
                self._none_window(rng) if label == self._none else self._swipe_window(label, rng)
            )
        return np.clip(windows / self._divisors, -1.0, 1.0), labels.astype(np.int64)

    def _swipe_window(self, label: int, rng: np.random.Generator) -> np.ndarray:
        recordings = self._swipes[label]
        g = recordings[rng.integers(len(recordings))]
        span = g.offset - g.onset
        seconds = self._length / RATE_HZ
        last = max(g.duration, g.offset + 0.5)
        end = rng.uniform(g.onset + self._augmentation.swipe_share * span, last)
        speed = rng.uniform(*self._augmentation.time_warp)
        # Keep the beginning of the motion inside the window.
        end = min(end, g.onset + 0.1 * span + seconds * speed)
        return self._augment(self._cut(g, end, speed), self._augmentation.rotation_degrees, rng)

    def _none_window(self, rng: np.random.Generator) -> np.ndarray:
        degrees = self._augmentation.rotation_degrees
        if rng.random() < 0.15:
            g = self._any_swipe(rng)
            # Between the last 'none' and the first swipe a quarter of the motion is left open.
            most = max(0.3, self._augmentation.swipe_share - 0.25)
            end = rng.uniform(g.onset, g.onset + most * (g.offset - g.onset))
            return self._augment(self._cut(g, end, rng.uniform(0.8, 1.25)), degrees, rng)
        draw = rng.random()
        if draw < 0.42 and self._others:
            g = self._others[rng.integers(len(self._others))]
            end = rng.uniform(0.3, g.duration + 0.3)
            return self._augment(self._cut(g, end, rng.uniform(0.8, 1.25)), degrees, rng)
        if draw < 0.66:
            g = self._any_swipe(rng)
            span = g.offset - g.onset
            if rng.random() < 0.6:
                end = rng.uniform(0.1, max(0.1, g.onset + 0.3 * span))
            else:
                start = g.onset + 0.35 * span
                end = rng.uniform(start, g.duration + 0.5) + self._length / RATE_HZ
            return self._augment(self._cut(g, end, 1.0), degrees, rng)
        if draw < 0.92 and self._activities:
            a = self._activities[rng.integers(len(self._activities))]
            start = rng.integers(0, max(1, len(a.motion) - self._length))
            window = a.motion[start : start + self._length]
            window = np.pad(window, ((self._length - len(window), 0), (0, 0)), 'edge').copy()
            # A wrist swings more than a waist.
            window[:, 3:] *= rng.uniform(1.0, 3.0)
            return self._augment(window, 180.0 if rng.random() < 0.8 else degrees, rng)
        if draw < 0.96:
            window = np.zeros((self._length, 6), np.float32)
            window[:, 2] = STANDARD_GRAVITY
            return self._augment(window, 180.0, rng)
        return np.zeros((self._length, 6), np.float32)

    def _any_swipe(self, rng: np.random.Generator) -> GestureRecording:
        swipes = self._swipes[rng.choice(list(self._swipes))]
        return swipes[rng.integers(len(swipes))]

    def _cut(self, g: GestureRecording, end: float, speed: float) -> np.ndarray:
        """Resample the window that ends at `end` s; outside the recording the edge is held."""
        grid = end - np.arange(self._length - 1, -1, -1) * (speed / RATE_HZ)
        window = np.stack([np.interp(grid, g.time, column) for column in g.motion.T], axis=1)
        after = grid > g.duration
        window[after, 3:] *= np.exp(-(grid[after] - g.duration) / 0.1)[:, None]
        window[:, 3:] *= speed
        return window.astype(np.float32)

    def _augment(self, window: np.ndarray, degrees: float, rng: np.random.Generator) -> np.ndarray:
        a = self._augmentation
        turn = rotation_matrix(rng.normal(size=3), np.radians(rng.uniform(-degrees, degrees)))
        window = np.concatenate((window[:, :3] @ turn.T, window[:, 3:] @ turn.T), axis=1)
        window *= rng.uniform(*a.scale)
        window[:, :3] += rng.uniform(-a.acceleration_bias, a.acceleration_bias, size=3)
        window[:, 3:] += rng.uniform(-a.angular_bias, a.angular_bias, size=3)
        window += rng.normal(size=window.shape) * (a.noise * self._divisors)
        return window
