"""The linters, and the promises of the package's own description, as tests."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

import kws_imu_ros

REPOSITORY = Path(__file__).resolve().parents[2]


def run(*arguments: str, **options) -> subprocess.CompletedProcess:
    return subprocess.run(
        arguments, cwd=REPOSITORY, capture_output=True, text=True, timeout=240, **options
    )


def read(name: str) -> str:
    return (REPOSITORY / name).read_text(encoding='utf-8')


def test_ruff_finds_nothing():
    result = run(sys.executable, '-m', 'ruff', 'check', '--no-cache', '.')
    assert result.returncode == 0, result.stdout + result.stderr


def test_every_file_is_formatted():
    result = run(sys.executable, '-m', 'ruff', 'format', '--no-cache', '--check', '.')
    assert result.returncode == 0, result.stdout + result.stderr


def test_docstrings_have_sections_and_no_fields():
    """Sphinx's fields are a second style, which no rule of the linter knows."""
    field = re.compile(
        r'^\s*:(?:param|type|return|returns|rtype|raises?|yields?)\b[^:]*:', re.MULTILINE
    )
    files = [
        path
        for folder in ('kws_imu_ros', 'launch', 'docs', 'test')
        for path in (REPOSITORY / folder).rglob('*.py')
    ]
    found = {
        str(path.relative_to(REPOSITORY)): fields
        for path in files
        if (fields := field.findall(path.read_text(encoding='utf-8')))
    }
    assert found == {}


@pytest.mark.parametrize('script', ['run', '.ci/run'])
def test_scripts_are_executable_bash_without_syntax_errors(script: str):
    assert os.access(REPOSITORY / script, os.X_OK)
    result = run('bash', '-n', script)
    assert result.returncode == 0, result.stderr


def test_package_xml_is_valid():
    # colcon takes a package whose description does not validate for a plain Python one, silently.
    package = pytest.importorskip('catkin_pkg.package')
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        found = package.parse_package(str(REPOSITORY / 'package.xml'), warnings=(problems := []))
        found.validate(warnings=problems)
    assert problems == []
    assert found.package_format == 3
    assert found.get_build_type() == 'ament_python'
    assert found.licenses == ['Apache-2.0']
    assert (REPOSITORY / found.licenses[0].file).is_file()
    dependencies = [dependency.name for dependency in found.exec_depends]
    assert len(set(dependencies)) == len(dependencies)


def test_colcon_sees_an_ament_python_package():
    pytest.importorskip('colcon_ros')
    code = 'import sys; from colcon_core.command import main; sys.exit(main())'
    result = run(sys.executable, '-c', code, '--log-base', '/dev/null', 'list')
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == ['kws_imu_ros', '.', '(ros.ament_python)']


def test_every_place_tells_the_same_version():
    version = kws_imu_ros.__version__
    assert re.search(r'<version>(.*)</version>', read('package.xml'))[1] == version
    assert re.search(r"version='(.*)'", read('setup.py'))[1] == version
    released = re.search(r'^(\d+\.\d+\.\d+) \(', read('CHANGELOG.rst'), re.MULTILINE)
    assert released[1] == version


def test_ros_packages_that_the_code_imports_are_declared():
    declared = set(re.findall(r'<exec_depend>(.*)</exec_depend>', read('package.xml')))
    pattern = re.compile(
        r'^\s*(?:from|import) ((?:\w+_msgs|std_srvs|rcl_interfaces|rclpy|launch\w*|ament_\w+))\b',
        re.MULTILINE,
    )
    files = [*(REPOSITORY / 'kws_imu_ros').rglob('*.py'), *(REPOSITORY / 'launch').glob('*.py')]
    used = {name for path in files for name in pattern.findall(path.read_text(encoding='utf-8'))}
    # An adapter for a package that is optional by design.
    used.discard('audio_common_msgs')
    assert 'rclpy' in used
    assert used <= declared


def entry_points() -> list[tuple[str, str, str]]:
    """Return (executable, module, function) of everything that setup.py installs."""
    code = (
        'import setuptools, runpy\n'
        'setuptools.setup = lambda **k: print(*k["entry_points"]["console_scripts"], sep="\\n")\n'
        'runpy.run_path("setup.py")\n'
    )
    lines = run(sys.executable, '-c', code, check=True).stdout.splitlines()
    return [re.fullmatch(r'(\S+) = ([\w.]+):(\w+)', line).groups() for line in lines]


def test_every_executable_leads_to_a_function():
    found = entry_points()
    names = {name for name, _, _ in found}
    nodes = {'microphone', 'imu', 'fusion', 'command', 'simulated_robot', 'replay', 'robot'}
    nodes |= {'choreographer', 'coach'}
    assert names == nodes | {'kws-imu'}
    for name, module, function in found:
        spec = importlib.util.find_spec(module)
        assert spec is not None, f'{name}: there is no {module}'
        source = Path(spec.origin).read_text(encoding='utf-8')
        assert re.search(rf'^def {function}\(', source, re.MULTILINE), f'{name}: no {function}()'


@pytest.mark.parametrize('document', ['README.md', 'CONTRIBUTING.md'])
def test_links_within_the_repository_lead_somewhere(document: str):
    targets = re.findall(r'\]\(([^)#]+)(?:#[^)]*)?\)', read(document))
    inside = [target for target in targets if '://' not in target]
    assert [target for target in inside if not (REPOSITORY / target).exists()] == []


def test_the_readme_begins_with_the_two_commands():
    commands = re.findall(r'^(\./run .*?)(?:\s+#.*)?$', read('README.md'), re.MULTILINE)
    assert commands[:2] == ['./run demo', './run tests']


@pytest.mark.parametrize('script', ['run', '.ci/run'])
def test_shellcheck_finds_nothing(script: str):
    program = shutil.which('shellcheck', path=f'{Path(sys.executable).parent}:{os.environ["PATH"]}')
    if program is None:
        pytest.skip('shellcheck is not installed')
    result = run(program, script)
    assert result.returncode == 0, result.stdout
