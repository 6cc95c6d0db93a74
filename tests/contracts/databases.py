"""Every implementation of the ``Database`` seam: one joins the suite with one line in ``DATABASES``."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection

from imageedit_server.store.database import Database
from imageedit_server.store.sqlite import SqliteDatabase


@dataclass(frozen=True)
class Member:
    """How the suite opens a database in a folder, and takes its disk away and gives it back.

    ``fill`` and ``free`` are units of their own transactions: from ``fill`` on nothing new can be stored.
    """

    open: Callable[[Path], AbstractAsyncContextManager[Database]]
    fill: Callable[[Connection], None]
    free: Callable[[Connection], None]


@asynccontextmanager
async def open_sqlite(folder: Path) -> AsyncIterator[SqliteDatabase]:
    """Open a SQLite database and close it."""
    database = SqliteDatabase(folder)
    await database.open()
    try:
        yield database
    finally:
        await database.close()


def _fill_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql("PRAGMA max_page_count = 1")  # SQLite takes the pages that there are


def _free_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql("PRAGMA max_page_count = 1000000")


DATABASES = {
    "sqlite": Member(open_sqlite, _fill_sqlite, _free_sqlite),
}
