"""The real microphone path: PortAudio over ALSA, from a cable that a clip is played into."""

from __future__ import annotations

import itertools
import time

import numpy as np
import pytest
from conftest import PATIENCE_S
from sound_server import SoundServer, likeness

from kws_imu_ros.audio.sound_file import read_audio_file
from kws_imu_ros.audio.sources.microphone import (
    MicrophoneSource,
    check_microphone,
    list_microphones,
)
from kws_imu_ros.errors import KwsImuError


@pytest.fixture
def sound_server(monkeypatch):
    server = SoundServer()
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    server.start()
    yield server
    server.close()


@pytest.fixture
def clip(test_data):
    paths = sorted((test_data / 'speech_commands').glob('[!_]*/*.ogg'))[:3]
    return np.concatenate([read_audio_file(path) for path in paths])


def listen(microphone, server, clip):
    """Play the clip; return the blocks around it, and how well the clip is among them."""
    found = 0.0
    blocks = []
    while not blocks:
        blocks += filter(None, [microphone.read(0.5)])
    for _ in range(5):  # Again, where the machine was held up while it played.
        player = server.play(clip)
        deadline = time.monotonic() + 20.0
        try:
            while time.monotonic() < deadline:
                block = microphone.read(0.5)
                if block is None:
                    continue
                blocks.append(block)
                if player.poll() is not None and len(blocks) % 10 == 0:
                    found = likeness(np.concatenate([b.samples for b in blocks]), clip)
                    if found > 0.97:
                        return blocks, found
        finally:
            player.kill()
            player.wait()
    return blocks, found


@pytest.mark.parametrize(
    ('capture_rate', 'capture_channels', 'block_ms'),
    [(0, 0, 20), (48000, 2, 20), (44100, 1, 40)],
    ids=['native', 'resampled from 48 kHz stereo', 'resampled from 44.1 kHz'],
)
def test_what_is_played_is_what_is_heard(
    sound_server, clip, capture_rate, capture_channels, block_ms
):
    microphone = MicrophoneSource(time.time_ns, 'pulse', block_ms, capture_rate, capture_channels)
    microphone.open()
    try:
        blocks, found = listen(microphone, sound_server, clip)
    finally:
        microphone.close()
    assert found > 0.97
    assert all(b.samples.dtype == np.int16 for b in blocks)
    assert {len(b.samples) for b in blocks} == {16 * block_ms}
    assert {b.sample_rate for b in blocks} == {16000}
    health = microphone.health
    assert health.blocks == len(blocks)
    lost = blocks[-1].sequence + 1 - len(blocks)
    assert lost == health.lost_blocks
    if health.overruns == health.clock_restarts == 0:  # Else the machine was too busy to hear all.
        assert lost == 0
        # Stamps follow the count of samples, not the moments of arrival.
        steps = np.diff([b.stamp_ns for b in blocks]) / 1e6
        assert np.abs(steps - block_ms).max() < 0.05 * block_ms
    assert abs(blocks[-1].stamp_ns - time.time_ns()) < 3600e9


def test_unplugging_is_reported_and_plugging_in_again_is_heard(sound_server, clip):
    microphone = MicrophoneSource(time.time_ns, 'pulse')
    microphone.open()
    try:
        before = None
        while before is None:
            before = microphone.read(1.0)
        sound_server.stop()
        with pytest.raises(KwsImuError, match='stopped delivering audio; plug it in again'):
            while True:
                before = microphone.read(1.0) or before
        with pytest.raises(KwsImuError, match=r'No microphone was found|was not found; choose'):
            microphone.open()
        sound_server.start()
        microphone.open()
        blocks, found = listen(microphone, sound_server, clip)
    finally:
        microphone.close()
    assert found > 0.97
    # The gap shows: blocks were lost while it was away.
    assert blocks[0].sequence > before.sequence + 1
    assert microphone.health.lost_blocks == blocks[0].sequence - before.sequence - 1
    assert microphone.health.openings == 2


def test_audio_that_nobody_reads_is_counted_as_lost(sound_server, monkeypatch):
    monkeypatch.setattr(MicrophoneSource, 'QUEUE_S', 0.2)
    microphone = MicrophoneSource(time.time_ns, 'pulse')
    microphone.open()
    try:
        before = None
        while before is None:
            before = microphone.read(1.0)
        deadline = time.monotonic() + PATIENCE_S
        while not microphone._dropping and time.monotonic() < deadline:
            time.sleep(0.1)
        blocks = []
        while len(blocks) < 60:
            block = microphone.read(5.0)
            if block is not None:
                blocks.append(block)
    finally:
        microphone.close()
    health = microphone.health
    assert health.overruns >= 1
    assert health.lost_blocks == blocks[-1].sequence - before.sequence - len(blocks) >= 1
    # The stamps tell how long a gap was: the sequence counts on by as many blocks.
    gaps = [
        (b.sequence - a.sequence, (b.stamp_ns - a.stamp_ns) / 20e6)
        for a, b in itertools.pairwise([before, *blocks])
        if b.sequence > a.sequence + 1
    ]
    assert gaps
    for counted, elapsed in gaps:
        assert counted == pytest.approx(elapsed, abs=1)


def test_a_wrong_name_lists_the_real_devices(sound_server):
    with pytest.raises(KwsImuError, match=r"'theremin' was not found; choose one of: .*'pulse'"):
        MicrophoneSource(time.time_ns, 'theremin').open()
    assert 'pulse' in [name for _, name in list_microphones()]
    check_microphone('pulse')
    with pytest.raises(KwsImuError, match='was not found'):
        check_microphone('theremin')


def test_without_a_sound_server_there_is_one_sentence(sound_server):
    sound_server.stop()
    with pytest.raises(KwsImuError, match=r'No microphone was found|was not found; choose'):
        MicrophoneSource(time.time_ns, 'pulse').open()
