"""Two databases on one store, as two servers have them, and how their units are made to meet.

What is opened here joins ``test_database_races`` with one line in ``REPLICAS``.
"""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from imageedit_server.core.change import Change
from imageedit_server.store.database import CHANGES, MOST_RUNS, RunAgain
from imageedit_server.store.dialect import DIALECT
from imageedit_server.store.sqlite.dialect import SqliteDialect
from imageedit_server.store.sqlite.errors import BUSY, busy, name_of
from imageedit_server.store.sqlite.file import DATABASE_NAME, driver, open_connection
from tests.contracts.databases import PATIENCE_SECONDS, open_sqlite, open_twice

T = TypeVar("T")


class Meeting:
    """Where two units wait for each other after what they read first and before they write."""

    def __init__(self) -> None:
        self._barrier: threading.Barrier | None = None

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let the units that run in this block meet."""
        self._barrier = threading.Barrier(2, timeout=PATIENCE_SECONDS)
        try:
            yield
        finally:
            self._barrier = None

    def wait(self) -> None:
        """Wait for the other one, where a meeting is held."""
        if self._barrier is not None:
            self._barrier.wait()


@dataclass(frozen=True)
class Replicas:
    """Two databases on one store. A second engine shows that it bears their units at the same time."""

    first: Any
    second: Any
    meeting: Meeting


class SnapshotDatabase:
    """A second engine in miniature: units run beside one another, each on what it saw when it began.

    Of two that write, the later is undone and run again after the other, if it may be. It has what
    races need of the seam, and nothing else.
    """

    def __init__(self, path: Path, meeting: Meeting, most_runs: int) -> None:
        self._path = path
        self._meeting = meeting
        self._most_runs = most_runs

    async def write(self, unit: Callable[..., T], /, *args: Any, **kwargs: Any) -> T:
        """Run ``unit``, again where another one was quicker."""
        return await asyncio.to_thread(self._run_until_it_holds, lambda each: unit(each, *args, **kwargs))

    record = read = look_up = write

    def _run_until_it_holds(self, unit: Callable[[Connection], T]) -> T:
        for run in range(self._most_runs):
            try:
                return self._run_once(unit, is_first=run == 0)
            except RunAgain:
                pass
            except (DBAPIError, sqlite3.OperationalError) as error:
                if not name_of(error).startswith(BUSY):
                    raise
        raise busy()

    def _run_once(self, unit: Callable[[Connection], T], *, is_first: bool) -> T:
        with closing(open_connection(self._path, "FULL")) as connection:
            changes: list[Change] = []
            connection.info[CHANGES] = changes
            if is_first:
                connection.info[DIALECT] = _MeetingDialect(driver(connection), self._meeting)
            driver(connection).execute("BEGIN" if is_first else "BEGIN IMMEDIATE")
            result = unit(connection)
            driver(connection).execute("COMMIT")
            return result


class _MeetingDialect(SqliteDialect):
    """Makes a unit wait for the other one before it writes for the first time."""

    def __init__(self, connection: sqlite3.Connection, meeting: Meeting) -> None:
        super().__init__(connection)
        self._meeting = meeting
        self._has_met = False

    def execute(self, statement: str, values: Sequence[Any]) -> sqlite3.Cursor:
        if not self._has_met and not statement.startswith("SELECT"):
            self._has_met = True
            self._meeting.wait()
        return super().execute(statement, values)


@asynccontextmanager
async def open_snapshots(folder: Path, most_runs: int = MOST_RUNS) -> AsyncIterator[Replicas]:
    """Make a file, then two databases on it."""
    async with open_sqlite(folder):
        pass
    meeting, path = Meeting(), folder / DATABASE_NAME
    first, second = (SnapshotDatabase(path, meeting, most_runs) for _ in range(2))
    yield Replicas(first, second, meeting)


@asynccontextmanager
async def _alone(folder: Path, open_: Callable[..., Any]) -> AsyncIterator[Replicas]:
    """One server, since its lock keeps others out: its callers race."""
    async with open_(folder) as database:
        yield Replicas(database, database, Meeting())


REPLICAS: dict[str, Callable[[Path], AbstractAsyncContextManager[Replicas]]] = {
    "sqlite": partial(_alone, open_=open_sqlite),
    "sqlite, every unit twice": partial(_alone, open_=open_twice),
    "snapshots": open_snapshots,
}
