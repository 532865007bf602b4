"""Human activity: windows, batches, and the whole experiment on real motion turned six ways."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('tensorflow', reason='the training extras are not installed')

from kws_imu_ros.commands.main import main
from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.lab.data.activity_data import (
    ACTIVITIES,
    HAR_MOTION,
    ActivityRecording,
    load_activities,
)
from kws_imu_ros.lab.evaluation.human_activity import (
    activity_windows,
    labelled_segments,
    to_network_units,
)
from kws_imu_ros.lab.training.activity_augmentation import ActivityAugmentation, ActivityBatches

pytestmark = pytest.mark.training

# Where gravity points in each activity: nothing but the posture tells these apart.
TURNS = [np.roll(np.eye(3), k, axis=1) * sign for sign in (1.0, -1.0) for k in range(3)]


@pytest.fixture(scope='module')
def har(test_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in HAR layout: users 1 to 5, real motion, each activity another posture."""
    motion = np.concatenate(
        [np.loadtxt(test_data / 'hapt' / f'{k}_exp01_user01.txt.gz') for k in ('acc', 'gyro')], 1
    )
    folder = tmp_path_factory.mktemp('har') / 'UCI HAR Dataset'
    windows, numbers, users = [], [], []
    for user in range(1, 6):
        for number, turn in enumerate(TURNS, 1):
            turned = motion.reshape(-1, 2, 3) @ turn
            start = 150 * (user - 1)
            for first in range(start, start + 256, 64):
                windows.append(turned[first : first + 128].reshape(128, 6))
                numbers.append(number)
                users.append(user)
    signals = folder / 'train' / 'Inertial Signals'
    signals.mkdir(parents=True)
    for k, name in enumerate(HAR_MOTION):
        np.savetxt(signals / f'{name}_train.txt', np.array(windows)[:, :, k], fmt='%.6e')
    np.savetxt(folder / 'train' / 'y_train.txt', numbers, fmt='%d')
    np.savetxt(folder / 'train' / 'subject_train.txt', users, fmt='%d')
    return folder


def test_windows_overlap_by_half_and_stay_inside_an_activity(har):
    recordings = load_activities(har, 'validation')
    windows, labels, users = activity_windows(recordings)
    assert windows.shape == (24, 128, 6) and windows.dtype == np.float32
    assert labels.tolist() == [k for k in range(6) for _ in range(4)] and set(users) == {1}
    assert np.array_equal(windows[0, 64:], windows[1, :64])
    # Transitions and what nobody labelled are no activity.
    walk = recordings[0]
    count = len(walk.motion)
    odd = ActivityRecording(1, 99, walk.motion, ((7, 1, count), (1, 10, 136), (1, 10, 137)))
    assert len(labelled_segments([*recordings, odd])) == len(recordings) + 1
    with pytest.raises(KwsImuError, match=r'hold no 2\.56 s of walking, upstairs'):
        activity_windows([odd.__class__(1, 99, walk.motion, ())])


def test_batches_are_the_recordings_where_nothing_is_augmented(har):
    recordings = load_activities(har, 'training')
    still = ActivityAugmentation(0.0, (1.0, 1.0), (1.0, 1.0), 0.0, 0.0, 0.0)
    windows, labels = ActivityBatches(recordings, still).batch(60, np.random.default_rng(1))
    assert windows.shape == (60, 128, 12) and windows.dtype == np.float32
    assert np.bincount(labels, minlength=6).all()
    for window, label in zip(windows, labels, strict=True):
        # Between two samples the window lies between them, so it leaves no sample's range.
        own = np.concatenate([m for m, k, _ in labelled_segments(recordings) if k == label])
        own = to_network_units(own[None])[0, :, :6]
        assert (window[:, :6] >= own.min(axis=0) - 1e-5).all()
        assert (window[:, :6] <= own.max(axis=0) + 1e-5).all()


def test_the_network_sees_what_int8_would_swallow():
    time = np.arange(128) / 50.0
    window = np.zeros((1, 128, 6))
    window[0, :, 2] = 9.80665
    window[0, :, 3] = 0.02 * np.sin(2.0 * np.pi * time)
    seen = to_network_units(window)[0]
    assert np.ptp(seen[:, 3]) < 2.0 / 128.0 < 10.0 * 2.0 / 128.0 < np.ptp(seen[:, 9])
    assert np.abs(seen[:, [0, 1, 4, 5, 6, 7, 8, 10, 11]]).max() < 1e-6


def test_augmentation_keeps_gravity_near_where_it_was(har):
    recordings = load_activities(har, 'training')
    batches = ActivityBatches(recordings, ActivityAugmentation())
    windows, labels = batches.batch(200, np.random.default_rng(2))
    again, _ = batches.batch(200, np.random.default_rng(2))
    assert np.array_equal(windows, again) and np.isfinite(windows).all()
    means = windows[:, :, :3].mean(axis=1)
    for label in range(6):
        wanted = np.mean(
            [m[:, :3].mean(0) for m, k, _ in labelled_segments(recordings) if k == label], 0
        )
        cosines = means[labels == label] @ wanted / np.linalg.norm(wanted)
        cosines /= np.linalg.norm(means[labels == label], axis=1)
        assert np.degrees(np.arccos(cosines.min())) < 25.0


def test_the_experiment_learns_judges_strangers_and_judges_again(har, tmp_path, capsys):
    common = ['experiment', 'human_activity', '--activities', str(har)]
    file, model = tmp_path / 'result.json', tmp_path / 'activity.tflite'
    # Fewer steps would leave the statistics of batch normalization where they started.
    arguments = [*common, '--work', str(tmp_path / 'work'), '--steps', '250']
    assert main([*arguments, '--json', str(file), '--output', str(model)]) == 0
    result = json.loads(file.read_text())
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == result
    assert result['training_users'] == [2, 4, 5]
    assert result['model']['bytes'] == model.stat().st_size
    for part, user in (('validation', '1'), ('testing', '3')):
        assert list(result[part]['accuracy_by_user']) == [user]
        # Chance is one in six; so short a training need only be well above it.
        assert result[part]['examples'] == 24 and result[part]['accuracy'] > 0.4
        assert list(result[part]['recall']) == list(ACTIVITIES)
    assert 'human_activity --json result.json --steps 250' in result['command']
    assert str(tmp_path) not in file.read_text()
    # The file alone gives the same, without training.
    assert main([*common, '--model', str(model), '--work', str(tmp_path / 'none')]) == 0
    again = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [again[k] for k in ('validation', 'testing', 'model')] == [
        result[k] for k in ('validation', 'testing', 'model')
    ]
    assert not (tmp_path / 'none').exists()
    assert main(['report', str(file), '--out', str(tmp_path / 'report.html')]) == 0
    assert 'downstairs' in (tmp_path / 'report.html').read_text()


def test_cross_validation_judges_every_training_user_once(har, tmp_path, capsys):
    arguments = ['--activities', str(har), '--work', str(tmp_path), '--steps', '3', '--folds', '2']
    assert main(['experiment', 'human_activity', *arguments]) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])['cross_validation']
    assert list(result['accuracy_by_user']) == ['2', '4', '5'] and result['examples'] == 72
    assert np.sum(result['confusion']['rows_are_truth'], axis=1).tolist() == [12] * 6


def test_mistakes_are_one_sentence(har, test_data, tmp_path, capsys):
    common = ['experiment', 'human_activity', '--work', str(tmp_path / 'work')]
    for arguments, sentence in (
        (['--activities', str(har), '--folds', '9'], 'there are 3 training users'),
        (['--activities', str(har), '--model', str(tmp_path / 'no.tflite')], 'cannot be read'),
        (['--activities', str(tmp_path)], 'holds no recordings'),
        (['--activities', str(test_data / 'hapt')], 'hold no 2.56 s of'),
    ):
        assert main([*common, *arguments]) == 2
        error = capsys.readouterr().err
        assert sentence in error and 'Traceback' not in error
    other = next(Path(__file__).parents[3].glob('models/*/*/model.tflite'))
    assert main([*common, '--activities', str(har), '--model', str(other)]) == 2
    assert 'an activity model takes one window' in capsys.readouterr().err
