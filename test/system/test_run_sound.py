"""A robot that hears a sound file, or a microphone at the end of a cable, obeys what is said."""

from __future__ import annotations

import re
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from conftest import PATIENCE_S
from real_time import in_real_time
from sound_server import SoundServer

from kws_imu_ros.audio.block import AudioBlock
from kws_imu_ros.bags.reading import read_raw, read_sensors, typestore
from kws_imu_ros.messages.motion import velocity_from_message

pytestmark = [pytest.mark.ros, pytest.mark.sound, pytest.mark.realtime]

pytest.importorskip('rclpy', reason='ROS 2 is not installed')

REPOSITORY = Path(__file__).resolve().parents[2]
RATE = 16_000
# The demo's "left" and "up", with the quiet room around them.
WORDS_S = (3.8, 9.2)
# Far more than any of the runs takes, s.
RUN_S = 240.0


@pytest.fixture(scope='module')
def words() -> np.ndarray:
    """Return "left" and "up" as int16 (n,) at 16 kHz."""
    contents = (message.content for message in read_sensors(REPOSITORY / 'demo' / 'bag'))
    sound = np.concatenate([item.samples for item in contents if isinstance(item, AudioBlock)])
    first, last = (round(second * RATE) for second in WORDS_S)
    return sound[first:last]


def wav_of_a_camera(path: Path, words: np.ndarray) -> Path:
    """Write 44.1 kHz stereo."""
    fast = soxr.resample(words.astype(np.float32) / 32768, RATE, 44_100)
    soundfile.write(path / 'words.wav', np.stack([fast, fast], axis=1), 44_100)
    return path / 'words.wav'


def flac(path: Path, words: np.ndarray) -> Path:
    soundfile.write(path / 'words.flac', words, RATE)
    return path / 'words.flac'


def assert_driven(bag: Path) -> None:
    """Assert that left and up were commanded, that the robot obeyed, and that it stood at last."""
    messages = [
        (raw.topic, typestore().deserialize_cdr(raw.data, raw.type))
        for raw in read_raw(bag, ['command', 'cmd_vel'])
    ]
    commands = [message.data for topic, message in messages if topic == '/command']
    assert commands == ['left', 'up']
    velocities = [velocity_from_message(item) for topic, item in messages if topic == '/cmd_vel']
    turning = next(i for i, velocity in enumerate(velocities) if velocity.angular_z > 0.5)
    driving = next(i for i, velocity in enumerate(velocities) if velocity.linear_x > 0.1)
    assert turning < driving, 'left came first'
    assert velocities[-1].linear_x == velocities[-1].angular_z == 0.0


@pytest.mark.parametrize('write', [wav_of_a_camera, flac])
def test_a_sound_file_drives_the_robot(
    tmp_path: Path, processes, words: np.ndarray, bundle_directory: Path, write
):
    path = write(tmp_path, words)

    def attempt(out: Path) -> None:
        options = ['--model', bundle_directory, '--output', out]
        child = processes.start('-m', 'kws_imu_ros', 'run', '--input', path, *options)
        assert child.wait(RUN_S) == 0
        assert '2 commands, ' in child.output
        assert 'warns' not in child.output, 'that the file ends is no surprise'
        assert (out / 'path.png').is_file()
        assert_driven(out / 'bag')

    in_real_time(processes, tmp_path, attempt)


@pytest.fixture
def sound_server():
    server = SoundServer()
    server.start()
    yield server
    server.close()


def test_a_microphone_drives_the_robot(
    tmp_path: Path, processes, sound_server, words: np.ndarray, bundle_directory: Path
):
    pytest.importorskip('sounddevice', exc_type=ImportError, reason='PortAudio is not installed')

    def attempt(out: Path) -> None:
        child = processes.start(
            *('-m', 'kws_imu_ros', 'run', '--input', 'microphone', '--imu', 'none'),
            *('--device', 'pulse', '--model', bundle_directory, '--output', out),
            environment=sound_server.environment,
        )
        assert child.wait_for('heard silence'), 'it listens'
        player = sound_server.play(words)
        understood = child.wait_for('up      [voice]', 20.0)
        player.wait(PATIENCE_S)
        time.sleep(0.5)  # So that what follows is not the end of the word's own command.
        child.send_signal(signal.SIGINT)
        assert child.wait() == 0, 'to end it is the one way to end it'
        assert understood
        assert '2 commands, ' in child.output
        assert 'Traceback' not in child.output
        assert_driven(out / 'bag')

    in_real_time(processes, tmp_path, attempt)


def test_a_microphone_that_is_not_there_is_one_sentence(tmp_path: Path, processes):
    child = processes.start(
        *('-m', 'kws_imu_ros', 'run', '--input', 'microphone', '--device', 'a flute'),
        *('--output', tmp_path / 'out'),
    )
    assert child.wait() == 2
    lines = child.output.strip().splitlines()
    assert 'Traceback' not in child.output
    # By how much of a microphone this machine has: none, no PortAudio, or none of this name.
    assert re.search('No microphone was found|PortAudio|a flute', lines[-1])
    assert lines[-1].endswith('.')
