"""The three places that say what is needed agree, and a wheel holds all that it needs."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]

# What a library of requirements/runtime.txt is called in rosdep; None: it has no key.
ROSDEP_KEYS = {
    'ai-edge-litert': None,
    'dtaidistance': None,
    'jinja2': 'python3-jinja2',
    'matplotlib': 'python3-matplotlib',
    'numpy': 'python3-numpy',
    'psutil': 'python3-psutil',
    'pyserial': 'python3-serial',
    'pyyaml': 'python3-yaml',
    'rich': 'python3-rich',
    'rosbags': 'python3-rosbags-pip',
    'smbus2': 'python3-smbus2-pip',
    'sounddevice': 'python3-sounddevice-pip',
    'soundfile': 'python3-soundfile',
    'soxr': None,
}
# What Debian brings for a Python library.
SYSTEM_LIBRARIES = {'portaudio19-dev'}


def required(name: str) -> dict[str, str]:
    """Return {distribution: the whole line} of a file in requirements/."""
    lines = (REPOSITORY / 'requirements' / f'{name}.txt').read_text(encoding='utf-8').splitlines()
    wanted = [line.strip() for line in lines if line.strip() and not line.startswith('#')]
    return {distribution(line): line for line in wanted}


def distribution(requirement: str) -> str:
    """Return the normalized name of what a line asks for."""
    name = re.split(r'[\[<>=!~; (]', requirement, maxsplit=1)[0]
    return re.sub(r'[-_.]+', '-', name).lower()


@pytest.fixture(scope='module')
def wheel(tmp_path_factory) -> Path:
    """Build a wheel from what git has, as a person would from a clone."""
    folder = tmp_path_factory.mktemp('wheel')
    source = folder / 'source'
    source.mkdir()
    names = subprocess.run(
        ['git', 'ls-files', '-z', '--cached', '--others', '--exclude-standard'],
        cwd=REPOSITORY,
        capture_output=True,
        check=False,
    )
    if names.returncode:
        pytest.skip('this is no git clone')
    for name in names.stdout.decode().split('\0'):
        path = REPOSITORY / name
        if name and path.is_file() and not name.startswith(('test/', 'experiments/')):
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes(path.read_bytes())
    pip = [sys.executable, '-m', 'pip', 'wheel', '--quiet', '--no-deps', '--no-build-isolation']
    command = [*pip, '--no-index', '--wheel-dir', str(folder), str(source)]
    built = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert built.returncode == 0, built.stderr
    (path,) = folder.glob('*.whl')
    return path


@pytest.fixture(scope='module')
def environment(wheel: Path, tmp_path_factory) -> Path:
    """
    Install the wheel into an environment of its own; return its folder.

    The libraries that it asks for come from the tests' environment, since there may be no network.
    """
    folder = tmp_path_factory.mktemp('environment')
    subprocess.run([sys.executable, '-m', 'venv', '--without-pip', str(folder)], check=True)
    python = folder / 'bin' / 'python'
    pip = [sys.executable, '-m', 'pip', '--python', str(python), 'install', '--quiet']
    subprocess.run([*pip, '--no-deps', '--no-index', str(wheel)], check=True, timeout=240)
    asked = [str(python), '-c', 'import sysconfig; print(sysconfig.get_path("purelib"))']
    site = Path(subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip())
    # Behind the environment's own folder, so that the package itself comes from the wheel.
    (site / 'libraries.pth').write_text(sysconfig.get_path('purelib') + '\n', encoding='utf-8')
    return folder


def kws_imu(environment: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [str(environment / 'bin' / 'kws-imu'), *arguments],
        cwd=folder,
        env={'PATH': '/usr/bin:/bin', 'HOME': str(folder)},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def test_package_xml_names_the_libraries_of_the_run_time():
    text = (REPOSITORY / 'package.xml').read_text(encoding='utf-8')
    declared = set(re.findall(r'<exec_depend>((?:python3-|portaudio).*)</exec_depend>', text))
    libraries = set(required('runtime'))
    assert libraries <= set(ROSDEP_KEYS), 'say in ROSDEP_KEYS what rosdep calls it'
    keys = {ROSDEP_KEYS[name] for name in libraries} - {None}
    assert declared - SYSTEM_LIBRARIES == keys


def test_what_a_wheel_asks_for_is_what_the_requirements_say(wheel: Path):
    (found,) = importlib.metadata.Distribution.discover(path=[str(wheel)])
    lines = found.requires or []
    plain = {distribution(line) for line in lines if 'extra ==' not in line}
    assert plain == set(required('runtime')) - {'matplotlib'}
    extras: dict[str, set[str]] = {}
    for line in lines:
        if extra := re.search(r'extra == [\'"](\w+)[\'"]', line):
            extras.setdefault(extra[1], set()).add(distribution(line))
    assert extras == {
        'plots': {'matplotlib'},
        'training': set(required('training')) | {'matplotlib'},
    }


def test_a_wheel_has_the_templates(wheel: Path):
    found = {name for name in zipfile.ZipFile(wheel).namelist() if name.endswith('.jinja')}
    package = REPOSITORY / 'kws_imu_ros'
    wanted = {str(path.relative_to(REPOSITORY)) for path in package.rglob('*.jinja')}
    assert wanted and found == wanted


def test_a_wheel_has_all_that_the_first_steps_need(environment: Path, tmp_path):
    shown = kws_imu(environment, tmp_path, '--help')
    assert shown.returncode == 0, shown.stderr
    assert 'replay' in shown.stdout
    demo = environment / 'share' / 'kws_imu_ros' / 'demo' / 'bag'
    replayed = kws_imu(environment, tmp_path, 'replay', str(demo), '--offline')
    assert replayed.returncode == 0, replayed.stderr
    assert 'scenario: passed True' in replayed.stdout
    told = kws_imu(environment, tmp_path, 'doctor')
    assert str(environment) in told.stdout
    assert 'checksums right' in told.stdout
