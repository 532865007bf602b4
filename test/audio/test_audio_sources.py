"""Sound files, resampling and the choice of a device; the microphone has a file of its own."""

from __future__ import annotations

import itertools
import time

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from kws_imu_ros.audio.block import block_samples, blocks_of
from kws_imu_ros.audio.resampling import Resampler
from kws_imu_ros.audio.sound_file import read_audio_file
from kws_imu_ros.audio.sources import FileSource, MicrophoneSource, microphone
from kws_imu_ros.audio.sources.microphone import choose_device
from kws_imu_ros.errors import KwsImuError

EPOCH = 1_790_000_000_000_000_000


def speech_like(rate, seconds=1.0, highest_hz=7000.0):
    """Return float (n,): tones in the band of speech, a known signal at any rate."""
    t = np.arange(round(rate * seconds)) / rate
    tones = ((200, 0.0), (440, 1.0), (1000, 2.0), (2500, 3.0), (5200, 4.0))
    return sum(0.12 * np.sin(2 * np.pi * f * t + p) for f, p in tones if f < highest_hz)


def as_int16(samples):
    return np.rint(samples * 32767).astype(np.int16)


# Resampling


@pytest.mark.parametrize('rate', [16000, 48000])
@pytest.mark.parametrize('weaker', [1.0, 0.9])
def test_a_microphone_whose_channels_cancel_is_heard_by_the_louder(rate, weaker):
    signal = as_int16(speech_like(rate, 2.0))
    frames = np.stack((-weaker * signal, signal), 1).astype(np.int16) + np.array([300, -700], 'i2')
    resampler = Resampler(rate, 2)
    assert not resampler.inverted
    chunks = np.array_split(frames, 100)
    heard = np.concatenate([resampler.push(chunk) for chunk in chunks]).astype(float)
    assert resampler.inverted
    heard = heard[8000:]
    assert heard.std() > 0.8 * signal.std() * weaker


def test_channels_of_a_room_and_of_one_side_are_averaged():
    random = np.random.default_rng(2)
    signal = as_int16(speech_like(16000, 2.0))
    for other in (signal, signal * 0, random.normal(0, signal.std(), len(signal)).astype('i2')):
        frames = np.stack((signal, other), 1)
        resampler = Resampler(16000, 2)
        heard = np.concatenate([resampler.push(chunk) for chunk in np.array_split(frames, 50)])
        assert not resampler.inverted
        np.testing.assert_allclose(heard, frames.mean(axis=1), atol=0.51)
    silence = Resampler(16000, 2)
    silence.push(np.array([[1, -1], [-1, 1]] * 8000, 'i2'))
    assert not silence.inverted, 'the last bit tells nothing'


@pytest.mark.parametrize('rate', [8000, 11025, 22050, 32000, 44100, 48000, 96000])
@pytest.mark.parametrize('channels', [1, 2, 6])
def test_streaming_resampler_meets_the_truth_and_keeps_time(rate, channels):
    highest_hz = 0.4 * rate
    signal, truth = (speech_like(r, highest_hz=highest_hz) for r in (rate, 16000))
    # Channels differ, but their mean is the signal.
    spread = np.linspace(-0.3, 0.3, channels) if channels > 1 else np.zeros(1)
    frames = as_int16(signal[:, None] + spread * signal[:, None])
    resampler = Resampler(rate, channels)
    output, position = [], 0
    random = np.random.default_rng(5)
    while position < len(frames):
        step = int(random.integers(1, 2000))
        output.append(resampler.push(frames[position : position + step]))
        position += step
    output.append(resampler.push(frames[:0], last=True))
    result = np.concatenate(output)
    assert result.dtype == np.int16
    assert abs(len(result) - 16000) <= 2
    # Not a sample early or late: a stamp is worth nothing otherwise. Edges ring.
    inner = slice(500, 15000)
    error = result[inner] / 32768 - truth[inner]
    assert np.sqrt(np.mean(error**2)) < 0.004


def test_audio_in_the_right_format_is_not_touched():
    samples = np.random.default_rng(6).integers(-32768, 32768, 1000).astype(np.int16)
    np.testing.assert_array_equal(Resampler(16000, 1).push(samples), samples)


def test_full_scale_does_not_wrap_around():
    square = np.where(np.arange(48000) // 60 % 2, 32767, -32768).astype(np.int16)
    result = Resampler(48000, 1).push(square)
    assert result.max() == 32767
    assert result.min() == -32768
    assert (np.sign(result[1000:2000:20].astype(int)) != 0).all()


@pytest.mark.parametrize(('rate', 'channels'), [(0, 1), (-1, 1), (48000, 0)])
def test_impossible_formats_are_refused(rate, channels):
    with pytest.raises(KwsImuError, match='makes no sense'):
        Resampler(rate, channels)


# Files


def test_a_clip_is_read_as_it_is(test_data):
    path = sorted((test_data / 'speech_commands' / 'left').glob('*.ogg'))[0]
    expected, rate = soundfile.read(path, dtype='int16')
    assert rate == 16000
    samples = read_audio_file(path)
    assert samples.dtype == np.int16
    np.testing.assert_array_equal(samples, expected)


@pytest.mark.parametrize('extension', ['wav', 'flac', 'ogg'])
@pytest.mark.parametrize('rate', [8000, 16000, 44100, 48000])
@pytest.mark.parametrize('channels', [1, 2])
def test_any_rate_and_channel_count(tmp_path, extension, rate, channels):
    path = tmp_path / f'tone.{extension}'
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(rate) / rate)
    soundfile.write(path, np.tile(tone[:, None], channels), rate)
    samples = read_audio_file(path)
    assert len(samples) == pytest.approx(16000, abs=2)
    truth = 0.5 * np.sin(2 * np.pi * 440 * np.arange(len(samples)) / 16000)
    inner = slice(1000, 15000)
    # Ogg Vorbis loses a little.
    assert np.sqrt(np.mean((samples[inner] / 32768 - truth[inner]) ** 2)) < 0.02


@pytest.mark.parametrize('extension', ['wav', 'flac', 'ogg'])
@pytest.mark.parametrize('share', [0.4, 0.9, 0.99])
def test_truncated_files_are_one_sentence(tmp_path, extension, share):
    whole = tmp_path / f'whole.{extension}'
    soundfile.write(whole, speech_like(16000, 3.0), 16000)
    content = whole.read_bytes()
    path = tmp_path / f'cut.{extension}'
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(KwsImuError, match=r'is truncated') as caught:
        read_audio_file(path)
    assert str(path) in str(caught.value)
    assert '\n' not in str(caught.value)


def test_a_wav_written_to_a_pipe_is_not_truncated(tmp_path):
    path = tmp_path / 'pipe.wav'
    soundfile.write(path, speech_like(16000), 16000)
    content = bytearray(path.read_bytes())
    size = content.index(b'data') + 4
    content[size : size + 4] = content[4:8] = b'\xff\xff\xff\xff'
    path.write_bytes(bytes(content))
    assert len(read_audio_file(path)) == 16000


@pytest.mark.parametrize(
    ('name', 'content', 'sentence'),
    [
        ('empty.wav', b'', 'is empty'),
        ('text.wav', b'this is no sound at all', 'cannot be read'),
        ('binary.flac', bytes(range(256)) * 4, 'cannot be read'),
    ],
)
def test_files_that_are_no_sound_are_one_sentence(tmp_path, name, content, sentence):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(KwsImuError, match=sentence):
        read_audio_file(path)


def test_a_file_without_audio_is_one_sentence(tmp_path):
    path = tmp_path / 'nothing.wav'
    soundfile.write(path, np.zeros(0), 16000)
    with pytest.raises(KwsImuError, match='holds no audio'):
        read_audio_file(path)


def test_a_missing_file_and_a_folder_are_one_sentence(tmp_path):
    for path in (tmp_path / 'none.wav', tmp_path):
        with pytest.raises(KwsImuError, match='does not exist'):
            read_audio_file(path)


# Blocks


@given(count=st.integers(0, 2000), block_ms=st.sampled_from([5, 10, 20, 40]))
@settings(deadline=None)
def test_blocks_hold_every_sample_once(count, block_ms):
    samples = np.arange(1, count + 1).astype(np.int16)
    blocks = blocks_of(samples, EPOCH, block_ms, first_sequence=3)
    size = block_samples(block_ms)
    joined = np.concatenate([b.samples for b in blocks]) if blocks else np.zeros(0)
    np.testing.assert_array_equal(joined[:count], samples)
    assert (joined[count:] == 0).all()
    for i, block in enumerate(blocks):
        assert block.sequence == 3 + i
        assert block.stamp_ns == EPOCH + i * block_ms * 1_000_000
        assert len(block.samples) == size
    for before, after in itertools.pairwise(blocks):
        assert before.end_ns == after.stamp_ns


def test_a_file_plays_in_real_time(test_data):
    path = sorted((test_data / 'speech_commands' / 'stop').glob('*.ogg'))[0]
    source = FileSource(path, lambda: EPOCH, trailing_silence_s=0.2)
    started = time.monotonic()
    source.open()
    blocks = []
    while not source.finished:
        block = source.read(0.5)
        if block is not None:
            blocks.append(block)
            # A microphone gives a block when it has been heard, not before.
            assert time.monotonic() - started >= (block.end_ns - EPOCH) / 1e9 - 1e-3
    expected = read_audio_file(path)
    joined = np.concatenate([b.samples for b in blocks])
    np.testing.assert_array_equal(joined[: len(expected)], expected)
    assert not joined[len(expected) :].any()
    assert len(joined) >= len(expected) + 3200
    assert [b.sequence for b in blocks] == list(range(len(blocks)))
    assert [b.stamp_ns for b in blocks] == [EPOCH + i * 20_000_000 for i in range(len(blocks))]
    assert source.health.blocks == len(blocks)
    assert source.read(0.0) is None


def test_a_repeated_file_goes_on_without_a_gap(tmp_path):
    path = tmp_path / 'short.wav'
    soundfile.write(path, speech_like(16000, 0.1), 16000)
    source = FileSource(path, lambda: EPOCH, repeat=True, trailing_silence_s=0.0)
    source.open()
    blocks = [block for _ in range(12) if (block := source.read(0.5)) is not None]
    assert [b.stamp_ns for b in blocks] == [EPOCH + i * 20_000_000 for i in range(len(blocks))]
    assert [b.sequence for b in blocks] == list(range(len(blocks)))
    np.testing.assert_array_equal(blocks[0].samples, blocks[5].samples)
    assert not source.finished


def test_a_read_returns_in_time_when_no_block_is_due(tmp_path):
    path = tmp_path / 'short.wav'
    soundfile.write(path, speech_like(16000, 0.5), 16000)
    source = FileSource(path, lambda: EPOCH, block_ms=200)
    for _ in range(100):
        started = time.monotonic()
        source.open()
        block = source.read(0.0)
        if time.monotonic() - started < 0.2:
            break  # Else the machine was held up until the block was due.
    assert block is None


# Devices

DEVICES = [
    {'name': 'HDA Intel PCH: ALC256 (hw:0,0)', 'max_input_channels': 2},
    {'name': 'HDMI 0', 'max_input_channels': 0},
    {'name': 'USB PnP Sound Device: Audio (hw:1,0)', 'max_input_channels': 1},
    {'name': 'USB Camera: Audio (hw:2,0)', 'max_input_channels': 2},
    {'name': 'pulse', 'max_input_channels': 32},
]


@pytest.mark.parametrize(
    ('wanted', 'index'),
    [('', 4), ('2', 2), (' 3 ', 3), ('pulse', 4), ('PULSE', 4), ('camera', 3), ('hw:0,0', 0)],
)
def test_a_device_is_found_by_index_or_name(wanted, index):
    assert choose_device(wanted, DEVICES, 4) == index


def test_without_a_default_the_first_microphone_is_taken():
    assert choose_device('', DEVICES, -1) == 0
    assert choose_device('', DEVICES, 1) == 0


@pytest.mark.parametrize(
    ('wanted', 'problem'),
    [
        ('webcam', "Microphone 'webcam' was not found"),
        ('usb', "Microphone 'usb' means several devices"),
        ('1', "Microphone '1' was not found"),  # An output.
        ('99', "Microphone '99' was not found"),
    ],
)
def test_a_wrong_name_lists_the_devices(wanted, problem):
    with pytest.raises(KwsImuError, match=problem) as caught:
        choose_device(wanted, DEVICES, 4)
    for index in (0, 2, 3, 4):
        assert f'{index} {DEVICES[index]["name"]!r}' in str(caught.value)
    assert 'HDMI' not in str(caught.value)


def test_no_microphone_is_one_sentence():
    with pytest.raises(KwsImuError, match='No microphone was found; plug one in'):
        choose_device('', DEVICES[1:2], -1)


def test_portaudio_that_is_not_installed_is_one_sentence(monkeypatch):
    def refuse(rescan=False):
        raise KwsImuError('PortAudio is missing; install it.')

    monkeypatch.setattr(microphone, '_import_sounddevice', refuse)
    with pytest.raises(KwsImuError, match='PortAudio is missing'):
        MicrophoneSource(time.time_ns).open()


@pytest.mark.parametrize(
    ('bad', 'sentence'),
    [
        ({'block_ms': 4}, 'block_ms is 4'),
        ({'block_ms': 201}, 'block_ms is 201'),
        ({'capture_rate': 100}, 'capture_rate is 100'),
        ({'capture_channels': 65}, 'capture_channels is 65'),
    ],
)
def test_microphone_settings_are_checked(bad, sentence):
    with pytest.raises(KwsImuError, match=sentence):
        MicrophoneSource(time.time_ns, **bad)


def test_a_microphone_is_not_read_before_it_is_opened():
    microphone = MicrophoneSource(time.time_ns)
    microphone.close()
    with pytest.raises(KwsImuError, match='read before it was opened'):
        microphone.read(0.0)
