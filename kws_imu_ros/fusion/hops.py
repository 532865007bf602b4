"""One hop: what the network says of both senses, smoothed, and what the policy decides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kws_imu_ros.decision.decision import Decision
from kws_imu_ros.decision.policy import Policy
from kws_imu_ros.decision.smoothing import make_smoothers
from kws_imu_ros.fusion.config import PipelineConfig
from kws_imu_ros.model.interpreter import Interpreter
from kws_imu_ros.model.outputs import Posteriors


@dataclass(frozen=True)
class Step:
    """
    One hop.

    stamp_ns: time just after the newest audio (or of the newest IMU sample, without audio).
    voice, gesture, intent: smoothed posteriors, float32, in the order of the manifest's labels.
    level_dbfs: loudness of this hop's audio, -96 (silence) to 0.
    decision: what the policy decided on this hop, if anything.
    audio_present, imu_present: whether that sense took part.
    """

    stamp_ns: int
    voice: np.ndarray
    gesture: np.ndarray
    intent: np.ndarray
    level_dbfs: float
    decision: Decision | None
    audio_present: bool
    imu_present: bool


class Decider:
    """Infer, smooth and decide, hop by hop."""

    def __init__(
        self, interpreter: Interpreter, policy: Policy, labels: Mapping[str, Sequence[str]]
    ) -> None:
        """Start with a network, a policy and the label names of the heads."""
        self._interpreter = interpreter
        self._labels = labels
        self.hops = 0
        self.set_policy(policy)

    def set_policy(self, policy: Policy) -> None:
        """Take another policy and forget the hops that were smoothed by the one before."""
        self.policy = policy
        self._voice, self._gesture, self._intent = make_smoothers(policy.table, self._labels)

    def reset(self) -> None:
        """Forget everything but the policy."""
        self.hops = 0
        self.policy.reset()
        self._gesture.reset()
        self.forget_sound()

    def forget_sound(self) -> None:
        """Forget what was heard: what comes does not join it."""
        self._voice.reset()
        self._intent.reset()

    def step(
        self,
        stamp_ns: int,
        log_mel: np.ndarray | None,
        imu: np.ndarray | None,
        level_dbfs: float,
        audio_present: bool,
    ) -> Step:
        """
        Take what was heard and seen up to `stamp_ns`; return the hop.

        log_mel, imu: the network's windows, None without that sense. audio_present: False where
        the sound means nothing though there is some.
        """
        raw = self._interpreter.infer(log_mel, imu)
        if not audio_present or imu is None:
            # What a head says about a sense that is not there must not count.
            raw = Posteriors(
                raw.voice if audio_present else self._voice.background,
                raw.gesture if imu is not None else self._gesture.background,
                raw.intent,
            )
        smoothed = Posteriors(
            self._voice.push(raw.voice),
            self._gesture.push(raw.gesture),
            self._intent.push(raw.intent),
        )
        self.hops += 1
        return Step(
            stamp_ns,
            smoothed.voice,
            smoothed.gesture,
            smoothed.intent,
            level_dbfs,
            self.policy.step(stamp_ns, raw, smoothed),
            audio_present,
            imu is not None,
        )


class ImuHops:
    """The times of the hops that the IMU drives while there is no audio."""

    def __init__(self, config: PipelineConfig) -> None:
        """Start with audio."""
        self._config = config
        self._newest_ns: int | None = None

    def stop(self) -> None:
        """Take note that audio drives the hops."""
        self._newest_ns = None

    @property
    def run(self) -> bool:
        """Return whether the IMU drives the hops already."""
        return self._newest_ns is not None

    def up_to(self, newest_ns: int) -> list[int]:
        """Return the times of the hops up to the newest sample."""
        config = self._config
        last_ns = self._newest_ns
        if last_ns is None or newest_ns - last_ns > config.imu_timeout_ns:
            last_ns = newest_ns - config.hop_ns
        hops = list(range(last_ns + config.hop_ns, newest_ns + 1, config.hop_ns))
        self._newest_ns = hops[-1] if hops else last_ns
        return hops
