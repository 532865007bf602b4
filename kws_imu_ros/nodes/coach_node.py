"""
The coach node: a finding at the end of each move of somebody who dances with the sensor.

It takes the beats of the choreographer, the wrist's motion and what the network sees in it, and
moves nothing. All that it knows lies in the room of the coach.
"""

from __future__ import annotations

import math
import sys
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Imu
from std_msgs.msg import Float32MultiArray, UInt32

from kws_imu_ros.choreography.choreography import BeatTimes
from kws_imu_ros.choreography.file import load_choreography
from kws_imu_ros.choreography.music import load_beats
from kws_imu_ros.coach.coach import Coach
from kws_imu_ros.coach.findings import Finding, FindingKind
from kws_imu_ros.coach.reference import load_teacher, reference_folder
from kws_imu_ros.coach.score_card import ScoreCard, make_score_card, read_card, to_html, to_json
from kws_imu_ros.configuration.declaration import Declaration
from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.imu.sample import ImuSample
from kws_imu_ros.messages.fields import key_values
from kws_imu_ros.messages.imu import imu_sample_from_message
from kws_imu_ros.messages.posterior import posterior_from_message
from kws_imu_ros.nodes.runtime.base_node import BaseNode
from kws_imu_ros.nodes.runtime.diagnostics import DiagnosticsPublisher, Report
from kws_imu_ros.nodes.runtime.qos import IMU_INPUT_QOS, RELIABLE_QOS
from kws_imu_ros.nodes.runtime.spinning import run_nodes
from kws_imu_ros.resources import user_path, write_whole

# After the end of a move its last samples are still on their way.
SETTLE_NS = 40_000_000
RECENT_SAMPLES = 400
# Beats without which a dance was ended by somebody.
MOST_SILENT = 2.5


class CoachNode(BaseNode):
    """Publishes `finding`."""

    PARAMETERS = (
        Declaration('choreography', '', "File of the dance, the choreographer's."),
        Declaration(
            'reference',
            '',
            "Folder of the teacher's recordings. Empty: that of `kws-imu dance record`, beside it.",
        ),
        Declaration('cards', '', 'Folder for score cards. Empty: none are written.'),
        Declaration('grade', False, 'Put a grade on the card.'),
    )

    def __init__(self, **kwargs: Any) -> None:
        """
        Declare parameters and read the dance and the teacher's recordings.

        Raises:
            KwsImuError: a parameter, the dance or the reference does not fit.

        """
        super().__init__('coach', **kwargs)
        with self.destroyed_on_error():
            self._configure()

    def _configure(self) -> None:
        given, reference = self.declare('choreography'), self.declare('reference')
        cards, self._grade = self.declare('cards'), self.declare('grade')
        if not given:
            raise KwsImuError(
                'No dance was named; set the parameter `choreography` to the file of one.'
            )
        path = user_path(given)
        self._dance = load_choreography(path)
        self._beats = (
            load_beats(path.parent / self._dance.music)
            if self._dance.music
            else BeatTimes(self._dance.period_ns)
        )
        self._teacher = load_teacher(user_path(reference) if reference else reference_folder(path))
        self._cards: Path | None = user_path(cards) if cards else None
        self._last: ScoreCard | None = self._newest_card()
        self._labels: tuple[str, ...] = ()
        # Refuses at once what it could not watch.
        self._coach = self._new_coach()
        # Those of the moment before a dance, in which a first move may begin.
        self._recent: deque[ImuSample] = deque(maxlen=RECENT_SAMPLES)
        self._watching = False
        self._beat = 0
        self._offset_ns = 0  # From the steady clock to that of the samples.
        self._first_ns = 0  # When the music's clock began, on that of the samples.
        self._samples, self._unusable, self._danced = 0, 0, 0
        self._latest = 'The coach waits for the first beat.'

        self._finding_publisher = self.create_publisher(DiagnosticStatus, 'finding', RELIABLE_QOS)
        self.create_subscription(UInt32, 'beat', self._on_beat, RELIABLE_QOS)
        self.create_subscription(Imu, 'imu/data_raw', self._on_imu, IMU_INPUT_QOS)
        self.create_subscription(
            Float32MultiArray, 'gesture', self._on_gesture, qos_profile_sensor_data
        )
        # Set anew to the end of each next move; cancelled while nobody dances.
        self._timer = self.create_timer(1.0, self._on_timer)
        self._timer.cancel()
        DiagnosticsPublisher(self, self._report)

    def _newest_card(self) -> ScoreCard | None:
        """Return the card of the pupil's last try at this dance, None where there is none."""
        if self._cards is None:
            return None
        for path in sorted(self._cards.glob('card-*.json'), reverse=True):
            try:
                card = read_card(path)
            except KwsImuError as error:
                self.get_logger().warning(str(error))
                continue
            if card.dance == self._dance.name:
                return card
        return None

    def _new_coach(self) -> Coach:
        return Coach(
            self._dance,
            self._teacher,
            self._last.tries if self._last is not None else None,
            self._labels,
            beats=self._beats,
        )

    def _on_beat(self, message: UInt32) -> None:
        self._beat = int(message.data)
        if self._beat == 0:
            # Somebody counts in: what was danced before is over.
            self._watching = False
        elif self._beat == 1:
            now_ns = self.get_clock().now().nanoseconds
            self._offset_ns = now_ns - time.monotonic_ns()
            self._first_ns = now_ns - self._beats.time_ns(1.0)
            self._coach = self._new_coach()
            self._coach.start(self._first_ns)
            for sample in self._recent:
                self._coach.push_imu(sample)
            self._watching = True
            self._latest = 'The coach watches.'
        self._schedule()

    def _on_imu(self, message: Imu) -> None:
        try:
            sample = imu_sample_from_message(message)
        except KwsImuError:
            self._unusable += 1
            return
        self._recent.append(sample)
        self._coach.push_imu(sample)
        self._samples += 1

    def _on_gesture(self, message: Float32MultiArray) -> None:
        try:
            self._labels, posterior, stamp_ns = posterior_from_message(message)
        except KwsImuError:
            self._unusable += 1
            return
        self._coach.push_gesture(posterior, stamp_ns)

    def _schedule(self) -> None:
        """Set the timer to the end of the move that is danced."""
        end_ns = self._coach.next_end_ns() if self._watching else None
        if end_ns is None:
            self._timer.cancel()
            return
        wait_ns = end_ns + SETTLE_NS - self._offset_ns - time.monotonic_ns()
        self._timer.timer_period_ns = max(wait_ns, 1000)
        self._timer.reset()

    def _on_timer(self) -> None:
        now_ns = time.monotonic_ns() + self._offset_ns
        if self._watching and self._beats.beat(now_ns - self._first_ns) - self._beat > MOST_SILENT:
            self._watching = False
            self._latest = 'The dance was ended; what was left of it is not judged.'
            self.get_logger().info(self._latest)
        if not self._watching:
            self._timer.cancel()
            return
        for finding in self._coach.due(now_ns - SETTLE_NS):
            self._tell(finding)
        if self._coach.next_end_ns() is None:
            self._finish()
        self._schedule()

    def _tell(self, finding: Finding) -> None:
        measures = finding.measures
        pairs = {
            'move': finding.move + 1,
            'name': finding.name,
            'kind': finding.kind.value,
            'offset (ms)': _number(measures.offset_ms, 0),
            'size as a share of the own': _number(measures.ratio, 2),
            'found': finding.found,
            'posture': finding.posture,
        }
        right = finding.kind is FindingKind.RIGHT
        self._latest = f'{finding.sentence} {finding.posture}'.strip()
        self._finding_publisher.publish(
            DiagnosticStatus(
                level=DiagnosticStatus.OK if right else DiagnosticStatus.WARN,
                name='finding',
                message=self._latest,
                values=key_values(pairs),
            )
        )
        self.get_logger().info(self._latest)

    def _finish(self) -> None:
        """Say the one thing to change in the dance, and write the card."""
        self._watching = False
        self._danced += 1
        coach = self._coach
        card = make_score_card(
            self._dance, coach.findings, coach.tries, self._last, coach.notes, self._grade
        )
        self._last = card
        self._latest = f'One thing to change: {card.change}'
        self.get_logger().info(self._latest)
        if self._cards is None:
            return
        # In the order of time by name; two in one second are told apart.
        name = f'card-{time.strftime("%Y-%m-%d-%H-%M-%S")}-{self._danced:03}'
        try:
            write_whole(self._cards / f'{name}.json', to_json(card))
            write_whole(self._cards / f'{name}.html', to_html(card))
        except KwsImuError as error:
            self.get_logger().error(str(error))

    def _report(self, seconds: float) -> Report:
        rate = self._samples / seconds if seconds > 0.0 else 0.0
        self._samples = 0
        warnings = list(self._coach.notes) if self._watching else []
        if self._watching and rate == 0.0:
            warnings.append('No imu/data_raw comes; wear the sensor, and start its node.')
        values = {
            'state': 'watching' if self._watching else 'waiting',
            'dance': self._dance.name,
            'findings': len(self._coach.findings),
            'dances': self._danced,
            'imu (Hz)': f'{rate:.0f}',
            'unusable messages': self._unusable,
        }
        return Report(self._latest, (), warnings, values)


def _number(value: float, digits: int) -> str:
    """Return a number for people, '-' where nothing was measured."""
    return '-' if math.isnan(value) else f'{value:.{digits}f}'


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the coach node until it is told to end."""
    sys.exit(run_nodes(lambda nodes: nodes.append(CoachNode()), arguments, names=['coach']))


if __name__ == '__main__':
    main()
