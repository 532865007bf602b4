"""Read many recordings at once, through a cache that knows them by what they hold."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from kws_imu_ros.audio.sound_file import read_sound
from kws_imu_ros.errors import KwsImuError, printable
from kws_imu_ros.lab.data.findings import leave_out, tell

# Of the reader and of what is made of its samples: audio that was decoded otherwise is not used.
_FORMAT = 2

Progress = Callable[[int, int], None]


@dataclass
class Notes:
    """
    What was met on the way.

    problems: a sentence for each recording that is left out, by its number as text. oddities: how
    many recordings are odd, and a sentence about the first of them, by what is odd.
    longer: recordings that were longer than was needed.
    """

    problems: dict[str, str] = field(default_factory=dict)
    oddities: dict[str, tuple[int, str]] = field(default_factory=dict)
    longer: int = 0

    def good(self, count: int) -> np.ndarray:
        """Return which of so many recordings were read, bool (count,)."""
        return np.array([str(i) not in self.problems for i in range(count)], bool)

    def tell(self, count: int, subject: str) -> None:
        """
        Tell them, or refuse to go on without so many recordings.

        Raises:
            KwsImuError: more than one recording in twenty cannot be read.

        """
        leave_out(list(self.problems.values()), count, f'{len(self.problems)} of {count} {subject}')
        for number, first in self.oddities.values():
            tell(f'{first} (and so are {number - 1} more)' if number > 1 else first)


def read_all(
    paths: Sequence[Path], use: Callable[[int, np.ndarray], None], progress: Progress | None
) -> Notes:
    """Read recordings, hand number and samples, int16 (n,), of each to `use`; return the notes."""
    notes = Notes()
    for i, path in enumerate(paths):
        if progress and (i % 200 == 0 or i + 1 == len(paths)):
            progress(i + 1, len(paths))
        try:
            sound = read_sound(path)
        except KwsImuError as error:
            notes.problems[str(i)] = str(error)
            continue
        use(i, sound.samples)
        for remark in sound.remarks:
            number, first = notes.oddities.get(
                remark.oddity.name, (0, f'{printable(path)} is odd: {remark}')
            )
            notes.oddities[remark.oddity.name] = (number + 1, first)
    return notes


def content_key(directory: Path, paths: Sequence[Path]) -> str:
    """Return a digest over the names and the contents of recordings below a folder."""
    digest = hashlib.blake2b(f'{_FORMAT}'.encode(), digest_size=12)
    for path in paths:
        digest.update(b'\0' + os.fsencode(path.relative_to(directory)) + b'\0')
        try:
            digest.update(hashlib.blake2b(path.read_bytes()).digest())
        except OSError:
            digest.update(b'unreadable')
    return digest.hexdigest()


def load_decoded(cache: Path | None, name: str) -> tuple[np.ndarray, Notes] | None:
    """Return samples and notes that were stored under a name, None where there are none."""
    if cache is None:
        return None
    try:
        notes = json.loads((cache / f'{name}.json').read_text(encoding='utf-8'))
        samples = np.load(cache / f'{name}.npy', mmap_mode='r')
    except (OSError, ValueError):
        return None
    notes['oddities'] = {oddity: tuple(found) for oddity, found in notes['oddities'].items()}
    return samples, Notes(**notes)


def store_decoded(cache: Path | None, name: str, samples: np.ndarray, notes: Notes) -> None:
    """Store samples and notes for the next run; without a cache, do nothing."""
    if cache is None:
        return
    cache.mkdir(parents=True, exist_ok=True)
    partial = cache / f'{name}.partial.npy'
    np.save(partial, samples)
    (cache / f'{name}.json').write_text(json.dumps(asdict(notes)), encoding='utf-8')
    partial.rename(cache / f'{name}.npy')
