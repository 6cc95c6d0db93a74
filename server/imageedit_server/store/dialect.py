"""What differs from engine to engine, in the words of the units.

There is no ``greatest``, which CASE says on every engine. Nor are there candidates for claims: the walks of
``claims`` are right on every engine, because what they found is locked and looked at again.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from sqlalchemy import Connection, Table

DIALECT = "dialect"
"""Key of ``Connection.info``: the ``Dialect`` of the connection."""


class Taken(Exception):
    """A unique key was taken by another row already. The unit can write nothing more."""


class Cursor(Protocol):
    """What a statement brought."""

    @property
    def rowcount(self) -> int:
        """How many rows it changed."""
        ...

    def fetchone(self) -> Any:
        """Return the next row as a tuple, None when there is none."""
        ...

    def __iter__(self) -> Iterator[Any]:
        """Go through the rows that are left, as tuples."""
        ...


class Dialect(Protocol):
    """How one connection speaks to its engine."""

    def execute(self, statement: str, values: Sequence[Any]) -> Cursor:
        """Run a statement that was compiled for this engine. Raises ``Taken``, or an error of the driver."""
        ...

    def upsert(self, table: Table) -> Any:
        """Return the engine's INSERT, the kind that may say ``on_conflict_…`` and what was ``excluded``."""
        ...

    def lock_task(self, task_id: str) -> None:
        """Keep everybody else from deciding about a task until this unit's end, as a statement of its own.

        What is read afterwards is as the last one who decided left it. Does nothing for a task that is not
        there, and nothing at all where units run one after another.
        """
        ...

    def lock_usage(self, tenant: str) -> None:
        """Keep everybody else from changing what a tenant uses until this unit's end."""
        ...


def dialect_of(connection: Connection) -> Dialect:
    """Return the dialect that the database gave a connection."""
    dialect: Dialect = connection.info[DIALECT]
    return dialect


def lock_task(connection: Connection, task_id: str) -> None:
    """Begin to decide about a task: lock first, then read."""
    dialect_of(connection).lock_task(task_id)
