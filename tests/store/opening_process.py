"""Opens a data folder as a server does, and closes it: ``python -m tests.store.opening_process FOLDER``.

``--more`` plants one more step of migration, ``--most-bytes N`` lets no file grow beyond that.
"""

import argparse
import asyncio
import resource
import signal
import sys
from pathlib import Path

from sqlalchemy import Connection, text

from imageedit_server.store import migrations
from imageedit_server.store.database import StoreRefused
from imageedit_server.store.sqlite import file
from imageedit_server.store.sqlite.database import SqliteDatabase

PLANTED = 1 + migrations.SCHEMA_VERSION


def plant() -> None:
    """Let there be a newer schema."""
    last = migrations.MIGRATIONS[-1]

    def change(connection: Connection) -> None:
        connection.execute(text("ALTER TABLE image ADD COLUMN planted VARCHAR"))

    more = migrations.Migration(schema=PLANTED, change=change, guards=last.guards)
    migrations.MIGRATIONS = (*migrations.MIGRATIONS, more)  # type: ignore[assignment]
    file.SCHEMA_VERSION = PLANTED  # type: ignore[attr-defined]


async def main() -> None:
    """Open and close it; end with the sentence of a refusal."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--more", action="store_true")
    parser.add_argument("--most-bytes", type=int)
    given = parser.parse_args()
    if given.more:
        plant()
    if given.most_bytes:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (given.most_bytes, given.most_bytes))
    database = SqliteDatabase(given.folder)
    try:
        await database.open()
    except StoreRefused as refused:
        sys.exit(str(refused))
    await database.close()


if __name__ == "__main__":
    asyncio.run(main())
