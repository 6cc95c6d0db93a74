"""The tables, as SQLModel declares them. Times are microseconds since the epoch, in UTC.

A change of these tables is a new ``SCHEMA_VERSION``.
"""

from datetime import UTC, datetime, timedelta

from sqlalchemy import DDL, Index, Table, event, text
from sqlmodel import Field, SQLModel

SCHEMA_VERSION = 1

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


WAITS = text("state IN ('QUEUED', 'RUNNING') AND not_before > 0")
"""What is true of tasks that were made to wait; a query must say it in these words to find its index."""

CALLED_LATE = text("end_time IS NOT NULL AND not_before > 0")
"""What is true of finished tasks whose vendor called back and whose result is not collected yet."""


def to_micros(time: datetime) -> int:
    """Turn an aware time into what the tables hold."""
    return (time - _EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """Turn what the tables hold into an aware time."""
    return _EPOCH + micros * _MICROSECOND


class TaskRow(SQLModel, table=True):
    """A task: its request for good, and of its status what claims, lists and fences need.

    ``number`` orders tasks by age. ``lease_token`` rises with every change of owner; ``lease_until`` is
    null while nobody owns the task. ``not_before`` keeps a task that waits out of the claims. ``end_time`` is
    null while the task is open.
    """

    __tablename__ = "task"
    __table_args__ = (
        Index("task_by_tenant", "tenant", "state", "number"),
        Index("task_by_user", "tenant", "user_id", "state", "number"),
        Index(
            "task_queue", "provider", "tenant", "number", "not_before", sqlite_where=text("state = 'QUEUED'")
        ),
        Index("task_running", "lease_until", "not_before", sqlite_where=text("state = 'RUNNING'")),
        Index("task_deadline", "deadline", sqlite_where=text("state IN ('QUEUED', 'RUNNING')")),
        Index("task_waits", "not_before", sqlite_where=WAITS),
        Index("task_called_late", "not_before", sqlite_where=CALLED_LATE),
        Index("task_ended", "state", "end_time", sqlite_where=text("end_time IS NOT NULL")),
        {"sqlite_autoincrement": True},
    )

    number: int | None = Field(default=None, primary_key=True)
    task_id: str = Field(unique=True)
    tenant: str
    user_id: str
    provider: str
    state: str
    seq: int
    request: str
    create_time: int
    deadline: int
    not_before: int
    lease_token: int
    lease_until: int | None
    end_time: int | None


class TaskEventRow(SQLModel, table=True):
    """One numbered change of a task: the whole status as of ``seq``, as JSON."""

    __tablename__ = "task_event"
    __table_args__ = {"sqlite_with_rowid": False}

    task: int = Field(primary_key=True, foreign_key="task.number")
    seq: int = Field(primary_key=True)
    time: int
    status: str


class AttemptRow(SQLModel, table=True):
    """One paid call. Facts are written once and never changed back.

    ``token_sha256`` is the hash of the secret in the callback URL; ``result_urls`` is a JSON list of what the
    vendor answered, so that a restart can fetch it; ``late_images`` is a JSON list.
    """

    __tablename__ = "attempt"
    __table_args__ = (
        Index("attempt_token", "token_sha256", unique=True),
        Index("attempt_vendor_task", "provider", "vendor_task_id", unique=True),
        {"sqlite_with_rowid": False},
    )

    task: int = Field(primary_key=True, foreign_key="task.number")
    number: int = Field(primary_key=True)
    provider: str
    token_sha256: str
    outcome: str
    billing: str
    vendor_task_id: str | None
    vendor_request_id: str
    error: str | None
    submit_time: int
    end_time: int | None
    result_urls: str | None
    late_images: str


class ImageRow(SQLModel, table=True):
    """A tenant's right to an image, and the facts of its bytes.

    ``create_time`` is when the tenant was last given it: one that is uploaded again is as good as new.
    """

    __tablename__ = "image"
    __table_args__ = (Index("image_age", "create_time"), {"sqlite_with_rowid": False})

    tenant: str = Field(primary_key=True)
    image_id: str = Field(primary_key=True)
    media_type: str
    width: int
    height: int
    size_bytes: int
    transparency: str
    upright: bool
    create_time: int


class TaskImageRow(SQLModel, table=True):
    """That a task needs an image, as input, output, preview or late result."""

    __tablename__ = "task_image"
    __table_args__ = {"sqlite_with_rowid": False}

    tenant: str = Field(primary_key=True)
    image_id: str = Field(primary_key=True)
    task: int = Field(primary_key=True)


class IdempotencyRow(SQLModel, table=True):
    """Which task a request_id stands for, and the hash of the request that made it (P3)."""

    __tablename__ = "idempotency"
    __table_args__ = {"sqlite_with_rowid": False}

    tenant: str = Field(primary_key=True)
    method: str = Field(primary_key=True)
    request_id: str = Field(primary_key=True)
    body_sha256: str
    task: int


class UsageRow(SQLModel, table=True):
    """How much a tenant uses: sums over task and image that triggers keep."""

    __tablename__ = "usage"
    __table_args__ = {"sqlite_with_rowid": False}

    tenant: str = Field(primary_key=True)
    queued_tasks: int
    stored_bytes: int


METADATA = SQLModel.metadata
TASK: Table = METADATA.tables["task"]
EVENT: Table = METADATA.tables["task_event"]
ATTEMPT: Table = METADATA.tables["attempt"]
IMAGE: Table = METADATA.tables["image"]
TASK_IMAGE: Table = METADATA.tables["task_image"]
IDEMPOTENCY: Table = METADATA.tables["idempotency"]
USAGE: Table = METADATA.tables["usage"]

_SQLITE_GUARDS = (
    """CREATE TRIGGER task_ends_once BEFORE UPDATE ON task
       WHEN OLD.state NOT IN ('QUEUED', 'RUNNING') AND (NEW.seq <> OLD.seq OR NEW.state <> OLD.state)
       BEGIN SELECT RAISE(ABORT, 'a finished task does not change'); END""",
    """CREATE TRIGGER event_without_gap BEFORE INSERT ON task_event
       WHEN NEW.seq <> (SELECT coalesce(max(seq), 0) + 1 FROM task_event WHERE task = NEW.task)
         OR NEW.seq <> (SELECT seq FROM task WHERE number = NEW.task)
       BEGIN SELECT RAISE(ABORT, 'an event must have the next seq, that of its task'); END""",
    """CREATE TRIGGER event_stays BEFORE UPDATE ON task_event
       BEGIN SELECT RAISE(ABORT, 'an event does not change'); END""",
    """CREATE TRIGGER vendor_task_id_stays BEFORE UPDATE OF vendor_task_id ON attempt
       WHEN OLD.vendor_task_id IS NOT NULL AND NEW.vendor_task_id IS NOT OLD.vendor_task_id
       BEGIN SELECT RAISE(ABORT, 'a vendor task id does not change'); END""",
)
_SQLITE_SUMS = (
    """CREATE TRIGGER usage_of_new_task AFTER INSERT ON task WHEN NEW.state = 'QUEUED'
       BEGIN INSERT INTO usage (tenant, queued_tasks, stored_bytes) VALUES (NEW.tenant, 1, 0)
         ON CONFLICT (tenant) DO UPDATE SET queued_tasks = queued_tasks + 1; END""",
    """CREATE TRIGGER usage_of_changed_task AFTER UPDATE OF state ON task
       WHEN (NEW.state = 'QUEUED') <> (OLD.state = 'QUEUED')
       BEGIN UPDATE usage SET queued_tasks = queued_tasks + (NEW.state = 'QUEUED') - (OLD.state = 'QUEUED')
         WHERE tenant = NEW.tenant; END""",
    """CREATE TRIGGER usage_of_deleted_task AFTER DELETE ON task WHEN OLD.state = 'QUEUED'
       BEGIN UPDATE usage SET queued_tasks = queued_tasks - 1 WHERE tenant = OLD.tenant; END""",
    """CREATE TRIGGER usage_of_new_image AFTER INSERT ON image
       BEGIN INSERT INTO usage (tenant, queued_tasks, stored_bytes) VALUES (NEW.tenant, 0, NEW.size_bytes)
         ON CONFLICT (tenant) DO UPDATE SET stored_bytes = stored_bytes + NEW.size_bytes; END""",
    """CREATE TRIGGER usage_of_deleted_image AFTER DELETE ON image
       BEGIN UPDATE usage SET stored_bytes = stored_bytes - OLD.size_bytes WHERE tenant = OLD.tenant; END""",
)
for _trigger in (*_SQLITE_GUARDS, *_SQLITE_SUMS):
    event.listen(METADATA, "after_create", DDL(_trigger).execute_if(dialect="sqlite"))
