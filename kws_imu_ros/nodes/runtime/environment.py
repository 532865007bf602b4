"""
What ROS reads from the environment, looked at before ROS is imported.

ROS ends the process for some of these settings, in the import even, takes others for something else
(domain -1 for domain 0), and tells of none in words that name the variable. Hence this module
imports nothing of ROS.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kws_imu_ros.errors import KwsImuError, printable
from kws_imu_ros.resources import user_path

# DDS makes a domain's ports of its number; above it there are none.
HIGHEST_DOMAIN = 232
# Seconds since 1970 fit into the stamp of a message until 2038-01-19.
_END_OF_STAMPS_S = 2**31
_PROBE_PATIENCE_S = 60.0
_PROBE = """
import rclpy
from rclpy.signals import SignalHandlerOptions
rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
rclpy.create_node('environment_probe', start_parameter_services=False).destroy_node()
rclpy.try_shutdown()
"""
# Of variables that ROS or its middleware read.
_PREFIXES = (
    *('ROS_', 'RMW_', 'RCUTILS_', 'FASTDDS_', 'FASTRTPS_', 'CYCLONEDDS_', 'ZENOH_'),
    *('RTI_', 'NDDS_', 'AMENT_'),
)


@dataclass(frozen=True)
class Failure:
    """
    How ROS failed to start.

    problem: what it said last. variables: those of the environment without which it starts.
    """

    problem: str
    variables: tuple[str, ...] = ()


def prepare_environment() -> None:
    """
    Check the environment that ROS is about to start in, and give it a folder for its logs.

    Raises:
        KwsImuError: ROS would not start here, or not as it was meant.

    """
    domain_id()
    check_clock(time.time())
    _prepare_log_folder()
    _check_middleware()


def domain_id() -> int:
    """
    Return the ROS domain.

    Raises:
        KwsImuError: ROS_DOMAIN_ID is no domain.

    """
    text = os.environ.get('ROS_DOMAIN_ID', '').strip()
    if not text:
        return 0
    if not re.fullmatch(r'0|[1-9][0-9]{0,2}', text) or int(text) > HIGHEST_DOMAIN:
        raise KwsImuError(
            f'ROS_DOMAIN_ID is {printable(text)!r} and must be a whole number from 0 to '
            f'{HIGHEST_DOMAIN} (best 0 to 101); correct it where your shell sets it, or unset it.'
        )
    return int(text)


def check_clock(now_s: float) -> None:
    """
    Refuse a time that no message can carry.

    now_s: the machine's clock, s since 1970.

    Raises:
        KwsImuError: the clock is beyond the stamps of ROS.

    """
    if not 0.0 <= now_s < _END_OF_STAMPS_S:
        raise KwsImuError(
            f"This machine's clock says {_date(now_s)}, and the stamps of ROS messages end on "
            '2038-01-19; set the clock.'
        )


def _date(now_s: float) -> str:
    try:
        return time.strftime('%Y-%m-%d', time.gmtime(now_s))
    except (OverflowError, OSError, ValueError):
        return f'{now_s:.0f} s after 1970'


def _prepare_log_folder() -> None:
    """Let ROS log to a temporary folder where there is no home that it could log to."""
    given = os.environ.get('ROS_LOG_DIR', '')
    if given:
        problem = _unwritable(user_path(given))
        if problem:
            raise KwsImuError(
                f'ROS_LOG_DIR is {printable(given)!r}, where ROS cannot write its log ({problem}); '
                'correct it or unset it.'
            )
        return
    home = os.environ.get('HOME', '')
    ros_home = os.environ.get('ROS_HOME', '') or (home and str(Path(home, '.ros')))
    if not ros_home or _unwritable(Path(ros_home, 'log')):
        folder = Path(tempfile.gettempdir(), f'ros-log-{os.getuid()}')
        if _unwritable(folder):
            folder = Path(tempfile.mkdtemp(prefix='ros-log-'))
        os.environ['ROS_LOG_DIR'] = str(folder)


def _unwritable(folder: Path) -> str:
    """Make a folder; return why nothing can be written to it, '' where all is well."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        return (error.strerror or str(error)).lower()
    return '' if os.access(folder, os.W_OK | os.X_OK) else 'permission denied'


def _check_middleware() -> None:
    """Refuse a middleware that is not installed; ROS would end the process in its import."""
    name = os.environ.get('RMW_IMPLEMENTATION', '')
    if not name or _is_indexed(name):
        return
    # Not where it usually is: a process of its own tells, which takes a moment.
    failure = try_ros()
    if failure is not None and 'RMW_IMPLEMENTATION' in failure.variables:
        raise KwsImuError(
            f'RMW_IMPLEMENTATION is {printable(name)!r}, which is not installed here '
            f'({failure.problem}); install it, or unset RMW_IMPLEMENTATION.'
        )


def _is_indexed(middleware: str) -> bool:
    """Return whether ROS's index of installed packages knows a middleware."""
    if '/' in middleware or '\0' in middleware:
        return False
    prefixes = [
        *filter(None, os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep)),
        sys.prefix,
    ]
    return any(
        Path(prefix, 'share', 'ament_index', 'resource_index', kind, middleware).is_file()
        for prefix in prefixes
        for kind in ('rmw_typesupport', 'rmw_typesupport_cpp', 'rmw_typesupport_c')
    )


def try_ros(environment: Mapping[str, str] | None = None) -> Failure | None:
    """
    Start ROS and a node in a process of its own; return how that failed, None where it did not.

    A failure is tried again without each variable, to find the one that is to blame.
    """
    settings = dict(os.environ if environment is None else environment)
    problem = _run_probe(settings)
    if problem is None:
        return None
    suspects = [name for name in settings if name.startswith(_PREFIXES)]
    variables = [
        name
        for name in suspects
        if _run_probe({key: value for key, value in settings.items() if key != name}) is None
    ]
    return Failure(problem, tuple(variables))


def _run_probe(environment: Mapping[str, str]) -> str | None:
    try:
        done = subprocess.run(
            [sys.executable, '-c', _PROBE],
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_PROBE_PATIENCE_S,
        )
    except subprocess.TimeoutExpired:
        return f'it did not start within {_PROBE_PATIENCE_S:.0f} s'
    if done.returncode == 0:
        return None
    lines = [plain_words(line) for line in done.stdout.decode(errors='replace').splitlines()]
    lines = [line for line in lines if line]
    ended = (
        f'exit status {done.returncode}' if done.returncode > 0 else f'signal {-done.returncode}'
    )
    return lines[-1] if lines else f'it ended with {ended} and without a word'


def plain_words(text: str) -> str:
    """Return what a library says without colours, the name of its exception, and source lines."""
    text = re.sub(r'\x1b\[[0-9;]*m', '', text)
    text = re.sub(r'^(\[[^]]*\] *)+: *', '', ' '.join(text.split()))
    text = re.sub(r'^[\w.]*(Error|Exception): ', '', text)
    text = re.sub(r'^failed to initialize \w+: ', '', text)
    return re.sub(r',? at /.*$', '', text).rstrip(' .,')
