"""The one writer: units of work run on the loop, and a thread makes a group of them durable at once.

A unit takes some tens of microseconds; handing it to another thread and back would cost more than that. What
takes long is the COMMIT: it waits for the disk without holding Python up. The units that come meanwhile are
the next group.

A unit that fails takes nothing with it. Hardly one does after it has written, so they run without
savepoints, for which SQLite copies each page that changes. Where one did, its group is undone and run anew,
each unit in a savepoint of its own.
"""

import asyncio
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from imageedit_server.core.change import Publisher
from imageedit_server.runtime.signals import Signal
from imageedit_server.runtime.standing import FilesLost
from imageedit_server.store.database import CHANGES, MOST_RUNS, RunAgain
from imageedit_server.store.sqlite.errors import BUSY, FULL, busy, for_caller, is_untrusted, name_of
from imageedit_server.store.sqlite.file import MAX_WAIT_SECONDS, driver
from imageedit_server.store.sqlite.waiting import Waiting, changes_of, measure

T = TypeVar("T")

COMMITTING = Signal()
"""In the thread that commits, before each COMMIT that makes something durable."""

MAX_GROUP = 256
MAX_GROUP_SECONDS = 0.01
"""How long a group may hold the loop up before it is committed; what is left is the next one's."""


class _Undone(Exception):
    """A unit failed after it had written, in the transaction that it shares with its group."""


class GroupCommit:
    """Runs units in the order in which they came. Lives on the loop; ``close`` it there.

    ``publisher`` is told every change before its commit and after it. ``distrust`` is told the error after
    which nothing may be written any more: a failed fsync is never tried again (F22). ``lost`` says, in the
    thread that commits, what happened to the files: nothing that went into others is told as stored (F28).
    """

    def __init__(
        self,
        connection: Connection,
        *,
        publisher: Publisher,
        distrust: Callable[[BaseException], None],
        lost: Callable[[], str] = lambda: "",
    ) -> None:
        self._connection = connection
        self._cursor = driver(connection)
        self._cursor.execute("PRAGMA busy_timeout = 0")  # nobody waits on the loop
        self._publisher = publisher
        self._distrust = distrust
        self._lost = lost
        self._loop = asyncio.get_running_loop()
        self._queue: deque[Waiting] = deque()
        self._more = asyncio.Event()
        self._cuts: list[asyncio.Future[bool]] = []
        self._singly = 0
        self._in_savepoints = False
        self._closing = False
        self._fatal: BaseException | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="store-commit")
        self._serving = asyncio.create_task(self._serve(), name="store writer")
        self._serving.add_done_callback(self._ended)
        self.waiting = 0
        """How many units were asked for and are not durable yet."""

    def submit(self, unit: Callable[[Connection], T], *, patient: bool) -> asyncio.Future[T]:
        """Return what will be the unit's result, or its error, once it is durable.

        One that is not ``patient`` is refused as STORE_BUSY when its turn does not come in time.
        """
        future: asyncio.Future[T] = self._loop.create_future()
        self._queue.append(Waiting(unit, future, patient))
        self.waiting += 1
        self._more.set()
        return future

    def cut_log(self) -> asyncio.Future[bool]:
        """Return what says whether the write-ahead log was brought into the file and cut to nothing.

        All that is durable now is in the file then. It cannot be done while somebody reads the log.
        """
        future: asyncio.Future[bool] = self._loop.create_future()
        self._cuts.append(future)
        self._more.set()
        return future

    async def close(self) -> None:
        """Make durable what waits, then end; what another program's lock keeps out by then is refused."""
        self._closing = True
        self._more.set()
        await asyncio.wait([self._serving])
        self._thread.shutdown()

    def _ended(self, serving: asyncio.Task[None]) -> None:
        """Nothing would be stored any more, and nobody would know."""
        if not serving.cancelled() and (error := serving.exception()):
            self._distrust(error)

    async def _serve(self) -> None:
        while await self._has_more():
            cuts, self._cuts = self._cuts, []
            if self._queue:
                await self._serve_group()
            if cuts:
                await self._cut(cuts)

    async def _serve_group(self) -> None:
        group: list[Waiting] = []
        began = time.monotonic()
        try:
            await self._begin()
            changes = self._cursor.total_changes
            self._run_units(group)
            await self._run_what_follows(group)
            await self._commit(is_empty=self._cursor.total_changes == changes)
        except _Undone:
            self._run_anew(group)
            return
        except Exception as error:  # noqa: BLE001  it goes to everyone of the group
            self._undo(group, error)
        self._in_savepoints = False
        self._settle(group)
        measure(group, began)

    async def _has_more(self) -> bool:
        while not self._queue and not self._cuts and not self._closing:
            self._more.clear()
            await self._more.wait()
        return bool(self._queue or self._cuts)

    async def _cut(self, cuts: Sequence[asyncio.Future[bool]]) -> None:
        """Cut the log for everyone who asked; an error goes to each."""
        try:
            is_cut = await self._loop.run_in_executor(self._thread, self._cut_now)
        except sqlite3.Error as error:
            if is_untrusted(error):
                self._fatal = error
                self._distrust(error)
            for each in cuts:
                if not each.done():
                    each.set_exception(for_caller(error))
            return
        for each in cuts:
            if not each.done():
                each.set_result(is_cut)

    def _cut_now(self) -> bool:
        [busy, _, _] = self._cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return not busy

    async def _begin(self) -> None:
        if self._fatal is not None:
            raise self._fatal
        try:
            self._cursor.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if not name_of(error).startswith(BUSY):
                raise
            await self._loop.run_in_executor(self._thread, self._begin_patiently)

    async def _commit(self, *, is_empty: bool) -> None:
        """Commit; where nothing was written, such as by a claim that found nothing, no fsync waits."""
        if is_empty:
            self._cursor.execute("COMMIT")
        else:
            await self._loop.run_in_executor(self._thread, self._commit_durably)

    def _commit_durably(self) -> None:
        COMMITTING()
        self._cursor.execute("COMMIT")
        if lost := self._lost():
            raise FilesLost(lost)

    def _begin_patiently(self) -> None:
        """Wait for another program that holds the file's lock."""
        self._cursor.execute(f"PRAGMA busy_timeout = {int(MAX_WAIT_SECONDS * 1000)}")
        try:
            self._cursor.execute("BEGIN IMMEDIATE")
        finally:
            self._cursor.execute("PRAGMA busy_timeout = 0")

    def _run_units(self, group: list[Waiting]) -> None:
        """Move units that wait into ``group`` and run each."""
        most = 1 if self._singly else MAX_GROUP
        self._singly = max(self._singly - 1, 0)
        end = time.monotonic() + MAX_GROUP_SECONDS
        while self._queue and len(group) < most and (not group or time.monotonic() < end):
            group.append(self._queue.popleft())
            self._run_unit(group[-1])

    async def _run_what_follows(self, group: list[Waiting]) -> None:
        """Take in what the changes of a group lead to, such as the claim of a new task: it saves a commit."""
        if not self._singly and self._publisher.announce(changes_of(group)):
            await asyncio.sleep(0)  # it is asked for in this turn
            self._run_units(group)

    def _run_unit(self, waiting: Waiting) -> None:
        if not waiting.patient and time.monotonic() - waiting.since > MAX_WAIT_SECONDS:
            waiting.error = busy()
            return
        for _ in range(MOST_RUNS):
            self._run_once(waiting)
            if not isinstance(waiting.error, RunAgain):
                return
        waiting.error = busy()

    def _run_once(self, waiting: Waiting) -> None:
        waiting.error, waiting.changes = None, []
        self._connection.info[CHANGES] = waiting.changes
        changes = self._cursor.total_changes
        if self._in_savepoints:
            self._cursor.execute("SAVEPOINT unit")
        try:
            waiting.result = waiting.unit(self._connection)
        except Exception as error:
            if not self._cursor.in_transaction:  # SQLite undid everything, not only this unit
                raise
            if is_untrusted(error):
                raise
            self._undo_unit(error, has_written=self._cursor.total_changes != changes)
            waiting.error = error
            waiting.changes.clear()
        if self._in_savepoints:
            self._cursor.execute("RELEASE unit")

    def _undo_unit(self, error: Exception, *, has_written: bool) -> None:
        """Take back what a unit that failed has written. Raises ``_Undone`` where only all can be.

        After an error of the engine, nobody knows what it has written: changed tables are not counted.
        """
        if self._in_savepoints:
            self._cursor.execute("ROLLBACK TO unit")
        elif has_written or isinstance(error, sqlite3.Error | DBAPIError):
            raise _Undone from error

    def _run_anew(self, group: Sequence[Waiting]) -> None:
        """Undo a group, and let it be the next one."""
        self._cursor.execute("ROLLBACK")
        self._queue.extendleft(reversed(group))
        self._in_savepoints = True

    def _undo(self, group: list[Waiting], error: BaseException) -> None:
        """Nothing of the group is stored: say so to each, or try each by itself."""
        with suppress(sqlite3.Error):
            self._cursor.execute("ROLLBACK")
        if name_of(error) == FULL and len(group) > 1:  # one may have needed more room than the others
            self._queue.extendleft(reversed(group))
            self._singly = len(group)
            group.clear()
            return
        if is_untrusted(error):
            self._fatal = error
            self._distrust(error)
        if not group:  # it was not even begun
            group.extend(self._unbegun(error))
        for waiting in group:
            waiting.error, waiting.changes = error, []

    def _unbegun(self, error: BaseException) -> list[Waiting]:
        """Take out of the queue what need not wait until the file can be written again."""
        may_stay = name_of(error).startswith(BUSY) and not self._closing
        leave = [each for each in self._queue if not (each.patient and may_stay)]
        self._queue = deque(each for each in self._queue if each.patient and may_stay)
        return leave

    def _settle(self, group: Sequence[Waiting]) -> None:
        self.waiting -= len(group)
        for waiting in group:
            waiting.answer()
        if changes := changes_of(group):
            self._publisher.publish(changes)
