"""What the rows say about stored bytes, across tenants: which are orphans."""

from collections.abc import Collection, Iterator
from datetime import datetime

from sqlalchemy import Connection, func, select

from imageedit_server.store.states import IS_RUNNING
from imageedit_server.store.tables import IMAGE, TASK, from_micros

_OLDEST_RUNNING = select(func.min(TASK.c.create_time)).where(IS_RUNNING)


def unreferenced(connection: Connection, image_ids: Collection[str]) -> list[str]:
    """Return those of the ids that no tenant has a right to. One walk along the key per tenant."""
    left = set(image_ids)
    for tenant in _tenants(connection):
        found = select(IMAGE.c.image_id).where(IMAGE.c.tenant == tenant, IMAGE.c.image_id.in_(left))
        left.difference_update(connection.execute(found).scalars())
    return sorted(left)


def oldest_running(connection: Connection) -> datetime | None:
    """Return when the oldest task that is worked on was created, None when there is none.

    What it fetched has no row while it is in hand, and is younger than the task.
    """
    micros = connection.execute(_OLDEST_RUNNING).scalar()
    return None if micros is None else from_micros(micros)


def _tenants(connection: Connection) -> Iterator[str]:
    """Jump from tenant to tenant, whatever the number of images between them."""
    first = select(func.min(IMAGE.c.tenant))
    tenant = connection.execute(first).scalar()
    while tenant is not None:
        yield tenant
        tenant = connection.execute(first.where(IMAGE.c.tenant > tenant)).scalar()
