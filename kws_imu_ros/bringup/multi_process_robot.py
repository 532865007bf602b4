"""The robot with fusion, command and simulated base as processes of their own."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Sequence
from typing import Any

from rclpy.node import Node

from kws_imu_ros.bringup.composed_robot import ComposedRobot
from kws_imu_ros.bringup.robot_description import NodeDescription, RobotOptions
from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.nodes.runtime.child_process import start_child

END_PATIENCE_S = 5.0
START_PATIENCE_S = 60.0
# The base outlives the command process by this much, s, when both lose their parent.
STAND_S = 1.0


class MultiProcessRobot(ComposedRobot):
    """
    What `ComposedRobot` is in one process, as several; the senses stay in this one.

    A process that ends by itself ends the run, with the command process's zero velocity; the
    processes end by themselves when this one is killed.
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
        self._apart = [node for node in self.description.nodes if not node.is_sense]
        self._children: dict[str, subprocess.Popen[bytes]] = {}

    def create(self, nodes: list[Node], **kwargs: Any) -> None:
        """
        Start the processes and append the nodes of the senses.

        Raises:
            KwsImuError: a node cannot be made.

        """
        for description in self._apart:
            # A session of its own: Ctrl-C reaches this process first, which ends the others.
            self._children[description.name] = start_child(
                description.command(self._ros_arguments),
                outlives_s=0.0 if description.name == 'command' else STAND_S,
                start_new_session=True,
            )
        self._wait_until_connected(**kwargs)
        self._create_senses(nodes, **kwargs)

    def _wait_until_connected(self, **kwargs: Any) -> None:
        """Wait until each process listens: a bag or file that starts earlier loses its start."""
        if self._options.namespace:
            kwargs = {'namespace': self._options.namespace, **kwargs}
        node = Node('separate_robot', **kwargs)
        deadline = time.monotonic() + START_PATIENCE_S
        try:
            waiting = list(self._apart)
            while waiting:
                self._check_children()
                if time.monotonic() > deadline:
                    names = ', '.join(item.name for item in waiting)
                    raise KwsImuError(
                        f'{names} did not start within {START_PATIENCE_S:g} s; try again when the '
                        'machine is less busy.'
                    )
                time.sleep(0.05)
                waiting = [
                    description for description in waiting if not _listens(node, description)
                ]
        finally:
            node.destroy_node()

    def finished(self) -> bool:
        """
        Return whether the input ended a moment ago.

        Raises:
            KwsImuError: a process ended by itself, or the bag could not be played to its end.

        """
        self._check_children()
        return super().finished()

    def _check_children(self) -> None:
        for name, child in self._children.items():
            if child.poll() is not None:
                raise KwsImuError(
                    f'The process {name} ended by itself with status {child.returncode}; what it '
                    'printed above says why.'
                )

    def close(self) -> None:
        """End the processes, command first, so that the robot stands before it loses its base."""
        for name in sorted(self._children, key=lambda item: item != 'command'):
            child = self._children.pop(name)
            if child.poll() is None:
                child.send_signal(signal.SIGINT)
            try:
                child.wait(END_PATIENCE_S)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
            if child.stdin is not None:
                child.stdin.close()


def _listens(node: Node, description: NodeDescription) -> bool:
    """Return whether a node is subscribed to its input."""
    topic = node.resolve_topic_name(description.listens_on)
    return any(
        info.node_name == description.name for info in node.get_subscriptions_info_by_topic(topic)
    )
