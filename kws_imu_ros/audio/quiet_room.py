"""The sound of a room in which nobody speaks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

from kws_imu_ros.audio.block import SAMPLE_RATE

# About -61 dBFS; digital silence would be taken for a dead microphone.
LEVEL = 30.0


def write_quiet_room(path: Path, seconds: float) -> None:
    """Write a sound file of faint noise, the same each time. path: its suffix tells the format."""
    noise = np.random.default_rng(1).normal(0.0, LEVEL, round(seconds * SAMPLE_RATE))
    soundfile.write(path, np.round(noise).astype(np.int16), SAMPLE_RATE)
