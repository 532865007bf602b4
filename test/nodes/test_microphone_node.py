"""The microphone node as a process: a real sound card path, files, and what can go wrong."""

from __future__ import annotations

import re
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from sound_server import SoundServer, likeness

from kws_imu_ros.audio.sound_file import read_audio_file

pytest.importorskip('rclpy', reason='ROS 2 is not installed')

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rcl_interfaces.srv import DescribeParameters, SetParameters
from rclpy.parameter import Parameter
from rosgraph_msgs.msg import Clock as ClockMessage
from std_msgs.msg import Int16MultiArray

from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.messages.audio import audio_block_from_message
from kws_imu_ros.messages.fields import time_to_message
from kws_imu_ros.nodes.microphone_node import MicrophoneNode

REPOSITORY = Path(__file__).resolve().parents[2]
NODE = 'kws_imu_ros.nodes.microphone_node'


def start(processes, environment=None, **parameters):
    arguments = ['--ros-args']
    for name, value in parameters.items():
        arguments += ['-p', f'{name}:={value}']
    return processes.start('-m', NODE, *arguments, environment=environment)


def clips(test_data, count=2):
    paths = sorted((test_data / 'speech_commands').glob('[!_]*/*.ogg'))[:count]
    return paths, np.concatenate([read_audio_file(path) for path in paths])


def unbroken(messages):
    """Return the blocks of the longest part in which none is missing: a reader may be held up."""
    blocks = [audio_block_from_message(m, 16000) for m in messages]
    parts = [[]]
    for block in blocks:
        if parts[-1] and block.sequence != parts[-1][-1].sequence + 1:
            parts.append([])
        parts[-1].append(block)
    return max(parts, key=len)


def assert_in_order_and_even(messages):
    """Assert that blocks come in order and that their stamps count the samples before them."""
    blocks = [audio_block_from_message(m, 16000) for m in messages]
    sequences = np.array([b.sequence for b in blocks])
    assert np.diff(sequences).min() >= 1
    starts = {b.stamp_ns - b.sequence * 20_000_000 for b in blocks}
    assert len(starts) == 1


def samples_of(messages):
    blocks = [audio_block_from_message(m, 16000) for m in messages]
    return np.concatenate([b.samples for b in blocks]) if blocks else np.zeros(0, np.int16)


def statuses(diagnostics):
    return [s for array in diagnostics for s in array.status if s.name == 'microphone']


def test_a_file_is_published_block_by_block(processes, probe, test_data):
    (path, *_), _ = clips(test_data)
    audio = probe.record(Int16MultiArray, 'audio')
    diagnostics = probe.record(DiagnosticArray, '/diagnostics')
    # Repeated, so that nothing hangs on how fast the graph finds itself.
    start(processes, input=path, repeat='true', trailing_silence='0.0')
    expected = read_audio_file(path)
    assert probe.spin_until(lambda: len(unbroken(audio)) * 320 > 2.5 * len(expected))
    blocks = unbroken(audio)
    assert likeness(np.concatenate([b.samples for b in blocks]), expected) > 0.999
    assert_in_order_and_even(audio)
    assert abs(blocks[-1].stamp_ns - time.time_ns()) < 3600e9

    def published():
        status = statuses(diagnostics)[-1] if statuses(diagnostics) else DiagnosticStatus()
        values = {v.key: v.value for v in status.values}
        return status if float(values.get('rate (blocks/s)', 0)) > 0 else None

    assert probe.spin_until(published)
    status = published()
    assert status.level == DiagnosticStatus.OK
    values = {v.key: v.value for v in status.values}
    assert int(values['blocks']) > 0
    assert values['overruns'] == '0'


def test_words_of_a_microphone_that_is_too_quiet_are_told(processes, probe, test_data, tmp_path):
    _, words = clips(test_data)
    # As a MEMS microphone on I2S without gain: 24 bits, of which the upper ones are never used.
    quiet = words / np.abs(words).max() * 10 ** (-40 / 20)
    soundfile.write(tmp_path / 'quiet.wav', quiet, 16000, subtype='PCM_24')
    diagnostics = probe.record(DiagnosticArray, '/diagnostics')
    probe.record(Int16MultiArray, 'audio')
    start(processes, input=tmp_path / 'quiet.wav', repeat='true')
    assert probe.spin_until(
        lambda: any('is too quiet' in status.message for status in statuses(diagnostics))
    )
    told = next(status for status in statuses(diagnostics) if 'is too quiet' in status.message)
    assert told.level == DiagnosticStatus.WARN
    assert 'below -45 words are lost; raise the gain' in told.message


def test_the_process_ends_with_its_file_and_nothing_of_it_is_lost(processes, probe, test_data):
    (path, *_), _ = clips(test_data)
    audio = probe.record(Int16MultiArray, 'audio')
    child = start(processes, input=path, trailing_silence='4.0')
    assert probe.spin_until(lambda: child.popen.poll() is not None)
    assert child.wait() == 0
    assert 'has ended' in child.output
    last = -(-(len(read_audio_file(path)) + 64000) // 320) - 1
    assert probe.spin_until(lambda: audio and audio_block_from_message(audio[-1]).sequence == last)


def test_a_file_waits_for_somebody_to_hear_its_start(processes, probe, test_data):
    (path, *_), _ = clips(test_data)
    child = start(processes, input=path, repeat='true')
    assert child.wait_for('Reading file')
    probe.spin_until(lambda: False, 1.0)  # Nobody listens yet.
    began_ns = time.time_ns()
    audio = probe.record(Int16MultiArray, 'audio')
    assert probe.spin_until(lambda: bool(audio))
    # By its stamp: two sides of the graph find each other a moment apart.
    first = audio_block_from_message(audio[0])
    assert first.stamp_ns - first.sequence * 20_000_000 >= began_ns


@pytest.fixture
def sound_server():
    server = SoundServer()
    server.start()
    yield server
    server.close()


def test_what_is_played_is_published_and_unplugging_is_survived(
    processes, probe, sound_server, test_data
):
    _, clip = clips(test_data)
    audio = probe.record(Int16MultiArray, 'audio')
    diagnostics = probe.record(DiagnosticArray, '/diagnostics')
    child = start(processes, sound_server.environment, device='pulse', retry_period='0.2')

    def heard():
        return likeness(samples_of(audio), clip) > 0.97

    def level():
        return statuses(diagnostics)[-1].level if statuses(diagnostics) else None

    def plays():
        for _ in range(5):  # Again, where the machine was held up while it played.
            audio.clear()
            assert probe.spin_until(lambda: len(audio) > 10)
            player = sound_server.play(clip)
            try:
                if probe.spin_until(lambda: len(audio) % 25 == 0 and heard(), 20):
                    return True
            finally:
                player.kill()
                player.wait()
        return False

    assert plays()
    sequence = audio_block_from_message(audio[-1]).sequence

    sound_server.stop()
    assert probe.spin_until(lambda: level() == DiagnosticStatus.ERROR)
    message = statuses(diagnostics)[-1].message
    assert 'plug' in message or 'choose one of' in message
    assert child.popen.poll() is None

    sound_server.start()
    assert probe.spin_until(lambda: level() == DiagnosticStatus.OK)
    assert plays()
    assert audio_block_from_message(audio[0]).sequence > sequence
    assert 'stopped delivering' in child.output
    assert 'Traceback' not in child.output


def test_the_device_may_be_changed_while_running_but_not_to_nonsense(
    processes, probe, sound_server
):
    audio = probe.record(Int16MultiArray, 'audio')
    child = start(processes, sound_server.environment, device='default')
    assert probe.spin_until(lambda: len(audio) > 5)

    def set_device(value):
        request = SetParameters.Request(
            parameters=[Parameter('device', value=value).to_parameter_msg()]
        )
        (result,) = probe.call(SetParameters, 'microphone/set_parameters', request).results
        return result

    refused = set_device('theremin')
    assert not refused.successful
    assert "'theremin' was not found; choose one of" in refused.reason
    assert set_device('pulse').successful
    assert child.wait_for('Reading microphone pulse')
    audio.clear()
    assert probe.spin_until(lambda: len(audio) > 5)


def test_no_microphone_is_one_sentence_and_no_start(processes, tmp_path):
    environment = {'PULSE_SERVER': f'unix:{tmp_path}/none', 'XDG_RUNTIME_DIR': str(tmp_path)}
    child = start(processes, environment, device='theremin')
    assert child.wait() == 2
    assert child.output.strip().splitlines()[-1].startswith(('No microphone was', 'Microphone '))
    assert 'Traceback' not in child.output


def test_a_missing_microphone_may_be_waited_for(processes, probe, sound_server, test_data):
    sound_server.stop()
    diagnostics = probe.record(DiagnosticArray, '/diagnostics')
    audio = probe.record(Int16MultiArray, 'audio')
    child = start(
        processes,
        sound_server.environment,
        device='pulse',
        wait_for_device='true',
        retry_period='0.2',
    )
    assert probe.spin_until(lambda: statuses(diagnostics))
    assert statuses(diagnostics)[-1].level == DiagnosticStatus.WARN
    sound_server.start()
    assert probe.spin_until(lambda: len(audio) > 10)
    assert '[ERROR]' not in child.output, 'who waits for a device was told to'


@pytest.mark.parametrize(
    ('parameters', 'sentence'),
    [
        ({'input': '/none.wav'}, 'Audio file /none.wav does not exist'),
        ({'block_ms': 3}, 'The parameter block_ms of /microphone is out of range; give 5 to 200.'),
        ({'block_ms': 'often'}, 'The parameter block_ms of /microphone has a value of the wrong'),
        ({'capture_rate': 100}, 'capture_rate is 100 but must be'),
    ],
)
def test_bad_parameters_are_one_sentence(ros_context, parameters, sentence):
    overrides = [Parameter(name, value=value) for name, value in parameters.items()]
    with pytest.raises(KwsImuError, match=re.escape(sentence)) as raised:
        MicrophoneNode(context=ros_context, parameter_overrides=overrides)
    assert len(str(raised.value).splitlines()) == 1


def test_a_start_that_cannot_be_ends_with_one_sentence_and_status_2(processes):
    child = start(processes, input='/none.wav')
    assert child.wait() == 2
    assert len(child.output.strip().splitlines()) == 1


def test_every_parameter_is_described(processes, probe, test_data):
    (path, *_), _ = clips(test_data)
    start(processes, input=path, repeat='true')
    names = ['input', 'device', 'block_ms', 'capture_rate', 'capture_channels', 'repeat']
    names += ['trailing_silence', 'wait_for_device', 'retry_period']
    request = DescribeParameters.Request(names=names)
    response = probe.call(DescribeParameters, 'microphone/describe_parameters', request)
    for descriptor in response.descriptors:
        assert descriptor.description.endswith('.'), descriptor.name
    by_name = {d.name: d for d in response.descriptors}
    assert by_name['block_ms'].read_only
    assert not by_name['device'].read_only
    assert by_name['block_ms'].integer_range[0].to_value == 200


def test_simulated_time_stamps_the_audio(processes, probe, test_data):
    (path, *_), _ = clips(test_data)
    audio = probe.record(Int16MultiArray, 'audio')
    child = start(processes, input=path, use_sim_time='true', repeat='true')
    assert child.wait_for('Reading file')
    assert not probe.spin_until(lambda: bool(audio), 1.0)  # There is no time yet.
    publisher = probe.node.create_publisher(ClockMessage, '/clock', 10)
    began = time.monotonic_ns()

    def tick():
        now_ns = 1000 * 10**9 + time.monotonic_ns() - began
        publisher.publish(ClockMessage(clock=time_to_message(now_ns)))
        return len(audio) > 20

    assert probe.spin_until(tick)
    assert 1000 * 10**9 <= audio_block_from_message(audio[0]).stamp_ns < 2000 * 10**9
    assert_in_order_and_even(audio)
