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
import re
from pathlib import Path

SPLITS = ('training', 'validation', 'testing')
_BUCKETS = 2**27 - 1


def speech_split(file_name: str) -> str:
    """Return the split of a Speech Commands file by the official hash of its speaker."""
    speaker = re.sub(r'_nohash_.*$', '', Path(file_name).name)
    value = int(hashlib.sha1(speaker.encode()).hexdigest(), 16) % (_BUCKETS + 1)
    percentage = value * (100.0 / _BUCKETS)
    if percentage < 10.0:
        return 'validation'
    if percentage < 20.0:
        return 'testing'
    return 'training'


def read_official_lists(directory: Path) -> dict[str, str]:
    """Return {'word/file stem': split} from the official list files, {} where there are none."""
    splits = {}
    for split in ('validation', 'testing'):
        path = directory / f'{split}_list.txt'
        if path.is_file():
            for line in path.read_text().split():
                splits[str(Path(line).with_suffix(''))] = split
    return splits


def gesture_split(subject: int) -> str:
    """Return the split of a gesture subject."""
    return {4: 'testing', 3: 'validation'}.get(subject % 5, 'training')


def activity_split(user: int) -> str:
    """Return the split of an activity user."""
    if user % 3 == 0:
        return 'testing'
    return 'validation' if user % 6 == 1 else 'training'
