"""Rows to nouns and back."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row

from imageedit_server.core.charge import Billing
from imageedit_server.core.image import Image, Transparency
from imageedit_server.core.request import Request
from imageedit_server.core.task import Attempt, Event, Outcome, Task
from imageedit_server.runtime.recent import Recent
from imageedit_server.store import codec
from imageedit_server.store.tables import from_micros

KnownEvents = Recent[tuple[str, int], Event]
"""Events that were read lately, by the id of their task and their seq."""


def task_of(row: Row[Any]) -> Task:
    """Build a task from a row that has the columns of task and the status of one of its events."""
    return _as_of(row, row, codec.REQUEST.load(row.request))


def events_of(fixed: Row[Any], logged: Sequence[Row[Any]], known: KnownEvents) -> list[Event]:
    """Build events from the row of their task and their own.

    One that is ``known`` is not built again: an event never changes, and its task's id is no other's.
    """
    found = [known.get((fixed.task_id, row.seq)) for row in logged]
    request = None if all(found) else codec.REQUEST.load(fixed.request)
    return [
        event or _make_known(fixed, row, request, known) for event, row in zip(found, logged, strict=True)
    ]


def _make_known(fixed: Row[Any], row: Row[Any], request: Request | None, known: KnownEvents) -> Event:
    assert request is not None
    event = Event(seq=row.seq, time=from_micros(row.time), task=_as_of(fixed, row, request))
    known.put((fixed.task_id, row.seq), event)
    return event


def _as_of(fixed: Row[Any], row: Row[Any], request: Request) -> Task:
    return Task(
        task_id=fixed.task_id,
        tenant=fixed.tenant,
        request=request,
        status=codec.STATUS.load(row.status),
        seq=row.seq,
        create_time=from_micros(fixed.create_time),
        deadline=from_micros(fixed.deadline),
    )


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
