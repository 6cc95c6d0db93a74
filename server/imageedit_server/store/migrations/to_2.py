"""Schema 2: an attempt keeps how its vendor answered when we asked it to stop."""

from sqlalchemy import Column, Connection

from imageedit_server.store.migrations.changing import add_column
from imageedit_server.store.tables import TEXT

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
    """Add ``attempt.cancel``; nothing was asked of the attempts of before."""
    add_column(connection, "attempt", Column("cancel", TEXT))
