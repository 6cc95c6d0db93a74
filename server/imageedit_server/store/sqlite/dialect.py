"""How units speak to SQLite: text for the driver, and no locks, since one unit runs after another."""

import sqlite3
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Table
from sqlalchemy.dialects.sqlite import Insert, insert

from imageedit_server.store.dialect import Taken
from imageedit_server.store.sqlite.errors import TAKEN, name_of


class SqliteDialect:
    """The ``Dialect`` of one connection to a SQLite file."""

    def __init__(self, driver: sqlite3.Connection) -> None:
        self._driver = driver

    def execute(self, statement: str, values: Sequence[Any]) -> sqlite3.Cursor:
        try:
            return self._driver.execute(statement, values)
        except sqlite3.IntegrityError as error:
            if name_of(error) in TAKEN:
                raise Taken(str(error)) from error
            raise

    def upsert(self, table: Table) -> Insert:
        return insert(table)

    def lock_task(self, task_id: str) -> None:
        """The one writer is the lock."""

    def lock_usage(self, tenant: str) -> None:
        """The one writer is the lock."""
