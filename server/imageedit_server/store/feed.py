"""The watch feed: wakes whoever follows a task after its change was committed.

What it says is only a hint; the log is the truth (DESIGN §5).
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from imageedit_server.core.task import State

CHANGES = "changes"
"""Key of ``Connection.info``: the list of what the running unit changed."""


@dataclass(frozen=True, slots=True)
class Change:
    """A task has a new event, or its vendor called back."""

    task_id: str
    seq: int
    state: State
    called_back: bool = False


class Feed:
    """Carries changes from the writer to watchers and workers of this process. Lives on the loop."""

    def __init__(self) -> None:
        self._followers: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self._listeners: list[Callable[[Sequence[Change]], None]] = []
        self.closed = False

    def publish(self, changes: Sequence[Change]) -> None:
        """Wake the followers of every task that changed, then tell the listeners."""
        for change in changes:
            for hint in self._followers.get(change.task_id, ()):
                hint.set()
        for listener in self._listeners:
            listener(changes)

    def listen(self, listener: Callable[[Sequence[Change]], None]) -> None:
        """Call ``listener`` with all changes from now on. It must not block."""
        self._listeners.append(listener)

    def close(self) -> None:
        """Wake every follower for the last time: the server stops, they are to resume elsewhere."""
        self.closed = True
        for hints in self._followers.values():
            for hint in hints:
                hint.set()

    @contextmanager
    def follow(self, task_id: str) -> Iterator[asyncio.Event]:
        """Yield an event that is set at every change of the task; the follower clears it."""
        hint = asyncio.Event()
        self._followers[task_id].add(hint)
        try:
            yield hint
        finally:
            self._followers[task_id].discard(hint)
            if not self._followers[task_id]:
                del self._followers[task_id]
