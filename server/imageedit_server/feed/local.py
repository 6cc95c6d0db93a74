"""The feed of one process: whoever follows a task is woken in the turn after its commit, with the event."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice

from imageedit_server.core.change import Change
from imageedit_server.feed.base import Follower
from imageedit_server.feed.tail import Tail

WOKEN_AT_ONCE = 100
"""How many followers wake in one turn of the loop, so that a crowd holds nobody else up."""


@dataclass(slots=True)
class _Followed:
    followers: set[Follower] = field(default_factory=set)
    tail: Tail = field(default_factory=Tail)

    def hear(self, change: Change) -> None:
        if change.event:
            self.tail.take([change.event])
        else:
            self.tail.void_before(change.seq)
        _wake(iter(tuple(self.followers)))


class LocalFeed:
    """Implements ``Feed`` in memory."""

    def __init__(self) -> None:
        self._followed: dict[str, _Followed] = {}
        self._listeners: list[Callable[[Sequence[Change]], None]] = []
        self._expecting: list[Callable[[Sequence[Change]], bool]] = []

    def announce(self, changes: Sequence[Change]) -> bool:
        answers = [listener(changes) for listener in self._expecting]
        return any(answers)

    def publish(self, changes: Sequence[Change]) -> None:
        for change in changes:
            if followed := self._followed.get(change.task_id):
                followed.hear(change)
        for listener in self._listeners:
            listener(changes)

    def listen(self, listener: Callable[[Sequence[Change]], None]) -> None:
        self._listeners.append(listener)

    def expect(self, listener: Callable[[Sequence[Change]], bool]) -> None:
        self._expecting.append(listener)

    @contextmanager
    def follow(self, task_id: str) -> Iterator[Follower]:
        followed = self._followed.setdefault(task_id, _Followed())
        follower = Follower(asyncio.Event(), followed.tail)
        followed.followers.add(follower)
        try:
            yield follower
        finally:
            followed.followers.discard(follower)
            if not followed.followers:
                del self._followed[task_id]

    def wake_all(self) -> None:
        _wake(iter([each for followed in self._followed.values() for each in followed.followers]))

    def followers(self, task_id: str) -> int:
        followed = self._followed.get(task_id)
        return len(followed.followers) if followed else 0

    @property
    def is_followed(self) -> bool:
        return bool(self._followed)


def _wake(followers: Iterator[Follower]) -> None:
    woken: Iterable[Follower] = list(islice(followers, WOKEN_AT_ONCE))
    for follower in woken:
        follower.hint.set()
    if woken:
        asyncio.get_running_loop().call_soon(_wake, followers)
