"""
Whatever people type, each verb ends in a sentence: odd values for every argument that it declares.

In process, with what would take long or reach for the network stopped where it begins.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kws_imu_ros.commands import benchmark
from kws_imu_ros.commands import main as cli
from kws_imu_ros.errors import KwsImuError

REPOSITORY = Path(__file__).resolve().parents[2]
# A job that an odd value did not keep from running is interrupted, as a person would.
LONGEST_S = 60.0
ODD_TEXTS = (
    *(
        '',
        ' ',
        '-',
        '~nobody_of_that_name',
        '/dev/null',
        '/dev/full',
        '/proc/self/mem',
        '/dev/null/x',
    ),
    *('nan', 'inf', '-1', '0', '1e400', '9' * 30, '1.5', 'yes', 'ä\udcff', 'a' * 300, 'x' * 5000),
    *('\n', '\x1b[31m', '[[[[', '{', "'", '"', '%s', 'CON', '..', '.', 'a/b', '٣', '--', '=', ':='),
)
ODD_FILES = ('text.txt', 'empty.yaml', 'binary', 'latin.yaml', 'deep.yaml', 'link', 'folder')
ODD_FILES += ('wav.wav', 'bag.mcap', 'db.db3', 'net.tflite', 'result.json', 'list.json', 'r.csv')
# The same values reach both; these import TensorFlow.
TRAINING_VERBS = ('train', 'experiment')


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def fill(folder: Path) -> None:
    """Put files there that exist and are something else than their name says."""
    binary = bytes(range(256)) * 4
    contents = {
        'text.txt': b'[1, 2\n',
        'empty.yaml': b'',
        'binary': binary,
        'latin.yaml': 'name: Böden\n'.encode('latin-1'),
        'deep.yaml': b'[' * 2000,
        'wav.wav': b'RIFF\x00\x00\x00\x00WAVE',
        'bag.mcap': b'\x89MCAP0\r\n' + binary,
        'db.db3': b'SQLite format 3\x00' + binary,
        'net.tflite': b'\x18\x00\x00\x00TFL3' + binary,
        'result.json': b'{"command": 1, "tables": [[]], "x": null}',
        'list.json': b'[1, {}, null, "a"]',
        'r.csv': b'time,ax,ay,az,gx,gy,gz\n1,2\nnan,nan,nan,nan,nan,nan,nan\n',
    }
    for name, content in contents.items():
        with contextlib.suppress(OSError):
            (folder / name).write_bytes(content)
    with contextlib.suppress(FileExistsError):
        (folder / 'link').symlink_to('/nowhere/at/all')
    (folder / 'folder').mkdir(exist_ok=True)


@pytest.fixture
def brief(monkeypatch) -> None:
    """Stop what drives a robot, trains, or reaches for the network, at its first step."""

    def refuse(*_: object, **__: object) -> object:
        raise KwsImuError('Not here.')

    def replace(module: str, *names: str) -> None:
        for name in names:
            monkeypatch.setattr(importlib.import_module(f'kws_imu_ros.{module}'), name, refuse)

    replace('lab.data.data_fetch', 'fetch')
    replace('lab.data.running_speech_fetch', 'fetch_running_speech')
    monkeypatch.setattr(benchmark, 'PARTS', dict.fromkeys(benchmark.PARTS, refuse))
    replace('nodes.runtime.environment', 'prepare_environment')
    monkeypatch.setattr('kws_imu_ros.nodes.runtime.environment.try_ros', lambda: None)


def arguments_of(parser: argparse.ArgumentParser) -> Iterator[tuple[list[str], argparse.Action]]:
    """Yield each argument of a parser and of its subcommands, after the words that lead to it."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield [], action
            for name, child in action.choices.items():
                for words, inner in arguments_of(child):
                    yield [name, *words], inner
        elif not isinstance(action, argparse._HelpAction):
            yield [], action


def values() -> st.SearchStrategy[str]:
    texts = st.text(st.characters(exclude_characters='\0', exclude_categories=()), max_size=12)
    return st.one_of(st.sampled_from(ODD_TEXTS), st.sampled_from(ODD_FILES), texts)


def declared_by(verb: str) -> list[tuple[list[str], argparse.Action]]:
    """Return all arguments of a verb."""
    parser = cli._parser(verb)
    (verbs,) = (a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    return list(arguments_of(verbs.choices[verb]))


@st.composite
def command_lines(
    draw: st.DrawFn, verb: str, declared: list[tuple[list[str], argparse.Action]]
) -> list[str]:
    """Return a command line of a verb, with odd values for all it needs and some of the rest."""
    path = draw(st.sampled_from(sorted({tuple(words) for words, _ in declared})))
    line = [verb, *path]
    for words, action in declared:
        if tuple(words) != path:
            continue
        needed = not action.option_strings or action.required
        if not needed and not draw(st.integers(0, 3)) == 0:
            continue
        if action.nargs == 0:
            line.append(action.option_strings[0])
            continue
        odd = values()
        if action.choices:
            odd = st.one_of(odd, st.sampled_from([str(choice) for choice in action.choices]))
        count = draw(st.integers(1, 2)) if action.nargs in ('+', argparse.PARSER) else 1
        for number in range(count):
            value = draw(odd)
            if not action.option_strings:
                line.append(value)
            elif number == 0:
                line += [action.option_strings[-1], value]
            else:
                line.append(value)
    return line


def status_of(line: list[str]) -> object:
    """Run a command line in this process; return its exit status."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, LONGEST_S)
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            return cli.main(line)
    except SystemExit as end:
        return end.code
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, previous)


@pytest.mark.parametrize(
    'verb',
    [
        pytest.param(verb, marks=pytest.mark.training if verb in TRAINING_VERBS else ())
        for verb in cli.VERBS
    ],
)
def test_every_verb_ends_in_a_sentence(verb, folder, brief):
    if verb in TRAINING_VERBS:
        # Not within a command line's time: an import that is interrupted leaves half a library.
        for name in ('tensorflow', 'tf_keras', 'tensorflow_model_optimization'):
            pytest.importorskip(name)

    @settings(
        max_examples=60,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(line=command_lines(verb, declared_by(verb)))
    def end_in_a_sentence(line: list[str]) -> None:
        fill(folder)
        assert status_of(line) in (0, 1, 2, 130)

    end_in_a_sentence()
