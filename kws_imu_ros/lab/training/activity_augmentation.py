"""
Augmented windows of everyday motion, to train a network on human activity.

Posture shows in the direction of gravity alone, so the sensor is turned less than it is for
gestures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kws_imu_ros.lab.data.activity_data import ACTIVITIES, ActivityRecording
from kws_imu_ros.lab.evaluation.human_activity import WINDOW, labelled_segments, to_network_units
from kws_imu_ros.model.imu_scaling import IMU_PARAMETERS, imu_divisors


@dataclass(frozen=True)
class ActivityAugmentation:
    """
    Ranges of the augmentation, drawn uniformly per window.

    rotation_degrees: largest rotation of the phone about any axis. time_warp: factor of speed.
    scale: factor of all amplitudes. acceleration_bias in m/s^2 and angular_bias in rad/s: largest
    offsets. noise: standard deviation as share of the input's full scale.
    """

    rotation_degrees: float = 10.0
    time_warp: tuple[float, float] = (0.9, 1.1)
    scale: tuple[float, float] = (0.95, 1.05)
    acceleration_bias: float = 0.2
    angular_bias: float = 0.02
    noise: float = 0.0005


def _rotations(axes: np.ndarray, angles: np.ndarray) -> np.ndarray:
    """Return the (n, 3, 3) rotations about axes (n, 3) by angles (n,) in rad (Rodrigues)."""
    axes = axes / (np.linalg.norm(axes, axis=1, keepdims=True) + 1e-12)
    cross = np.cross(axes[:, None], np.eye(3)[None]).swapaxes(1, 2)
    sine, cosine = (f(angles)[:, None, None] for f in (np.sin, np.cos))
    return np.eye(3) + sine * cross + (1.0 - cosine) * (cross @ cross)


class ActivityBatches:
    """Draw augmented batches of (window in network units, label), each activity as often."""

    def __init__(
        self,
        recordings: Sequence[ActivityRecording],
        augmentation: ActivityAugmentation,
    ) -> None:
        segments = labelled_segments(recordings)
        self._motion = np.concatenate([motion for motion, _, _ in segments])
        self._lengths = np.array([len(motion) for motion, _, _ in segments])
        self._starts = np.concatenate(([0], np.cumsum(self._lengths)[:-1]))
        labels = np.array([label for _, label, _ in segments])
        self._of_label = [np.flatnonzero(labels == k) for k in range(len(ACTIVITIES))]
        self._augmentation = augmentation

    def batch(self, size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Return (windows float32 (size, 128, 12), labels int64 (size,))."""
        a = self._augmentation
        labels = rng.integers(len(ACTIVITIES), size=size)
        segments = np.empty(size, np.int64)
        for k, own in enumerate(self._of_label):
            chosen = labels == k
            # Long stretches as often as they hold windows, so that each moment counts the same.
            share = self._lengths[own] / self._lengths[own].sum()
            segments[chosen] = rng.choice(own, chosen.sum(), p=share)
        last = self._lengths[segments] - 1
        speed = np.minimum(rng.uniform(*a.time_warp, size), last / (WINDOW - 1))
        begin = rng.random(size) * (last - speed * (WINDOW - 1))
        place = np.minimum(begin[:, None] + speed[:, None] * np.arange(WINDOW), last[:, None])
        whole = np.minimum(place.astype(np.int64), last[:, None] - 1)
        part = (place - whole)[..., None].astype(np.float32)
        index = whole + self._starts[segments][:, None]
        windows = (1.0 - part) * self._motion[index] + part * self._motion[index + 1]
        windows[:, :, 3:] *= speed[:, None, None]
        angles = np.radians(rng.uniform(-a.rotation_degrees, a.rotation_degrees, size))
        turns = _rotations(rng.normal(size=(size, 3)), angles)
        windows = np.concatenate(
            [windows[:, :, k : k + 3] @ turns.swapaxes(1, 2) for k in (0, 3)], axis=2
        )
        windows *= rng.uniform(*a.scale, (size, 1, 1))
        offsets = rng.uniform(-1.0, 1.0, (size, 1, 6))
        windows += offsets * ([a.acceleration_bias] * 3 + [a.angular_bias] * 3)
        noise = rng.normal(0.0, a.noise, windows.shape) * imu_divisors(IMU_PARAMETERS)
        return to_network_units(windows + noise), labels
