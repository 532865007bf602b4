"""
Load running speech: any tree of recordings of people talking, for teaching what is no command.

Single words, all that Speech Commands holds, do not teach a network that a "no" inside a sentence
was not meant for it. Nothing here needs a transcript: whatever is said in the middle of running
speech is not a command, for commands are spoken alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.lab.data.speech_data import AUDIO_SUFFIXES, SAMPLE_RATE, read_audio
from kws_imu_ros.lab.data.unreadable import leave_out

Progress = Callable[[int, int], None]
SHORTEST_S = 1.0


@dataclass(frozen=True)
class RunningSpeech:
    """
    Recordings end to end.

    samples: int16 (n,) at 16 kHz. digest: sha256 hex over names and samples. folders: names of
    the folders that held it, the top one's own where recordings lie in it. files: how many.
    """

    samples: np.ndarray
    digest: str
    folders: tuple[str, ...]
    files: int

    @property
    def hours(self) -> float:
        """Return the length of all recordings."""
        return len(self.samples) / SAMPLE_RATE / 3600.0


def list_running_speech(directory: Path) -> list[Path]:
    """
    List the recordings of a tree, sorted.

    Raises:
        KwsImuError: the folder is missing or holds none.

    """
    if not directory.is_dir():
        raise KwsImuError(
            f'Folder of running speech {directory} does not exist; give another, or none at all.'
        )
    paths = sorted(p for p in directory.rglob('*') if p.suffix.lower() in AUDIO_SUFFIXES)
    if not paths:
        raise KwsImuError(
            f'{directory} holds no wav, flac or ogg recordings; give a folder of people talking.'
        )
    return paths


def load_running_speech(
    directory: Path, cache: Path | None = None, progress: Progress | None = None
) -> RunningSpeech:
    """
    Load all recordings of at least a second, in a fixed order.

    cache: folder in which decoded audio is kept for the next run, None for none.

    Raises:
        KwsImuError: the folder is missing, more than one file in twenty cannot be read, or none is
            long enough.

    """
    paths = list_running_speech(directory)
    key = hashlib.sha256()
    for path in paths:
        key.update(f'{path.relative_to(directory)} {path.stat().st_size}\n'.encode())
    stored = cache / f'running_speech_{key.hexdigest()[:24]}.npy' if cache else None
    if stored and stored.is_file():
        samples = np.load(stored)
    else:
        samples = _read_all(paths, progress)
        if stored:
            stored.parent.mkdir(parents=True, exist_ok=True)
            np.save(stored, samples)
    digest = hashlib.sha256(key.digest() + samples.tobytes()).hexdigest()
    parts = [path.relative_to(directory).parts for path in paths]
    folders = sorted({p[0] if len(p) > 1 else directory.resolve().name for p in parts})
    return RunningSpeech(samples, digest, tuple(folders), len(paths))


def _read_all(paths: Sequence[Path], progress: Progress | None) -> np.ndarray:
    parts = []
    unreadable: list[str] = []
    for i, path in enumerate(paths):
        try:
            audio = read_audio(path)
        except KwsImuError as error:
            unreadable.append(str(error))
            continue
        if len(audio) >= SHORTEST_S * SAMPLE_RATE:
            parts.append(audio)
        if progress:
            progress(i + 1, len(paths))
    subject = f'{len(unreadable)} of {len(paths)} recordings of running speech'
    leave_out(unreadable, len(paths), subject)
    if not parts:
        raise KwsImuError(
            f'None of the {len(paths)} recordings of running speech lasts {SHORTEST_S:g} s; give '
            f'longer ones.'
        )
    return np.concatenate(parts)
