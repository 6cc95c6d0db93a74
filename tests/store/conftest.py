"""What this room's tests share: a SQLite database in a folder of its own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from imageedit_server.feed.local import LocalFeed
from imageedit_server.store.sqlite.database import SqliteDatabase
from tests.contracts.databases import open_sqlite


@pytest.fixture
def feed() -> LocalFeed:
    """To whom the database hands its changes."""
    return LocalFeed()


@pytest.fixture
async def database(tmp_path: Path, feed: LocalFeed) -> AsyncIterator[SqliteDatabase]:
    """A new database in ``tmp_path``."""
    async with open_sqlite(tmp_path, feed) as database:
        yield database
