"""What can be wrong with folders of recordings, and how whoever loads them is told."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from kws_imu_ros.errors import KwsImuError, printable

# What each finding means, in the words that people read.
KINDS = {
    'unreadable': 'cannot be opened or decoded',
    'truncated': 'holds less than its header promises, or is too short to use',
    'odd sound': 'is read, though not as it is',
    'wrong rate': 'is not at the rate that the front end or the layout needs',
    'not mono': 'has more than one channel',
    'silent': 'holds no sound louder than -60 dBFS',
    'clipped': 'is overdriven: runs of samples at full scale',
    'long': 'lasts longer than a second: the loudest second is used',
    'short noise': 'is background noise too short to be split and cut into seconds',
    'duplicate': 'equals another recording sample for sample',
    'no speaker': 'does not say whose it is as the layout does, by which people are kept apart',
    'both sides': 'has one person in more than one split, so that results are too good',
    'likely mistake': 'is spelt otherwise than a label, so it is taken for no command',
    'unread': 'lies in the folder, but nobody reads it',
    'too few': 'has too few recordings to be learnt or measured',
    'one class': 'is the only class, so there is nothing to tell apart',
    'corrupt rows': 'has rows beyond the range, of wrong length, or with a broken time',
    'saturated': 'reaches the end of the sensor range',
    'not finite': 'holds NaN or infinite values',
    'flat': 'never changes: a dead sensor',
    'implausible': 'is motion that no sensor worn as documented measures',
    'empty class': 'is a class without recordings',
    'missing': 'is not there though it belongs to the layout',
    'mismatch': 'does not fit the files beside it',
}
# One bad recording in this many is left out; more of them are an error.
TOLERATED = 20
# More than this of a kind is told by `data check`.
TOLD_OF_A_KIND = 3

_logger = logging.getLogger(__name__)
_told: set[str] = set()


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong: its kind (a key of KINDS), the file, and a detail for people."""

    kind: str
    file: str
    detail: str


def tell(sentence: str) -> None:
    """Say something about the data to whoever loads it: a warning of the log, once a process."""
    if sentence not in _told:
        _told.add(sentence)
        _logger.warning('%s', sentence)


def tell_findings(directory: Path, findings: Iterable[Finding]) -> None:
    """Tell findings about a folder, the first few of each kind."""
    by_kind: dict[str, list[Finding]] = defaultdict(list)
    for finding in findings:
        by_kind[finding.kind].append(finding)
    for kind, found in by_kind.items():
        for finding in found[:TOLD_OF_A_KIND]:
            tell(f'{finding.file} {KINDS[kind]}: {finding.detail}')
        more = len(found) - TOLD_OF_A_KIND
        if more > 0:
            tell(f'{kind}: {more} more; see kws-imu data check {printable(directory)} --all')


def leave_out(problems: Collection[str], total: int, subject: str) -> None:
    """
    Name recordings that are left out, or refuse to go on without so many.

    One bad file among thousands must not cost an hour of training. problems: a sentence for each.
    total: recordings, the unreadable ones included. subject: of the refusal.

    Raises:
        KwsImuError: more than one recording in twenty cannot be read.

    """
    if len(problems) * TOLERATED > total:
        raise KwsImuError(f'{subject} cannot be read; the first: {next(iter(problems))}')
    for problem in problems:
        tell(f'left out: {problem}')
