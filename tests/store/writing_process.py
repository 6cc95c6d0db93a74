"""Creates tasks until it is killed, and prints the id of each once it is durable."""

import asyncio
import sys
from pathlib import Path

from imageedit_server.store.sqlite.database import SqliteDatabase
from tests.store.making import create


async def main(folder: Path) -> None:
    """Keep 16 creates under way."""
    database = SqliteDatabase(folder)
    await database.open()

    async def create_for_ever(name: int) -> None:
        number = 0
        while True:
            number += 1
            task = await create(database, request_id=f"{name}-{number}", prompt="x" * 500)
            sys.stdout.write(f"{task.task_id} {name}-{number}\n")
            sys.stdout.flush()

    await asyncio.gather(*(create_for_ever(name) for name in range(16)))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
