"""
Gather running speech from Debian's and Ubuntu's archives: hours of people talking, freely given.

Telephone prompts in five languages, the dialogues of three games, two in English and one in Czech
and Dutch, descriptions of pictures in nine languages, and quotations in English read by a
synthesizer: where a Debian mirror is reachable these need no account. Any other folder of people
talking serves as well: `kws-imu train --running-speech` takes every tree of wav, flac or ogg.
"""

from __future__ import annotations

import io
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import soundfile

from kws_imu_ros.errors import KwsImuError

# Called with the recordings that are done and their total.
Progress = Callable[[int, int], None]
SHORTEST_BYTES = 3000
NO_SPEECH = ('silence', 'beep', 'tone')
QUOTATIONS = ('literature', 'science', 'wisdom', 'work')
QUOTATION_CHARACTERS = (60, 400)
VOICES = ('slt', 'rms', 'awb', 'kal16')
STRETCHES = (0.8, 0.9, 1.0, 1.1)
# A line of dialogue this short may be a single word, and a "no" said alone is a command.
SHORTEST_LINE_S = 1.2
# Flight of the Amazon Queen, one file: where it lists its parts (name, one byte, offset, size).
QUEEN_PARTS_AT, QUEEN_COUNT_AT = 15, 13
QUEEN_PART = struct.Struct('>12sxII')
# Beneath a Steel Sky, a list of parts (number, place and size in three bytes each) and one file of
# parts, each with a header; sound is packed by Rob Northen's method, 8 bits at 11,025 Hz.
SKY_PART = struct.Struct('<H3s3s')
SKY_FIRST_LINE, SKY_LAST_LINE = 50000, 59999
SKY_HEADER_BYTES, SKY_RATE = 22, 11025
SKY_PACKED = b'RNC\x01'


@dataclass(frozen=True)
class Package:
    """
    A Debian package that holds speech.

    credit: who made it and under what licence. pattern: names of the recordings with speech.
    """

    name: str
    credit: str
    pattern: str = '*'


_ASTERISK = 'Digium and the speakers, CC BY-SA 3.0'
PACKAGES = (
    Package('asterisk-core-sounds-en-g722', f'Asterisk prompts, Allison Smith; {_ASTERISK}'),
    Package('asterisk-core-sounds-es-g722', f'Asterisk prompts, Allison Smith; {_ASTERISK}'),
    Package('asterisk-core-sounds-fr-g722', f'Asterisk prompts, June Wallack; {_ASTERISK}'),
    Package('asterisk-core-sounds-it-g722', f'Asterisk prompts; {_ASTERISK}'),
    Package('asterisk-core-sounds-ru-g722', 'Asterisk prompts, Maxim Topal, CC BY 3.0'),
    Package('fillets-ng-data-cs', 'Fish Fillets, ALTAR interactive, GPL-2+'),
    Package('fillets-ng-data-nl', 'Fish Fillets, ALTAR interactive, GPL-2+'),
    Package('beneath-a-steel-sky', 'Beneath a Steel Sky, Revolution Software, freeware'),
    Package(
        'flight-of-the-amazon-queen',
        'Flight of the Amazon Queen, John Passfield and Steven Stamatiadis, freeware',
    ),
    Package('tuxpaint-stamps-default', 'Tux Paint stamps, their speakers, GPL-2+', '*_desc_*'),
    Package('fortunes', 'quotations, read by the voices of Flite, Carnegie Mellon University'),
)


def credit_running_speech(folders: Iterable[str]) -> list[str]:
    """Return whom to thank for folders of running speech; each line once, none is left out."""
    known = {package.name: package.credit for package in PACKAGES}
    return list(dict.fromkeys(known.get(name, f'{name}, its speakers') for name in folders))


def fetch_running_speech(
    directory: Path, progress: Callable[[str, int, int], None] | None = None
) -> int:
    """
    Put the speech of `PACKAGES` under `directory`, a folder a package; return the recordings.

    A package whose folder is there already is left as it is. progress(name, done, total) in files.

    Raises:
        KwsImuError: a tool (apt-get, dpkg-deb, ffmpeg, flite, ancient) is missing, or a package
            cannot be downloaded.

    """
    tools = {'apt-get': 'apt', 'dpkg-deb': 'dpkg'}
    for tool in (*tools, 'ffmpeg', 'flite', 'ancient'):
        if shutil.which(tool) is None:
            raise KwsImuError(
                f'{tool} is not installed; install {tools.get(tool, tool)} on Debian or Ubuntu, or '
                f'give any folder of people talking to --running-speech instead.'
            )
    directory.mkdir(parents=True, exist_ok=True)
    for package in PACKAGES:
        target = directory / package.name
        if target.is_dir():
            continue
        # Only a whole folder gets the package's name, so that an interrupted one is made again.
        with tempfile.TemporaryDirectory(dir=directory) as scratch:
            unpacked, ready = Path(scratch) / 'unpacked', Path(scratch) / 'ready'
            ready.mkdir()
            _unpack(package.name, Path(scratch), unpacked)
            show = partial(progress, package.name) if progress else None
            bring = SPECIAL.get(package.name, partial(_collect, package.pattern))
            bring(unpacked, ready, show)
            ready.rename(target)
    return sum(1 for path in directory.rglob('*') if path.is_file())


def _unpack(name: str, scratch: Path, unpacked: Path) -> None:
    """Download a package as any user may and unpack it without installing it."""
    result = subprocess.run(
        ['apt-get', 'download', name], cwd=scratch, capture_output=True, text=True, check=False
    )
    archives = list(scratch.glob('*.deb'))
    if result.returncode or not archives:
        reason = (result.stderr.strip().splitlines() or ['no reason given'])[-1]
        raise KwsImuError(
            f'The package {name} cannot be downloaded ({reason}); check the network and run '
            f'`apt-get update` first.'
        )
    subprocess.run(['dpkg-deb', '-x', str(archives[0]), str(unpacked)], check=True)


def _collect(pattern: str, unpacked: Path, ready: Path, progress: Progress | None) -> None:
    """Bring every recording of an unpacked package into `ready`, in a format libsndfile reads."""
    sources = sorted(
        p
        for p in unpacked.rglob(pattern)
        if p.suffix in ('.ogg', '.g722') and not any(word in str(p) for word in NO_SPEECH)
    )
    for i, path in enumerate(sources):
        if not path.is_symlink() and path.stat().st_size >= SHORTEST_BYTES:
            target = ready / '_'.join(path.relative_to(unpacked).parts[-3:])
            if path.suffix == '.ogg':
                shutil.copy(path, target)
            else:
                flac = str(target.with_suffix('.flac'))
                command = ['ffmpeg', '-loglevel', 'error', '-y', '-f', 'g722', '-i', str(path)]
                subprocess.run([*command, flac], check=True, stdin=subprocess.DEVNULL)
        if progress:
            progress(i + 1, len(sources))


def _unpack_queen(unpacked: Path, ready: Path, progress: Progress | None) -> None:
    """Take the lines of dialogue, MP3 each, out of the one file that holds the whole game."""
    game = next(unpacked.rglob('queen.1c')).read_bytes()
    (count,) = struct.unpack_from('>H', game, QUEEN_COUNT_AT)
    table = memoryview(game)[QUEEN_PARTS_AT : QUEEN_PARTS_AT + count * QUEEN_PART.size]
    lines = [entry for entry in QUEEN_PART.iter_unpack(table) if b'.SB' in entry[0]]
    for i, (name, offset, size) in enumerate(lines):
        samples, rate = soundfile.read(io.BytesIO(game[offset : offset + size]), dtype='int16')
        _keep(ready / f'{name.split(b".")[0].decode()}.flac', samples, rate)
        if progress:
            progress(i + 1, len(lines))


def _unpack_sky(unpacked: Path, ready: Path, progress: Progress | None) -> None:
    """Take the lines of dialogue out of the file that holds the whole game."""
    listed = next(unpacked.rglob('sky.dnr')).read_bytes()
    game = next(unpacked.rglob('sky.dsk')).read_bytes()
    (count,) = struct.unpack_from('<I', listed)
    parts = SKY_PART.iter_unpack(memoryview(listed)[4 : 4 + count * SKY_PART.size])
    lines = [part for part in parts if SKY_FIRST_LINE <= part[0] <= SKY_LAST_LINE]
    packed, plain = ready.parent / 'packed', ready.parent / 'plain'
    for i, (number, place, size) in enumerate(lines):
        start = int.from_bytes(place, 'little')
        # The highest bit says that the place is in units of 16 bytes.
        start = start if start < 1 << 23 else (start - (1 << 23)) << 4
        end = start + (int.from_bytes(size, 'little') & 0x3FFFFF)
        sound = game[start + SKY_HEADER_BYTES : end]
        if sound.startswith(SKY_PACKED):
            packed.write_bytes(sound)
            subprocess.run(['ancient', 'decompress', packed, plain], check=True)
            sound = plain.read_bytes()
        samples = (np.frombuffer(sound, np.uint8).astype(np.int16) - 128) * 256
        _keep(ready / f'{number}.flac', samples, SKY_RATE)
        if progress:
            progress(i + 1, len(lines))


def _keep(path: Path, samples: np.ndarray, rate: int) -> None:
    """Write a line of dialogue, int16, unless it is so short that it may be a single word."""
    if len(samples) >= SHORTEST_LINE_S * rate:
        soundfile.write(path, samples, rate)


def _speak(unpacked: Path, ready: Path, progress: Progress | None) -> None:
    """Read quotations with Flite's voices in turn, each at several speeds."""
    texts = [
        ' '.join(text.split())
        for name in QUOTATIONS
        for path in unpacked.rglob(name)
        for text in path.read_text(errors='replace').split('\n%\n')
    ]
    shortest, longest = QUOTATION_CHARACTERS
    texts = [text for text in texts if shortest <= len(text) <= longest]
    for i, text in enumerate(texts):
        voice = VOICES[i % len(VOICES)]
        stretch = STRETCHES[i // len(VOICES) % len(STRETCHES)]
        wav, flac = ready / 'spoken.wav', ready / f'{i:05d}_{voice}.flac'
        options = ['-voice', voice, '--setf', f'duration_stretch={stretch}', '-o', str(wav)]
        subprocess.run(['flite', *options, '-t', text], check=True, stdin=subprocess.DEVNULL)
        samples, rate = soundfile.read(wav, dtype='int16')
        soundfile.write(flac, samples, rate)
        wav.unlink()
        if progress:
            progress(i + 1, len(texts))


SPECIAL = {
    'beneath-a-steel-sky': _unpack_sky,
    'flight-of-the-amazon-queen': _unpack_queen,
    'fortunes': _speak,
}
