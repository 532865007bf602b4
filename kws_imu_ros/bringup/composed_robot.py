"""
The whole robot in one process and one thread: senses, fusion, command and the simulated base.

Every node keeps its name, topics and parameters, so the parameters files of the separate nodes fit
as they are. This is what small machines run and what works where `ros2 launch` is not installed.
"""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.utilities import remove_ros_args

from kws_imu_ros.bringup.robot_description import (
    NodeDescription,
    RobotOptions,
    describe_robot,
    parse_options,
)
from kws_imu_ros.bringup.robot_input import NONE
from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.nodes.choreographer_node import ChoreographerNode
from kws_imu_ros.nodes.command_node import CommandNode
from kws_imu_ros.nodes.fusion_node import FusionNode
from kws_imu_ros.nodes.imu_node import ImuNode
from kws_imu_ros.nodes.microphone_node import MicrophoneNode
from kws_imu_ros.nodes.replay_node import ReplayNode
from kws_imu_ros.nodes.runtime.parameters import NODES
from kws_imu_ros.nodes.runtime.spinning import EXIT_USER_ERROR, ros_arguments_checked, run_nodes
from kws_imu_ros.nodes.simulated_robot_node import SimulatedRobotNode

# After the last message of a bag or file, time for the last decision and for the robot to stop.
LINGER_S = 2.0

NODE_CLASSES: dict[str, type[Node]] = {
    'simulated_robot': SimulatedRobotNode,
    'fusion': FusionNode,
    'command': CommandNode,
    'choreographer': ChoreographerNode,
    'imu': ImuNode,
    'replay': ReplayNode,
    'microphone': MicrophoneNode,
}
# Their parameters are fixed, and each executor pass looks at six services of parameters.
_WITHOUT_SERVICES = ('simulated_robot', 'replay')


class ComposedRobot:
    """The nodes of one robot, for `run_nodes`."""

    def __init__(self, options: RobotOptions) -> None:
        """
        Check the options; nothing is started yet.

        Raises:
            KwsImuError: the input or the IMU's recording does not exist.

        """
        self.description = describe_robot(options)
        self._options = options
        self._ended: Callable[[], bool] = lambda: False
        self._ended_at: float | None = None
        self.replay: ReplayNode | None = None

    def create(self, nodes: list[Node], **kwargs: Any) -> None:
        """
        Append the nodes; the command node last, so that it is the first to be destroyed.

        Args:
            nodes: where they go, one by one.
            kwargs: for every node's constructor, for instance context.

        Raises:
            KwsImuError: a node cannot be made.

        """
        command: list[Node] = []
        try:
            for description in self.description.nodes:
                if not description.is_sense:
                    into = command if description.name == 'command' else nodes
                    into.append(_make(description, **kwargs))
            self._create_senses(nodes, **kwargs)
        finally:
            nodes.extend(command)

    def _create_senses(self, nodes: list[Node], **kwargs: Any) -> None:
        for description in self.description.nodes:
            if not description.is_sense:
                continue
            node = _make(description, **kwargs)
            nodes.append(node)
            if isinstance(node, ReplayNode):
                self.replay = node
                node.start()
                self._ended = node.finished.done
            elif isinstance(node, MicrophoneNode):
                self._ended = functools.partial(getattr, node, 'finished')

    @property
    def input_ended(self) -> bool:
        """Return whether the bag or file has been played to its end."""
        return self._ended()

    def finished(self) -> bool:
        """
        Return whether the input ended a moment ago.

        Raises:
            KwsImuError: the bag could not be played to its end.

        """
        if not self._ended():
            return False
        if self.replay is not None and self.replay.error is not None:
            raise self.replay.error
        if self._options.keep_running:
            return False
        now = time.monotonic()
        if self._ended_at is None:
            self._ended_at = now
        return now - self._ended_at > LINGER_S


def _make(description: NodeDescription, **kwargs: Any) -> Node:
    """Return a node as it is described; raise KwsImuError where it cannot be made."""
    overrides = [Parameter(name, value=value) for name, value in description.overrides.items()]
    if description.name in _WITHOUT_SERVICES:
        kwargs = {'start_parameter_services': False, **kwargs}
    if description.namespace:
        kwargs = {'namespace': description.namespace, **kwargs}
    return NODE_CLASSES[description.name](parameter_overrides=overrides, **kwargs)


def configured_nodes(options: RobotOptions) -> list[str]:
    """
    Return the nodes that a person's parameters are for, whether they take part or not.

    Where another driver is the IMU, a section of its name is its own.
    """
    return [name for name in NODES if name != 'imu' or options.imu != NONE]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the robot until its input ends or it is told to end."""
    full = list(sys.argv) if arguments is None else ['robot', *arguments]
    try:
        with ros_arguments_checked():
            own = remove_ros_args(full)[1:]
        options = parse_options(own)
        robot = ComposedRobot(options)
    except KwsImuError as error:
        print(error, file=sys.stderr)
        sys.exit(EXIT_USER_ERROR)
    names = configured_nodes(options)
    sys.exit(run_nodes(robot.create, arguments, robot.finished, names, options.namespace))


if __name__ == '__main__':
    main()
