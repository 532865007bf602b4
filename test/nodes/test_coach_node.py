"""The coach node: findings at the ends of moves, a card at the end, none of a broken dance."""

from __future__ import annotations

import dataclasses

import pytest
import teachers
import wrist

pytest.importorskip('rclpy', reason='ROS 2 is not installed')
pytest.importorskip('dtaidistance')

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.parameter import Parameter
from std_msgs.msg import UInt32

from kws_imu_ros.coach.score_card import read_card
from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.messages.imu import imu_sample_to_message
from kws_imu_ros.nodes.coach_node import CoachNode


@pytest.fixture
def make(ros_context, probe):
    nodes = []

    def made(**parameters) -> CoachNode:
        node = CoachNode(
            context=ros_context,
            parameter_overrides=[Parameter(key, value=value) for key, value in parameters.items()],
        )
        nodes.append(node)
        probe.add_node(node)
        return node

    yield made
    for node in nodes:
        probe.executor.remove_node(node)
        node.destroy_node()


def perform(node: CoachNode, moves, beats: int = 5) -> None:
    """Dance with all samples at once, those of the future as well; only ends are waited for."""
    motion = wrist.dance(moves, teachers.LENGTH_S, seed=7)
    first_ns = node.get_clock().now().nanoseconds
    node._on_beat(UInt32(data=0))
    node._on_beat(UInt32(data=1))
    for sample in wrist.samples(motion):
        stamp_ns = sample.stamp_ns - round(teachers.FIRST_S * 1e9) + first_ns
        node._on_imu(imu_sample_to_message(dataclasses.replace(sample, stamp_ns=stamp_ns)))
    for beat in range(2, beats + 1):
        node._on_beat(UInt32(data=beat))


def test_each_move_gets_a_finding_and_the_dance_a_card(make, probe, tmp_path):
    path, _ = teachers.save_reference(tmp_path)
    cards = tmp_path / 'cards'
    node = make(choreography=str(path), cards=str(cards))
    findings = probe.record(DiagnosticStatus, 'finding')
    assert probe.spin_until(lambda: node.count_subscribers('/finding') > 0)
    late = (teachers.PERFECT[0], ('up', teachers.FIRST_S + 2.3, 0.9))
    perform(node, late)
    assert probe.spin_until(lambda: len(findings) == 2 and not node._watching)
    first, second = ({pair.key: pair.value for pair in item.values} for item in findings)
    assert (first['move'], first['kind']) == ('1', 'right')
    assert (second['move'], second['kind']) == ('2', 'late')
    assert float(second['offset (ms)']) == pytest.approx(300.0, abs=100.0)
    assert findings[0].level == DiagnosticStatus.OK
    assert findings[1].level == DiagnosticStatus.WARN
    assert findings[1].message.startswith('Up: begin sooner')
    assert 'Up: begin sooner' in node._report(1.0).summary
    (card,) = cards.glob('*.json')
    assert [move.number for move in read_card(card).moves] == [1, 2]
    assert card.with_suffix('.html').read_text().startswith('<!')
    # The next coach knows the last try.
    last = make(choreography=str(path), cards=str(cards))._last
    assert last is not None
    assert last.moves == read_card(card).moves


def test_a_dance_that_somebody_ended_is_not_judged(make, probe, tmp_path):
    path, _ = teachers.save_reference(tmp_path)
    node = make(choreography=str(path))
    findings = probe.record(DiagnosticStatus, 'finding')
    perform(node, teachers.PERFECT, beats=1)
    assert probe.spin_until(lambda: not node._watching)
    assert 'was ended' in node._latest
    assert len(findings) <= 1


def test_what_arrives_broken_or_not_at_all_ends_nothing(make, probe, tmp_path):
    path, _ = teachers.save_reference(tmp_path)
    node = make(choreography=str(path))
    findings = probe.record(DiagnosticStatus, 'finding')
    assert probe.spin_until(lambda: node.count_subscribers('/finding') > 0)
    for beat in range(6):
        node._on_beat(UInt32(data=beat))
    assert any('No imu/data_raw comes' in text for text in node._report(1.0).warnings)
    assert probe.spin_until(lambda: len(findings) == 2)
    assert {pair.value for item in findings for pair in item.values if pair.key == 'kind'} == {
        'not seen'
    }


def test_without_a_dance_or_a_teacher_there_is_nothing_to_watch(ros_context, tmp_path):
    with pytest.raises(KwsImuError, match='No dance was named'):
        CoachNode(context=ros_context)
    path, folder = teachers.save_reference(tmp_path)
    other = folder.rename(tmp_path / 'elsewhere')
    given = [Parameter('choreography', value=str(path))]
    with pytest.raises(KwsImuError, match='kws-imu dance record'):
        CoachNode(context=ros_context, parameter_overrides=given)
    given.append(Parameter('reference', value=str(other)))
    CoachNode(context=ros_context, parameter_overrides=given).destroy_node()
