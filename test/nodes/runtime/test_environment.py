"""What ROS would read from the environment is refused in a sentence that names the variable."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.nodes.runtime import environment

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(
    'text', ['robot7', '-1', '233', '300', '1.5', '0x10', '9' * 30, '٣', '010']
)
def test_a_domain_that_is_none_is_refused(monkeypatch, text):
    monkeypatch.setenv('ROS_DOMAIN_ID', text)
    with pytest.raises(KwsImuError, match=rf'ROS_DOMAIN_ID is .*{text[-4:]}.* from 0 to 232'):
        environment.prepare_environment()


@pytest.mark.parametrize(
    ('text', 'domain'), [('', 0), (' ', 0), ('0', 0), (' 7 ', 7), ('232', 232)]
)
def test_a_domain_is_read_as_ros_reads_it(monkeypatch, text, domain):
    monkeypatch.setenv('ROS_DOMAIN_ID', text)
    assert environment.domain_id() == domain


@pytest.mark.parametrize('now_s', [2.0**31, 2.3e9, 1e18, -1.0])
def test_a_clock_beyond_the_stamps_is_refused(now_s):
    with pytest.raises(KwsImuError, match='2038'):
        environment.check_clock(now_s)
    environment.check_clock(2.0**31 - 1)


@pytest.mark.parametrize('home', [None, '', '/proc/nowhere'])
def test_without_a_home_the_log_goes_to_a_temporary_folder(monkeypatch, home, tmp_path):
    monkeypatch.setenv('ROS_LOG_DIR', 'anything')
    monkeypatch.delenv('ROS_LOG_DIR')
    monkeypatch.delenv('ROS_HOME', raising=False)
    monkeypatch.setattr('tempfile.tempdir', str(tmp_path))
    if home is None:
        monkeypatch.delenv('HOME', raising=False)
    else:
        monkeypatch.setenv('HOME', home)
    environment.prepare_environment()
    assert Path(os.environ['ROS_LOG_DIR']).parent == tmp_path


def test_a_folder_for_logs_that_cannot_be_one_is_refused(monkeypatch):
    monkeypatch.setenv('ROS_LOG_DIR', '/proc/nowhere')
    with pytest.raises(KwsImuError, match="ROS_LOG_DIR is '/proc/nowhere'"):
        environment.prepare_environment()


def test_a_middleware_that_is_not_installed_is_named(monkeypatch):
    pytest.importorskip('rclpy', reason='ROS 2 is not installed')
    monkeypatch.setenv('RMW_IMPLEMENTATION', 'rmw_of_another_machine')
    with pytest.raises(KwsImuError, match="RMW_IMPLEMENTATION is 'rmw_of_another_machine'"):
        environment.prepare_environment()


def test_the_setting_without_which_ros_starts_is_to_blame():
    pytest.importorskip('rclpy', reason='ROS 2 is not installed')
    assert environment.try_ros() is None
    failure = environment.try_ros(dict(os.environ, RMW_IMPLEMENTATION='rmw_of_another_machine'))
    assert failure is not None
    assert failure.variables == ('RMW_IMPLEMENTATION',)
    assert 'rmw_of_another_machine' in failure.problem


@pytest.mark.parametrize(
    ('said', 'plain'),
    [
        (
            "[ERROR] [1795.05] [rcl]: Expected 'a' but found 'b', with 102., at /project/x.c:9",
            "Expected 'a' but found 'b', with 102",
        ),
        (
            'rclpy._rclpy_pybind11.RCLError: failed to initialize rcl: error not set',
            'error not set',
        ),
        ('\x1b[31;1mError\x1b[0m: too  high.', 'too high'),
    ],
)
def test_libraries_words_are_made_plain(said, plain):
    assert environment.plain_words(said) == plain


def test_it_imports_nothing_of_ros():
    code = 'import sys, kws_imu_ros.nodes.runtime.environment; print("rclpy" in sys.modules)'
    result = subprocess.run(
        [sys.executable, '-c', code],
        capture_output=True,
        text=True,
        env=dict(os.environ, PYTHONPATH=str(REPOSITORY)),
    )
    assert result.stdout.strip() == 'False', result.stderr


@pytest.mark.parametrize(
    'arguments',
    [
        ('run', '--no-record', '--no-terminal'),
        ('replay', str(REPOSITORY / 'demo' / 'bag')),
        ('benchmark', '--only', 'start_up'),
    ],
)
def test_every_verb_that_starts_ros_looks_first(arguments, monkeypatch, capsys, tmp_path):
    from kws_imu_ros.commands import main as cli

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('ROS_DOMAIN_ID', 'robot7')
    assert cli.main(list(arguments)) == 2
    (line,) = (line for line in capsys.readouterr().err.splitlines() if 'kws-imu' in line)
    assert "ROS_DOMAIN_ID is 'robot7'" in line


def test_every_executable_looks_first(monkeypatch, capsys):
    import signal

    from kws_imu_ros.bringup import executables

    # The executable takes Ctrl-C for itself.
    monkeypatch.setattr(signal, 'signal', lambda *_: None)
    monkeypatch.setenv('ROS_DOMAIN_ID', '300')
    for name in ('robot', 'fusion', 'command', 'imu', 'microphone', 'replay', 'simulated_robot'):
        with pytest.raises(SystemExit) as info:
            getattr(executables, name)()
        assert info.value.code == 2
        assert "ROS_DOMAIN_ID is '300'" in capsys.readouterr().err
