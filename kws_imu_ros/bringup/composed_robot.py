"""
The whole robot in one process and one thread: senses, fusion, command and the simulated base.

Every node keeps its name, topics and parameters, so the parameters files of the separate nodes fit
as they are. This is what small machines run and what works where `ros2 launch` is not installed.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.utilities import remove_ros_args

from kws_imu_ros.bringup.robot_input import (
    AUTO,
    BAG,
    DEMO,
    FILE,
    MICROPHONE,
    imu_parameters,
    parse_input,
)
from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.nodes.command_node import CommandNode
from kws_imu_ros.nodes.fusion_node import FusionNode
from kws_imu_ros.nodes.imu_node import ImuNode
from kws_imu_ros.nodes.microphone_node import MicrophoneNode
from kws_imu_ros.nodes.replay_node import ReplayNode
from kws_imu_ros.nodes.runtime.spinning import EXIT_USER_ERROR, run_nodes
from kws_imu_ros.nodes.simulated_robot_node import SimulatedRobotNode

# After the last message of a bag or file, time for the last decision and for the robot to stop.
LINGER_S = 2.0

# For nodes whose parameters are fixed: each executor pass looks at six services of parameters.
_WITHOUT_SERVICES = {'start_parameter_services': False}


@dataclass(frozen=True)
class RobotOptions:
    """
    What the robot is made of.

    input: 'demo', 'microphone', or the path of a sound file or bag.
    imu: 'none' (absent, or published by another driver), 'serial', 'mpu6050', the path of a
    recording, or 'auto': a serial board if one is there with a microphone, else none.
    model: name or path of a model bundle, '' for what fusion's parameters say.
    simulate: whether the simulated robot takes part; False where a real base drives.
    keep_running: go on after the end of a bag or file instead of ending the process.
    """

    input: str = DEMO
    imu: str = AUTO
    model: str = ''
    simulate: bool = True
    keep_running: bool = False


class ComposedRobot:
    """The nodes of one robot, for `run_nodes`."""

    def __init__(self, options: RobotOptions) -> None:
        """
        Check the options; nothing is started yet.

        Raises:
            KwsImuError: the input or the IMU's recording does not exist.

        """
        self._options = options
        self._input = parse_input(options.input)
        self._imu = imu_parameters(options.imu, self._input)
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
        if self._options.simulate:
            nodes.append(SimulatedRobotNode(**_WITHOUT_SERVICES, **kwargs))
        overrides = {'model': self._options.model} if self._options.model else {}
        nodes.append(FusionNode(parameter_overrides=_parameters(overrides), **kwargs))
        command = CommandNode(**kwargs)
        try:
            self._create_senses(nodes, **kwargs)
        finally:
            nodes.append(command)

    def _create_senses(self, nodes: list[Node], **kwargs: Any) -> None:
        if self._imu is not None:
            nodes.append(ImuNode(parameter_overrides=_parameters(self._imu), **kwargs))
        if self._input.kind == BAG:
            bag = _parameters({'bag': str(self._input.path)})
            self.replay = ReplayNode(parameter_overrides=bag, **_WITHOUT_SERVICES, **kwargs)
            nodes.append(self.replay)
            self.replay.start()
            self._ended = self.replay.finished.done
            return
        overrides = {}
        if self._input.kind == FILE:
            overrides['input'] = str(self._input.path)
        microphone = MicrophoneNode(parameter_overrides=_parameters(overrides), **kwargs)
        nodes.append(microphone)
        self._ended = lambda: microphone.finished

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


def _parameters(values: dict[str, Any]) -> list[Parameter]:
    return [Parameter(name, value=value) for name, value in values.items()]


def parse_options(arguments: Sequence[str]) -> RobotOptions:
    """Return the options of a command line without ROS arguments; exit where it does not fit."""
    parser = argparse.ArgumentParser(
        prog='robot', description='All nodes of the robot in one process.'
    )
    parser.add_argument(
        '--input',
        default=DEMO,
        help=f'{DEMO}, {MICROPHONE}, or the path of a sound file or bag (default: %(default)s)',
    )
    parser.add_argument(
        '--imu',
        default=AUTO,
        help='auto, none, serial, mpu6050, or the path of a recording (default: %(default)s)',
    )
    parser.add_argument('--model', default='', help='name or path of a model bundle')
    parser.add_argument(
        '--simulate',
        type=_boolean,
        default=True,
        metavar='true|false',
        help='whether the simulated robot takes part (default: true)',
    )
    parser.add_argument(
        '--keep-running', action='store_true', help='do not end with the bag or file'
    )
    return RobotOptions(**vars(parser.parse_args(arguments)))


def _boolean(text: str) -> bool:
    """Return the boolean that ROS 2 launch files write as true or false."""
    lowered = text.lower()
    if lowered not in ('true', 'false'):
        raise argparse.ArgumentTypeError(f'{text!r} is neither true nor false')
    return lowered == 'true'


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the robot until its input ends or it is told to end."""
    full = list(sys.argv) if arguments is None else ['robot', *arguments]
    options = parse_options(remove_ros_args(full)[1:])
    try:
        robot = ComposedRobot(options)
    except KwsImuError as error:
        print(error, file=sys.stderr)
        sys.exit(EXIT_USER_ERROR)
    sys.exit(run_nodes(robot.create, arguments, robot.finished))


if __name__ == '__main__':
    main()
