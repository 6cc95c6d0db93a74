"""The watch feed: wakes whoever follows a task after its change was committed.

It hands on the events as they were committed, so that a thousand followers need no thousand reads. What it
says is only a hint; the log is the truth (DESIGN §5).
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice

from imageedit_server.core.change import Change
from imageedit_server.core.task import Event

KEPT_EVENTS = 128
"""How many events of a followed task are kept at most; whoever is further behind reads the log."""
WOKEN_AT_ONCE = 100
"""How many followers wake in one turn of the loop, so that a crowd holds nobody else up."""


class Tail:
    """The newest events of a task, without a gap, which its followers share; empty until one is known."""

    __slots__ = ("_events",)

    def __init__(self) -> None:
        self._events: list[Event] = []

    def after(self, seq: int) -> Sequence[Event] | None:
        """Return every event after ``seq``; None when only the log has them all."""
        if not self._events or self._events[0].seq > seq + 1:
            return None
        return self._events[seq + 1 - self._events[0].seq :]

    def take(self, events: Sequence[Event]) -> None:
        """Take some that follow one another, up to the end of the log as it was while somebody followed."""
        if not events:
            return
        older = [event for event in self._events if event.seq < events[0].seq]
        newer = [event for event in self._events if event.seq > events[-1].seq]
        if older and older[-1].seq + 1 != events[0].seq:
            older = []
        if not newer or newer[0].seq == events[-1].seq + 1:
            self._events = [*older, *events, *newer][-KEPT_EVENTS:]


@dataclass(slots=True, eq=False)
class Follower:
    """One who follows a task. ``hint`` is set at every change of it; the follower clears it."""

    hint: asyncio.Event
    tail: Tail


@dataclass(slots=True)
class _Followed:
    followers: set[Follower] = field(default_factory=set)
    tail: Tail = field(default_factory=Tail)


class Feed:
    """Carries changes from the writer to watchers and workers of this process. Lives on the loop."""

    def __init__(self) -> None:
        self._followed: dict[str, _Followed] = {}
        self._listeners: list[Callable[[Sequence[Change]], None]] = []
        self._expecting: list[Callable[[Sequence[Change]], bool]] = []
        self.closed = False

    def announce(self, changes: Sequence[Change]) -> bool:
        """Tell of changes that are about to be committed; say whether they lead to more that may go along."""
        answers = [listener(changes) for listener in self._expecting]
        return any(answers)

    def publish(self, changes: Sequence[Change]) -> None:
        """Wake the followers of every task that changed, then tell the listeners."""
        for change in changes:
            if followed := self._followed.get(change.task_id):
                if change.event:
                    followed.tail.take([change.event])
                _wake(iter(tuple(followed.followers)))
        for listener in self._listeners:
            listener(changes)

    def listen(self, listener: Callable[[Sequence[Change]], None]) -> None:
        """Call ``listener`` with all changes from now on. It must not block."""
        self._listeners.append(listener)

    def expect(self, listener: Callable[[Sequence[Change]], bool]) -> None:
        """Call ``listener`` before changes are committed, which may yet fail.

        It says whether it asks, in the loop's next turn, for a unit that is best committed with them.
        """
        self._expecting.append(listener)

    def close(self) -> None:
        """Wake every follower for the last time: the server stops, they are to resume elsewhere."""
        self.closed = True
        _wake(iter([each for followed in self._followed.values() for each in followed.followers]))

    def followers(self, task_id: str) -> int:
        """Return how many follow a task."""
        followed = self._followed.get(task_id)
        return len(followed.followers) if followed else 0

    @property
    def is_followed(self) -> bool:
        """Whether anybody follows anything."""
        return bool(self._followed)

    @contextmanager
    def follow(self, task_id: str) -> Iterator[Follower]:
        """Follow a task for as long as the block runs."""
        followed = self._followed.setdefault(task_id, _Followed())
        follower = Follower(asyncio.Event(), followed.tail)
        followed.followers.add(follower)
        try:
            yield follower
        finally:
            followed.followers.discard(follower)
            if not followed.followers:
                del self._followed[task_id]


def _wake(followers: Iterator[Follower]) -> None:
    woken: Iterable[Follower] = list(islice(followers, WOKEN_AT_ONCE))
    for follower in woken:
        follower.hint.set()
    if woken:
        asyncio.get_running_loop().call_soon(_wake, followers)
