"""Smoothing of posteriors over a few hops."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from kws_imu_ros.decision.table import PolicyTable
from kws_imu_ros.errors import KwsImuError


class PosteriorSmoother:
    """
    Average a head's posterior over the newest hops.

    A plain mean over a short window, as keyword spotters use it: a single hop, be it ever so sure,
    stays below ``1 / hops``, while a word that lasts passes a threshold of 0.6 on its second hop of
    three. Before the first hop the window holds `background`, so that nothing triggers at start-up.

    Talk sounds like a command for a moment, a command for a third of a second: a longer mean tells
    them apart, and comes later. So that clear words need not wait for it, the mean over a few
    newest hops, less a margin, counts where it is higher.

    background: float32 (labels,), the posterior of nothing.
    """

    def __init__(
        self,
        hops: int,
        background: np.ndarray,
        quick_hops: int | None = None,
        quick_margin: float = 0.0,
    ) -> None:
        """
        Start with silence.

        hops: how many hops are averaged. background: float (labels,), the posterior of nothing.
        quick_hops: how many of them are enough for what is clear, None for all; quick_margin: what
        is taken off their mean.

        Raises:
            KwsImuError: hops is not positive, or quick_hops not between 1 and hops.

        """
        if hops < 1:
            raise KwsImuError(f'Smoothing over {hops} hops makes no sense; use 1 or more.')
        quick_hops = hops if quick_hops is None else quick_hops
        if not 1 <= quick_hops <= hops:
            raise KwsImuError(
                f'Quick smoothing over {quick_hops} of {hops} hops makes no sense; use 1 to {hops}.'
            )
        self.background = np.asarray(background, np.float32)
        self._hops, self._quick_hops = hops, quick_hops
        self._weight, self._quick_weight = np.float32(1.0 / hops), np.float32(1.0 / quick_hops)
        self._quick_margin = np.float32(quick_margin)
        self.reset()

    def reset(self) -> None:
        """Forget all hops."""
        self._history = np.repeat(self.background[None], self._hops, axis=0)

    def push(self, posterior: np.ndarray) -> np.ndarray:
        """Take the posterior of one hop, float (labels,); return the score, float32 (labels,)."""
        self._history[:-1] = self._history[1:]
        self._history[-1] = posterior
        # ndarray.mean costs several times as much on arrays as small as these.
        mean: np.ndarray = np.add.reduce(self._history) * self._weight
        if self._quick_hops == self._hops:
            return mean
        quick = np.add.reduce(self._history[-self._quick_hops :]) * self._quick_weight
        surest: np.ndarray = np.maximum(mean, quick - self._quick_margin)
        return surest


def make_smoothers(
    table: PolicyTable, labels: Mapping[str, Sequence[str]]
) -> tuple[PosteriorSmoother, PosteriorSmoother, PosteriorSmoother]:
    """
    Return the smoothers of the heads 'voice', 'gesture' and 'intent'.

    labels: label names of the heads, in the order of the posteriors.
    """

    def nothing(head: str, background: str) -> np.ndarray:
        return np.array([label == background for label in labels[head]], np.float32)

    return (
        PosteriorSmoother(
            table.voice_hops,
            nothing('voice', table.voice_background),
            table.voice_quick_hops,
            table.voice_quick_margin,
        ),
        PosteriorSmoother(table.gesture_hops, nothing('gesture', table.gesture_background)),
        PosteriorSmoother(table.intent_hops, nothing('intent', table.intent_background)),
    )


def smooth(smoother: PosteriorSmoother, posteriors: np.ndarray) -> np.ndarray:
    """Return the scores of a whole stream of posteriors, float32 (hops, labels), from the start."""
    smoother.reset()
    return np.array([smoother.push(posterior) for posterior in posteriors], np.float32)
