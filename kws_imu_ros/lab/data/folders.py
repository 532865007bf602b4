"""
Look through folders of words and gestures: what is read of them, as what, and what is not.

The one place that knows the layouts of Speech Commands and GRWD: training, evaluation and
`data check` see the same recordings in the same splits, and tell the same of the rest. Nothing is
opened here.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from kws_imu_ros.audio.sound_file import SOUND_SUFFIXES
from kws_imu_ros.configuration.names import nearest
from kws_imu_ros.errors import KwsImuError, printable
from kws_imu_ros.lab.data.findings import Finding
from kws_imu_ros.lab.data.splits import (
    clip_key,
    gesture_split,
    read_official_lists,
    speaker_of,
    split_of_speaker,
)

NOISE_FOLDER = '_background_noise_'
SILENCE_FOLDER = '_silence_'
UNKNOWN_FOLDER = '_unknown_'
READY_MADE = {SILENCE_FOLDER: 'silence', UNKNOWN_FOLDER: 'unknown'}
# Labels that are no folder's name.
NO_FOLDERS = ('silence', 'unknown', 'none')
GESTURE_SUFFIXES = ('.csv', '.csv.gz')
# Less than this of a class teaches a network the recordings, not the class.
FEW = 10
# What systems and programs leave behind, beside all that begins with a dot.
_LEFT_BEHIND = ('thumbs.db', 'ehthumbs.db', 'desktop.ini', '__macosx', 'icon\r')
_NUMBERED = re.compile(r'subject_(\d+)')


@dataclass(frozen=True)
class Clip:
    """One recording of a word: its folder's name, whose it is, and for which split."""

    word: str
    path: Path
    split: str
    speaker: str


@dataclass(frozen=True)
class SpeechFolder:
    """
    A folder of words.

    clips: in a fixed order. noise: background recordings. missing: listed clips that are not there,
    as the lists write them. findings: what is odd about the folder.
    """

    directory: Path
    clips: tuple[Clip, ...]
    noise: tuple[Path, ...]
    missing: tuple[str, ...]
    findings: tuple[Finding, ...]

    def of_split(self, split: str) -> list[Clip]:
        """Return the clips of a split, of all for 'all'."""
        return [clip for clip in self.clips if split in ('all', clip.split)]


@dataclass(frozen=True)
class Take:
    """One recording of a gesture: its folder's name, whose it is, and for which split."""

    gesture: str
    subject: int
    path: Path
    split: str


@dataclass(frozen=True)
class GestureFolder:
    """A folder of gestures; findings: what is odd about it."""

    directory: Path
    takes: tuple[Take, ...]
    findings: tuple[Finding, ...]

    def of_split(self, split: str) -> list[Take]:
        """Return the recordings of a split, of all for 'all'."""
        return [take for take in self.takes if split in ('all', take.split)]


def entries(folder: Path) -> list[Path]:
    """Return what a person put into a folder, sorted; what systems leave behind is passed over."""
    return sorted(
        path
        for path in folder.iterdir()
        if not path.name.startswith(('.', '~$')) and path.name.lower() not in _LEFT_BEHIND
    )


def sound_files(folder: Path, below: bool = False) -> list[Path]:
    """Return the recordings in a folder, or anywhere below it, sorted."""
    found = folder.glob('**/*' if below else '*')
    return sorted(path for path in found if _is_sound(path) and not path.is_dir())


def survey_speech(directory: Path, labels: Sequence[str] = ()) -> SpeechFolder:
    """
    Look through a folder of words in the layout of Speech Commands.

    Args:
        directory: holds a folder for each word.
        labels: of the network; what is spelt otherwise than one of them is found. Without, nothing
            is known of spelling.

    Raises:
        KwsImuError: the folder does not exist.

    """
    if not directory.is_dir():
        raise KwsImuError(
            f'Speech folder {printable(directory)} does not exist; give the folder of word folders.'
        )
    findings: list[Finding] = []
    folders = [path for path in entries(directory) if path.is_dir()]
    loose = [path for path in entries(directory) if not path.is_dir() and _is_sound(path)]
    if loose:
        findings.append(
            _finding('unread', loose[0], f'{len(loose)} recordings lie in no folder of a word')
        )
    sounds = {folder: _sounds_of(folder, findings) for folder in folders}
    noise = next((sounds.pop(f) for f in folders if f.name == NOISE_FOLDER), [])
    for folder, paths in sounds.items():
        if not paths:
            findings.append(
                _finding('empty class', folder, 'the folder holds no .wav, .flac or .ogg')
            )
    clips, missing = _assign(directory, sounds, findings)
    words = Counter(clip.word for clip in clips if clip.word not in READY_MADE)
    findings += _judge_classes(directory, words)
    findings += likely_mistakes(directory, [_label(f) for f in sounds], labels)
    return SpeechFolder(directory, tuple(clips), tuple(noise), missing, tuple(findings))


def survey_gestures(directory: Path, labels: Sequence[str] = ()) -> GestureFolder:
    """
    Look through a folder of gestures in the layout of GRWD.

    Args:
        directory: holds a folder for each gesture.
        labels: see `survey_speech`.

    Raises:
        KwsImuError: the folder does not exist.

    """
    if not directory.is_dir():
        raise KwsImuError(
            f'Gesture folder {printable(directory)} does not exist; give the folder of gestures.'
        )
    findings: list[Finding] = []
    takes: list[Take] = []
    folders = [path for path in entries(directory) if path.is_dir()]
    for folder in folders:
        own = list(_takes_of(folder, findings))
        if not own:
            findings.append(
                _finding('empty class', folder, 'the folder holds no subject_<k>/<i>.csv')
            )
        takes += own
    findings += _judge_classes(directory, Counter(take.gesture for take in takes))
    findings += likely_mistakes(directory, [_label(folder) for folder in folders], labels)
    return GestureFolder(directory, tuple(takes), tuple(findings))


def likely_mistakes(
    directory: Path, folders: Collection[str], labels: Collection[str]
) -> list[Finding]:
    """
    Return folders whose names are another spelling of a label, or a slip of one that lacks.

    Their recordings would be taken for no command, the network would learn that `Left` is no word.
    """
    named = set(labels) - set(NO_FOLDERS)
    lacking = named - set(folders)
    # Where most labels lack, the folder is of another vocabulary.
    lacking = lacking if 2 * len(lacking) <= len(named) else set()
    plain = {_plain(label): label for label in named}
    found = []
    for folder in folders:
        if folder in named or folder in READY_MADE:
            continue
        meant = plain.get(_plain(folder)) or (nearest(folder, lacking) if len(folder) > 3 else '')
        if meant:
            detail = f'did you mean {meant}? Rename the folder, or its recordings are no {meant}'
            found.append(_finding('likely mistake', directory / folder, detail))
    return found


def unread_below(directory: Path) -> str:
    """Return in words what files without a use lie in a folder of folders, '' for none."""
    near = itertools.islice(itertools.chain(directory.glob('*'), directory.glob('*/*')), 10_000)
    kinds = Counter(
        f'{path.suffix.lower()} file(s)' if path.suffix else 'file(s) without a suffix'
        for path in near
        if not path.name.startswith('.') and path.is_file()
    )
    return ', '.join(f'{count} {kind}' for kind, count in kinds.most_common(3))


def _assign(
    directory: Path, sounds: dict[Path, list[Path]], findings: list[Finding]
) -> tuple[list[Clip], tuple[str, ...]]:
    """Return the clips with speaker and split, and what lists name that is not there."""
    official = read_official_lists(directory)
    persons = _persons(sounds)
    clips = []
    sides: dict[str, set[str]] = defaultdict(set)
    there = set()
    for folder, paths in sounds.items():
        for path in paths:
            there.add(clip_key(folder.name, path.name))
            speaker, named = speaker_of(path.name)
            if folder.name in READY_MADE:
                clips.append(Clip(folder.name, path, 'testing', speaker))
                continue
            if not named:
                speaker = speaker if speaker in persons else path.stem
                findings.append(
                    _finding(
                        'no speaker',
                        path,
                        f'expected <speaker>_nohash_<n>; its speaker is taken to be {speaker}',
                    )
                )
            split = (
                official.split_of(folder.name, path.name) if official else split_of_speaker(speaker)
            )
            sides[speaker].add(split)
            clips.append(Clip(_label(folder), path, split, speaker))
    for speaker in sorted(speaker for speaker, splits in sides.items() if len(splits) > 1):
        where = ' and '.join(sorted(sides[speaker]))
        detail = f'{speaker} is in {where}; name all clips of a person in one list'
        findings.append(_finding('both sides', directory, detail))
    for line in official.both:
        findings.append(_finding('both sides', directory / line, 'it stands in both lists'))
    missing = tuple(sorted(official.lines[key] for key in set(official.lines) - there))
    return clips, missing


def _persons(sounds: dict[Path, list[Path]]) -> set[str]:
    """
    Return which names without a mark are those of people.

    A person says more than one word, and there are several; else the name is that of the word, or
    just 'recording'.
    """
    words: dict[str, set[str]] = defaultdict(set)
    for folder, paths in sounds.items():
        for path in paths:
            speaker, named = speaker_of(path.name)
            if not named:
                words[speaker].add(folder.name)
    persons = {name for name, said in words.items() if len(said) > 1 or len(sounds) == 1}
    return persons if len(persons) > 1 else set()


def _sounds_of(folder: Path, findings: list[Finding]) -> list[Path]:
    """Return the recordings of a word's folder; tell what else lies in it."""
    sounds = []
    strangers: dict[str, list[Path]] = defaultdict(list)
    for path in entries(folder):
        if path.is_dir():
            inside = sum(_is_sound(below) for below in path.iterdir())
            findings.append(
                _finding(
                    'unread',
                    path,
                    f'{inside} recordings; folders inside the folder of a word are not looked into',
                )
            )
        elif _is_sound(path):
            sounds.append(path)
        else:
            strangers[path.suffix.lower()].append(path)
    findings += _strangers(strangers, 'give wav, flac, ogg, mp3 or aiff')
    return sounds


def _takes_of(folder: Path, findings: list[Finding]) -> Iterator[Take]:
    """Yield the recordings of a gesture's folder; tell what else lies in it."""
    loose: dict[str, list[Path]] = defaultdict(list)
    for place in entries(folder):
        if not place.is_dir():
            loose[place.suffix.lower()].append(place)
            continue
        match = _NUMBERED.fullmatch(place.name)
        if match is None:
            count = sum(_is_gesture(below) for below in place.iterdir())
            findings.append(
                _finding(
                    'no speaker',
                    place,
                    f'{count} recordings are left out: the folder is not of the form '
                    'subject_<number>',
                )
            )
            continue
        strangers: dict[str, list[Path]] = defaultdict(list)
        for path in entries(place):
            if path.is_dir():
                findings.append(_finding('unread', path, 'folders in here are not looked into'))
            elif _is_gesture(path):
                subject = int(match[1])
                yield Take(_label(folder), subject, path, gesture_split(subject))
            else:
                strangers[path.suffix.lower()].append(path)
        findings += _strangers(strangers, 'give .csv or .csv.gz')
    findings += _strangers(loose, 'recordings lie in subject_<number>/<i>.csv')


def _strangers(strangers: dict[str, list[Path]], advice: str) -> Iterator[Finding]:
    """Yield one finding for all files of a suffix in a folder."""
    for suffix, paths in strangers.items():
        kind = f'{suffix} file(s)' if suffix else 'file(s) without a suffix'
        detail = f'{len(paths)} {kind} in {paths[0].parent.name} are not read; {advice}'
        yield _finding('unread', paths[0], detail)


def _judge_classes(directory: Path, counts: Counter[str]) -> Iterator[Finding]:
    """Yield what there is too little of."""
    if len(counts) == 1:
        yield _finding('one class', directory / next(iter(counts)), 'add the others')
    for name, count in sorted(counts.items()):
        if count < FEW:
            times = 'one recording' if count == 1 else f'{count} recordings'
            yield _finding('too few', directory / name, f'{times}; at least {FEW} are needed')


def _label(folder: Path) -> str:
    """Return what a folder is of: its name in composed Unicode, which some systems take apart."""
    return unicodedata.normalize('NFC', folder.name)


def _is_sound(path: Path) -> bool:
    return path.suffix.lower() in SOUND_SUFFIXES and not path.name.startswith('.')


def _is_gesture(path: Path) -> bool:
    return path.name.lower().endswith(GESTURE_SUFFIXES) and not path.name.startswith('.')


def _plain(name: str) -> str:
    """Return a name without what people vary: case, blanks, hyphens, underscores."""
    return re.sub(r'[\s_.-]+', '', name.casefold())


def _finding(kind: str, path: Path, detail: str) -> Finding:
    return Finding(kind, printable(path), printable(detail))


def about_labels(findings: Iterable[Finding], labels: Collection[str]) -> list[Finding]:
    """Return findings without those on too few recordings of what is no label anyway."""
    return [f for f in findings if f.kind != 'too few' or Path(f.file).name in labels]
