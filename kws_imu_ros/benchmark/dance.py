"""How near to their beats the moves of a dance come in the live graph, for `kws-imu benchmark`."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray

from kws_imu_ros.audio.quiet_room import write_quiet_room
from kws_imu_ros.benchmark.live_graph import PATIENCE_S, Listener, running
from kws_imu_ros.bringup.robot_description import RobotOptions, composed_command
from kws_imu_ros.choreography.choreography import Choreography, Move
from kws_imu_ros.choreography.file import save_choreography
from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.model.bundle import Bundle
from kws_imu_ros.nodes.choreographer_node import FIRST_BEAT

BEATS_PER_MINUTE = 90.0
TARGET_MS = 50.0


def measure_dance(
    bundle: Bundle, bag: Path, scenario: Path, seconds: float, progress: Callable[[str], None]
) -> dict[str, Any]:
    """
    Return how late the commands of a dance arrive at an outsider, by their beats.

    The robot listens to a quiet room and runs its network meanwhile, as in a classroom. Beats are
    those of the choreographer's steady clock, which is this process's as well.
    """
    dance = _dance(seconds)
    progress(f'dance of {len(dance.moves)} moves, {seconds:.0f} s')
    with tempfile.TemporaryDirectory() as folder:
        path, sound = Path(folder) / 'dance.yaml', Path(folder) / 'quiet.flac'
        save_choreography(path, dance)
        write_quiet_room(sound, seconds + PATIENCE_S)
        options = RobotOptions(
            input=str(sound), model=str(bundle.path), dances=True, choreography=str(path)
        )
        values: dict[str, str] = {}

        def note(message: DiagnosticArray) -> None:
            for status in message.status:
                if status.name.split('/')[-1] == 'choreographer':
                    values.update((item.key, item.value) for item in status.values)

        with Listener(everything=True) as listener:
            listener.subscribe(DiagnosticArray, '/diagnostics', note)
            with running({'robot': composed_command(options)}) as processes:
                listener.wait_until_ready(processes)
                listener.listen_until(
                    lambda: values.get('state') == 'ended',
                    seconds + PATIENCE_S,
                )
            commands = listener.heard.commands
    if FIRST_BEAT not in values or not commands:
        raise KwsImuError('The robot did not dance while it was measured; try `kws-imu dance`.')
    return _lateness(dance, int(values[FIRST_BEAT]), commands)


def _dance(seconds: float) -> Choreography:
    """Return moves of a beat each, forward and backward in turn, that last so many seconds."""
    count = max(4, round(seconds * BEATS_PER_MINUTE / 60.0))
    moves = tuple(Move(1.0 + index, 1.0, robot=('up', 'down')[index % 2]) for index in range(count))
    return Choreography('Benchmark', BEATS_PER_MINUTE, 4, moves)


def _lateness(
    dance: Choreography, first_ns: int, commands: list[tuple[int, str]]
) -> dict[str, Any]:
    """Return the distances in time of moves from their beats; a move that never came is no move."""
    found: list[float] = []
    half_ns = dance.period_ns / 2.0
    for move in dance.moves:
        beat_ns = first_ns + (move.beat - 1.0) * dance.period_ns
        arrivals = [
            time_ns - beat_ns
            for time_ns, intent in commands
            if intent == move.robot and abs(time_ns - beat_ns) < half_ns
        ]
        found += [min(arrivals, key=abs) / 1e6] if arrivals else []
    values = np.abs(np.asarray(found)) if found else np.asarray([np.inf])
    return {
        'moves': len(dance.moves),
        'came': len(found),
        'share_within_50_ms': round(float(np.sum(values <= TARGET_MS)) / len(dance.moves), 4),
        'from_beat_ms': {
            'p50': round(float(np.percentile(values, 50)), 1),
            'p95': round(float(np.percentile(values, 95)), 1),
            'maximum': round(float(values.max()), 1),
        },
        'beats_per_minute': dance.beats_per_minute,
    }
