"""Following a task: every event once and in order, from a cursor on that the watcher keeps.

The cursor is ``after_seq``: the seq of the last event that the watcher has seen. Who comes back with it gets
the next one, from whichever server.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass

from imageedit_server.core.draining import Draining
from imageedit_server.core.errors import Reason, Refusal
from imageedit_server.core.task import Event
from imageedit_server.editing.tasks import Tasks, check_task_id
from imageedit_server.feed.base import Feed
from imageedit_server.feed.tail import Tail
from imageedit_server.runtime.recent import Recent
from imageedit_server.store.database import Database
from imageedit_server.store.queries import events_after
from imageedit_server.store.rows import KnownEvents

EVENTS_PER_READ = 50
KNOWN_EVENTS = 8192
"""How many events are kept that were read lately: watchers of one task read its log one after the other."""


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Every event up to ``seq`` was handed out, and there is none after it yet."""

    seq: int


class Watching:
    """Follows tasks. ``heartbeat_seconds`` is the longest silence of a watch."""

    def __init__(
        self,
        database: Database,
        feed: Feed,
        tasks: Tasks,
        *,
        draining: Draining,
        heartbeat_seconds: float = 15,
    ) -> None:
        self._database = database
        self._feed = feed
        self._tasks = tasks
        self._draining = draining
        self._known: KnownEvents = Recent(KNOWN_EVENTS)
        self.heartbeat_seconds = heartbeat_seconds
        """Of silence, after which a watch says up to where it was sent everything."""

    async def watch(
        self, tenant: str, task_id: str, after_seq: int
    ) -> AsyncGenerator[Event | Heartbeat, None]:
        """Yield every event after ``after_seq`` once, in order; end after the terminal one (P9, P12).

        Subscribes before it reads, so that nothing falls between. Raises TASK_NOT_FOUND, SEQ_OUT_OF_RANGE,
        and DRAINING when the server stops before the task is finished.
        """
        check_task_id(task_id)
        with (
            self._feed.follow(task_id) as follower,
            _Silence(follower.hint, self.heartbeat_seconds) as silence,
        ):
            events = await self._from(follower.tail, tenant, task_id, after_seq)
            seq = after_seq
            while True:
                for event in events:
                    if event.seq > seq:  # the first may be the one that it resumes after
                        yield event
                        seq = event.seq
                    if event.task.status.state.terminal:
                        return
                self._draining.refuse()
                if events:
                    look = False
                    silence.end()
                else:
                    await follower.hint.wait()
                    if look := silence.lasted_long():  # a hint may have been lost, too
                        yield Heartbeat(seq)
                        silence.end()
                follower.hint.clear()
                kept = None if look else follower.tail.after(seq)
                events = await self._read(follower.tail, task_id, seq) if kept is None else kept

    async def _from(self, tail: Tail, tenant: str, task_id: str, after_seq: int) -> Sequence[Event]:
        """Return events from ``after_seq`` itself on: it shows whose it is, and whether more may follow."""
        before = max(after_seq, 1) - 1
        events = tail.after(before) or await self._read(tail, task_id, before)
        if after_seq < 0 or not events or events[0].task.tenant != tenant:
            task = await self._tasks.get(tenant, task_id)
            raise _seq_out_of_range(after_seq, task.seq)
        return events

    async def _read(self, tail: Tail, task_id: str, seq: int) -> Sequence[Event]:
        events = await self._database.look_up(events_after, task_id, seq, EVENTS_PER_READ, self._known)
        if len(events) < EVENTS_PER_READ:  # up to the end
            tail.take(events)
        return events


class _Silence:
    """Sets ``hint`` after ``seconds`` of silence. One timer does for any number of events."""

    def __init__(self, hint: asyncio.Event, seconds: float) -> None:
        self._hint = hint
        self._seconds = seconds
        self._loop = asyncio.get_running_loop()

    def __enter__(self) -> "_Silence":
        self.end()
        self._timer = self._loop.call_later(self._seconds, self._look)
        return self

    def __exit__(self, *_error: object) -> None:
        self._timer.cancel()

    def end(self) -> None:
        """Say that something was sent."""
        self._since = self._loop.time()

    def lasted_long(self) -> bool:
        """Whether nothing was sent for ``seconds``."""
        return self._loop.time() >= self._since + self._seconds

    def _look(self) -> None:
        since = self._since
        if self.lasted_long():
            self._hint.set()
            since = self._loop.time()
        self._timer = self._loop.call_at(since + self._seconds, self._look)


def _seq_out_of_range(after_seq: int, last: int) -> Refusal:
    return Refusal(
        Reason.SEQ_OUT_OF_RANGE,
        f"after_seq is {after_seq}; this task has events 1 to {last}, and 0 starts from the beginning.",
    )
