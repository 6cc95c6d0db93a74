"""The SQLite file: what it is opened with, and what is never opened (P2, F15, F23, F24, F26)."""

import asyncio
import logging
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Connection

from imageedit_server.core.errors import Reason, Refusal
from imageedit_server.store.database import StoreRefused
from imageedit_server.store.decisions import cancel_task
from imageedit_server.store.erasing import erase_task
from imageedit_server.store.migrations import SCHEMA_VERSION
from imageedit_server.store.queries import find_task
from imageedit_server.store.sqlite import file
from imageedit_server.store.sqlite.database import READERS, SqliteDatabase
from imageedit_server.store.sqlite.file import DATABASE_NAME
from imageedit_server.store.tables import METADATA
from tests.contracts.databases import open_sqlite
from tests.store.making import LATER, TENANT, create

FILE = "imageedit.sqlite3"
PRAGMAS = (
    "journal_mode",
    "synchronous",
    "foreign_keys",
    "trusted_schema",
    "wal_autocheckpoint",
    "query_only",
)
WRITER = ("wal", 2, 1, 0, 1000, 0)
READER = ("wal", 2, 1, 0, 0, 1)


def pragmas(connection: Connection) -> tuple[object, ...]:
    return tuple(connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in PRAGMAS)


async def refusal(folder: Path) -> str:
    with pytest.raises(StoreRefused) as refused:
        async with open_sqlite(folder):
            pass
    assert "\n" not in str(refused.value)
    return str(refused.value)


async def test_the_writer_is_durable_and_the_only_one_that_checkpoints(database: SqliteDatabase) -> None:
    assert await database.write(pragmas) == WRITER


async def test_what_a_unit_may_undo_is_held_in_memory(database: SqliteDatabase) -> None:
    """Else a page that several units of a group change is copied into a file outside of the data dir."""
    assert await database.write(lambda on: on.exec_driver_sql("PRAGMA temp_store").scalar_one()) == 2


async def test_every_reader_is_as_durable_and_cannot_write(database: SqliteDatabase) -> None:
    barrier = threading.Barrier(READERS, timeout=90)  # all at once, so that each has a connection of its own

    def query(connection: Connection) -> tuple[int, tuple[object, ...]]:
        barrier.wait()
        return id(connection), pragmas(connection)

    found = await asyncio.gather(*(database.read(query) for _ in range(READERS)))
    assert len({connection for connection, _ in found}) == READERS
    assert {settings for _, settings in found} == {READER}


@pytest.mark.parametrize(
    ("journal", "synchronous"),
    [("wal", "NORMAL"), ("wal", "OFF"), ("delete", "FULL"), ("truncate", "FULL"), ("memory", "FULL")],
)
def test_less_than_durable_is_refused(tmp_path: Path, journal: str, synchronous: str) -> None:
    """P2: what the file gives is read back; a pragma that did not take is seen."""
    connection = sqlite3.connect(tmp_path / "x", isolation_level=None)
    connection.execute(f"PRAGMA journal_mode = {journal}")
    connection.execute(f"PRAGMA synchronous = {synchronous}")
    with pytest.raises(StoreRefused, match="needs WAL and synchronous FULL"):
        file.check_pragmas(connection, "FULL")
    connection.close()


async def test_every_connection_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[sqlite3.Connection] = []
    check = file.check_pragmas

    def checking(cursor: sqlite3.Connection, synchronous: str) -> None:
        check(cursor, synchronous)
        checked.append(cursor)

    monkeypatch.setattr(file, "check_pragmas", checking)
    async with open_sqlite(tmp_path) as database:
        used = [await database.write(file.driver), await database.read(file.driver)]
        assert all(connection in checked for connection in used)


@pytest.mark.parametrize("synchronous", ["NORMAL", "OFF"])
async def test_a_test_may_ask_for_less(tmp_path: Path, synchronous: str) -> None:
    database = SqliteDatabase(tmp_path, synchronous=synchronous)
    await database.open()
    expected = {"OFF": 0, "NORMAL": 1}[synchronous]
    assert (await database.write(pragmas))[1] == (await database.read(pragmas))[1] == expected
    await database.close()


# What is not ours


async def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    async with open_sqlite(tmp_path):
        pass
    with sqlite3.connect(tmp_path / FILE) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    connection.close()
    told = await refusal(tmp_path)
    assert str(tmp_path / FILE) in told
    assert f"schema {SCHEMA_VERSION + 1}, this server knows {SCHEMA_VERSION}" in told


async def test_another_programs_file_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / FILE) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    connection.close()
    before = (tmp_path / FILE).read_bytes()
    assert "belongs to another program" in await refusal(tmp_path)
    assert (tmp_path / FILE).read_bytes() == before
    assert not (tmp_path / f"{FILE}-wal").exists()


@pytest.mark.parametrize("content", [b"not a database at all" * 400, b"SQLite format 3\0" + b"\xff" * 4080])
async def test_what_is_no_database_is_refused_and_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    assert f"{tmp_path / FILE} is not a database of this service" in await refusal(tmp_path)
    assert (tmp_path / FILE).read_bytes() == content


async def test_a_folder_in_place_of_the_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / FILE).mkdir()
    assert str(tmp_path / FILE) in await refusal(tmp_path)


async def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    assert str(tmp_path / "data") in await refusal(tmp_path / "data")


async def test_a_refused_folder_is_free_again(tmp_path: Path) -> None:
    """A start that failed holds no lock and no file."""
    (tmp_path / FILE).write_bytes(b"junk" * 2000)
    await refusal(tmp_path)
    (tmp_path / FILE).unlink()
    async with open_sqlite(tmp_path) as database:
        await create(database)


async def test_an_empty_file_is_filled(tmp_path: Path) -> None:
    """F15: what a crash before the schema left behind is a new database."""
    (tmp_path / FILE).touch()
    async with open_sqlite(tmp_path) as database:
        await create(database)


async def test_a_crash_while_the_schema_was_made_leaves_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F15: the schema is one transaction, so it is there or it is not."""

    class Crash(Exception):
        pass

    def crash(*_: object) -> None:
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(METADATA, "create_all", crash)
        with pytest.raises(Crash):
            await SqliteDatabase(tmp_path).open()
    async with open_sqlite(tmp_path) as database:
        await create(database)


@pytest.mark.parametrize("name", ["a b", "a?b=c", "a#b", "a%41", "数据", "a'b\"c", ":memory:"])
async def test_any_folder_will_do(tmp_path: Path, name: str) -> None:
    async with open_sqlite(tmp_path / name) as database:
        await create(database)
    assert (tmp_path / name / FILE).stat().st_size > 4096


async def test_the_data_is_its_owners_alone(tmp_path: Path) -> None:
    """The folder, and every file in it, also where the folder was there and the file was open to others."""
    folders = [tmp_path / "new" / "data", tmp_path / "there"]
    folders[1].mkdir(mode=0o755)
    (folders[1] / FILE).touch(mode=0o644)
    for folder in folders:
        async with open_sqlite(folder) as database:
            await create(database)
            modes = {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}
        assert modes == dict.fromkeys(["lock", FILE, f"{FILE}-wal", f"{FILE}-shm"], 0o600)
    assert folders[0].stat().st_mode & 0o777 == 0o700


async def test_nothing_is_left_open(tmp_path: Path) -> None:
    """After ``close`` no descriptor points into the folder, and the log is in the file."""
    async with open_sqlite(tmp_path) as database:
        await create(database)
        await asyncio.gather(*(database.read(pragmas) for _ in range(2 * READERS)))
    links = [os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if _is_link(fd)]
    assert [link for link in links if link.startswith(str(tmp_path))] == []
    assert not (tmp_path / f"{FILE}-wal").exists()


def _is_link(descriptor: str) -> bool:
    return os.path.islink(f"/proc/self/fd/{descriptor}")


# A second server

OPEN = """
import asyncio, sys
from pathlib import Path
from imageedit_server.store.sqlite.database import SqliteDatabase
from imageedit_server.store.database import StoreRefused

async def main():
    database = SqliteDatabase(Path(sys.argv[1]))
    try:
        await database.open()
    except StoreRefused as refused:
        sys.exit(str(refused))
    await database.close()

asyncio.run(main())
"""


def second_server(folder: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", OPEN, str(folder)], capture_output=True, text=True, timeout=90, check=False
    )


async def test_a_second_server_is_kept_out_with_a_clear_sentence(tmp_path: Path) -> None:
    async with open_sqlite(tmp_path) as database:
        await create(database)
        second = await asyncio.to_thread(second_server, tmp_path)
        assert second.returncode == 1
        assert second.stderr == (
            f"server.data_dir: another server is using {tmp_path}; stop it, or choose another folder with"
            " server.data_dir or --data-dir\n"
        )
        await create(database)
    assert (await asyncio.to_thread(second_server, tmp_path)).returncode == 0


async def test_not_even_the_same_process_opens_it_twice(database: SqliteDatabase, tmp_path: Path) -> None:
    assert "another server is using" in await refusal(tmp_path)
    await create(database)


@pytest.mark.parametrize(("version", "older"), [((3, 51, 2), True), ((3, 51, 3), False)])
async def test_an_older_sqlite_is_named_calmly_and_once(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    version: tuple[int, ...],
    older: bool,
) -> None:
    """F26: one writer avoids what it has, so the one line about it is no warning."""
    monkeypatch.setattr(sqlite3, "sqlite_version_info", version)
    with caplog.at_level(logging.INFO, "imageedit_server.store"):
        database = SqliteDatabase(tmp_path)
        await database.open()
        await database.close()
    opened = [record for record in caplog.records if "store opened" in record.message]
    assert [record.levelno for record in opened] == [logging.INFO]
    assert ("let no other program write this database" in opened[0].message) is older
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_scrubbing_waits_for_whoever_reads_the_log(tmp_path: Path) -> None:
    """What was deleted is in the log as long as somebody reads it as it was; then the log is cut."""
    log = tmp_path / f"{DATABASE_NAME}-wal"
    async with open_sqlite(tmp_path) as database:
        task_id = (await create(database, prompt="a secret")).task_id
        with closing(sqlite3.connect(tmp_path / DATABASE_NAME, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM task").fetchone()
            await database.write(cancel_task, TENANT, task_id, LATER)
            await database.write(erase_task, TENANT, task_id)
            scrubbing = asyncio.create_task(database.scrub())
            await create(database)  # others are stored meanwhile
            assert not scrubbing.done()
            assert b"a secret" in log.read_bytes()
            reader.execute("ROLLBACK")
            await scrubbing
        assert b"a secret" not in log.read_bytes() + (tmp_path / DATABASE_NAME).read_bytes()


# Files that are taken away while they are served (F28)


def replaced(path: Path) -> None:
    copy = path.with_name("copy")
    shutil.copyfile(path, copy)
    copy.rename(path)


def covered(path: Path) -> None:
    """The folder is another: what is there looks the same."""
    path.rename(path.with_name("moved"))
    shutil.copytree(path.with_name("moved"), path)


TAKEN_AWAY: list[tuple[str, Callable[[Path], object]]] = [
    (FILE, Path.unlink),
    (FILE, replaced),
    (f"{FILE}-wal", Path.unlink),
    (f"{FILE}-wal", replaced),
    (f"{FILE}-shm", Path.unlink),
    ("lock", Path.unlink),
    ("lock", replaced),
    (".", lambda folder: folder.rename(folder.with_name("moved"))),
    (".", covered),
]


@pytest.mark.parametrize(("name", "take_away"), TAKEN_AWAY)
async def test_nothing_is_told_as_stored_in_files_that_are_not_there(
    tmp_path: Path, name: str, take_away: Callable[[Path], object]
) -> None:
    """The very next commit, long before anybody looks at the files."""
    folder = tmp_path / "data"
    async with open_sqlite(folder) as database:
        await create(database)
        assert database.lost() == ""
        take_away((folder / name).absolute())
        for _ in range(2):
            with pytest.raises(Refusal) as refused:
                await create(database)
            assert refused.value.reason is Reason.DRAINING
            assert str(tmp_path) not in refused.value.message
        for ask in (database.read, database.look_up):  # a repeat would find what was just refused
            with pytest.raises(Refusal, match="lost its files"):
                await ask(pragmas)
        assert re.search("is gone|was replaced", str(database.broken.result()))
        assert database.lost()


@pytest.mark.parametrize("take_away", [Path.unlink, replaced])
async def test_what_was_stored_is_saved_though_its_log_was_taken_away(
    tmp_path: Path, take_away: Callable[[Path], object]
) -> None:
    async with open_sqlite(tmp_path) as database:
        task = await create(database)
        take_away(tmp_path / f"{FILE}-wal")
    async with open_sqlite(tmp_path) as database:
        assert (await database.read(find_task, task.task_id)).task_id == task.task_id


async def test_an_operators_copies_links_and_looks_are_no_loss(tmp_path: Path) -> None:
    """The control: what leaves the files where they are costs nothing."""
    async with open_sqlite(tmp_path) as database:
        await create(database)
        os.link(tmp_path / FILE, tmp_path / "link")
        os.utime(tmp_path / FILE)
        with closing(sqlite3.connect(tmp_path / FILE)) as other:
            assert other.execute("SELECT count(*) FROM task").fetchone() == (1,)
        (tmp_path / "link").unlink()
        await database.scrub()
        await create(database)
        assert database.lost() == ""
        assert not database.broken.done()


async def test_a_second_server_is_kept_out_though_the_lock_was_removed(tmp_path: Path) -> None:
    """The lock on the database itself, which a look by SQLite from this process does not end."""
    async with open_sqlite(tmp_path) as database:
        await create(database)
        await database.look_over()  # opens the file again, and closes it
        (tmp_path / "lock").unlink()
        second = await asyncio.to_thread(second_server, tmp_path)
        assert (second.returncode, second.stderr.count("another server is using")) == (1, 1)
    (tmp_path / "lock").unlink()
    assert (await asyncio.to_thread(second_server, tmp_path)).returncode == 0
