"""The database file as an operator sees it, beside a server or without one: is it sound, and a copy of it."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from imageedit_server.runtime.files import make_durable
from imageedit_server.store.sqlite.file import DATABASE_NAME, StoreRefused, driver, open_reader

_UNSOUND_LOGS = """
    SELECT task_id FROM task WHERE
        seq <> (SELECT coalesce(max(seq), 0) FROM task_event WHERE task_event.task = task.number)
        OR seq <> (SELECT count(*) FROM task_event WHERE task_event.task = task.number)
"""
_IMAGES = "SELECT image_id, max(size_bytes) FROM image GROUP BY image_id ORDER BY image_id"


def faults_of(folder: Path) -> list[str]:
    """Return what is wrong with the database in a data folder, in sentences. Raises ``StoreRefused``."""
    with _reading(folder) as cursor:
        faults = [
            f"The database is damaged: {row[0]}."
            for row in cursor.execute("PRAGMA integrity_check")
            if row[0] != "ok"
        ]
        faults += [
            f"A row of {row[0]} belongs to nothing." for row in cursor.execute("PRAGMA foreign_key_check")
        ]
        return faults + [f"The log of {row[0]} has a gap." for row in cursor.execute(_UNSOUND_LOGS)]


def images_of(folder: Path) -> dict[str, int]:
    """Return the size in bytes of every image that some tenant has. Raises ``StoreRefused``."""
    with _reading(folder) as cursor:
        return dict(cursor.execute(_IMAGES).fetchall())


def copy_database(folder: Path, target: Path) -> None:
    """Make ``target`` a durable copy of the database in a data folder, as of one moment.

    It is read in one go, so that a server that writes on never makes it begin anew.
    """
    half = target.with_name(f"{target.name}.half")
    half.unlink(missing_ok=True)
    with _reading(folder) as source, closing(sqlite3.connect(half)) as copy:
        source.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE")  # so that the copy is this one file
    make_durable(half)
    half.rename(target)
    make_durable(target.parent)


@contextmanager
def _reading(folder: Path) -> Iterator[sqlite3.Connection]:
    path = folder / DATABASE_NAME
    if not path.exists():
        raise StoreRefused(f"{folder} holds no data of this service")
    with closing(open_reader(path, "FULL")) as connection:
        try:
            yield driver(connection)
        except sqlite3.DatabaseError as error:
            raise StoreRefused(f"{path} is damaged: {error}") from None
