"""Opens copies of a database that cannot open its files: ``python -m tests.faults.opening FROM COPIES``.

With the shim below it. Prints, as JSON, what failed, how it ended and how many tasks there are afterwards.
"""

import asyncio
import ctypes
import errno
import json
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from sqlalchemy import Connection, func, select

from imageedit_server.store.database import StoreRefused
from imageedit_server.store.sqlite.archive import SqliteArchive
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
        rows = [row for opening in OPENINGS for row in _rows(opening, database, copies, control)]
    print(json.dumps(rows))


Row = tuple[str, str, bool, int]
"""How it was opened, what failed, whether it could be opened all the same, and the tasks afterwards."""


def _rows(opening: str, database: Path, copies: Path, control: Control) -> Iterator[Row]:
    folder = copies / opening
    trace = _opened(opening, copy_of(database, folder / "none"), control, None)[0].trace
    for fault in _faults(trace):
        copy = copy_of(database, folder / f"{fault.first}-{fault.times}")
        seen, opened = _opened(opening, copy, control, fault)
        about = ", ".join(Path(about).suffix for about in seen.about)
        yield opening, about, opened, asyncio.run(_tasks(copy))


def _faults(trace: Trace) -> Iterator[Fault]:
    opened = [about for call, about in trace if call is Call.OPEN]
    for number, about in enumerate(opened, 1):
        if about.endswith(("-wal", "-shm")):
            yield from (Fault(Call.OPEN, number, errno.EMFILE, times) for times in IN_A_ROW)


def copy_of(database: Path, copy: Path) -> Path:
    """Copy a folder as a crash would leave it."""
    return Path(shutil.copytree(database, copy))


def _opened(opening: str, folder: Path, control: Control, fault: Fault | None) -> tuple[Seen, bool]:
    control.arm(fault)
    try:
        OPENINGS[opening](folder)
    except StoreRefused:
        return control.disarm(), False
    return control.disarm(), True


def _as_a_server(folder: Path) -> None:
    async def open_and_close() -> None:
        database = SqliteDatabase(folder)
        await database.open()
        await database.recover()  # it takes a write, or was not opened
        await database.close()

    asyncio.run(open_and_close())


def _as_an_operator(folder: Path) -> None:
    SqliteArchive(folder).images()


OPENINGS: Mapping[str, Callable[[Path], None]] = {
    "server": _as_a_server,
    "operator": _as_an_operator,
}


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
