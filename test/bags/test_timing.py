"""Times of a bag go on where a clock was set, and single stray stamps change nothing."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from kws_imu_ros.bags.timing import ClockJump, ContinuingClock, StampMapper

SECOND_NS = 1_000_000_000
STEP_NS = 20_000_000


def test_stamps_move_together_and_a_foreign_clock_moves_to_where_it_was_recorded():
    stamps = StampMapper(offset_ns=100 * SECOND_NS)
    assert stamps.map('audio', 50, 40) == 100 * SECOND_NS + 40
    assert stamps.map('audio', 70, 60) == 100 * SECOND_NS + 60
    # A board that counts from its power-up: first message at its time of recording, then spacing.
    recorded = 1000 * SECOND_NS
    assert stamps.map('imu', recorded, 7) == recorded + 100 * SECOND_NS
    assert stamps.map('imu', recorded + 999, 17) == recorded + 100 * SECOND_NS + 10
    assert stamps.jumps == {}


def test_stamps_of_a_clock_that_was_set_go_on_and_the_jump_is_known():
    stamps = StampMapper()
    mapped = []
    for i in range(100):
        recorded_ns = 1000 * SECOND_NS + i * STEP_NS
        own_ns = recorded_ns - (3600 * SECOND_NS if i >= 50 else 0)
        mapped.append(stamps.map('audio', recorded_ns, own_ns))
    # One message is taken for a stray one.
    steps = [b - a for a, b in itertools.pairwise(mapped[:50] + mapped[51:])]
    assert max(steps) == 2 * STEP_NS
    assert min(steps) == STEP_NS
    assert stamps.jumps == {
        'audio': [ClockJump(1000 * SECOND_NS + 51 * STEP_NS, -3600 * SECOND_NS)]
    }


def test_a_stray_stamp_is_no_jump():
    stamps = StampMapper()
    for i in range(20):
        recorded_ns = 1000 * SECOND_NS + i * STEP_NS
        stamps.map('imu', recorded_ns, -5 if i in (7, 9) else recorded_ns)
    assert stamps.jumps == {}


def test_a_clock_that_stands_still_is_not_one_that_was_set():
    stamps = StampMapper()
    mapped = {stamps.map('imu', 1000 * SECOND_NS + i * STEP_NS, 0) for i in range(2000)}
    assert mapped == {1000 * SECOND_NS}
    assert stamps.jumps == {}


@given(
    start=st.integers(0, 1 << 60),
    steps=st.lists(st.integers(-999_999_999, 60 * SECOND_NS), max_size=50),
)
def test_times_that_run_forward_stay_as_they_are(start: int, steps: list[int]):
    clock = ContinuingClock()
    newest = stamp = start
    for step in steps:
        stamp = newest + step
        newest = max(newest, stamp)
        assert clock.push('audio', stamp) == stamp
    assert clock.jumps == []


@given(back=st.integers(1_100_000_000, 10**15), before=st.integers(1, 200))
def test_times_go_on_where_the_clock_was_set_back(back: int, before: int):
    clock = ContinuingClock()
    true = [10**16 + i * STEP_NS for i in range(before + 200)]
    given_ns = [
        clock.push('audio' if i % 2 else 'imu', time - (back if i >= before else 0))
        for i, time in enumerate(true)
    ]
    if before < 2:
        return  # A topic that has said nothing yet tells nothing of the clock.
    assert len(clock.jumps) == 1
    assert true[-1] - true[0] - (given_ns[-1] - given_ns[0]) <= STEP_NS
    assert given_ns == sorted(given_ns)


def test_topics_written_one_after_the_other_are_no_jump():
    clock = ContinuingClock()
    for topic in ('audio', 'imu'):
        for i in range(500):
            assert clock.push(topic, i * STEP_NS) == i * STEP_NS
    assert clock.jumps == []
