"""Schema 3: attempts keep the head of their answer and what it cost; erasing and copies leave their marks."""

from sqlalchemy import (
    DDL,
    Column,
    Connection,
    ForeignKey,
    Index,
    MetaData,
    Table,
    column,
    insert,
    literal,
    select,
    table,
)

from imageedit_server.store.migrations import to_2
from imageedit_server.store.tables import INTEGER, TEXT

GUARDS = to_2.GUARDS | {"usage_of_deleted_attempt", "usage_of_kept_answer"}

_OLDER = (
    *("task", "number", "provider", "token_sha256", "outcome", "billing", "vendor_task_id"),
    *("vendor_request_id", "error", "submit_time", "end_time", "result_urls", "late_images"),
)
_NULLABLE = ("vendor_task_id", "error", "end_time", "result_urls", "answer", "usage")
_INTEGERS = ("task", "number", "submit_time", "end_time", "kept_bytes")


def change(connection: Connection) -> None:
    """Make the table of attempts anew, since a column that is added stands elsewhere than in a new file."""
    connection.execute(DDL("ALTER TABLE attempt RENAME TO attempt_2"))
    attempt = _attempt()
    indexes = tuple(attempt.indexes)
    attempt.indexes.clear()  # their names are free when the older table is gone
    attempt.create(connection)
    _copy_attempts(connection, attempt)
    connection.execute(DDL("DROP TABLE attempt_2"))
    for index in sorted(indexes, key=lambda each: str(each.name)):
        index.create(connection)
    for trigger in _TRIGGERS:
        connection.execute(DDL(trigger))
    _small_tables(connection)


def _copy_attempts(connection: Connection, attempt: Table) -> None:
    older = table("attempt_2", *map(column, _OLDER))
    connection.execute(insert(attempt).from_select([*_OLDER, "kept_bytes"], select(*older.c, literal(0))))


def _attempt() -> Table:
    columns = [_column(name) for name in (*_OLDER, "answer", "usage", "kept_bytes")]
    metadata = MetaData()
    Table("task", metadata, Column("number", INTEGER, primary_key=True))
    return Table(
        "attempt",
        metadata,
        *columns,
        Index("attempt_token", "token_sha256", unique=True),
        Index("attempt_vendor_task", "provider", "vendor_task_id", unique=True),
        sqlite_with_rowid=False,
    )


def _column(name: str) -> Column[object]:
    type_ = INTEGER if name in _INTEGERS else TEXT
    key = name in ("task", "number")
    belongs = (ForeignKey("task.number"),) if name == "task" else ()
    return Column(name, type_, *belongs, primary_key=key, nullable=name in _NULLABLE)


def _small_tables(connection: Connection) -> None:
    erased = (Column("image_id", TEXT, primary_key=True, nullable=False),)
    Table("erased_image", MetaData(), *erased, sqlite_with_rowid=False).create(connection)
    folder = (
        Column("number", INTEGER, primary_key=True, nullable=False),
        Column("lock_inode", INTEGER, nullable=False),
    )
    Table("data_dir", MetaData(), *folder, sqlite_with_rowid=False).create(connection)


_TRIGGERS = (
    """CREATE TRIGGER vendor_task_id_stays BEFORE UPDATE OF vendor_task_id ON attempt
       WHEN OLD.vendor_task_id IS NOT NULL AND NEW.vendor_task_id IS NOT OLD.vendor_task_id
       BEGIN SELECT RAISE(ABORT, 'a vendor task id does not change'); END""",
    """CREATE TRIGGER usage_of_kept_answer AFTER UPDATE OF kept_bytes ON attempt
       WHEN NEW.kept_bytes <> OLD.kept_bytes
       BEGIN INSERT INTO usage (tenant, queued_tasks, stored_bytes)
         SELECT tenant, 0, NEW.kept_bytes - OLD.kept_bytes FROM task WHERE number = NEW.task
         ON CONFLICT (tenant) DO UPDATE SET stored_bytes = stored_bytes + excluded.stored_bytes; END""",
    """CREATE TRIGGER usage_of_deleted_attempt AFTER DELETE ON attempt WHEN OLD.kept_bytes > 0
       BEGIN UPDATE usage SET stored_bytes = stored_bytes - OLD.kept_bytes
         WHERE tenant = (SELECT tenant FROM task WHERE number = OLD.task); END""",
)
