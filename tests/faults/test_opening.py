"""What a database has committed is there whatever fails while it is opened (P1)."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.contracts.databases import open_sqlite
from tests.faults.loops import SHIM
from tests.faults.opening import OPENINGS, copy_of
from tests.servers.preloading import compiled, compiler
from tests.servers.programs import ROOT, environment
from tests.store.making import create

pytestmark = pytest.mark.skipif(
    compiler() is None or sys.platform != "linux", reason="there is nothing to build the shim with"
)

TASKS = 3


def test_no_file_that_cannot_be_opened_costs_what_was_committed(tmp_path: Path) -> None:
    """SQLite removed the log unread where its index failed three times in a row."""
    killed, copies = tmp_path / "killed", tmp_path / "copies"
    copies.mkdir()
    asyncio.run(_fill(tmp_path / "database", killed))
    library = compiled(SHIM, tmp_path)
    told = subprocess.run(
        [sys.executable, "-m", "tests.faults.opening", str(killed), str(copies)],
        cwd=ROOT,
        env=environment(more={"LD_PRELOAD": str(library)}),
        stdout=subprocess.PIPE,
        check=True,
    )
    rows = json.loads(told.stdout)
    assert {tasks for *_, tasks in rows} == {TASKS}
    for opening in OPENINGS:
        assert [opening, ".sqlite3-shm, .sqlite3-shm", False, TASKS] in rows


async def _fill(folder: Path, killed: Path) -> None:
    async with open_sqlite(folder) as database:
        for _ in range(TASKS):
            await create(database)
        copy_of(folder, killed)
