"""Older data become today's in steps: all of it, or as it was, with a copy of what it was (F15)."""

import re
import shutil
import signal
import sqlite3
from collections import namedtuple
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text

from imageedit_server.maintenance import check_data, with_data_dir
from imageedit_server.settings import Settings
from imageedit_server.store import migrations
from imageedit_server.store.database import StoreRefused
from imageedit_server.store.migrations import MIGRATIONS, SCHEMA_VERSION
from imageedit_server.store.sqlite import migrating
from imageedit_server.store.sqlite.archive import SqliteArchive
from imageedit_server.store.sqlite.copying import copy_database
from imageedit_server.store.sqlite.database import SqliteDatabase
from imageedit_server.store.sqlite.file import DATABASE_NAME, LOCK_NAME
from imageedit_server.store.tables import DATA_DIR, ERASED_IMAGE, METADATA, SCHEMA_STEP, to_micros
from tests.contracts.databases import open_sqlite
from tests.data_dirs.opening import opened
from tests.servers.forks import shared_fork_server
from tests.servers.programs import environment
from tests.store.making import create
from tests.store.opening_process import PLANTED

ROOT = Path(__file__).parents[2]
COPY = f"{DATABASE_NAME}.schema-1"
HALF = f"{COPY}.half"
LATER = (SCHEMA_STEP, ERASED_IMAGE, DATA_DIR)
TABLES = sorted(table.name for table in METADATA.sorted_tables if table not in LATER)
"""What schema 1 had."""


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A data dir that a killed server of schema 1 left behind."""
    return opened(tmp_path)


@contextmanager
def looking(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        yield connection


def schema_in(path: Path) -> tuple[int, list[tuple[str, ...]]]:
    """Return number and words of a file's schema, whatever its spaces."""
    with looking(path) as connection:
        [[version]] = connection.execute("PRAGMA user_version")
        rows = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY type, name")
        return version, [(*row[:3], " ".join((row[3] or "").replace(" ,", ",").split())) for row in rows]


def rows_in(path: Path, columns: dict[str, str]) -> dict[str, list[Any]]:
    """Return all that is stored, as far as it has ``columns``; the file is sound."""
    with looking(path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        return {
            name: sorted(map(repr, connection.execute(f"SELECT {columns[name]} FROM {name}")))
            for name in TABLES
        }


def columns_in(path: Path) -> dict[str, str]:
    with looking(path) as connection:
        return {
            name: ", ".join(row[1] for row in connection.execute(f"PRAGMA table_info({name})"))
            for name in (*TABLES, SCHEMA_STEP.name)
        }


@pytest.fixture
def before(tmp_path: Path) -> Callable[[Path], dict[str, list[Any]]]:
    """Compare a file with what schema 1 had stored."""
    (tmp_path / "untouched").mkdir()
    folder = opened(tmp_path / "untouched")
    columns = columns_in(folder / DATABASE_NAME)
    stored = rows_in(folder / DATABASE_NAME, columns)
    assert all(stored[name] for name in TABLES)

    def same(path: Path) -> dict[str, list[Any]]:
        assert rows_in(path, columns) == stored
        return stored

    return same


async def test_what_is_migrated_has_the_schema_of_what_is_new(old: Path, tmp_path: Path) -> None:
    for folder in (old, tmp_path / "new"):
        async with open_sqlite(folder) as database:
            await create(database)
    new = schema_in(tmp_path / "new" / DATABASE_NAME)
    assert schema_in(old / DATABASE_NAME) == new
    assert new[0] == SCHEMA_VERSION


async def test_every_guard_and_index_of_a_new_file_is_in_the_last_steps_list(tmp_path: Path) -> None:
    """The list is what a migration is held against; a schema that grows must add to it."""
    async with open_sqlite(tmp_path):
        pass
    _, words = schema_in(tmp_path / DATABASE_NAME)
    guards = {name for kind, name, _, sql in words if kind in ("index", "trigger") and sql}
    assert guards == MIGRATIONS[-1].guards


def test_steps_are_numbered_from_the_first_schema_on() -> None:
    assert [step.schema for step in MIGRATIONS] == list(range(2, SCHEMA_VERSION + 1))


async def test_nothing_that_was_stored_is_lost(old: Path, before: Callable[[Path], Any]) -> None:
    async with open_sqlite(old):
        pass
    before(old / DATABASE_NAME)
    before(old / COPY)
    assert schema_in(old / COPY)[0] == 1
    assert not (old / HALF).exists()
    assert (old / COPY).stat().st_mode & 0o777 == 0o600


async def test_the_next_start_changes_nothing(old: Path) -> None:
    async with open_sqlite(old):
        pass
    (old / COPY).unlink()
    schema = schema_in(old / DATABASE_NAME)
    async with open_sqlite(old):
        pass
    assert schema_in(old / DATABASE_NAME) == schema
    assert not (old / COPY).exists()


async def test_a_copy_that_was_put_back_is_migrated_again(
    old: Path, before: Callable[[Path], dict[str, list[Any]]]
) -> None:
    """The way back to the older server, and then forward: the older copy is replaced."""
    async with open_sqlite(old):
        pass
    (old / COPY).rename(old / DATABASE_NAME)
    before(old / DATABASE_NAME)
    (old / COPY).write_text("of the first time")
    async with open_sqlite(old):
        pass
    before(old / COPY)
    assert schema_in(old / DATABASE_NAME)[0] == SCHEMA_VERSION


async def test_it_is_kept_since_when_the_data_have_their_schema(old: Path, tmp_path: Path) -> None:
    """Schema 2: each step that was made here, with the version that made it; what is new has one alone."""
    for folder in (old, tmp_path / "new"):
        before = datetime.now(UTC)
        async with open_sqlite(folder):
            pass
        with looking(folder / DATABASE_NAME) as connection:
            steps = connection.execute("SELECT number, time, version FROM schema_step").fetchall()
        made = range(2, SCHEMA_VERSION + 1) if folder == old else [SCHEMA_VERSION]
        assert [number for number, _, _ in steps] == list(made)
        assert {by for _, _, by in steps} == {version("imageedit")}
        assert all(to_micros(before) <= time <= to_micros(datetime.now(UTC)) for _, time, _ in steps)


# Crashes


async def opening(folder: Path, *options: str, failpoint: str = "") -> tuple[int, str]:
    """Open the folder in a process of its own; return how that ended, and its last words."""
    log = folder.with_name("said")
    with log.open("wb") as stderr:
        process = await shared_fork_server().fork(
            [str(folder), *options],
            stderr.fileno(),
            environment(failpoint),
            folder,
            module="tests.store.opening_process",
        )
    code = await process.wait()
    await process.close()
    return code, log.read_text()


KILLS = {
    "copy_before_rename:kill": (1, False),
    "migration_after_copy:kill": (1, True),
    **{
        f"migration_{point}:kill:{step}": (step + (point == "committed"), True)
        for step in (1, PLANTED - 1)
        for point in ("begun", "changed", "checked", "committed")
    },
}
"""The first step on the way and the last: which schema is there after a kill, and whether the copy is."""


@pytest.mark.parametrize("failpoint", KILLS)
async def test_a_kill_leaves_one_schema_or_the_next(
    old: Path, before: Callable[[Path], Any], tmp_path: Path, failpoint: str
) -> None:
    """F15: never between, and the copy is there only when it is complete. The next start goes on."""
    schema, copied = KILLS[failpoint]
    assert (await opening(old, "--more", failpoint=failpoint))[0] == -signal.SIGKILL
    killed = tmp_path / "killed"
    shutil.copytree(old, killed)  # looked at beside, so that the next start finds what the kill left
    assert schema_in(killed / DATABASE_NAME)[0] == schema
    before(killed / DATABASE_NAME)
    has = columns_in(killed / DATABASE_NAME)
    assert ("version" in has["schema_step"], "planted" in has["image"]) == (schema >= 2, schema >= PLANTED)
    assert (killed / COPY).exists() is copied
    if copied:
        before(killed / COPY)
    assert await opening(old, "--more") == (0, "")
    assert schema_in(old / DATABASE_NAME)[0] == PLANTED
    assert "planted" in columns_in(old / DATABASE_NAME)["image"]
    before(old / DATABASE_NAME)
    before(old / COPY)
    assert not (old / HALF).exists()


# What keeps a migration from being made


async def refusal(folder: Path) -> str:
    with pytest.raises(StoreRefused) as refused:
        await SqliteDatabase(folder).open()
    assert "\n" not in str(refused.value)
    return str(refused.value)


async def test_without_room_for_the_copy_nothing_is_done(
    old: Path, before: Callable[[Path], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", ["free"])
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda _: usage(4096))
        said = await refusal(old)
    assert str(old / DATABASE_NAME) in said
    assert "4096 are free there; make room" in said
    assert schema_in(old / DATABASE_NAME)[0] == 1
    before(old / DATABASE_NAME)
    assert not (old / COPY).exists()
    async with open_sqlite(old):
        pass
    before(old / DATABASE_NAME)


async def test_a_copy_that_does_not_fit_is_told_and_leaves_nothing(
    old: Path, before: Callable[[Path], Any]
) -> None:
    """A real limit on files: what was free may be gone when it is written."""
    code, said = await opening(old, "--most-bytes", "65536")
    assert code == 1
    assert "must be copied before its schema is changed, and that failed" in said
    assert said.count("\n") == 1
    assert not (old / COPY).exists()
    assert not (old / HALF).exists()
    before(old / DATABASE_NAME)
    assert schema_in(old / DATABASE_NAME)[0] == 1
    assert await opening(old) == (0, "")


def fill_the_disk(connection: Connection) -> None:
    MIGRATIONS[0].change(connection)
    connection.exec_driver_sql("PRAGMA max_page_count = 1")  # SQLite takes the pages that there are
    connection.exec_driver_sql("CREATE TABLE large (filler BLOB)")
    connection.exec_driver_sql("INSERT INTO large VALUES (zeroblob(10000000))")


def lose_a_guard(connection: Connection) -> None:
    MIGRATIONS[0].change(connection)
    connection.execute(text("DROP TRIGGER task_ends_once"))


@pytest.mark.parametrize(
    ("change", "words"), [(fill_the_disk, "disk is full"), (lose_a_guard, "task_ends_once would be missing")]
)
async def test_a_step_that_fails_changes_nothing(
    old: Path,
    before: Callable[[Path], Any],
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[Connection], None],
    words: str,
) -> None:
    """Also one that would lose a trigger, as a copied table does."""
    schema = schema_in(old / DATABASE_NAME)
    with monkeypatch.context() as patch:
        patch.setattr(migrations, "MIGRATIONS", (replace(MIGRATIONS[0], change=change),))
        said = await refusal(old)
    assert words in said
    assert "schema 2 and is as it was before" in said
    assert schema_in(old / DATABASE_NAME) == schema
    before(old / DATABASE_NAME)
    before(old / COPY)
    async with open_sqlite(old):  # nothing holds it
        pass
    assert schema_in(old / DATABASE_NAME)[0] == SCHEMA_VERSION


async def test_a_newer_file_is_named_with_the_server_that_it_needs(old: Path) -> None:
    """Downgrade: what a server of a later schema wrote is left to it."""
    assert await opening(old, "--more") == (0, "")
    schema = schema_in(old / DATABASE_NAME)
    assert await refusal(old) == (
        f"{old / DATABASE_NAME} was written by a newer version (schema {PLANTED}, this server knows"
        f" {SCHEMA_VERSION});"
        " run that version"
    )
    assert schema_in(old / DATABASE_NAME) == schema


# What an operator sees

PENDING = f"It is 1; the next start takes it to {SCHEMA_VERSION}, with a copy first."


async def test_a_check_names_what_is_pending_also_beside_a_server(old: Path) -> None:
    def told() -> dict[str, tuple[str, bool]]:
        found = check_data(with_data_dir(Settings(), old))
        return {finding.subject: (finding.sentence, finding.ok) for finding in found}

    with looking(old / DATABASE_NAME) as server:  # the older one, which writes
        server.execute("BEGIN IMMEDIATE")
        assert told()["schema"] == (PENDING, True)
        assert told()["database"] == ("It is sound.", True)
    assert schema_in(old / DATABASE_NAME)[0] == 1
    async with open_sqlite(old):
        now = re.escape(f"{datetime.now(UTC):%Y-%m-%d %H}")
        since, _ = told()["schema"]
        assert re.fullmatch(
            f"It is {SCHEMA_VERSION}, since {now}:[0-9]{{2}} UTC and version {version('imageedit')}.", since
        )
        assert told()["database"] == ("It is sound.", True)
        assert told()["copy"][0].startswith(f"{COPY} is from before an upgrade: it holds what was erased")


async def test_a_backup_has_the_schema_of_what_it_copies(old: Path, before: Callable[[Path], Any]) -> None:
    for schema in (1, SCHEMA_VERSION):
        copy = old.parent / f"copy of {schema}"
        copy.mkdir()
        SqliteArchive(old).copy_to(copy)
        before(copy / DATABASE_NAME)
        assert schema_in(copy / DATABASE_NAME)[0] == schema
        assert (SqliteArchive(copy).schema() == PENDING) == (schema == 1)
        async with open_sqlite(old):
            pass
    assert (old / LOCK_NAME).exists()


async def test_the_copy_is_made_before_the_first_step(
    old: Path, monkeypatch: pytest.MonkeyPatch, before: Callable[[Path], Any]
) -> None:
    order: list[str] = []

    def copying(source: sqlite3.Connection, target: Path) -> None:
        copy_database(source, target)
        order.append(target.name)

    def stepping() -> None:
        before(old / COPY)
        order.append("step")

    monkeypatch.setattr(migrating, "copy_database", copying)
    with migrating.STEPPING.heard_by(stepping):
        async with open_sqlite(old):
            pass
    assert order == [COPY, *("step" for _ in MIGRATIONS)]
