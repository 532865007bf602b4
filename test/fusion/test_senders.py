"""Two senders on one topic are told from one that lost, repeated or began anew."""

from __future__ import annotations

import numpy as np
import pytest

from kws_imu_ros.audio.block import AudioBlock
from kws_imu_ros.fusion.senders import AudioSenders
from kws_imu_ros.sensing.turns import Turns

BLOCK_NS = 20_000_000
SILENCE = np.zeros(320, np.int16)


def blocks(count: int, start_ns: int = 0, sequence: int = 0) -> list[AudioBlock]:
    return [AudioBlock(start_ns + i * BLOCK_NS, sequence + i, 16000, SILENCE) for i in range(count)]


def mixed(arriving: list[AudioBlock]) -> bool:
    senders = AudioSenders()
    for block in arriving:
        senders.push(block)
    return senders.mixed


@pytest.mark.parametrize('sequence', [0, 7, 5000])
@pytest.mark.parametrize('apart_ns', [0, 3_000_000, 10_000_000, 3600 * 10**9])
def test_two_microphones_are_told(sequence: int, apart_ns: int) -> None:
    if sequence == 0 and apart_ns == 0:
        pytest.skip('they are the same')
    one, other = blocks(50, 10**12), blocks(50, 10**12 + apart_ns, sequence)
    assert mixed([block for pair in zip(one, other) for block in pair])


def test_one_microphone_may_lose_repeat_and_begin_anew() -> None:
    stream = blocks(200)
    assert not mixed(stream)
    assert not mixed(stream[::3])
    assert not mixed([block for block in stream for _ in range(2)])
    late = [block for i in range(5, 200) for block in (stream[i], stream[i - 5])]
    assert not mixed(late)
    assert not mixed([*stream, *blocks(100, 10**12)])
    assert not mixed([*stream, *blocks(100, -(10**12) + 10**13)])


def test_a_microphone_that_does_not_count_is_one() -> None:
    assert not mixed([AudioBlock(b.stamp_ns, 0, 16000, SILENCE) for b in blocks(100)])


def test_taking_over_is_no_mixture_and_taking_turns_is() -> None:
    turns = Turns()
    for sender in 'a' * 50 + 'b' * 50 + 'a' * 3:
        turns.push(sender)
    assert not turns.mixed
    for sender in 'ab' * 10:
        turns.push(sender)
    assert turns.mixed
    for sender in 'b' * 100:
        turns.push(sender)
    assert not turns.mixed
