"""
What the microphone and imu nodes share: a device read on a thread, reopened when it was lost.

A device blocks while it waits, so it has a thread of its own; the executor stays free. The thread
is the only one that touches the source once the node runs.
"""

from __future__ import annotations

import threading
import time
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from rclpy.exceptions import InvalidHandle
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node

from kws_imu_ros.configuration.declaration import Declaration
from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.nodes.runtime.base_node import BaseNode
from kws_imu_ros.nodes.runtime.diagnostics import DiagnosticsPublisher, Report
from kws_imu_ros.nodes.runtime.spinning import run_nodes
from kws_imu_ros.sensing.source import Source

READ_TIMEOUT_S = 0.2
# A node that loads a model on a small machine takes this long, s, to subscribe.
LISTENER_PATIENCE_S = 20.0
# Errors of rclpy on a thread when the graph is shut down around it.
_SHUT_DOWN = (InvalidHandle, rclpy_implementation.RCLError)


class SensorNode(BaseNode):
    """
    A node around one source.

    finished: whether a recording has been played to its end.
    """

    PARAMETERS: ClassVar[tuple[Declaration, ...]] = (
        Declaration(
            'wait_for_device',
            False,
            'Start although the device is missing, and go on looking for it.',
        ),
        Declaration(
            'retry_period',
            1.0,
            's between attempts to open a device that was lost.',
            minimum=0.1,
            maximum=60.0,
            read_only=False,
        ),
    )

    def __init__(self, name: str, **kwargs: Any) -> None:
        """
        Configure, open the source and start reading.

        Raises:
            KwsImuError: a parameter does not fit, or the source cannot be opened and
                `wait_for_device` is false.

        """
        super().__init__(name, **kwargs)
        self._stop = threading.Event()
        self._reopen = threading.Event()
        self._thread: threading.Thread | None = None
        self._failure: BaseException | None = None
        self._problem = ''
        self._was_there = False
        self._source: Source[Any]
        self._has_source = False
        self.finished = False
        with self.destroyed_on_error():
            self._start()

    def _start(self) -> None:
        self._wait_for_device = self.declare('wait_for_device')
        self._retry_s = self.declare('retry_period')
        self._source = self.configure()
        self._has_source = True
        try:
            self._source.open()
        except KwsImuError as error:
            if not self._wait_for_device:
                raise
            self._report(str(error))
        else:
            self._was_there = True
            self.get_logger().info(f'Reading {self._source.description}.')
        DiagnosticsPublisher(self, self._report_health)
        self._thread = threading.Thread(target=self._run, name=self.get_name(), daemon=True)
        self._thread.start()

    @abstractmethod
    def configure(self) -> Source[Any]:
        """Declare parameters, make publishers, and return the source, not yet opened."""

    @abstractmethod
    def publish_reading(self, reading: Any) -> None:
        """Publish what the source's `read` returned; called on the source's thread."""

    def listened_to(self) -> bool:
        """Return whether to start; a recording waits for a subscriber, a device for nobody."""
        return True

    @abstractmethod
    def diagnose(self, seconds: float) -> tuple[list[str], dict[str, Any]]:
        """Return warnings, one sentence each, and values, for the last `seconds`."""

    def now_ns(self) -> int:
        """Return ROS time in ns."""
        return self.get_clock().now().nanoseconds

    def reopen(self, source: Source[Any] | None = None) -> None:
        """Close the source and open it, or another one, anew; done by the source's thread."""
        self._next_source = source or self._source
        self._reopen.set()

    def destroy_node(self) -> None:
        """Stop reading, give the device back and leave the graph."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self._has_source:
            self._has_source = False
            self._source.close()
        super().destroy_node()

    def _run(self) -> None:
        """Read until the node ends; runs on the source's thread."""
        try:
            opened = not self._problem and self._wait_for_clock() and self._wait_for_listener()
            while not self._stop.is_set():
                if self._reopen.is_set():
                    self._reopen.clear()
                    self._source.close()
                    self._source = self._next_source
                    opened = self._try_to_open()
                elif not opened:
                    self._stop.wait(self._retry_s)
                    opened = self._stop.is_set() or self._try_to_open()
                else:
                    opened = self._read()
        except _SHUT_DOWN as error:
            if self.context.ok() and not self._stop.is_set():
                self._failure = error
        # A thread has nobody above it: the timer raises this where the executor sees it.
        except Exception as error:  # noqa: BLE001
            self._failure = error

    def _wait_for_clock(self) -> bool:
        """
        Wait for /clock, if that gives the time, and start the source anew once it does.

        Before its first message the time is zero, and a recording would be stamped with that.
        Returns whether the source is open.
        """
        if self.now_ns() != 0:
            return True
        while self.now_ns() == 0:
            if self._stop.wait(0.05):
                return True
        self._source.close()
        return self._try_to_open()

    def _wait_for_listener(self) -> bool:
        """
        Wait for somebody who hears the start of a recording, but not for ever.

        Returns whether the source is open.
        """
        deadline = time.monotonic() + LISTENER_PATIENCE_S
        if self.listened_to():
            return True
        while not self.listened_to() and time.monotonic() < deadline:
            if self._stop.wait(0.05):
                return True
        self._source.close()
        return self._try_to_open()

    def _try_to_open(self) -> bool:
        """Open the source; return whether that worked."""
        try:
            self._source.open()
        except KwsImuError as error:
            self._report(str(error))
            return False
        self._problem = ''
        self._was_there = True
        self.get_logger().info(f'Reading {self._source.description}.')
        return True

    def _read(self) -> bool:
        """Read and publish once; return whether the source is still there."""
        try:
            reading = self._source.read(READ_TIMEOUT_S)
        except KwsImuError as error:
            self._report(str(error))
            return False
        if reading is not None:
            self.publish_reading(reading)
        if self._source.finished and not self.finished:
            self.finished = True
            self.get_logger().info(f'The {self._source.description} has ended.')
        return True

    def _report(self, problem: str) -> None:
        """Log a problem when it is a new one: one that is lost, as an error."""
        if problem != self._problem:
            sentence = f'{problem} Trying again every {self._retry_s:g} s.'
            if self._was_there:
                self.get_logger().error(sentence)
            else:
                # Waited for, as was asked; whoever has none misses nothing.
                self.get_logger().warning(sentence)
        self._problem = problem

    def _report_health(self, seconds: float) -> Report:
        """Return the diagnostics of the last `seconds`; raise what ended the source's thread."""
        if self._failure is not None:
            raise self._failure
        warnings, values = self.diagnose(seconds)
        errors: list[str] = []
        if self._problem:
            # While the device is away, its silence is no news.
            errors, warnings = ([self._problem], []) if self._was_there else ([], [self._problem])
        return Report(
            summary=f'Reading {self._source.description}.',
            errors=errors,
            warnings=warnings,
            values=values,
            hardware_id=self._source.description,
        )


def run_sensor_node(
    make: Callable[[], SensorNode], arguments: Sequence[str] | None, name: str
) -> int:
    """
    Run one source node until it is told to end or its recording has ended.

    make: returns the node. name: of the node. Returns the exit status.
    """
    nodes: list[SensorNode] = []

    def create(created: list[Node]) -> None:
        nodes.append(make())
        created.extend(nodes)

    return run_nodes(create, arguments, lambda: nodes[0].finished, [name])
