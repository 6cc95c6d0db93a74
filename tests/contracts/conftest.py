"""What the suites of this folder run on: every member of every seam."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from imageedit_server.store.database import Database
from tests.contracts.databases import DATABASES, Member


@pytest.fixture(params=DATABASES)
def member(request: pytest.FixtureRequest) -> Member:
    """One implementation of the ``Database`` seam."""
    return DATABASES[request.param]


@pytest.fixture
async def database(member: Member, tmp_path: Path) -> AsyncIterator[Database]:
    """A new, empty database."""
    async with member.open(tmp_path) as database:
        yield database
