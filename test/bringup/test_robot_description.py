"""One description of a robot, from which every way to run it is made."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kws_imu_ros.bringup.robot_description import (
    Ending,
    RobotOptions,
    composed_command,
    describe_robot,
    parse_options,
)
from kws_imu_ros.errors import KwsImuError


def names(options: RobotOptions) -> list[str]:
    return [node.name for node in describe_robot(options).nodes]


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    path = tmp_path / 'talk.wav'
    path.touch()
    return path


def test_which_nodes_a_robot_has(sound, tmp_path):
    recording = tmp_path / 'swipe.csv'
    recording.touch()
    assert names(RobotOptions()) == ['fusion', 'command', 'simulated_robot', 'replay']
    assert names(RobotOptions(simulate=False)) == ['fusion', 'command', 'replay']
    assert names(RobotOptions(dances=True)) == [
        *('fusion', 'command', 'simulated_robot', 'choreographer', 'replay')
    ]
    assert names(RobotOptions(input='microphone'))[-2:] == ['imu', 'microphone']
    assert names(RobotOptions(input='microphone', imu='none'))[-1:] == ['microphone']
    assert names(RobotOptions(input=str(sound), imu=str(recording)))[-2:] == ['imu', 'microphone']


def test_senses_come_last_so_that_a_recording_is_heard_from_its_start():
    for options in (RobotOptions(), RobotOptions(input='microphone')):
        senses = [node.is_sense for node in describe_robot(options).nodes]
        assert senses == sorted(senses)
        assert all(node.listens_on for node in describe_robot(options).nodes if not node.is_sense)


def test_what_the_end_of_a_node_means(sound):
    def endings(options: RobotOptions) -> dict[str, Ending]:
        return {node.name: node.ending for node in describe_robot(options).nodes}

    assert endings(RobotOptions())['replay'] is Ending.ENDS_INPUT
    assert endings(RobotOptions(input=str(sound)))['microphone'] is Ending.ENDS_INPUT
    live = endings(RobotOptions(input='microphone'))
    assert live.pop('imu') is Ending.IS_DONE_WITHOUT
    assert set(live.values()) == {Ending.ENDS_ROBOT}


def test_options_become_parameters_and_what_is_not_given_does_not():
    options = RobotOptions(input='microphone', device='3', model='m', motion='x.yaml')
    overrides = {node.name: dict(node.overrides) for node in describe_robot(options).nodes}
    assert overrides['fusion'] == {'model': 'm'}
    assert overrides['command'] == {'motion_file': 'x.yaml'}
    assert overrides['microphone'] == {'device': '3'}
    assert overrides['simulated_robot'] == {}
    bag = describe_robot(RobotOptions(imu_topic='/wrist')).nodes[-1]
    assert bag.overrides['imu_topic'] == '/wrist'
    assert 'audio_topic' not in bag.overrides


def test_a_dance_that_is_to_be_composed_does_not_start_at_once():
    def choreographer(**options) -> dict:
        nodes = describe_robot(RobotOptions(dances=True, **options)).nodes
        return next(dict(node.overrides) for node in nodes if node.name == 'choreographer')

    assert choreographer() == {'start_at_once': False}
    assert choreographer(choreography='d.yaml', motion='m.yaml') == {
        'choreography': 'd.yaml',
        'motion_file': 'm.yaml',
        'start_at_once': True,
    }
    waits = choreographer(choreography='d.yaml', start_at_once=False, save_to='e.yaml')
    assert (waits['start_at_once'], waits['save_to']) == (False, 'e.yaml')


def test_a_namespace_makes_room_for_a_second_robot():
    for node in describe_robot(RobotOptions(namespace='desk_2')).nodes:
        assert node.command()[-2:] == ['-r', '__ns:=/desk_2']
    assert '__ns' not in ' '.join(describe_robot(RobotOptions()).nodes[0].command())


def test_simulated_time_comes_from_the_bag_unless_a_simulator_takes_part(sound):
    def overrides(**options) -> dict[str, dict]:
        robot = describe_robot(RobotOptions(**options))
        return {node.name: dict(node.overrides) for node in robot.nodes}

    for name, values in overrides(use_sim_time=True).items():
        assert values['use_sim_time'] is True
        assert values.get('publish_clock', False) is (name == 'replay')
    assert 'publish_clock' not in overrides(use_sim_time=True, simulate=False)['replay']
    assert 'publish_clock' not in overrides()['replay']
    assert 'use_sim_time' not in overrides(input=str(sound))['microphone']


def test_the_command_line_of_a_node_keeps_texts_texts():
    (*_, microphone) = describe_robot(RobotOptions(input='microphone', device='3')).nodes
    command = microphone.command(['--ros-args', '--log-level', 'warn'])
    assert command[-5:] == ['--ros-args', '--log-level', 'warn', '-p', 'device:="3"']
    assert command[1:3] == ['-m', 'kws_imu_ros.nodes.microphone_node']


def test_each_node_has_its_module_and_its_shipped_parameters():
    robot = describe_robot(RobotOptions(input='microphone', dances=True))
    files = [path.stem for path in robot.parameters_files()]
    assert files == [node.name for node in robot.nodes]
    package = Path(__file__).resolve().parents[2] / 'kws_imu_ros'
    for node in (*robot.nodes, describe_robot(RobotOptions()).nodes[-1]):
        assert (package / 'nodes' / f'{node.name}_node.py').is_file()


@pytest.mark.parametrize(
    'options',
    [
        RobotOptions(),
        RobotOptions(dances=True),
        RobotOptions(dances=True, choreography='d.yaml', start_at_once=False, save_to='e.yaml'),
        RobotOptions(input='talk.wav', imu='serial', model='voice_gesture', simulate=False),
        RobotOptions(keep_running=True, use_sim_time=True),
    ],
)
def test_the_composed_robot_reads_the_command_line_that_it_is_given(options):
    command = composed_command(options, ['--ros-args'])
    assert parse_options(command[3:-1]) == options
    assert command[-1] == '--ros-args'


def test_options_of_the_command_line(capsys):
    assert parse_options([]) == RobotOptions()
    assert parse_options(['--simulate', 'False']) == RobotOptions(simulate=False)
    with pytest.raises(SystemExit):
        parse_options(['--simulate', 'maybe'])
    assert 'neither true nor false' in capsys.readouterr().err


@pytest.mark.parametrize('option', ['input', 'imu'])
@pytest.mark.parametrize('value', ['/nowhere', '~nobody_of_that_name/x', 'a' * 300])
def test_what_is_not_there_is_refused_before_anything_starts(option, value):
    with pytest.raises(KwsImuError) as info:
        describe_robot(RobotOptions(**{option: value}))
    assert value[:20] in str(info.value)


def test_overrides_are_plain_values():
    for node in describe_robot(RobotOptions()).nodes:
        json.dumps(dict(node.overrides))
