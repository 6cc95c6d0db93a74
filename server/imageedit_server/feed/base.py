"""The seam between who changes tasks and who waits for changes. Everything a feed must do stands here.

What a feed says is only a hint: it may come twice, late or never, and the log is the truth (DESIGN §5). It
hands on the events with the hints where it has them, so that a thousand followers need no thousand reads.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from imageedit_server.core.change import Change, Publisher
from imageedit_server.feed.tail import Tail


@dataclass(slots=True, eq=False)
class Follower:
    """One who follows a task. ``hint`` is set at every change of it; the follower clears it."""

    hint: asyncio.Event
    tail: Tail


class Feed(Publisher, Protocol):
    """Carries changes from whoever commits them to workers and watchers. Lives on the loop of its process.

    ``announce`` must ask everyone of ``expect``, also after one has said yes. ``publish`` must set the hint
    of every follower of each task that changed, then call everyone of ``listen``, in the order of the
    changes. A change that comes without its event and lies beyond a tail's end must void that tail, so that
    its followers read the log instead of being told that there is nothing new.
    """

    def listen(self, listener: Callable[[Sequence[Change]], None]) -> None:
        """Call ``listener`` with all changes from now on. It must neither block nor raise."""
        ...

    def expect(self, listener: Callable[[Sequence[Change]], bool]) -> None:
        """Call ``listener`` before changes are committed, which may yet fail.

        It says whether it asks, in the loop's next turn, for a unit that is best committed with them.
        """
        ...

    def follow(self, task_id: str) -> AbstractContextManager[Follower]:
        """Follow a task for as long as the block runs; must leave nothing behind.

        Followers of one task share one tail, which must be empty when the first one comes.
        """
        ...

    def wake_all(self) -> None:
        """Wake every follower, though nothing changed: each is to look around."""
        ...

    def followers(self, task_id: str) -> int:
        """Return how many follow a task in this process."""
        ...

    @property
    def is_followed(self) -> bool:
        """Whether anybody follows anything in this process."""
        ...
