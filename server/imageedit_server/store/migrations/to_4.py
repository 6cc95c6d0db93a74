"""Schema 4: two indexes leave out what nobody looks for there, so that an edit writes fewer pages."""

from sqlalchemy import Column, Connection, Index, MetaData, Table, text

from imageedit_server.store.migrations import to_3
from imageedit_server.store.tables import INTEGER, TEXT

GUARDS = to_3.GUARDS


def change(connection: Connection) -> None:
    """Make both indexes anew, as they were then."""
    for index in (_by_user(), _by_vendor_task()):
        index.drop(connection)
        index.create(connection)


def _by_user() -> Index:
    names = ("tenant", "user_id", "state", "number")
    task = Table("task", MetaData(), *(Column(name, TEXT) for name in names[:-1]), Column("number", INTEGER))
    users = text("user_id <> ''")
    columns = (task.c[name] for name in names)
    return Index("task_by_user", *columns, sqlite_where=users, postgresql_where=users)


def _by_vendor_task() -> Index:
    attempt = Table("attempt", MetaData(), Column("provider", TEXT), Column("vendor_task_id", TEXT))
    known = text("vendor_task_id IS NOT NULL")
    return Index(
        "attempt_vendor_task",
        attempt.c.provider,
        attempt.c.vendor_task_id,
        unique=True,
        sqlite_where=known,
        postgresql_where=known,
    )
