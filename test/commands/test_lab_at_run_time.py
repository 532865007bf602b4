"""The verbs of the lab that train nothing run with the run-time requirements alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from kws_imu_ros.commands.main import main
from kws_imu_ros.model.bundle import find_bundle

REPOSITORY = Path(__file__).resolve().parents[2]
# Stands for an environment without requirements/training.txt.
WITHOUT_TRAINING = """
import sys

for module in ('tensorflow', 'tf_keras', 'tensorflow_model_optimization', 'librosa', 'scipy'):
    sys.modules[module] = None

from kws_imu_ros.commands.main import main

sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize(
    'arguments',
    [
        ['data', 'check', '{data}/speech_commands'],
        ['compare', '{model}', '--rounds', '1'],
        ['report', '{repository}/experiments/results', '--out', '{out}/report.html'],
        ['models', 'list'],
        ['export', '{model}', '--c', '{out}'],
        ['evaluate', '--only', 'energy'],
        ['evaluate', '--gestures', '{data}/gestures/grwd', '--only', 'gesture'],
    ],
    ids=lambda arguments: ' '.join(arguments[:2]),
)
def test_it_runs_without_tensorflow(arguments: list[str], test_data: Path, tmp_path: Path):
    places = {
        'data': test_data,
        'model': find_bundle() / 'model.tflite',
        'repository': REPOSITORY,
        'out': tmp_path,
    }
    result = subprocess.run(
        [sys.executable, '-c', WITHOUT_TRAINING, *(a.format_map(places) for a in arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=REPOSITORY,
    )
    # The few recordings of the tests are fewer than `data check` likes.
    assert result.returncode == (1 if arguments[0] == 'data' else 0), result.stderr


def test_an_activity_model_is_judged_without_tensorflow(tmp_path: Path):
    """A model of something else is told by its shapes, for which no library is needed."""
    code = WITHOUT_TRAINING.replace('sys.exit(main(sys.argv[1:]))', '') + (
        'import numpy as np\n'
        'from kws_imu_ros.lab.evaluation import human_activity\n'
        'from pathlib import Path\n'
        f'model = Path({str(find_bundle())!r}, "model.tflite").read_bytes()\n'
        'human_activity.evaluate(model, np.zeros((1, 128, 6)), np.zeros(1, int), "a.tflite")\n'
    )
    result = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, timeout=120, cwd=REPOSITORY
    )
    assert 'a.tflite takes' in result.stderr and 'tensorflow' not in result.stderr


def test_help_keeps_the_case_of_names(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        main(['export', '--help'])
    assert 'as C for TensorFlow Lite Micro' in capsys.readouterr().out


def test_training_says_at_once_what_it_does_and_no_library_anything(tmp_path: Path):
    pytest.importorskip('tensorflow', reason='the training extras are not installed')
    arguments = ['train', '--recipe', 'none.yaml', '--speech', '.', '--gestures', '.']
    result = subprocess.run(
        [sys.executable, '-m', 'kws_imu_ros', *arguments, '--work', str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=REPOSITORY,
    )
    assert result.returncode == 2
    first, last = result.stderr.splitlines()
    assert first == 'train: starting TensorFlow' and 'none.yaml' in last
