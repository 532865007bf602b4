"""`kws-imu doctor`: what this machine has, what is missing, and what to do about it."""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import importlib.util
import json
import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from kws_imu_ros.errors import KwsImuError, printable
from kws_imu_ros.resources import share_directory, share_path

OK, NOTE, PROBLEM = 'ok', 'note', 'problem'
_MESSAGE_MODULES = (
    'std_msgs.msg',
    'sensor_msgs.msg',
    'geometry_msgs.msg',
    'nav_msgs.msg',
    'std_srvs.srv',
    'diagnostic_msgs.msg',
    'rosgraph_msgs.msg',
)
_LEAST_FREE_BYTES = 200_000_000


@dataclass(frozen=True)
class Finding:
    """
    One line of the report.

    subject: what was looked at. level: OK, NOTE (something optional is missing) or PROBLEM (the
    demo will not run). detail: what was found. advice: what to do, '' when all is well.
    """

    subject: str
    level: str
    detail: str
    advice: str = ''


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's options."""
    parser.add_argument('--model', default=None, help='bundle to check instead of the shipped one')
    parser.add_argument('--json', action='store_true', help='print one JSON object')


def run(args: argparse.Namespace) -> int:
    """Print the report; return 0 when the demo will run here, 1 when something is missing."""
    findings = list(examine(args.model))
    problems = sum(finding.level == PROBLEM for finding in findings)
    if args.json:
        print(json.dumps({'problems': problems, 'findings': [asdict(item) for item in findings]}))
        return 1 if problems else 0
    width = max(len(finding.subject) for finding in findings)
    marks = {OK: 'ok     ', NOTE: 'note   ', PROBLEM: 'PROBLEM'}
    for finding in findings:
        print(f'{marks[finding.level]}  {finding.subject:<{width}}  {finding.detail}')
        if finding.advice:
            print(f'{"":<{width + 11}}-> {finding.advice}')
    print()
    print(
        f'{problems} problem{"s" if problems > 1 else ""}: follow the arrows above.'
        if problems
        else 'Everything that the demo needs is here; try `kws-imu run`.'
    )
    return 1 if problems else 0


def examine(model: str | None = None) -> Iterator[Finding]:
    """Yield the findings one by one; no check that fails keeps the next from being made."""
    checks: list[Callable[[], Iterator[Finding]]] = [
        _python,
        _ros,
        lambda: _model(model),
        _configuration,
        _demo,
        _libraries,
        _microphones,
        _serial_ports,
        _base,
        _disk,
        _training,
    ]
    for check in checks:
        try:
            yield from check()
        except KwsImuError as error:
            yield Finding(_subject(check), PROBLEM, str(error))
        except Exception as error:  # noqa: BLE001 - the doctor reports what breaks, it does not break
            yield Finding(_subject(check), PROBLEM, f'{type(error).__name__}: {error}')


def _subject(check: Callable) -> str:
    return check.__name__.strip('_<>').replace('_', ' ').replace('lambda', 'model')


def _python() -> Iterator[Finding]:
    version = platform.python_version()
    detail = f'Python {version} on {platform.machine()}, {os.cpu_count()} cores, {sys.prefix}'
    yield Finding('python', OK, detail)


def _ros() -> Iterator[Finding]:
    advice = 'Source your ROS 2 (`source /opt/ros/<distro>/setup.bash`) or use `./run`.'
    # Looked up, not imported: some settings end the process in the import.
    if importlib.util.find_spec('rclpy') is None:
        yield Finding('ros', PROBLEM, 'rclpy is not installed, or not for this Python', advice)
        return
    origin = os.environ.get('ROS_DISTRO') or f'wheels, rclpy {_version("ros-rclpy")}'
    yield _start_of_ros(origin)
    missing = [name.split('.')[0] for name in _MESSAGE_MODULES if not _importable(name)]
    if missing:
        names = ' '.join(name.replace('_', '-') for name in missing)
        yield Finding(
            'ros messages',
            PROBLEM,
            f'not installed: {", ".join(missing)}',
            f'Install them: `apt install` ros-<distro>- or `pip install` ros-: {names}.',
        )
    else:
        yield Finding('ros messages', OK, f'all {len(_MESSAGE_MODULES)} packages')
    if not _importable('tf2_msgs.msg'):
        yield Finding('ros tf', NOTE, 'tf2_msgs is not installed, so `tf` is not published')
    if importlib.util.find_spec('launch_ros') is None:
        yield Finding(
            'ros launch',
            NOTE,
            'launch_ros is not installed, so there is no `ros2 launch`',
            '`kws-imu run` and `robot` do the same without it.',
        )


def _start_of_ros(origin: str) -> Finding:
    """Start ROS and a node in a process of its own, and report what happened."""
    from kws_imu_ros.nodes.runtime.environment import domain_id, prepare_environment, try_ros

    # Refused in a sentence where the reason is known, by its words where it is not.
    try:
        prepare_environment()
        here = f'ROS 2 ({origin}), domain {domain_id()}'
    except KwsImuError as error:
        return Finding('ros', PROBLEM, str(error))
    failure = try_ros()
    if failure is None:
        return Finding('ros', OK, f'{here}, starts')
    settings = [f'{name} is {printable(os.environ[name])!r}' for name in failure.variables]
    blamed = f' with what the environment says: {", ".join(settings)}' if settings else ''
    advice = f'Without {" or ".join(failure.variables)} it starts: correct or unset it.'
    return Finding(
        'ros',
        PROBLEM,
        f'{here}, does not start{blamed} ({failure.problem})',
        advice if settings else 'Search for these words at https://robotics.stackexchange.com.',
    )


def _base() -> Iterator[Finding]:
    yield Finding(
        'real base',
        NOTE,
        'none is looked for here; yours must stop by itself when cmd_vel stops coming',
        'Never set `cmd_vel_timeout: 0.0` (diff_drive_controller): it drives on for ever then.',
    )


def _model(model: str | None) -> Iterator[Finding]:
    from kws_imu_ros.model.bundle import find_bundle, load_bundle
    from kws_imu_ros.model.interpreter import Interpreter

    try:
        bundle = load_bundle(find_bundle(model) if model else find_bundle())
    except KwsImuError as error:
        yield Finding('model', PROBLEM, str(error))
        return
    yield Finding('model', OK, f'{bundle.path}, {len(bundle.model_bytes)} bytes, checksums right')
    try:
        interpreter = Interpreter(bundle)
        interpreter.infer(None, None)
    except KwsImuError as error:
        yield Finding('inference', PROBLEM, str(error), 'Install ai-edge-litert with pip.')
        return
    yield Finding('inference', OK, f'runs on {interpreter.runtime}')


def _configuration() -> Iterator[Finding]:
    from kws_imu_ros.configuration.document import Source, parse_yaml
    from kws_imu_ros.configuration.section import read_text
    from kws_imu_ros.decision.agreement import check_stop
    from kws_imu_ros.decision.table import load_table
    from kws_imu_ros.motion.profiles import load_motion_table

    folder = share_directory() / 'config'
    files = sorted(folder.glob('*.yaml'))
    try:
        for path in files:
            parse_yaml(read_text(path, 'file')[1], Source(str(path)))
        effects = load_motion_table(folder / 'motion.yaml').effects()
        check_stop(load_table(folder / 'policy.yaml'), effects.stops, effects.source)
    except KwsImuError as error:
        yield Finding('config', PROBLEM, str(error), 'Correct the file.')
        return
    yield Finding('config', OK, f'{len(files)} files in {folder}')


def _demo() -> Iterator[Finding]:
    from kws_imu_ros.bags.reading import summarize_bag
    from kws_imu_ros.replay.scenario import load_scenario

    summary = summarize_bag(share_path('demo', 'bag'))
    scenario = load_scenario(share_path('demo', 'scenario.yaml'))
    yield Finding('demo', OK, f'{summary.duration_s:.0f} s, {len(scenario.events)} events')


def _libraries() -> Iterator[Finding]:
    for name, what in (
        ('rich', 'the live terminal (plain lines are printed instead)'),
        ('matplotlib', 'the picture of the path'),
        ('soundfile', 'sound files as input'),
    ):
        if _importable(name):
            yield Finding(name, OK, _version(name))
        else:
            yield Finding(name, NOTE, f'not installed: {what}', f'`pip install {name}`')


def _microphones() -> Iterator[Finding]:
    from kws_imu_ros.audio.sources.microphone import list_microphones

    try:
        devices = list_microphones()
    except KwsImuError as error:
        yield Finding('microphone', NOTE, str(error))
        return
    if not devices:
        yield Finding(
            'microphone',
            NOTE,
            'none found',
            'Plug one in for `kws-imu run --input microphone`; the demo needs none.',
        )
        return
    yield Finding('microphone', OK, '; '.join(f'{index}: {name}' for index, name in devices))


def _serial_ports() -> Iterator[Finding]:
    ports = sorted(
        str(path)
        for pattern in ('ttyUSB*', 'ttyACM*', 'serial0', 'i2c-*')
        for path in Path('/dev').glob(pattern)
    )
    closed = [port for port in ports if not os.access(port, os.R_OK | os.W_OK)]
    if closed:
        group = 'i2c' if all('i2c' in port for port in closed) else 'dialout'
        yield Finding(
            'imu ports',
            NOTE,
            f'no permission for {", ".join(closed)}',
            f'`sudo usermod -aG {group} $USER`, then log in again.',
        )
    elif ports:
        yield Finding('imu ports', OK, ', '.join(ports))
    else:
        yield Finding(
            'imu ports',
            NOTE,
            'no serial or I2C port found',
            'Plug the wrist sensor in, or let another driver publish imu/data_raw.',
        )


def _disk() -> Iterator[Finding]:
    free = shutil.disk_usage(Path.cwd()).free
    detail = f'{free / 1e9:.1f} GB free in {Path.cwd()}'
    if not os.access(Path.cwd(), os.W_OK):
        yield Finding('disk', NOTE, f'{Path.cwd()} cannot be written', 'Use `run --output DIR`.')
    elif free < _LEAST_FREE_BYTES:
        yield Finding('disk', NOTE, detail, 'A minute of recording takes about 8 MB; free some.')
    else:
        yield Finding('disk', OK, detail)


def _training() -> Iterator[Finding]:
    # Looked up, not imported: that alone would take seconds.
    missing = [
        name
        for name in ('tensorflow', 'tf_keras', 'tensorflow_model_optimization', 'librosa')
        if importlib.util.find_spec(name) is None
    ]
    if missing:
        yield Finding(
            'training',
            NOTE,
            f'not installed: {", ".join(missing)}',
            'Needed only for `kws-imu train`; see the README.',
        )
    else:
        yield Finding('training', OK, 'TensorFlow and the training tools are installed')


def _importable(name: str) -> bool:
    """Return whether a module can be imported."""
    try:
        importlib.import_module(name)
    except ImportError:
        return False
    return True


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return 'installed'
