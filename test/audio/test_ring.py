"""The ring of samples against a plain list that does the same."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kws_imu_ros.audio.ring import SampleRing
from kws_imu_ros.errors import KwsImuError

OPERATIONS = st.lists(st.tuples(st.sampled_from(['push', 'pop']), st.integers(0, 25)), max_size=60)


@given(capacity=st.integers(1, 20), operations=OPERATIONS)
def test_behaves_as_a_list_that_forgets_its_oldest(capacity, operations):
    ring = SampleRing(capacity)
    model: list[int] = []
    pushed = taken = lost = 0
    for operation, count in operations:
        if operation == 'push':
            samples = np.arange(pushed, pushed + count, dtype=np.int16)
            pushed += count
            model.extend(samples.tolist())
            excess = max(0, len(model) - capacity)
            del model[:excess]
            lost += excess
            assert ring.push(samples) == excess
        else:
            expected = None if count > len(model) else model[:count]
            popped = ring.pop(count)
            if expected is None:
                assert popped is None
            else:
                assert popped.dtype == np.int16
                assert popped.tolist() == expected
                taken += count
                del model[:count]
        assert len(ring) == len(model)
        # Samples carry their own number, so this is the time of the next one.
        assert ring.first_index == taken + lost
        if model:
            assert model[0] == ring.first_index


def test_popped_samples_are_not_overwritten():
    ring = SampleRing(4)
    ring.push(np.array([1, 2, 3, 4], np.int16))
    popped = ring.pop(4)
    ring.push(np.array([5, 6, 7, 8], np.int16))
    assert popped.tolist() == [1, 2, 3, 4]


def test_clear_starts_over():
    ring = SampleRing(4)
    ring.push(np.array([1, 2, 3], np.int16))
    ring.clear()
    assert len(ring) == 0
    assert ring.first_index == 0
    assert ring.pop(1) is None


def test_a_ring_for_nothing_is_refused():
    with pytest.raises(KwsImuError, match='at least 1'):
        SampleRing(0)
