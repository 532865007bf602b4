"""Bags of senses that do not stamp, are worn otherwise, or are two: what is decided and told."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from kws_imu_ros.audio.block import AudioBlock
from kws_imu_ros.bags.reading import SensorMessage, read_sensors
from kws_imu_ros.imu.sample import ImuSample
from kws_imu_ros.replay.offline import load_controller, load_pipeline, replay_messages

DEMO = Path(__file__).resolve().parents[2] / 'demo' / 'bag'
SECOND_NS = 1_000_000_000
# A swipe to the right without a word, and two words without a swipe, in s of the demo.
SWIPE, WORDS = (30.4, 34.2), (4.2, 9.2)


@pytest.fixture(scope='module')
def demo() -> list[SensorMessage]:
    return list(read_sensors(DEMO))


def stretch(messages: list[SensorMessage], span: tuple[float, float]) -> list[SensorMessage]:
    start_ns = messages[0].stamp_ns
    return [m for m in messages if span[0] <= (m.stamp_ns - start_ns) / SECOND_NS < span[1]]


def changed(
    messages: list[SensorMessage], change: Callable[[ImuSample], ImuSample]
) -> list[SensorMessage]:
    return [
        replace(m, content=change(m.content)) if isinstance(m.content, ImuSample) else m
        for m in messages
    ]


def summary(messages: list[SensorMessage], bundle: Path) -> tuple[dict, str]:
    """Return the commands, and all that was told."""
    ordered = sorted(messages, key=lambda message: message.stamp_ns)
    events = [
        json.loads(event.to_json())
        for event in replay_messages(ordered, load_pipeline(str(bundle)), load_controller())
    ]
    problems = [problem for event in events for problem in event.get('problems', ())]
    return events[-1]['commands'], ' '.join(dict.fromkeys(problems))


STAMPS = {
    'zero': lambda ns: 0,
    'whole seconds': lambda ns: ns // SECOND_NS * SECOND_NS,
    'microseconds': lambda ns: ns // SECOND_NS * SECOND_NS + ns % SECOND_NS // 1000,
}


@pytest.mark.parametrize('stamp', STAMPS.values(), ids=STAMPS)
def test_a_swipe_without_stamps_is_seen_by_its_arrival(demo, bundle_directory, stamp) -> None:
    messages = changed(stretch(demo, SWIPE), lambda s: replace(s, stamp_ns=stamp(s.stamp_ns)))
    commands, told = summary(messages, bundle_directory)
    assert commands == {'right': 1}
    assert 'driver does not stamp' in told
    assert 'one driver' not in told and 'clock' not in told


def test_a_sensor_worn_otherwise_is_told(demo, bundle_directory) -> None:
    def turned_over(s: ImuSample) -> ImuSample:
        (ax, ay, az), (gx, gy, gz) = s.linear_acceleration, s.angular_velocity
        return ImuSample(s.stamp_ns, (ax, -ay, -az), (gx, -gy, -gz))

    _, told = summary(changed(stretch(demo, SWIPE), turned_over), bundle_directory)
    assert 'upside down' in told


@pytest.mark.parametrize('apart_ns', [4_000_000, -6_000_000, 3600 * SECOND_NS])
def test_of_two_sensors_neither_is_acted_upon(demo, bundle_directory, apart_ns: int) -> None:
    swipe = stretch(demo, SWIPE)
    start_ns = swipe[0].stamp_ns - demo[0].stamp_ns
    # The other kit lies on a table, turned.
    other = [
        SensorMessage(
            m.stamp_ns + start_ns + 4_000_000,
            ImuSample(
                m.content.stamp_ns + start_ns + apart_ns,
                m.content.linear_acceleration[::-1],
                m.content.angular_velocity[::-1],
            ),
        )
        for m in stretch(demo, (0.0, 3.8))
        if isinstance(m.content, ImuSample)
    ]
    commands, told = summary(swipe + other, bundle_directory)
    assert commands == {}
    assert 'More than one sensor sends on imu/data_raw' in told
    assert 'clock' not in told and 'cable' not in told


@pytest.mark.parametrize('sequence', [0, 700])
def test_of_two_microphones_neither_is_understood(demo, bundle_directory, sequence: int) -> None:
    words = stretch(demo, WORDS)
    shift_ns = 6_000_000 - (stretch(demo, (9.0, 14.0))[0].stamp_ns - words[0].stamp_ns)
    blocks = [m for m in stretch(demo, (9.0, 14.0)) if isinstance(m.content, AudioBlock)]
    first = next(m.content.sequence for m in words if isinstance(m.content, AudioBlock))
    other = [
        SensorMessage(
            m.stamp_ns + shift_ns,
            replace(
                m.content, stamp_ns=m.content.stamp_ns + shift_ns, sequence=first + sequence + i
            ),
        )
        for i, m in enumerate(blocks)
    ]
    assert summary(words, bundle_directory)[0] == {'left': 1, 'up': 1}
    commands, told = summary(words + other, bundle_directory)
    assert commands == {}
    assert 'More than one microphone sends on audio' in told
