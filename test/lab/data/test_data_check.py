"""Every kind of fault, made from real recordings, is found; clean recordings pass."""

from __future__ import annotations

import argparse
import gzip
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from kws_imu_ros.commands.lab import data as cli_data
from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.lab.data import data_check
from kws_imu_ros.lab.data.data_check import check
from kws_imu_ros.lab.data.splits import speech_split


def kinds(report: data_check.Report) -> dict[str, list[str]]:
    """Return the file names of the findings by kind."""
    found: dict[str, list[str]] = {}
    for finding in report.findings:
        found.setdefault(finding.kind, []).append(Path(finding.file).name)
    return found


@pytest.fixture(autouse=True)
def few_will_do(monkeypatch):
    """Let the few recordings that tests have be enough; too few have a test of their own."""
    monkeypatch.setattr('kws_imu_ros.lab.data.folders.FEW', 1)


@pytest.fixture
def speech(test_data: Path, tmp_path: Path) -> Path:
    """Return a copy of the real clips as .wav, with a little of them as background noise."""
    folder = tmp_path / 'speech'
    for path in sorted((test_data / 'speech_commands').glob('[!_]*/*.ogg')):
        samples, rate = soundfile.read(path, dtype='int16')
        target = folder / path.parent.name / (path.stem + '.wav')
        target.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(target, samples, rate, subtype='PCM_16')
    (folder / '_background_noise_').mkdir()
    soundfile.write(folder / '_background_noise_' / 'hum.wav', np.tile(samples // 8, 6), rate)
    return folder


def clip(speech: Path) -> tuple[np.ndarray, Path]:
    """Return the samples of one clip and where to put a new one."""
    path = sorted((speech / 'left').glob('*.wav'))[0]
    return soundfile.read(path, dtype='int16')[0], speech / 'left' / 'abcdef01_nohash_0.wav'


def test_clean_clips_are_counted_by_speaker_and_nothing_is_wrong(speech):
    calls = []
    report = check(speech, lambda done, total: calls.append((done, total)))
    assert kinds(report) == {}
    files = sorted(speech.rglob('*.wav'))
    assert calls[-1] == (len(files), len(files))
    clips = [path for path in files if path.parent.name != '_background_noise_']
    for split in ('training', 'validation'):
        own = [path for path in clips if speech_split(path.name) == split]
        counted = [n for key, n in report.counts.items() if key[2] == split]
        assert sum(counted) == len(own) > 0
        speakers = {path.name.split('_')[0] for path in own}
        assert report.people['speech', split] == speakers
    assert report.counts['speech', '_background_noise_', 'noise'] == 1
    assert 'Nothing is wrong.' in data_check.to_text(report)


def test_each_fault_of_a_clip_is_named(speech):
    samples, place = clip(speech)
    soundfile.write(place, np.zeros_like(samples), 16000)
    soundfile.write(
        place.with_name('abcdef01_nohash_1.wav'),
        np.clip(samples * 64.0, -32768, 32767).astype(np.int16),
        16000,
    )
    shutil.copyfile(
        sorted((speech / 'left').glob('[0-9]*.wav'))[0], speech / 'stop' / 'abcdef02_nohash_0.wav'
    )
    soundfile.write(place.with_name('abcdef03_nohash_0.wav'), samples[::2].copy(), 8000)
    soundfile.write(place.with_name('abcdef04_nohash_0.wav'), np.stack([samples] * 2, 1), 16000)
    soundfile.write(place.with_name('abcdef05_nohash_0.wav'), samples[:2000], 16000)
    soundfile.write(place.with_name('my_recording.wav'), samples // 2, 16000)
    whole = sorted((speech / 'cat').glob('*.wav'))[0].read_bytes()
    (speech / 'cat' / 'abcdef06_nohash_0.wav').write_bytes(whole[:9000])
    (speech / 'cat' / 'abcdef07_nohash_0.wav').write_bytes(b'not a sound at all')
    (speech / 'bird').mkdir()
    found = kinds(check(speech))
    assert found == {
        'silent': ['abcdef01_nohash_0.wav'],
        'clipped': ['abcdef01_nohash_1.wav'],
        'duplicate': ['abcdef02_nohash_0.wav'],
        'wrong rate': ['abcdef03_nohash_0.wav'],
        'not mono': ['abcdef04_nohash_0.wav'],
        'truncated': ['abcdef06_nohash_0.wav', 'abcdef05_nohash_0.wav'],
        'no speaker': ['my_recording.wav'],
        'unreadable': ['abcdef07_nohash_0.wav'],
        'empty class': ['bird'],
    }


def test_the_official_lists_decide_the_split_and_are_compared_with_the_files(speech):
    shutil.rmtree(speech / '_background_noise_')
    names = sorted(p.relative_to(speech).as_posix() for p in speech.rglob('*.wav'))
    (speech / 'testing_list.txt').write_text(names[0] + '\nleft/gone_nohash_0.wav\n')
    report = check(speech)
    assert report.counts['speech', Path(names[0]).parent.name, 'testing'] == 1
    assert kinds(report) == {'missing': ['_background_noise_', 'gone_nohash_0.wav']}


def test_faults_of_gesture_recordings_are_named(test_data, tmp_path):
    source = test_data / 'gestures' / 'grwd'
    folder = tmp_path / 'gestures'
    shutil.copytree(source, folder)
    before = kinds(check(folder))
    lines = (
        gzip.decompress((source / 'swipe_left' / 'subject_1' / '0.csv.gz').read_bytes())
        .decode()
        .splitlines()
    )
    new = folder / 'swipe_left' / 'subject_1'
    (new / '1.csv').write_text('\n'.join(lines))
    broken = list(lines)
    broken[10] = broken[10].replace(broken[10].split(',')[0], '123456789', 1)
    broken[11] = 'x,y'
    (new / '2.csv').write_text('\n'.join(broken))
    stuck = [lines[0]] + [
        ','.join([*row.split(',')[:5], '32767', *row.split(',')[6:]]) for row in lines[1:]
    ]
    (new / '3.csv').write_text('\n'.join(stuck))
    (new / '4.csv').write_text('time,value\n1,2\n')
    after = kinds(check(folder))
    assert after['duplicate'] == ['1.csv']  # Of 0.csv.gz, which comes first.
    assert '2.csv' in after['corrupt rows']
    assert '3.csv' in after['saturated']
    assert after['flat'] == ['3.csv']
    assert after['unreadable'] == ['4.csv']
    assert 'unreadable' not in before and 'flat' not in before


def test_faults_of_everyday_motion_are_named(test_data, tmp_path):
    folder = tmp_path / 'hapt'
    shutil.copytree(test_data / 'hapt', folder)
    assert kinds(check(folder)) == {}
    rows = gzip.decompress((folder / 'acc_exp01_user01.txt.gz').read_bytes()).decode().splitlines()
    (folder / 'acc_exp02_user01.txt').write_text('\n'.join(rows[:400]))
    (folder / 'gyro_exp02_user01.txt').write_text('\n'.join(['nan 0 0', *rows[1:300]]))
    (folder / 'acc_exp03_user02.txt').write_text('\n'.join(rows))
    with (folder / 'labels.txt').open('a') as stream:
        stream.write('2 1 5 250 9000\nfive\n')
    found = kinds(check(folder))
    assert found == {
        'mismatch': ['acc_exp02_user01.txt', 'labels.txt:3'],
        'not finite': ['acc_exp02_user01.txt'],
        'missing': ['gyro_exp03_user02.txt'],
        'corrupt rows': ['labels.txt:4'],
    }


@pytest.fixture
def har(test_data: Path, tmp_path: Path) -> Path:
    """Return a small folder in the layout of the UCI HAR inertial signals."""
    motion = np.loadtxt(test_data / 'hapt' / 'acc_exp01_user01.txt.gz')
    windows = motion[: 128 * 10, 0].reshape(10, 128)
    folder = tmp_path / 'UCI HAR Dataset'
    for part in ('train', 'test'):
        signals = folder / part / 'Inertial Signals'
        signals.mkdir(parents=True)
        for name in data_check.HAR_SIGNALS:
            np.savetxt(signals / f'{name}_{part}.txt', windows)
        np.savetxt(folder / part / f'y_{part}.txt', [1] * 5 + [6] * 5, fmt='%d')
        np.savetxt(folder / part / f'subject_{part}.txt', [2] * 5 + [3] * 5, fmt='%d')
    return folder


def test_the_inertial_signals_layout_is_counted_by_user(har):
    for folder in (har, har.parent):
        report = check(folder)
        assert report.layouts == ['har'] and kinds(report) == {}
        assert report.counts['har', 'walking', 'training'] == 10
        assert report.counts['har', 'laying', 'testing'] == 10


def test_faults_of_inertial_signals_are_named(har):
    signals = har / 'test' / 'Inertial Signals'
    rows = (signals / 'body_acc_x_test.txt').read_text().splitlines()
    (signals / 'body_acc_x_test.txt').write_text('\n'.join(rows[:7]))
    (signals / 'body_acc_y_test.txt').write_text('\n'.join([*rows[:9], rows[9][:300]]))
    (signals / 'total_acc_x_test.txt').write_text(
        '\n'.join([*rows[:9], rows[9].replace(rows[9].split()[5], 'nan')])
    )
    np.savetxt(signals / 'body_gyro_x_test.txt', np.zeros((10, 128)))
    (signals / 'body_gyro_z_test.txt').unlink()
    np.savetxt(har / 'test' / 'y_test.txt', [1] * 5 + [7] * 5, fmt='%d')
    (har / 'test' / 'subject_test.txt').write_text('\n'.join(['nan', *['3'] * 9]))
    report = check(har)
    assert kinds(report) == {
        'corrupt rows': ['body_acc_y_test.txt'],
        'not finite': ['total_acc_x_test.txt', 'subject_test.txt'],
        'flat': ['body_gyro_x_test.txt'],
        'missing': ['body_gyro_z_test.txt'],
        'mismatch': ['test', *['user 3'] * 5],
    }
    assert report.counts['har', 'walking', 'testing'] == 4
    shutil.rmtree(har / 'test')
    assert kinds(check(har)) == {'missing': ['test']}


def test_the_command_prints_plots_and_writes_everything(speech, tmp_path, capsys):
    samples, place = clip(speech)
    for number in range(12):
        soundfile.write(place.with_name(f'abcdef01_nohash_{number}.wav'), samples * 0, 16000)
    parser = argparse.ArgumentParser()
    cli_data.add_arguments(parser)
    plot, findings = tmp_path / 'plot.png', tmp_path / 'findings.json'
    options = ['--plot', str(plot), '--json', str(findings)]
    assert cli_data.run(parser.parse_args(['check', str(speech), *options])) == 1
    printed = capsys.readouterr().out
    assert 'silent: 12' in printed and 'and 2 more' in printed
    assert plot.read_bytes().startswith(b'\x89PNG')
    assert len(json.loads(findings.read_text())['findings']) == 12
    for path in (speech / 'left').glob('abcdef01*'):
        path.unlink()
    assert cli_data.run(parser.parse_args(['check', str(speech)])) == 0


def test_a_parent_folder_is_looked_through_and_nonsense_is_refused(test_data, tmp_path):
    report = check(test_data)
    assert {'speech', 'gestures', 'hapt'} <= set(report.layouts)
    with pytest.raises(KwsImuError, match='known layout'):
        check(tmp_path)
    with pytest.raises(KwsImuError, match='is not a folder'):
        check(tmp_path / 'nowhere')
