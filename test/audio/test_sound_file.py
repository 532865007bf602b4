"""Sound files as other programs leave them: floats, headers without sizes, odd channels, names."""

from __future__ import annotations

import io
import struct
import warnings
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from kws_imu_ros.audio.resampling import channels_cancel, loudest_channel
from kws_imu_ros.audio.sound_file import (
    SoundFault,
    SoundFileError,
    is_sound_file,
    read_audio_file,
    read_sound,
    what_it_is,
)
from kws_imu_ros.audio.sources import FileSource

FORMAT_TAGS = {'i': 1, 'f': 3}


def wav(samples, rate=16000, extensible=False, riff_size=None, data_size=None, after=b''):
    """Return a wav written by hand: (n,) or (n, channels) of int16, float32 or float64."""
    channels = 1 if samples.ndim == 1 else samples.shape[1]
    bits = samples.dtype.itemsize * 8
    width = bits // 8 * channels
    tag = FORMAT_TAGS[samples.dtype.kind]
    form = struct.pack(
        '<HHIIHH', 0xFFFE if extensible else tag, channels, rate, rate * width, width, bits
    )
    if extensible:
        guid = struct.pack('<H', tag) + bytes.fromhex('000000001000800000aa00389b71')
        form += struct.pack('<HHI', 22, bits, (1 << channels) - 1) + guid
    data = samples.tobytes()
    size = len(data) if data_size is None else data_size
    body = b'WAVEfmt ' + struct.pack('<I', len(form)) + form
    body += b'data' + struct.pack('<I', size) + data + after
    total = len(body) if riff_size is None else riff_size
    return b'RIFF' + struct.pack('<I', total) + body


@pytest.fixture
def speech(test_data: Path) -> np.ndarray:
    """Return a real word, int16 (n,)."""
    path = sorted((test_data / 'speech_commands' / 'left').glob('*.ogg'))[0]
    return soundfile.read(path, dtype='int16')[0]


@pytest.fixture
def put(tmp_path: Path):
    """Return a function that writes bytes into a file and returns its path."""

    def write(content: bytes, name: str = 'clip.wav') -> Path:
        (tmp_path / name).write_bytes(content)
        return tmp_path / name

    return write


@pytest.mark.parametrize('dtype', ['<f4', '<f8'])
@pytest.mark.parametrize('extensible', [False, True])
def test_floats_are_heard_as_the_same_samples_in_16_bits(put, speech, dtype, extensible):
    path = put(wav((speech / 32768.0).astype(dtype), extensible=extensible))
    sound = read_sound(path)
    np.testing.assert_array_equal(sound.samples, speech)
    assert sound.remarks == ()


@given(
    st.lists(st.floats(-1.5, 1.5, width=32), min_size=1, max_size=50).filter(
        lambda values: any(value != round(value) for value in values)
    )
)
@settings(deadline=None, max_examples=50)
def test_floats_are_scaled_rounded_and_clipped(tmp_path_factory, values):
    path = tmp_path_factory.mktemp('floats') / 'clip.wav'
    path.write_bytes(wav(np.array(values, '<f4')))
    expected = [min(max(round(value * 32768), -32768), 32767) for value in values]
    assert read_audio_file(path).tolist() == expected


@pytest.mark.parametrize('bits', [16, 24, 32])
def test_floats_in_counts_are_heard_and_named(put, speech, bits):
    counts = speech.astype(np.float64) * 2.0 ** (bits - 16)
    sound = read_sound(put(wav(counts.astype('<f8'))))
    np.testing.assert_array_equal(sound.samples, speech)
    remark = str(*sound.remarks)
    assert f'{np.abs(counts).max():.6g}, far beyond the range of -1 to 1' in remark
    assert f'counts of {bits} bits' in remark


def test_quiet_counts_are_counts_and_a_loud_track_is_none(put):
    quiet = np.array([0, 3, -2, 5, 0, -4] * 100)
    np.testing.assert_array_equal(read_audio_file(put(wav(quiet.astype('<f4')))), quiet)
    loud = 1.9 * np.sin(np.arange(1600) / 7.0)
    sound = read_sound(put(wav(loud.astype('<f4'))))
    assert sound.samples.max() == 32767
    assert 'is clipped' in str(sound.remarks[0])


def test_counts_that_were_filtered_may_go_a_little_beyond(put):
    samples = read_audio_file(put(wav(np.array([0.5, 33000.25, -34000.5] * 50, '<f4'))))
    assert samples[:3].tolist() == [0, 32767, -32768]


@pytest.mark.parametrize('value', [np.nan, np.inf, -np.inf])
def test_what_is_not_a_number_is_refused(put, speech, value):
    holes = speech / 32768.0
    holes[8000:8100] = value
    with pytest.raises(SoundFileError, match=r'not a number.*first at 0\.50 s') as caught:
        read_sound(put(wav(holes.astype('<f4'))))
    assert caught.value.fault is SoundFault.NOT_FINITE


def test_values_beyond_any_count_are_refused(put):
    with pytest.raises(SoundFileError, match='far beyond the range'):
        read_sound(put(wav(np.array([0.0, 1e30] * 100, '<f8'))))


def test_ogg_beyond_full_scale_does_not_wrap_around(tmp_path):
    loud = 1.4 * np.sin(np.arange(16000) * 0.05)
    buffer = io.BytesIO()
    soundfile.write(buffer, loud.astype('f4'), 16000, format='OGG', subtype='VORBIS')
    path = tmp_path / 'loud.ogg'
    path.write_bytes(buffer.getvalue())
    samples = read_audio_file(path).astype(int)
    assert np.abs(np.diff(samples)).max() < 10000
    assert samples.max() == 32767


@pytest.mark.parametrize('riff_size', [0, None])
def test_a_header_without_sizes(put, speech, riff_size):
    sound = read_sound(put(wav(speech, riff_size=riff_size, data_size=0)))
    np.testing.assert_array_equal(sound.samples, speech)
    assert 'header gives no size' in str(sound.remarks[0])


def test_an_empty_recording_with_chunks_after_it_holds_no_audio(put):
    tags = (
        b'LIST' + struct.pack('<I', 26) + b'INFOISFT' + struct.pack('<I', 14) + b'Lavf58.29.100\0'
    )
    for after in (b'', tags):
        with pytest.raises(SoundFileError, match='holds no audio') as caught:
            read_sound(put(wav(np.zeros(0, '<i2'), after=after)))
        assert caught.value.fault is SoundFault.NOTHING


def test_a_flac_of_unknown_length(put, speech):
    buffer = io.BytesIO()
    soundfile.write(buffer, speech, 16000, format='FLAC', subtype='PCM_16')
    content = bytearray(buffer.getvalue())
    content[21] &= 0xF0  # The number of samples and the checksum, as an encoder into a pipe.
    content[22:42] = bytes(20)
    sound = read_sound(put(bytes(content), 'clip.flac'))
    np.testing.assert_array_equal(sound.samples, speech)


def test_an_mp3_that_lost_its_end_is_truncated_and_a_tag_before_it_is_none(put, speech):
    buffer = io.BytesIO()
    soundfile.write(buffer, np.tile(speech, 5), 16000, format='MP3', subtype='MPEG_LAYER_III')
    content = buffer.getvalue()
    with pytest.raises(SoundFileError, match='is truncated') as caught:
        read_sound(put(content[: len(content) // 2], 'clip.mp3'))
    assert caught.value.fault is SoundFault.TRUNCATED
    tag = b'ID3\x03\x00\x00' + bytes([0, 0, 8, 0]) + bytes(1024)
    assert len(read_audio_file(put(tag + content, 'clip.mp3'))) == 5 * len(speech)


@pytest.mark.parametrize('rate', [1, 2**31 - 1])
def test_a_rate_that_no_sound_has_is_a_damaged_header(put, speech, rate):
    content = bytearray(wav(speech))
    content[24:28] = struct.pack('<I', rate)
    with pytest.raises(SoundFileError, match=f'its header says {rate} Hz'):
        read_sound(put(bytes(content)))


def test_a_recording_of_unknown_length_that_is_too_long(put, speech, monkeypatch):
    monkeypatch.setattr('kws_imu_ros.audio.sound_file.MAXIMUM_RECORDING_S', 0.5)
    with pytest.raises(SoundFileError, match='cut it') as caught:
        read_sound(put(wav(speech)))
    assert caught.value.fault is SoundFault.TOO_LONG


@pytest.mark.parametrize(
    ('format_name', 'subtype'),
    [
        ('WAV', 'GSM610'), ('WAV', 'ULAW'), ('WAV', 'IMA_ADPCM'), ('WAV', 'MS_ADPCM'),
        ('WAV', 'PCM_24'), ('WAV', 'PCM_32'), ('WAV', 'PCM_U8'), ('AIFF', 'PCM_16'),
        ('AIFF', 'FLOAT'), ('AU', 'FLOAT'), ('MP3', 'MPEG_LAYER_III'), ('W64', 'PCM_16'),
        ('CAF', 'ALAC_16'), ('RF64', 'PCM_16'),
    ],
)  # fmt: skip
@pytest.mark.parametrize('name', ['clip.wav', 'clip', 'clip.raw'])
def test_content_decides_whatever_the_name(put, speech, format_name, subtype, name):
    buffer = io.BytesIO()
    soundfile.write(buffer, speech, 16000, format=format_name, subtype=subtype)
    path = put(buffer.getvalue(), name)
    assert is_sound_file(path)
    samples = read_audio_file(path)[: len(speech)]
    assert np.corrcoef(samples, speech[: len(samples)])[0, 1] > 0.95


@pytest.mark.parametrize(
    ('content', 'sentence'),
    [
        (b'\0\0\0\x20ftypM4A ' + bytes(200), 'is an MPEG-4 file'),
        (bytes.fromhex('3026b2758e66cf11a6d9') + bytes(200), 'is a Windows Media file'),
        (b'version https://git-lfs.github.com/spec/v1\n', 'is a pointer of Git LFS'),
        (b'<!doctype html><html>' + b' ' * 200, 'is a web page'),
        (b'PK\x03\x04' + bytes(200), 'is a zip archive'),
        (b'\xff\xf1\x50\x80' + bytes(200), 'is an AAC file'),
        (b'left\nup\n' * 40, 'cannot be read'),
    ],
)
def test_what_is_no_sound_is_named(put, content, sentence):
    path = put(content)
    assert not is_sound_file(path)
    with pytest.raises(SoundFileError, match=sentence) as caught:
        read_sound(path)
    assert caught.value.fault is SoundFault.UNREADABLE
    assert '\n' not in str(caught.value)


def test_a_name_that_is_too_long_is_no_sound():
    assert not is_sound_file('a' * 300)
    assert what_it_is(Path('a' * 300)) == ''


@pytest.mark.parametrize('weaker', [1.0, 0.98, 0.8])
@pytest.mark.parametrize('rate', [16000, 48000])
@pytest.mark.parametrize('offset', [0, 2000])
def test_channels_that_cancel_are_named_and_the_louder_is_taken(put, speech, weaker, rate, offset):
    pair = np.stack((-speech * weaker, speech * 1.0), 1) * 0.9 + offset
    sound = read_sound(put(wav(np.rint(pair).astype('<i2'), rate)))
    assert len(sound.remarks) == 1
    assert 'cancel' in str(sound.remarks[0])
    assert 'channel 2' in str(sound.remarks[0]) or weaker == 1.0
    if rate == 16000:
        alone = np.rint(speech * 0.9 + offset).astype(int)
        if weaker < 1.0:
            np.testing.assert_array_equal(sound.samples, alone)
    assert sound.samples.std() > 0.5 * speech.std() * (16000 / rate) ** 0.5


def test_ordinary_stereo_is_averaged(put, speech):
    random = np.random.default_rng(1)
    other = random.normal(0, speech.std(), len(speech)).astype(np.int16)
    for pair in ((speech, speech), (speech, other), (speech, speech * 0), (speech * 0, speech * 0)):
        frames = np.stack(pair, 1)
        assert not channels_cancel(frames)
        sound = read_sound(put(wav(frames)))
        assert sound.remarks == ()
        np.testing.assert_allclose(sound.samples, frames.mean(axis=1), atol=0.51)
    assert loudest_channel(np.stack((speech * 0, speech), 1)) == 1
    # One of six channels that is alone is quiet in the mean, but does not cancel.
    assert not channels_cancel(np.stack([speech] + [speech * 0] * 5, 1))


@pytest.mark.parametrize('channels', [1, 2])
@pytest.mark.parametrize('rate', [16000, 44100])
@pytest.mark.parametrize('dtype', ['<i2', '<f4'])
def test_playing_equals_reading(put, speech, channels, rate, dtype):
    frames = np.tile(speech[:, None], channels)
    frames = frames.astype('<i2') if dtype == '<i2' else (frames / 32768.0).astype('<f4')
    path = put(wav(frames, rate))
    source = FileSource(path, lambda: 0, block_ms=20, trailing_silence_s=0.0)
    expected = read_audio_file(path)
    played = np.concatenate([block.samples for block in source._blocks])
    np.testing.assert_array_equal(played[: len(expected)], expected)


@given(st.binary(max_size=400), st.integers(0, 60), st.binary(min_size=1, max_size=8))
@settings(deadline=None, max_examples=150)
def test_damaged_headers_are_read_or_are_one_sentence(tmp_path_factory, tail, place, noise):
    content = bytearray(wav(np.arange(200, dtype='<i2')) + tail)
    content[place : place + len(noise)] = noise
    path = tmp_path_factory.mktemp('fuzz') / 'clip.wav'
    path.write_bytes(bytes(content))
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        try:
            sound = read_sound(path)
        except SoundFileError as error:
            assert str(path) in str(error)
            assert '\n' not in str(error)
        else:
            assert sound.samples.dtype == np.int16
