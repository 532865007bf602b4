"""Load word recordings in the layout of Speech Commands: `<word>/<speaker>_nohash_<n>.<ext>`."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kws_imu_ros.audio.block import SAMPLE_RATE
from kws_imu_ros.audio.sound_file import read_audio_file
from kws_imu_ros.errors import KwsImuError, printable
from kws_imu_ros.lab.data.decoded_audio import (
    Notes,
    Progress,
    content_key,
    load_decoded,
    read_all,
    store_decoded,
)
from kws_imu_ros.lab.data.findings import tell, tell_findings
from kws_imu_ros.lab.data.folders import (
    NOISE_FOLDER,
    READY_MADE,
    SILENCE_FOLDER,
    UNKNOWN_FOLDER,
    Clip,
    SpeechFolder,
    about_labels,
    likely_mistakes,
    survey_speech,
    unread_below,
)

__all__ = ['NOISE_FOLDER', 'SAMPLE_RATE', 'SILENCE_FOLDER', 'UNKNOWN_FOLDER', 'SpeechClips']

CLIP_SAMPLES = 16000
# Each background recording is cut in time: the split of its samples, by the share of its length.
NOISE_SHARES = {'training': (0.0, 0.8), 'validation': (0.8, 0.9), 'testing': (0.9, 1.0)}
# A part of a background recording that is shorter would be heard as a buzz when it is repeated.
SHORTEST_NOISE = 8000
# Of a word's loudness over time; speech hardly changes in it.
_FRAME = 160


@dataclass(frozen=True)
class SpeechClips:
    """
    Word clips of one split.

    samples: int16 (n, 16000). labels: int64 (n,), index into the voice labels.
    words: the folder each clip came from. files: path relative to the data folder.
    digest: sha256 over names and samples, for the manifest.
    """

    samples: np.ndarray
    labels: np.ndarray
    words: tuple[str, ...]
    files: tuple[str, ...]
    digest: str


def read_audio(path: Path) -> np.ndarray:
    """
    Read a recording as mono int16 at 16 kHz, shape (n,), as the robot would hear it.

    Raises:
        KwsImuError: the file cannot be read as audio.

    """
    return read_audio_file(path)


def fit_clip(samples: np.ndarray) -> np.ndarray:
    """
    Return exactly one second, int16 (16000,): padded with zeros at the end, or its loudest second.

    The robot hears a word in the middle of what comes before and after it, so the word is put
    there: of all seconds that hold as much of it, the middle one is taken.
    """
    if len(samples) <= CLIP_SAMPLES:
        return np.pad(samples, (0, CLIP_SAMPLES - len(samples)))
    heard = np.concatenate(([0.0], np.cumsum(_above_floor(samples))))
    frames = CLIP_SAMPLES // _FRAME
    if len(heard) <= frames:
        return samples[:CLIP_SAMPLES]
    held = heard[frames:] - heard[:-frames]
    best = np.flatnonzero(held >= held.max() * (1.0 - 1e-3))
    start = int(best[len(best) // 2]) * _FRAME
    return samples[start : start + CLIP_SAMPLES]


def _above_floor(samples: np.ndarray) -> np.ndarray:
    """Return the energy of each 10 ms of int16 (n,) above that of the room, float (n // 160,)."""
    frames = samples[: len(samples) // _FRAME * _FRAME].astype(np.float32).reshape(-1, _FRAME)
    energy = (frames**2).mean(axis=1)
    return np.maximum(energy - np.percentile(energy, 20), 0.0)


def list_words(directory: Path, split: str, labels: Sequence[str] = ()) -> list[tuple[str, Path]]:
    """
    List (word, file) of a split, in a fixed order; `split` 'all' takes every file.

    The official test set's `_silence_` and `_unknown_` folders belong to testing. labels: of the
    network, by which folders that are spelt otherwise are told.

    Raises:
        KwsImuError: the folder is missing or holds no word folder, or lists name clips that are
            not there.

    """
    return [(clip.word, clip.path) for clip in _clips_of(survey_speech(directory, labels), split)]


def _clips_of(folder: SpeechFolder, split: str, labels: Sequence[str] = ()) -> list[Clip]:
    """Return the clips of a split, and tell what is odd about the folder."""
    name = printable(folder.directory)
    if folder.missing and split != 'all':
        raise KwsImuError(
            f'{name} lacks {len(folder.missing)} recording(s) that its official lists name, the '
            f'first is {printable(folder.missing[0])}; without knowing them nobody is kept apart: '
            'copy them, or take their lines out of the list.'
        )
    tell_findings(folder.directory, about_labels(folder.findings, labels))
    clips = folder.of_split(split)
    if not clips:
        unread = '' if folder.clips else unread_below(folder.directory)
        raise KwsImuError(
            f'{name} holds no recordings of the {split} split in <word>/<speaker>_nohash_<n>.wav '
            'layout' + (f' (but {unread}, which are not read)' if unread else '')
            + '; give another folder or --split all.'
        )  # fmt: skip
    return clips


def load_speech(
    directory: Path,
    split: str,
    labels: Sequence[str],
    cache: Path | None = None,
    progress: Progress | None = None,
) -> SpeechClips:
    """
    Load the clips of a split; words that are no label become 'unknown'.

    cache: folder in which decoded audio is kept for the next run, None for none.
    progress: called with (done, total) now and then.

    Raises:
        KwsImuError: missing folder, too many unreadable files, no clip, or, for training, a label
            without any clip.

    """
    clips = _clips_of(survey_speech(directory, labels), split, labels)
    samples, good = _read_clips(directory, [clip.path for clip in clips], cache, progress)
    clips = [clip for clip, readable in zip(clips, good, strict=True) if readable]
    files = tuple(str(clip.path.relative_to(directory)) for clip in clips)
    words = tuple(clip.word for clip in clips)
    index = {label: i for i, label in enumerate(labels)}
    targets = np.array(
        [index.get(READY_MADE.get(word, word), index['unknown']) for word in words], np.int64
    )
    missing = sorted(set(labels) - {'unknown', 'silence'} - set(words))
    if missing and split == 'training':
        meant = likely_mistakes(directory, sorted(set(words)), labels)
        hint = f' ({meant[0].file}: {meant[0].detail})' if meant else ''
        raise KwsImuError(
            f'{printable(directory)} has no {split} recordings of {", ".join(missing)}{hint}; add '
            'them or take the word out of the vocabulary.'
        )
    if split == 'training' and not (targets == index['unknown']).any():
        raise KwsImuError(
            f'{directory} has no {split} recordings of words that are no command; add some, or the '
            f'network takes every word for one.'
        )
    digest = hashlib.sha256(os.fsencode('\n'.join(files)))
    digest.update(np.ascontiguousarray(samples).tobytes())
    return SpeechClips(samples, targets, words, files, digest.hexdigest())


def _read_clips(
    directory: Path, paths: Sequence[Path], cache: Path | None, progress: Progress | None
) -> tuple[np.ndarray, np.ndarray]:
    """
    Decode all files, through the cache where there is one.

    Returns (int16 (readable files, 16000), bool (files,) which were readable). A file that cannot
    be read is left out with a warning; more than one in twenty is an error.
    """
    name = f'speech_{content_key(directory, paths)}' if cache else ''
    stored = load_decoded(cache, name)
    samples, notes = stored or _decode_clips(paths, progress)
    if not stored:
        store_decoded(cache, name, samples, notes)
    notes.tell(len(paths), f'recordings under {printable(directory)}')
    if notes.longer:
        tell(
            f'{notes.longer} of {len(paths)} recordings under {printable(directory)} last longer '
            'than a second; the loudest second of each is used'
        )
    return samples, notes.good(len(paths))


def _decode_clips(paths: Sequence[Path], progress: Progress | None) -> tuple[np.ndarray, Notes]:
    """Return the second of each readable recording, int16 (n, 16000), and what was met."""
    samples = np.zeros((len(paths), CLIP_SAMPLES), np.int16)
    longer = 0

    def use(number: int, audio: np.ndarray) -> None:
        nonlocal longer
        samples[number] = fit_clip(audio)
        longer += len(audio) > CLIP_SAMPLES

    notes = read_all(paths, use, progress)
    notes.longer = longer
    return samples[notes.good(len(paths))], notes


def load_noise(directory: Path, split: str) -> list[np.ndarray]:
    """
    Load the split's part of every background recording, a list of int16 (n,), n at least 16000.

    A part that is too short is continued backwards and forwards, as long as that is no buzz.

    Raises:
        KwsImuError: the folder has no `_background_noise_`, or one of its recordings cannot be
            read, or all are too short.

    """
    paths = survey_speech(directory).noise
    folder = directory / NOISE_FOLDER
    if not paths:
        raise KwsImuError(
            f'{printable(folder)} holds no background recordings; copy that folder of Speech '
            'Commands there.'
        )
    first, last = NOISE_SHARES.get(split, (0.0, 1.0))
    noise = []
    short = ''
    for path in paths:
        audio = read_audio(path)
        part = audio[int(len(audio) * first) : int(len(audio) * last)]
        if len(part) < SHORTEST_NOISE:
            part_s = f', of which {len(part) / SAMPLE_RATE:.2f} s are for {split}'
            short = (
                f'{printable(path)} lasts {len(audio) / SAMPLE_RATE:.1f} s'
                f'{part_s if split in NOISE_SHARES else ""}: too short for background noise; '
                'record at least 10 s'
            )
            tell(f'left out: {short}')
            continue
        noise.append(np.pad(part, (0, max(0, CLIP_SAMPLES - len(part))), 'reflect'))
    if not noise:
        raise KwsImuError(f'{short}.')
    return noise


def silence_clips(noise: Sequence[np.ndarray], count: int, seed: int) -> np.ndarray:
    """
    Make silence clips, int16 (count, 16000): from digital zero to full-volume background.

    One in ten is digital zero; the others are random places of the background recordings at a gain
    drawn between 0 and 1, so that the loudest is the recording itself.
    """
    rng = np.random.default_rng(seed)
    clips = np.zeros((count, CLIP_SAMPLES), np.int16)
    for i in range(count):
        if i % 10 == 0:
            continue
        source = noise[int(rng.integers(len(noise)))]
        start = rng.integers(0, len(source) - CLIP_SAMPLES + 1)
        gain = rng.uniform(0.0, 1.0)
        clips[i] = (source[start : start + CLIP_SAMPLES] * gain).astype(np.int16)
    return clips


def speech_end(clip: np.ndarray) -> int:
    """
    Return the sample of a clip, int16 (n,), at which 98 % of the energy above its floor has passed.

    The end of the word, in hindsight; the clip's length where nothing rises above the floor.
    """
    energy = _above_floor(clip)
    total = energy.sum()
    if total <= 0.0:
        return len(clip)
    return int((np.searchsorted(np.cumsum(energy), 0.98 * total) + 1) * _FRAME)
