"""How loud is what is heard, and whether words in it are too quiet to be understood."""

from __future__ import annotations

import math

import numpy as np

FRAME = 320
# The shipped network understands words down to here as well as loud ones; 5 dB below, one in
# twenty is lost, at -65 dBFS one in six (clips of other speakers, scaled and rounded to 16 bits).
QUIETEST_WORD_DBFS = -45.0
# What rises this much above the room was said, or is a noise like it; a room by itself tells
# nothing of the microphone.
RISE_DB = 12.0
# The loudest part of a word lasts about as many frames: 0.2 s.
_LOUD_FRAMES = 10
_SPAN_FRAMES = 500


class LevelWatch:
    """The levels of the newest ten seconds of 16 kHz int16; one thread may push, another ask."""

    SPAN_S = _SPAN_FRAMES * FRAME / 16000

    def __init__(self) -> None:
        """Start with nothing heard."""
        self._rest = np.zeros(0, np.int16)
        self._levels = np.zeros(_SPAN_FRAMES, np.float32)
        self._count = 0

    def push(self, samples: np.ndarray) -> None:
        """Take the next samples, int16 (n,)."""
        heard = np.concatenate((self._rest, samples))
        count = len(heard) // FRAME
        frames = heard[: count * FRAME].astype(np.float32).reshape(count, FRAME)
        places = np.arange(self._count, self._count + count) % _SPAN_FRAMES
        self._levels[places] = np.sqrt((frames**2).mean(axis=1))
        self._count += count
        self._rest = heard[count * FRAME :]

    @property
    def loudest_dbfs(self) -> float:
        """Return the level of the loudest 0.2 s, dB relative to full scale; -inf for silence."""
        level = _loudest(self._heard())
        return 20.0 * math.log10(level / 32768.0) if level > 0.0 else -math.inf

    @property
    def too_quiet(self) -> bool:
        """Return whether something was said, as it seems, but is too quiet to be understood."""
        levels = self._heard()
        if len(levels) < 2 * _LOUD_FRAMES:
            return False
        # Half a count is the least that can be told of a room.
        floor = max(0.5, float(np.percentile(levels, 20)))
        rises = _loudest(levels) > floor * 10.0 ** (RISE_DB / 20.0)
        return rises and self.loudest_dbfs < QUIETEST_WORD_DBFS

    def _heard(self) -> np.ndarray:
        levels: np.ndarray = self._levels[: self._count].copy()
        return levels


def _loudest(levels: np.ndarray) -> float:
    return float(np.sort(levels)[-_LOUD_FRAMES:].mean()) if len(levels) else 0.0
