"""
The choreographer node: intents on their beats, and a dance made of what is said.

It publishes on `command` like a person would and never on `cmd_vel`, so that limits, lifetimes,
watchdog and emergency stop are those of the command node. Beats are timed on the steady clock: one
timer is set to the moment of the next cue or beat. What is late is told and never made up for.
"""

from __future__ import annotations

import contextlib
import math
import sys
import time
from collections import deque
from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.duration import Duration
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.qos import qos_profile_sensor_data
from std_msgs.msg import Bool, Float32, String, UInt32
from std_srvs.srv import Trigger

from kws_imu_ros.audio.metronome import Metronome
from kws_imu_ros.choreography.choreography import BeatTimes, Choreography
from kws_imu_ros.choreography.compose import Composer, ComposerOptions
from kws_imu_ros.choreography.feasibility import require_danceable
from kws_imu_ros.choreography.file import Vocabulary, load_choreography, to_yaml
from kws_imu_ros.choreography.music import load_beats
from kws_imu_ros.choreography.player import (
    LATE_NS,
    CueKind,
    DueCue,
    Player,
    PlayerState,
    stop_intent,
)
from kws_imu_ros.configuration.declaration import Declaration
from kws_imu_ros.decision.decision import Outcome, Rule
from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.messages.decision import (
    decision_from_message,
    intent_from_message,
    intent_to_message,
)
from kws_imu_ros.messages.heartbeat import heartbeat_from_message
from kws_imu_ros.motion.profiles import load_motion_table
from kws_imu_ros.nodes.runtime.base_node import BaseNode
from kws_imu_ros.nodes.runtime.diagnostics import DiagnosticsPublisher, Durations, Report
from kws_imu_ros.nodes.runtime.qos import (
    CHOREOGRAPHY_QOS,
    EMERGENCY_STOPPED_QOS,
    LOGGED_QOS,
    RELIABLE_QOS,
)
from kws_imu_ros.nodes.runtime.spinning import run_nodes
from kws_imu_ros.resources import share_path, user_path, write_whole

# Until the nodes of one robot have found each other.
SETTLE_NS = 1_000_000_000
# What is still missing then is told.
PATIENCE_NS = 10_000_000_000
# Fusion beats ten times a second; a dance that nobody could end by voice ends after so long.
FUSION_SILENT_NS = 2_000_000_000
# Within this time what this node has published has come back to it.
ECHO_NS = 500_000_000
# A decision that is older than this has a stamp of a clock that was set since.
OLDEST_DECISION_NS = 3_000_000_000
WAIT_S = 0.2
# In the diagnostics, for whoever measures.
FIRST_BEAT = 'beat 1 on the steady clock (ns)'
# The executor rests for a moment between two passes; what comes within it is waited for instead.
EARLY_NS = 10_000_000


class State(Enum):
    """What the choreographer does."""

    WAITING = 'waiting'  # For the robot, to begin by itself.
    COMPOSING = 'composing'
    STOPPED = 'stopped'
    PLAYING = 'playing'
    PAUSED = 'paused'
    ENDED = 'ended'


class ChoreographerNode(BaseNode):
    """Publishes `command`, `beat` and `choreography`."""

    PARAMETERS = (
        Declaration(
            'choreography', '', 'File of the dance. Empty: none yet, it is to be composed.'
        ),
        Declaration(
            'motion_file',
            '',
            "The command node's motion table. Empty: the config/motion.yaml of the package.",
        ),
        Declaration(
            'start_at_once', False, 'Dance as soon as the robot is there, without ~/start.'
        ),
        Declaration('count_in', True, 'Count a bar of beats before the dance.'),
        Declaration(
            'metronome',
            True,
            'Click on the beats where there is a loudspeaker; `beat` comes anyway.',
        ),
        Declaration('save_to', '', "File that ~/save writes. Empty: the choreography's own."),
        Declaration('name', 'Our dance', 'Name of a dance that is composed.'),
        Declaration('tempo', 60.0, 'Of a dance that is composed, beats a minute.', 20.0, 300.0),
        Declaration('metre', 4, 'Of a dance that is composed, beats a bar.', 1, 16),
        Declaration(
            'resolution', 1.0, 'Of the grid that commands are moved to, beats.', 0.125, 16.0
        ),
        Declaration(
            'longest', 4.0, 'Beats that a composed move lasts where nothing follows.', 0.125, 64.0
        ),
    )

    def __init__(self, **kwargs: Any) -> None:
        """
        Declare parameters and read the dance; nothing moves yet.

        Raises:
            KwsImuError: a parameter, the motion table or the dance does not fit, or the robot
                cannot dance it.

        """
        super().__init__('choreographer', **kwargs)
        self._ready = False
        self._metronome: Metronome | None = None
        with self.destroyed_on_error():
            self._configure()

    def _configure(self) -> None:
        path, motion_file = self.declare('choreography'), self.declare('motion_file')
        self._table = load_motion_table(
            user_path(motion_file) if motion_file else share_path('config', 'motion.yaml')
        )
        self._stop_intent = stop_intent(self._table)
        self._stops = frozenset(
            intent for intent, stops in self._table.effects().stops.items() if stops
        )
        self._at_once = self._waiting = self.declare('start_at_once')
        self._count_in = self.declare('count_in')
        if self.declare('metronome'):
            self._metronome = Metronome()
        save_to = self.declare('save_to')
        self._composing = (
            self.declare('name'),
            self.declare('tempo'),
            self.declare('metre'),
            ComposerOptions(self.declare('resolution'), self.declare('longest'), stops=self._stops),
        )
        self._path: Path | None = user_path(path) if path else None
        self._save_to: Path | None = user_path(save_to) if save_to else self._path
        # What `_save_to` holds as far as this node knows; None for a file that is not there.
        self._known_text: str | None = None
        beats: BeatTimes | None = None
        if self._path is not None:
            dance = load_choreography(self._path, Vocabulary(tuple(self._table.intents)))
            beats = load_beats(self._path.parent / dance.music) if dance.music else None
            if self._save_to == self._path:
                self._known_text = self._path.read_text(encoding='utf-8')
        else:
            dance = Choreography(*self._composing[:3])
        require_danceable(dance, self._table)
        self._player = Player(dance, self._table, beats)
        self._composer: Composer | None = None
        self._next_beat = 1
        self._due_ns = 0
        self._born_ns = self._now_ns()
        self._first: bool | None = None  # Whether this was here before any other choreographer.
        self._emergency_stopped = False
        self._fusion_heard = False
        self._alive_ns: int | None = None  # Of its last heartbeat, None without one or a sense.
        self._sent: deque[tuple[int, str]] = deque()
        self._moves = self._late = self._lost = self._late_beats = self._lost_beats = 0
        self._latest_ns = 0
        self._lateness = Durations()
        self._reason, self._told = '', ''

        self._command_publisher = self.create_publisher(String, 'command', RELIABLE_QOS)
        self._beat_publisher = self.create_publisher(UInt32, 'beat', RELIABLE_QOS)
        self._choreography_publisher = self.create_publisher(
            String, 'choreography', CHOREOGRAPHY_QOS
        )
        self.create_subscription(String, 'command', self._on_command, LOGGED_QOS)
        # Volatile: what was decided before this node came is no concern of a dance.
        self.create_subscription(DiagnosticStatus, 'decision', self._on_decision, RELIABLE_QOS)
        self.create_subscription(
            Bool, 'emergency_stopped', self._on_emergency_stopped, EMERGENCY_STOPPED_QOS
        )
        self.create_subscription(
            UInt32, 'fusion_alive', self._on_fusion_alive, qos_profile_sensor_data
        )
        self.create_subscription(Float32, '~/seek', self._on_seek, RELIABLE_QOS)
        for name, act in (
            ('start', self._start),
            ('pause', self._pause),
            ('stop', self._stop),
            ('compose', self._compose),
            ('save', self._save),
        ):
            self.create_service(Trigger, f'~/{name}', _answering(act))
        # Set anew to each next moment; cancelled while there is none.
        self._timer = self.create_timer(1.0, self._on_timer)
        self._timer.cancel()
        self._wait_timer = self.create_timer(WAIT_S, self._on_wait)
        DiagnosticsPublisher(self, self._report)
        self._publish_choreography()
        self._ready = True

    # What people ask for. Each returns a sentence, or raises KwsImuError with one.

    def _start(self) -> str:
        """Dance, or go on after a pause."""
        if self._composer is not None:
            raise KwsImuError('A dance is being composed; end that with ~/stop or ~/save first.')
        player = self._player
        if player.state is PlayerState.PLAYING:
            raise KwsImuError('The robot dances already.')
        obstacle = self._obstacle()
        if obstacle:
            raise KwsImuError(obstacle)
        require_danceable(player.choreography, self._table)
        now_ns = self._now_ns()
        if player.state is PlayerState.PAUSED:
            player.resume(now_ns)
        else:
            self._moves = self._late = self._lost = self._late_beats = self._lost_beats = 0
            self._lateness = Durations()
            player.start(now_ns, count_in=self._count_in)
        self._waiting, self._reason = False, ''
        self._begin_beats(player.beat(now_ns))
        return f'The robot dances "{player.choreography.name}".'

    def _pause(self) -> str:
        """Hold the dance, and the robot."""
        player = self._player
        if player.state is not PlayerState.PLAYING:
            raise KwsImuError('The robot does not dance; there is nothing to hold.')
        player.pause(self._now_ns())
        self._send(self._stop_intent)
        self._schedule()
        return f'The dance is held on beat {max(1, math.floor(player.beat(0)))}.'

    def _stop(self) -> str:
        """End the dance or the composing."""
        if self._composer is not None:
            dance = self._take_composed()
            return f'Composing has ended with {len(dance.moves)} moves; ~/save writes them.'
        self._waiting = False
        if self._end_dance('~/stop was called'):
            self._send(self._stop_intent)
            return 'The dance has ended.'
        raise KwsImuError('The robot does not dance.')

    def _compose(self) -> str:
        """Begin a new dance, after a bar of counting in."""
        if self._player.state is PlayerState.PLAYING:
            raise KwsImuError('The robot dances; end that with ~/stop first.')
        if self._composer is not None:
            raise KwsImuError('A dance is being composed already.')
        self._refuse_second()
        self._waiting = False
        self._composer = Composer(*self._composing)
        now_ns = self._now_ns()
        self._composer.start(now_ns)
        self._begin_beats(1 - self._composing[2])
        self._publish_choreography()
        return 'Say a command on each beat; "stop" ends a phrase, "no" takes the last move back.'

    def _save(self) -> str:
        """Write the dance, whole or not at all."""
        if self._save_to is None:
            raise KwsImuError('There is no file to write; set the parameter save_to.')
        dance = self._take_composed() if self._composer is not None else self._dance
        found = _text_of(self._save_to)
        if found is not None and found != self._known_text:
            raise KwsImuError(
                f'{self._save_to} holds another dance, or was changed meanwhile; nothing is '
                'written: move it away, or give another name in save_to.'
            )
        text = to_yaml(dance)
        write_whole(self._save_to, text)
        self._known_text = text
        return f'{self._save_to}: {len(dance.moves)} moves.'

    def _on_seek(self, message: Float32) -> None:
        beat, player = float(message.data), self._player
        # A nan is in no range.
        if self._composer is not None or not 1.0 <= beat <= player.choreography.end:
            self.get_logger().warning(
                f'There is no beat {beat:g} to go to: the dance goes from 1 to '
                f'{player.choreography.end:g}.'
            )
            return
        now_ns = self._now_ns()
        if player.state is PlayerState.PLAYING:
            self._send(self._stop_intent)
        player.seek(now_ns, beat)
        self._begin_beats(player.beat(now_ns))

    # Who may end or hinder a dance

    def _on_command(self, message: String) -> None:
        intent = intent_from_message(message)
        now_ns = self._now_ns()
        while self._sent and now_ns - self._sent[0][0] > ECHO_NS:
            self._sent.popleft()
        own = next((item for item in self._sent if item[1] == intent), None)
        if own is not None:
            self._sent.remove(own)
        elif intent in self._stops:
            self._end_dance(f'somebody commanded "{intent}"')

    def _on_decision(self, message: DiagnosticStatus) -> None:
        try:
            decision = decision_from_message(message)
        except KwsImuError as error:
            self.get_logger().warning(str(error), once=True)
            return
        if decision.outcome is not Outcome.ACCEPT:
            return
        if self._composer is None:
            if decision.intent in self._stops:
                self._end_dance(f'somebody said or showed "{decision.intent}"')
            return
        # Stamps are of ROS time, which may be set or simulated; beats are of the steady clock.
        age_ns = self.get_clock().now().nanoseconds - decision.stamp_ns
        age_ns = age_ns if 0 <= age_ns <= OLDEST_DECISION_NS else 0
        corrects = decision.rule is Rule.GESTURE_CORRECTS_VOICE
        composed = self._composer.push(decision.intent, self._now_ns() - age_ns, corrects)
        self.get_logger().info(composed.sentence)
        self._reason = composed.sentence
        self._publish_choreography()

    def _on_emergency_stopped(self, message: Bool) -> None:
        self._emergency_stopped = message.data
        if message.data:
            self._end_dance('the emergency stop is engaged')

    def _on_fusion_alive(self, message: UInt32) -> None:
        self._fusion_heard = True
        if not heartbeat_from_message(message).sense_lost:
            self._alive_ns = self._now_ns()
            return
        self._alive_ns = None
        player = self._player
        counting_in = player.state is PlayerState.PLAYING and player.beat(self._now_ns()) < 1.0
        if self._at_once and counting_in:
            # A robot that is being started: its senses come one by one.
            player.stop()
            self._waiting = True
            self._schedule()
        else:
            self._end_dance('fusion has lost a sense, and nobody could end it by voice')

    def _end_dance(self, why: str) -> bool:
        """End a dance that is under way; return whether there was one."""
        player = self._player
        if player.state not in (PlayerState.PLAYING, PlayerState.PAUSED):
            return False
        beat = player.beat(self._now_ns())
        player.stop()
        self._reason = f'The dance has ended on beat {max(1, math.floor(beat))}: {why}.'
        self.get_logger().warning(self._reason)
        self._schedule()
        return True

    def _obstacle(self) -> str:
        """Return why the robot cannot dance now, '' where it can."""
        try:
            self._refuse_second()
        except KwsImuError as error:
            return str(error)
        if not self._dance.moves:
            return 'The dance is empty; name a choreography, or compose one.'
        if self._emergency_stopped:
            return 'The emergency stop is engaged; release it to dance.'
        # One of those that take commands is this node.
        if self.count_subscribers(self.resolve_topic_name('command')) < 2:
            return 'Nobody listens to command; start the command node.'
        return ''

    def _refuse_second(self) -> None:
        """
        Refuse to work beside a choreographer that was there before.

        Raises:
            KwsImuError: there is one.

        """
        others = self.count_publishers(self.resolve_topic_name('choreography')) - 1
        if others <= 0:
            if self._now_ns() - self._born_ns > SETTLE_NS:
                self._first = True
        elif not self._first:
            self._first = False
            raise KwsImuError(
                'Another choreographer is at work on this robot, so this one does nothing: end one '
                'of the two, or give each robot a ROS_DOMAIN_ID or a namespace of its own. One '
                'that was killed is still listed for some seconds.'
            )

    # Time

    def _begin_beats(self, beat: float) -> None:
        """Count from a beat on."""
        self._next_beat = math.ceil(beat - 1e-6)
        if self._metronome is not None:
            self._metronome.open()
        self._schedule()

    def _schedule(self) -> None:
        """Set the timer to the next moment at which something is due."""
        moments = [self._next_beat_ns(), self._player.next_ns()]
        next_ns = min((moment for moment in moments if moment is not None), default=None)
        if next_ns is None:
            self._timer.cancel()
            return
        self._due_ns = next_ns
        self._timer.timer_period_ns = max(next_ns - EARLY_NS - self._now_ns(), 1000)
        self._timer.reset()

    def _next_beat_ns(self) -> int | None:
        if self._composer is not None:
            return self._composer.beat_ns(self._next_beat)
        player = self._player
        playing = player.state is PlayerState.PLAYING
        return player.beat_ns(self._next_beat) if playing else None

    def _on_timer(self) -> None:
        early_ns = self._due_ns - self._now_ns()
        if early_ns > 0:
            time.sleep(min(early_ns, EARLY_NS) / 1e9)
        now_ns = self._now_ns()
        for due in self._player.due(now_ns):
            self._take(due)
        self._tell_beats(now_ns)
        self._schedule()

    def _take(self, due: DueCue) -> None:
        """Send what is due, unless its time has passed."""
        cue = due.cue
        if cue.kind is CueKind.END:
            self._reason = f'The dance has ended: {self._moves} moves were danced.'
            self.get_logger().info(self._reason)
            return
        is_move = cue.kind is CueKind.MOVE
        if due.lost:
            self._lost += is_move
        else:
            self._send(cue.intent)
            self._moves += is_move
            self._late += is_move and due.late
        if is_move:
            self._lateness.add(due.late_ns)
        if is_move and due.late:
            self.get_logger().warning(
                f'Move {cue.move + 1} ("{cue.intent}", beat {cue.beat:g}) came '
                f'{due.late_ns / 1e6:.0f} ms late{" and is left out" if due.lost else ""}; this '
                'machine is too busy.'
            )

    def _tell_beats(self, now_ns: int) -> None:
        """Publish the newest beat that fell; those before it are lost, and none is hurried."""
        fallen: list[tuple[int, int]] = []
        while (next_ns := self._next_beat_ns()) is not None and next_ns <= now_ns:
            fallen.append((self._next_beat, next_ns))
            self._next_beat += 1
        if not fallen:
            return
        beat, due_ns = fallen[-1]
        self._lost_beats += len(fallen) - 1
        self._late_beats += now_ns - due_ns > LATE_NS
        self._beat_publisher.publish(UInt32(data=max(beat, 0)))
        if self._metronome is not None:
            self._metronome.click((beat - 1) % self._dance.beats_per_bar == 0)

    def _on_wait(self) -> None:
        """Begin the dance that is to begin by itself, once the robot is there."""
        age_ns = self._now_ns() - self._born_ns
        if not self._waiting or age_ns < SETTLE_NS:
            return
        # Fusion, without which the robot stands, takes a moment to hear; some robots have none.
        if self._alive_ns is None and (self._fusion_heard or age_ns < PATIENCE_NS):
            return
        try:
            sentence = self._start()
        except KwsImuError as error:
            if str(error) != self._told and age_ns > PATIENCE_NS:
                self._told = str(error)
                self.get_logger().warning(self._told)
            return
        self.get_logger().info(sentence)

    # What is told

    def _send(self, intent: str) -> None:
        self._sent.append((self._now_ns(), intent))
        self._command_publisher.publish(intent_to_message(intent))

    def _publish_choreography(self) -> None:
        self._choreography_publisher.publish(String(data=to_yaml(self._dance)))

    def _report(self, _seconds: float) -> Report:
        now_ns, player, state = self._now_ns(), self._player, self.state
        if self._alive_ns is not None and now_ns - self._alive_ns > FUSION_SILENT_NS:
            self._end_dance('fusion gives no sign of life, and nobody could end it by voice')
        warnings = []
        try:
            self._refuse_second()
        except KwsImuError as error:
            warnings.append(str(error))
        if self._lost or self._late:
            warnings.append(
                f'{self._late} moves were late and {self._lost} were left out; this machine is too '
                'busy.'
            )
        if self._metronome is not None and self._metronome.problem:
            silent = f'silent: {self._metronome.problem}'
        else:
            silent = 'on' if self._metronome is not None else 'off'
        values = {
            'state': state.value,
            'dance': self._dance.name,
            'beat': f'{player.beat(now_ns):.2f}' if state is State.PLAYING else '-',
            'moves': f'{self._moves} of {len(self._dance.moves)}',
            'late moves': self._late,
            'lost moves': self._lost,
            'late beats': self._late_beats,
            'lost beats': self._lost_beats,
            'lateness, median / p95 / longest (ms)': self._lateness.describe_ms(),
            FIRST_BEAT: player.beat_ns(1.0),
            'metronome': silent,
            'latest': self._reason,
        }
        return Report(self._reason or f'The choreographer is {state.value}.', (), warnings, values)

    @property
    def state(self) -> State:
        """Return what it does."""
        if self._composer is not None:
            return State.COMPOSING
        return State.WAITING if self._waiting else State(self._player.state.value)

    @property
    def _dance(self) -> Choreography:
        if self._composer is not None:
            return self._composer.choreography
        return self._player.choreography

    def _take_composed(self) -> Choreography:
        """End composing; what was composed is what the robot dances from now on."""
        composer, self._composer = self._composer, None
        if composer is not None:
            self._player = Player(composer.finish(), self._table)
        self._schedule()
        self._publish_choreography()
        return self._dance

    def _now_ns(self) -> int:
        return time.monotonic_ns()

    def destroy_node(self) -> None:
        """Stop a robot that dances, and leave."""
        if self._ready and self._player.state is PlayerState.PLAYING and self.context.ok():
            self._send(self._stop_intent)
            # Not every middleware can tell; those that cannot have sent it all the same.
            with contextlib.suppress(rclpy_implementation.RCLError):
                self._command_publisher.wait_for_all_acked(Duration(seconds=0.2))
        self._ready = False
        if self._metronome is not None:
            self._metronome.close()
        super().destroy_node()


def _answering(act: Any) -> Any:
    """Return a service's callback: what is asked for, answered by its sentence."""

    def answer(_request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        try:
            response.message, response.success = act(), True
        except KwsImuError as error:
            response.message, response.success = str(error), False
        return response

    return answer


def _text_of(path: Path) -> str | None:
    """
    Return what a file holds, None where there is none.

    Raises:
        KwsImuError: it cannot be read.

    """
    try:
        return path.read_text(encoding='utf-8')
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise KwsImuError(f'{path} is there and cannot be read; nothing is written.') from error


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the choreographer node until it is told to end."""
    sys.exit(
        run_nodes(
            lambda nodes: nodes.append(ChoreographerNode()), arguments, names=['choreographer']
        )
    )


if __name__ == '__main__':
    main()
