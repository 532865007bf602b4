"""Running speech: what is loaded, what is left out, and what it teaches."""

import io
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from kws_imu_ros.audio.frontend import FrontEndParameters
from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.lab.data import running_speech_fetch
from kws_imu_ros.lab.data.running_speech import load_running_speech

RATE = 16000
VOICED = (8000 * np.sin(2 * np.pi * 220 * np.arange(3 * RATE) / RATE)).astype(np.int16)


@pytest.fixture
def talk(tmp_path: Path) -> Path:
    """Return a tree of recordings at two rates, one of them too short to be cut from."""
    folder = tmp_path / 'talk'
    (folder / 'somebody').mkdir(parents=True)
    soundfile.write(folder / 'somebody' / 'long.flac', VOICED, RATE)
    soundfile.write(folder / 'telephone.wav', VOICED[: 2 * RATE : 2], RATE // 2)
    soundfile.write(folder / 'short.wav', VOICED[:4000], RATE)
    return folder


def test_all_recordings_of_a_second_or_more_are_joined_at_one_rate(talk, tmp_path):
    speech = load_running_speech(talk)
    assert speech.samples.dtype == np.int16
    assert len(speech.samples) == pytest.approx(5 * RATE, abs=200)
    assert speech.hours == pytest.approx(5 / 3600, rel=0.01)
    first = load_running_speech(talk, tmp_path / 'cache')
    again = load_running_speech(talk, tmp_path / 'cache')
    assert first.digest == again.digest == speech.digest
    assert np.array_equal(again.samples, speech.samples)
    assert speech.folders == again.folders == ('somebody', 'talk')
    assert speech.files == again.files == 3


def test_a_folder_without_usable_speech_is_refused_in_one_sentence(talk, tmp_path):
    with pytest.raises(KwsImuError, match='does not exist'):
        load_running_speech(tmp_path / 'nowhere')
    (tmp_path / 'empty').mkdir()
    with pytest.raises(KwsImuError, match='holds no wav, flac or ogg'):
        load_running_speech(tmp_path / 'empty')
    (talk / 'broken.flac').write_bytes(b'not audio')
    with pytest.raises(KwsImuError, match='1 of 4 recordings of running speech cannot be read'):
        load_running_speech(talk)


def test_one_broken_recording_among_many_is_left_out_with_a_word(talk, caplog):
    for number in range(20):
        soundfile.write(talk / f'{number}.wav', VOICED[:RATE], RATE)
    (talk / 'broken.flac').write_bytes(b'not audio')
    assert len(load_running_speech(talk).samples) == pytest.approx(25 * RATE, abs=200)
    assert 'broken.flac' in caplog.text


def test_everybody_is_thanked_once_and_the_unknown_by_the_name_of_their_folder():
    folders = ['fillets-ng-data-cs', 'fillets-ng-data-nl', 'our_class']
    credit = running_speech_fetch.credit_running_speech(folders)
    assert credit == ['Fish Fillets, ALTAR interactive, GPL-2+', 'our_class, its speakers']


@pytest.mark.training
def test_running_speech_becomes_the_unknown_class_and_hardly_ever_a_pause():
    pytest.importorskip('tensorflow', reason='the training extras are not installed')
    from kws_imu_ros.lab.training.speech_augmentation import SpeechAugmentation, SpeechBatches

    # Half of the recording is a pause; the rest is a tone that no clip or noise holds.
    speech = np.concatenate((np.zeros_like(VOICED), VOICED))
    clips = np.zeros((3, RATE), np.int16)
    batches = SpeechBatches(
        clips,
        np.arange(3),
        [np.zeros(2 * RATE, np.int16)],
        FrontEndParameters(),
        SpeechAugmentation(confusing_share=1.0, running_share=1.0, babble_probability=0.0),
        3,
        silence_label=1,
        unknown_label=2,
        running_speech=speech,
    )
    audio, labels = batches.audio(60, np.random.default_rng(1))
    loud = np.sqrt((audio**2).mean(axis=1)) > 1e-3
    # Six draws may all fall into the pause; that is rare, and most of the speech is heard.
    assert loud[labels == 2].mean() > 0.85
    assert not loud[labels != 2].any()


def test_a_missing_tool_is_named_with_its_package(tmp_path, monkeypatch):
    monkeypatch.setattr(running_speech_fetch.shutil, 'which', lambda tool: None)
    with pytest.raises(KwsImuError, match='apt-get is not installed; install apt'):
        running_speech_fetch.fetch_running_speech(tmp_path)
    assert not list(tmp_path.iterdir())


def test_lines_of_dialogue_are_cut_out_of_the_game_and_single_words_left(tmp_path):
    recordings = {'020001P2.SB': VOICED, '020006J1.SB': VOICED[:RATE], 'MAP.PCX': None}
    table, data = b'', b''
    start = 15 + 21 * len(recordings)
    for name, samples in recordings.items():
        mp3 = io.BytesIO()
        if samples is not None:
            soundfile.write(mp3, samples, RATE, format='MP3')
        entry = name.encode().ljust(13, b'\0') + struct.pack('>II', start + len(data), mp3.tell())
        table, data = table + entry, data + mp3.getvalue()
    unpacked, ready = tmp_path / 'game', tmp_path / 'ready'
    unpacked.mkdir()
    ready.mkdir()
    header = b'QTBLCEM10\x00\x00\x00\x01' + struct.pack('>H', len(recordings))
    (unpacked / 'queen.1c').write_bytes(header + table + data)
    running_speech_fetch._unpack_queen(unpacked, ready, None)
    (line,) = ready.iterdir()
    assert line.name == '020001P2.flac'
    samples, rate = soundfile.read(line)
    assert rate == RATE
    assert len(samples) == pytest.approx(len(VOICED), abs=4000)


def test_packed_and_plain_lines_are_both_unpacked(tmp_path, monkeypatch):
    loud, quiet = np.full(20000, 200, np.uint8), np.full(20000, 130, np.uint8)

    # What the tool for packed sound would write; the tool itself is not on every machine.
    def unpack(command, check):
        assert command[:2] == ['ancient', 'decompress'] and check
        assert command[2].read_bytes() == b'RNC\x01packed'
        command[3].write_bytes(loud.tobytes())

    monkeypatch.setattr(running_speech_fetch.subprocess, 'run', unpack)
    parts = {
        50001: b'h' * 22 + b'RNC\x01packed',
        50002: b'h' * 22 + quiet.tobytes(),
        50003: b'h' * 22 + b'short',
        60000: b'not a line',
    }
    game, listed = bytearray(16), struct.pack('<I', len(parts))
    for number, data in parts.items():
        place = (1 << 23 | len(game) >> 4) if number != 50002 else len(game)
        size = len(data) | 1 << 22
        listed += (
            struct.pack('<H', number) + place.to_bytes(3, 'little') + size.to_bytes(3, 'little')
        )
        game += data + bytes(-len(data) % 16)
    unpacked, ready = tmp_path / 'game', tmp_path / 'ready'
    unpacked.mkdir()
    ready.mkdir()
    (unpacked / 'sky.dnr').write_bytes(listed)
    (unpacked / 'sky.dsk').write_bytes(game)
    running_speech_fetch._unpack_sky(unpacked, ready, None)
    levels = {p.name: soundfile.read(p)[0].mean() for p in ready.iterdir()}
    assert levels == {'50001.flac': pytest.approx(72 / 128), '50002.flac': pytest.approx(2 / 128)}
