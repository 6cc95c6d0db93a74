"""Schema 2: the data keep since when they have had their schema, and which version gave it to them."""

from sqlalchemy import Column, Connection, MetaData, Table

from imageedit_server.store.tables import INTEGER, TEXT

GUARDS = frozenset(
    {
        "attempt_token",
        "attempt_vendor_task",
        "event_stays",
        "event_without_gap",
        "image_age",
        "task_by_tenant",
        "task_by_user",
        "task_called_late",
        "task_deadline",
        "task_ended",
        "task_ends_once",
        "task_queue",
        "task_running",
        "task_waits",
        "usage_of_changed_task",
        "usage_of_deleted_image",
        "usage_of_deleted_task",
        "usage_of_new_image",
        "usage_of_new_task",
        "vendor_task_id_stays",
    }
)


def change(connection: Connection) -> None:
    """Add the table ``schema_step``, as it was then."""
    columns = (
        Column("number", INTEGER, primary_key=True, nullable=False),
        Column("time", INTEGER, nullable=False),
        Column("version", TEXT, nullable=False),
    )
    Table("schema_step", MetaData(), *columns, sqlite_with_rowid=False).create(connection)
