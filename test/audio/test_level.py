"""Real words at levels of real microphones: those that are too quiet are told from a quiet room."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kws_imu_ros.audio.level import LevelWatch
from kws_imu_ros.audio.sound_file import read_audio_file


@pytest.fixture
def words(test_data) -> np.ndarray:
    """Return real words with a second between them, as loud as full scale allows, int16 (n,)."""
    paths = sorted((test_data / 'speech_commands').glob('[!_]*/*.ogg'))[:4]
    pause = np.zeros(16000)
    parts = [read_audio_file(path).astype(float) for path in paths]
    return np.concatenate([np.append(part / np.abs(part).max(), pause) for part in parts]) * 32767


def watch(samples: np.ndarray, block: int = 320) -> LevelWatch:
    level = LevelWatch()
    for start in range(0, len(samples), block):
        level.push(np.clip(np.rint(samples[start : start + block]), -32768, 32767).astype(np.int16))
    return level


def at_level(words: np.ndarray, dbfs: float, room_dbfs: float) -> np.ndarray:
    """Return words whose loudest 0.2 s has a level, in a room of another, as floats (n,)."""
    random = np.random.default_rng(0)
    room = random.normal(0.0, 32768 * 10 ** (room_dbfs / 20), len(words))
    return words * 10 ** ((dbfs - watch(words).loudest_dbfs) / 20) + room


@pytest.mark.parametrize('block', [80, 320, 3200])
@pytest.mark.parametrize(
    ('dbfs', 'room_dbfs', 'too_quiet'),
    [(-15, -60, False), (-40, -70, False), (-48, -75, True), (-60, -85, True), (-75, -95, True)],
)
def test_words_that_are_too_quiet_are_told(words, dbfs, room_dbfs, too_quiet, block):
    level = watch(at_level(words, dbfs, room_dbfs), block)
    assert level.loudest_dbfs == pytest.approx(dbfs, abs=1.0)
    assert level.too_quiet is too_quiet


@pytest.mark.parametrize('room_dbfs', [-40, -50, -60, -80])
def test_a_room_in_which_nobody_speaks_tells_nothing_of_the_microphone(words, room_dbfs):
    room = at_level(words, -20, room_dbfs) - at_level(words, -20, -300)
    assert watch(room).loudest_dbfs == pytest.approx(room_dbfs, abs=2.0)
    assert not watch(room).too_quiet


def test_silence_and_nothing_are_no_quiet_words():
    assert LevelWatch().loudest_dbfs == -math.inf
    assert not LevelWatch().too_quiet
    level = watch(np.zeros(16000 * 12))
    assert level.loudest_dbfs == -math.inf and not level.too_quiet


def test_only_the_newest_ten_seconds_count(words):
    loud, quiet = at_level(words, -20, -70), at_level(words, -50, -80)
    assert not watch(np.concatenate((quiet, loud))).too_quiet
    assert watch(np.concatenate((loud, np.tile(quiet, 2)))).too_quiet


@given(st.lists(st.integers(1, 4000), min_size=1, max_size=20))
def test_the_size_of_blocks_does_not_matter(sizes):
    samples = np.random.default_rng(1).normal(0, 1000, sum(sizes)).astype(np.int16)
    pieces, whole = LevelWatch(), LevelWatch()
    place = 0
    for size in sizes:
        pieces.push(samples[place : place + size])
        place += size
    whole.push(samples)
    if sum(sizes) <= 160_000:
        assert pieces.loudest_dbfs == pytest.approx(whole.loudest_dbfs)
