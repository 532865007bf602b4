"""The walls between the rooms: who may import whom, and what never loads at run time."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections import Counter
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
# What people call a library, by the name that is imported.
LIBRARIES = {
    'PyYAML': 'yaml',
    'pyserial': 'serial',
    'LiteRT': 'ai_edge_litert',
    'ROS': 'ros',
}
# An older name of another.
SAME_LIBRARY = {'tflite_runtime': 'ai_edge_litert'}
MOST_MODULES = 14
LARGEST_SHARE = 0.2

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


# The rooms


def contracts() -> dict[str, tuple[set[str], set[str]]]:
    """Return the rooms and libraries that each room's contract allows."""
    tomllib = pytest.importorskip('tomllib', reason='Python 3.11 reads pyproject.toml')
    settings = tomllib.loads((REPOSITORY / 'pyproject.toml').read_text(encoding='utf-8'))
    return {
        contract['room']: (
            set(contract.get('imports', ())),
            {SAME_LIBRARY.get(name, name) for name in contract.get('libraries', ())},
        )
        for contract in settings['tool']['importlinter']['contracts']
        if contract['type'] == 'room'
    }


def table() -> dict[str, tuple[set[str], set[str]]]:
    """Return the same of the table in CONTRIBUTING.md."""
    text = (REPOSITORY / 'CONTRIBUTING.md').read_text(encoding='utf-8')
    rows = re.findall(r'^\| `([\w/]+)/` \|[^|]*\|([^|]*)\|([^|]*)\|$', text, re.MULTILINE)
    return {
        room.replace('/', '.'): (
            {name.replace('/', '.') for name in re.findall(r'`([\w/]+)`', imports)},
            {LIBRARIES.get(name, name) for name in re.findall(r'\w+', libraries)},
        )
        for room, imports, libraries in rows
    }


def test_the_contracts_are_kept():
    pytest.importorskip('importlinter', reason='import-linter is not installed')
    code = 'import sys; from importlinter.cli import lint_imports_command; lint_imports_command()'
    result = subprocess.run(
        [sys.executable, '-c', code, '--no-cache'],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=240,
        env=dict(os.environ, PYTHONPATH=str(REPOSITORY / 'test' / 'support'), COLUMNS='200'),
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_table_says_what_the_contracts_say():
    told, held = table(), contracts()
    assert list(told) == list(held)
    assert {room: told[room] for room in held if told[room] != held[room]} == {}


def test_every_room_has_a_contract():
    rooms = {path.name for path in PACKAGE.iterdir() if (path / '__init__.py').is_file()}
    wing = {f'lab.{path.name}' for path in (PACKAGE / 'lab').iterdir() if path.is_dir()}
    expected = (rooms - {'lab'}) | {name for name in wing if not name.endswith('__')}
    assert set(contracts()) == expected | {'nodes.runtime'}


def test_the_top_of_the_package_holds_rooms():
    files = {path.name for path in PACKAGE.iterdir() if path.is_file()}
    assert files == {'__init__.py', '__main__.py', 'errors.py', 'resources.py'}
    assert {path.name for path in (PACKAGE / 'lab').iterdir() if path.is_file()} == {'__init__.py'}


def test_no_folder_is_a_heap():
    """The lab's rooms are counted like the others."""
    modules: Counter[str] = Counter()
    lines: Counter[str] = Counter()
    for path in PACKAGE.rglob('*.py'):
        count = len(path.read_text(encoding='utf-8').splitlines())
        inside = path.relative_to(PACKAGE)
        modules[str(inside.parent)] += path.name != '__init__.py'
        for folder in inside.parents:
            lines[str(folder)] += count
    assert {folder: n for folder, n in modules.items() if n > MOST_MODULES} == {}
    most = LARGEST_SHARE * lines['.']
    assert {f: n for f, n in lines.items() if f not in ('.', 'lab') and n > most} == {}
