"""An executor that looks at its nodes less often, and finds more to do each time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor


class CoalescingExecutor(SingleThreadedExecutor):
    """
    A single-threaded executor that rests for a moment between two passes.

    Each pass of rclpy's executors builds its wait set anew from every entity of every node, which
    costs more than most callbacks. With hundreds of messages a second, waiting for a few of them to
    gather saves most of that. A message that comes alone is handled at once; one that comes right
    after another waits for the rest to end, `gather_s` at most.
    """

    def __init__(self, *, context: Context | None = None, gather_s: float = 0.008) -> None:
        """Make the executor. gather_s: rest between two passes in seconds."""
        super().__init__(context=context)
        self._gather_s = gather_s

    def _wait_for_ready_callbacks(  # type: ignore[override]  # Another one in each rclpy.
        self, *args: Any, **kwargs: Any
    ) -> Iterator[Any]:
        # Not public, but the one place where a pass begins, in every rclpy since Humble. Should a
        # later one rename it, this is an ordinary SingleThreadedExecutor.
        time.sleep(self._gather_s)
        yield from super()._wait_for_ready_callbacks(*args, **kwargs)
