"""
The fixed rules that split people, never files, into training, validation and testing.

Speech: the rule of Speech Commands itself (Warden, 2018): SHA-1 of the speaker's part of the file
name, 10 % validation, 10 % testing; where the folder holds the official `validation_list.txt` and
`testing_list.txt`, these decide.
Gestures (GRWD): subject number modulo 5; 4 is testing, 3 is validation, the rest is training.
Activities (HAPT): user number divisible by 3 is testing, the remainder 1 of a division by 6 is
validation, the rest is training.
"""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from kws_imu_ros.audio.sound_file import SOUND_SUFFIXES
from kws_imu_ros.lab.data.text_files import decode_text, read_text

SPLITS = ('training', 'validation', 'testing')
_BUCKETS = 2**27 - 1
_LISTS = {'validation_list.txt': 'validation', 'testing_list.txt': 'testing'}


def speech_split(file_name: str) -> str:
    """Return the split of a Speech Commands file by the official hash of its speaker."""
    return split_of_speaker(speaker_of(Path(file_name).name)[0])


def split_of_speaker(speaker: str) -> str:
    """Return the split of a speaker by the official hash."""
    value = int(hashlib.sha1(os.fsencode(speaker)).hexdigest(), 16) % (_BUCKETS + 1)
    percentage = value * (100.0 / _BUCKETS)
    if percentage < 10.0:
        return 'validation'
    if percentage < 20.0:
        return 'testing'
    return 'training'


def speaker_of(file_name: str) -> tuple[str, bool]:
    """
    Return the speaker of `<speaker>_nohash_<n>.wav`, and whether the name says so.

    Without the mark it is the name less a number at its end, as file managers and telephones count:
    `anna (3).wav` and `anna_3.wav` are Anna's.
    """
    speaker, mark, _ = file_name.partition('_nohash_')
    if mark:
        return speaker, True
    stem = _without_suffix(file_name)
    return re.sub(r'[ _.-]*(\(\d+\)|\d+)$', '', stem) or stem, False


def clip_key(word: str, file_name: str) -> str:
    """
    Return by what a clip and its line in an official list are the same.

    Case, suffix and the code points of an accent differ from system to system.
    """
    name = _without_suffix(_legible(file_name))
    return unicodedata.normalize('NFC', f'{_legible(word)}/{name}').casefold()


@dataclass(frozen=True)
class OfficialLists:
    """
    What `validation_list.txt` and `testing_list.txt` say.

    splits: by `clip_key`. lines: by `clip_key`, the line as it is written. both: lines that stand
    in both lists.
    """

    splits: Mapping[str, str] = field(default_factory=dict)
    lines: Mapping[str, str] = field(default_factory=dict)
    both: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Return whether there is a list."""
        return bool(self.splits)

    def split_of(self, word: str, file_name: str) -> str:
        """Return the split of a clip; what no list names is for training."""
        return self.splits.get(clip_key(word, file_name), 'training')


def read_official_lists(directory: Path) -> OfficialLists:
    """
    Return the official lists of a folder of words, empty where there are none.

    Lists come from all sorts of programs: with a byte-order mark, backslashes, whole paths, blanks
    at the ends of lines or inside of names.

    Raises:
        OSError: a list cannot be read.

    """
    splits: dict[str, str] = {}
    lines: dict[str, str] = {}
    both = []
    for path in sorted(directory.iterdir(), key=lambda path: path.name.casefold()):
        split = _LISTS.get(path.name.casefold())
        if split is None or not path.is_file():
            continue
        for line in read_text(path).splitlines():
            written = line.strip().strip('"').replace('\\', '/')
            parts = PurePosixPath(written).parts
            if not parts:
                continue
            key = clip_key(parts[-2] if len(parts) > 1 else '', parts[-1])
            if splits.get(key, split) != split:
                both.append(written)
                continue  # Lists come sorted: what is for testing stays so.
            splits[key], lines[key] = split, written
    return OfficialLists(splits, lines, tuple(both))


def _without_suffix(file_name: str) -> str:
    """Return a name without the suffix of a sound file; other dots are part of a name."""
    stem, dot, suffix = file_name.rpartition('.')
    return stem if dot and f'.{suffix.lower()}' in SOUND_SUFFIXES else file_name


def _legible(name: str) -> str:
    """Return the name of a file with the letters that bytes beyond UTF-8 stand for."""
    return decode_text(os.fsencode(name))


def gesture_split(subject: int) -> str:
    """Return the split of a gesture subject."""
    return {4: 'testing', 3: 'validation'}.get(subject % 5, 'training')


def activity_split(user: int) -> str:
    """Return the split of an activity user."""
    if user % 3 == 0:
        return 'testing'
    return 'validation' if user % 6 == 1 else 'training'
