"""An offset of the sound neither colours it nor ends in a step."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kws_imu_ros.audio.frontend import FrontEndParameters, LogMelStream
from kws_imu_ros.audio.offset import Offset

RATE = 16000


def room(seconds: float, offset: float = 0.0) -> np.ndarray:
    """Return noise around an offset of full scale."""
    noise = np.random.default_rng(1).normal(0.0, 200.0, int(seconds * RATE))
    return np.clip(noise + offset * 32768.0, -32768, 32767).astype(np.int16)


def frames(sound: np.ndarray, size: int = 320) -> np.ndarray:
    """Return the log-mel frames of a sound that comes in blocks."""
    offset, stream = Offset(), LogMelStream()
    pieces = []
    for start in range(0, len(sound), size):
        for piece, has_offset in offset.pieces(sound[start : start + size]):
            pieces.append(stream.push(piece, centred=has_offset))
    return np.concatenate(pieces)


@pytest.mark.parametrize('offset', [0.05, 0.4, -0.6])
def test_with_an_offset_a_room_sounds_as_without(offset: float) -> None:
    np.testing.assert_allclose(frames(room(1.0, offset)), frames(room(1.0)), atol=0.5)


@pytest.mark.parametrize('offset', [0.05, 0.4, -0.6])
def test_where_the_sound_ends_there_is_no_step(offset: float) -> None:
    silence = np.zeros(RATE, np.int16)
    loudest = frames(room(1.0)).max()
    ended = frames(np.concatenate((room(1.0, offset), silence)))
    assert ended.max() < loudest + 0.5
    # It fades to silence, slower than any word.
    assert ended[-1].max() < loudest - 1.0
    stepped = LogMelStream().push(np.concatenate((room(1.0, offset), silence)))
    assert stepped.max() > loudest + 3.0


def test_sound_without_an_offset_stays_as_it_is_to_the_bit() -> None:
    sound = np.concatenate((room(0.5), np.zeros(2000, np.int16), room(0.5)))
    offset = Offset()
    pieces = list(offset.pieces(sound))
    np.testing.assert_array_equal(np.concatenate([piece for piece, _ in pieces]), sound)
    assert not any(has_offset for _, has_offset in pieces)


def test_a_zero_on_the_way_of_loud_sound_is_no_silence() -> None:
    tone = 12000.0 * np.sin(np.arange(RATE) / 5.0) + 3000.0
    sound = tone.astype(np.int16)
    sound[8000:8010] = np.linspace(300, -300, 10).astype(np.int16)
    sound[8005] = 0
    kept = np.concatenate([piece for piece, _ in Offset().pieces(sound)])
    np.testing.assert_array_equal(kept, sound)


@settings(max_examples=30)
@given(
    sizes=st.lists(st.integers(1, 700), min_size=1, max_size=10),
    offset=st.sampled_from([0.0, 0.02, 0.3]),
)
def test_how_the_sound_is_cut_changes_nothing(sizes: list[int], offset: float) -> None:
    sound = np.concatenate((room(0.3, offset), np.zeros(3000, np.int16), room(0.2, offset)))
    whole, cut = Offset(), Offset()
    expected = np.concatenate([piece for piece, _ in whole.pieces(sound)])
    parts, at = [], 0
    while at < len(sound):
        size = sizes[len(parts) % len(sizes)]
        parts.append(np.concatenate([p for p, _ in cut.pieces(sound[at : at + size])]))
        at += size
    np.testing.assert_array_equal(np.concatenate(parts), expected)
    assert FrontEndParameters().fft_length > 480  # Frames end after the first chunk.
