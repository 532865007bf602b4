"""A microphone that lives is told from one that repeats itself or is muted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from kws_imu_ros.audio.liveness import SoundLiveness, SoundSign

BLOCK = 320


def signs(sound: np.ndarray, size: int = BLOCK) -> list[SoundSign]:
    liveness = SoundLiveness()
    return [liveness.push(sound[i : i + size]) for i in range(0, len(sound) - size + 1, size)]


def room(samples: int, level: float = 3.0) -> np.ndarray:
    return np.rint(np.random.default_rng(3).normal(0.0, level, samples)).astype(np.int16)


@pytest.mark.parametrize('path', ['left', 'stop', 'up'])
def test_words_live(test_data: Path, path: str) -> None:
    for file in sorted((test_data / 'speech_commands' / path).glob('*.ogg')):
        sound, _ = soundfile.read(file, dtype='int16')
        assert SoundSign.REPEATED not in signs(sound)


def test_a_very_quiet_room_lives() -> None:
    assert set(signs(room(16000, 0.6))) == {SoundSign.LIVING}


@pytest.mark.parametrize('buffer', [64, 320, 512, 1024, 2048, 4096])
@pytest.mark.parametrize('size', [160, 320, 512])
def test_a_buffer_that_comes_again_and_again_is_told(buffer: int, size: int) -> None:
    found = signs(np.concatenate((room(8000), np.tile(room(buffer, 500.0), 20))), size)
    stuck = found[(8000 + 2 * buffer) // size + 1 :]
    assert stuck and set(stuck) <= {SoundSign.REPEATED}
    assert set(found[: 8000 // size]) == {SoundSign.LIVING}


@pytest.mark.parametrize('level', [0, -1, 700])
def test_one_value_is_silence(level: int) -> None:
    found = signs(np.concatenate((room(3200), np.full(6400, level, np.int16), room(3200))))
    assert found[:10] == [SoundSign.LIVING] * 10
    assert found[10:30] == [SoundSign.CONSTANT] * 20
    assert found[30:] == [SoundSign.LIVING] * 10


def test_blocks_of_a_few_samples_are_judged_together() -> None:
    assert SoundSign.REPEATED not in signs(room(4000, 500.0), 10)
    assert signs(np.zeros(800, np.int16), 10)[-1] is SoundSign.CONSTANT
