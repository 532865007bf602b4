"""The walls between the rooms: who may import whom, and what never loads at run time."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGE = REPOSITORY / 'kws_imu_ros'

PLAIN_ROOMS = (
    'audio',
    'bags',
    'configuration',
    'decision',
    'fusion',
    'imu',
    'messages',
    'model',
    'motion',
    'replay',
)
HEAVY = {
    'librosa',
    'matplotlib',
    'numba',
    'tensorflow',
    'tensorflow_model_optimization',
    'tf_keras',
}


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """Yield (module, whether at import time) for each import statement of a file."""
    tree = ast.parse(path.read_text(encoding='utf-8'))
    lazy = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
    }
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
        for name in names:
            yield name, id(node) not in lazy


def plain_files() -> list[Path]:
    return [path for room in PLAIN_ROOMS for path in sorted((PACKAGE / room).rglob('*.py'))]


@pytest.mark.parametrize('path', plain_files(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_plain_rooms_know_neither_ros_nor_clocks_nor_threads(path: Path):
    roots = {name.split('.')[0] for name, _ in imports(path)}
    assert not {root for root in roots if root.startswith(('rcl', 'launch'))}
    assert not {root for root in roots if root.endswith(('_msgs', '_srvs'))}
    # These talk to devices, which is what their names say.
    if path.name != 'sources.py' and 'sources' not in path.parts:
        assert not roots & {'threading', 'asyncio', 'multiprocessing', 'time', 'datetime'}


def test_only_the_command_line_reaches_into_the_lab():
    for path in PACKAGE.rglob('*.py'):
        if path.is_relative_to(PACKAGE / 'lab') or path.is_relative_to(PACKAGE / 'commands'):
            continue
        reached = [name for name, _ in imports(path) if name.startswith('kws_imu_ros.lab')]
        assert reached == [], f'{path.relative_to(REPOSITORY)} imports {reached}'


def test_only_the_lab_and_the_pictures_name_the_heavy_libraries():
    for path in PACKAGE.rglob('*.py'):
        if path.is_relative_to(PACKAGE / 'lab'):
            continue
        at_import = {name.split('.')[0] for name, early in imports(path) if early}
        assert not at_import & HEAVY, f'{path.relative_to(REPOSITORY)}: {at_import & HEAVY}'


@pytest.mark.parametrize(
    'module', ['kws_imu_ros.commands.main', 'kws_imu_ros.bringup.composed_robot']
)
def test_starting_loads_no_heavy_library(module: str):
    """What the robot's process drags in decides its memory and its start-up time."""
    if '.bringup.' in module:
        pytest.importorskip('rclpy', reason='ROS 2 is not installed')
    code = f'import {module}, sys; print(*{{name.split(".")[0] for name in sys.modules}})'
    result = subprocess.run(
        [sys.executable, '-c', code],
        capture_output=True,
        text=True,
        timeout=120,
        env=dict(os.environ, PYTHONPATH=str(REPOSITORY)),
    )
    assert result.returncode == 0, result.stderr
    assert not set(result.stdout.split()) & (HEAVY | {'scipy', 'sklearn'})
