"""A metronome that is heard, where there is a loudspeaker."""

from __future__ import annotations

from typing import Any

import numpy as np

SAMPLE_RATE = 48_000
# The first beat of a bar is higher.
DOWNBEAT_HZ, BEAT_HZ = 1600.0, 1000.0
CLICK_S = 0.03
LOUDNESS = 0.4


def click_sound(frequency: float, sample_rate: int = SAMPLE_RATE) -> np.ndarray:
    """Return a short tone that dies away, float32 (n,)."""
    times = np.arange(round(CLICK_S * sample_rate)) / sample_rate
    tone = LOUDNESS * np.sin(2.0 * np.pi * frequency * times) * np.exp(-times / (CLICK_S / 4.0))
    return tone.astype(np.float32)


class Metronome:
    """
    Clicks on the default loudspeaker; silent where there is none.

    problem: why it is silent, '' where it is heard.
    """

    def __init__(self) -> None:
        """Make no sound yet."""
        self.problem = ''
        self._stream: Any = None
        self._clicks = (click_sound(BEAT_HZ), click_sound(DOWNBEAT_HZ))
        self._rest = np.zeros(0, np.float32)

    def open(self) -> None:
        """Take the loudspeaker; `problem` says why where that does not work."""
        if self._stream is not None:
            return
        try:
            import sounddevice
        except (ImportError, OSError):
            self.problem = 'PortAudio or its Python package sounddevice is not installed'
            return
        try:
            self._stream = sounddevice.OutputStream(
                samplerate=SAMPLE_RATE, channels=1, dtype='float32', callback=self._fill
            )
            self._stream.start()
        except (sounddevice.PortAudioError, ValueError, OSError):
            self._stream = None
            self.problem = 'no loudspeaker was found'
        else:
            self.problem = ''

    def click(self, downbeat: bool) -> None:
        """Be heard now."""
        self._rest = self._clicks[downbeat]

    def close(self) -> None:
        """Give the loudspeaker back."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def _fill(self, out: np.ndarray, frames: int, _time: Any, _status: Any) -> None:
        """Hand over the next samples; runs on PortAudio's thread."""
        now, self._rest = self._rest[:frames], self._rest[frames:]
        out[: len(now), 0] = now
        out[len(now) :, 0] = 0.0
