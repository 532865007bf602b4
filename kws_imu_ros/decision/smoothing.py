"""Smoothing of posteriors over a few hops."""

from __future__ import annotations

import numpy as np

from kws_imu_ros.errors import KwsImuError


class PosteriorSmoother:
    """
    Average a head's posterior over the newest hops.

    A plain mean over a short window, as keyword spotters use it: a single hop, be it ever so sure,
    stays below ``1 / hops``, while a word that lasts passes a threshold of 0.6 on its second hop of
    three. Before the first hop the window holds `background`, so that nothing triggers at start-up.
    """

    def __init__(self, hops: int, background: np.ndarray) -> None:
        """
        Start with silence.

        hops: how many hops are averaged. background: float (labels,), the posterior of nothing.

        Raises:
            KwsImuError: hops is not positive.

        """
        if hops < 1:
            raise KwsImuError(f'Smoothing over {hops} hops makes no sense; use 1 or more.')
        self._background = np.asarray(background, np.float32)
        self._hops = hops
        self._weight = np.float32(1.0 / hops)
        self.reset()

    def reset(self) -> None:
        """Forget all hops."""
        self._history = np.repeat(self._background[None], self._hops, axis=0)

    def push(self, posterior: np.ndarray) -> np.ndarray:
        """Take the posterior of one hop, float (labels,); return the mean, float32 (labels,)."""
        self._history[:-1] = self._history[1:]
        self._history[-1] = posterior
        # ndarray.mean costs several times as much on arrays as small as these.
        return np.add.reduce(self._history) * self._weight
