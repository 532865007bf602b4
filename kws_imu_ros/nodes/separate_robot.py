"""The robot with fusion, command and simulated base as processes of their own."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from rclpy.node import Node

from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.nodes.robot import Robot, RobotOptions

PATIENCE_S = 5.0


class SeparateRobot(Robot):
    """
    What `Robot` is in one process, as several; the senses stay in this one.

    A process that ends by itself ends the run, with the command process's zero velocity.
    """

    def __init__(self, options: RobotOptions, ros_arguments: Sequence[str]) -> None:
        """
        Check the options; nothing is started yet.

        ros_arguments: from '--ros-args' on, for every process.

        Raises:
            KwsImuError: the input or the IMU's recording does not exist.

        """
        super().__init__(options)
        self._ros_arguments = list(ros_arguments)
        self._names = ['fusion', 'command', *(['simulated_robot'] if options.simulate else [])]
        self._children: dict[str, subprocess.Popen] = {}

    def create(self, nodes: list[Node], **kwargs: Any) -> None:
        """
        Start the processes and append the nodes of the senses.

        Raises:
            KwsImuError: a node cannot be made.

        """
        for name in self._names:
            command = [sys.executable, '-m', f'kws_imu_ros.nodes.{name}_node']
            # A session of its own: Ctrl-C reaches this process first, which ends the others.
            self._children[name] = subprocess.Popen(
                [*command, *self._ros_arguments], stdin=subprocess.DEVNULL, start_new_session=True
            )
        self._create_senses(nodes, **kwargs)

    def finished(self) -> bool:
        """
        Return whether the input ended a moment ago.

        Raises:
            KwsImuError: a process ended by itself, or the bag could not be played to its end.

        """
        for name, child in self._children.items():
            if child.poll() is not None:
                raise KwsImuError(
                    f'The process {name} ended by itself with status {child.returncode}; what it '
                    'printed above says why.'
                )
        return super().finished()

    def close(self) -> None:
        """End the processes, command first, so that the robot stands before it loses its base."""
        for name in sorted(self._children, key=lambda item: item != 'command'):
            child = self._children.pop(name)
            if child.poll() is None:
                child.send_signal(signal.SIGINT)
            try:
                child.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
