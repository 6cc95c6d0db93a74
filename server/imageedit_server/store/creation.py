"""New tasks and images, and what their request_ids stand for."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Insert, bindparam, case, insert, select

from imageedit_server.core.errors import Reason, Refusal, image_not_found
from imageedit_server.core.image import Image
from imageedit_server.core.request import Request
from imageedit_server.core.task import Status, Task
from imageedit_server.store import codec
from imageedit_server.store.database import RunAgain
from imageedit_server.store.dialect import Taken, dialect_of
from imageedit_server.store.log import insert_event
from imageedit_server.store.queries import get_task, has_image
from imageedit_server.store.quotas import NO_QUOTA, Quota, check_images, check_task
from imageedit_server.store.statements import PreparedInsert, PreparedSelect, PreparedUpsert
from imageedit_server.store.tables import IDEMPOTENCY, IMAGE, TASK, TASK_IMAGE, to_micros


@dataclass(frozen=True, kw_only=True, slots=True)
class NewTask:
    """A task to create. ``method`` and ``body_sha256`` scope and compare its ``request.request_id``.

    Without one the hash is of no use, and empty.
    """

    task_id: str
    tenant: str
    request: Request
    status: Status
    method: str
    body_sha256: str
    create_time: datetime
    deadline: datetime


def create_task(
    connection: Connection, new: NewTask, images: Sequence[Image] = (), quota: Quota = NO_QUOTA
) -> Task:
    """Store a new task with its event 1, or answer the one that its request_id already stands for.

    ``images`` are those that came with it. Raises REQUEST_ID_REUSED when that one was asked for differently,
    QUOTA_EXCEEDED, and IMAGE_NOT_FOUND when an input was deleted since it was looked at.
    """
    existing = find_by_request_id(connection, new.tenant, new.method, new.request.request_id, new.body_sha256)
    if existing is not None:
        return existing
    if quota != NO_QUOTA:
        dialect_of(connection).lock_usage(new.tenant)
    check_task(connection, new.tenant, quota, images)
    add_images(connection, new.tenant, images, new.create_time)
    _check_inputs(connection, new)
    number = _insert_task(connection, new)
    link_images(connection, new.tenant, number, new.request.input_images())
    task = Task(
        task_id=new.task_id,
        tenant=new.tenant,
        request=new.request,
        status=new.status,
        seq=1,
        create_time=new.create_time,
        deadline=new.deadline,
    )
    insert_event(connection, number, task, new.create_time)
    if new.request.request_id:
        _take_request_id(connection, new, number)
    return task


def find_by_request_id(
    connection: Connection, tenant: str, method: str, request_id: str, body_sha256: str
) -> Task | None:
    """Return the task that a request_id stands for. Raises REQUEST_ID_REUSED when the body differs (P3)."""
    if not request_id:
        return None
    row = _BY_REQUEST_ID.first(connection, tenant=tenant, method=method, request_id=request_id)
    if row is None:
        return None
    if row.body_sha256 != body_sha256:
        raise Refusal(
            Reason.REQUEST_ID_REUSED,
            "This request_id was used for another request; choose a new one.",
        )
    return get_task(connection, tenant, row.task_id)


_LINK_IMAGE = PreparedUpsert(TASK_IMAGE, lambda new: new.on_conflict_do_nothing())
_INSERT_TASK = PreparedInsert(insert(TASK).returning(TASK.c.number))
_INSERT_IDEMPOTENCY = PreparedInsert(insert(IDEMPOTENCY))
_BY_REQUEST_ID = PreparedSelect(
    select(IDEMPOTENCY.c.body_sha256, TASK.c.task_id)
    .join(TASK, TASK.c.number == IDEMPOTENCY.c.task)
    .where(
        IDEMPOTENCY.c.tenant == bindparam("tenant"),
        IDEMPOTENCY.c.method == bindparam("method"),
        IDEMPOTENCY.c.request_id == bindparam("request_id"),
    )
)


def add_images(
    connection: Connection, tenant: str, images: Sequence[Image], now: datetime, quota: Quota = NO_QUOTA
) -> None:
    """Give the tenant the right to images whose bytes are durable already. Raises QUOTA_EXCEEDED."""
    if quota.stored_bytes:
        dialect_of(connection).lock_usage(tenant)
    check_images(connection, tenant, quota, images)
    for image in images:
        _ADD_IMAGE.run(
            connection,
            tenant=tenant,
            image_id=image.image_id,
            media_type=image.media_type,
            width=image.width,
            height=image.height,
            size_bytes=image.size_bytes,
            transparency=image.transparency.value,
            upright=image.upright,
            create_time=to_micros(now),
        )


def _given_again(new: Any) -> Insert:
    """An image that the tenant has keeps its place, and is as young as the last time it was given."""
    before, now = IMAGE.c.create_time, new.excluded.create_time
    again: Insert = new.on_conflict_do_update(
        index_elements=(IMAGE.c.tenant, IMAGE.c.image_id),
        set_={"create_time": case((before > now, before), else_=now)},
    )
    return again


_ADD_IMAGE = PreparedUpsert(IMAGE, _given_again)


def link_images(connection: Connection, tenant: str, number: int, images: Sequence[Image]) -> None:
    """Say that the task of this number needs images, so that they stay as long as it does."""
    for image in images:
        _LINK_IMAGE.run(connection, tenant=tenant, image_id=image.image_id, task=number)


def _take_request_id(connection: Connection, new: NewTask, number: int) -> None:
    """Let the request_id stand for the task. Raises ``RunAgain`` when another one was quicker (P3)."""
    try:
        _INSERT_IDEMPOTENCY.run(
            connection,
            tenant=new.tenant,
            method=new.method,
            request_id=new.request.request_id,
            body_sha256=new.body_sha256,
            task=number,
        )
    except Taken:  # the next run finds that task
        raise RunAgain from None


def _check_inputs(connection: Connection, new: NewTask) -> None:
    for image in new.request.input_images():
        if not has_image(connection, new.tenant, image.image_id):
            raise image_not_found()


def _insert_task(connection: Connection, new: NewTask) -> int:
    return _INSERT_TASK.number(
        connection,
        task_id=new.task_id,
        tenant=new.tenant,
        user_id=new.request.user_id,
        provider=new.request.provider,
        state=new.status.state.value,
        seq=1,
        request=codec.REQUEST.dump(new.request),
        create_time=to_micros(new.create_time),
        deadline=to_micros(new.deadline),
        not_before=0,
        lease_token=0,
        lease_until=None,
        end_time=None,
    )
