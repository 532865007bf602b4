"""Folders as people and other systems leave them: the same is read, and told, by whoever loads."""

from __future__ import annotations

import gzip
import os
import shutil
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.lab.data import findings as findings_module
from kws_imu_ros.lab.data.activity_data import load_activities
from kws_imu_ros.lab.data.data_check import check
from kws_imu_ros.lab.data.folders import likely_mistakes, survey_gestures, survey_speech
from kws_imu_ros.lab.data.gesture_data import load_gestures, read_gesture
from kws_imu_ros.lab.data.speech_data import (
    fit_clip,
    list_words,
    load_noise,
    load_speech,
    silence_clips,
)
from kws_imu_ros.lab.data.splits import clip_key, read_official_lists, speaker_of, speech_split
from kws_imu_ros.lab.data.vocabulary import GESTURE_LABELS, VOICE_LABELS

PEOPLE = ('anna', 'bert', 'cem')
WORDS = ('left', 'right', 'cat')


@pytest.fixture(autouse=True)
def tell_again(monkeypatch):
    """Forget what was told: a sentence is told once a process."""
    monkeypatch.setattr(findings_module, '_told', set())


@pytest.fixture
def words(test_data) -> dict[str, np.ndarray]:
    """Return a real clip of each word, int16 (n,)."""
    return {
        word: soundfile.read(
            sorted((test_data / 'speech_commands' / word).glob('*.ogg'))[0], dtype='int16'
        )[0]
        for word in WORDS
    }


@pytest.fixture
def speech(tmp_path, words):
    """Return a function that writes a folder of words in which every person says every word."""

    def write(people=PEOPLE, noise_s=12.0, name='{}_nohash_0.wav') -> Path:
        folder = tmp_path / 'speech'
        for word, samples in words.items():
            for number, person in enumerate(people):
                path = folder / word / name.format(person)
                path.parent.mkdir(parents=True, exist_ok=True)
                soundfile.write(path, samples // (number + 1), 16000)
        noise = folder / '_background_noise_' / 'dishes.wav'
        noise.parent.mkdir()
        soundfile.write(noise, np.resize(words['cat'] // 8, round(noise_s * 16000)), 16000)
        return folder

    return write


def kinds(findings) -> dict[str, list[str]]:
    """Return file names by kind; a test of its own asks for too few."""
    found: dict[str, list[str]] = {}
    for finding in findings:
        if finding.kind != 'too few':
            found.setdefault(finding.kind, []).append(Path(finding.file).name)
    return found


# Official lists


def write_lists(folder, people=PEOPLE, change=lambda line: line, encoding='utf-8', end='\n'):
    """Put the second person into the validation list and the third into the testing list."""
    for split, person in (('validation', people[1]), ('testing', people[2])):
        lines = [change(f'{word}/{person}_nohash_0.wav') for word in WORDS]
        (folder / f'{split}_list.txt').write_bytes((end.join(lines) + end).encode(encoding))


@pytest.mark.parametrize(
    ('change', 'encoding', 'end'),
    [
        (lambda line: line, 'utf-8', '\n'),
        (lambda line: line, 'utf-8-sig', '\r\n'),
        (lambda line: line, 'utf-16', '\r\n'),
        (lambda line: line, 'latin-1', '\n'),
        (lambda line: line.replace('/', '\\'), 'utf-8', '\r\n'),
        (lambda line: 'C:\\data\\speech\\' + line.replace('/', '\\'), 'utf-8', '\r\n'),
        (lambda line: f'"{line}"', 'utf-8', '\n'),
        (lambda line: line + ' \t', 'utf-8', '\n'),
        (lambda line: './' + line, 'utf-8', '\n'),
        (lambda line: '/home/class/speech/' + line, 'utf-8', '\n'),
        (lambda line: unicodedata.normalize('NFD', line), 'utf-8', '\n'),
        (lambda line: line.removesuffix('.wav'), 'utf-8', '\n'),
        (lambda line: line.replace('.wav', '.WAV'), 'utf-8', '\n\n'),
        (lambda line: line.title(), 'utf-8', '\r'),
    ],
)
@pytest.mark.parametrize('people', [PEOPLE, ('anna', 'jörg', 'zoë'), ('anna', 'bert b', 'c. m.')])
def test_lists_of_any_program_keep_people_apart(speech, change, encoding, end, people):
    folder = speech(people)
    write_lists(folder, people, change, encoding, end)
    survey = survey_speech(folder)
    assert survey.missing == ()
    for split, person in zip(('training', 'validation', 'testing'), people, strict=True):
        assert {clip.path.name for clip in survey.of_split(split)} == {f'{person}_nohash_0.wav'}


def test_a_name_in_latin_1_on_the_disk_meets_its_list(speech, words):
    folder = speech(('anna', 'bert', 'cem'))
    write_lists(folder)
    odd = os.fsencode(folder / 'left') + b'/j\xf6rg_nohash_0.wav'
    shutil.copy(folder / 'left' / 'anna_nohash_0.wav', odd)
    with (folder / 'testing_list.txt').open('a', encoding='utf-8') as stream:
        stream.write('left/jörg_nohash_0.wav\n')
    survey = survey_speech(folder)
    assert survey.missing == () and len(survey.of_split('testing')) == 4
    clips = load_speech(folder, 'testing', VOICE_LABELS)
    assert len(clips.digest) == 64 and len(clips.files) == 4
    assert 'duplicate' in kinds(check(folder).findings)


@given(st.text(st.characters(blacklist_categories=['Cs'], blacklist_characters='/\0'), min_size=1))
def test_the_key_of_a_clip_does_not_know_how_accents_are_written(name):
    composed, decomposed = (unicodedata.normalize(form, name) for form in ('NFC', 'NFD'))
    assert clip_key('left', composed + '.wav') == clip_key('left', decomposed + '.flac')


def test_a_listed_clip_that_is_not_there_is_refused(speech):
    folder = speech()
    write_lists(folder)
    (folder / 'left' / 'bert_nohash_0.wav').unlink()
    with pytest.raises(KwsImuError, match=r'lacks 1 recording.*left/bert_nohash_0\.wav'):
        load_speech(folder, 'validation', VOICE_LABELS)
    with pytest.raises(KwsImuError, match='take their lines out of the list'):
        list_words(folder, 'training')
    assert len(list_words(folder, 'all')) == 8, 'without a split nobody can leak'
    assert kinds(check(folder).findings) == {'missing': ['bert_nohash_0.wav']}


def test_one_person_on_both_sides_is_told(speech, caplog):
    folder = speech()
    write_lists(folder)
    lines = (folder / 'testing_list.txt').read_text().splitlines()
    (folder / 'testing_list.txt').write_text('\n'.join(lines[1:]) + '\nleft/bert_nohash_0.wav\n')
    found = [f.detail for f in survey_speech(folder).findings if f.kind == 'both sides']
    assert found == [
        'bert is in testing and validation; name all clips of a person in one list',
        'cem is in testing and training; name all clips of a person in one list',
        'it stands in both lists',
    ]
    load_speech(folder, 'training', ('left', 'right', 'unknown', 'silence'))
    assert 'more than one split' in caplog.text


def test_lists_are_known_whatever_their_case(tmp_path):
    (tmp_path / 'Testing_List.txt').write_text('left/a_nohash_0.wav\n\n')
    official = read_official_lists(tmp_path)
    assert official and official.split_of('left', 'a_nohash_0.flac') == 'testing'
    (tmp_path / 'empty').mkdir()
    assert not read_official_lists(tmp_path / 'empty')


# Whose recordings


def test_the_speaker_of_a_name():
    assert speaker_of('0a7c2a8d_nohash_3.wav') == ('0a7c2a8d', True)
    for name in ('anna (3).wav', 'anna_3.wav', 'anna-12.flac', 'anna 3', 'anna'):
        assert speaker_of(name) == ('anna', False), name
    assert speaker_of('0042.wav') == ('0042', False)


def test_one_child_is_on_one_side_and_told_to_have_no_mark(speech, words, caplog):
    folder = speech(('anna', 'bert', 'cem', 'dora', 'emil', 'fritz'), name='{} (1).wav')
    for word, samples in words.items():
        for number in range(2, 12):
            for person in ('anna', 'bert'):
                soundfile.write(
                    folder / word / f'{person} ({number}).wav', samples // number, 16000
                )
    survey = survey_speech(folder)
    sides = {
        person: {clip.split for clip in survey.clips if clip.speaker == person}
        for person in ('anna', 'bert', 'cem')
    }
    assert all(len(splits) == 1 for splits in sides.values())
    assert set(kinds(survey.findings)) == {'no speaker'}
    assert len(kinds(check(folder).findings)['no speaker']) == len(survey.clips)
    load_speech(folder, 'all', VOICE_LABELS)
    assert 'does not say whose it is' in caplog.text and '_nohash_' in caplog.text


@pytest.mark.parametrize('name', ['left ({}).wav', 'recording_{}.wav', '{}.wav'])
def test_names_that_are_nobodys_are_split_one_by_one(tmp_path, words, name):
    for word in ('left', 'right'):
        (tmp_path / word).mkdir()
        for number in range(40):
            path = tmp_path / word / name.replace('left', word).format(number)
            soundfile.write(path, words[word] // (number + 1), 16000)
    survey = survey_speech(tmp_path)
    assert {clip.split for clip in survey.clips} == {'training', 'validation', 'testing'}
    assert {finding.kind for finding in survey.findings} == {'no speaker'}


# What nobody reads


def test_what_is_not_read_is_told_by_all(speech, words, caplog):
    folder = speech()
    for number in range(12):
        (folder / 'left' / f'dora_nohash_{number}.m4a').write_bytes(b'\0\0\0\x20ftypM4A ')
    (folder / 'right' / 'more').mkdir()
    soundfile.write(folder / 'right' / 'more' / 'emil_nohash_0.wav', words['right'], 16000)
    soundfile.write(folder / 'loose.wav', words['right'], 16000)
    (folder / 'right' / 'nosuffix').write_bytes(b'RIFF')
    found = [f for f in survey_speech(folder).findings if f.kind == 'unread']
    details = ' '.join(f'{f.file}: {f.detail}' for f in found)
    assert '12 .m4a file(s) in left are not read' in details
    assert 'right/more: 1 recordings; folders inside' in details
    assert 'loose.wav: 1 recordings lie in no folder of a word' in details
    assert '1 file(s) without a suffix' in details
    assert [f for f in check(folder).findings if f.kind == 'unread'] == found
    load_speech(folder, 'all', VOICE_LABELS)
    assert 'nobody reads it' in caplog.text


def test_a_folder_of_one_unreadable_format_says_which(tmp_path):
    (tmp_path / 'left').mkdir()
    for number in range(12):
        (tmp_path / 'left' / f'dora_nohash_{number}.m4a').write_bytes(b'\0\0\0\x20ftypM4A ')
    for load in (lambda: load_speech(tmp_path, 'training', VOICE_LABELS), lambda: check(tmp_path)):
        with pytest.raises(KwsImuError, match=r'12 \.m4a file\(s\), which are not read'):
            load()


def test_too_few_and_one_class_are_told_by_all(speech, tmp_path, words, caplog):
    folder = speech()
    few = [f for f in check(folder).findings if f.kind == 'too few']
    assert [Path(f.file).name for f in few] == ['cat', 'left', 'right']
    assert few[0].detail.startswith('3 recordings; at least 10')
    load_speech(folder, 'all', VOICE_LABELS)
    assert 'left has too few' in caplog.text and 'right has too few' in caplog.text
    assert 'cat has too few' not in caplog.text, 'it is no label'
    assert 'more; see' not in caplog.text
    shutil.rmtree(folder / 'left')
    shutil.rmtree(folder / 'cat')
    assert kinds(check(folder).findings) == {'one class': ['right']}
    for number in range(20):
        path = folder / 'right' / f'dora{number}_nohash_0.wav'
        soundfile.write(path, words['right'], 16000)
    assert not [f for f in survey_speech(folder).findings if f.kind == 'too few']


@pytest.mark.parametrize(
    'name', ['._left.wav', '.DS_Store', 'Thumbs.db', 'desktop.ini', '~$notes.docx', '.hidden.wav']
)
def test_what_systems_leave_behind_is_passed_over(speech, name):
    folder = speech()
    before = load_speech(folder, 'all', VOICE_LABELS)
    for place in (folder, folder / 'left', folder / '_background_noise_'):
        (place / name).write_bytes(b'\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X' + bytes(70))
    (folder / '__MACOSX' / 'left').mkdir(parents=True)
    assert load_speech(folder, 'all', VOICE_LABELS).digest == before.digest
    assert len(load_noise(folder, 'training')) == 1
    assert kinds(check(folder).findings) == {}


def test_links_to_nowhere_are_left_out_and_named(speech, words, caplog):
    folder = speech(tuple(f'p{number}' for number in range(10)))
    (folder / 'left' / 'dora_nohash_0.wav').symlink_to('/nowhere/dora_nohash_0.wav')
    clips = load_speech(folder, 'all', VOICE_LABELS)
    assert len(clips.files) == 30
    assert 'left out' in caplog.text and 'dora_nohash_0.wav' in caplog.text
    assert kinds(check(folder).findings)['unreadable'] == ['dora_nohash_0.wav']


@pytest.mark.parametrize('share', [0.0, 44, 0.1])
def test_clips_that_hold_nothing_or_not_all_are_left_out_and_counted(speech, share, caplog):
    folder = speech(tuple(f'p{number}' for number in range(10)))
    path = folder / 'left' / 'p3_nohash_0.wav'
    content = path.read_bytes()
    kept = content[: share if share == 44 else int(len(content) * share)]
    if share == 44:
        kept = bytearray(kept)
        kept[40:44] = bytes(4)
        kept[4:8] = (36).to_bytes(4, 'little')
    path.write_bytes(bytes(kept))
    clips = load_speech(folder, 'all', VOICE_LABELS)
    assert 'left/p3_nohash_0.wav' not in clips.files and len(clips.files) == 29
    assert 'p3_nohash_0.wav' in caplog.text
    assert kinds(check(folder).findings)['truncated'] == ['p3_nohash_0.wav']
    shutil.rmtree(folder / 'right')
    shutil.rmtree(folder / 'cat')
    with pytest.raises(KwsImuError, match=r'1 of 10 recordings .*p3_nohash_0\.wav'):
        load_speech(folder, 'all', VOICE_LABELS)


# Spelling


@pytest.mark.parametrize(
    ('folders', 'meant'),
    [
        (('Left', 'right', 'stop'), {'Left': 'left'}),
        (('left', 'STOP', 'Left'), {'STOP': 'stop', 'Left': 'left'}),
        (('left ', 'right', 'stop'), {'left ': 'left'}),
        (('left', 'rigth', 'stop'), {'rigth': 'right'}),
        (('left', 'light', 'right', 'stop'), {}),
        (('light', 'dark', 'zurück'), {}),
        (('left', 'right', 'stop', 'cat', '_silence_'), {}),
    ],
)
def test_likely_mistakes(tmp_path, folders, meant):
    found = likely_mistakes(tmp_path, folders, ('left', 'right', 'stop', 'unknown', 'silence'))
    assert {Path(f.file).name: f.detail.split('?')[0].split()[-1] for f in found} == meant


def test_words_that_are_spelt_otherwise_are_told_wherever_they_are_loaded(speech, caplog):
    folder = speech()
    (folder / 'left').rename(folder / 'Left')
    assert 'Left' in kinds(check(folder, words=VOICE_LABELS).findings)['likely mistake']
    load_speech(folder, 'all', VOICE_LABELS)
    assert 'Left is spelt otherwise than a label' in caplog.text
    with pytest.raises(KwsImuError, match=r'no training recordings of .*did you mean left\?'):
        load_speech(folder, 'training', ('left', 'right', 'unknown', 'silence'))


# Gestures


@pytest.fixture
def gestures(test_data, tmp_path) -> Path:
    """Return a copy of the real gestures, as .csv."""
    folder = tmp_path / 'gestures'
    for path in sorted((test_data / 'gestures' / 'grwd').glob('*/*/*.csv.gz')):
        target = folder / path.relative_to(test_data / 'gestures' / 'grwd').with_suffix('')
        target.parent.mkdir(parents=True)
        target.write_bytes(gzip.decompress(path.read_bytes()))
    return folder


def test_gestures_that_are_spelt_otherwise_or_are_nobodys_are_told_by_all(gestures, caplog):
    (gestures / 'swipe_left').rename(gestures / 'Swipe_Left')
    (gestures / 'swipe_right' / 'subject_13').rename(gestures / 'swipe_right' / 'subject_anna')
    (gestures / 'swipe_up' / 'notes.txt').write_text('by the window')
    (gestures / 'swipe_up' / 'subject_1' / 'more').mkdir()
    (gestures / 'swipe_up' / 'subject_1' / '1.xlsx').write_bytes(b'PK')
    found = kinds(check(gestures, gestures=GESTURE_LABELS).findings)
    assert found['likely mistake'] == ['Swipe_Left']
    assert found['no speaker'] == ['subject_anna']
    assert found['unread'] == ['more', '1.xlsx', 'notes.txt']
    load_gestures(gestures, 'all', GESTURE_LABELS)
    for words in ('Swipe_Left is spelt otherwise', 'subject_anna', 'nobody reads it'):
        assert words in caplog.text
    assert 'swipe_down has too few' in caplog.text


@pytest.mark.parametrize(
    'change',
    [
        lambda text: b'\xef\xbb\xbf' + text.replace('\n', '\r\n').encode(),
        lambda text: text.encode('utf-16'),
        lambda text: text.replace('\n', ',\n').encode(),
        lambda text: gzip.compress(text.encode()),
    ],
)
def test_gestures_of_other_programs_are_read(gestures, change):
    path = gestures / 'swipe_left' / 'subject_1' / '0.csv'
    time, motion, dropped = read_gesture(path)
    path.write_bytes(change(path.read_text()))
    found = read_gesture(path)
    assert np.array_equal(found[0], time) and np.array_equal(found[1], motion)
    assert found[2] == dropped


def rewrite(gestures: Path, change) -> None:
    """Change the six columns of motion, in counts, of every recording."""
    for path in gestures.rglob('*.csv'):
        header, *lines = path.read_text().splitlines()
        rows = [line.split(',') for line in lines]
        rows = [row for row in rows if len(row) >= 10]
        values = change(np.array([row[:6] for row in rows], float))
        path.write_text(
            '\n'.join(
                [header]
                + [
                    ','.join([*(f'{v:.8g}' for v in value), *row[6:]])
                    for value, row in zip(values, rows, strict=True)
                ]
            )
        )


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        (lambda v: v * ([9.80665 / 16384] * 3 + [np.radians(1 / 131)] * 3), 'unit is another one'),
        (lambda v: v - [*np.median(v[:, :3], 0), 0, 0, 0], 'gravity'),
        (lambda v: v * [1, 1, 1, 0, 0, 0], 'gyroscope'),
        (lambda v: v * [1, -1, -1, 1, -1, -1], 'upside down'),
    ],
)
def test_implausible_gestures_are_told_by_all(gestures, change, words, caplog):
    load_gestures(gestures, 'all')
    assert 'recordings are implausible' not in caplog.text
    assert 'implausible' not in kinds(check(gestures).findings)
    rewrite(gestures, change)
    found = [f for f in check(gestures).findings if f.kind == 'implausible']
    assert len(found) >= len(list(gestures.rglob('*.csv'))) // 2
    assert all(words in f.detail for f in found)
    load_gestures(gestures, 'all')
    assert 'recordings are implausible' in caplog.text and words in caplog.text


@pytest.mark.parametrize(
    ('sensor', 'factor', 'words'),
    [
        ('acc', 9.80665, 'looks like m/s^2 where the layout has g'),
        ('gyro', 57.3, 'degrees/s'),
        ('gyro', 0.0, 'gyroscope'),
    ],
)
def test_everyday_motion_in_other_units_is_told_by_all(
    test_data, tmp_path, sensor, factor, words, caplog
):
    folder = tmp_path / 'hapt'
    shutil.copytree(test_data / 'hapt', folder)
    load_activities(folder, 'all')
    assert not caplog.records and kinds(check(folder).findings) == {}
    for path in folder.glob(f'{sensor}_exp*'):
        np.savetxt(path, np.loadtxt(path) * factor)
    found = [f for f in check(folder).findings if f.kind == 'implausible']
    assert len(found) == 2 and all(words in f.detail for f in found)
    load_activities(folder, 'all')
    assert '2 of 2 recordings are implausible' in caplog.text and words in caplog.text


def test_rows_that_are_left_out_are_counted(gestures, caplog):
    path = gestures / 'swipe_left' / 'subject_1' / '0.csv'
    lines = path.read_text().splitlines()
    path.write_text('\n'.join([*lines[:-1], *['x,y,z'] * 7, lines[-1]]))
    dropped = sum(r.dropped for r in load_gestures(gestures, 'all'))
    assert f'{dropped} of ' in caplog.text and 'rows' in caplog.text


def test_a_survey_of_gestures_counts_their_splits(gestures):
    survey = survey_gestures(gestures)
    assert {take.subject for take in survey.of_split('validation')} == {13}
    assert {take.subject for take in survey.of_split('training')} == {1}


# Clips that are longer than a second


def test_the_loudest_second_is_taken_and_holds_the_word(speech, words, caplog):
    folder = speech()
    room = np.random.default_rng(0).normal(0.0, 30.0, 19200).astype(np.int16)
    for path in (folder / 'left').glob('*.wav'):
        samples = soundfile.read(path, dtype='int16')[0]
        soundfile.write(path, np.concatenate((room, samples, room[:8000])), 16000)
    clips = load_speech(folder, 'all', VOICE_LABELS)
    for index, word in enumerate(clips.words):
        own = words[word].astype(float)
        own = np.pad(own, (0, 16000 - len(own)))
        if word == 'left':
            likeness = np.abs(np.correlate(clips.samples[index].astype(float), own, 'full')).max()
            likeness /= np.linalg.norm(clips.samples[index].astype(float)) * np.linalg.norm(own)
            assert likeness > 0.9, 'the word, not the room'
    assert '3 of 9 recordings' in caplog.text and 'loudest second' in caplog.text
    assert kinds(check(folder).findings)['long'] == [f'{p}_nohash_0.wav' for p in PEOPLE]


@given(st.integers(0, 40000), st.integers(1600, 14000), st.integers(0, 40000))
def test_a_word_anywhere_is_in_the_second_that_is_taken(before, length, after):
    tone = (6000 * np.sin(np.arange(length) * 0.2)).astype(np.int16)
    samples = np.concatenate((np.zeros(before, np.int16), tone, np.zeros(after, np.int16)))
    clip = fit_clip(samples)
    assert len(clip) == 16000
    # Within the 10 ms in which loudness is measured.
    assert np.count_nonzero(clip) >= np.count_nonzero(tone) - 320


def test_a_clip_of_a_second_or_less_stays_as_it_is(words):
    for samples in words.values():
        clip = fit_clip(samples)
        assert np.array_equal(clip[: len(samples)], samples)
        assert not clip[len(samples) :].any()


# The cache, noise, other programs' sounds


def test_a_recording_that_was_made_again_is_read_again(speech, tmp_path):
    folder, cache = speech(), tmp_path / 'cache'
    first = load_speech(folder, 'all', VOICE_LABELS, cache)
    path = folder / 'left' / 'anna_nohash_0.wav'
    content = path.read_bytes()
    again, rate = soundfile.read(path, dtype='int16')
    soundfile.write(path, again[::-1], rate)
    assert len(path.read_bytes()) == len(content)
    second = load_speech(folder, 'all', VOICE_LABELS, cache)
    assert second.digest != first.digest
    path.write_bytes(content)
    assert load_speech(folder, 'all', VOICE_LABELS, cache).digest == first.digest


def test_the_cache_remembers_what_was_odd(speech, tmp_path, caplog, monkeypatch):
    folder, cache = speech(tuple(f'p{number}' for number in range(10))), tmp_path / 'cache'
    (folder / 'left' / 'p3_nohash_0.wav').write_bytes(b'')
    path = folder / 'left' / 'p4_nohash_0.wav'
    samples = soundfile.read(path, dtype='int16')[0]
    soundfile.write(path, np.stack((samples, -samples), 1), 16000)
    first = load_speech(folder, 'all', VOICE_LABELS, cache)
    told = sorted(record.message for record in caplog.records)
    monkeypatch.setattr(findings_module, '_told', set())
    monkeypatch.setattr('kws_imu_ros.lab.data.decoded_audio.read_sound', None)
    caplog.clear()
    again = load_speech(folder, 'all', VOICE_LABELS, cache)
    assert again.digest == first.digest and again.files == first.files
    assert sorted(record.message for record in caplog.records) == told
    assert any('cancel' in message for message in told)
    assert any('p3_nohash_0.wav' in message for message in told)


def test_a_torn_cache_is_made_again(speech, tmp_path):
    folder, cache = speech(), tmp_path / 'cache'
    first = load_speech(folder, 'all', VOICE_LABELS, cache)
    for path in cache.iterdir():
        path.write_bytes(path.read_bytes()[:50])
    assert load_speech(folder, 'all', VOICE_LABELS, cache).digest == first.digest


def test_floats_and_channels_that_cancel_train_on_what_was_said(speech):
    folder = speech()
    plain = load_speech(folder, 'all', VOICE_LABELS)
    for number, path in enumerate(sorted(folder.glob('[!_]*/*.wav'))):
        samples = soundfile.read(path, dtype='int16')[0]
        if number % 2:
            soundfile.write(path, samples / 32768.0, 16000, subtype='FLOAT')
        else:
            soundfile.write(path, np.stack((samples, -samples), 1), 16000)
    assert np.array_equal(load_speech(folder, 'all', VOICE_LABELS).samples, plain.samples)
    found = kinds(check(folder).findings)
    assert 'silent' not in found and len(found['odd sound']) == 5


@pytest.mark.parametrize('split', ['training', 'validation', 'testing', 'all'])
def test_background_noise_that_is_too_short_is_one_sentence(speech, split):
    folder = speech(noise_s=0.4)
    with pytest.raises(KwsImuError, match=r'dishes\.wav lasts 0\.4 s.*record at least 10 s'):
        load_noise(folder, split)
    assert kinds(check(folder).findings) == {'short noise': ['dishes.wav']}


@pytest.mark.parametrize('noise_s', [6.0, 12.0, 60.0])
@pytest.mark.parametrize('split', ['training', 'validation', 'testing'])
def test_every_background_noise_gives_whole_seconds(speech, noise_s, split):
    noise = load_noise(speech(noise_s=noise_s), split)
    assert all(len(part) >= 16000 for part in noise)
    assert silence_clips(noise, 30, 0).any(axis=1).sum() >= 25


def test_the_official_split_has_not_changed():
    assert speech_split('a69b9b3e_nohash_0.wav') == 'validation'
    assert speech_split('bb05582b_nohash_3.ogg') == 'testing'
