"""Downloads over real HTTP on this machine: resume, checksums, bad archives, no network."""

from __future__ import annotations

import hashlib
import http.server
import io
import re
import socket
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from kws_imu_ros.commands.lab import data as cli_data
from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.lab.data import data_fetch
from kws_imu_ros.lab.data.data_fetch import DATA_SETS, DataSet, fetch


class Server:
    """A small HTTP server with ranges and entity tags, which can fail on purpose."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.ranges: list[str] = []
        self.cut_after: int | None = None
        self.claimed_length: int | None = None
        self.sent = 0
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = server.files.get(self.path)
                if body is None:
                    self.send_error(404)
                    return
                tag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
                wanted = self.headers.get('Range', '')
                server.ranges.append(wanted)
                start = 0
                match = re.fullmatch(r'bytes=(\d+)-', wanted)
                if match and self.headers.get('If-Range', tag) == tag:
                    start = int(match[1])
                if start >= len(body) and match and start:
                    self.send_error(416)
                    return
                self.send_response(206 if start else 200)
                self.send_header('ETag', tag)
                length = len(body) - start
                self.send_header('Content-Length', str(server.claimed_length or length))
                self.end_headers()
                payload = body[start:]
                if server.cut_after is not None:
                    payload = payload[: server.cut_after]
                self.wfile.write(payload)
                server.sent += len(payload)

            def log_message(self, *arguments: object) -> None:
                pass

        self.http = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        self.thread = threading.Thread(target=self.http.serve_forever, daemon=True)
        self.thread.start()

    @property
    def address(self) -> str:
        return f'http://127.0.0.1:{self.http.server_address[1]}'

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()


@pytest.fixture
def server() -> Iterator[Server]:
    """Return a running server without files."""
    running = Server()
    yield running
    running.close()


@pytest.fixture(scope='module')
def speech_archive(test_data: Path) -> bytes:
    """Return a .tar.gz of real clips with ./ in front of its members, as the published one."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode='w:gz') as archive:
        for path in sorted((test_data / 'speech_commands').rglob('*.ogg')):
            archive.add(path, './' + str(path.relative_to(test_data / 'speech_commands')))
    return stream.getvalue()


def speech_set(body: bytes) -> DataSet:
    """Return the description of a data set with this archive."""
    return replace(
        DATA_SETS['speech_commands_v0.02'],
        archive='clips.tar.gz',
        bytes=len(body),
        sha256=hashlib.sha256(body).hexdigest(),
    )


def assert_complete(folder: Path, test_data: Path) -> None:
    """Compare an unpacked folder with the real clips."""
    wanted = {
        p.relative_to(test_data / 'speech_commands'): p
        for p in (test_data / 'speech_commands').rglob('*.ogg')
    }
    found = {p.relative_to(folder): p for p in folder.rglob('*') if p.is_file()}
    assert found.keys() == wanted.keys()
    assert all(found[name].read_bytes() == wanted[name].read_bytes() for name in wanted)


def test_a_data_set_is_downloaded_checked_unpacked_and_not_fetched_twice(
    server, speech_archive, test_data, tmp_path
):
    server.files['/clips.tar.gz'] = speech_archive
    data_set = speech_set(speech_archive)
    stages = []
    folder = fetch(data_set, tmp_path, server.address, progress=lambda *state: stages.append(state))
    assert_complete(folder, test_data)
    assert ('download', len(speech_archive), len(speech_archive)) in stages
    assert stages[-1][0] == 'unpack'
    assert not list((tmp_path / 'downloads').glob('*'))
    assert fetch(data_set, tmp_path, server.address) == folder
    assert server.sent == len(speech_archive)


def test_a_broken_download_goes_on_where_it_stopped(server, speech_archive, test_data, tmp_path):
    server.files['/clips.tar.gz'] = speech_archive
    server.cut_after = 40_000
    data_set = speech_set(speech_archive)
    with pytest.raises(KwsImuError, match='40,000 bytes are kept: run the command again'):
        fetch(data_set, tmp_path, server.address)
    server.cut_after = None
    assert_complete(fetch(data_set, tmp_path, server.address), test_data)
    assert server.ranges == ['', 'bytes=40000-']
    assert server.sent == len(speech_archive)


def test_a_complete_part_file_needs_no_more_bytes(server, speech_archive, test_data, tmp_path):
    server.files['/clips.tar.gz'] = speech_archive
    (tmp_path / 'downloads').mkdir()
    (tmp_path / 'downloads' / 'clips.tar.gz.part').write_bytes(speech_archive)
    assert_complete(fetch(speech_set(speech_archive), tmp_path, server.address), test_data)
    assert server.sent == 0


def test_a_file_that_changed_in_between_is_fetched_whole(
    server, speech_archive, test_data, tmp_path
):
    other = bytes(len(speech_archive))
    server.files['/clips.tar.gz'] = other
    server.cut_after = 40_000
    data_set = speech_set(speech_archive)
    with pytest.raises(KwsImuError, match='run the command again'):
        fetch(data_set, tmp_path, server.address)
    server.files['/clips.tar.gz'] = speech_archive
    server.cut_after = None
    assert_complete(fetch(data_set, tmp_path, server.address), test_data)


def test_a_wrong_checksum_is_refused_and_removed(server, speech_archive, tmp_path):
    damaged = bytearray(speech_archive)
    damaged[5000] ^= 1
    server.files['/clips.tar.gz'] = bytes(damaged)
    with pytest.raises(
        KwsImuError, match=r'clips\.tar\.gz has the sha256 .* run the command again'
    ):
        fetch(speech_set(speech_archive), tmp_path, server.address)
    assert not list(tmp_path.rglob('*.gz*'))
    assert not (tmp_path / 'speech_commands_v0.02').exists()


def test_another_size_and_a_missing_file_are_refused(server, speech_archive, tmp_path):
    data_set = speech_set(speech_archive)
    with pytest.raises(KwsImuError, match='answers 404'):
        fetch(data_set, tmp_path, server.address)
    server.files['/clips.tar.gz'] = speech_archive + b'more'
    with pytest.raises(KwsImuError, match='not the published archive'):
        fetch(data_set, tmp_path, server.address)


def test_a_disk_that_is_too_small_is_known_before_the_download(server, speech_archive, tmp_path):
    server.files['/clips.tar.gz'] = speech_archive
    server.claimed_length = 10**15
    data_set = replace(speech_set(speech_archive), bytes=None)
    with pytest.raises(KwsImuError, match='free some space or give another folder'):
        fetch(data_set, tmp_path, server.address)


def test_without_a_network_the_sentence_says_what_to_do_by_hand(
    speech_archive, test_data, tmp_path
):
    with socket.socket() as unused:
        unused.bind(('127.0.0.1', 0))
        address = f'http://127.0.0.1:{unused.getsockname()[1]}'
    data_set = speech_set(speech_archive)
    with pytest.raises(KwsImuError, match='download it on another computer, copy it to') as caught:
        fetch(data_set, tmp_path, address)
    place = Path(re.search(r'copy it to (\S+) and', str(caught.value))[1])
    place.write_bytes(speech_archive)
    assert_complete(fetch(data_set, tmp_path, address), test_data)


def test_an_unknown_checksum_is_recorded_at_the_first_download(server, speech_archive, tmp_path):
    server.files['/clips.tar.gz'] = speech_archive
    data_set = replace(speech_set(speech_archive), bytes=None, sha256=None)
    fetch(data_set, tmp_path, server.address)
    record = tmp_path / 'downloads' / 'clips.tar.gz.sha256'
    assert record.read_text().split()[0] == hashlib.sha256(speech_archive).hexdigest()
    (tmp_path / data_set.name).rename(tmp_path / 'elsewhere')
    server.files['/clips.tar.gz'] = speech_archive + b'\0'
    with pytest.raises(KwsImuError, match='sha256'):
        fetch(data_set, tmp_path, server.address)


def test_only_wanted_members_of_a_nested_zip_are_unpacked(server, test_data, tmp_path):
    inner, outer = io.BytesIO(), io.BytesIO()
    rows = (test_data / 'hapt' / 'labels.txt').read_bytes()
    with zipfile.ZipFile(inner, 'w') as archive:
        archive.writestr('UCI HAR Dataset/train/Inertial Signals/total_acc_x_train.txt', rows)
        archive.writestr('UCI HAR Dataset/activity_labels.txt', rows)
        archive.writestr('__MACOSX/UCI HAR Dataset/._activity_labels.txt', b'x')
    with zipfile.ZipFile(outer, 'w') as archive:
        archive.writestr('UCI HAR Dataset.names', b'names')
        archive.writestr('UCI HAR Dataset.zip', inner.getvalue())
    body = outer.getvalue()
    server.files['/har.zip'] = body
    digest = hashlib.sha256(body).hexdigest()
    data_set = replace(DATA_SETS['har'], bytes=len(body), sha256=digest)
    folder = fetch(data_set, tmp_path, server.address)
    found = sorted(str(p.relative_to(folder)) for p in folder.rglob('*') if p.is_file())
    assert found == ['activity_labels.txt', 'train/Inertial Signals/total_acc_x_train.txt']


def test_a_member_that_points_outside_is_refused(server, tmp_path):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode='w:gz') as archive:
        member = tarfile.TarInfo('../../escaped.txt')
        member.size = 4
        archive.addfile(member, io.BytesIO(b'evil'))
    body = stream.getvalue()
    server.files['/clips.tar.gz'] = body
    with pytest.raises(KwsImuError, match='points outside of its folder'):
        fetch(speech_set(body), tmp_path / 'a' / 'b', server.address)
    assert not list(tmp_path.rglob('escaped.txt'))


def test_an_archive_cut_short_by_hand_is_one_sentence(speech_archive, tmp_path):
    cut = speech_archive[: len(speech_archive) // 2]
    (tmp_path / 'downloads').mkdir()
    (tmp_path / 'downloads' / 'clips.tar.gz').write_bytes(cut)
    data_set = replace(speech_set(cut))
    with pytest.raises(KwsImuError, match='cannot be unpacked'):
        fetch(data_set, tmp_path)
    assert not (tmp_path / data_set.name).exists()


def test_the_published_layouts_match_what_the_loaders_read():
    def path(name: str, member: str) -> str | None:
        match = re.fullmatch(DATA_SETS[name].member, member)
        return match and match['path']

    assert path('grwd', 'GRWD-f63c/Gyronics Gestureset/swipe_up/subject_3/1.csv') == (
        'swipe_up/subject_3/1.csv'
    )
    assert path('grwd', 'GRWD-f63c/Gyronics Dataset/subject_3/swipe_up/1.csv') is None
    for prefix in ('', 'HAPT Data Set/'):
        assert path('hapt', prefix + 'RawData/acc_exp01_user01.txt') == 'acc_exp01_user01.txt'
    assert path('hapt', 'HAPT Data Set/Train/X_train.txt') is None
    assert path('speech_commands_v0.01', './left/a_nohash_0.wav') == 'left/a_nohash_0.wav'


def test_the_command_lists_names_and_refuses_unknown_ones(capsys, tmp_path):
    import argparse

    parser = argparse.ArgumentParser()
    cli_data.add_arguments(parser)
    assert cli_data.run(parser.parse_args(['fetch'])) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in DATA_SETS)
    with pytest.raises(KwsImuError, match="no data set 'mnist'"):
        cli_data.run(parser.parse_args(['fetch', 'mnist', '--to', str(tmp_path)]))
    assert data_fetch.find_data_set('hapt').bytes == 79_596_192
