"""Statements that run often: compiled once, then given to the driver without the work of the layers between.

They are written as SQLAlchemy Core like all others; what is left out is what Core does at each execution,
which takes several times as long as SQLite itself.
"""

import sqlite3
from collections import namedtuple
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Insert, Select, Update
from sqlalchemy.dialects import sqlite as dialect

from imageedit_server.store.sqlite.file import driver


class _Prepared:
    def __init__(
        self, statement: Select[Any] | Insert | Update, column_keys: list[str] | None = None
    ) -> None:
        compiled = statement.compile(dialect=dialect.dialect(), column_keys=column_keys)
        self._sql = str(compiled)
        self._names = compiled.positiontup or []
        self._values = {name: value for name, value in compiled.params.items() if value is not None}

    def _run(self, connection: Connection, parameters: Mapping[str, Any]) -> sqlite3.Cursor:
        given = {**self._values, **parameters}
        return driver(connection).execute(self._sql, [given[name] for name in self._names])


class PreparedSelect(_Prepared):
    """A query. Its rows are named tuples of its columns."""

    def __init__(self, statement: Select[Any]) -> None:
        super().__init__(statement)
        self._row = _row_type([str(column.key) for column in statement.selected_columns])

    def all(self, connection: Connection, **parameters: Any) -> list[Any]:
        """Return every row."""
        return [self._row._make(row) for row in self._run(connection, parameters)]

    def first(self, connection: Connection, **parameters: Any) -> Any:
        """Return the first row, None when there is none."""
        row = self._run(connection, parameters).fetchone()
        return row and self._row._make(row)


def _row_type(names: list[str]) -> Any:
    return namedtuple("_Row", names)


class PreparedInsert(_Prepared):
    """An insertion of one row."""

    def __init__(self, statement: Insert) -> None:
        super().__init__(statement, [column.key for column in statement.table.columns])

    def run(self, connection: Connection, **values: Any) -> int:
        """Insert the row; return its rowid, for a table that has one."""
        return self._run(connection, values).lastrowid or 0


class PreparedUpdate(_Prepared):
    """A change of rows. Every value must be a named parameter."""

    def run(self, connection: Connection, **parameters: Any) -> int:
        """Return how many rows were changed."""
        return self._run(connection, parameters).rowcount
