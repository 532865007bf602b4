"""What somebody gave to nodes, against what these declare: nothing is dropped in silence."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given as draw
from hypothesis import settings
from hypothesis import strategies as st

from kws_imu_ros.configuration.comparison import compare
from kws_imu_ros.configuration.declaration import Declaration
from kws_imu_ros.configuration.given import read_arguments, read_parameters_file
from kws_imu_ros.errors import KwsImuError

NODES = {
    'command': (
        Declaration('start_emergency_stopped', False, 'Stand.'),
        Declaration('limits.linear.max_velocity', 0.3, 'm/s', 0.0, 5.0),
        Declaration('publish_rate', 20.0, 'Hz', 5.0, 100.0),
        Declaration('base_frame_id', 'base_link', 'Frame.'),
    ),
    'fusion': (Declaration('hop_ms', 40, 'ms', 10, 200),),
    'imu': (Declaration('rate', 100, 'Hz', 4, 200), Declaration('port', '', 'Port.')),
    'replay': (Declaration('rate', 1.0, 'Speed.'), Declaration('topics', [''], 'More.')),
}


def look(arguments: list[str], here: tuple[str, ...] = tuple(NODES)) -> list[str]:
    """Return the warnings about a command line."""
    return compare(read_arguments(arguments), here, tuple(NODES), NODES.__getitem__)


@pytest.fixture
def file(tmp_path: Path):
    """Return a function that compares the text of a parameters file."""

    def compare_file(text: str, *more: str, here: tuple[str, ...] = tuple(NODES)) -> list[str]:
        path = tmp_path / 'mine.yaml'
        path.write_text(text)
        return look(['node', '--ros-args', '--params-file', str(path), *more], here)

    return compare_file


def section(node: str, *lines: str) -> str:
    return '\n'.join([f'{node}:', '  ros__parameters:', *(f'    {line}' for line in lines)]) + '\n'


@pytest.mark.parametrize(
    'text',
    [
        '',
        '# nothing\n',
        section('/**/command', 'start_emergency_stopped: true', 'limits.linear.max_velocity: 0.1'),
        section('command', 'limits: {linear: {max_velocity: 0.1}}', 'publish_rate: 1e1'),
        section('/command', 'start_emergency_stopped: yes', "base_frame_id: '7'"),
        section('/*', 'use_sim_time: true').replace('/*', '"/*"'),
        section('/**', 'use_sim_time: false', 'hop_ms: 20', 'qos_overrides./a.publisher.depth: 5'),
        section('/**/replay', 'topics: [a, b]', 'rate: 2.0'),
        section('/**/imu', 'rate: 0x64'),
        '/**/fusion:\n  ros__parameters:\n',
        'robot1:\n  command:\n    ros__parameters: {publish_rate: 10.0}\n'
        'command:\n  ros__parameters: {publish_rate: 20.0}\n',
    ],
)
def test_what_is_right_passes(file, text: str):
    assert file(text) == []


@pytest.mark.parametrize(
    ('text', 'sentence'),
    [
        (
            section('/**/command', 'start_emergency_stoped: true'),
            "line 3: 'start_emergency_stoped' is no parameter of command; did you mean "
            "'start_emergency_stopped'.",
        ),
        (
            section('/**/command', 'limits.max_velocity: 0.1'),
            "did you mean 'limits.linear.max_velocity'",
        ),
        (section('/**/command', 'limits:', '  linear: {max_velocty: 0}'), 'line 4: '),
        (section('/**/command', 'max_velocity: 0.1'), "did you mean 'limits.linear.max_velocity'"),
        (section('/**/command', 'Publish-Rate: 10.0'), "did you mean 'publish_rate'"),
        (
            section('/**/fusion', 'start_emergency_stopped: true'),
            "'start_emergency_stopped' is a parameter of command, not of fusion; move it to "
            "'/**/command'",
        ),
        (
            section('/**/fusion', 'start_emergency_stop: true'),
            "'start_emergency_stop' is no parameter of fusion; did you mean "
            "'start_emergency_stopped' of command",
        ),
        (section('/**', 'start_emergency_stoped: true'), "did you mean 'start_emergency_stopped'"),
        (section('/**', 'use_simtime: true'), "did you mean 'use_sim_time'"),
        (
            section('/**/comand', 'start_emergency_stopped: true'),
            "line 3: no node is called 'comand'; did you mean 'command'",
        ),
        (section('Command', 'publish_rate: 10.0'), "did you mean 'command'"),
        (section('command_node', 'publish_rate: 10.0'), "did you mean 'command'"),
        (section('imu0', 'rate: 50'), "no node is called 'imu0'; did you mean 'imu'"),
        (section('/**/command', 'a: 1').replace('ros__', 'ros_'), "did you mean 'ros__parameters'"),
        ('/**/command:\n  publish_rate: 10.0\n', "'publish_rate' is not below 'ros__parameters:'"),
        ('schema_version: 1\n', "line 1: 'schema_version' is not below"),
        ('ros__parameters: {a: 1}\n', "'ros__parameters' is not below a node's name such as"),
        ('- a\n', "is where a node's name with 'ros__parameters:' below it must be"),
        ('/**/command:\n  ros__parameters: 3\n', "'ros__parameters' is 3"),
        (section('command', 'a: 1', 'a: 2'), "line 4: this is not valid YAML ('a' is there twice"),
    ],
)
def test_what_is_misspelt_or_misplaced_is_an_error(file, text: str, sentence: str):
    with pytest.raises(KwsImuError) as error:
        file(text)
    assert sentence in str(error.value)
    assert 'mine.yaml' in str(error.value)
    assert '\n' not in str(error.value)


@pytest.mark.parametrize(
    ('line', 'sentence'),
    [
        (
            "start_emergency_stopped: 'true'",
            "is 'true', which is text, but must be true or false; ",
        ),
        ("start_emergency_stopped: 'true'", 'write true.'),
        ('start_emergency_stopped: 1', 'is 1 but must be true or false; write true.'),
        ('start_emergency_stopped: 0.0', 'write false.'),
        ("start_emergency_stopped: 'Off'", 'write false.'),
        ('start_emergency_stopped: maybe', 'write true or false.'),
        ('start_emergency_stopped: [true]', 'is a list but must be true or false'),
        ('publish_rate: 20', 'is 20 but must be a number with a decimal point; write 20.0.'),
        ("publish_rate: '20'", 'write 20.0.'),
        ('publish_rate: true', 'is true, which is true or false, but must be a number'),
        ('publish_rate: fast', 'write one such as 20.0.'),
        ('publish_rate: 1000.0', 'is 1000.0 but must be from 5 to 100.'),
        ('publish_rate: .nan', 'is .nan but must be from 5 to 100.'),
        ('limits.linear.max_velocity: 0', 'write 0.0.'),
        ('base_frame_id: 7', "is 7 but must be text; write '7'."),
        ('base_frame_id: no', 'which is true or false, but must be text'),
    ],
)
def test_a_value_of_the_wrong_type_is_told_with_what_to_write(file, line: str, sentence: str):
    with pytest.raises(KwsImuError) as error:
        file(section('/**/command', line))
    message = str(error.value)
    assert sentence in message
    assert f"mine.yaml, line 3: '{line.partition(':')[0]}' of command" in message
    # The same where it is given to every node, and on the command line.
    with pytest.raises(KwsImuError):
        file(section('/**', line))
    name, _, value = line.partition(': ')
    with pytest.raises(KwsImuError, match=f'The argument -p command:{name}:='):
        look(['--ros-args', '-p', f'command:{name}:={value}'])


@pytest.mark.parametrize(
    ('line', 'sentence'),
    [
        ('hop_ms: 20.0', 'is 20.0 but must be a whole number; write 20.'),
        ('hop_ms: "0x14"', 'write 20.'),
        ('hop_ms: often', 'write one such as 40.'),
        ('hop_ms: 5', 'is 5 but must be from 10 to 200.'),
    ],
)
def test_a_whole_number_is_one(file, line: str, sentence: str):
    with pytest.raises(KwsImuError) as error:
        file(section('/**/fusion', line))
    assert sentence in str(error.value)


def test_a_list_is_one(file):
    with pytest.raises(KwsImuError, match=r"is 'a', which is text, but must be a list of texts"):
        file(section('/**/replay', 'topics: a'))
    with pytest.raises(KwsImuError, match=r"write \['1', '2'\]"):
        file(section('/**/replay', 'topics: [1, 2]'))


def test_what_nobody_reads_is_a_warning(file):
    (warning,) = file(section('/**/command', 'favourite_colour: blue', 'publish_rate: 10.0'))
    assert "line 3: nobody reads 'favourite_colour', which is no parameter of command" in warning
    (warning,) = file(section('/**', 'favourite_colour: blue'))
    assert 'is no parameter of any node' in warning
    (warning,) = file(section('slam_toolbox', 'resolution: 0.05'))
    assert "no node of this robot is called 'slam_toolbox'" in warning
    # Drivers that others have are called like this; what they read is theirs.
    (warning,) = file(section('imu_node', 'rate: 50.0', 'upside_down: true'))
    assert "no node of this robot is called 'imu_node', so that none reads rate, upsid" in warning


def test_what_is_given_to_all_nodes_must_fit_one_that_reads_it(file):
    assert file(section('/**', 'rate: 2.0')) == []  # For replay; imu's is a whole number.
    with pytest.raises(KwsImuError, match="'rate' of imu is 'fast', which is text,"):
        file(section('/**', 'rate: fast'))


def test_a_process_of_one_node_leaves_the_others_alone(file):
    text = section('/**/imu', 'rate: 50.0', 'upside_down: true')
    assert file(text, here=('command',)) == []
    assert file(section('/**', 'hop_ms: 20'), here=('command',)) == []
    with pytest.raises(KwsImuError, match="did you mean 'command'"):
        file(section('/**/comand', 'a: 1'), here=('imu',))


def test_a_node_in_another_namespace_is_told(file):
    text = section('command', 'publish_rate: 10.0')
    (warning,) = file(text, '-r', '__ns:=/robot1')
    assert "'command' is not the command node here, which is /robot1/command" in warning
    assert "write '/**/command'" in warning
    both = text + section('/robot1/command', 'publish_rate: 10.0')
    assert file(both, '-r', '__ns:=/robot1') == []
    for right in ('/**/command', '/robot1/command', 'robot1/command', '"/*/command"'):
        assert file(section(right, 'publish_rate: 10.0'), '-r', '__ns:=/robot1') == []


def test_a_renamed_node_is_known_by_its_new_name(file):
    text = section('/**/driver', 'publish_rate: 10.0')
    assert file(text, '-r', '__node:=driver', here=('command',)) == []
    assert file(text, '-r', 'command:__node:=driver') == []
    with pytest.raises(KwsImuError, match="no parameter of driver; did you mean 'publish_rate'"):
        file(section('driver', 'publish_rat: 10.0'), '-r', '__node:=driver', here=('command',))


def test_single_parameters_are_compared_too():
    assert look(['x', '--ros-args', '-p', 'command:publish_rate:=10.0', '-p', 'hop_ms:=20']) == []
    # What stands before --ros-args or after -- is the program's own.
    assert look(['x', '-p', 'hop:=1', '--ros-args', '--', '-p', 'hop_m:=1']) == []
    with pytest.raises(KwsImuError, match=r'-p hop_m:=20: .*did you mean .hop_ms. of fusion'):
        look(['x', '--ros-args', '-p', 'hop_m:=20'])
    with pytest.raises(KwsImuError, match="'hop_ms' is a parameter of fusion, which is not here"):
        look(['x', '--ros-args', '-p', 'hop_ms:=20'], ('command',))
    with pytest.raises(KwsImuError, match="-p comand:a:=1: no node is called 'comand'"):
        look(['x', '--ros-args', '-p', 'comand:a:=1'])
    (warning,) = look(['x', '--ros-args', '--param', 'command:colour:=blue'])
    assert "nobody reads 'colour'" in warning


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path):
    with pytest.raises(KwsImuError, match=r'The parameters file .*none\.yaml cannot be read'):
        look(['--ros-args', '--params-file', str(tmp_path / 'none.yaml')])


def written(value: bool | int | float) -> str:
    return str(value).lower()


@settings(max_examples=100)
@draw(value=st.booleans() | st.integers(-(2**63) + 1, 2**63 - 1) | st.floats(allow_nan=False))
def test_scalars_have_the_types_that_ros_gives_them(tmp_path_factory, value):
    path = tmp_path_factory.mktemp('given') / 'mine.yaml'
    text = written(value).replace('inf', '.inf')
    path.write_text(section('a', f'x: {text}', f"y: '{text}'"))
    x, y = read_parameters_file(str(path))
    assert (x.value, type(x.value)) == (value, type(value))
    assert y.value == text


KEYS = st.sampled_from(
    ['/**', 'command', '/**/comand', 'imu', 'ros__parameters', 'rate', 'limits', 'x', '', '/', '//']
)


def trees(leaves):
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner, max_size=3),
        max_leaves=8,
    )


@settings(max_examples=200)
@draw(
    tree=trees(st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)),
    argument=st.text(alphabet=st.sampled_from('ab:=/-.[]{}"\' 1'), max_size=12),
)
def test_any_file_and_argument_is_taken_or_refused_in_one_sentence(
    tmp_path_factory, tree, argument: str
):
    path = tmp_path_factory.getbasetemp() / 'any.yaml'
    path.write_text(yaml.safe_dump(tree), 'utf-8')
    for options in (['--params-file', str(path)], ['-p', argument], ['-r', argument]):
        try:
            warnings = look(['--ros-args', *options])
        except KwsImuError as error:
            warnings = [str(error)]
        assert not any('\n' in warning for warning in warnings)
