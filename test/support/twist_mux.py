"""A model of twist_mux 4.x: which velocities topics, timeouts, priorities and locks let pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass
class Input:
    """A topic of velocities or a lock: its settings, and what came last, when, in s."""

    name: str
    topic: str
    timeout: float
    priority: int
    # Before the first message the stamp is 0, ages ago.
    stamp: float = float('-inf')
    locked: bool = False


class TwistMux:
    """
    The multiplexer; `passed` are the velocities that it published, with their input's name.

    Whenever a velocity comes, the input with the largest priority is looked for among those that
    are alive and not below the largest priority of the locks that hold. The velocity passes when it
    came from that one. A timeout of 0 means that the last message holds for ever.
    """

    def __init__(self, settings: dict[str, Any], now: Callable[[], float]) -> None:
        """Take the parameters of the node twist_mux, and a clock in s."""
        self.topics, self.locks = (
            {name: self._input(name, values) for name, values in sorted(settings[group].items())}
            for group in ('topics', 'locks')
        )
        self._now = now
        self.passed: list[tuple[str, Any]] = []

    @staticmethod
    def _input(name: str, values: dict[str, Any]) -> Input:
        # The node reads a double and an integer, and refuses anything else.
        assert type(values['timeout']) is float
        assert type(values['priority']) is int
        priority = min(max(values['priority'], 0), 255)
        return Input(name, values['topic'], values['timeout'], priority)

    def take_velocity(self, name: str, velocity: Any) -> None:
        """Take a velocity from an input."""
        self.topics[name].stamp = self._now()
        if self._chosen() == name:
            self.passed.append((name, velocity))

    def take_lock(self, name: str, locked: bool) -> None:
        """Take a message of a lock."""
        lock = self.locks[name]
        lock.stamp, lock.locked = self._now(), locked

    def _has_expired(self, item: Input) -> bool:
        return item.timeout > 0.0 and self._now() - item.stamp > item.timeout

    def _chosen(self) -> str | None:
        """Return which input may drive now."""
        held = [
            item.priority for item in self.locks.values() if self._has_expired(item) or item.locked
        ]
        bar = max(held, default=0)
        best, chosen = 0, None
        for item in self.topics.values():
            if self._has_expired(item) or item.priority < bar:
                continue
            if item.priority > best:
                best, chosen = item.priority, item.name
        return chosen
