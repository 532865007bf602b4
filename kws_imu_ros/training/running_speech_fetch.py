"""
Gather running speech from Debian's and Ubuntu's archives: hours of people talking, freely given.

Telephone prompts in five languages, the dialogues of two games, one in English and one in Czech and
Dutch, and quotations in English read by a synthesizer: where a Debian mirror is reachable these
need no account. Any other folder of
people talking serves as well: `kws-imu train --running-speech` takes every tree of wav, flac or
ogg.
"""

from __future__ import annotations

import io
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import soundfile

from kws_imu_ros.errors import KwsImuError

Progress = Callable[[str, int, int], None]
SHORTEST_BYTES = 3000
NO_SPEECH = ('silence', 'beep', 'tone')
QUOTATIONS = ('literature', 'science', 'wisdom', 'work')
QUOTATION_CHARACTERS = (60, 400)
VOICES = ('slt', 'rms', 'awb', 'kal16')
STRETCHES = (0.8, 0.9, 1.0, 1.1)
# A line of dialogue this short may be a single word, and a "no" said alone is a command.
SHORTEST_LINE_S = 1.2
# Where the file with the lines starts to list them: name, one byte, offset, size.
LINES_AT, LINES_COUNT_AT = 15, 13
LINE_RECORD = struct.Struct('>12sxII')


@dataclass(frozen=True)
class Package:
    """A Debian package that holds speech; `credit` is who made it and under what licence."""

    name: str
    credit: str


_ASTERISK = 'Digium and the speakers, CC BY-SA 3.0'
PACKAGES = (
    Package('asterisk-core-sounds-en-g722', f'Asterisk prompts, Allison Smith; {_ASTERISK}'),
    Package('asterisk-core-sounds-es-g722', f'Asterisk prompts, Allison Smith; {_ASTERISK}'),
    Package('asterisk-core-sounds-fr-g722', f'Asterisk prompts, June Wallack; {_ASTERISK}'),
    Package('asterisk-core-sounds-it-g722', f'Asterisk prompts; {_ASTERISK}'),
    Package('asterisk-core-sounds-ru-g722', 'Asterisk prompts, Maxim Topal, CC BY 3.0'),
    Package('fillets-ng-data-cs', 'Fish Fillets, ALTAR interactive, GPL-2+'),
    Package('fillets-ng-data-nl', 'Fish Fillets, ALTAR interactive, GPL-2+'),
    Package(
        'flight-of-the-amazon-queen',
        'Flight of the Amazon Queen, John Passfield and Steven Stamatiadis, freeware',
    ),
    Package('fortunes', 'quotations, read by the voices of Flite, Carnegie Mellon University'),
)


def fetch_running_speech(directory: Path, progress: Progress | None = None) -> int:
    """
    Put the speech of `PACKAGES` under `directory`, a folder a package; return the recordings.

    A package whose folder is there already is left as it is. progress(name, done, total) in files.

    Raises:
        KwsImuError: a tool (apt-get, dpkg-deb, ffmpeg, flite) is missing, or a package cannot be
            downloaded.

    """
    tools = {'apt-get': 'apt', 'dpkg-deb': 'dpkg', 'ffmpeg': 'ffmpeg', 'flite': 'flite'}
    for tool, package in tools.items():
        if shutil.which(tool) is None:
            raise KwsImuError(
                f'{tool} is not installed; install {package} on Debian or Ubuntu, or give '
                f'any folder of people talking to --running-speech instead.'
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
            if package.name == 'fortunes':
                _speak(unpacked, ready, progress)
            elif package.name == 'flight-of-the-amazon-queen':
                _cut_into_lines(unpacked, ready, progress)
            else:
                _collect(package.name, unpacked, ready, progress)
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


def _collect(name: str, unpacked: Path, ready: Path, progress: Progress | None) -> None:
    """Bring every recording of an unpacked package into `ready`, in a format libsndfile reads."""
    sources = sorted(
        p
        for p in unpacked.rglob('*')
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
            progress(name, i + 1, len(sources))


def _cut_into_lines(unpacked: Path, ready: Path, progress: Progress | None) -> None:
    """Take the lines of dialogue, MP3 each, out of the one file that holds the whole game."""
    game = next(unpacked.rglob('queen.1c')).read_bytes()
    (count,) = struct.unpack_from('>H', game, LINES_COUNT_AT)
    table = memoryview(game)[LINES_AT : LINES_AT + count * LINE_RECORD.size]
    lines = [entry for entry in LINE_RECORD.iter_unpack(table) if b'.SB' in entry[0]]
    for i, (name, offset, size) in enumerate(lines):
        samples, rate = soundfile.read(io.BytesIO(game[offset : offset + size]), dtype='int16')
        if len(samples) >= SHORTEST_LINE_S * rate:
            stem = name.split(b'.')[0].decode()
            soundfile.write(ready / f'{stem}.flac', samples, rate)
        if progress:
            progress('flight-of-the-amazon-queen', i + 1, len(lines))


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
            progress('fortunes', i + 1, len(texts))
