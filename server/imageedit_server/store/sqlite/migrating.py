"""Takes an older file to the schema of this server: a copy first, then step by step (F15).

Each step and its number are one transaction, so that a crash leaves one schema or the next.
"""

import logging
import shutil
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from imageedit_server.runtime.failpoints import failpoint
from imageedit_server.runtime.signals import Signal
from imageedit_server.store.database import StoreRefused
from imageedit_server.store.migrations import Migration, note_schema, steps_from
from imageedit_server.store.sqlite.copying import copy_database

SPARE_BYTES = 1024 * 1024
"""What a step itself may need beside the copy."""

STEPPING = Signal()
"""After the copy, before each step."""

_log = logging.getLogger(__name__)


def migrate(connection: Connection, cursor: sqlite3.Connection, path: Path, schema: int) -> None:
    """Apply what is pending for the file of ``schema``, which nobody else may open. Raises ``StoreRefused``.

    The file as it was stays beside it, as ``NAME.schema-N``.
    """
    steps = steps_from(schema)
    if not steps:
        return
    copy = path.with_name(f"{path.name}.schema-{schema}")
    _keep(cursor, path, copy)
    failpoint("migration_after_copy")
    for step in steps:
        STEPPING()
        _apply(connection, cursor, path, step)
    _log.info("schema %d became %d; the database as it was is in %s", schema, steps[-1].schema, copy)


def _keep(cursor: sqlite3.Connection, path: Path, copy: Path) -> None:
    """Copy the file as it is, over an older copy. Raises ``StoreRefused``."""
    before = f"{path} must be copied before its schema is changed"
    [[pages]], [[page_bytes]] = cursor.execute("PRAGMA page_count"), cursor.execute("PRAGMA page_size")
    needed = pages * page_bytes + SPARE_BYTES
    free = shutil.disk_usage(path.parent).free
    if free < needed:
        raise StoreRefused(f"{before}, which takes {needed} bytes, and {free} are free there; make room")
    try:
        copy_database(cursor, copy)
    except (sqlite3.Error, OSError) as error:
        raise StoreRefused(f"{before}, and that failed: {error}; make room, or see to the disk") from None


def _apply(connection: Connection, cursor: sqlite3.Connection, path: Path, step: Migration) -> None:
    """Make a step and its number one commit, or nothing at all. Raises ``StoreRefused``."""
    try:
        cursor.execute("BEGIN IMMEDIATE")
        failpoint("migration_begun")
        step.change(connection)
        failpoint("migration_changed")
        _check_guards(cursor, step)
        note_schema(connection, step.schema, datetime.now(UTC))
        cursor.execute(f"PRAGMA user_version = {step.schema}")
        failpoint("migration_checked")
        cursor.execute("COMMIT")
    except (DBAPIError, sqlite3.Error) as error:
        cause = error.orig if isinstance(error, DBAPIError) else error
        raise StoreRefused(
            f"{path} cannot be taken to schema {step.schema} and is as it was before: {cause}"
        ) from None
    finally:
        if cursor.in_transaction:
            cursor.execute("ROLLBACK")
    failpoint("migration_committed")


def _check_guards(cursor: sqlite3.Connection, step: Migration) -> None:
    found = cursor.execute("SELECT name FROM sqlite_master WHERE type IN ('index', 'trigger')")
    if lost := step.guards - {name for (name,) in found}:
        raise sqlite3.DatabaseError(f"{', '.join(sorted(lost))} would be missing")
