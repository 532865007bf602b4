"""
The executables of `ros2 run kws_imu_ros`, one function each.

A node is imported when its function is called and not before: imports take a second or two on a
small computer, and Ctrl-C during them ought to end in silence rather than in a traceback.
"""

from __future__ import annotations

import importlib
import signal
import sys

from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.nodes.runtime.environment import prepare_environment


def microphone() -> None:
    """Run the microphone node."""
    _run('nodes.microphone_node')


def imu() -> None:
    """Run the imu node."""
    _run('nodes.imu_node')


def fusion() -> None:
    """Run the fusion node."""
    _run('nodes.fusion_node')


def command() -> None:
    """Run the command node."""
    _run('nodes.command_node')


def simulated_robot() -> None:
    """Run the simulated robot."""
    _run('nodes.simulated_robot_node')


def choreographer() -> None:
    """Run the choreographer node."""
    _run('nodes.choreographer_node')


def coach() -> None:
    """Run the coach node."""
    _run('nodes.coach_node')


def replay() -> None:
    """Run the replay node."""
    _run('nodes.replay_node')


def robot() -> None:
    """Run all nodes in one process."""
    _run('bringup.composed_robot')


def _run(module: str) -> None:
    # Until the node listens to signals itself. An exception would do as well, if every library let
    # it pass through its imports.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        # Before the import: some settings end the process in it.
        prepare_environment()
    except KwsImuError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    sys.exit(importlib.import_module(f'kws_imu_ros.{module}').main())
