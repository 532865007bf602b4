"""Load word recordings in the layout of Speech Commands: `<word>/<speaker>_nohash_<n>.<ext>`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr

from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.lab.data.splits import read_official_lists, speech_split
from kws_imu_ros.lab.data.unreadable import leave_out

SAMPLE_RATE = 16000
CLIP_SAMPLES = 16000
AUDIO_SUFFIXES = ('.wav', '.flac', '.ogg')
NOISE_FOLDER = '_background_noise_'
SILENCE_FOLDER = '_silence_'
UNKNOWN_FOLDER = '_unknown_'
# Each background recording is cut in time: the split of its samples, by the share of its length.
NOISE_SHARES = {'training': (0.0, 0.8), 'validation': (0.8, 0.9), 'testing': (0.9, 1.0)}

Progress = Callable[[int, int], None]


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
    Read a recording as mono int16 at 16 kHz, shape (n,).

    Raises:
        KwsImuError: the file cannot be read as audio.

    """
    try:
        audio, rate = soundfile.read(path, dtype='int16', always_2d=True)
    except (soundfile.SoundFileError, RuntimeError) as error:
        raise KwsImuError(
            f'{path} cannot be read as audio ({error}); remove or replace it.'
        ) from None
    mono = audio[:, 0] if audio.shape[1] == 1 else audio.mean(axis=1).astype(np.int16)
    return mono if rate == SAMPLE_RATE else soxr.resample(mono, rate, SAMPLE_RATE)


def fit_clip(samples: np.ndarray) -> np.ndarray:
    """Return exactly one second, int16 (16000,): padded with zeros at the end, or its start."""
    if len(samples) >= CLIP_SAMPLES:
        return samples[:CLIP_SAMPLES]
    return np.pad(samples, (0, CLIP_SAMPLES - len(samples)))


def list_words(directory: Path, split: str) -> list[tuple[str, Path]]:
    """
    List (word, file) of a split, in a fixed order; `split` 'all' takes every file.

    The official test set's `_silence_` and `_unknown_` folders belong to testing.

    Raises:
        KwsImuError: the folder is missing or holds no word folder.

    """
    if not directory.is_dir():
        raise KwsImuError(
            f'Speech folder {directory} does not exist; give the folder of word folders.'
        )
    official = read_official_lists(directory)
    found: list[tuple[str, Path]] = []
    for folder in sorted(p for p in directory.iterdir() if p.is_dir()):
        if folder.name == NOISE_FOLDER or folder.name.startswith('.'):
            continue
        ready_made = folder.name in (SILENCE_FOLDER, UNKNOWN_FOLDER)
        for path in sorted(folder.iterdir()):
            if path.suffix.lower() not in AUDIO_SUFFIXES:
                continue
            if official and not ready_made:
                own = official.get(f'{folder.name}/{path.stem}', 'training')
            else:
                own = 'testing' if ready_made else speech_split(path.name)
            if split in ('all', own):
                found.append((folder.name, path))
    if not found:
        raise KwsImuError(
            f'{directory} holds no recordings of the {split} split in <word>/<speaker>_nohash_<n>'
            f'.wav layout; give another folder or --split all.'
        )
    return found


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
    listing = list_words(directory, split)
    samples, good = _read_all(directory, listing, cache, progress)
    listing = [entry for entry, readable in zip(listing, good, strict=True) if readable]
    files = tuple(str(path.relative_to(directory)) for _, path in listing)
    words = tuple(word for word, _ in listing)
    ready_made = {SILENCE_FOLDER: 'silence', UNKNOWN_FOLDER: 'unknown'}
    index = {label: i for i, label in enumerate(labels)}
    targets = np.array(
        [index.get(ready_made.get(word, word), index['unknown']) for word in words], np.int64
    )
    missing = sorted(set(labels) - {'unknown', 'silence'} - set(words))
    if missing and split == 'training':
        raise KwsImuError(
            f'{directory} has no {split} recordings of {", ".join(missing)}; add them or take the '
            f'word out of the vocabulary.'
        )
    if split == 'training' and not (targets == index['unknown']).any():
        raise KwsImuError(
            f'{directory} has no {split} recordings of words that are no command; add some, or the '
            f'network takes every word for one.'
        )
    digest = hashlib.sha256('\n'.join(files).encode())
    digest.update(np.ascontiguousarray(samples).tobytes())
    return SpeechClips(samples, targets, words, files, digest.hexdigest())


def _read_all(
    directory: Path,
    listing: list[tuple[str, Path]],
    cache: Path | None,
    progress: Progress | None,
) -> tuple[np.ndarray, np.ndarray]:
    """
    Decode all files, through the cache where there is one.

    Returns (int16 (readable files, 16000), bool (files,) which were readable). A file that cannot
    be read is left out with a warning; more than one in twenty is an error.
    """
    key = hashlib.sha256(
        '\n'.join(
            f'{path.relative_to(directory)} {path.stat().st_size}' for _, path in listing
        ).encode()
    ).hexdigest()[:24]
    stored = cache / f'speech_{key}.npy' if cache else None
    if stored and stored.is_file():
        return np.load(stored, mmap_mode='r'), np.ones(len(listing), bool)
    samples = np.zeros((len(listing), CLIP_SAMPLES), np.int16)
    problems: dict[int, str] = {}
    for i, (_, path) in enumerate(listing):
        try:
            samples[i] = fit_clip(read_audio(path))
        except KwsImuError as error:
            problems[i] = str(error)
        if progress and (i % 200 == 0 or i + 1 == len(listing)):
            progress(i + 1, len(listing))
    subject = f'{len(problems)} of {len(listing)} recordings under {directory}'
    leave_out(problems.values(), len(listing), subject)
    good = np.array([i not in problems for i in range(len(listing))])
    if stored and not problems:
        stored.parent.mkdir(parents=True, exist_ok=True)
        partial = stored.with_suffix('.partial.npy')
        np.save(partial, samples)
        partial.rename(stored)
    return samples[good], good


def load_noise(directory: Path, split: str) -> list[np.ndarray]:
    """
    Load the split's part of every background recording, a list of int16 (n,).

    Raises:
        KwsImuError: the folder has no `_background_noise_`.

    """
    folder = directory / NOISE_FOLDER
    paths = sorted(p for p in folder.glob('*') if p.suffix.lower() in AUDIO_SUFFIXES)
    if not paths:
        raise KwsImuError(
            f'{folder} holds no background recordings; copy that folder of Speech Commands there.'
        )
    first, last = NOISE_SHARES.get(split, (0.0, 1.0))
    noise = []
    for path in paths:
        audio = read_audio(path)
        noise.append(audio[int(len(audio) * first) : int(len(audio) * last)])
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
        source = noise[rng.integers(len(noise))]
        start = rng.integers(0, len(source) - CLIP_SAMPLES + 1)
        gain = rng.uniform(0.0, 1.0)
        clips[i] = (source[start : start + CLIP_SAMPLES] * gain).astype(np.int16)
    return clips


def speech_end(clip: np.ndarray) -> int:
    """
    Return the sample of a clip, int16 (n,), at which 98 % of the energy above its floor has passed.

    The end of the word, in hindsight; the clip's length where nothing rises above the floor.
    """
    energy = (clip[: len(clip) // 160 * 160].astype(np.float32).reshape(-1, 160) ** 2).mean(axis=1)
    energy = np.maximum(energy - np.percentile(energy, 20), 0.0)
    total = energy.sum()
    if total <= 0.0:
        return len(clip)
    return int((np.searchsorted(np.cumsum(energy), 0.98 * total) + 1) * 160)
