"""The table that says what each intent does to the robot, read from config/motion.yaml."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from kws_imu_ros.configuration.section import Section, load_yaml, read_yaml
from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.motion.limits import AxisLimits, VelocityLimits
from kws_imu_ros.motion.velocity import Velocity

SCHEMA_VERSION = 1

# Longer, and a robot that lost its person would drive on through the next room.
LONGEST_LIFETIME = 30.0

PROFILE_ENTRIES = ('linear_x', 'angular_z', 'lifetime', 'resume', 'scale', 'stop')


@dataclass(frozen=True)
class Drive:
    """Drive at a velocity for lifetime seconds (None: the table's command_lifetime)."""

    velocity: Velocity
    lifetime: float | None = None


@dataclass(frozen=True)
class Resume:
    """Drive again as before the stop, or as the named profile if nothing was driven yet."""

    otherwise: str


@dataclass(frozen=True)
class Scale:
    """Multiply the speed of this and later drives by factor."""

    factor: float


@dataclass(frozen=True)
class Stop:
    """Come to rest at stop_deceleration."""


Profile = Drive | Resume | Scale | Stop


@dataclass(frozen=True)
class IntentEffects:
    """
    What a motion table does, for those who decide.

    source: its file. stops: each intent that it knows, and whether that stops the robot.
    """

    source: str
    stops: Mapping[str, bool]


@dataclass(frozen=True)
class MotionTable:
    """
    Everything that config/motion.yaml says.

    intents: intent name to profile name.
    profiles: profile name to profile.
    limits: velocity and acceleration limits.
    minimum_scale, maximum_scale: range of the speed factor that Scale profiles change.
    command_lifetime: s after which a command has lost its effect.
    fusion_timeout: s without a heartbeat of fusion before the robot is stopped.
    max_clock_skew: s that a command may come from the future before it is refused.
    source: the file, for errors.
    """

    intents: Mapping[str, str]
    profiles: Mapping[str, Profile]
    limits: VelocityLimits
    minimum_scale: float
    maximum_scale: float
    command_lifetime: float
    fusion_timeout: float
    max_clock_skew: float
    source: str = field(default='The motion table', compare=False)

    def effects(self) -> IntentEffects:
        """Return what the policy's side must know of this table."""
        stops = {
            intent: isinstance(self.profiles[name], Stop) for intent, name in self.intents.items()
        }
        return IntentEffects(self.source, MappingProxyType(stops))

    def profile(self, intent: str) -> Profile | None:
        """Return the profile of an intent, or None where the table does not know it."""
        name = self.intents.get(intent)
        return None if name is None else self.profiles[name]


def load_motion_table(path: Path | str) -> MotionTable:
    """
    Read and check a motion table.

    Raises:
        KwsImuError: the file is missing, not YAML, or an entry is missing, unknown or out of range.

    """
    return _read_table(load_yaml(path, 'motion table'))


def parse_motion_table(text: str, source: str = 'motion.yaml') -> MotionTable:
    """
    Check the text of a motion table; source names it in errors.

    Raises:
        KwsImuError: the text is not YAML, or an entry is missing, unknown or out of range.

    """
    return _read_table(read_yaml(text, f'The motion table {source}'))


def _read_table(top: Section) -> MotionTable:
    """Return the table in an open file."""
    top.holding(('schema_version', 'intents', 'profiles', 'scale', 'limits', 'safety'))
    top.version('schema_version', SCHEMA_VERSION)
    limits_section = top.section('limits', ('linear', 'angular'))
    limits = VelocityLimits(
        _axis_limits(limits_section, 'linear'), _axis_limits(limits_section, 'angular')
    )
    scale = top.section('scale', ('minimum', 'maximum'))
    safety = top.section('safety', ('command_lifetime', 'fusion_timeout', 'max_clock_skew'))
    command_lifetime = safety.number('command_lifetime', 0.1, LONGEST_LIFETIME)
    profiles = _profiles(top.names_of('profiles', least=1), limits, command_lifetime)
    return MotionTable(
        intents=MappingProxyType(_intents(top, profiles)),
        profiles=MappingProxyType(profiles),
        limits=limits,
        minimum_scale=scale.number('minimum', 0.1, 1.0),
        maximum_scale=scale.number('maximum', 1.0, 10.0),
        command_lifetime=command_lifetime,
        fusion_timeout=safety.number('fusion_timeout', 0.05, 5.0),
        max_clock_skew=safety.number('max_clock_skew', 0.0, 10.0),
        source=top.source,
    )


def _intents(top: Section, profiles: Mapping[str, Profile]) -> dict[str, str]:
    """Return the profile that each intent starts."""
    section = top.names_of('intents')
    intents = {name: section.one_of(name, tuple(profiles)) for name in section.names()}
    if not any(isinstance(profiles[name], Stop) for name in intents.values()):
        raise top.wrong(
            'intents', 'lead nowhere to a profile with stop: true, but a robot must have one'
        )
    return intents


def _profiles(
    section: Section, limits: VelocityLimits, command_lifetime: float
) -> dict[str, Profile]:
    """Return all profiles by name."""
    profiles = {
        name: _profile(section.section(name, (), PROFILE_ENTRIES), limits, command_lifetime)
        for name in section.names()
    }
    for name, profile in profiles.items():
        if isinstance(profile, Resume) and not isinstance(profiles.get(profile.otherwise), Drive):
            raise section.wrong(
                name, f"resumes '{profile.otherwise}', which is no profile that drives"
            )
    return profiles


def _profile(section: Section, limits: VelocityLimits, command_lifetime: float) -> Profile:
    """Return one profile."""
    given = [name for name in PROFILE_ENTRIES if section.has(name)]
    kinds = [kind for kind in ('resume', 'scale', 'stop') if kind in given]
    drives = 'linear_x' in given or 'angular_z' in given
    if len(kinds) + drives != 1 or (kinds and 'lifetime' in given):
        raise section.wrong(
            '',
            f'holds {", ".join(given) or "nothing"}; give linear_x and/or angular_z (with lifetime '
            'if wanted), or one of resume, scale and stop',
        )
    if 'stop' in given:
        if not section.boolean('stop'):
            raise section.wrong('stop', 'is false; the only value is true')
        return Stop()
    if 'scale' in given:
        return Scale(section.number('scale', 0.1, 10.0))
    if 'resume' in given:
        return Resume(section.text('resume'))
    velocity = Velocity(
        _speed(section, 'linear_x', limits.linear), _speed(section, 'angular_z', limits.angular)
    )
    if velocity == Velocity():
        raise section.wrong('', 'drives at 0; give a velocity, or stop: true')
    if not section.has('lifetime'):
        return Drive(velocity)
    return Drive(velocity, section.number('lifetime', 0.1, command_lifetime))


def _speed(section: Section, name: str, limits: AxisLimits) -> float:
    """Return a velocity within its limits, 0 where it is left out."""
    if not section.has(name):
        return 0.0
    return section.number(name, limits.min_velocity, limits.max_velocity)


def _axis_limits(limits: Section, axis: str) -> AxisLimits:
    """Return the limits of an axis, which check each other."""
    names = tuple(field.name for field in dataclasses.fields(AxisLimits))
    section = limits.section(axis, names)
    values = {name: section.number(name) for name in names}
    try:
        return AxisLimits(**values)
    except KwsImuError as error:
        raise section.refused(error) from error
