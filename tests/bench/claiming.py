"""``python -m tests.bench.claiming DATA_DIR CLAIMS``: claims queued tasks one by one, as the engine does.

Prints the median seconds of a claim, commit included. Runs under the interpreter of the server that is
measured, on data that no server is using.
"""

import asyncio
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

from imageedit_server.store.claims import claim
from imageedit_server.store.sqlite.database import SqliteDatabase
from tests.bench.stored import QUEUE


async def seconds_per_claim(folder: Path, claims: int) -> float:
    """Claim so many tasks; return the median."""
    database = SqliteDatabase(folder)
    await database.open()
    try:
        return median([await _claim(database) for _ in range(claims)])
    finally:
        await database.close()


async def _claim(database: SqliteDatabase) -> float:
    started = time.perf_counter()
    now = datetime.now(UTC)
    claims = await database.record(
        claim, now=now, lease_until=now + timedelta(hours=1), free_by_provider={QUEUE: 1}, most=1
    )
    assert len(claims.claimed) == 1
    return time.perf_counter() - started


if __name__ == "__main__":
    print(asyncio.run(seconds_per_claim(Path(sys.argv[1]), int(sys.argv[2]))))
