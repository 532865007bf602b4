"""
What a robot is made of: which nodes, with which parameters, and what the end of each means.

Plain data. One process, many processes, the launch files, the benchmark and `kws-imu run` all build
their graph from it, so that a node or an option is added here and nowhere else.
"""

from __future__ import annotations

import argparse
import enum
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kws_imu_ros.bringup.robot_input import (
    AUTO,
    DEMO,
    MICROPHONE,
    InputKind,
    RobotInput,
    imu_parameters,
    parse_input,
)
from kws_imu_ros.resources import PACKAGE, share_directory


@dataclass(frozen=True)
class RobotOptions:
    """
    What a person may choose of a robot; an empty text leaves the choice to the parameters.

    input: 'demo', 'microphone', or the path of a sound file or bag.
    imu: 'none' (absent, or published by another driver), 'serial', 'mpu6050', the path of a
    recording, or 'auto': a serial board if one is there with a microphone, else none.
    model: name or path of a model bundle. policy, motion: paths of tables.
    device: of the microphone. audio_topic, imu_topic: of a bag.
    simulate: whether the simulated robot takes part; False where a real base drives.
    keep_running: go on after the end of a bag or file instead of ending the process.
    namespace: of all nodes and topics, so that several robots fit into one domain.
    use_sim_time: take the time from /clock. With a bag and the simulated robot nobody else can
    give it, so the bag does; without, it is the simulator's.
    dances: whether a choreographer takes part. choreography: path of its dance, '' for one that is
    to be composed. start_at_once: dance as soon as the robot is there. save_to: path of what is
    composed, '' for that of the dance.
    """

    input: str = DEMO
    imu: str = AUTO
    model: str = ''
    policy: str = ''
    motion: str = ''
    device: str = ''
    audio_topic: str = ''
    imu_topic: str = ''
    simulate: bool = True
    keep_running: bool = False
    namespace: str = ''
    use_sim_time: bool = False
    dances: bool = False
    choreography: str = ''
    start_at_once: bool = True
    save_to: str = ''

    def to_arguments(self) -> list[str]:
        """Return what `parse_options` reads: the command line of the executable `robot`."""
        arguments = ['--input', self.input, '--imu', self.imu]
        arguments += ['--simulate', str(self.simulate).lower(), '--model', self.model]
        arguments += ['--use-sim-time'] if self.use_sim_time else []
        if self.dances:
            arguments += ['--choreography', self.choreography, '--save-to', self.save_to]
            arguments += ['--start-at-once', str(self.start_at_once).lower()]
        return [*arguments, *(['--keep-running'] if self.keep_running else [])]


class Ending(enum.Enum):
    """What it means for the robot that a node has ended."""

    ENDS_ROBOT = enum.auto()  # Better no robot than half a one.
    ENDS_INPUT = enum.auto()  # Its recording is over: the robot ends after its last decision.
    IS_DONE_WITHOUT = enum.auto()


@dataclass(frozen=True)
class NodeDescription:
    """
    A node of a robot.

    name: of the node, of its executable, and of its parameters file. overrides: parameters that
    beat any file. is_sense: it brings in what the robot hears or sees. listens_on: the topic whose
    subscription tells that it is there, '' for a sense. namespace: '' for the one that ROS says.
    """

    name: str
    overrides: Mapping[str, Any] = field(default_factory=dict)
    ending: Ending = Ending.ENDS_ROBOT
    is_sense: bool = False
    listens_on: str = ''
    namespace: str = ''

    @property
    def parameters_file(self) -> Path | None:
        """Return the shipped parameters of this node, None where there are none."""
        path = share_directory() / 'config' / f'{self.name}.yaml'
        return path if path.is_file() else None

    def command(self, ros_arguments: Sequence[str] = ()) -> list[str]:
        """
        Return the command line that runs this node as a process of its own.

        ros_arguments: for every node of the robot, from '--ros-args' on, or nothing.
        """
        arguments = list(ros_arguments) or ['--ros-args']
        for name, value in self.overrides.items():
            # In quotes: a device `3` is the text 3.
            arguments += ['-p', f'{name}:={json.dumps(value)}']
        if self.namespace:
            arguments += ['-r', f'__ns:=/{self.namespace.strip("/")}']
        return [sys.executable, '-m', f'{PACKAGE}.nodes.{self.name}_node', *arguments]


@dataclass(frozen=True)
class RobotDescription:
    """
    A robot: where its audio and IMU come from, and its nodes, in the order in which they start.

    Senses are last: what listens to them must be there before a recording begins.
    """

    source: RobotInput
    nodes: tuple[NodeDescription, ...]

    def parameters_files(self) -> list[Path]:
        """Return the shipped parameters of all nodes; a person's own come after them."""
        return [path for node in self.nodes if (path := node.parameters_file) is not None]


def describe_robot(options: RobotOptions) -> RobotDescription:
    """
    Return the robot that the options ask for.

    Raises:
        KwsImuError: the input or the IMU's recording does not exist.

    """
    source = parse_input(options.input)
    imu = imu_parameters(options.imu, source)
    nodes: list[NodeDescription] = []

    time = {'use_sim_time': True} if options.use_sim_time else {}

    def add(name: str, overrides: Mapping[str, Any], **kwargs: Any) -> None:
        given = {key: value for key, value in overrides.items() if value != ''} | time
        nodes.append(NodeDescription(name, given, namespace=options.namespace, **kwargs))

    add('fusion', {'model': options.model, 'policy_file': options.policy}, listens_on='audio')
    add('command', {'motion_file': options.motion}, listens_on='command')
    if options.simulate:
        add('simulated_robot', {}, listens_on='cmd_vel')
    if options.dances:
        nodes.append(describe_choreographer(options))
    if imu is not None:
        # Voice works without it.
        add('imu', imu, ending=Ending.IS_DONE_WITHOUT, is_sense=True)
    if source.kind is InputKind.BAG:
        topics = {'audio_topic': options.audio_topic, 'imu_topic': options.imu_topic}
        clock = {'publish_clock': True} if options.use_sim_time and options.simulate else {}
        bag = {'bag': str(source.path), **topics, **clock}
        add('replay', bag, ending=Ending.ENDS_INPUT, is_sense=True)
    elif source.kind is InputKind.FILE:
        file = {'input': str(source.path)}
        add('microphone', file, ending=Ending.ENDS_INPUT, is_sense=True)
    else:
        add('microphone', {'device': options.device}, is_sense=True)
    return RobotDescription(source, tuple(nodes))


def describe_choreographer(options: RobotOptions) -> NodeDescription:
    """Return the node that lets the robot dance."""
    texts = {
        'choreography': options.choreography,
        'motion_file': options.motion,
        'save_to': options.save_to,
    }
    overrides: dict[str, Any] = {key: value for key, value in texts.items() if value}
    # What is to be composed is not danced at once.
    overrides['start_at_once'] = options.start_at_once and bool(options.choreography)
    if options.use_sim_time:
        overrides['use_sim_time'] = True
    return NodeDescription(
        'choreographer', overrides, listens_on='decision', namespace=options.namespace
    )


def describe_coach(options: RobotOptions, reference: str = '', cards: str = '') -> NodeDescription:
    """
    Return the node that watches the wrist of who dances.

    Args:
        options: of the robot.
        reference: folder of the teacher's recordings, '' for that beside the dance.
        cards: folder for score cards, '' for none.

    """
    texts = {'choreography': options.choreography, 'reference': reference, 'cards': cards}
    overrides = {key: value for key, value in texts.items() if value}
    # The robot dances without it as well.
    return NodeDescription(
        'coach',
        overrides,
        ending=Ending.IS_DONE_WITHOUT,
        listens_on='beat',
        namespace=options.namespace,
    )


def composed_command(options: RobotOptions, ros_arguments: Iterable[str] = ()) -> list[str]:
    """Return the command line that runs all nodes as one process."""
    module = f'{PACKAGE}.bringup.composed_robot'
    return [sys.executable, '-m', module, *options.to_arguments(), *ros_arguments]


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
    parser.add_argument(
        '--use-sim-time',
        action='store_true',
        help='take the time from /clock; a bag publishes it, unless a simulator takes part',
    )
    parser.add_argument('--choreography', help='dance of the choreographer; empty: to be composed')
    parser.add_argument('--save-to', default='', help='where the choreographer saves')
    parser.add_argument(
        '--start-at-once',
        type=_boolean,
        default=True,
        metavar='true|false',
        help='whether the dance begins by itself (default: true)',
    )
    args = parser.parse_args(arguments)
    # Without the option nobody dances.
    args.dances, args.choreography = args.choreography is not None, args.choreography or ''
    return RobotOptions(**vars(args))


def _boolean(text: str) -> bool:
    """Return the boolean that ROS 2 launch files write as true or false."""
    lowered = text.lower()
    if lowered not in ('true', 'false'):
        raise argparse.ArgumentTypeError(f'{text!r} is neither true nor false')
    return lowered == 'true'
