"""What the suites of this folder run on: every member of every seam."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from imageedit_server.feed.base import Feed
from imageedit_server.feed.local import LocalFeed
from imageedit_server.store.database import Database
from tests.contracts.databases import DATABASES, Member


@pytest.fixture(params=DATABASES)
def member(request: pytest.FixtureRequest) -> Member:
    """One implementation of the ``Database`` seam."""
    return DATABASES[request.param]


@pytest.fixture
def feed() -> Feed:
    """To whom the database hands its changes."""
    return LocalFeed()


@pytest.fixture
async def database(member: Member, feed: Feed, tmp_path: Path) -> AsyncIterator[Database]:
    """A new, empty database."""
    async with member.open(tmp_path, feed) as database:
        yield database
