"""A copy of a database file, which is there only when it is complete."""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from imageedit_server.runtime.failpoints import failpoint
from imageedit_server.runtime.files import make_durable


def copy_database(
    source: sqlite3.Connection, target: Path, *, mark: Callable[[sqlite3.Connection], object] | None = None
) -> None:
    """Make ``target`` a durable copy of a database, as of one moment; what it was before is replaced then.

    ``mark`` changes the copy before anybody else sees it.
    The source is read in one go, so that a server that writes on never makes it begin anew. A copy that fails
    leaves nothing.
    """
    half = target.with_name(f"{target.name}.half")
    half.unlink(missing_ok=True)
    try:
        os.close(os.open(half, os.O_CREAT | os.O_EXCL, 0o600))
        with closing(sqlite3.connect(half)) as copy:
            source.backup(copy)
            if mark is not None:
                mark(copy)
            # So that the copy is this one file. It is committed, and may fail, when all was fetched.
            copy.execute("PRAGMA journal_mode = DELETE").fetchall()
        make_durable(half)
        failpoint("copy_before_rename")
        half.rename(target)
    except BaseException:
        half.unlink(missing_ok=True)
        raise
    make_durable(target.parent)
