"""Which senses speak, by the time that passes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Modality(Enum):
    """A sense of the robot, its modality; the value is what people call it."""

    AUDIO = 'audio'
    IMU = 'IMU'


@dataclass(frozen=True)
class SignsOfLife:
    """How many messages of each sense were a sign that it lives; talk alone is none."""

    audio: int = 0
    imu: int = 0

    def of(self, sense: Modality) -> int:
        """Return those of one sense."""
        return self.audio if sense is Modality.AUDIO else self.imu


class Silence:
    """Notice by the clock that a sense has said nothing for too long."""

    def __init__(self, timeout_ns: int) -> None:
        """timeout_ns: how long a sense may be silent."""
        self._timeout_ns = timeout_ns
        self._spoke = False
        self._spoke_ns: int | None = None

    def speak(self) -> None:
        """Take note of a sign of life."""
        self._spoke = True

    def lasts(self, now_ns: int) -> bool:
        """Return whether the sense has been silent for longer than its time-out."""
        spoke, self._spoke = self._spoke, False
        if spoke or self._spoke_ns is None or now_ns < self._spoke_ns:
            self._spoke_ns = now_ns
            return False
        return now_ns - self._spoke_ns > self._timeout_ns
