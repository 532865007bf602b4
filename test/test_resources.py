"""Files are written whole or not at all."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import numpy as np
import pytest

from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.resources import replacing, write_whole


def test_a_file_is_whole_or_as_it_was(tmp_path: Path):
    path = tmp_path / 'new' / 'pool.npz'
    with replacing(path) as partial:
        np.savez(partial, words=np.arange(3))
        assert not path.exists()
    before = path.read_bytes()
    with pytest.raises(KeyboardInterrupt), replacing(path) as partial:
        partial.write_bytes(b'half')
        raise KeyboardInterrupt
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_a_link_stays_a_link(tmp_path: Path):
    (tmp_path / 'file').write_text('old')
    (tmp_path / 'link').symlink_to('file')
    write_whole(tmp_path / 'link', 'zurück\n')
    assert (tmp_path / 'link').is_symlink()
    assert (tmp_path / 'file').read_bytes() == 'zurück\n'.encode()


def test_a_pipe_is_written_itself(tmp_path: Path):
    pipe = tmp_path / 'pipe'
    os.mkfifo(pipe)
    writer = threading.Thread(target=write_whole, args=(pipe, b'through'))
    writer.start()
    assert pipe.read_bytes() == b'through'
    writer.join()
    assert pipe.is_fifo()


def test_what_cannot_be_written_is_one_sentence(tmp_path: Path):
    (tmp_path / 'file').write_text('')
    for path in (tmp_path / 'file' / 'below', tmp_path):
        with pytest.raises(KwsImuError, match='cannot be written'):
            write_whole(path, 'text')
