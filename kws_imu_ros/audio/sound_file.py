"""
Read sound files: the one reader of `run`, `evaluate`, `train` and `data check`.

What a file is decides its content, never its name. Files that other programs leave behind are read
where it is clear what they mean (floats, headers without sizes, channels that cancel each other
out) and say so in their remarks; all others are refused in one sentence.
"""

from __future__ import annotations

import enum
import io
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import soxr

from kws_imu_ros.audio.block import SAMPLE_RATE
from kws_imu_ros.audio.resampling import channels_cancel, downmix, loudest_channel, to_int16
from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.resources import user_path

# A recording is held in memory; an hour of 16 kHz int16 is 115 MB.
MAXIMUM_RECORDING_S = 3600
# Hz that a recording may have; beyond, its header is damaged.
RATES = (1000, 1_000_000)
# Names of files that hold sound as a rule; a folder of recordings is searched for these.
SOUND_SUFFIXES = (
    '.wav', '.flac', '.ogg', '.oga', '.opus', '.mp3', '.aiff', '.aif', '.aifc', '.au', '.caf',
    '.w64',
)  # fmt: skip

_CHUNK_FRAMES = 1 << 16
_LARGEST_HEADER = 4096
_MP3_GUESS = 4 * 1152
# What libsndfile says of a length that it does not know.
_UNKNOWN_LENGTH = 2**63 - 1
# Floats up to here are a track that is far too loud; beyond, full scale cannot be 1.
_LOUDEST_FLOAT = 16.0
_COUNTS = (16, 24, 32)
# First bytes of what is no sound that can be read, at an offset.
_STRANGERS = (
    (4, b'ftyp', 'an MPEG-4 file (m4a, mp4)'),
    (0, bytes.fromhex('3026b2758e66cf11'), 'a Windows Media file (wma)'),
    (0, b'\x1aE\xdf\xa3', 'a Matroska or WebM file'),
    (0, b'#!AMR', 'an AMR file of a telephone'),
    (0, b'PK\x03\x04', 'a zip archive'),
    (0, b'\x1f\x8b', 'a gzip archive'),
    (0, b'\xff\xf1', 'an AAC file'),
    (0, b'\xff\xf9', 'an AAC file'),
    (0, b'\x89MCAP', 'a bag (mcap)'),
    (0, b'SQLite format 3', 'a SQLite database'),
    (0, b'version https://git-lfs', 'a pointer of Git LFS, not the file itself'),
    (0, b'\x00\x05\x16\x07', 'a file that macOS puts beside another'),
    (0, b'<!DOCTYPE', 'a web page'),
    (0, b'<html', 'a web page'),
)


class SoundFault(enum.Enum):
    """Why a sound file cannot be used."""

    MISSING = enum.auto()
    UNREADABLE = enum.auto()
    TRUNCATED = enum.auto()
    NOTHING = enum.auto()
    NOT_FINITE = enum.auto()
    TOO_LONG = enum.auto()


class SoundFileError(KwsImuError):
    """A sound file that cannot be used; fault: why."""

    def __init__(self, fault: SoundFault, sentence: str) -> None:
        super().__init__(sentence)
        self.fault = fault


class Oddity(enum.Enum):
    """What is odd about a sound file that is read all the same."""

    NO_SIZE = enum.auto()
    COUNTS = enum.auto()
    TOO_LOUD = enum.auto()
    CANCELLING = enum.auto()


@dataclass(frozen=True)
class Remark:
    """What is odd about a sound file, and in words; sentence: goes on after 'it is odd:'."""

    oddity: Oddity
    sentence: str

    def __str__(self) -> str:
        """Return the sentence."""
        return self.sentence


@dataclass(frozen=True)
class Sound:
    """
    What a sound file holds.

    frames: int16 (n, channels) at `rate` Hz, as it was recorded.
    samples: int16 (m,), 16 kHz mono, as the robot hears it.
    remarks: what is odd about the file and was put right.
    """

    frames: np.ndarray
    rate: int
    samples: np.ndarray
    remarks: tuple[Remark, ...] = ()


def read_audio_file(path: Path | str) -> np.ndarray:
    """
    Return a sound file as 16 kHz mono int16 (n,); see `read_sound`.

    Raises:
        SoundFileError: see `read_sound`.

    """
    return read_sound(path).samples


def read_sound(path: Path | str) -> Sound:
    """
    Read a wav, flac, ogg, mp3, aiff (or other sound) file.

    Any sample rate and channel count is converted; channels are averaged, or the loudest is taken
    where they cancel each other out.

    Raises:
        SoundFileError: the file is missing, unreadable, no sound file, empty, truncated, too long,
            or holds values that are no numbers.

    """
    path = user_path(path)
    try:
        if not path.is_file():
            raise SoundFileError(
                SoundFault.MISSING, f'Audio file {path} does not exist; check the path.'
            )
        frames, rate, remarks = _decode(path)
    except OSError as error:
        raise SoundFileError(
            SoundFault.UNREADABLE,
            f'Audio file {path} cannot be opened ({error.strerror}); check its path and '
            'permissions.',
        ) from error
    samples, mixed = _mono(frames, rate)
    return Sound(frames, rate, samples, (*remarks, *mixed))


def what_it_is(path: Path) -> str:
    """Return 'a zip archive' or the like for a file that is known to be no sound here, or ''."""
    try:
        with _opened(path) as stream:
            start = stream.read(64).lower()
    except (OSError, ValueError):
        return ''
    marks = (
        (start[offset : offset + len(mark)] == mark.lower(), what)
        for offset, mark, what in _STRANGERS
    )
    return next((what for fits, what in marks if fits), '')


def is_sound_file(path: Path | str) -> bool:
    """Return whether a file is sound that can be read, by its content, whatever its name."""
    soundfile = _import_soundfile()
    try:
        with _opened(Path(path)) as stream, soundfile.SoundFile(stream.fileno(), closefd=False):
            return True
    except (OSError, ValueError, soundfile.SoundFileError):
        return False


def _opened(path: Path) -> io.FileIO:
    """Open a file whose descriptor libsndfile can read, so that its name does not matter."""
    return path.open('rb', buffering=0)


def _decode(path: Path) -> tuple[np.ndarray, int, list[Remark]]:
    """Return int16 (n, channels), rate, and what was put right on the way."""
    soundfile = _import_soundfile()
    remarks: list[Remark] = []
    with _opened(path) as stream:
        size = stream.seek(0, io.SEEK_END)
        if size == 0:
            raise SoundFileError(
                SoundFault.NOTHING, f'Audio file {path} is empty; record it again.'
            )
        source = _with_sizes(stream, size)
        if source is not stream:
            sentence = 'its header gives no size, so everything to its end is taken for sound'
            remarks.append(Remark(Oddity.NO_SIZE, sentence))
        try:
            frames, rate, truncated = _read_frames(soundfile, path, source, remarks)
        except soundfile.LibsndfileError as error:
            raise _refusal(path, error.error_string.rstrip('.')) from error
    if truncated:
        raise SoundFileError(
            SoundFault.TRUNCATED,
            f'Audio file {path} is truncated: it holds less audio than it announces; '
            'copy or record it again.',
        )
    if len(frames) == 0:
        by = f' by its header, though it has {size} bytes' if size > _LARGEST_HEADER else ''
        raise SoundFileError(
            SoundFault.NOTHING, f'Audio file {path} holds no audio{by}; record it again.'
        )
    return frames, rate, remarks


def _read_frames(
    soundfile: ModuleType, path: Path, source: io.FileIO | io.BytesIO, remarks: list[Remark]
) -> tuple[np.ndarray, int, bool]:
    """Return int16 (n, channels), rate, and whether the end is missing."""
    source.seek(0)
    opened = source.fileno() if isinstance(source, io.FileIO) else source
    with soundfile.SoundFile(opened, closefd=False) as file:
        # Read from start to end: not every format can be searched, nor every one that says so.
        file.seekable = lambda: False
        rate, announced = file.samplerate, file.frames
        if not RATES[0] <= rate <= RATES[1]:
            raise SoundFileError(
                SoundFault.UNREADABLE,
                f'Audio file {path} is damaged: its header says {rate} Hz; copy it again.',
            )
        if announced != _UNKNOWN_LENGTH and announced > rate * MAXIMUM_RECORDING_S:
            raise _too_long(path, f'{announced / rate:.0f} s')
        floats = file.subtype in ('FLOAT', 'DOUBLE')
        dtype = _dtype_of(file)
        parts, count = [np.zeros((0, file.channels), dtype)], 0
        for part in _chunks(file, dtype):
            parts.append(part)
            count += len(part)
            if count > rate * MAXIMUM_RECORDING_S:
                raise _too_long(path, f'more than {MAXIMUM_RECORDING_S} s')
        frames = np.concatenate(parts)
        # The length of an mp3 is a guess, by a few of its frames.
        least = announced - (_MP3_GUESS if file.format == 'MP3' else 0)
        short = announced != _UNKNOWN_LENGTH and len(frames) < least
        truncated = short or _says_truncated(file.extra_info)
    if floats:
        frames = _from_floats(path, frames, rate, remarks)
    elif dtype != 'int16':
        frames = np.clip(np.rint(frames * np.float32(32767)), -32768, 32767).astype(np.int16)
    return frames, rate, truncated


def _dtype_of(file: Any) -> str:
    """Return as what the samples of a sound file are read."""
    if file.subtype == 'DOUBLE':
        return 'float64'
    # libsndfile lets what is beyond full scale wrap around where it makes int16 of Ogg.
    return 'float32' if file.subtype == 'FLOAT' or file.format == 'OGG' else 'int16'


def _chunks(file: Any, dtype: str) -> Iterator[np.ndarray]:
    """Read a sound file piece by piece, which needs no length, and never beyond the length."""
    left = file.frames
    while len(part := file.read(min(_CHUNK_FRAMES, left), dtype=dtype, always_2d=True)):
        yield part
        left -= len(part)


def _from_floats(path: Path, frames: np.ndarray, rate: int, remarks: list[Remark]) -> np.ndarray:
    """Return floats (n, channels) as int16; full scale is 1, or that of counts where it must be."""
    finite = np.isfinite(frames).all(axis=1)
    if not finite.all():
        raise SoundFileError(
            SoundFault.NOT_FINITE,
            f'Audio file {path} holds values that are not a number (NaN or infinite), first at '
            f'{int(finite.argmin()) / rate:.2f} s; export it again.',
        )
    peak = float(np.abs(frames).max(initial=0.0))
    if peak <= 1.0 or (peak <= _LOUDEST_FLOAT and (frames != np.rint(frames)).any()):
        if peak > 1.0:
            beyond = float((np.abs(frames) > 1.0).any(axis=1).mean())
            sentence = (
                f'its values go up to {peak:.3g} where full scale is 1, so {beyond:.1%} of it is '
                'clipped; make it quieter before you export it'
            )
            remarks.append(Remark(Oddity.TOO_LOUD, sentence))
        return to_int16(frames)
    # Counts that were filtered or resampled go a little beyond their full scale.
    bits = next((bits for bits in _COUNTS if peak <= 1.5 * 2.0 ** (bits - 1)), None)
    if bits is None:
        raise SoundFileError(
            SoundFault.UNREADABLE,
            f'Audio file {path} holds values up to {peak:.3g}, far beyond the range of -1 to 1 and '
            'of any count; export it again.',
        )
    sentence = (
        f'its values go up to {peak:.6g}, far beyond the range of -1 to 1, so they are taken for '
        f'counts of {bits} bits'
    )
    remarks.append(Remark(Oddity.COUNTS, sentence))
    return to_int16(frames / 2.0 ** (bits - 1))


def _mono(frames: np.ndarray, rate: int) -> tuple[np.ndarray, list[Remark]]:
    """Return int16 (n, channels) as 16 kHz mono, and what is odd about its channels."""
    remarks: list[Remark] = []
    if frames.shape[1] > 1 and channels_cancel(frames):
        channel = loudest_channel(frames)
        frames = frames[:, channel : channel + 1]
        sentence = (
            f'its channels cancel each other out (one is inverted), so channel {channel + 1} is '
            'taken, the loudest'
        )
        remarks.append(Remark(Oddity.CANCELLING, sentence))
    if frames.shape[1] == 1 and rate == SAMPLE_RATE:
        return frames[:, 0].copy(), remarks
    mono = downmix(frames)
    return to_int16(
        mono if rate == SAMPLE_RATE else soxr.resample(mono, rate, SAMPLE_RATE)
    ), remarks


def _with_sizes(stream: io.FileIO, size: int) -> io.FileIO | io.BytesIO:
    """
    Return a RIFF file whose header gives its data no size as bytes that give one.

    A recorder that loses its power, or writes to a pipe, never comes back to fill in the sizes. Any
    other file is returned as it is.
    """
    stream.seek(0)
    head = stream.read(12)
    if head[:4] not in (b'RIFF', b'RIFX') or head[8:] != b'WAVE':
        return stream
    number = '<I' if head[:4] == b'RIFF' else '>I'
    place = _data_place(stream, number, size)
    if place is None:
        return stream
    stream.seek(0)
    content = bytearray(stream.read())
    struct.pack_into(number, content, 4, min(size - 8, 0xFFFFFFFF))
    struct.pack_into(number, content, place - 4, min(size - place, 0xFFFFFFFF))
    return io.BytesIO(content)


def _data_place(stream: io.FileIO, number: str, size: int) -> int | None:
    """Return where the data begin whose size the header gives as zero, None if it gives one."""
    place = 12
    while place + 8 <= size:
        stream.seek(place)
        name, length = stream.read(4), struct.unpack(number, stream.read(4))[0]
        place += 8
        if name == b'data':
            empty = length == 0 and place < size and not _chunks_follow(stream, number, place, size)
            return place if empty else None
        place += length + length % 2
    return None


def _chunks_follow(stream: io.FileIO, number: str, place: int, size: int) -> bool:
    """Return whether a file consists of whole chunks from a place on, as a finished file does."""
    while place + 8 <= size:
        stream.seek(place)
        name, length = stream.read(4), struct.unpack(number, stream.read(4))[0]
        if not all(32 <= byte < 127 for byte in name):
            return False
        place += 8 + length + length % 2
    return size <= place <= size + 1


def _too_long(path: Path, length: str) -> SoundFileError:
    return SoundFileError(
        SoundFault.TOO_LONG,
        f'Audio file {path} lasts {length} but at most {MAXIMUM_RECORDING_S} s are read; cut it.',
    )


def _refusal(path: Path, reason: str) -> SoundFileError:
    """Return the sentence for a file that libsndfile does not take."""
    what = what_it_is(path)
    if what:
        return SoundFileError(
            SoundFault.UNREADABLE,
            f'Audio file {path} cannot be read: it is {what}; give a wav, flac or ogg file.',
        )
    if re.search(r'lost sync|malformed|unexpected|truncat', reason, re.IGNORECASE):
        return SoundFileError(
            SoundFault.TRUNCATED,
            f'Audio file {path} is truncated or damaged ({reason}); copy or record it again.',
        )
    return SoundFileError(
        SoundFault.UNREADABLE,
        f'Audio file {path} cannot be read ({reason}); give a wav, flac or ogg file.',
    )


def _says_truncated(log: str) -> bool:
    """Tell from libsndfile's log whether a file that it could open has lost its end."""
    if re.search(r'ended unexpectedly|lacks an end-of-stream|Junk after the last page', log):
        return True  # Ogg.
    wav = re.search(r'^data\s*:\s*(\d+) \(should be (\d+)\)', log, re.MULTILINE)
    # Programs that write to a pipe announce the largest size there is, which is no damage.
    return wav is not None and int(wav[2]) < int(wav[1]) < 0x7FFFF000


def _import_soundfile() -> ModuleType:
    """Import soundfile only where a recording is read: it needs a library of the system."""
    try:
        import soundfile
    except (ImportError, OSError) as error:
        raise KwsImuError(
            'Sound files cannot be read because soundfile or libsndfile is missing; run '
            'pip install soundfile.'
        ) from error
    module: ModuleType = soundfile
    return module
