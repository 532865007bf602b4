"""The table that says what each intent does to the robot, read from config/motion.yaml."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from kws_imu_ros.configuration.yaml_problems import YAML_PROBLEMS
from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.motion.limits import AxisLimits, VelocityLimits
from kws_imu_ros.motion.velocity import Velocity

SCHEMA_VERSION = 1

# Longer, and a robot that lost its person would drive on through the next room.
LONGEST_LIFETIME = 30.0


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
class MotionTable:
    """
    Everything that config/motion.yaml says.

    intents: intent name to profile name.
    profiles: profile name to profile.
    limits: velocity and acceleration limits.
    minimum_scale, maximum_scale: range of the speed factor that Scale profiles change.
    command_lifetime: s after which a command has lost its effect.
    fusion_timeout: s without a sign of life of fusion before the robot is stopped.
    max_clock_skew: s that a command may come from the future before it is refused.
    """

    intents: Mapping[str, str]
    profiles: Mapping[str, Profile]
    limits: VelocityLimits
    minimum_scale: float
    maximum_scale: float
    command_lifetime: float
    fusion_timeout: float
    max_clock_skew: float

    def profile(self, intent: str) -> Profile | None:
        """Return the profile of an intent, or None where the table does not know it."""
        name = self.intents.get(intent)
        return None if name is None else self.profiles[name]


def load_motion_table(path: Path) -> MotionTable:
    """
    Read and check a motion table.

    Raises:
        KwsImuError: the file is missing, not YAML, or an entry is missing, unknown or out of range.

    """
    try:
        text = path.read_text(encoding='utf-8')
    except (OSError, UnicodeDecodeError) as error:
        raise KwsImuError(f'The motion table {path} cannot be read: {error}.') from error
    return parse_motion_table(text, str(path))


def parse_motion_table(text: str, source: str = 'motion.yaml') -> MotionTable:
    """
    Check the text of a motion table; source names it in errors.

    Raises:
        KwsImuError: the text is not YAML, or an entry is missing, unknown or out of range.

    """
    try:
        document = yaml.load(text, Loader=_UniqueKeyLoader)
    except YAML_PROBLEMS as error:
        detail = ' '.join(str(error).split())
        raise KwsImuError(f'The motion table {source} is not readable YAML: {detail}.') from error
    try:
        return _read_table(document)
    except KwsImuError as error:
        raise KwsImuError(f'The motion table {source} is not usable: {error}') from error


class _UniqueKeyLoader(yaml.SafeLoader):
    """A loader that refuses a key given twice, where plain YAML would let the last one win."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, (str, int, float, bool)):
                if key in seen:
                    raise yaml.YAMLError(f'{key!r} is given twice{key_node.start_mark}')
                seen.add(key)
        return super().construct_mapping(node, deep)


def _read_table(document: Any) -> MotionTable:
    table = _section(
        document,
        'the file',
        required=('schema_version', 'intents', 'profiles', 'scale', 'limits', 'safety'),
    )
    if table['schema_version'] != SCHEMA_VERSION or isinstance(table['schema_version'], bool):
        raise KwsImuError(
            f'schema_version is {table["schema_version"]!r}; this release reads {SCHEMA_VERSION}.'
        )
    limits_section = _section(table['limits'], 'limits', required=('linear', 'angular'))
    limits = VelocityLimits(
        _axis_limits(limits_section['linear'], 'limits.linear'),
        _axis_limits(limits_section['angular'], 'limits.angular'),
    )
    scale = _section(table['scale'], 'scale', required=('minimum', 'maximum'))
    minimum_scale = _number(scale['minimum'], 'scale.minimum', 0.1, 1.0)
    maximum_scale = _number(scale['maximum'], 'scale.maximum', 1.0, 10.0)
    safety = _section(
        table['safety'], 'safety', required=('command_lifetime', 'fusion_timeout', 'max_clock_skew')
    )
    command_lifetime = _number(
        safety['command_lifetime'], 'safety.command_lifetime', 0.1, LONGEST_LIFETIME
    )
    profiles = {
        name: _profile(fields, f'profiles.{name}', limits, command_lifetime)
        for name, fields in _names(table['profiles'], 'profiles').items()
    }
    for name, profile in profiles.items():
        if isinstance(profile, Resume) and not isinstance(profiles.get(profile.otherwise), Drive):
            raise KwsImuError(
                f'profiles.{name}.resume is {profile.otherwise!r}; name a profile that drives.'
            )
    intents = _names(table['intents'], 'intents')
    for intent, name in intents.items():
        if not isinstance(name, str) or name not in profiles:
            raise KwsImuError(
                f'intents.{intent} is {name!r}; name one of the profiles {", ".join(profiles)}.'
            )
    if not any(isinstance(profiles[name], Stop) for name in intents.values()):
        raise KwsImuError('no intent leads to a profile with stop: true; a robot must have one.')
    return MotionTable(
        intents=MappingProxyType(intents),
        profiles=MappingProxyType(profiles),
        limits=limits,
        minimum_scale=minimum_scale,
        maximum_scale=maximum_scale,
        command_lifetime=command_lifetime,
        fusion_timeout=_number(safety['fusion_timeout'], 'safety.fusion_timeout', 0.05, 5.0),
        max_clock_skew=_number(safety['max_clock_skew'], 'safety.max_clock_skew', 0.0, 10.0),
    )


def _profile(value: Any, where: str, limits: VelocityLimits, command_lifetime: float) -> Profile:
    fields = _section(
        value,
        where,
        optional=('linear_x', 'angular_z', 'lifetime', 'resume', 'scale', 'stop'),
    )
    kinds = [kind for kind in ('resume', 'scale', 'stop') if kind in fields]
    drives = 'linear_x' in fields or 'angular_z' in fields
    if len(kinds) + drives != 1 or (kinds and 'lifetime' in fields):
        raise KwsImuError(
            f'{where} holds {", ".join(fields) or "nothing"}; give linear_x and/or angular_z '
            '(with lifetime if wanted), or one of resume, scale and stop.'
        )
    if 'stop' in fields:
        if fields['stop'] is not True:
            raise KwsImuError(f'{where}.stop is {fields["stop"]!r}; the only value is true.')
        return Stop()
    if 'scale' in fields:
        return Scale(_number(fields['scale'], f'{where}.scale', 0.1, 10.0))
    if 'resume' in fields:
        return Resume(str(fields['resume']))
    velocity = Velocity(
        _number(
            fields.get('linear_x', 0.0),
            f'{where}.linear_x',
            limits.linear.min_velocity,
            limits.linear.max_velocity,
        ),
        _number(
            fields.get('angular_z', 0.0),
            f'{where}.angular_z',
            limits.angular.min_velocity,
            limits.angular.max_velocity,
        ),
    )
    if velocity == Velocity():
        raise KwsImuError(f'{where} drives at 0; give a velocity, or stop: true.')
    lifetime = fields.get('lifetime')
    if lifetime is not None:
        lifetime = _number(lifetime, f'{where}.lifetime', 0.1, command_lifetime)
    return Drive(velocity, lifetime)


def _axis_limits(value: Any, where: str) -> AxisLimits:
    names = tuple(AxisLimits.__dataclass_fields__)
    fields = _section(value, where, required=names)
    try:
        return AxisLimits(
            **{name: _number(fields[name], name, -math.inf, math.inf) for name in names}
        )
    except KwsImuError as error:
        raise KwsImuError(f'{where}.{error}') from error


def _section(
    value: Any, where: str, required: tuple[str, ...] = (), optional: tuple[str, ...] = ()
) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise KwsImuError(f'{where} is {value!r}; give a table of names and values.')
    for name in required:
        if name not in value:
            raise KwsImuError(f'{where} lacks {name}; add it.')
    for name in value:
        if name not in required + optional:
            raise KwsImuError(
                f'{where} has the unknown entry {name!r}; '
                f'known are {", ".join(required + optional)}.'
            )
    return value


def _names(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict) or not value:
        raise KwsImuError(f'{where} is {value!r}; give a table of names and values.')
    for name in value:
        if not isinstance(name, str) or not name:
            raise KwsImuError(
                f"{where} has the name {name!r}; give a word, in quotes where it is 'yes' or 'no'."
            )
    return value


def _number(value: Any, where: str, minimum: float, maximum: float) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise KwsImuError(f'{where} is {value!r}; give a finite number.')
    if not minimum <= value <= maximum:
        raise KwsImuError(f'{where} is {value}; give {minimum:g} to {maximum:g}.')
    return float(value)
