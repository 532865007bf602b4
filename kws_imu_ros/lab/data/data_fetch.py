"""
Download the public data sets from their official places, with checksums, and resume.

A download that stops, for whatever reason, leaves a ``.part`` file from which the same command
goes on. An archive that was put in place by hand is taken as if it had been downloaded.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import http.client
import re
import shutil
import tarfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import IO

from kws_imu_ros import __version__
from kws_imu_ros.errors import KwsImuError

CHUNK_BYTES = 1 << 20
TIMEOUT_S = 30.0
DOWNLOADS = 'downloads'

# stage ('download' or 'unpack'), done, total (0 where unknown); bytes, or files when unpacking.
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class DataSet:
    """
    A public data set.

    url: the archive at its official place. bytes and sha256: of that archive; None where the
    publisher's archive is not known to be stable, then the first download is recorded.
    member: pattern of the archive's members to keep; its group 'path' is where they go.
    nested: the archive holds one ``.zip`` that holds the data.
    """

    name: str
    title: str
    licence: str
    url: str
    archive: str
    bytes: int | None
    sha256: str | None
    member: str
    nested: bool = False


_EVERYTHING = r'(?:\./)?(?P<path>.+)'
_GOOGLE = 'https://storage.googleapis.com/download.tensorflow.org/data/'
_UCI = 'https://archive.ics.uci.edu/static/public/'

DATA_SETS = {
    data_set.name: data_set
    for data_set in (
        DataSet(
            'speech_commands_v0.01',
            'Google Speech Commands v0.01, 65,000 clips of 30 words',
            'CC BY 4.0, P. Warden, 2017',
            _GOOGLE + 'speech_commands_v0.01.tar.gz',
            'speech_commands_v0.01.tar.gz',
            1_489_096_277,
            '743935421bb51cccdb6bdd152e04c5c70274e935c82119ad7faeec31780d811d',
            _EVERYTHING,
        ),
        DataSet(
            'speech_commands_v0.02',
            'Google Speech Commands v0.02, 106,000 clips of 35 words',
            'CC BY 4.0, P. Warden, 2018',
            _GOOGLE + 'speech_commands_v0.02.tar.gz',
            'speech_commands_v0.02.tar.gz',
            2_428_923_189,
            'af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58',
            _EVERYTHING,
        ),
        DataSet(
            'speech_commands_test_v0.02',
            'the official test clips of Speech Commands v0.02, with silence and unknown words',
            'CC BY 4.0, P. Warden, 2018',
            _GOOGLE + 'speech_commands_test_set_v0.02.tar.gz',
            'speech_commands_test_set_v0.02.tar.gz',
            112_563_277,
            'cc2a00c1147c2254e9be3fa0f779d8c17421dc349b86366567a8edfa9acd51df',
            _EVERYTHING,
        ),
        DataSet(
            'grwd',
            'GRWD, forearm gestures of 40 subjects',
            'no licence stated; Gyronics Technologies',
            'https://codeload.github.com/GyronicsTechnologies/GRWD/zip/'
            'f63c2221f03c89e80f8b307c46f05a824b24e4b0',
            'grwd.zip',
            None,
            None,
            r'[^/]+/Gyronics Gestureset/(?P<path>[^/]+/subject_\d+/.+\.csv)',
        ),
        DataSet(
            'hapt',
            'UCI HAPT, raw waist-phone motion of 30 users, 12 activities and transitions',
            'CC BY 4.0, J. L. Reyes-Ortiz et al., 2015',
            _UCI + '341/smartphone+based+recognition+of+human+activities+and+postural+'
            'transitions.zip',
            'hapt.zip',
            79_596_192,
            '4ac4ae064227c07045a99551876b54d204837e995e298b6488559e209b3deb09',
            r'(?:.*/)?(?:RawData/)?(?P<path>(?:(?:acc|gyro)_exp\d+_user\d+|labels|activity_labels)'
            r'\.txt)',
        ),
        DataSet(
            'har',
            'UCI HAR, inertial signals of 30 users, six activities',
            'CC BY 4.0, D. Anguita et al., 2013',
            _UCI + '240/human+activity+recognition+using+smartphones.zip',
            'har.zip',
            61_005_872,
            'c00b803081a5c797cd5e4b83700a9810b38d53d9d84e01917e090e1fdbc81031',
            r'UCI HAR Dataset/(?P<path>(?:train|test)/.+\.txt|[^/]+\.txt)',
            nested=True,
        ),
    )
}


def find_data_set(name: str) -> DataSet:
    """
    Return a known data set.

    Raises:
        KwsImuError: there is none of that name; the sentence lists the names.

    """
    if name not in DATA_SETS:
        raise KwsImuError(f"There is no data set '{name}'; the names are {', '.join(DATA_SETS)}.")
    return DATA_SETS[name]


def fetch(
    data_set: DataSet,
    directory: Path,
    mirror: str | None = None,
    keep_archive: bool = False,
    progress: Progress | None = None,
) -> Path:
    """
    Download, check and unpack a data set into ``<directory>/<name>``; return that folder.

    mirror: address of a folder that holds the archive under its own name, instead of the official
    place; the checksum is the same. What is complete already is not done again.

    Raises:
        KwsImuError: no network, wrong checksum, a broken archive, or not enough disk space; each
            in one sentence that says what to do.

    """
    progress = progress or (lambda stage, done, total: None)
    if mirror:
        data_set = replace(data_set, url=f'{mirror.rstrip("/")}/{data_set.archive}')
    target = directory / data_set.name
    if target.is_dir():
        return target
    archive = directory / DOWNLOADS / data_set.archive
    try:
        archive.parent.mkdir(parents=True, exist_ok=True)
        if not archive.is_file():
            _download(data_set, archive, progress)
        _verify(data_set, archive)
        _unpack(data_set, archive, target, progress)
        if not keep_archive:
            archive.unlink()
    except OSError as error:
        raise KwsImuError(
            f'{data_set.name} cannot be stored under {directory} ({error.strerror or error}); free '
            'some space or give another folder with --to, then run the command again.'
        ) from error
    return target


def _part(archive: Path) -> Path:
    """Return where an unfinished download is kept."""
    return archive.with_name(archive.name + '.part')


def _tag(archive: Path) -> Path:
    """Return where the server's mark of the file that is being downloaded is kept."""
    return archive.with_name(archive.name + '.part.tag')


def _download(data_set: DataSet, archive: Path, progress: Progress) -> None:
    """Download an archive to its place, going on from an earlier attempt where there is one."""
    part, tag = _part(archive), _tag(archive)
    done = part.stat().st_size if part.is_file() else 0
    request = urllib.request.Request(data_set.url, headers={'User-Agent': f'kws-imu/{__version__}'})
    if done:
        request.add_header('Range', f'bytes={done}-')
        if tag.is_file():
            # Where the file has changed meanwhile, the server sends all of the new one.
            request.add_header('If-Range', tag.read_text())
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:
            done = _receive(response, data_set, part, tag, done, progress)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416 and done and done == data_set.bytes:
            pass  # Everything was there already.
        elif error.code == 416:
            part.unlink(missing_ok=True)
            raise KwsImuError(
                f'The unfinished download {part} does not fit {data_set.url} any more and was '
                'removed; run the command again.'
            ) from None
        else:
            raise KwsImuError(
                f'{data_set.url} answers {error.code} ({error.reason}); {_by_hand(archive)}'
            ) from None
    except (
        urllib.error.URLError,
        http.client.HTTPException,
        TimeoutError,
        ConnectionError,
    ) as error:
        reason = getattr(error, 'reason', error)
        kept = part.stat().st_size if part.is_file() else 0
        note = f'{kept:,} bytes are kept: run the command again to go on, or ' if kept else ''
        raise KwsImuError(
            f'{data_set.name} cannot be fetched from {data_set.url} ({reason}); {note}'
            f'{_by_hand(archive)}'
        ) from None
    part.replace(archive)
    tag.unlink(missing_ok=True)


def _by_hand(archive: Path) -> str:
    """Return what to do without a network."""
    return (
        f'without a network here, download it on another computer, copy it to {archive} and run '
        'the command again.'
    )


def _receive(
    response: http.client.HTTPResponse,
    data_set: DataSet,
    part: Path,
    tag: Path,
    done: int,
    progress: Progress,
) -> int:
    """Write a response behind what is there already; return the size reached."""
    if response.status != 206:
        done = 0
    length = int(response.headers.get('Content-Length') or 0)
    total = done + length if length else data_set.bytes or 0
    if data_set.bytes and total != data_set.bytes:
        raise KwsImuError(
            f'{data_set.url} offers {total:,} bytes where {data_set.bytes:,} are expected; it is '
            'not the published archive, so nothing was taken.'
        )
    # The archive and, until it is removed, what is unpacked from it.
    free = shutil.disk_usage(part.parent).free
    if total and free < 2.5 * total - done:
        raise KwsImuError(
            f'{data_set.name} needs about {2.5 * total / 1e9:.1f} GB in {part.parent} but '
            f'{free / 1e9:.1f} GB are free; free some space or give another folder with --to.'
        )
    mark = response.headers.get('ETag') or response.headers.get('Last-Modified')
    if mark and not mark.startswith('W/'):
        tag.write_text(mark)
    with part.open('ab' if done else 'wb') as stream:
        while chunk := response.read(CHUNK_BYTES):
            stream.write(chunk)
            done += len(chunk)
            progress('download', done, total)
    if total and done < total:
        raise http.client.IncompleteRead(b'', total - done)
    return done


def sha256_of(path: Path) -> str:
    """Return the sha256 hex digest of a file."""
    digest = hashlib.sha256()
    with path.open('rb') as stream:
        while chunk := stream.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def _verify(data_set: DataSet, archive: Path) -> None:
    """Compare an archive with its known digest, or with the one recorded at the first download."""
    found = sha256_of(archive)
    record = archive.with_name(archive.name + '.sha256')
    wanted = data_set.sha256
    if wanted is None and record.is_file():
        wanted = record.read_text().split()[0]
    if wanted is None:
        record.write_text(f'{found}  {archive.name}\n')
    elif found != wanted:
        archive.unlink()
        raise KwsImuError(
            f'{archive} has the sha256 {found[:16]}... where {wanted[:16]}... is right, so it was '
            'damaged on the way or is another file; it was removed, run the command again.'
        )


def _unpack(data_set: DataSet, archive: Path, target: Path, progress: Progress) -> None:
    """Unpack the wanted members of an archive; the folder appears complete or not at all."""
    staging = target.with_name(f'.{target.name}.unpacking')
    shutil.rmtree(staging, ignore_errors=True)
    pattern = re.compile(data_set.member)
    kept = 0
    try:
        with contextlib.ExitStack() as stack:
            for done, total, name, open_member in _members(archive, data_set.nested, stack):
                progress('unpack', done, total)
                match = pattern.fullmatch(name)
                if not match:
                    continue
                relative = PurePosixPath(match['path'])
                if relative.is_absolute() or '..' in relative.parts:
                    raise KwsImuError(
                        f"{archive} holds a member '{name}' that points outside of its folder; it "
                        'is not the published archive, so remove it.'
                    )
                destination = staging.joinpath(*relative.parts)
                destination.parent.mkdir(parents=True, exist_ok=True)
                with open_member() as source, destination.open('wb') as stream:
                    shutil.copyfileobj(source, stream, CHUNK_BYTES)
                kept += 1
    except (tarfile.TarError, zipfile.BadZipFile, EOFError) as error:
        shutil.rmtree(staging, ignore_errors=True)
        raise KwsImuError(
            f'{archive} cannot be unpacked ({error}); remove it and run the command again.'
        ) from error
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    if not kept:
        raise KwsImuError(
            f'{archive} holds none of the files of {data_set.name}; it is not the published '
            'archive, so remove it.'
        )
    staging.rename(target)


def _extract(bundle: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    """Open a regular file of a tar archive."""
    stream = bundle.extractfile(member)
    if stream is None:
        raise tarfile.ReadError(f'{member.name} holds no data')
    return stream


def _members(
    archive: Path, nested: bool, stack: contextlib.ExitStack
) -> Iterator[tuple[int, int, str, Callable[[], IO[bytes]]]]:
    """Yield (done, total, name, opener) of the regular files in an archive, in its own order."""
    if archive.name.endswith('.zip'):
        outer = stack.enter_context(zipfile.ZipFile(archive))
        if nested:
            inner = next((n for n in outer.namelist() if n.lower().endswith('.zip')), None)
            if inner is None:
                raise zipfile.BadZipFile('there is no inner .zip in it')
            outer = stack.enter_context(zipfile.ZipFile(stack.enter_context(outer.open(inner))))
        entries = [entry for entry in outer.infolist() if not entry.is_dir()]
        for done, entry in enumerate(entries, 1):
            yield done, len(entries), entry.filename, functools.partial(outer.open, entry)
        return
    size = archive.stat().st_size
    raw = stack.enter_context(archive.open('rb'))
    bundle = stack.enter_context(tarfile.open(fileobj=raw, mode='r|gz'))
    for member in bundle:
        if member.isfile():
            # The compressed position is the only measure of progress that costs nothing.
            yield raw.tell(), size, member.name, functools.partial(_extract, bundle, member)
