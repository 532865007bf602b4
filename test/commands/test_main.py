"""The command line: help without heavy imports, errors in one sentence, the doctor's report."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from kws_imu_ros.commands import main as cli

REPOSITORY = Path(__file__).resolve().parents[2]
DEMO = REPOSITORY / 'demo' / 'bag'


def kws_imu(*arguments: str, **options) -> subprocess.CompletedProcess:
    """Run the command line in a process, as a person does."""
    return subprocess.run(
        [sys.executable, '-m', 'kws_imu_ros', *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=240,
        env=dict(os.environ, PYTHONPATH=str(REPOSITORY), COLUMNS='100'),
        **options,
    )


@pytest.fixture
def in_process(capsys):
    """Return what `kws_imu` is, without its process: for what is refused before ROS starts."""

    def run(*arguments: str) -> subprocess.CompletedProcess:
        status = cli.main([str(argument) for argument in arguments])
        output = capsys.readouterr()
        return subprocess.CompletedProcess(arguments, status, output.out, output.err)

    return run


def assert_refused(result: subprocess.CompletedProcess, *words: str) -> None:
    """Assert that there was one sentence, no traceback, and status 2."""
    assert result.returncode == 2, result.stdout + result.stderr
    assert 'Traceback' not in result.stderr
    lines = [line for line in result.stderr.splitlines() if line.startswith('kws-imu: ')]
    assert len(lines) == 1, result.stderr
    for word in words:
        assert word in lines[0]


def test_without_a_verb_it_helps(capsys):
    assert cli.main([]) == 0
    text = capsys.readouterr().out
    for verb in ('run', 'replay', 'doctor', 'train', 'evaluate', 'benchmark'):
        assert verb in text


def test_it_tells_its_version(capsys):
    with pytest.raises(SystemExit) as info:
        cli.main(['--version'])
    assert info.value.code == 0
    assert capsys.readouterr().out.startswith('kws-imu 0.')


@pytest.mark.parametrize('verb', ['run', 'replay', 'doctor', 'benchmark'])
def test_each_verb_explains_its_options(verb: str, capsys):
    with pytest.raises(SystemExit) as info:
        cli.main([verb, '--help'])
    assert info.value.code == 0
    assert f'kws-imu {verb}' in capsys.readouterr().out


def test_an_unknown_verb_is_refused(capsys):
    with pytest.raises(SystemExit) as info:
        cli.main(['fly'])
    assert info.value.code == 2
    assert 'fly' in capsys.readouterr().err


def test_a_verb_whose_libraries_are_missing_says_which(monkeypatch, capsys):
    monkeypatch.setitem(cli.VERBS, 'train', ('not_there', 'nothing'))
    assert cli.main(['train']) == 2
    assert 'needs the Python module kws_imu_ros.not_there' in capsys.readouterr().err


def test_help_loads_neither_ros_nor_numpy():
    code = 'import sys; from kws_imu_ros.commands.main import main; main([]); print(*sys.modules)'
    result = subprocess.run(
        [sys.executable, '-c', code],
        capture_output=True,
        text=True,
        timeout=120,
        env=dict(os.environ, PYTHONPATH=str(REPOSITORY)),
    )
    modules = result.stdout.splitlines()[-1].split()
    assert not {'rclpy', 'numpy', 'rich', 'yaml'} & set(modules)


def test_a_reader_that_closes_early_is_no_error():
    result = subprocess.run(
        [
            'bash',
            '-c',
            f'"{sys.executable}" -m kws_imu_ros --help | head -1; echo "${{PIPESTATUS[0]}}"',
        ],
        capture_output=True,
        text=True,
        timeout=120,
        env=dict(os.environ, PYTHONPATH=str(REPOSITORY)),
    )
    assert result.stdout.splitlines()[-1] == '0', result.stderr
    assert result.stderr == ''


@pytest.mark.parametrize('arguments', [('replay', 'X', '--offline'), ('replay', 'X')])
def test_a_bag_that_is_not_there_is_refused(arguments, in_process):
    assert_refused(in_process(*arguments), 'There is no bag at X')


def test_a_truncated_bag_is_refused(tmp_path: Path, in_process):
    data = (DEMO / 'bag.mcap').read_bytes()
    (tmp_path / 'cut.mcap').write_bytes(data[: len(data) // 2])
    assert_refused(in_process('replay', tmp_path / 'cut.mcap', '--offline'), 'truncated')
    result = in_process('run', '--input', tmp_path / 'cut.mcap', '--output', tmp_path / 'out')
    assert_refused(result, 'truncated')


def test_a_bag_without_the_topics_is_refused(test_data: Path, in_process):
    bag = test_data / 'rosbags' / 'sparkfun_razor'
    result = in_process('replay', bag, '--imu-topic', '/wrist')
    assert_refused(result, 'neither on /audio nor on /wrist')


def test_options_of_offline_replay_need_it():
    assert_refused(kws_imu('replay', DEMO, '--json'), '--offline')


@pytest.mark.parametrize('option', ['--model', '--policy', '--motion', '--scenario'])
def test_a_file_that_is_not_there_is_refused_offline(
    option: str, tmp_path: Path, bundle_directory: Path, in_process
):
    options = ['--model', bundle_directory, option, tmp_path / 'nothing.yaml']
    result = in_process('replay', DEMO, '--offline', *options)
    assert_refused(result, 'nothing.yaml')


def test_an_input_that_is_none_is_refused(tmp_path: Path, in_process):
    result = in_process('run', '--input', 'telepathy', '--output', tmp_path)
    assert_refused(result, "'telepathy' is neither")


def test_a_model_that_is_not_there_stops_the_run_before_anything_moves(tmp_path: Path):
    result = kws_imu('run', '--model', tmp_path / 'none', '--output', tmp_path / 'out')
    assert result.returncode == 2
    assert 'Traceback' not in result.stderr
    assert str(tmp_path / 'none') in result.stderr


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path, in_process):
    (tmp_path / 'file').touch()
    result = in_process('run', '--output', tmp_path / 'file' / 'out')
    assert_refused(result, 'cannot be made', '--output')


def test_a_recording_that_exists_is_not_overwritten(tmp_path: Path):
    result = kws_imu('run', '--output', tmp_path / 'out', '--record', tmp_path)
    assert result.returncode == 2
    assert 'exists already' in result.stderr
    assert 'Traceback' not in result.stderr


def test_a_parameter_file_that_is_not_there_is_refused(tmp_path: Path, in_process):
    result = in_process('run', '--params-file', 'none.yaml', '--output', tmp_path / 'out')
    assert_refused(result, 'none.yaml')


def test_ctrl_c_stops_the_robot_and_says_so(tmp_path: Path, processes, bundle_directory: Path):
    options = ['--model', bundle_directory, '--output', tmp_path / 'out']
    child = processes.start('-m', 'kws_imu_ros', 'run', *options)
    assert child.wait_for('level'), 'the run is under way'
    child.send_signal(signal.SIGINT)
    assert child.wait() == 130
    assert 'interrupted; the robot is stopped' in child.output
    assert 'Traceback' not in child.output
    assert (tmp_path / 'out' / 'bag' / 'metadata.yaml').is_file(), 'the recording is closed'


def test_the_doctor_reports_in_lines_and_in_json(bundle_directory: Path):
    lines = kws_imu('doctor', '--model', bundle_directory)
    assert lines.returncode == 0, lines.stdout
    assert 'ok' in lines.stdout
    report = json.loads(kws_imu('doctor', '--model', bundle_directory, '--json').stdout)
    assert report['problems'] == 0
    subjects = {finding['subject'] for finding in report['findings']}
    assert {
        'python',
        'ros',
        'model',
        'inference',
        'config',
        'demo',
        'microphone',
        'disk',
    } <= subjects
    for finding in report['findings']:
        assert finding['detail']
        assert '\n' not in finding['detail'] + finding['advice']


def test_the_doctor_finds_what_is_broken(tmp_path: Path):
    result = kws_imu('doctor', '--model', tmp_path / 'none')
    assert result.returncode == 1
    assert 'PROBLEM' in result.stdout
    assert 'Traceback' not in result.stdout + result.stderr
