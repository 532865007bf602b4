"""A PulseAudio of the test's own, whose null sink is a cable from `paplay` to the microphone."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import PATIENCE_S

SCRIPT = """\
load-module module-native-protocol-unix auth-anonymous=1 socket={socket}
load-module module-null-sink sink_name=cable rate=16000 channels=1
set-default-sink cable
set-default-source cable.monitor
"""
PROGRAMS = ('pulseaudio', 'paplay', 'pactl')


class SoundServer:
    """Starts and stops PulseAudio; `environment` leads a process's ALSA and PortAudio to it."""

    def __init__(self) -> None:
        missing = [name for name in PROGRAMS if shutil.which(name) is None]
        if missing:
            pytest.skip(f'{", ".join(missing)} not installed: apt install pulseaudio')
        # Not pytest's tmp_path: the name of a socket must be short.
        self.directory = Path(tempfile.mkdtemp(prefix='kws_imu_sound_'))
        self._socket = self.directory / 'native'
        self._script = self.directory / 'server.pa'
        self._script.write_text(SCRIPT.format(socket=self._socket))
        self._process: subprocess.Popen | None = None
        self.environment = {
            'PULSE_SERVER': f'unix:{self._socket}',
            'XDG_RUNTIME_DIR': str(self.directory),
            'HOME': str(self.directory),
        }

    def start(self) -> None:
        """Start the daemon and wait until it serves."""
        with (self.directory / 'log').open('ab') as log:
            self._process = subprocess.Popen(
                [
                    *('pulseaudio', '--daemonize=no', '-n', '--use-pid-file=no'),
                    *('--exit-idle-time=-1', '--disallow-exit', '-F', str(self._script)),
                ],
                env={**os.environ, **self.environment},
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + PATIENCE_S
        while self._pactl('info').returncode != 0:
            if time.monotonic() > deadline or self._process.poll() is not None:
                pytest.fail(f'PulseAudio does not start: {(self.directory / "log").read_text()}')
            time.sleep(0.1)

    def stop(self) -> None:
        """Kill the daemon: the microphone is unplugged."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(PATIENCE_S)
            self._process = None

    def close(self) -> None:
        """Stop the daemon and remove its files."""
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def play(self, samples: np.ndarray) -> subprocess.Popen:
        """Start playing int16 samples at 16 kHz into the cable."""
        path = self.directory / 'clip.wav'
        soundfile.write(path, samples, 16000, subtype='PCM_16')
        return subprocess.Popen(
            ['paplay', str(path)], env={**os.environ, **self.environment}, stderr=subprocess.DEVNULL
        )

    def _pactl(self, *arguments: str) -> subprocess.CompletedProcess:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return subprocess.run(
                ['pactl', *arguments],
                env={**os.environ, **self.environment},
                capture_output=True,
                timeout=10,
            )
        return subprocess.CompletedProcess(arguments, 1)


def likeness(heard: np.ndarray, clip: np.ndarray) -> float:
    """Return the highest normalized correlation (0 to 1) of a clip within a recording."""
    if len(heard) < len(clip):
        return 0.0
    heard, clip = heard.astype(np.float64), clip.astype(np.float64)
    size = 1 << int(np.ceil(np.log2(len(heard) + len(clip))))
    products = np.fft.irfft(np.fft.rfft(heard, size) * np.conj(np.fft.rfft(clip, size)), size)
    products = products[: len(heard) - len(clip) + 1]
    energy = np.concatenate(([0.0], np.cumsum(heard**2)))
    energy = energy[len(clip) :] - energy[: -len(clip)]
    place = int(np.argmax(products))
    return float(products[place] / np.sqrt(max(energy[place] * np.sum(clip**2), 1e-9)))
