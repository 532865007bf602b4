"""Types: none wrong in the plain rooms, and elsewhere only fewer from change to change."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
# {room: errors that are still there}; a room that is not named has none.
KNOWN = Path(__file__).with_name('type_errors.json')
# Strict in pyproject.toml.
PLAIN_ROOMS = (
    'audio',
    'bags',
    'choreography',
    'coach',
    'configuration',
    'decision',
    'fusion',
    'imu',
    'messages',
    'model',
    'motion',
    'replay',
    'sensing',
)
ERROR = re.compile(r'^kws_imu_ros/(lab/\w+|nodes/runtime|\w+)[/.].*: error: ')


@pytest.fixture(scope='module')
def found() -> Counter[str]:
    pytest.importorskip('mypy', reason='the type checker is not installed')
    result = subprocess.run(
        [sys.executable, '-m', 'mypy'],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert result.returncode in (0, 1), result.stdout + result.stderr
    # Shown where a test fails.
    print(result.stdout)
    return Counter(match[1] for line in result.stdout.splitlines() if (match := ERROR.match(line)))


def test_errors_of_types_become_fewer_only(found: Counter[str]):
    known = json.loads(KNOWN.read_text(encoding='utf-8'))
    more = {room: count for room, count in found.items() if count > known.get(room, 0)}
    assert not more, f'errors by room, which {KNOWN.name} does not know: {more}'
    fewer = {room: found[room] for room, count in known.items() if found[room] < count}
    assert not fewer, f'well done; write the new numbers into {KNOWN.name}: {fewer}'


def test_the_plain_rooms_have_none(found: Counter[str]):
    assert {room: found[room] for room in PLAIN_ROOMS if found[room]} == {}
