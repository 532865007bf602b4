"""From intents to velocities that are safe to publish."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from kws_imu_ros.motion.profiles import Drive, MotionTable, Resume, Scale, Stop
from kws_imu_ros.motion.velocity import Velocity

# After a pause of our own, heartbeats wait in a queue behind the update: this long, in s, they
# have to be taken before fusion counts as dead. During the pause nothing was published, and the
# base has stopped by itself.
GRACE_AFTER_PAUSE = 0.1
# After a pause of our own this long, in s, the base has stopped by itself (the usual cmd_vel
# timeout of bases): speed grows from rest again and does not jump to what it was.
BASE_TIMEOUT = 0.5


class _Named(str, Enum):
    """An enum whose members are printed, formatted and published as their values."""

    def __str__(self) -> str:
        return str(self.value)


class MotionState(_Named):
    """What the robot does, or what keeps it from doing anything."""

    STANDING = 'standing'
    DRIVING = 'driving'
    STOPPING = 'stopping'
    EMERGENCY_STOP = 'emergency_stop'
    FUSION_LOST = 'fusion_lost'


class CommandOutcome(_Named):
    """What became of a command: it has its effect, or why it has none."""

    ACCEPTED = 'accepted'
    UNKNOWN = 'unknown'
    STALE = 'stale'
    FUTURE = 'future'
    OVERTAKEN = 'overtaken'
    EMERGENCY_STOP = 'emergency_stop'
    FUSION_LOST = 'fusion_lost'


@dataclass(frozen=True)
class CommandResult:
    """
    What became of a command.

    outcome: as an enum. reason: as one plain sentence for people.
    """

    outcome: CommandOutcome
    reason: str

    @property
    def accepted(self) -> bool:
        """Return whether the command was understood and has its effect."""
        return self.outcome is CommandOutcome.ACCEPTED


@dataclass(frozen=True)
class _Command:
    """A command as it came: when it was given, and how old it is now."""

    intent: str
    stamp_ns: int
    age_ns: int

    @property
    def given_ns(self) -> int:
        """Return when it was given, for one from the future the time of its arrival."""
        return self.stamp_ns + min(self.age_ns, 0)


@dataclass(frozen=True)
class _ActiveCommand:
    """A drive under way: what was asked for, at full scale, and when it ends."""

    intent: str
    velocity: Velocity
    stamp_ns: int
    lifetime_ns: int


class MotionController:
    """
    Turns intents into limited velocities; the last instance before the motors, trusting nobody.

    All times are integer nanoseconds of one monotonic clock of the caller's choice: the steady
    clock in the command node, the bag's time in offline replay.

    - A drive ends with its command's lifetime: the robot brakes in time to be at rest by then.
    - Without a heartbeat of fusion within fusion_timeout, velocity is zero at once and the command
      is forgotten; a new one is needed.
    - The emergency stop sets velocity to zero at once and holds it until it is released; commands
      given meanwhile are forgotten.
    - `stop` is obeyed whatever its age, and a command that was given before the latest stop, of
      whatever kind, never moves the robot, even if it arrives after it.
    - When time runs backwards, the command is forgotten: its age can no longer be told.
    """

    def __init__(self, table: MotionTable, require_heartbeat: bool = True) -> None:
        """
        Start at rest.

        Args:
            table: profiles, limits and times.
            require_heartbeat: False lets a robot be driven without fusion (teleoperation).

        """
        self._table = table
        self._require_heartbeat = require_heartbeat
        self._now_ns: int | None = None
        self._updated_ns: int | None = None
        self._heartbeat_ns: int | None = None
        self._forgiven = False
        self._velocity = Velocity()
        self._active: _ActiveCommand | None = None
        self._stopped_ns: int | None = None
        self._last_drive: Drive | None = None
        self._scale = 1.0
        self._emergency_stop = False

    @property
    def table(self) -> MotionTable:
        """Return the table in use."""
        return self._table

    @table.setter
    def table(self, table: MotionTable) -> None:
        """Use another table from the next update on; a drive under way keeps within its limits."""
        self._table = table

    @property
    def velocity(self) -> Velocity:
        """Return the velocity of the last update."""
        return self._velocity

    @property
    def scale(self) -> float:
        """Return the speed factor set by `faster` and `slower`."""
        return self._scale

    @property
    def active_intent(self) -> str:
        """Return the intent that drives the robot, '' if none does."""
        return '' if self._active is None else self._active.intent

    @property
    def emergency_stopped(self) -> bool:
        """Return whether the emergency stop is latched."""
        return self._emergency_stop

    @property
    def fusion_alive(self) -> bool:
        """Return whether fusion was heard within fusion_timeout before the latest known time."""
        if not self._require_heartbeat:
            return True
        if self._heartbeat_ns is None or self._now_ns is None:
            return False
        return self._now_ns - self._heartbeat_ns <= _nanoseconds(self._table.fusion_timeout)

    @property
    def state(self) -> MotionState:
        """Return what the robot does, or what keeps it from doing anything."""
        if self._emergency_stop:
            return MotionState.EMERGENCY_STOP
        if not self.fusion_alive:
            return MotionState.FUSION_LOST
        if self._active is not None:
            return MotionState.DRIVING
        return MotionState.STANDING if self._velocity == Velocity() else MotionState.STOPPING

    def heartbeat(self, now_ns: int) -> None:
        """Take note that fusion is alive."""
        self._advance(now_ns)
        self._heartbeat_ns = now_ns
        self._forgiven = False

    def heartbeat_lost(self, now_ns: int) -> None:
        """Take note that fusion is not to be relied on: stop at once, until the next heartbeat."""
        self._advance(now_ns)
        self._heartbeat_ns = None
        self._halt()

    def emergency_stop(self, engage: bool, now_ns: int | None = None) -> None:
        """
        Engage the latched emergency stop, or release it; a released robot stays at rest.

        now_ns: the time now, None for that of the last input.
        """
        if now_ns is not None:
            self._advance(now_ns)
        was_engaged, self._emergency_stop = self._emergency_stop, engage
        if engage or was_engaged:
            self._halt()
            self._scale = 1.0

    def command(self, intent: str, stamp_ns: int, now_ns: int | None = None) -> CommandResult:
        """
        Take a command; its effect shows at the next update.

        Args:
            intent: a name of the table's intents.
            stamp_ns: when the command was given.
            now_ns: when it arrived; None means at once.

        """
        latest_ns = self._advance(
            max(stamp_ns, self._now_ns or stamp_ns) if now_ns is None else now_ns
        )
        command = _Command(intent, stamp_ns, latest_ns - stamp_ns)
        profile = self._table.profile(intent)
        if profile is None:
            return CommandResult(
                CommandOutcome.UNKNOWN,
                f'The command {intent!r} is not in the motion table; '
                f'known are {", ".join(self._table.intents)}.',
            )
        if isinstance(profile, Stop):
            return self._stop(command)
        drive = None if isinstance(profile, Scale) else self._resolve(profile)
        lifetime = self._lifetime(drive)
        refusal = self._refuse(command, lifetime)
        if refusal is not None:
            return refusal
        if isinstance(profile, Scale):
            return self._change_scale(command, profile)
        if drive is None:
            return CommandResult(
                CommandOutcome.UNKNOWN,
                f'The command {intent!r} is ignored: its profile in the motion table names no '
                'profile that drives; correct the table.',
            )
        return self._drive(command, drive, lifetime)

    def update(self, now_ns: int) -> Velocity:
        """
        Return the velocity to publish now.

        Call it at a steady rate, several times a fusion_timeout.
        """
        self._advance(now_ns)
        dt = 0.0 if self._updated_ns is None else max(now_ns - self._updated_ns, 0) / 1e9
        self._updated_ns = now_ns if self._updated_ns is None else max(now_ns, self._updated_ns)
        self._forgive_own_pause(now_ns, dt)
        if dt > BASE_TIMEOUT:
            self._velocity = Velocity()
        if self._emergency_stop or not self.fusion_alive:
            self._halt()
            return self._velocity
        target = self._target(now_ns)
        self._velocity = self._table.limits.limit(
            target, self._velocity, dt, stopping=self._active is None
        )
        return self._velocity

    def _target(self, now_ns: int) -> Velocity:
        """Return the velocity that is wished for now; end a drive whose lifetime is over."""
        active, limits = self._active, self._table.limits
        if active is None:
            return Velocity()
        # The table may have been changed since the command was given.
        lifetime_ns = min(active.lifetime_ns, _nanoseconds(self._table.command_lifetime))
        remaining = (active.stamp_ns + lifetime_ns - now_ns) / 1e9
        if remaining <= 0.0:
            self._active = None
            return Velocity()
        # Never faster than what can still be braked away before the lifetime ends.
        return Velocity(
            _shrink(
                active.velocity.linear_x * self._scale, limits.linear.max_deceleration * remaining
            ),
            _shrink(
                active.velocity.angular_z * self._scale, limits.angular.max_deceleration * remaining
            ),
        )

    def _stop(self, command: _Command) -> CommandResult:
        """Come to rest, whatever the command's age and whatever the state."""
        self._active = None
        self._note_stop(command.given_ns)
        return CommandResult(CommandOutcome.ACCEPTED, 'The robot stops.')

    def _refuse(self, command: _Command, lifetime: float) -> CommandResult | None:
        """Return why a command that moves the robot has no effect, None where it has one."""

        def ignore(outcome: CommandOutcome, reason: str) -> CommandResult:
            return CommandResult(outcome, f'The command {command.intent!r} is ignored: {reason}')

        if self._emergency_stop:
            return ignore(
                CommandOutcome.EMERGENCY_STOP, 'the emergency stop is engaged; release it.'
            )
        if not self.fusion_alive:
            return ignore(CommandOutcome.FUSION_LOST, 'fusion gives no heartbeat.')
        if self._stopped_ns is not None and command.stamp_ns < self._stopped_ns:
            return ignore(CommandOutcome.OVERTAKEN, 'it was given before the robot was stopped.')
        if command.age_ns >= _nanoseconds(lifetime):
            return ignore(
                CommandOutcome.STALE,
                f'it is {command.age_ns / 1e9:.2f} s old and a command lives {lifetime:g} s.',
            )
        if -command.age_ns > _nanoseconds(self._table.max_clock_skew):
            return ignore(
                CommandOutcome.FUTURE,
                f'its sender is {-command.age_ns / 1e9:.2f} s ahead; synchronise the clocks.',
            )
        return None

    def _change_scale(self, command: _Command, profile: Scale) -> CommandResult:
        """Drive faster or slower from now on."""
        table = self._table
        scale = self._scale * profile.factor
        self._scale = min(max(scale, table.minimum_scale), table.maximum_scale)
        if self._active is None:
            return CommandResult(
                CommandOutcome.ACCEPTED, f'The next drive is at {self._scale:.0%} of its speed.'
            )
        # A person who still gives commands is still in charge: the drive starts afresh.
        stamp_ns = max(self._active.stamp_ns, command.given_ns)
        self._active = replace(self._active, stamp_ns=stamp_ns)
        return CommandResult(
            CommandOutcome.ACCEPTED, f'The robot drives at {self._scale:.0%} of its speed.'
        )

    def _drive(self, command: _Command, drive: Drive, lifetime: float) -> CommandResult:
        """Drive until the command's lifetime ends."""
        if drive.velocity.linear_x != 0.0:
            self._last_drive = drive
        self._active = _ActiveCommand(
            command.intent, drive.velocity, command.given_ns, _nanoseconds(lifetime)
        )
        return CommandResult(CommandOutcome.ACCEPTED, f'The robot does {command.intent!r}.')

    def _resolve(self, profile: Drive | Resume) -> Drive | None:
        """Return the drive that a profile means now; None where the table lacks it."""
        if isinstance(profile, Drive):
            return profile
        if self._last_drive is not None:
            return self._last_drive
        otherwise = self._table.profiles.get(profile.otherwise)
        return otherwise if isinstance(otherwise, Drive) else None

    def _lifetime(self, drive: Drive | None) -> float:
        """Return for how long, in s, a command lives; the table's time bounds that of a drive."""
        longest = self._table.command_lifetime
        return longest if drive is None or drive.lifetime is None else min(longest, drive.lifetime)

    def _forgive_own_pause(self, now_ns: int, dt: float) -> None:
        timeout = self._table.fusion_timeout
        if self._heartbeat_ns is None or self._forgiven or dt <= timeout / 2.0:
            return
        was_alive = now_ns - self._heartbeat_ns <= _nanoseconds(timeout + dt)
        if was_alive:
            # Once a heartbeat: a machine that stutters must not keep a dead fusion alive.
            self._forgiven = True
            latest_ns = now_ns - _nanoseconds(max(timeout - GRACE_AFTER_PAUSE, 0.0))
            self._heartbeat_ns = max(self._heartbeat_ns, latest_ns)

    def _halt(self) -> None:
        self._active = None
        self._velocity = Velocity()
        if self._now_ns is not None:
            self._note_stop(self._now_ns)

    def _note_stop(self, stamp_ns: int) -> None:
        self._stopped_ns = max(stamp_ns, self._stopped_ns or stamp_ns)

    def _advance(self, now_ns: int) -> int:
        """Move the clock on and return it; forget the command where time jumped backwards."""
        if self._now_ns is None or now_ns >= self._now_ns:
            self._now_ns = now_ns
        elif self._now_ns - now_ns > _nanoseconds(self._table.max_clock_skew):
            self._active = None
            self._heartbeat_ns = None
            self._stopped_ns = None
            self._updated_ns = now_ns
            self._now_ns = now_ns
        # Less is no jump: inputs that were stamped by several senders overlap a little.
        return self._now_ns


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 1e9)


def _shrink(value: float, bound: float) -> float:
    return min(max(value, -bound), bound)
