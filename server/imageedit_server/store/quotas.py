"""How much of the store a tenant may use, and how much it uses (F88).

``usage`` holds the sums. Triggers keep it, so it is right whoever adds, ends or deletes, and looking at it
costs the same with a million rows as with none.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, select

from imageedit_server.core.errors import Reason, Refusal
from imageedit_server.core.image import Image
from imageedit_server.store.queries import has_image
from imageedit_server.store.statements import PreparedSelect
from imageedit_server.store.tables import USAGE

QUEUE_RETRY_SECONDS = 1.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Quota:
    """What each tenant may use; 0 is no limit. ``stored_bytes`` are those of its pictures."""

    queued_tasks: int = 0
    stored_bytes: int = 0


NO_QUOTA = Quota()

_USAGE = PreparedSelect(
    select(USAGE.c.queued_tasks, USAGE.c.stored_bytes).where(USAGE.c.tenant == bindparam("tenant"))
)


def check_task(connection: Connection, tenant: str, quota: Quota, images: Sequence[Image] = ()) -> None:
    """Raise QUOTA_EXCEEDED when the tenant may not have another task, with the ``images`` that come with it.

    Results of tasks are never refused, since they are paid for. So there is no new task, of any kind, for
    whom nothing more may be stored.
    """
    if quota == NO_QUOTA:
        return
    queued_tasks, stored_bytes = _usage(connection, tenant)
    if 0 < quota.queued_tasks <= queued_tasks:
        raise Refusal(
            Reason.QUOTA_EXCEEDED,
            f"{queued_tasks} tasks wait for their turn; {quota.queued_tasks} may. Wait for some to start.",
            retry_after_seconds=QUEUE_RETRY_SECONDS,
        )
    if 0 < quota.stored_bytes <= stored_bytes:
        raise _full(quota)
    check_images(connection, tenant, quota, images)


def check_images(connection: Connection, tenant: str, quota: Quota, images: Sequence[Image]) -> None:
    """Raise QUOTA_EXCEEDED when ``images`` are too much. What the tenant has already takes no room."""
    if not quota.stored_bytes:
        return
    new = {image.image_id: image for image in images if not has_image(connection, tenant, image.image_id)}
    _, stored_bytes = _usage(connection, tenant)
    if new and stored_bytes + sum(image.size_bytes for image in new.values()) > quota.stored_bytes:
        raise _full(quota)


def _usage(connection: Connection, tenant: str) -> tuple[int, int]:
    return _USAGE.first(connection, tenant=tenant) or (0, 0)


def _full(quota: Quota) -> Refusal:
    return Refusal(
        Reason.QUOTA_EXCEEDED,
        f"Pictures may take {quota.stored_bytes} bytes together, and these would take more.",
    )
