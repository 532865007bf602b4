"""What the nodes declare, what config/ sets, and what the documents say is the same."""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path

import pytest

from kws_imu_ros.configuration.comparison import EVERY_NODE_S
from kws_imu_ros.configuration.given import read_parameters_file

pytest.importorskip('rclpy', reason='ROS 2 is not installed')

from kws_imu_ros.nodes.runtime.parameters import NODES, declarations_of

REPOSITORY = Path(__file__).resolve().parents[2]
CONFIG = REPOSITORY / 'config'
# Every one that robot.launch.py and `kws-imu run` give to nodes.
FILES = ('microphone', 'imu', 'fusion', 'command', 'simulated_robot', 'choreographer', 'coach')


def reference_of(folder: Path) -> tuple[Path, Path]:
    """Return a choreography file and the reference of a teacher beside it."""
    from teachers import save_reference

    return save_reference(folder)


def overrides(node: str, tmp_path: Path, test_data: Path) -> dict[str, object]:
    """Return what a node needs to start here: recordings instead of devices."""
    return {
        'microphone': {'input': str(next((test_data / 'speech_commands').glob('*/*.ogg')))},
        'imu': {'input': 'file', 'file': str(test_data / 'imu' / 'razor_still.csv.gz')},
        'coach': {'choreography': str(reference_of(tmp_path)[0])} if node == 'coach' else {},
        'replay': {'bag': str(REPOSITORY / 'demo' / 'bag')},
        'recorder': {'bag': str(tmp_path / 'bag')},
    }.get(node, {})


@pytest.mark.parametrize('name', NODES)
def test_a_node_declares_what_it_says_and_nothing_else(ros_context, tmp_path, test_data, name):
    from rclpy.parameter import Parameter

    module, class_name = NODES[name]
    given = overrides(name, tmp_path, test_data)
    node = getattr(importlib.import_module(f'kws_imu_ros.nodes.{module}'), class_name)(
        context=ros_context,
        parameter_overrides=[Parameter(key, value=value) for key, value in given.items()],
    )
    try:
        assert node.get_name() == name
        every = {item.name for item in EVERY_NODE_S}
        found = {key for key in node._parameters if not key.startswith('qos_overrides')} - every
        assert found == {item.name for item in node.PARAMETERS}
        assert len(found) == len(node.PARAMETERS)
        for item in node.PARAMETERS:
            descriptor = node.describe_parameter(item.name)
            assert descriptor.description == item.description
            assert item.description
            assert descriptor.read_only == item.read_only
            ranges = (*descriptor.integer_range, *descriptor.floating_point_range)
            limits = [(item.minimum, item.maximum)] if item.minimum is not None else []
            assert [(one.from_value, one.to_value) for one in ranges] == limits
            value = node.get_parameter(item.name).value
            if item.name not in given and not item.default_from:
                assert value == item.default
            assert type(value) is type(item.default)
            assert item.complaint(value, str(value)) == ''
    finally:
        node.destroy_node()


@pytest.mark.parametrize('name', FILES)
def test_a_parameters_file_names_every_parameter_with_its_default(name: str):
    given = {item.name: item for item in read_parameters_file(str(CONFIG / f'{name}.yaml'))}
    assert {item.node for item in given.values()} == {('**', name)}
    expected = {item.name: item.default for item in declarations_of(name) if not item.default_from}
    assert {key: item.value for key, item in given.items()} == expected


def test_the_robot_s_own_file_changes_nothing_as_shipped():
    defaults = {(name, item.name): item.default for name in NODES for item in declarations_of(name)}
    for item in read_parameters_file(str(CONFIG / 'robot.yaml')):
        assert item.value == defaults[item.base, item.name]


def test_the_document_is_what_the_nodes_declare():
    specification = importlib.util.spec_from_file_location(
        'write_parameters', REPOSITORY / 'docs' / 'write_parameters.py'
    )
    writer = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(writer)
    assert writer.PATH.read_text(encoding='utf-8') == writer.text(), (
        'run docs/write_parameters.py and commit docs/parameters.md'
    )


@pytest.mark.parametrize('name', [name for name in NODES if name != 'recorder'])
def test_the_readme_s_table_of_nodes_leads_to_its_parameters(name: str):
    (row,) = [
        line
        for line in (REPOSITORY / 'README.md').read_text(encoding='utf-8').splitlines()
        if line.startswith(f'| `{name}` |')
    ]
    assert f'](docs/parameters.md#{name})' in row
    assert f'\n## {name}\n' in (REPOSITORY / 'docs' / 'parameters.md').read_text(encoding='utf-8')


# As a person might write them.
SCALARS = """
yes ; Yes ; yEs ; on ; n ; TRUE ; tRue ; 1 ; +1 ; 010 ; 0x1F ; -0x10 ; 0o17 ; 1_000 ; 1e3
; 1. ; .5 ; -.5e-3 ; .inf ; -.inf ; .NaN ; inf ; nan ; infinity ; 1e400 ;
9223372036854775807 ; 9223372036854775808 ; -9223372036854775808 ; 0x1p3 ; 1:30 ;
2026-01-01 ; '' ; '1' ; "true" ; text ; null ; ~ ; !!str 5 ; [1, 2] ; [1.0] ; [a, b] ;
[yes] ; ["1"] ; 08 ; 00 ; -0 ; 1e ; 1 2 ; 12abc ; -.5.
"""


@pytest.mark.parametrize('written', ' '.join(SCALARS.split()).split(' ; '))
def test_values_in_files_are_taken_as_ros_takes_them(tmp_path, ros_domain, written: str):
    import rclpy
    from rclpy.node import Node

    path = tmp_path / 'mine.yaml'
    path.write_text(f'/**/a:\n  ros__parameters:\n    x: {written}\n')
    context = rclpy.Context()
    rclpy.init(args=['a', '--ros-args', '--params-file', str(path)], context=context)
    node = Node(
        'a',
        context=context,
        automatically_declare_parameters_from_overrides=True,
        start_parameter_services=False,
        enable_rosout=False,
    )
    theirs = node.get_parameter('x').value
    node.destroy_node()
    rclpy.shutdown(context=context)
    theirs = theirs.tolist() if hasattr(theirs, 'tolist') else theirs
    (ours,) = read_parameters_file(str(path))
    assert (repr(ours.value), type(ours.value)) == (repr(theirs), type(theirs))
