"""A copy of a database file, which is there only when it is complete."""

import sqlite3
from contextlib import closing
from pathlib import Path

from imageedit_server.runtime.files import make_durable


def copy_database(source: sqlite3.Connection, target: Path) -> None:
    """Make ``target`` a durable copy of a database, as of one moment; what it was before is replaced then.

    The source is read in one go, so that a server that writes on never makes it begin anew.
    """
    half = target.with_name(f"{target.name}.half")
    half.unlink(missing_ok=True)
    with closing(sqlite3.connect(half)) as copy:
        source.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE")  # so that the copy is this one file
    make_durable(half)
    half.rename(target)
    make_durable(target.parent)
