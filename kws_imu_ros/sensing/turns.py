"""Tell one sender on a topic from two that talk at once."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable

# A sender that is started anew takes over once; two that talk at once take turns.
WINDOW = 100
MOST_TURNS = 5


class Turns:
    """Follow who sent each message, and find that senders take turns."""

    def __init__(self, window: int = WINDOW) -> None:
        """window: how many of the newest messages count."""
        self._newest: Hashable | None = None
        self._turns: deque[bool] = deque(maxlen=window)

    def push(self, sender: Hashable) -> None:
        """Take note of who sent the newest message."""
        self._turns.append(self._newest is not None and sender != self._newest)
        self._newest = sender

    @property
    def mixed(self) -> bool:
        """Return whether more than one sends at the same time."""
        return sum(self._turns) > MOST_TURNS
