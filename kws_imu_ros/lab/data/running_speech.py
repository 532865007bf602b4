"""
Load running speech: any tree of recordings of people talking, for teaching what is no command.

Single words, all that Speech Commands holds, do not teach a network that a "no" inside a sentence
was not meant for it. Nothing here needs a transcript: whatever is said in the middle of running
speech is not a command, for commands are spoken alone.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kws_imu_ros.audio.block import SAMPLE_RATE
from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.lab.data.decoded_audio import (
    Notes,
    Progress,
    content_key,
    load_decoded,
    read_all,
    store_decoded,
)
from kws_imu_ros.lab.data.folders import sound_files

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
    paths = sound_files(directory, below=True)
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
    key = content_key(directory, paths)
    stored = load_decoded(cache, f'running_speech_{key}')
    samples, notes = stored or _join(paths, progress)
    if not stored:
        store_decoded(cache, f'running_speech_{key}', samples, notes)
    notes.tell(len(paths), 'recordings of running speech')
    if not len(samples):
        raise KwsImuError(
            f'None of the {len(paths)} recordings of running speech lasts {SHORTEST_S:g} s; give '
            f'longer ones.'
        )
    digest = hashlib.sha256(_listing(directory, paths) + samples.tobytes()).hexdigest()
    parts = [path.relative_to(directory).parts for path in paths]
    folders = sorted({p[0] if len(p) > 1 else directory.resolve().name for p in parts})
    return RunningSpeech(samples, digest, tuple(folders), len(paths))


def _listing(directory: Path, paths: Sequence[Path]) -> bytes:
    """Return a digest over names and sizes, which the digest of the whole has always held."""
    key = hashlib.sha256()
    for path in paths:
        key.update(os.fsencode(f'{path.relative_to(directory)} {path.stat().st_size}\n'))
    return key.digest()


def _join(paths: Sequence[Path], progress: Progress | None) -> tuple[np.ndarray, Notes]:
    """Return all recordings that are long enough, end to end, int16 (n,), and what was met."""
    parts = [np.zeros(0, np.int16)]

    def use(_number: int, audio: np.ndarray) -> None:
        if len(audio) >= SHORTEST_S * SAMPLE_RATE:
            parts.append(audio)

    notes = read_all(paths, use, progress)
    return np.concatenate(parts), notes
