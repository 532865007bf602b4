"""What the teacher danced is kept whole, found again, and deleted without a rest."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from wrist import dance, samples

from kws_imu_ros.bags.reading import typestore
from kws_imu_ros.bags.writing import BagWriter
from kws_imu_ros.choreography.choreography import Choreography, Move
from kws_imu_ros.coach import reference
from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.messages.factory import BagMessages
from kws_imu_ros.messages.imu import imu_sample_to_message

DANCE = Choreography(
    "Teacher's", 60.0, 4, (Move(1.0, 3.0, arm='left'), Move(4.0, 3.0, reference='up'))
)
FIRST_NS = 2_000_000_000
MOTION = samples(dance([('left', 2.0, 0.9), ('up', 5.0, 0.9)], 9.0))
SPANS = reference.cut_spans(DANCE, FIRST_NS)


def test_takes_are_kept_and_deleted_with_all_their_files(tmp_path):
    folder = tmp_path / 'dance.reference'
    for _ in range(2):
        reference.add_take(folder, DANCE.name, MOTION, SPANS)
    index = reference.read_index(folder)
    assert index.choreography == DANCE.name
    assert [take.spans for take in index.takes] == [SPANS, SPANS]
    teacher = reference.load_teacher(folder)
    assert set(teacher.names) == {'left', 'up'}
    assert abs(teacher.lead_ns('left')) < 120e6
    (folder / 'mine.txt').write_text('a note', encoding='utf-8')
    assert reference.delete_reference(folder) == 2
    assert [path.name for path in folder.iterdir()] == ['mine.txt']
    with pytest.raises(KwsImuError, match='holds no reference'):
        reference.delete_reference(folder)
    assert (folder / 'mine.txt').exists()


def test_a_recording_of_another_length_is_refused_and_leaves_nothing(tmp_path):
    with pytest.raises(KwsImuError, match=r'gap of .* in move 2 \("up"\)'):
        reference.add_take(tmp_path / 'r', DANCE.name, MOTION[:600], SPANS)
    assert not (tmp_path / 'r').exists()


def test_a_take_that_was_interrupted_is_written_over(tmp_path):
    (tmp_path / 'take_1').mkdir()
    (tmp_path / 'take_1' / 'half.mcap').write_bytes(b'torn')
    assert reference.add_take(tmp_path, DANCE.name, MOTION, SPANS).bag == 'take_1'
    assert reference.load_teacher(tmp_path).knows('up')


def test_a_reference_without_motion_is_said(tmp_path):
    still = samples(dance([], 9.0))
    reference.add_take(tmp_path, DANCE.name, still, SPANS)
    with pytest.raises(KwsImuError, match='the wrist rested'):
        reference.load_teacher(tmp_path)


@pytest.mark.parametrize(
    ('line', 'problem'),
    [
        ('schema: 2', 'schema'),
        ('takes: [{bag: ../../home, moves: []}]', 'bag'),
        ('takes: [{bag: take_1, moves: [{name: a, start_ns: 5, end_ns: 5}]}]', 'end_ns'),
        ('takes: [{bag: take_1, moves: [{name: a, start_ns: -1, end_ns: 5}]}]', 'start_ns'),
        ('takes: {}', 'takes'),
        ('teacher: me', 'teacher'),
    ],
)
def test_an_index_that_is_wrong_is_told_with_its_line(tmp_path, line, problem):
    entries = {'schema': '1', 'choreography': 'x', 'takes': '[]'}
    name, value = line.split(': ', 1)
    entries[name] = value
    text = ''.join(f'{key}: {entry}\n' for key, entry in entries.items())
    (tmp_path / reference.INDEX).write_text(text, encoding='utf-8')
    with pytest.raises(KwsImuError, match=problem):
        reference.read_index(tmp_path)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    text=st.text(max_size=200)
    | st.recursive(
        st.none() | st.integers() | st.floats() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ('schema', 'choreography', 'takes', 'bag', 'moves', 'name', 'start_ns', 'x')
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    ).map(repr)
)
def test_any_index_is_read_or_refused_in_a_sentence(tmp_path, text):
    (tmp_path / reference.INDEX).write_bytes(text.encode('utf-8', 'surrogatepass'))
    try:
        reference.read_index(tmp_path)
    except KwsImuError as error:
        assert str(error)


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    name=st.text(min_size=1, max_size=30).filter(lambda text: text.strip() and text.isprintable()),
    start=st.integers(0, 1 << 60),
)
def test_an_index_that_is_written_is_read_again(tmp_path, name, start):
    span = reference.Span(name, start, start + 1)
    index = reference.ReferenceIndex(name, (reference.TakeEntry('take_1', (span,)),))
    reference.write_index(tmp_path, index)
    assert reference.read_index(tmp_path) == index


def test_the_first_beat_is_found_in_a_bag_or_asked_for(tmp_path):
    messages = BagMessages(typestore())
    path = tmp_path / 'bag'
    with BagWriter(path) as writer:
        for sample in MOTION:
            message = imu_sample_to_message(sample, messages=messages)
            writer.write_message('imu/data_raw', sample.stamp_ns, message)
            # A bar of counting in ended with the dance's first beat; the second was a false start.
            if sample.stamp_ns in (1_000_000_000, FIRST_NS, 3_000_000_000):
                beat = 2 if sample.stamp_ns > FIRST_NS else 1
                writer.write_message(
                    'beat', sample.stamp_ns, messages.make('std_msgs/msg/UInt32', data=beat)
                )
    found = reference.read_wrist(path)
    assert len(found) == len(MOTION)
    assert reference.first_beat_ns(path, found, None) == FIRST_NS
    assert reference.first_beat_ns(path, found, 1.5) == 1_500_000_000
    with pytest.raises(KwsImuError, match='outside of'):
        reference.first_beat_ns(path, found, 9.5)
    reference.add_take(tmp_path, DANCE.name, MOTION, SPANS)
    with pytest.raises(KwsImuError, match='give --first-beat'):
        reference.first_beat_ns(tmp_path / 'take_1', found, None)
