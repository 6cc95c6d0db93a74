"""What a prepared insertion does with columns that it is given no value for."""

from pathlib import Path

import pytest
from sqlalchemy import Column, Connection, Integer, MetaData, String, Table, insert, select

from imageedit_server.store.statements import PreparedInsert, PreparedUpsert
from tests.contracts.databases import open_sqlite

THING = Table(
    "thing",
    MetaData(),
    Column("name", String, primary_key=True),
    Column("size", Integer, nullable=False),
    Column("cost", Integer),
)
PREPARED = {
    "insert": lambda: PreparedInsert(insert(THING)),
    "upsert": lambda: PreparedUpsert(THING, lambda new: new.on_conflict_do_nothing()),
}


@pytest.mark.parametrize("kind", PREPARED)
async def test_a_column_that_may_be_null_is_null_where_nothing_is_given(kind: str, tmp_path: Path) -> None:
    """So that a new column costs those who know nothing of it nothing."""

    def unit(connection: Connection) -> list[tuple[object, ...]]:
        THING.create(connection)
        statement = PREPARED[kind]()
        statement.run(connection, name="a", size=1)
        statement.run(connection, name="b", size=2, cost=3)
        return [tuple(row) for row in connection.execute(select(THING).order_by(THING.c.name))]

    async with open_sqlite(tmp_path) as database:
        assert await database.write(unit) == [("a", 1, None), ("b", 2, 3)]


@pytest.mark.parametrize("kind", PREPARED)
async def test_a_column_that_may_not_be_null_must_be_given(kind: str, tmp_path: Path) -> None:
    """SQLAlchemy's mark for what is missing is an int, which SQLite would take for a value."""

    def unit(connection: Connection) -> None:
        THING.create(connection)
        PREPARED[kind]().run(connection, name="a")

    async with open_sqlite(tmp_path) as database:
        with pytest.raises(KeyError, match="size"):
            await database.write(unit)
