"""Changes of tables that SQLAlchemy has no words for, in those of every engine."""

from typing import Any

from sqlalchemy import DDL, Column, Connection
from sqlalchemy.schema import CreateColumn


def add_column(connection: Connection, table: str, column: Column[Any]) -> None:
    """Add a column behind the others; it must be nullable or have a default of the server's."""
    spelled = CreateColumn(column).compile(dialect=connection.dialect)
    connection.execute(DDL(f"ALTER TABLE {table} ADD COLUMN {spelled}"))
