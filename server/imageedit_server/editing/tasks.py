"""What callers do with tasks that exist: get, list, cancel, watch. Each within its tenant."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass

from imageedit_server.core.draining import Draining
from imageedit_server.core.errors import Reason, Refusal, invalid, task_not_found
from imageedit_server.core.task import TASK_ID, Event, State, Task
from imageedit_server.editing.page_tokens import PageTokens
from imageedit_server.feed.base import Feed
from imageedit_server.feed.tail import Tail
from imageedit_server.runtime.clock import Clock
from imageedit_server.store.database import Database
from imageedit_server.store.decisions import cancel_task
from imageedit_server.store.queries import events_after, get_task, list_tasks

DEFAULT_PAGE = 50
MAX_PAGE = 1000
EVENTS_PER_READ = 50


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Every event up to ``seq`` was handed out, and there is none after it yet."""

    seq: int


@dataclass(frozen=True, slots=True)
class Page:
    """Tasks, newest first. ``next_token`` is empty on the last page."""

    tasks: tuple[Task, ...]
    next_token: str


class Tasks:
    """Reads, ends and follows tasks. ``heartbeat_seconds`` is the longest silence of a watch."""

    def __init__(
        self,
        database: Database,
        feed: Feed,
        clock: Clock,
        tokens: PageTokens,
        *,
        draining: Draining,
        heartbeat_seconds: float = 15,
    ) -> None:
        self._database = database
        self._feed = feed
        self._draining = draining
        self._clock = clock
        self._tokens = tokens
        self._heartbeat_seconds = heartbeat_seconds

    async def get(self, tenant: str, task_id: str) -> Task:
        """Return a task as it is now. Raises TASK_NOT_FOUND, also for an id that is not well formed."""
        _check_task_id(task_id)
        task = await self._database.look_up(get_task, tenant, task_id)
        if task is None:
            raise task_not_found()
        return task

    async def list(
        self, tenant: str, *, user_id: str, states: Sequence[State], page_size: int, page_token: str
    ) -> Page:
        """Return one page. Raises INVALID_FIELD for a negative size or a token of another list or none."""
        if page_size < 0:
            raise invalid("page_size", "must not be negative")
        size = min(page_size or DEFAULT_PAGE, MAX_PAGE)
        states = tuple(sorted(set(states or State)))
        this_list = (tenant, user_id, *states)
        found = await self._database.read(
            list_tasks,
            tenant,
            user_id=user_id,
            states=states,
            before=self._number_in(page_token, this_list) if page_token else None,
            most=size + 1,
        )
        shown = found[:size]
        more = len(found) > size
        token = self._tokens.seal(shown[-1][0], this_list) if more else ""
        return Page(tuple(task for _, task in shown), token)

    def _number_in(self, token: str, this_list: tuple[str, ...]) -> int:
        try:
            return self._tokens.open(token, this_list)
        except ValueError:
            raise invalid("page_token", "was not given for these filters; start again without one") from None

    async def cancel(self, tenant: str, task_id: str) -> Task:
        """End a task; a finished one is returned as it is. Raises TASK_NOT_FOUND."""
        _check_task_id(task_id)
        return await self._database.write(cancel_task, tenant, task_id, self._clock.now())

    async def watch(
        self, tenant: str, task_id: str, after_seq: int
    ) -> AsyncGenerator[Event | Heartbeat, None]:
        """Yield every event after ``after_seq`` once, in order; end after the terminal one (P9, P12).

        Subscribes before it reads, so that nothing falls between. Raises TASK_NOT_FOUND, SEQ_OUT_OF_RANGE,
        and DRAINING when the server stops before the task is finished.
        """
        _check_task_id(task_id)
        with (
            self._feed.follow(task_id) as follower,
            _Silence(follower.hint, self._heartbeat_seconds) as silence,
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
            task = await self.get(tenant, task_id)
            raise _seq_out_of_range(after_seq, task.seq)
        return events

    async def _read(self, tail: Tail, task_id: str, seq: int) -> Sequence[Event]:
        events = await self._database.look_up(events_after, task_id, seq, EVENTS_PER_READ)
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


def _check_task_id(task_id: str) -> None:
    if not TASK_ID.fullmatch(task_id):
        raise task_not_found()


def _seq_out_of_range(after_seq: int, last: int) -> Refusal:
    return Refusal(
        Reason.SEQ_OUT_OF_RANGE,
        f"after_seq is {after_seq}; this task has events 1 to {last}, and 0 starts from the beginning.",
    )
