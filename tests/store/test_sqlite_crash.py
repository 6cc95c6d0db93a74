"""A killed writer loses nothing that it answered (P1, F1, F2)."""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest
from sqlalchemy import Connection

from imageedit_server.store.queries import get_task
from tests.contracts.databases import open_sqlite
from tests.store.making import TENANT, create, history

ROOT = Path(__file__).parents[2]


async def acknowledged_before_the_kill(folder: Path, most: int) -> list[str]:
    """Run the writing process until it has answered ``most`` creates, then kill it amid others."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.store.writing_process",
        str(folder),
        stdout=PIPE,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.stdout is not None
    lines = [await process.stdout.readline() for _ in range(most)]
    process.kill()
    rest = (await process.stdout.read()).splitlines(keepends=True)
    await process.wait()
    return [line.decode().strip() for line in (*lines, *rest) if line.endswith(b"\n")]


@pytest.mark.parametrize("most", [1, 150, 400])
async def test_every_answered_create_is_there_after_a_kill(tmp_path: Path, most: int) -> None:
    acknowledged = await acknowledged_before_the_kill(tmp_path, most)
    assert len(acknowledged) >= most
    async with open_sqlite(tmp_path) as database:  # at once: the lock died with its holder
        assert await database.read(integrity) == "ok"
        for line in acknowledged:
            task_id, request_id = line.split()
            task = await database.read(get_task, TENANT, task_id)
            assert task is not None
            assert await history(database, task_id) == [(1, "QUEUED")]
            again = await create(database, request_id=request_id, prompt="x" * 500)
            assert again.task_id == task_id  # F2: a repeat finds it


def integrity(connection: Connection) -> str:
    return str(connection.exec_driver_sql("PRAGMA integrity_check").scalar_one())
