"""A small robot in a walled arena, for a classroom without one and for tests."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.motion.differential_drive import DifferentialDrive, WheelVelocity, move
from kws_imu_ros.motion.limits import AxisLimits, VelocityLimits
from kws_imu_ros.motion.velocity import Pose, Velocity

# Fine enough for smooth braking; fixed, so that a late caller gets the same path as a punctual one.
STEP_NS = 10_000_000

# A caller that slept this long is not simulated through: the robot stood still meanwhile.
LONGEST_UPDATE_NS = 2_000_000_000

DEFAULT_LIMITS = VelocityLimits(
    AxisLimits(0.5, -0.5, 2.0, 5.0, 5.0), AxisLimits(4.0, -4.0, 20.0, 20.0, 20.0)
)


@dataclass(frozen=True)
class Arena:
    """A rectangle with walls around the origin; width along x and depth along y, in m."""

    width: float = 4.0
    depth: float = 4.0

    def __post_init__(self) -> None:
        """Refuse an arena that is none."""
        for name, value in vars(self).items():
            if not (math.isfinite(value) and value > 0.0):
                raise KwsImuError(f'The arena has {name} {value}; give a finite number above 0.')


@dataclass(frozen=True)
class RobotParameters:
    """
    What the simulated robot is made of.

    drive: wheel geometry and the motors' limit.
    limits: what motors and floor allow; stop_deceleration is how it brakes when cmd_vel times out.
    arena: the walls.
    radius: of the round body in m, for contact with walls.
    cmd_vel_timeout: s without cmd_vel before the robot brakes on its own.
    noise: standard deviation of each wheel's speed as a share of that speed; 0 for a perfect robot.
    seed: of the noise; the same seed and the same inputs give the same path.
    start: the first pose.

    Raises:
        KwsImuError: a number is out of range, or the robot starts in a wall.

    """

    drive: DifferentialDrive = field(default_factory=DifferentialDrive)
    limits: VelocityLimits = DEFAULT_LIMITS
    arena: Arena = field(default_factory=Arena)
    radius: float = 0.1
    cmd_vel_timeout: float = 0.25
    noise: float = 0.02
    seed: int = 1
    start: Pose = field(default_factory=Pose)

    def __post_init__(self) -> None:
        """Refuse what cannot be simulated."""
        for name, minimum, maximum in (
            ('radius', 0.01, 5.0),
            ('cmd_vel_timeout', 0.05, 5.0),
            ('noise', 0.0, 0.5),
        ):
            value = getattr(self, name)
            if not minimum <= value <= maximum:
                raise KwsImuError(
                    f'The simulated robot has {name} {value}; give {minimum:g} to {maximum:g}.'
                )
        if self.seed < 0:
            raise KwsImuError(f'The simulated robot has seed {self.seed}; give 0 or more.')
        pose = (self.start.x, self.start.y, self.start.yaw)
        if not all(map(math.isfinite, pose)) or self.room(self.start) < 0.0:
            raise KwsImuError(
                f'The simulated robot starts at {pose} with radius {self.radius}, not inside its '
                f'arena of {self.arena.width} by {self.arena.depth} m; move it or enlarge the '
                'arena.'
            )

    def room(self, pose: Pose) -> float:
        """Return the distance in m from the body to the nearest wall, negative inside the wall."""
        return min(
            self.arena.width / 2.0 - self.radius - abs(pose.x),
            self.arena.depth / 2.0 - self.radius - abs(pose.y),
        )


@dataclass(frozen=True)
class RobotState:
    """
    The simulated robot at one moment.

    stamp_ns: the caller's time.
    pose, velocity: where it truly is and how it truly moves; odometry reports these without error.
    wheels: wheel velocities in rad/s.
    wheel_positions: left and right wheel angles in rad.
    touching: whether it leans on a wall.
    timed_out: whether it brakes because cmd_vel stopped coming.
    """

    stamp_ns: int
    pose: Pose
    velocity: Velocity
    wheels: WheelVelocity
    wheel_positions: tuple[float, float]
    touching: bool
    timed_out: bool


class SimulatedRobot:
    """
    A differential drive that follows velocity commands within its limits.

    Times are integer nanoseconds of one monotonic clock. The robot brakes by itself when no command
    came for cmd_vel_timeout: whoever sent them may have been killed.
    """

    def __init__(self, parameters: RobotParameters, now_ns: int) -> None:
        """Place the robot at its start, at rest."""
        self._parameters = parameters
        self._random = np.random.default_rng(parameters.seed)
        self._now_ns = now_ns
        self._command = Velocity()
        self._command_ns: int | None = None
        self._velocity = Velocity()  # What the motors do, before noise and walls.
        self._state = RobotState(
            now_ns, parameters.start, Velocity(), WheelVelocity(), (0.0, 0.0), False, False
        )

    @property
    def parameters(self) -> RobotParameters:
        """Return what the robot is made of."""
        return self._parameters

    @property
    def state(self) -> RobotState:
        """Return the state of the last update."""
        return self._state

    def command(self, velocity: Velocity, now_ns: int) -> bool:
        """
        Follow a velocity from now on.

        Return False for one that is not finite: the robot then brakes instead.
        """
        self.update(now_ns)
        finite = math.isfinite(velocity.linear_x) and math.isfinite(velocity.angular_z)
        self._command = velocity if finite else Velocity()
        self._command_ns = now_ns
        return finite

    def update(self, now_ns: int) -> RobotState:
        """Simulate up to now_ns, in steps of STEP_NS; a time in the past changes nothing."""
        if now_ns - self._now_ns > LONGEST_UPDATE_NS:
            # The process was suspended: its robot was, too, and its command is long out of date.
            self._velocity = Velocity()
            self._now_ns = now_ns
            self._take_step(now_ns, 0.0)
        while self._now_ns + STEP_NS <= now_ns:
            self._now_ns += STEP_NS
            self._take_step(self._now_ns, STEP_NS / 1e9)
        return self._state

    def _take_step(self, now_ns: int, dt: float) -> None:
        parameters = self._parameters
        timed_out = (
            self._command_ns is not None
            and now_ns - self._command_ns > parameters.cmd_vel_timeout * 1e9
        )
        target = Velocity() if timed_out or self._command_ns is None else self._command
        state = self._state
        if target == self._velocity == state.velocity == Velocity():
            # At rest, as most of the time: nothing to compute.
            self._state = RobotState(
                now_ns,
                state.pose,
                Velocity(),
                WheelVelocity(),
                state.wheel_positions,
                state.touching,
                timed_out,
            )
            return
        self._velocity = parameters.limits.limit(target, self._velocity, dt, stopping=timed_out)
        wheels = parameters.drive.wheels(self._velocity)
        if parameters.noise > 0.0 and wheels != WheelVelocity():
            left, right = 1.0 + parameters.noise * self._random.standard_normal(2)
            wheels = WheelVelocity(wheels.left * float(left), wheels.right * float(right))
        velocity = parameters.drive.body(wheels)
        pose, touching = self._inside_walls(move(self._state.pose, velocity, dt))
        if touching and dt > 0.0:
            # Against a wall it slides along at best; report how it moves, not how it would.
            before = self._state.pose
            forward = (pose.x - before.x) * math.cos(before.yaw) + (pose.y - before.y) * math.sin(
                before.yaw
            )
            velocity = Velocity(forward / dt, velocity.angular_z)
        positions = self._state.wheel_positions
        self._state = RobotState(
            now_ns,
            pose,
            velocity,
            wheels,
            (positions[0] + wheels.left * dt, positions[1] + wheels.right * dt),
            touching,
            timed_out,
        )

    def _inside_walls(self, pose: Pose) -> tuple[Pose, bool]:
        parameters = self._parameters
        x_room = parameters.arena.width / 2.0 - parameters.radius
        y_room = parameters.arena.depth / 2.0 - parameters.radius
        x = min(max(pose.x, -x_room), x_room)
        y = min(max(pose.y, -y_room), y_room)
        touching = abs(pose.x) >= x_room or abs(pose.y) >= y_room
        return Pose(x, y, pose.yaw), touching
