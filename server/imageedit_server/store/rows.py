"""Rows to nouns and back."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row

from imageedit_server.core.charge import Billing
from imageedit_server.core.image import Image, Transparency
from imageedit_server.core.request import Request
from imageedit_server.core.task import Attempt, Event, Outcome, Task
from imageedit_server.store import codec
from imageedit_server.store.tables import from_micros


def task_of(row: Row[Any], request: Request | None = None) -> Task:
    """Build a task from a row that has the columns of task and the status of one of its events.

    ``request`` is the task's, where it was read already.
    """
    return Task(
        task_id=row.task_id,
        tenant=row.tenant,
        request=request or codec.REQUEST.load(row.request),
        status=codec.STATUS.load(row.status),
        seq=row.seq,
        create_time=from_micros(row.create_time),
        deadline=from_micros(row.deadline),
    )


def events_of(rows: Sequence[Row[Any]]) -> list[Event]:
    """Build events of one task from rows that have the columns of task and task_event."""
    request = codec.REQUEST.load(rows[0].request) if rows else None
    return [Event(seq=row.seq, time=from_micros(row.time), task=task_of(row, request)) for row in rows]


def attempt_of(row: Row[Any]) -> Attempt:
    """Build an attempt from its row."""
    return Attempt(
        number=row.number,
        provider=row.provider,
        outcome=Outcome(row.outcome),
        billing=Billing(row.billing),
        vendor_task_id=row.vendor_task_id or "",
        vendor_request_id=row.vendor_request_id,
        error=codec.ERROR.load(row.error) if row.error else None,
        submit_time=from_micros(row.submit_time),
        end_time=from_micros(row.end_time) if row.end_time is not None else None,
        late_images=codec.IMAGES.load(row.late_images),
        answer=codec.ANSWER.load(row.answer) if row.answer else None,
        usage=codec.USAGE.load(row.usage) if row.usage else {},
    )


def image_of(row: Row[Any]) -> Image:
    """Build an image from its row."""
    return Image(
        image_id=row.image_id,
        media_type=row.media_type,
        width=row.width,
        height=row.height,
        size_bytes=row.size_bytes,
        transparency=Transparency(row.transparency),
        upright=bool(row.upright),
    )
