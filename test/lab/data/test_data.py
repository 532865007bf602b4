"""Loaders and splits on real recordings, whole and broken."""

import gzip
import shutil

import numpy as np
import pytest

from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.lab.data.activity_data import HAR_MOTION, activities_digest, load_activities
from kws_imu_ros.lab.data.gesture_data import load_gestures, read_gesture
from kws_imu_ros.lab.data.speech_data import (
    list_words,
    load_noise,
    load_speech,
    silence_clips,
    speech_end,
)
from kws_imu_ros.lab.data.splits import activity_split, gesture_split, speech_split
from kws_imu_ros.lab.data.vocabulary import VOICE_LABELS


def test_speech_split_is_the_official_one():
    # The first lines of the data set's own validation_list.txt and testing_list.txt.
    assert speech_split('right/a69b9b3e_nohash_0.wav') == 'validation'
    assert speech_split('right/bb05582b_nohash_3.wav') == 'testing'


def test_a_speaker_is_in_one_split_only():
    assert speech_split('3ac2e76f_nohash_0.wav') == speech_split('3ac2e76f_nohash_4.ogg')


def test_gesture_and_activity_rules():
    splits = [gesture_split(k) for k in range(10)]
    assert splits == (['training'] * 3 + ['validation', 'testing']) * 2
    assert [activity_split(u) for u in (1, 2, 3, 4, 7)] == [
        'validation',
        'training',
        'testing',
        'training',
        'validation',
    ]


def test_speech_is_read_and_cached(test_data, tmp_path):
    folder = test_data / 'speech_commands'
    first = load_speech(folder, 'training', VOICE_LABELS, tmp_path)
    again = load_speech(folder, 'training', VOICE_LABELS, tmp_path)
    assert first.samples.dtype == np.int16 and first.samples.shape[1] == 16000
    assert np.array_equal(first.samples, again.samples)
    assert first.digest == again.digest
    assert set(first.words) == {*VOICE_LABELS[:8], 'cat'}
    assert {first.labels[i] for i, w in enumerate(first.words) if w == 'cat'} == {8}
    validation = load_speech(folder, 'validation', VOICE_LABELS)
    assert not {f.split('/')[1][:8] for f in first.files} & {
        f.split('/')[1][:8] for f in validation.files
    }


def test_ready_made_folders_belong_to_testing(test_data, tmp_path):
    source = next((test_data / 'speech_commands' / 'cat').iterdir())
    for name in ('_silence_', '_unknown_', 'left'):
        (tmp_path / name).mkdir()
        shutil.copy(source, tmp_path / name / 'any_name.ogg')
    found = [word for word, _ in list_words(tmp_path, 'testing')]
    assert '_silence_' in found and '_unknown_' in found
    clips = load_speech(tmp_path, 'all', VOICE_LABELS)
    assert sorted(clips.labels) == [0, 8, 9]


def test_official_lists_decide(test_data, tmp_path):
    source = next((test_data / 'speech_commands' / 'left').iterdir())
    (tmp_path / 'left').mkdir()
    shutil.copy(source, tmp_path / 'left' / 'a_nohash_0.ogg')
    (tmp_path / 'testing_list.txt').write_text('left/a_nohash_0.wav\n')
    assert len(list_words(tmp_path, 'testing')) == 1
    with pytest.raises(KwsImuError, match='no recordings of the training split'):
        list_words(tmp_path, 'training')


@pytest.mark.parametrize('loader', [load_gestures, load_activities])
def test_missing_folder_is_one_sentence(loader, tmp_path):
    with pytest.raises(KwsImuError, match='does not exist'):
        loader(tmp_path / 'nowhere', 'all')
    with pytest.raises(KwsImuError, match='holds no recordings'):
        loader(tmp_path, 'all')


def test_speech_without_a_word_names_it(test_data, tmp_path):
    shutil.copytree(test_data / 'speech_commands', tmp_path / 's')
    shutil.rmtree(tmp_path / 's' / 'go')
    with pytest.raises(KwsImuError, match='no training recordings of go'):
        load_speech(tmp_path / 's', 'training', VOICE_LABELS)


def test_speech_without_other_words_says_so(test_data):
    with pytest.raises(KwsImuError, match='no training recordings of words that are no command'):
        load_speech(test_data / 'speech_commands', 'training', (*VOICE_LABELS, 'cat'))


def test_broken_audio_names_the_file(test_data, tmp_path):
    (tmp_path / 'left').mkdir()
    (tmp_path / 'left' / 'a_nohash_0.ogg').write_bytes(b'OggS but not really')
    with pytest.raises(KwsImuError, match=r'a_nohash_0\.ogg cannot be read'):
        load_speech(tmp_path, 'all', VOICE_LABELS)


def test_one_broken_file_among_many_is_left_out(test_data, tmp_path, caplog):
    shutil.copytree(test_data / 'speech_commands', tmp_path / 's')
    (tmp_path / 's' / 'cat' / 'a_nohash_0.ogg').write_bytes(b'')
    whole = load_speech(test_data / 'speech_commands', 'all', VOICE_LABELS)
    found = load_speech(tmp_path / 's', 'all', VOICE_LABELS)
    assert np.array_equal(whole.samples, found.samples) and whole.digest == found.digest
    assert 'left out' in caplog.text


def test_an_evaluation_needs_no_whole_vocabulary(test_data, tmp_path):
    shutil.copytree(test_data / 'speech_commands' / 'yes', tmp_path / 'yes')
    clips = load_speech(tmp_path, 'validation', VOICE_LABELS)
    assert clips.words == ('yes',)


def test_noise_is_split_in_time_and_silence_reaches_from_nothing_to_full(test_data):
    folder = test_data / 'speech_commands'
    parts = {s: load_noise(folder, s)[0] for s in ('training', 'validation', 'testing')}
    assert sum(map(len, parts.values())) == pytest.approx(12 * 16000, abs=4)
    clips = silence_clips([parts['training']], 50, 0)
    assert not clips[0].any()
    assert np.abs(clips).max() > 0.8 * np.abs(parts['training']).max()


def test_word_end_follows_the_word(test_data):
    clips = load_speech(test_data / 'speech_commands', 'all', VOICE_LABELS).samples
    for clip in clips:
        end = speech_end(clip)
        moved = np.concatenate((np.zeros(1600, np.int16), clip))[:16000]
        if end < 12000:
            assert abs(speech_end(moved) - end - 1600) <= 320


def test_gesture_units_are_si(test_data):
    for recording in load_gestures(test_data / 'gestures' / 'grwd', 'all'):
        assert np.all(np.diff(recording.time) >= 0.0)
        size = np.median(np.linalg.norm(recording.motion[:, :3], axis=1))
        assert 7.0 < size < 14.0, 'gravity is there'
        assert 1.0 < np.abs(recording.motion[:, 3:]).max() < 4.4, 'rad/s, within 250 degrees/s'
        assert 0.0 <= recording.onset < recording.offset <= recording.duration


def test_corrupt_rows_are_dropped(test_data, tmp_path):
    source = test_data / 'gestures' / 'grwd' / 'swipe_left' / 'subject_1' / '0.csv.gz'
    lines = gzip.decompress(source.read_bytes()).decode().splitlines()
    clean_time, clean, clean_dropped = read_gesture(source)
    middle = len(lines) // 2
    bad = [
        '99999,0,0,0,0,0,0,0,0,' + lines[middle].split(',')[9],  # beyond 16 bits
        '1,2,3',  # lost columns
        'x,y,z,0,0,0,0,0,0,1,',  # not numbers
        ','.join([*lines[middle].split(',')[:9], '4', '']),  # a broken time
    ]
    path = tmp_path / '0.csv'
    path.write_text('\n'.join(lines[:middle] + bad + lines[middle:]))
    time, motion, dropped = read_gesture(path)
    assert dropped == clean_dropped + len(bad)
    assert np.array_equal(motion, clean)
    assert np.allclose(time, clean_time)


def test_rows_of_an_earlier_recording_are_left_out(test_data, tmp_path):
    """Boards sent what was left of a recording at the beginning of the next one."""
    folder = test_data / 'gestures' / 'grwd'
    own = folder / 'swipe_right' / 'subject_13' / '0.csv.gz'
    earlier = folder / 'swipe_left' / 'subject_13' / '0.csv.gz'
    time, motion, dropped = read_gesture(own)
    header, *rows = gzip.decompress(own.read_bytes()).decode().splitlines()
    stale = [
        line.split(',')
        for line in gzip.decompress(earlier.read_bytes()).decode().splitlines()[1:200]
    ]
    back_ms = int(stale[-1][9]) - int(rows[0].split(',')[9]) + 3000
    for fields in stale:
        fields[9] = str(int(fields[9]) - back_ms)
    mingled = [','.join(fields) for fields in stale]
    # The last of them come in among the first of its own.
    mingled = mingled[:-3] + rows[:20] + mingled[-3:] + rows[20:]
    path = tmp_path / '0.csv'
    path.write_text('\n'.join([header, *mingled]))
    found_time, found, found_dropped = read_gesture(path)
    assert np.array_equal(found, motion)
    assert np.allclose(found_time, time)
    assert found_dropped == dropped + len(stale)


@pytest.mark.parametrize(
    ('content', 'sentence'),
    [
        (b'', 'is not a gesture recording'),
        (b'a,b,c\n1,2,3\n', 'is not a gesture recording'),
        (b'Ax,Ay,Az,Gx,Gy,Gz\n1,2,3,4,5,6\n', 'no Timestamp column'),
        (b'Ax,Ay,Az,Gx,Gy,Gz,Timestamp\n1,2,3,4,5,6,7\n', 'only 1 good rows|only 0 good rows'),
    ],
)
def test_bad_gesture_files_say_what_is_wrong(content, sentence, tmp_path):
    path = tmp_path / '0.csv'
    path.write_bytes(content)
    with pytest.raises(KwsImuError, match=sentence):
        read_gesture(path)


def test_truncated_gzip_says_so(test_data, tmp_path):
    source = test_data / 'gestures' / 'grwd' / 'swipe_left' / 'subject_1' / '0.csv.gz'
    path = tmp_path / '0.csv.gz'
    path.write_bytes(source.read_bytes()[:500])
    with pytest.raises(KwsImuError, match='cannot be read'):
        read_gesture(path)


def test_activities_carry_gravity_and_split_by_user(test_data):
    recordings = load_activities(test_data / 'hapt', 'all')
    assert {r.user for r in recordings} == {1, 2}
    assert [r.user for r in load_activities(test_data / 'hapt', 'validation')] == [1]
    for recording in recordings:
        assert np.median(np.linalg.norm(recording.motion[:, :3], axis=1)) == pytest.approx(9.8, 0.1)


def _write_har(folder, part, motion, activities, users):
    """Write motion (windows, 128, 6) in g and rad/s as the UCI HAR archive holds it."""
    signals = folder / part / 'Inertial Signals'
    signals.mkdir(parents=True)
    for k, name in enumerate(HAR_MOTION):
        np.savetxt(signals / f'{name}_{part}.txt', motion[:, :, k], fmt='%16.7e')
    np.savetxt(folder / part / f'y_{part}.txt', activities, fmt='%d')
    np.savetxt(folder / part / f'subject_{part}.txt', users, fmt='%d')


@pytest.fixture
def har(test_data, tmp_path):
    """Return a `UCI HAR Dataset` cut from real motion, and that motion in g and rad/s."""
    motion = np.concatenate(
        [np.loadtxt(test_data / 'hapt' / f'{k}_exp01_user01.txt.gz') for k in ('acc', 'gyro')], 1
    ).astype(np.float32)
    windows = np.stack([motion[k : k + 128] for k in range(0, 640, 64)])
    folder = tmp_path / 'UCI HAR Dataset'
    # Users 2 and 3; user 2 stands (5) and walks (1), so three stretches in all.
    _write_har(folder, 'train', windows, [5] * 4 + [1] * 3 + [5] * 3, [2] * 7 + [3] * 3)
    _write_har(folder, 'test', windows[[0, 5]], [6, 6], [1, 1])
    return folder, motion


def test_inertial_signals_are_joined_into_the_motion_they_were_cut_from(har):
    folder, motion = har
    standing, walking = load_activities(folder, 'training')
    assert standing.user == walking.user == 2 and standing.experiment != walking.experiment
    assert standing.segments == ((5, 1, 320),) and walking.segments == ((1, 1, 256),)
    wanted = motion[:320] * np.float32([9.80665] * 3 + [1.0] * 3)
    assert standing.motion.dtype == np.float32
    np.testing.assert_allclose(standing.motion, wanted, rtol=1e-6)
    assert np.median(np.linalg.norm(standing.motion[:, :3], axis=1)) == pytest.approx(9.8, 0.1)
    np.testing.assert_allclose(walking.motion[:, 3:], motion[256:512, 3:], rtol=1e-6)
    # The rule is by user; the folders train and test do not matter.
    assert [r.user for r in load_activities(folder, 'testing')] == [3]
    validation = load_activities(folder, 'validation')
    assert [r.user for r in validation] == [1, 1]
    assert [len(r.motion) for r in validation] == [128, 128], 'windows apart stay apart'
    # The folder that the archive was unpacked in will do, too.
    again = load_activities(folder.parent, 'all')
    assert activities_digest(again) == activities_digest(load_activities(folder, 'all'))


def test_broken_inertial_signals_are_one_sentence(har):
    folder, _ = har
    signals = folder / 'train' / 'Inertial Signals'
    path = signals / 'body_gyro_y_train.txt'
    whole = path.read_text()
    rows = whole.splitlines()
    for text, sentence in (
        ('\n'.join(rows[:-1]), r'differ in rows .*body_gyro_y_train\.txt 9'),
        ('\n'.join([*rows[:-1], rows[-1][:200]]), 'cannot be read'),
        ('\n'.join(row[:-17] for row in rows), '127 columns where 128 are needed'),
        (whole.replace(rows[4].split()[7], 'nan'), 'no numbers, first in row [1-5];'),
        ('', 'cannot be read .*empty'),
    ):
        path.write_text(text)
        with pytest.raises(KwsImuError, match=sentence):
            load_activities(folder, 'all')
    path.unlink()
    with pytest.raises(KwsImuError, match=r'body_gyro_y_train\.txt is missing'):
        load_activities(folder, 'all')
    path.write_text(whole)
    (folder / 'train' / 'y_train.txt').write_text('1\n' * 9 + '7\n')
    with pytest.raises(KwsImuError, match='activity 7 in row 10'):
        load_activities(folder, 'all')


def test_broken_everyday_motion_is_one_sentence(test_data, tmp_path):
    folder = tmp_path / 'hapt'
    shutil.copytree(test_data / 'hapt', folder)
    labels = folder / 'labels.txt'
    for text, sentence in (
        ('1 1 5 250 999999\n', 'rows 250 to 999999 of experiment 1 does not fit'),
        ('1 1 five 250 300\n', r'labels\.txt cannot be read'),
    ):
        labels.write_text(text)
        with pytest.raises(KwsImuError, match=sentence):
            load_activities(folder, 'all')
    labels.unlink()
    path = folder / 'acc_exp03_user02.txt.gz'
    rows = gzip.decompress(path.read_bytes()).decode().splitlines()
    path.write_bytes(gzip.compress('\n'.join(['1 nan 0', *rows[1:]]).encode()))
    with pytest.raises(KwsImuError, match='no numbers, first in row 1;'):
        load_activities(folder, 'training')
    assert load_activities(folder, 'validation')[0].segments == ()
