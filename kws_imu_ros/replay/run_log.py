"""What happened in a run, as the displays and the judge read it."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import numpy as np

from kws_imu_ros.decision.decision import Decision, Outcome
from kws_imu_ros.motion.velocity import Pose, Velocity
from kws_imu_ros.replay.scenario import Command, Motion, Scenario

QUIET_DBFS = -96.0


@dataclass
class RunLog:
    """
    A run as it unfolds; a node or the offline replay fills it, displays read it.

    Times in the lists are seconds from `start_ns`, the time that the bag's first message is given
    (for a microphone: the start of the run).
    voice, gesture: labels and the latest smoothed posterior, float32. warnings: time, node and
    sentence. fusion, dance: the latest diagnostics of fusion and choreographer, by name.
    input_ended: whether nothing more will be heard or seen.
    """

    scenario: Scenario | None = None
    start_ns: int | None = None
    now_s: float = 0.0
    level_dbfs: float = QUIET_DBFS
    voice: tuple[tuple[str, ...], np.ndarray] = ((), np.zeros(0, np.float32))
    gesture: tuple[tuple[str, ...], np.ndarray] = ((), np.zeros(0, np.float32))
    velocity: Velocity = field(default_factory=Velocity)
    pose: Pose = field(default_factory=Pose)
    decisions: list[tuple[float, Decision]] = field(default_factory=list)
    commands: list[tuple[float, str]] = field(default_factory=list)
    motions: list[Motion] = field(default_factory=list)
    path: list[tuple[float, Pose]] = field(default_factory=list)
    posteriors: list[tuple[float, np.ndarray, np.ndarray]] = field(default_factory=list)
    warnings: list[tuple[float, str, str]] = field(default_factory=list)
    fusion: dict[str, str] = field(default_factory=dict)
    dance: dict[str, str] = field(default_factory=dict)
    input_ended: bool = False

    def time_of(self, stamp_ns: int) -> float:
        """Return a time in seconds from the start; before the start is known, 0."""
        return 0.0 if self.start_ns is None else (stamp_ns - self.start_ns) / 1e9

    def judged_commands(self) -> list[Command]:
        """
        Return the commands that were published, each with the time and rule of its decision.

        A decision carries the time of the sound that decided it, which no load of the machine
        shifts; a command without one (typed by a person) keeps the time of its arrival.
        """
        accepted = [item for item in self.decisions if item[1].outcome is Outcome.ACCEPT]
        result = []
        for arrival_s, intent in self.commands:
            match = next((item for item in accepted if item[1].intent == intent), None)
            if match is None:
                result.append(Command(arrival_s, intent))
            else:
                accepted.remove(match)
                result.append(Command(match[0], intent, match[1].rule, arrival_s))
        return sorted(result, key=lambda command: command.time_s)

    def pose_at(self, time_s: float) -> Pose:
        """Return where the robot was, the first pose before there is any."""
        times = [item[0] for item in self.path]
        if not times:
            return self.pose
        index = int(np.searchsorted(times, time_s, side='right')) - 1
        return self.path[max(index, 0)][1]

    @property
    def dance_ended(self) -> bool:
        """Return whether there was a dance that is over now."""
        state = self.dance.get('state')
        return state == 'ended' or (state == 'stopped' and bool(self.dance.get('latest')))

    def current_event(self) -> str:
        """Return the name of the scenario's event of this moment, '' between events."""
        if self.scenario is None:
            return ''
        for event in self.scenario.events:
            if event.start_s <= self.now_s < event.end_s:
                return event.name
        return ''

    def overload(self) -> str:
        """Return how the machine fell behind real time, '' if it did not."""
        signs = []
        lost = sum(int(self.fusion.get(name, 0)) for name in ('audio gaps', 'audio restarts'))
        if lost:
            signs.append(f'sound was lost {lost} time{"s" if lost > 1 else ""}')
        if any(
            node == 'command' and 'no heartbeat' in sentence for _, node, sentence in self.warnings
        ):
            signs.append('fusion fell silent for longer than the watchdog allows')
        return ' and '.join(signs)

    def distance(self) -> float:
        """Return the length of the path in m."""
        poses = [pose for _, pose in self.path]
        return float(sum(np.hypot(b.x - a.x, b.y - a.y) for a, b in itertools.pairwise(poses)))
