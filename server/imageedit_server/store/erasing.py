"""Erasing on a caller's word: rows at once, and the names of the bytes that must go with them.

``erased_image`` holds those names from the commit that takes the last row until the bytes are gone, so that
a crash between the two loses nothing of the promise.
"""

from collections.abc import Collection

from sqlalchemy import Connection, delete, exists, select

from imageedit_server.core.change import Change
from imageedit_server.core.errors import Reason, Refusal, image_not_found, task_not_found
from imageedit_server.core.task import State
from imageedit_server.store.database import CHANGES
from imageedit_server.store.dialect import dialect_of
from imageedit_server.store.log import locked_row
from imageedit_server.store.queries import has_image
from imageedit_server.store.retention import forget_task
from imageedit_server.store.statements import PreparedUpsert
from imageedit_server.store.tables import ERASED_IMAGE, IMAGE, TASK_IMAGE
from imageedit_server.store.unreferenced import unreferenced


def erase_task(connection: Connection, tenant: str, task_id: str) -> list[str]:
    """Delete a finished task with all that only it needed; return the images whose bytes must go.

    Raises TASK_NOT_FOUND and TASK_NOT_FINISHED. Whoever follows the task is told that there is news of it.
    """
    row = locked_row(connection, task_id)
    if row is None or row.tenant != tenant:
        raise task_not_found()
    state = State(row.state)
    if not state.terminal:
        raise Refusal(Reason.TASK_NOT_FINISHED, f"Task {task_id} is {state}; cancel it first, or wait.")
    image_ids = forget_task(connection, row)
    connection.info[CHANGES].append(Change(task_id, row.seq + 1, state))
    return _note_erased(connection, image_ids)


def erase_image(connection: Connection, tenant: str, image_id: str) -> list[str]:
    """Delete the tenant's right to an image; return it if its bytes must go.

    Raises IMAGE_NOT_FOUND, and IMAGE_IN_USE while one of the tenant's tasks needs it.
    """
    dialect_of(connection).lock_usage(tenant)
    if not has_image(connection, tenant, image_id):
        raise image_not_found()
    its = (TASK_IMAGE.c.tenant == tenant, TASK_IMAGE.c.image_id == image_id)
    if connection.execute(select(exists().where(*its))).scalar():
        raise Refusal(
            Reason.IMAGE_IN_USE, "A task needs this image; delete its tasks, and it goes with them."
        )
    connection.execute(delete(IMAGE).where(IMAGE.c.tenant == tenant, IMAGE.c.image_id == image_id))
    return _note_erased(connection, [image_id])


def erased_images(connection: Connection) -> list[str]:
    """Return the images that were erased and whose bytes may still be there."""
    return list(connection.execute(select(ERASED_IMAGE.c.image_id)).scalars())


def bytes_are_gone(connection: Connection, image_ids: Collection[str]) -> None:
    """Say that nothing is left of erased images, or that some tenant was given them again."""
    connection.execute(delete(ERASED_IMAGE).where(ERASED_IMAGE.c.image_id.in_(image_ids)))


def _note_erased(connection: Connection, image_ids: Collection[str]) -> list[str]:
    nobodys = unreferenced(connection, image_ids)
    for image_id in nobodys:
        _NOTE.run(connection, image_id=image_id)
    return nobodys


_NOTE = PreparedUpsert(ERASED_IMAGE, lambda new: new.on_conflict_do_nothing())
