"""
`kws-imu run`: the main job, from the demo, a microphone, a sound file or a bag to a moving robot.

The real graph runs, by default composed in this process, with `--separate` as a process a node. A
recorder leaves a bag of the run; an observer feeds the terminal, the verdict and the picture.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from kws_imu_ros.bags.reading import AUDIO_TOPIC, IMU_TOPIC, sensor_topics, summarize_bag
from kws_imu_ros.bringup.robot_description import (
    NodeDescription,
    RobotDescription,
    RobotOptions,
    describe_coach,
    describe_robot,
)
from kws_imu_ros.bringup.robot_input import DEMO, InputKind
from kws_imu_ros.configuration.given import read_parameters_file
from kws_imu_ros.display.picture import save_picture
from kws_imu_ros.display.terminal import LineDisplay, TerminalDisplay, judgement_table
from kws_imu_ros.errors import KwsImuError, printable
from kws_imu_ros.replay.run_log import RunLog
from kws_imu_ros.replay.scenario import Judgement, judge, load_scenario
from kws_imu_ros.resources import share_path

if TYPE_CHECKING:
    from rclpy.node import Node

    from kws_imu_ros.nodes.run_monitor_node import RunMonitorNode


@dataclass
class Plan:
    """
    What to run.

    robot: its nodes and where audio and IMU come from. output: folder of what is left. bag: folder
    of the bag of the run, None to leave none. arena: of the simulated robot, m.
    coach: who watches the wrist, None for nobody.
    """

    options: RobotOptions
    robot: RobotDescription
    output: Path
    bag: Path | None
    log: RunLog
    arena: tuple[float, float]
    coach: NodeDescription | None = None


# After a dance, s for the robot to stand.
AFTER_DANCE_S = 1.5


def add_arguments(
    parser: argparse.ArgumentParser, default_input: str = DEMO, inputs: str = 'demo, microphone'
) -> None:
    """
    Add the verb's options.

    default_input: where nothing is said. inputs: those that are no files, for people.
    """
    source = parser.add_argument_group('input')
    source.add_argument(
        '--input',
        default=default_input,
        metavar='INPUT',
        help=f'{inputs}, a sound file (wav, flac, ogg) or a bag; default: {default_input}',
    )
    source.add_argument('--device', default='', help='microphone by index or name')
    source.add_argument(
        '--imu',
        default='auto',
        metavar='SOURCE',
        help='wrist sensor: auto, none, serial, mpu6050 or a recording; default: auto',
    )
    source.add_argument('--audio-topic', default=AUDIO_TOPIC, help="a bag's audio topic")
    source.add_argument('--imu-topic', default=IMU_TOPIC, help="a bag's IMU topic")
    source.add_argument(
        '--scenario', type=Path, help='what to expect of a bag; default: scenario.yaml beside it'
    )
    robot = parser.add_argument_group('robot')
    robot.add_argument('--model', default='', help='bundle: its folder, or its name in models/')
    robot.add_argument('--policy', default='', help='policy table instead of the shipped one')
    robot.add_argument('--motion', default='', help='motion table instead of the shipped one')
    robot.add_argument(
        '--params-file',
        type=Path,
        action='append',
        default=[],
        help='ROS parameters, after config/*.yaml',
    )
    robot.add_argument(
        '--no-simulation', action='store_true', help='a real base takes cmd_vel instead'
    )
    robot.add_argument('--separate', action='store_true', help='one process a node')
    output = parser.add_argument_group('output')
    output.add_argument('--no-terminal', action='store_true', help='plain lines, nothing live')
    output.add_argument(
        '--output', type=Path, metavar='DIR', help='folder to leave things in; runs/<time>'
    )
    output.add_argument(
        '--record', type=Path, metavar='DIR', help='folder of the bag of the run; OUTPUT/bag'
    )
    output.add_argument('--no-record', action='store_true', help='leave no bag')


def run(args: argparse.Namespace, dance: Path | None = None, reference: Path | None = None) -> int:
    """
    Run until the input or the dance ends, or Ctrl-C; return the exit status.

    0: what happened is what was expected (or nothing was); 1: it is not; 2: a problem, told in one
    sentence; 130: interrupted before there could be a verdict. dance: a choreography to perform.
    reference: of a teacher, with whom a coach compares who dances; None for no coach.
    """
    plan = _plan(args, dance)
    if reference is not None:
        plan.coach = describe_coach(plan.options, str(reference), str(plan.output / 'cards'))
    console = Console()
    live = console.is_terminal and not args.no_terminal
    display = (
        TerminalDisplay(plan.log, console, plan.arena) if live else LineDisplay(plan.log, console)
    )
    _say(console, f'input {args.input}, output in {plan.output}')
    graph = _Graph(args, plan, display)
    with display:
        status = graph.run()
    if status != 0:
        return status
    return _finish(plan, graph, console)


def _plan(args: argparse.Namespace, dance: Path | None = None) -> Plan:
    """Return what to run; what can be refused is refused before anything starts."""
    options = RobotOptions(
        input=args.input,
        imu=args.imu,
        model=args.model,
        policy=args.policy,
        motion=args.motion,
        device=args.device,
        audio_topic=args.audio_topic,
        imu_topic=args.imu_topic,
        simulate=not args.no_simulation,
        dances=dance is not None,
        choreography=str(dance or ''),
    )
    robot = describe_robot(options)
    source, scenario = robot.source, None
    if source.kind is InputKind.BAG and source.path is not None:
        sensor_topics(summarize_bag(source.path), args.audio_topic, args.imu_topic)
        beside = source.path.parent / 'scenario.yaml'
        path = args.scenario or (beside if beside.is_file() and dance is None else None)
        scenario = load_scenario(path) if path else None
    for path in args.params_file:
        if not path.is_file():
            raise KwsImuError(
                f'There is no parameter file {printable(path)}; correct --params-file.'
            )
    if args.input == DEMO:
        # A demo never drives somebody else's robot.
        os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
        if os.environ.get('ROS_DISTRO') == 'humble':  # It knows only the older name.
            os.environ.setdefault('ROS_LOCALHOST_ONLY', '1')
    output = args.output or Path('runs', time.strftime('%Y-%m-%d-%H-%M-%S'))
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise KwsImuError(
            f'The folder {output} cannot be made ({why}); give one of yours with --output.'
        ) from error
    bag = None if args.no_record else args.record or output / 'bag'
    return Plan(options, robot, output, bag, RunLog(scenario), _arena(args.params_file))


def _arena(own: Sequence[Path]) -> tuple[float, float]:
    """Return the arena that the shipped parameters and a person's own files give."""
    shipped = share_path('config', 'simulated_robot.yaml')
    values = {
        given.name: given.value
        for path in (shipped, *own)
        for given in read_parameters_file(path)
        if given.base in ('simulated_robot', '')
    }
    try:
        return float(values['arena_width']), float(values['arena_depth'])
    except (KeyError, TypeError, ValueError) as error:
        raise KwsImuError(
            f'{shipped} and --params-file give no arena_width and arena_depth that are numbers; '
            'correct them.'
        ) from error


class _Graph:
    """The nodes of a run, and when it is over."""

    def __init__(self, args: argparse.Namespace, plan: Plan, display: Any) -> None:
        self._args = args
        self._plan = plan
        self._display = display
        self._robot: Any = None
        self._monitor: RunMonitorNode | None = None
        self.recorder: Any = None
        self.completed = False
        self._over_at: float | None = None

    def run(self) -> int:
        """Run all of it; return the exit status of the graph itself."""
        from kws_imu_ros.nodes.runtime.environment import prepare_environment

        # Before ROS is imported: some settings end the process in the import.
        prepare_environment()
        # Here: rclpy takes its time to load, and a mistake in the options should not.
        from kws_imu_ros.bringup.composed_robot import configured_nodes
        from kws_imu_ros.nodes.runtime.spinning import run_nodes

        try:
            return run_nodes(
                self._create,
                self._ros_arguments(),
                finished=self._finished,
                names=configured_nodes(self._plan.options),
                namespace=self._plan.options.namespace,
            )
        finally:
            if self._args.separate and self._robot is not None:
                self._robot.close()
            if self._monitor is not None:
                self._monitor.tell_the_rest()

    def _ros_arguments(self) -> list[str]:
        # Warnings come to the display through /rosout.
        arguments = ['--ros-args', '--log-level', 'warn', '--disable-stdout-logs']
        for path in (*self._plan.robot.parameters_files(), *self._args.params_file):
            arguments += ['--params-file', str(path)]
        return arguments

    def _create(self, nodes: list[Node]) -> None:
        from kws_imu_ros.nodes.recorder_node import DANCE_TOPICS, TOPICS, RecorderNode
        from kws_imu_ros.nodes.run_monitor_node import RunMonitorNode
        from kws_imu_ros.nodes.runtime.parameters import ENABLE_STAMPED_CMD_VEL

        plan = self._plan
        stamped = self._stamped()
        # First in, last out: they see the robot's last words.
        if plan.bag is not None:
            recording: dict[str, Any] = {'bag': str(plan.bag), ENABLE_STAMPED_CMD_VEL: stamped}
            if plan.options.dances:
                recording['topics'] = [*TOPICS, *DANCE_TOPICS]
            self.recorder = RecorderNode(parameter_overrides=_overrides(recording))
            nodes.append(self.recorder)
        display = self._display
        # Commands of a dance have no decision behind them that would be shown.
        danced = {'on_command': display.danced} if plan.options.dances else {}
        self._monitor = RunMonitorNode(
            plan.log, display.decided, display.warned, display.update, stamped=stamped, **danced
        )
        nodes.append(self._monitor)
        if plan.coach is not None:
            from kws_imu_ros.nodes.coach_node import CoachNode

            nodes.append(CoachNode(parameter_overrides=_overrides(dict(plan.coach.overrides))))
        self._robot = self._make_robot()
        self._robot.create(nodes)
        if self._robot.replay is None:
            plan.log.start_ns = nodes[0].get_clock().now().nanoseconds

    def _stamped(self) -> bool:
        """
        Return whether cmd_vel carries TwistStamped, by the parameters of those at its ends.

        Raises:
            KwsImuError: the ends differ, or a value does not fit.

        """
        from kws_imu_ros.nodes.runtime.parameters import ENABLE_STAMPED_CMD_VEL, read_ahead

        command = read_ahead('command', ENABLE_STAMPED_CMD_VEL, False)
        if self._args.no_simulation:
            return command
        if command != read_ahead('simulated_robot', ENABLE_STAMPED_CMD_VEL, False):
            raise KwsImuError(
                f'The parameter {ENABLE_STAMPED_CMD_VEL} of command and of simulated_robot differ; '
                'set both alike.'
            )
        return command

    def _make_robot(self) -> Any:
        from kws_imu_ros.bringup.composed_robot import ComposedRobot
        from kws_imu_ros.bringup.multi_process_robot import MultiProcessRobot

        if self._args.separate:
            return MultiProcessRobot(self._plan.options, self._ros_arguments())
        return ComposedRobot(self._plan.options)

    def _finished(self) -> bool:
        log, replay = self._plan.log, self._robot.replay
        if log.start_ns is None and replay is not None:
            log.start_ns = replay.started_ns
        log.input_ended = self._robot.input_ended
        if log.dance_ended and self._over_at is None:
            self._over_at = time.monotonic()
        over = self._over_at is not None and time.monotonic() - self._over_at > AFTER_DANCE_S
        self.completed = self._robot.finished() or over
        return self.completed


def _overrides(parameters: dict[str, Any]) -> list[Any]:
    from rclpy.parameter import Parameter

    return [Parameter(name, value=value) for name, value in parameters.items()]


def _finish(plan: Plan, graph: _Graph, console: Console) -> int:
    """Print the verdict, leave the picture; return the exit status."""
    log = plan.log
    judgement = None
    if log.scenario is not None and graph.completed:
        judgement = judge(log.scenario, log.judged_commands(), log.motions)
        console.print(judgement_table(judgement))
    picture = plan.output / 'path.png'
    try:
        save_picture(log, picture, judgement, plan.arena)
        _say(console, f'picture of the path: {picture}')
    except KwsImuError as error:
        print(f'kws-imu: {error}', file=sys.stderr)
    if graph.recorder is not None:
        if graph.recorder.error is not None:
            print(f'kws-imu: {graph.recorder.error}', file=sys.stderr)
        _say(console, f'bag of the run: {plan.bag}')
    if judgement is not None:
        return _verdict(judgement, log, console)
    if plan.options.dances and graph.completed:
        return _dance_verdict(log, console)
    if plan.robot.source.kind is InputKind.BAG and not graph.completed:
        print('kws-imu: interrupted; the robot is stopped.', file=sys.stderr)
        return 128 + signal.SIGINT
    _say(console, f'{len(log.commands)} commands, {log.distance():.2f} m driven')
    return 0


def _verdict(judgement: Judgement, log: RunLog, console: Console) -> int:
    right = sum(verdict.passed for verdict in judgement.verdicts)
    console.print(
        f'{right} of {len(judgement.verdicts)} events as expected, {len(judgement.stray)} stray '
        f'commands, {log.distance():.2f} m driven',
        highlight=False,
        style='bold green' if judgement.passed else 'bold red',
    )
    overload = log.overload()
    if overload and not judgement.passed:
        _say(
            console,
            f'This machine fell behind real time ({overload}), which is not what the robot was to '
            'show; try again when the machine is less busy, or use `kws-imu replay BAG --offline`.',
        )
    return 0 if judgement.passed else 1


def _dance_verdict(log: RunLog, console: Console) -> int:
    """Say how the dance went; return 0 where the robot danced all of it."""
    dance = log.dance
    _say(console, dance.get('latest') or 'The robot did not dance.')
    _say(
        console,
        f'{dance.get("moves", "no")} moves danced, {dance.get("late moves", 0)} late, '
        f'{dance.get("lost moves", 0)} left out; '
        f'lateness {dance.get("lateness, median / p95 / longest (ms)", "-")} ms (median / 95 % / '
        f'longest); {log.distance():.2f} m driven',
    )
    return 0 if dance.get('state') == 'ended' and dance.get('lost moves') == '0' else 1


def _say(console: Console, text: str) -> None:
    console.print(text, highlight=False, markup=False, soft_wrap=True)
