"""The tables, as SQLModel declares them. Times are microseconds since the epoch, in UTC.

Integers have 64 bits and texts compare by code point on every engine, as SQLite does by itself: microseconds
need the one, turns and pages that are compared in Python too need the other.

A change of these tables is a step in ``migrations`` too; what was there keeps its place.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, Boolean, Index, Integer, String, Table, Text
from sqlalchemy.types import TypeEngine
from sqlmodel import Field, SQLModel

from imageedit_server.store.states import (
    CALLED_LATE,
    HAS_ENDED,
    HAS_USER,
    HAS_VENDOR_ID,
    IS_OPEN,
    IS_QUEUED,
    IS_RUNNING,
    WAITS,
    where,
)

INTEGER = BigInteger().with_variant(Integer(), "sqlite")
TEXT = String().with_variant(Text(collation="C"), "postgresql")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


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
        Index("task_by_user", "tenant", "user_id", "state", "number", **where(HAS_USER)),
        Index("task_queue", "provider", "tenant", "number", "not_before", **where(IS_QUEUED)),
        Index("task_running", "lease_until", "not_before", **where(IS_RUNNING)),
        Index("task_deadline", "deadline", **where(IS_OPEN)),
        Index("task_waits", "not_before", **where(WAITS)),
        Index("task_called_late", "not_before", **where(CALLED_LATE)),
        Index("task_ended", "state", "end_time", **where(HAS_ENDED)),
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
    vendor answered, so that a restart can fetch it; ``late_images`` is a JSON list; ``answer`` is the head of
    what the vendor sent and ``usage`` its own figures, both JSON. ``kept_bytes`` are those of the body
    where it is kept because nobody understood it; they count as the tenant's.
    """

    __tablename__ = "attempt"
    __table_args__ = (
        Index("attempt_token", "token_sha256", unique=True),
        Index("attempt_vendor_task", "provider", "vendor_task_id", unique=True, **where(HAS_VENDOR_ID)),
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
    answer: str | None
    usage: str | None
    kept_bytes: int


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


class ErasedImageRow(SQLModel, table=True):
    """An image that a caller erased and whose bytes may still be there: a crash came between."""

    __tablename__ = "erased_image"
    __table_args__ = {"sqlite_with_rowid": False}

    image_id: str = Field(primary_key=True)


class DataDirRow(SQLModel, table=True):
    """The folder that the data were last served from, told by its lock file. One row, of number 1."""

    __tablename__ = "data_dir"
    __table_args__ = {"sqlite_with_rowid": False}

    number: int = Field(primary_key=True)
    lock_inode: int


class SchemaStepRow(SQLModel, table=True):
    """Since when the data have had a schema, and which version of the server gave it to them.

    The newest ``number`` is what they have now; data that were made with it have no older ones.
    """

    __tablename__ = "schema_step"
    __table_args__ = {"sqlite_with_rowid": False}

    number: int = Field(primary_key=True)
    time: int
    version: str


def _everywhere(type_: TypeEngine[Any]) -> TypeEngine[Any]:
    """Return what a column has on every engine in place of what SQLModel gave it."""
    if isinstance(type_, Boolean):
        return type_
    return INTEGER if isinstance(type_, Integer) else TEXT


METADATA = SQLModel.metadata
TASK: Table = METADATA.tables["task"]
EVENT: Table = METADATA.tables["task_event"]
ATTEMPT: Table = METADATA.tables["attempt"]
IMAGE: Table = METADATA.tables["image"]
TASK_IMAGE: Table = METADATA.tables["task_image"]
IDEMPOTENCY: Table = METADATA.tables["idempotency"]
USAGE: Table = METADATA.tables["usage"]
ERASED_IMAGE: Table = METADATA.tables["erased_image"]
DATA_DIR: Table = METADATA.tables["data_dir"]
SCHEMA_STEP: Table = METADATA.tables["schema_step"]

for _table in METADATA.sorted_tables:
    for _column in _table.columns:
        _column.type = _everywhere(_column.type)
