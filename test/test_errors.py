"""What files, disks and names do to Python becomes a sentence; a bug does not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kws_imu_ros.errors import KwsImuError, as_user_error, printable
from kws_imu_ros.resources import user_path


def error_of(function) -> BaseException:
    with pytest.raises((OSError, UnicodeError, ValueError)) as info:
        function()
    return info.value


@pytest.mark.parametrize(
    ('function', 'words'),
    [
        (lambda: Path('/nowhere/at/all').open(), '/nowhere/at/all'),
        (lambda: Path('a' * 300).stat(), 'name too long'),
        (lambda: Path('/dev/null/x').read_text(), '/dev/null/x'),
        (lambda: Path('/dev/full').write_text('x'), 'no space left'),
        (lambda: Path('/proc/self/mem').read_bytes(), 'input/output error'),
        (lambda: Path('/nowhere/a').rename('/nowhere/b'), '/nowhere/a and /nowhere/b'),
        (lambda: b'caf\xe9'.decode(), 'not UTF-8 (byte 0xe9'),
        (lambda: 'B\udcf6den'.encode(), 'B\\udcf6den is not UTF-8'),
    ],
)
def test_what_a_user_can_mend_is_a_sentence(function, words):
    problem = as_user_error(error_of(function))
    assert isinstance(problem, KwsImuError)
    assert words in str(problem)
    assert '\n' not in str(problem)


def test_a_bug_is_none():
    assert as_user_error(ValueError('a bug')) is None
    assert as_user_error(error_of(lambda: json.loads('{'))) is None
    assert as_user_error(OSError('without a file')) is None


def test_any_name_can_be_told():
    assert printable('a\nb\x1b[31m') == 'a\\nb\\x1b[31m'
    assert printable(b'caf\xe9') == 'caf\\udce9'
    assert printable(Path('x')) == 'x'
    assert len(printable('a' * 10_000)) < 300


@pytest.mark.parametrize(
    ('text', 'words'),
    [
        ('', 'empty path'),
        (' ', 'empty path'),
        ('~nobody_of_that_name/x.wav', '~nobody_of_that_name/x.wav'),
        ('a\0b', 'zero byte'),
        ('a' * 300, 'longer than'),
    ],
)
def test_a_path_that_is_none_is_refused(text, words):
    with pytest.raises(KwsImuError, match=words):
        user_path(text)


def test_a_path_of_a_person(monkeypatch, tmp_path):
    monkeypatch.setenv('HOME', str(tmp_path))
    assert user_path('~/talk.wav') == tmp_path / 'talk.wav'
    assert user_path(Path('runs')) == Path('runs')
    # Whether it is there, and may be read, is for whoever reads it to say.
    assert user_path('/dev/null/x') == Path('/dev/null/x')
