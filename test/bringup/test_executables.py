"""What `ros2 run` starts."""

from __future__ import annotations

import ast
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from kws_imu_ros.bringup import executables

SETUP = Path(__file__).resolve().parents[2] / 'setup.py'
# Ctrl-C at the moment when the node is imported.
INTERRUPTED = """
import importlib, os, signal
from kws_imu_ros.bringup import executables
importlib.import_module = lambda _: os.kill(os.getpid(), signal.SIGINT)
executables.fusion()
"""


def installed() -> tuple[str, ...]:
    """Return the names of the executables that setup.py installs."""
    for statement in ast.parse(SETUP.read_text(encoding='utf-8')).body:
        if isinstance(statement, ast.Assign) and statement.targets[0].id == 'EXECUTABLES':
            return ast.literal_eval(statement.value)
    raise AssertionError('setup.py names no EXECUTABLES')


@pytest.mark.parametrize('name', installed())
def test_each_installed_executable_has_a_node_behind_it(name: str, monkeypatch):
    started = []
    monkeypatch.setattr(executables, '_run', started.append)
    getattr(executables, name)()
    assert find_spec(f'kws_imu_ros.{started[0]}') is not None


def test_ctrl_c_during_imports_ends_in_silence():
    result = subprocess.run(
        [sys.executable, '-c', INTERRUPTED],
        cwd=SETUP.parent,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert result.returncode == -signal.SIGINT
    assert result.stdout + result.stderr == ''
