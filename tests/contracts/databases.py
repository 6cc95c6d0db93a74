"""Every implementation of the ``Database`` seam: one joins the suite with one line in ``DATABASES``."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import Connection

from imageedit_server.core.change import Publisher
from imageedit_server.store.database import Database
from imageedit_server.store.sqlite.database import SqliteDatabase

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
async def open_sqlite(folder: Path, publisher: Publisher | None = None) -> AsyncIterator[SqliteDatabase]:
    """Open a SQLite database and close it."""
    database = SqliteDatabase(folder, publisher=publisher)
    await database.open()
    try:
        yield database
    finally:
        await database.close()


@asynccontextmanager
async def held_up_sqlite(database: SqliteDatabase) -> AsyncIterator[None]:
    """Let a COMMIT last as long as the block."""
    may_end = threading.Event()
    database._commits._thread.submit(may_end.wait, PATIENCE_SECONDS)
    holding = asyncio.ensure_future(database.record(lambda _: None))
    await asyncio.sleep(0)  # it is asked for
    await asyncio.sleep(0)  # it runs, and waits for its COMMIT
    try:
        yield
    finally:
        may_end.set()
        await holding


def _fill_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql("PRAGMA max_page_count = 1")  # SQLite takes the pages that there are


def _free_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql("PRAGMA max_page_count = 1000000")


DATABASES = {
    "sqlite": Member(open_sqlite, held_up_sqlite, _fill_sqlite, _free_sqlite),
}
