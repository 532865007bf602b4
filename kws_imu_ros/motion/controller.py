"""From intents to velocities that are safe to publish."""

from __future__ import annotations

from dataclasses import dataclass

from kws_imu_ros.motion.profiles import Drive, MotionTable, Profile, Resume, Scale, Stop
from kws_imu_ros.motion.velocity import Velocity

# After a pause of our own, signs of life wait in a queue behind the update: this long, in s, they
# have to be taken before fusion counts as dead. During the pause nothing was published, and the
# base has stopped by itself.
GRACE_AFTER_PAUSE = 0.1
# After a pause of our own this long, in s, the base has stopped by itself (the usual cmd_vel
# timeout of bases): speed grows from rest again and does not jump to what it was.
BASE_TIMEOUT = 0.5

STANDING = 'standing'
DRIVING = 'driving'
STOPPING = 'stopping'
EMERGENCY_STOP = 'emergency_stop'
FUSION_LOST = 'fusion_lost'


@dataclass(frozen=True)
class CommandResult:
    """
    What became of a command.

    accepted: it was understood and has its effect.
    code: 'accepted', 'unknown', 'stale', 'future', 'overtaken', 'emergency_stop' or 'fusion_lost'.
    reason: one plain sentence for people.
    """

    accepted: bool
    code: str
    reason: str


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
    def state(self) -> str:
        """Return STANDING, DRIVING, STOPPING, EMERGENCY_STOP or FUSION_LOST."""
        if self._emergency_stop:
            return EMERGENCY_STOP
        if not self.fusion_alive:
            return FUSION_LOST
        if self._active is not None:
            return DRIVING
        return STANDING if self._velocity == Velocity() else STOPPING

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
        self._advance(max(stamp_ns, self._now_ns or stamp_ns) if now_ns is None else now_ns)
        assert self._now_ns is not None
        profile = self._table.profile(intent)
        if profile is None:
            return CommandResult(
                False,
                'unknown',
                f'The command {intent!r} is not in the motion table; '
                f'known are {", ".join(self._table.intents)}.',
            )
        if isinstance(profile, Stop):
            self._active = None
            self._note_stop(min(stamp_ns, self._now_ns))
            return CommandResult(True, 'accepted', 'The robot stops.')
        if self._emergency_stop:
            return CommandResult(
                False,
                'emergency_stop',
                f'The command {intent!r} is ignored: the emergency stop is engaged; release it.',
            )
        if not self.fusion_alive:
            return CommandResult(
                False,
                'fusion_lost',
                f'The command {intent!r} is ignored: fusion gives no sign of life.',
            )
        if self._stopped_ns is not None and stamp_ns < self._stopped_ns:
            return CommandResult(
                False,
                'overtaken',
                f'The command {intent!r} is ignored: it was given before the robot was stopped.',
            )
        age_ns = self._now_ns - stamp_ns
        drive = self._resolve(profile)
        lifetime = self._table.command_lifetime
        if drive is not None and drive.lifetime is not None:
            lifetime = min(lifetime, drive.lifetime)
        if age_ns >= _nanoseconds(lifetime):
            return CommandResult(
                False,
                'stale',
                f'The command {intent!r} is ignored: it is {age_ns / 1e9:.2f} s old and a command '
                f'lives {lifetime:g} s.',
            )
        if -age_ns > _nanoseconds(self._table.max_clock_skew):
            return CommandResult(
                False,
                'future',
                f'The command {intent!r} is ignored: its sender is {-age_ns / 1e9:.2f} s ahead; '
                'synchronise the clocks.',
            )
        if isinstance(profile, Scale):
            self._scale = min(
                max(self._scale * profile.factor, self._table.minimum_scale),
                self._table.maximum_scale,
            )
            if self._active is None:
                return CommandResult(
                    True, 'accepted', f'The next drive is at {self._scale:.0%} of its speed.'
                )
            # A person who still gives commands is still in charge: the drive starts afresh.
            self._active = _ActiveCommand(
                self._active.intent,
                self._active.velocity,
                max(self._active.stamp_ns, min(stamp_ns, self._now_ns)),
                self._active.lifetime_ns,
            )
            return CommandResult(
                True, 'accepted', f'The robot drives at {self._scale:.0%} of its speed.'
            )
        assert drive is not None
        if drive.velocity.linear_x != 0.0:
            self._last_drive = drive
        self._active = _ActiveCommand(
            intent, drive.velocity, min(stamp_ns, self._now_ns), _nanoseconds(lifetime)
        )
        return CommandResult(True, 'accepted', f'The robot does {intent!r}.')

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
        limits = self._table.limits
        target = Velocity()
        if self._active is not None:
            # The table may have been changed since the command was given.
            lifetime_ns = min(self._active.lifetime_ns, _nanoseconds(self._table.command_lifetime))
            remaining_ns = self._active.stamp_ns + lifetime_ns - now_ns
            if remaining_ns <= 0:
                self._active = None
            else:
                remaining = remaining_ns / 1e9
                asked = self._active.velocity
                # Never faster than what can still be braked away before the lifetime ends.
                linear_bound = limits.linear.max_deceleration * remaining
                angular_bound = limits.angular.max_deceleration * remaining
                target = Velocity(
                    _shrink(asked.linear_x * self._scale, linear_bound),
                    _shrink(asked.angular_z * self._scale, angular_bound),
                )
        self._velocity = limits.limit(target, self._velocity, dt, stopping=self._active is None)
        return self._velocity

    def _resolve(self, profile: Profile) -> Drive | None:
        if isinstance(profile, Resume):
            if self._last_drive is not None:
                return self._last_drive
            profile = self._table.profiles[profile.otherwise]
        return profile if isinstance(profile, Drive) else None

    def _forgive_own_pause(self, now_ns: int, dt: float) -> None:
        timeout = self._table.fusion_timeout
        if self._heartbeat_ns is None or self._forgiven or dt <= timeout / 2.0:
            return
        was_alive = now_ns - self._heartbeat_ns <= _nanoseconds(timeout + dt)
        if was_alive:
            # Once a sign of life: a machine that stutters must not keep a dead fusion alive.
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

    def _advance(self, now_ns: int) -> None:
        """Move the clock on; forget the command where time jumped backwards."""
        if self._now_ns is None or now_ns >= self._now_ns:
            self._now_ns = now_ns
        elif self._now_ns - now_ns > _nanoseconds(self._table.max_clock_skew):
            self._active = None
            self._heartbeat_ns = None
            self._stopped_ns = None
            self._updated_ns = now_ns
            self._now_ns = now_ns
        # Less is no jump: inputs that were stamped by several senders overlap a little.


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 1e9)


def _shrink(value: float, bound: float) -> float:
    return min(max(value, -bound), bound)
