"""A bag that is not all it should be is replayed for what it holds, and what is wrong is told."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kws_imu_ros.bags.reading import AUDIO_TYPE, RawMessage, read_raw, typestore
from kws_imu_ros.bags.writing import BagWriter
from kws_imu_ros.messages.audio import audio_block_from_message, audio_block_to_message
from kws_imu_ros.messages.factory import BagMessages
from kws_imu_ros.replay.offline import (
    ReplayEvent,
    load_controller,
    load_pipeline,
    replay_offline,
)

DEMO = Path(__file__).resolve().parents[2] / 'demo' / 'bag'
SECOND_NS = 1_000_000_000
# Where "left" and then "up" are said, in seconds.
FIRST_S, LAST_S = 4.2, 9.2


@pytest.fixture(scope='module')
def words() -> list[RawMessage]:
    """Return the messages of five seconds of the demo with two words."""
    found = list(read_raw(DEMO, ['audio', 'imu/data_raw']))
    start_ns = found[0].stamp_ns
    return [raw for raw in found if FIRST_S <= (raw.stamp_ns - start_ns) / SECOND_NS < LAST_S]


def changed(raw: RawMessage, change: Callable[[Any], Any]) -> RawMessage:
    message = typestore().deserialize_cdr(raw.data, raw.type)
    message = change(message) or message
    return replace(raw, data=bytes(typestore().serialize_cdr(message, raw.type)))


@pytest.fixture
def replay(tmp_path: Path, bundle_directory: Path):
    def play(messages: Iterator[RawMessage] | list[RawMessage]) -> tuple[list[str], list[str]]:
        """Return the commands that fell, and the problems that were told at the end."""
        with BagWriter(tmp_path / 'bag') as writer:
            for raw in messages:
                writer.add_topic(raw.topic, raw.type)
                writer.write(raw.topic, raw.stamp_ns, raw.data)
        pipeline = load_pipeline(str(bundle_directory))
        told = list(replay_offline(tmp_path / 'bag', pipeline, load_controller()))
        commands = [event.fields['intent'] for event in told if event.kind == 'command']
        return commands, told[-1].fields['problems']

    return play


def negative_stamp(message: Any) -> None:
    message.header.stamp.sec = -5


def no_rotation(message: Any) -> None:
    message.angular_velocity_covariance = np.full(9, -1.0)


def other_rate(message: Any) -> Any:
    block = audio_block_from_message(message)
    return audio_block_to_message(replace(block, sample_rate=44100), BagMessages(typestore()))


def no_layout(message: Any) -> None:
    message.layout.dim.clear()


@pytest.mark.parametrize(
    ('change', 'topic', 'word'),
    [
        (negative_stamp, '/imu/data_raw', 'stamp'),
        (no_rotation, '/imu/data_raw', 'angular_velocity'),
        (other_rate, '/audio', '44100'),
        (no_layout, '/audio', 'dimensions'),
    ],
)
def test_one_bad_message_costs_itself(words, replay, change, topic: str, word: str):
    number = [i for i, raw in enumerate(words) if raw.topic == topic][
        200 if 'imu' in topic else 110
    ]
    messages = [changed(raw, change) if i == number else raw for i, raw in enumerate(words)]
    commands, problems = replay(messages)
    assert commands == ['left', 'up']
    (problem,) = problems  # Nobody blames the machine for what was left out.
    assert problem.startswith(f'1 message on {topic} could not be used')
    assert word in problem


def test_an_imu_without_rotation_leaves_the_voice(words, replay):
    messages = [changed(raw, no_rotation) if raw.topic == '/imu/data_raw' else raw for raw in words]
    commands, problems = replay(messages)
    assert commands == ['left', 'up']
    (problem,) = problems
    assert re.match(r'\d+ messages on /imu/data_raw .* no angular_velocity', problem)


def test_audio_of_another_type_leaves_the_imu(words, replay):
    text = typestore().types['std_msgs/msg/String'](data='left')
    data = bytes(typestore().serialize_cdr(text, 'std_msgs/msg/String'))
    commands, problems = replay(
        replace(raw, type='std_msgs/msg/String', data=data) if raw.type == AUDIO_TYPE else raw
        for raw in words
    )
    assert commands == []
    (problem,) = problems
    assert 'Topic /audio' in problem
    assert 'the IMU alone is replayed' in problem


def test_a_sense_that_ends_a_second_before_the_bag_has_not_stopped(words, replay):
    end_ns = words[-1].stamp_ns - SECOND_NS
    commands, problems = replay(
        raw for raw in words if raw.topic != '/imu/data_raw' or raw.stamp_ns < end_ns
    )
    assert commands == ['left', 'up']
    assert problems == []


def test_a_sense_that_stops_in_the_middle_has(words, replay):
    end_ns = words[-1].stamp_ns - 3 * SECOND_NS
    _, problems = replay(
        raw for raw in words if raw.topic != '/imu/data_raw' or raw.stamp_ns < end_ns
    )
    assert any('IMU has stopped' in problem for problem in problems)


@pytest.mark.parametrize('recorder_too', [False, True])
def test_a_clock_that_was_set_between_the_words_changes_nothing_and_is_told(
    words, replay, recorder_too: bool
):
    def set_back(message: Any) -> Any:
        if hasattr(message, 'header'):
            message.header.stamp.sec -= 9
            return None
        block = audio_block_from_message(message)
        earlier = replace(block, stamp_ns=block.stamp_ns - 9 * SECOND_NS)
        return audio_block_to_message(earlier, BagMessages(typestore()))

    middle_ns = words[0].stamp_ns + 22 * SECOND_NS // 10
    messages = [changed(raw, set_back) if raw.stamp_ns > middle_ns else raw for raw in words]
    if recorder_too:
        messages = [
            replace(raw, stamp_ns=raw.stamp_ns - 9 * SECOND_NS) if raw.stamp_ns > middle_ns else raw
            for raw in messages
        ]
    commands, problems = replay(messages)
    assert commands == ['left', 'up']
    told = [problem for problem in problems if 'was set by -9.0 s at 2.2' in problem]
    assert len(told) == 2, problems


def test_people_read_a_summary_without_python_in_it():
    fields = {'decisions': {'accept': 2}, 'problems': ['One.', 'Two.'], 'commands': {}, 'hops': 3}
    assert ReplayEvent(0, 'summary', fields).to_line() == (
        'decisions: accept 2\nproblems:\n  One.\n  Two.\ncommands: none\nhops: 3'
    )
