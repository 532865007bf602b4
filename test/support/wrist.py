"""A wrist that dances, computed: a forearm that swings about the elbow, as a sensor measures it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kws_imu_ros.coach.frame import WristMotion
from kws_imu_ros.imu.sample import ImuSample

RATE_HZ = 100.0
LEVER_M = 0.35
# Axes of the world (forward, left, up) about which the forearm swings.
AXES = {
    'left': (0.0, 0.0, 1.0),
    'right': (0.0, 0.0, -1.0),
    'up': (0.0, -1.0, 0.0),
    'down': (0.0, 1.0, 0.0),
    'roll': (1.0, 0.0, 0.3),
}
# The documented mounting: x right, y to the hand, z up; columns are the sensor's axes.
MOUNTED = np.array([[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])


def rotation(axis: Sequence[float], angle: float) -> np.ndarray:
    """Return a rotation matrix."""
    x, y, z = np.array(axis) / np.linalg.norm(axis)
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    return np.eye(3) + np.sin(angle) * cross + (1.0 - np.cos(angle)) * cross @ cross


def dance(
    moves: Sequence[tuple[str, float, float]],
    length_s: float,
    mounting: np.ndarray = MOUNTED,
    duration_s: float = 1.2,
    seed: int = 0,
) -> WristMotion:
    """
    Return what a sensor measures.

    moves: what (a key of AXES), when it begins in s, and by how many rad the arm swings out before
    it comes back. mounting: the sensor's axes in those of the arm, as columns.
    """
    times = np.arange(0.0, length_s, 1.0 / RATE_HZ)
    turned = np.tile(np.eye(3), (len(times), 1, 1))
    for name, start_s, size in moves:
        phase = (times - start_s) / duration_s
        inside = np.flatnonzero((phase > 0.0) & (phase < 1.0))
        # Out quickly and back slowly, so that a beginning is not its own mirror image.
        angles = size * np.sin(np.pi * phase[inside] ** 0.8) ** 2
        for row, angle in zip(inside, angles, strict=True):
            turned[row] = rotation(AXES[name], angle)
    place = turned @ np.array([LEVER_M, 0.0, 0.0])
    smooth = np.stack([np.convolve(c, np.ones(5) / 5.0, 'same') for c in place.T], axis=1)
    smooth[:4], smooth[-4:] = place[:4], place[-4:]
    speed = np.gradient(smooth, axis=0) * RATE_HZ
    acceleration = np.gradient(speed, axis=0) * RATE_HZ + np.array([0.0, 0.0, 9.80665])
    steps = np.einsum('tji,tjk->tik', turned[:-1], turned[1:])
    spin = np.stack([steps[:, 2, 1], steps[:, 0, 2], steps[:, 1, 0]], axis=1) * RATE_HZ
    spin = np.concatenate((spin, np.zeros((1, 3))))
    rng = np.random.default_rng(seed)
    values = np.concatenate(
        (
            np.einsum('tji,tj->ti', turned @ mounting, acceleration),
            spin @ mounting,
        ),
        axis=1,
    )
    values += rng.normal(0.0, (0.02,) * 3 + (0.005,) * 3, values.shape)
    return WristMotion(np.rint(times * 1e9).astype(np.int64), values)


def samples(motion: WristMotion) -> list[ImuSample]:
    """Return motion sample by sample."""
    return [
        ImuSample(int(stamp), tuple(row[:3]), tuple(row[3:]))
        for stamp, row in zip(motion.stamps_ns, motion.values.tolist(), strict=True)
    ]
