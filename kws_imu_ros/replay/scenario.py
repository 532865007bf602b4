"""
What should happen when a bag is played, and the verdict on what did.

A scenario is a YAML file beside its bag (documented in demo/scenario.yaml). Judging needs nothing
but the commands that fell and the speeds that were driven, so the live graph and the offline replay
are held to the same words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kws_imu_ros.configuration.names import suggestion
from kws_imu_ros.configuration.section import Section, load_yaml
from kws_imu_ros.decision.decision import Rule

NOTHING = 'nothing'
# Of a bag, s: an hour.
LONGEST_S = 3600.0
# `say`, `show` and `noise` are for the program that makes the bag of a scenario.
EVENT_OPTIONS = ('before', 'by', 'still_within_s', 'say', 'show', 'noise')


@dataclass(frozen=True)
class ScenarioEvent:
    """
    Something that a person does, and what must come of it.

    name: what people read. start_s, end_s: the window of time, seconds from the start of the bag,
    in which its commands fall. expect: the intent that must be the last command in the window, ''
    where there must be none. before: intents that may precede it (the voiced direction that a
    gesture corrects). by: the rules one of which must be behind the last command, empty where any
    will do. still_within_s: the robot stands this long after the command, None where this is not
    asked.
    """

    name: str
    start_s: float
    end_s: float
    expect: str
    before: tuple[str, ...] = ()
    by: tuple[str, ...] = ()
    still_within_s: float | None = None


@dataclass(frozen=True)
class Scenario:
    """What a bag plays. duration_s: length of the bag in seconds. events: in order of time."""

    title: str
    duration_s: float
    events: tuple[ScenarioEvent, ...]


@dataclass(frozen=True)
class Command:
    """
    A command as it fell.

    time_s: of the sound or movement that decided it, seconds from the start of the bag. intent,
    rule: what, and by which rule of the policy. arrival_s: when it was published, None where that
    is the same; later than time_s by what the machine took to hear and think.
    """

    time_s: float
    intent: str
    rule: str = ''
    arrival_s: float | None = None


@dataclass(frozen=True)
class Motion:
    """The velocity that was commanded at a time: seconds from the bag's start, m/s, rad/s."""

    time_s: float
    linear_x: float
    angular_z: float


@dataclass(frozen=True)
class Verdict:
    """An event with the commands that fell in its window, and whether that was right."""

    event: ScenarioEvent
    commands: tuple[Command, ...]
    passed: bool
    why: str


@dataclass(frozen=True)
class Judgement:
    """The verdicts in order of time, and the commands that fell in no event's window."""

    verdicts: tuple[Verdict, ...]
    stray: tuple[Command, ...]

    @property
    def passed(self) -> bool:
        """Return whether what happened is what was expected, and nothing else."""
        return not self.stray and all(verdict.passed for verdict in self.verdicts)


def load_scenario(path: Path | str) -> Scenario:
    """
    Read a scenario file.

    Raises:
        KwsImuError: the file is missing, is not YAML, or an entry is missing, unknown or wrong.

    """
    # `background` is for the program that makes the bag of a scenario.
    top = load_yaml(path, 'scenario').holding(('title', 'duration_s', 'events'), ('background',))
    duration_s = top.number('duration_s', 0.0, LONGEST_S)
    sections = top.sections('events', ('name', 'window_s', 'expect'), EVENT_OPTIONS)
    events = tuple(_event(section) for section in sections)
    end_s = 0.0
    for event, section in zip(events, sections):
        if not end_s <= event.start_s < event.end_s <= duration_s:
            raise section.wrong(
                'window_s',
                f'of "{event.name}" is {event.start_s:g} to {event.end_s:g} s; windows lie one '
                'after the other within the bag, so move it',
            )
        end_s = event.end_s
    return Scenario(top.text('title'), duration_s, events)


def _event(section: Section) -> ScenarioEvent:
    start_s, end_s = section.numbers('window_s', 2, 0.0, LONGEST_S)
    expect = section.word('expect')
    return ScenarioEvent(
        name=section.text('name'),
        start_s=start_s,
        end_s=end_s,
        expect='' if expect == NOTHING else expect,
        before=section.words('before') if section.has('before') else (),
        by=_rules(section) if section.has('by') else (),
        still_within_s=(
            section.number('still_within_s', 0.0, LONGEST_S)
            if section.has('still_within_s')
            else None
        ),
    )


def _rules(section: Section) -> tuple[str, ...]:
    """Return the rules one of which must be behind a command; raise KwsImuError for an unknown."""
    known = [rule.value for rule in Rule]
    rules = section.words('by')
    for rule in rules:
        if rule not in known:
            raise section.wrong('by', f"names the rule '{rule}'{suggestion(rule, known)}")
    return rules


def judge(
    scenario: Scenario, commands: Sequence[Command], motions: Sequence[Motion] = ()
) -> Judgement:
    """
    Hold what happened against what was expected.

    commands, motions: in order of time. Motions are needed only for events that ask for standing.
    """
    verdicts = []
    claimed: set[int] = set()
    for event in scenario.events:
        fallen = [
            index
            for index, command in enumerate(commands)
            if event.start_s <= command.time_s < event.end_s
        ]
        claimed.update(fallen)
        inside = tuple(commands[index] for index in fallen)
        why = _complaint(event, inside) or _unrest(event, inside, motions)
        verdicts.append(Verdict(event, inside, not why, why or 'as expected'))
    stray = tuple(item for index, item in enumerate(commands) if index not in claimed)
    return Judgement(tuple(verdicts), stray)


def _complaint(event: ScenarioEvent, commands: Sequence[Command]) -> str:
    """Return what is wrong with the commands of an event, '' if nothing."""
    intents = [command.intent for command in commands]
    if not event.expect:
        return f'expected no command, got {", ".join(intents)}' if intents else ''
    if not intents:
        return f'expected {event.expect}, nothing happened'
    if intents[-1] != event.expect:
        return f'expected {event.expect}, ended with {intents[-1]}'
    extra = [intent for intent in intents[:-1] if intent not in event.before]
    if extra:
        return f'{", ".join(extra)} before {event.expect}'
    rule = commands[-1].rule
    if event.by and rule not in event.by:
        return f'{event.expect} by the rule {rule or "(none)"}, not by {" or ".join(event.by)}'
    return ''


def _unrest(event: ScenarioEvent, commands: Sequence[Command], motions: Sequence[Motion]) -> str:
    """Return how the robot failed to stand after an event, '' if it stood or need not."""
    if event.still_within_s is None:
        return ''
    # Velocities carry the time of their arrival, so the command's is what they are held against.
    last = commands[-1]
    came_s = last.time_s if last.arrival_s is None else last.arrival_s
    deadline = came_s + event.still_within_s
    before = [motion for motion in motions if motion.time_s <= deadline]
    if not before:
        return 'no velocity was seen, so nobody knows whether the robot stood'
    after = [motion for motion in motions if deadline < motion.time_s < event.end_s]
    for motion in (before[-1], *after):
        if motion.linear_x != 0.0 or motion.angular_z != 0.0:
            return (
                f'still moved at {motion.time_s - came_s:.2f} s after the command '
                f'({motion.linear_x:.2f} m/s, {motion.angular_z:.2f} rad/s)'
            )
    return ''
