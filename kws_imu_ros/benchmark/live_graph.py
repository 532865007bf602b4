"""
The live graph watched from outside: start-up, load and latency, for `kws-imu benchmark`.

The robot runs in processes of its own, as it would on a desk; this process only listens. It uses a
ROS domain of its own, so that nothing here can move a robot on the network.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import rclpy
from geometry_msgs.msg import Twist
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import qos_profile_sensor_data
from std_msgs.msg import Int16MultiArray, String, UInt32

import kws_imu_ros
from kws_imu_ros.audio.block import AudioBlock
from kws_imu_ros.bags.reading import read_sensors
from kws_imu_ros.bringup.robot_description import RobotOptions, composed_command, describe_robot
from kws_imu_ros.configuration.section import load_yaml
from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.messages.audio import audio_block_from_message
from kws_imu_ros.messages.decision import intent_from_message
from kws_imu_ros.model.bundle import Bundle
from kws_imu_ros.nodes.runtime.child_process import start_child
from kws_imu_ros.nodes.runtime.qos import LOGGED_QOS
from kws_imu_ros.replay.scenario import load_scenario

STARTS = 5
SETTLE_S = 3.0
PATIENCE_S = 60.0
WORD_S = 1.2  # How long after its start a word is looked for its end.
WORD_RANGE_DB = 25.0  # What is this much weaker than a word's loudest moment is not the word.
TARGET_S = 0.1

Progress = Callable[[str], None]


# Processes


def _composed(bundle: Bundle, bag: Path) -> dict[str, list[str]]:
    """Return the one process of the composed robot: its name and its command line."""
    return {'robot': composed_command(RobotOptions(input=str(bag), model=str(bundle.path)))}


def _separate(bundle: Bundle, bag: Path) -> dict[str, list[str]]:
    """Return the same robot as one process a node; replay stands for microphone and imu."""
    robot = describe_robot(RobotOptions(input=str(bag), model=str(bundle.path)))
    return {node.name: node.command() for node in robot.nodes}


@contextlib.contextmanager
def running(commands: dict[str, list[str]]) -> Iterator[dict[str, subprocess.Popen]]:
    """Run a process for each command line; interrupt them all at the end."""
    source = str(Path(kws_imu_ros.__file__).resolve().parent.parent)
    path = os.pathsep.join(filter(None, (source, os.environ.get('PYTHONPATH', ''))))
    processes: dict[str, subprocess.Popen] = {}
    with tempfile.TemporaryFile() as output:
        try:
            for name, arguments in commands.items():
                processes[name] = start_child(
                    arguments,
                    env=dict(os.environ, PYTHONPATH=path),
                    stdout=output,
                    stderr=output,
                )
            yield processes
        finally:
            for process in processes.values():
                if process.poll() is None:
                    process.send_signal(signal.SIGINT)
            for process in processes.values():
                try:
                    process.wait(10.0)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
        for name, process in processes.items():
            if process.returncode not in (0, -signal.SIGINT):
                output.seek(0)
                lines = output.read().decode(errors='replace').strip().splitlines()
                said = lines[-1] if lines else f'exit status {process.returncode}'
                raise KwsImuError(f'{name} failed while it was measured: {said}')


# What an outsider hears


@dataclass
class _Heard:
    """Arrivals, time.monotonic_ns() each."""

    alive_ns: list[int] = field(default_factory=list)
    audio: dict[int, int] = field(default_factory=dict)  # sequence number: arrival
    commands: list[tuple[int, str]] = field(default_factory=list)
    velocities: list[tuple[int, tuple[float, float]]] = field(default_factory=list)


class Listener:
    """A node that notes when messages arrive."""

    def __init__(self, *, everything: bool) -> None:
        self.heard = _Heard()
        # Above what people pick by hand and below the ports that Linux gives to anybody.
        os.environ['ROS_DOMAIN_ID'] = str(20 + os.getpid() % 82)
        os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
        self._context = rclpy.Context()
        rclpy.init(context=self._context)
        self._node = rclpy.create_node('benchmark', context=self._context)
        subscribe = self._node.create_subscription
        subscribe(UInt32, 'fusion_alive', self._on_alive, qos_profile_sensor_data)
        subscribe(Twist, 'cmd_vel', self._on_velocity, LOGGED_QOS)
        if everything:
            subscribe(Int16MultiArray, 'audio', self._on_audio, LOGGED_QOS)
            subscribe(String, 'command', self._on_command, LOGGED_QOS)
        self.subscribe = lambda kind, topic, callback: subscribe(kind, topic, callback, LOGGED_QOS)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)

    def __enter__(self) -> Listener:
        return self

    def __exit__(self, *_: object) -> None:
        self._executor.shutdown()
        self._node.destroy_node()
        rclpy.try_shutdown(context=self._context)

    def listen_until(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        """Listen until the condition holds; return whether it came to hold in time."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > deadline:
                return False
            self._executor.spin_once(timeout_sec=0.1)
        return True

    def wait_until_ready(self, processes: dict[str, subprocess.Popen]) -> None:
        """
        Listen until a heartbeat of fusion and a velocity of command have come.

        Raises:
            KwsImuError: a process ended, or nothing was heard for a minute.

        """

        def ready() -> bool:
            ended = any(process.poll() is not None for process in processes.values())
            return ended or bool(self.heard.alive_ns and self.heard.velocities)

        if not self.listen_until(ready, PATIENCE_S):
            raise KwsImuError(
                f'The robot showed no heartbeat for {PATIENCE_S:g} s; try `kws-imu run`.'
            )

    def _on_alive(self, _: UInt32) -> None:
        self.heard.alive_ns.append(time.monotonic_ns())

    def _on_velocity(self, message: Twist) -> None:
        velocity = (message.linear.x, message.angular.z)
        self.heard.velocities.append((time.monotonic_ns(), velocity))

    def _on_audio(self, message: Int16MultiArray) -> None:
        now_ns = time.monotonic_ns()
        self.heard.audio[audio_block_from_message(message).sequence] = now_ns

    def _on_command(self, message: String) -> None:
        self.heard.commands.append((time.monotonic_ns(), intent_from_message(message)))


# Start-up


def measure_start_up(
    bundle: Bundle, bag: Path, scenario: Path, seconds: float, progress: Progress
) -> dict[str, Any]:
    """Time from the start of the composed process to its first heartbeat and cmd_vel."""
    durations = []
    for number in range(STARTS):
        with Listener(everything=False) as listener:
            begin_ns = time.monotonic_ns()
            with running(_composed(bundle, bag)) as processes:
                listener.wait_until_ready(processes)
                heard = listener.heard
                if heard.alive_ns and heard.velocities:
                    ready_ns = max(heard.alive_ns[0], heard.velocities[0][0])
                    durations.append((ready_ns - begin_ns) / 1e9)
        progress(f'start_up {number + 1}/{STARTS}')
    return {
        'composed_s': {
            'median': round(float(np.median(durations)), 2),
            'maximum': round(max(durations), 2),
            'count': len(durations),
        }
    }


# Load


def measure_load(
    bundle: Bundle, bag: Path, scenario: Path, seconds: float, progress: Progress
) -> dict[str, Any]:
    """
    Return the share of one core and the memory of the composed robot and of the separate nodes.

    `resident_mb` counts libraries that processes share in each of them, `proportional_mb` once.
    Nobody listens from outside meanwhile, as on a robot without a display.
    """
    result = {}
    for name, commands in (
        ('composed', _composed(bundle, bag)),
        ('separate', _separate(bundle, bag)),
    ):
        progress(f'load of the {name} graph, {seconds + SETTLE_S:.0f} s')
        with contextlib.ExitStack() as stack:
            with Listener(everything=False) as listener:
                processes = stack.enter_context(running(commands))
                listener.wait_until_ready(processes)
            time.sleep(SETTLE_S)
            result[name] = _watch(processes, seconds)
    return result


def _watch(processes: dict[str, subprocess.Popen], seconds: float) -> dict[str, Any]:
    try:
        watched = {name: psutil.Process(process.pid) for name, process in processes.items()}
        before = {name: sum(process.cpu_times()[:2]) for name, process in watched.items()}
        begin = time.monotonic()
        time.sleep(seconds)
        elapsed = time.monotonic() - begin
        after = {name: sum(process.cpu_times()[:2]) for name, process in watched.items()}
        memory = {name: process.memory_full_info() for name, process in watched.items()}
    except psutil.NoSuchProcess as error:
        raise KwsImuError(
            'The robot ended while it was watched; give fewer --seconds or a longer bag.'
        ) from error
    share = {name: (after[name] - before[name]) / elapsed for name in watched}
    result: dict[str, Any] = {
        'core_percent': round(100.0 * sum(share.values()), 1),
        'resident_mb': round(sum(item.rss for item in memory.values()) / 1e6, 1),
        'proportional_mb': round(sum(item.pss for item in memory.values()) / 1e6, 1),
    }
    if len(watched) > 1:
        result['core_percent_by_node'] = {
            name: round(100.0 * value, 1) for name, value in share.items()
        }
    return result


# Latency


@dataclass(frozen=True)
class Word:
    """
    A word in a bag that by itself makes the robot do something.

    intents: what it may be understood as. start_s, end_s: when its first and its last sample were
    spoken; until_s: when its commands no longer count; all in seconds from the bag's start.
    sequence, rest_s: the block that holds the last sample, and how much of that block comes after.
    """

    name: str
    intents: tuple[str, ...]
    start_s: float
    end_s: float
    until_s: float
    sequence: int
    rest_s: float


def find_words(bag: Path, scenario: Path) -> list[Word]:
    """
    Find where the words of a scenario end in its bag.

    A word's end is the last 10 ms within WORD_S of its start that are no more than WORD_RANGE_DB
    weaker than its loudest 10 ms. Words that need a gesture as well are left out: the hand decides
    when they take effect.

    Raises:
        KwsImuError: bag or scenario cannot be read, or there is no such word.

    """
    load_scenario(scenario)  # Says in a sentence what is wrong with it.
    events = load_yaml(scenario, 'scenario').plain('events')
    messages = list(read_sensors(bag))
    blocks = [item.content for item in messages if isinstance(item.content, AudioBlock)]
    words = []
    for event in events:
        alone = 'say' in event and ('show' not in event or event.get('before'))
        if not alone or event['expect'] == 'nothing' or not blocks:
            continue
        rate = blocks[0].sample_rate
        samples = np.concatenate([block.samples for block in blocks]).astype(np.float64)
        # The bag's first audio may come after its start, which the scenario counts from.
        first_s = (blocks[0].stamp_ns - messages[0].stamp_ns) / 1e9
        begin = int((float(event['say']['at_s']) - first_s) * rate)
        frame = rate // 100
        count = int(WORD_S * 100)
        clip = samples[max(0, begin) : max(0, begin) + count * frame]
        power = (clip[: len(clip) // frame * frame].reshape(-1, frame) ** 2).mean(axis=1)
        loud = np.flatnonzero(power >= power.max() * 10.0 ** (-WORD_RANGE_DB / 10.0))
        end = begin + int(loud[-1] + 1) * frame
        position = 0
        for block in blocks:
            position += len(block.samples)
            if position >= end:
                break
        words.append(
            Word(
                name=str(event['name']),
                intents=(str(event['expect']), *map(str, event.get('before', ()))),
                start_s=float(event['say']['at_s']),
                end_s=first_s + end / rate,
                until_s=float(event['window_s'][1]),
                sequence=block.sequence,
                rest_s=(position - end) / rate,
            )
        )
    if not words:
        raise KwsImuError(
            f'Scenario {scenario} has no word that acts without a gesture; give another with '
            '--scenario, together with its bag.'
        )
    return words


def measure_latency(
    bundle: Bundle, bag: Path, scenario: Path, seconds: float, progress: Progress
) -> dict[str, Any]:
    """
    Time from the last sample of each word to the first cmd_vel that it changed, live.

    The last sample is taken to be spoken when its block arrives, less what that block holds after
    it. A negative time means that the word was understood before it ended. Words that were not
    understood, or changed no velocity, are counted in `words` but have no latency.
    """
    words = find_words(bag, scenario)
    duration_s = load_scenario(scenario).duration_s
    progress(f'latency of {len(words)} words, {duration_s:.0f} s')
    with Listener(everything=True) as listener:
        with running(_composed(bundle, bag)) as processes:
            listener.wait_until_ready(processes)
            listener.listen_until(
                lambda: any(process.poll() is not None for process in processes.values()),
                duration_s + PATIENCE_S,
            )
        heard = listener.heard
    to_command, to_velocity = [], []
    for word in words:
        times = latencies_of(word, heard.audio, heard.commands, heard.velocities)
        if times is not None:
            to_command.append(times[0])
            to_velocity.append(times[1])
    if not to_velocity:
        return {'words': len(words), 'understood': 0}
    return {
        'words': len(words),
        'understood': len(to_velocity),
        'to_command_ms': _milliseconds(to_command),
        'to_cmd_vel_ms': _milliseconds(to_velocity),
        'share_within_100_ms': round(float(np.mean(np.asarray(to_velocity) <= TARGET_S)), 3),
    }


def latencies_of(
    word: Word,
    audio: dict[int, int],
    commands: list[tuple[int, str]],
    velocities: list[tuple[int, tuple[float, float]]],
) -> tuple[float, float] | None:
    """
    Return seconds from a word's last sample to its command and to the first cmd_vel that changed.

    audio: arrival of each block by sequence number; commands, velocities: (arrival, content) in
    order. All arrivals are in ns of one clock. None if the word led to neither.
    """
    if word.sequence not in audio:
        return None
    spoken_ns = audio[word.sequence] - int(word.rest_s * 1e9)
    # A word may act before its end, but not before its start.
    begin_ns = spoken_ns - int((word.end_s - word.start_s) * 1e9)
    until_ns = spoken_ns + int((word.until_s - word.end_s) * 1e9)
    command_ns = next(
        (t for t, name in commands if begin_ns <= t <= until_ns and name in word.intents), None
    )
    if command_ns is None:
        return None
    before = [velocity for t, velocity in velocities if t < command_ns]
    moved_ns = next(
        (
            t
            for t, velocity in velocities
            if command_ns <= t <= until_ns and (not before or velocity != before[-1])
        ),
        None,
    )
    if moved_ns is None:
        return None
    return (command_ns - spoken_ns) / 1e9, (moved_ns - spoken_ns) / 1e9


def _milliseconds(seconds: list[float]) -> dict[str, float]:
    values = np.asarray(seconds) * 1e3
    return {
        'median': round(float(np.median(values)), 1),
        'p95': round(float(np.percentile(values, 95)), 1),
        'maximum': round(float(values.max()), 1),
    }
