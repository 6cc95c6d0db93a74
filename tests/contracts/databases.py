"""Every implementation of the ``Database`` seam: one joins the suite with one line in ``DATABASES``."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection

from imageedit_server.core.change import Publisher
from imageedit_server.store.database import CHANGES, Database
from imageedit_server.store.sqlite.database import SqliteDatabase
from imageedit_server.store.sqlite.file import driver
from imageedit_server.store.sqlite.group_commit import COMMITTING

T = TypeVar("T")

PATIENCE_SECONDS = 90


class Open(Protocol):
    """Opens a database that hands its changes to ``publisher``, if there is one."""

    def __call__(
        self, folder: Path, publisher: Publisher | None = None
    ) -> AbstractAsyncContextManager[Database]: ...


@dataclass(frozen=True)
class Member:
    """How the suite opens a database in a folder, holds it up, and takes its disk away and gives it back.

    While it is held up, nothing becomes durable; what is asked for meanwhile waits. ``fill`` and ``free`` are
    units of their own transactions: from ``fill`` on nothing new can be stored.
    """

    open: Open
    held_up: Callable[[Any], AbstractAsyncContextManager[None]]
    fill: Callable[[Connection], None]
    free: Callable[[Connection], None]


@asynccontextmanager
async def open_sqlite(
    folder: Path, publisher: Publisher | None = None, *, of: type[SqliteDatabase] = SqliteDatabase
) -> AsyncIterator[SqliteDatabase]:
    """Open a SQLite database and close it."""
    database = of(folder, publisher=publisher)
    await database.open()
    try:
        yield database
    finally:
        await database.close()


@asynccontextmanager
async def held_up_sqlite(database: SqliteDatabase) -> AsyncIterator[None]:
    """Let a COMMIT last as long as the block."""
    may_end = threading.Event()
    with COMMITTING.heard_by(lambda: _wait(may_end)):
        holding = asyncio.ensure_future(database.record(lambda _: None))
        await asyncio.sleep(0)  # it is asked for
        await asyncio.sleep(0)  # it runs, and waits for its COMMIT
        try:
            yield
        finally:
            may_end.set()
            await holding


def _wait(event: threading.Event) -> None:
    event.wait(PATIENCE_SECONDS)


def _fill_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql("PRAGMA max_page_count = 1")  # SQLite takes the pages that there are


def _free_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql("PRAGMA max_page_count = 1000000")


class TwiceDatabase(SqliteDatabase):
    """Runs every unit twice, as a database may: what the first run did is undone."""

    async def _submit(self, unit: Callable[[Connection], T], *, patient: bool) -> T:
        return await super()._submit(partial(_run_twice, unit), patient=patient)


def _run_twice(unit: Callable[[Connection], T], connection: Connection) -> T:
    cursor = driver(connection)
    cursor.execute("SAVEPOINT first")
    try:
        unit(connection)
    except Exception:
        if not cursor.in_transaction:  # SQLite undid everything, what others wrote too
            raise
    cursor.execute("ROLLBACK TO first")
    cursor.execute("RELEASE first")
    connection.info[CHANGES].clear()
    return unit(connection)


open_twice = partial(open_sqlite, of=TwiceDatabase)

DATABASES = {
    "sqlite": Member(open_sqlite, held_up_sqlite, _fill_sqlite, _free_sqlite),
    "sqlite, every unit twice": Member(open_twice, held_up_sqlite, _fill_sqlite, _free_sqlite),
}
