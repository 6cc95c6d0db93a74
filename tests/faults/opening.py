"""Opens copies of a database that cannot open its files: ``python -m tests.faults.opening FROM COPIES``.

With the shim below it. Prints, as JSON, what failed, how it ended and how many tasks there are afterwards.
"""

import asyncio
import ctypes
import errno
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import Connection, func, select

from imageedit_server.store.database import StoreRefused
from imageedit_server.store.sqlite.database import SqliteDatabase
from imageedit_server.store.tables import TASK
from tests.faults.control import Call, Control, Fault, Seen
from tests.faults.things import Trace

IN_A_ROW = (1, 2, 3, 4)


def main(database: Path, copies: Path) -> None:
    """Open one copy for every call, and for some calls in a row."""
    with Control(copies / "control") as control:
        if ctypes.CDLL(None).faults_begin(bytes(control.path)) != 0:
            raise OSError(f"the shim cannot map {control.path}")
        trace = _opened(copy_of(database, copies / "none"), control, None)[0].trace
        rows = [_row(copy_of(database, copies / str(fault)), control, fault) for fault in _faults(trace)]
    print(json.dumps(rows))


def _faults(trace: Trace) -> Iterator[Fault]:
    opened = [about for call, about in trace if call is Call.OPEN]
    for number, about in enumerate(opened, 1):
        if about.endswith(("-wal", "-shm")):
            yield from (Fault(Call.OPEN, number, errno.EMFILE, times) for times in IN_A_ROW)


def copy_of(database: Path, copy: Path) -> Path:
    """Copy a folder as a crash would leave it."""
    return Path(shutil.copytree(database, copy))


def _row(folder: Path, control: Control, fault: Fault) -> tuple[str, bool, int]:
    seen, opened = _opened(folder, control, fault)
    return ", ".join(Path(about).suffix for about in seen.about), opened, asyncio.run(_tasks(folder))


def _opened(folder: Path, control: Control, fault: Fault | None) -> tuple[Seen, bool]:
    control.arm(fault)
    try:
        asyncio.run(_open(folder))
    except StoreRefused:
        return control.disarm(), False
    return control.disarm(), True


async def _open(folder: Path) -> None:
    database = SqliteDatabase(folder)
    await database.open()
    await database.close()


async def _tasks(folder: Path) -> int:
    database = SqliteDatabase(folder)
    await database.open()
    try:
        return await database.read(_count)
    finally:
        await database.close()


def _count(connection: Connection) -> int:
    return int(connection.scalar(select(func.count()).select_from(TASK)) or 0)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
