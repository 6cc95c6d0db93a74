"""Statements that run often: compiled once, then given to the driver without the work of the layers between.

They are written as SQLAlchemy Core like all others; what is left out is what Core does at each execution,
which takes several times as long as SQLite itself. How a driver executes is known by its ``Dialect`` alone.
"""

from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Insert, Select, Table, Update, insert

from imageedit_server.store.dialect import Cursor, Dialect, dialect_of

Statement = Select[Any] | Insert | Update


class _Compiled:
    """A statement in one engine's words, with the names of its parameters in their order."""

    __slots__ = ("names", "text", "values")

    def __init__(self, statement: Statement, connection: Connection, columns: Sequence[str] | None) -> None:
        compiled = statement.compile(dialect=connection.dialect, column_keys=columns and list(columns))
        self.text = str(compiled)
        self.names = compiled.positiontup or []
        self.values = {
            name: value
            for name, value in compiled.params.items()
            if value is not None and not compiled.binds[name].required  # that one's value is a mark, an int
        }


class _Prepared:
    def __init__(self, statement: Statement) -> None:
        self._statement = statement
        self._compiled: dict[str, _Compiled] = {}

    def _run(self, connection: Connection, parameters: Mapping[str, Any]) -> Cursor:
        dialect, engine = dialect_of(connection), connection.dialect.name
        compiled = self._compiled.get(engine)
        if compiled is None:
            compiled = self._compiled[engine] = self._compile(connection, dialect)
        given = {**compiled.values, **parameters} if compiled.values else parameters
        return dialect.execute(compiled.text, [given[name] for name in compiled.names])

    def _compile(self, connection: Connection, _dialect: Dialect) -> _Compiled:
        return _Compiled(self._statement, connection, None)


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
    """An insertion of one row. Raises ``Taken``; what the engine counts by itself is left out.

    A column that may be null is null where no value is given; for another one that is a ``KeyError``.
    """

    def __init__(self, statement: Insert) -> None:
        super().__init__(statement)
        self._columns = [
            column.key
            for column in statement.table.columns
            if column is not getattr(statement.table, "autoincrement_column", None)
        ]
        self._nulls = dict.fromkeys(column.key for column in statement.table.columns if column.nullable)

    def run(self, connection: Connection, **values: Any) -> None:
        """Insert the row."""
        self._run(connection, values)

    def number(self, connection: Connection, **values: Any) -> int:
        """Insert the row; return what the statement is to return of it."""
        return int(self._run(connection, values).fetchone()[0])

    def _compile(self, connection: Connection, dialect: Dialect) -> _Compiled:
        return self._filled(self._statement, connection)

    def _filled(self, statement: Statement, connection: Connection) -> _Compiled:
        compiled = _Compiled(statement, connection, self._columns)
        compiled.values = {**self._nulls, **compiled.values}
        return compiled


class PreparedUpsert(PreparedInsert):
    """An insertion of one row that may be there; ``conflict`` tells the engine's INSERT what to do then."""

    def __init__(self, table: Table, conflict: Callable[[Any], Insert]) -> None:
        super().__init__(insert(table))
        self._table = table
        self._conflict = conflict

    def _compile(self, connection: Connection, dialect: Dialect) -> _Compiled:
        return self._filled(self._conflict(dialect.upsert(self._table)), connection)


class PreparedUpdate(_Prepared):
    """A change of rows. Every value must be a named parameter. Raises ``Taken``."""

    def run(self, connection: Connection, **parameters: Any) -> int:
        """Return how many rows were changed."""
        return self._run(connection, parameters).rowcount
