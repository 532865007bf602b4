"""A child ends with its parent, in order, however that ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

REPOSITORY = Path(__file__).resolve().parents[3]
PATIENCE_S = 60.0

CHILD = """
import signal, sys, time
from pathlib import Path
from kws_imu_ros.nodes.runtime.child_process import end_with_parent

def note(number, frame):
    Path(sys.argv[1]).with_suffix('.last_words').write_text(str(time.monotonic()))
    if sys.argv[2] == 'ends':
        sys.exit()

signal.signal(signal.SIGTERM, note)
end_with_parent()
Path(sys.argv[1]).write_text('ready')
while True:
    time.sleep(0.1)
"""
PARENT = """
import sys, time
from kws_imu_ros.nodes.runtime.child_process import start_child

children = [
    start_child([sys.executable, '-c', sys.argv[1], path, 'ends'], outlives_s=float(outlives_s))
    for path, outlives_s in zip(sys.argv[2::2], sys.argv[3::2])
]
time.sleep(600)
"""


def wait_for(condition) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize('ending', [signal.SIGKILL, signal.SIGTERM])
def test_children_of_a_parent_that_is_gone_end_in_their_order(tmp_path, ending):
    first, second = tmp_path / 'command', tmp_path / 'base'
    parent = subprocess.Popen(
        [sys.executable, '-c', PARENT, CHILD, first, '0', second, '0.5'],
        env=dict(os.environ, PYTHONPATH=str(REPOSITORY)),
        stdin=subprocess.DEVNULL,
    )
    wait_for(lambda: first.exists() and second.exists())
    children = psutil.Process(parent.pid).children()
    assert len(children) == 2
    parent.send_signal(ending)
    parent.wait(PATIENCE_S)
    _, alive = psutil.wait_procs(children, PATIENCE_S)
    assert not alive
    said = [float(path.with_suffix('.last_words').read_text()) for path in (first, second)]
    assert said[1] - said[0] >= 0.4, 'the robot stands before it loses its base'


def test_who_was_not_started_so_watches_nobody(tmp_path):
    """A node run by hand, its standard input closed, runs on."""
    path = tmp_path / 'alone'
    child = subprocess.Popen(
        [sys.executable, '-c', CHILD, path, 'ends'],
        env=dict(os.environ, PYTHONPATH=str(REPOSITORY)),
        stdin=subprocess.DEVNULL,
    )
    try:
        wait_for(path.exists)
        time.sleep(0.3)
        assert child.poll() is None
    finally:
        child.kill()
        child.wait()
