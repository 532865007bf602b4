"""
Fixtures that every test file may use: a private ROS domain, real data, the model, child processes.

Nothing here depends on the order of tests, and nothing outlives the test session. Tests run under
plain ``.venv/bin/pytest``; where the ROS 2 wheels are used, their bootstrapper restarts the
interpreter once at start-up to set the library path, before pytest has begun, and leaves a mark in
the environment so that child processes need not do it again.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest

# Markers by what a test lies in and by what it asks for; a module adds others as `pytestmark`.
TRAINING_FOLDERS = tuple(
    Path(__file__).resolve().parent / 'lab' / name
    for name in ('architectures', 'compression', 'experiments', 'training')
)
MARKERS_OF_FOLDERS = {
    **dict.fromkeys(TRAINING_FOLDERS, 'training'),
    Path(__file__).resolve().parent / 'nodes': 'ros',
}
MARKERS_OF_FIXTURES = {'ros_context': 'ros', 'sound_server': 'sound'}
HAS_TENSORFLOW = importlib.util.find_spec('tensorflow') is not None


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave out what cannot even be imported without TensorFlow."""
    return True if not HAS_TENSORFLOW and collection_path in TRAINING_FOLDERS else None


def pytest_report_header() -> list[str]:
    """Say what is left out."""
    if HAS_TENSORFLOW:
        return []
    return ['TensorFlow is not installed: what trains is left out (requirements/training.txt)']


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test."""
    for item in items:
        markers = [m for folder, m in MARKERS_OF_FOLDERS.items() if folder in item.path.parents]
        asked = getattr(item, 'fixturenames', ())
        markers += [marker for name, marker in MARKERS_OF_FIXTURES.items() if name in asked]
        for marker in markers:
            item.add_marker(marker)


# A slow machine is no reason to fail.
hypothesis.settings.register_profile('no_deadline', deadline=None)
hypothesis.settings.load_profile('no_deadline')

REPOSITORY = Path(__file__).resolve().parent.parent

# DDS turns a domain into UDP ports; these stay below Linux's ephemeral range and away from the
# low numbers that people pick by hand.
DOMAINS = range(20, 102)

# How long anything may take, s: what works is far faster, and only what hangs comes near. A machine
# under load starts a process in tens of seconds, and may suspend it for some more.
PATIENCE_S = 120.0


@pytest.fixture(scope='session', autouse=True)
def ros_domain() -> Iterator[int]:
    """
    Give this test process a ROS domain that no other test process on the machine has.

    Autouse, so that no test can ever move a robot that happens to be on the network. Returns the
    ROS_DOMAIN_ID, which is also in the environment, as is discovery limited to this machine.
    """
    with contextlib.ExitStack() as stack:
        for offset in range(len(DOMAINS)):
            domain = DOMAINS[(os.getpid() + offset) % len(DOMAINS)]
            path = Path(tempfile.gettempdir()) / f'kws_imu_ros_test_domain_{domain}.lock'
            try:
                lock = stack.enter_context(path.open('w'))
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                continue  # Another test process, or another user, has it.
            break
        else:
            pytest.fail('every ROS domain for tests is taken; end the other test runs first')
        environment = pytest.MonkeyPatch()
        stack.callback(environment.undo)
        environment.setenv('ROS_DOMAIN_ID', str(domain))
        environment.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
        if os.environ.get('ROS_DISTRO') == 'humble':
            environment.setenv('ROS_LOCALHOST_ONLY', '1')  # Humble does not know the range yet.
        yield domain


@pytest.fixture(scope='session')
def data_directory() -> Path:
    """
    Return the folder of full data sets that KWS_IMU_DATA names, or skip the test.

    It holds ``speech_commands``, ``gestures`` and ``hapt`` in their public layouts.
    """
    value = os.environ.get('KWS_IMU_DATA', '')
    if not value:
        pytest.skip('KWS_IMU_DATA does not name a folder of data sets')
    path = Path(value)
    if not path.is_dir():
        pytest.fail(f'KWS_IMU_DATA names {path}, which is not a folder')
    return path


@pytest.fixture(scope='session')
def test_data() -> Path:
    """Return test/data, the small real recordings that are committed with the tests."""
    return REPOSITORY / 'test' / 'data'


@pytest.fixture(scope='session')
def bundle_directory() -> Path:
    """
    Return the directory of the newest shipped model bundle (or of KWS_IMU_MODEL, if set).

    A missing model is a failure, not a skip: the package is of no use without it.
    """
    override = os.environ.get('KWS_IMU_MODEL', '')
    if override:
        return Path(override)
    versions = [
        (tuple(int(part) for part in path.name.split('.')), path)
        for path in (REPOSITORY / 'models' / 'voice_gesture').glob('[0-9]*.[0-9]*.[0-9]*')
        if (path / 'manifest.json').is_file()
    ]
    if not versions:
        pytest.fail('models/voice_gesture holds no bundle')
    return max(versions)[1]


@pytest.fixture(scope='session', autouse=True)
def plain_environment() -> Iterator[None]:
    """Take away what a person or a build server may have set to have output in their own way."""
    environment = pytest.MonkeyPatch()
    for name in (
        *('FORCE_COLOR', 'NO_COLOR', 'CLICOLOR', 'CLICOLOR_FORCE', 'TTY_COMPATIBLE'),
        *('TTY_INTERACTIVE', 'COLUMNS', 'LINES', 'PYTHONWARNINGS', 'ROS_NAMESPACE'),
        *('RCUTILS_COLORIZED_OUTPUT', 'RCUTILS_CONSOLE_OUTPUT_FORMAT'),
        *('RCUTILS_LOGGING_USE_STDOUT', 'RCUTILS_LOGGING_BUFFERED_STREAM'),
    ):
        environment.delenv(name, raising=False)
    yield
    environment.undo()


class Probe:
    """A node that listens in on a graph under test, and spins it until something is so."""

    def __init__(self, context, name: str) -> None:
        import rclpy
        from rclpy.executors import SingleThreadedExecutor

        self.node = rclpy.create_node(name, context=context)
        self.executor = SingleThreadedExecutor(context=context)
        self.executor.add_node(self.node)

    def add_node(self, node) -> None:
        """Spin another node of the same process along with the probe's own."""
        self.executor.add_node(node)

    def record(self, message_type, topic: str, qos=50) -> list:
        """Subscribe to a topic; return the list that its messages are appended to."""
        messages: list = []
        self.node.create_subscription(message_type, topic, messages.append, qos)
        return messages

    def spin_until(self, condition: Callable[[], object], timeout_s: float = PATIENCE_S) -> bool:
        """Spin until condition() holds; return whether it came to hold within timeout_s."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > deadline:
                return False
            self.executor.spin_once(timeout_sec=0.05)
        return True

    def call(self, service_type, name: str, request):
        """
        Call a service and return its response.

        The server may find the client's end for the answer later than the client finds the server,
        and what it answers before is lost: without an answer, the question is asked again.
        """
        client = self.node.create_client(service_type, name)
        futures = []

        def answered() -> bool:
            return any(future.done() for future in futures)

        assert self.spin_until(client.service_is_ready), f'nobody offers {name}'
        for _ in range(6):
            futures.append(client.call_async(request))
            if self.spin_until(answered, PATIENCE_S / 6):
                break
        assert answered(), f'{name} gives no answer'
        self.node.destroy_client(client)
        return next(future.result() for future in futures if future.done())

    def close(self) -> None:
        """Stop spinning and destroy the probe's node."""
        self.executor.shutdown(timeout_sec=5.0)
        self.node.destroy_node()


@pytest.fixture
def ros_context(ros_domain: int):
    """Initialize rclpy in a context of the test's own, and shut it down after the test."""
    rclpy = pytest.importorskip('rclpy', reason='ROS 2 is not installed')
    context = rclpy.Context()
    rclpy.init(context=context)
    yield context
    rclpy.try_shutdown(context=context)


@pytest.fixture
def probe(ros_context) -> Iterator[Probe]:
    """Return a node that records topics and spins until a condition holds."""
    probe = Probe(ros_context, f'probe_{os.getpid()}')
    yield probe
    probe.close()


class ChildProcess:
    """A child process whose output goes to a file that the test can read at any time."""

    def __init__(self, arguments: list[str], environment: dict[str, str], log: Path) -> None:
        self.arguments = arguments
        self.log = log
        with log.open('wb') as stream:
            # A session of its own, so that a signal reaches its children and nobody else.
            self.popen = subprocess.Popen(
                arguments,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Return the process id."""
        return self.popen.pid

    @property
    def output(self) -> str:
        """Return everything that the process has printed so far."""
        return self.log.read_text(errors='replace')

    def wait_for(self, text: str, timeout_s: float = PATIENCE_S) -> bool:
        """Wait until text was printed; return False if the process ended or time ran out."""
        deadline = time.monotonic() + timeout_s
        while text not in self.output:
            if time.monotonic() > deadline:
                return False
            if self.popen.poll() is not None:
                return text in self.output
            time.sleep(0.05)
        return True

    def wait(self, timeout_s: float = PATIENCE_S) -> int:
        """Wait for the end; return the exit status. Raise TimeoutExpired when it does not end."""
        return self.popen.wait(timeout_s)

    def send_signal(self, number: int) -> None:
        """Send a signal to the process alone, as an operator's kill would."""
        self.popen.send_signal(number)

    def stop(self, timeout_s: float = 60.0) -> int:
        """Interrupt the process, kill what is left of its session; return the exit status."""
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.popen.wait(timeout_s)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.popen.pid, signal.SIGKILL)
        return self.popen.wait()


class Processes:
    """Starts child processes in the test's ROS domain and ends them all."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._children: list[ChildProcess] = []

    def start(self, *arguments: str, environment: dict[str, str] | None = None) -> ChildProcess:
        """
        Start this interpreter with arguments, for instance ``-m kws_imu_ros doctor``.

        environment is laid over the test's own; an argument may be anything with a str().
        """
        return self.start_program(sys.executable, *arguments, environment=environment)

    def start_program(
        self, *arguments: str, environment: dict[str, str] | None = None
    ) -> ChildProcess:
        """Start any program the same way."""
        full = dict(os.environ, PYTHONUNBUFFERED='1', COLUMNS='200')
        path = full.get('PYTHONPATH', '')
        full['PYTHONPATH'] = f'{REPOSITORY}{os.pathsep}{path}' if path else str(REPOSITORY)
        full.update(environment or {})
        log = self._directory / f'process_{len(self._children)}.log'
        child = ChildProcess([str(argument) for argument in arguments], full, log)
        self._children.append(child)
        return child

    @property
    def latest(self) -> ChildProcess:
        """Return the process that was started last."""
        return self._children[-1]

    def stop_all(self) -> None:
        """End every process; print the output of each, which pytest shows when a test failed."""
        for child in self._children:
            status = child.stop()
            print(f'--- {" ".join(child.arguments)} (exit status {status})\n{child.output}')


@pytest.fixture
def processes(tmp_path: Path, ros_domain: int) -> Iterator[Processes]:
    """Return a starter of child processes, all of which end with the test."""
    processes = Processes(tmp_path)
    yield processes
    processes.stop_all()
