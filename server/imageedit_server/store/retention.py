"""Forgetting: finished tasks after their time, and images with the last task that needs them.

Every function looks at a few rows only, so that no transaction is long; call it until there is nothing left.
"""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import astuple, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, exists, select, tuple_

from imageedit_server.core.task import State
from imageedit_server.store.log import locked_row
from imageedit_server.store.queries import has_image, with_attempts
from imageedit_server.store.tables import ATTEMPT, EVENT, IDEMPOTENCY, IMAGE, TASK, TASK_IMAGE, to_micros

_IS_NEEDED = exists().where(TASK_IMAGE.c.tenant == IMAGE.c.tenant, TASK_IMAGE.c.image_id == IMAGE.c.image_id)


def forget_tasks(connection: Connection, state: State, ended_before: datetime, most: int) -> int:
    """Delete the oldest tasks that ended in ``state``, before a time; return how many, at most ``most``.

    Their request_ids are forgotten too (P3: each lives as long as its task). Images that no other task needs
    go with them, unless the tenant was given them again since.
    """
    task_ids = connection.execute(
        select(TASK.c.task_id)
        .where(
            TASK.c.state == state.value,
            TASK.c.end_time.is_not(None),
            TASK.c.end_time < to_micros(ended_before),
        )
        .order_by(TASK.c.end_time)
        .limit(most)
    ).scalars()
    found = task_ids.all()
    for task_id in found:
        if row := locked_row(connection, task_id):
            forget_task(connection, row, given_before=ended_before)
    return len(found)


def forget_task(connection: Connection, row: Any, *, given_before: datetime | None = None) -> set[str]:
    """Delete the finished task of a locked row with all that only it needed.

    That is its images too, but for those that the tenant was given again since ``given_before``, if there is
    such a time. Returns the images that the tenant has no right to any more.
    """
    task = with_attempts(connection, row)
    connection.execute(
        delete(IDEMPOTENCY).where(
            IDEMPOTENCY.c.tenant == task.tenant,
            IDEMPOTENCY.c.method == task.request.kind.value,
            IDEMPOTENCY.c.request_id == task.request.request_id,
        )
    )
    image_ids = {image.image_id for image in (*task.request.input_images(), *task.status.all_images())}
    connection.execute(
        delete(TASK_IMAGE).where(
            TASK_IMAGE.c.tenant == task.tenant,
            TASK_IMAGE.c.image_id.in_(image_ids),
            TASK_IMAGE.c.task == row.number,
        )
    )
    _forget_images(connection, task.tenant, image_ids, given_before)
    for table in (EVENT, ATTEMPT):
        connection.execute(delete(table).where(table.c.task == row.number))
    connection.execute(delete(TASK).where(TASK.c.number == row.number))
    return {each for each in image_ids if not has_image(connection, task.tenant, each)}


@dataclass(frozen=True, slots=True)
class ImageAge:
    """The place of an image among all images, oldest first."""

    create_time: int
    tenant: str
    image_id: str


def forget_images(
    connection: Connection, given_before: datetime, after: ImageAge | None, most: int
) -> ImageAge | None:
    """Delete images that were given to their tenants before a time and that no task needs.

    Looks at the ``most`` next ones after ``after``; returns where to go on, None at the end.
    """
    age = tuple_(IMAGE.c.create_time, IMAGE.c.tenant, IMAGE.c.image_id)
    begin = astuple(after) if after else (0, "", "")
    rows = connection.execute(
        select(IMAGE.c.create_time, IMAGE.c.tenant, IMAGE.c.image_id)
        .where(IMAGE.c.create_time < to_micros(given_before), age > begin)
        .order_by(IMAGE.c.create_time, IMAGE.c.tenant, IMAGE.c.image_id)
        .limit(most)
    ).all()
    by_tenant: defaultdict[str, list[str]] = defaultdict(list)
    for row in rows:
        by_tenant[row.tenant].append(row.image_id)
    for tenant, image_ids in by_tenant.items():
        _forget_images(connection, tenant, image_ids, given_before)
    return ImageAge(*rows[-1]) if rows else None


def _forget_images(
    connection: Connection, tenant: str, image_ids: Collection[str], given_before: datetime | None
) -> None:
    forgotten = delete(IMAGE).where(IMAGE.c.tenant == tenant, IMAGE.c.image_id.in_(image_ids), ~_IS_NEEDED)
    if given_before is not None:
        forgotten = forgotten.where(IMAGE.c.create_time < to_micros(given_before))
    connection.execute(forgotten)
