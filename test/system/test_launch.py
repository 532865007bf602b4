"""The launch files, run by the real `ros2 launch` where it is installed."""

from __future__ import annotations

import ast
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import soundfile

pytestmark = [pytest.mark.ros, pytest.mark.realtime]

REPOSITORY = Path(__file__).resolve().parents[2]
LAUNCH = REPOSITORY / 'launch'
INSTALL = REPOSITORY / 'install' / 'kws_imu_ros'
ROS2 = ('-c', 'import sys; from ros2cli.cli import main; sys.exit(main())')


@pytest.mark.parametrize('path', sorted(LAUNCH.glob('*.launch.py')), ids=lambda path: path.name)
def test_arguments_are_declared_with_descriptions(path: Path):
    """What `--show-args` shows, read from the source: this needs no launch package."""
    tree = ast.parse(path.read_text(encoding='utf-8'))
    declared = {}
    used = set()
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        function = node.func.id if isinstance(node.func, ast.Name) else ''
        if function == 'DeclareLaunchArgument':
            keywords = {keyword.arg for keyword in node.keywords}
            declared[node.args[0].value] = keywords
        elif function in ('LaunchConfiguration', 'value', 'is_true'):
            used |= {arg.value for arg in node.args if isinstance(arg, ast.Constant)}
    assert {'namespace', 'params_file', 'model', 'input', 'composed'} <= set(declared)
    assert used <= set(declared)
    for name, keywords in declared.items():
        assert {'description', 'default_value'} <= keywords, name


@pytest.fixture
def ros2_launch(processes, bundle_directory, monkeypatch):
    """Return a starter of `ros2 launch kws_imu_ros robot.launch.py`, of what ./run has built."""
    pytest.importorskip('ros2launch', reason='ros2 launch is not installed')
    pytest.importorskip('launch_ros.actions', reason='launch_ros is not installed')
    packages = pytest.importorskip('ament_index_python.packages')
    if (INSTALL / 'share' / 'kws_imu_ros').is_dir():
        # As `source install/setup.bash` does.
        monkeypatch.setenv('AMENT_PREFIX_PATH', str(INSTALL), prepend=os.pathsep)
        for site in INSTALL.glob('lib/python3*/site-packages'):
            monkeypatch.setenv('PYTHONPATH', str(site), prepend=os.pathsep)
    try:
        packages.get_package_prefix('kws_imu_ros')
    except packages.PackageNotFoundError:
        pytest.skip('kws_imu_ros is not installed in AMENT_PREFIX_PATH: build it with colcon')

    def start(*arguments: str):
        model = f'model:={bundle_directory}'
        return processes.start(*ROS2, 'launch', 'kws_imu_ros', 'robot.launch.py', model, *arguments)

    return start


@pytest.fixture
def silence(tmp_path: Path) -> Path:
    """Return a sound file without a word, long enough to see the robot while it plays."""
    path = tmp_path / 'silence.wav'
    soundfile.write(path, np.zeros(4 * 16000, np.int16), 16000)
    return path


@pytest.mark.parametrize('composed', ['true', 'false'])
def test_it_starts_drives_and_ends_with_its_input(ros2_launch, probe, silence, composed):
    from geometry_msgs.msg import Twist
    from nav_msgs.msg import Odometry

    velocities = probe.record(Twist, '/classroom/cmd_vel')
    odometry = probe.record(Odometry, '/classroom/odom')
    launch = ros2_launch('namespace:=classroom', f'input:={silence}', f'composed:={composed}')
    nodes = {'fusion', 'command', 'simulated_robot', 'microphone'}
    seen = set()

    def complete() -> bool:
        seen.update(name for name, _ in probe.node.get_node_names_and_namespaces())
        return bool(velocities and odometry and nodes <= seen)

    assert probe.spin_until(complete)
    assert launch.wait() == 0
    assert 'Traceback' not in launch.output


def test_ctrl_c_ends_everything_cleanly(ros2_launch, probe):
    from geometry_msgs.msg import Twist

    velocities = probe.record(Twist, 'cmd_vel')
    launch = ros2_launch('composed:=false')
    assert probe.spin_until(lambda: velocities and 'Listening with' in launch.output)
    launch.send_signal(signal.SIGINT)
    launch.wait()
    assert 'Traceback' not in launch.output
    assert '[command-2]: process has finished cleanly' in launch.output


def test_the_death_of_a_node_ends_the_rest(ros2_launch, probe):
    import psutil
    from geometry_msgs.msg import Twist

    velocities = probe.record(Twist, 'cmd_vel')
    launch = ros2_launch('composed:=false')

    def fusion() -> list[psutil.Process]:
        return [
            child
            for child in psutil.Process(launch.pid).children(recursive=True)
            if any(part.endswith('/fusion') for part in child.cmdline())
        ]

    assert probe.spin_until(lambda: velocities and len(fusion()) == 1)
    fusion()[0].kill()
    assert launch.wait() is not None
    assert 'process[fusion-1] was required: shutting down launched system' in launch.output


@pytest.mark.parametrize(
    ('argument', 'sentence'),
    [
        ('input:=/nowhere', "The input '/nowhere' is neither"),
        ('imu:=/nowhere', "The IMU '/nowhere' is neither"),
        ('params_file:=/nowhere', 'The parameters file /nowhere does not exist'),
        ('composed:=perhaps', 'not valid'),
    ],
)
def test_arguments_that_do_not_fit_give_a_sentence(ros2_launch, argument, sentence):
    launch = ros2_launch(argument)
    assert launch.wait() == 1
    assert sentence in launch.output
    assert 'Traceback' not in launch.output
