"""Erasing on a caller's word: what it names is off the disk when it is answered, each within its tenant.

Three steps, each of which a restart goes on from: the rows go in one commit, which also notes the images
that nobody has a right to any more; then their bytes and the answers that are kept; then what the database
still holds of the rows. Copies that were made before, such as backups, are their keepers' to delete.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Coroutine
from typing import Any, Protocol

from imageedit_server.core.errors import Refusal
from imageedit_server.editing.pictures import check_image_id
from imageedit_server.editing.tasks import check_task_id
from imageedit_server.images.library import ImageLibrary
from imageedit_server.runtime.failpoints import failpoint
from imageedit_server.store.database import Database
from imageedit_server.store.erasing import bytes_are_gone, erase_image, erase_task, erased_images
from imageedit_server.store.unreferenced import unreferenced

CLOSING_SECONDS = 1.0
MOST_AT_ONCE = 500
"""How many images one query is asked about."""

_log = logging.getLogger(__name__)


class EraseAnswers(Protocol):
    """Removes what is kept of vendors' answers, durably."""

    async def __call__(self, task_id: str) -> None:
        """Leave nothing of the answers to any attempt of this task, also of one whose answer still comes."""
        ...


async def no_answers(task_id: str) -> None:
    """Implements ``EraseAnswers`` where none are kept."""


class Erasing:
    """Deletes tasks and images for good."""

    def __init__(
        self,
        database: Database,
        library: ImageLibrary,
        *,
        erase_answers: EraseAnswers = no_answers,
    ) -> None:
        self._database = database
        self._library = library
        self._erase_answers = erase_answers
        self._works: set[asyncio.Task[None]] = set()

    async def delete_task(self, tenant: str, task_id: str) -> None:
        """Erase a finished task: its events, attempts, answers, request_id, and images no other task needs.

        Raises TASK_NOT_FOUND, also when it was erased before, and TASK_NOT_FINISHED. Once the task is gone
        it goes on to its end, whatever becomes of the caller.
        """
        check_task_id(task_id)
        await self._to_the_end(self._delete_task(tenant, task_id))

    async def delete_image(self, tenant: str, image_id: str) -> None:
        """Erase an image that no task needs. Raises IMAGE_NOT_FOUND, IMAGE_IN_USE, INVALID_FIELD."""
        check_image_id(image_id)
        await self._to_the_end(self._delete_image(tenant, image_id))

    async def finish(self) -> None:
        """Erase what a crash, or somebody who had an image in hand, left over."""
        left = await self._database.read(erased_images)
        for start in range(0, len(left), MOST_AT_ONCE):
            await self.erase_bytes(left[start : start + MOST_AT_ONCE])
        await self._database.scrub()

    async def erase_bytes(self, image_ids: Collection[str]) -> None:
        """Remove the bytes of those images that no tenant has a right to, and that nobody has in hand."""
        if not image_ids:
            return
        settled = await self._library.erase(image_ids, self._nobodys)
        await self._database.record(bytes_are_gone, settled)

    async def close(self) -> None:
        """Wait a moment for what was begun; the next start goes on with the rest."""
        works = list(self._works)
        if works:
            await asyncio.wait(works, timeout=CLOSING_SECONDS)
        for work in works:
            work.cancel()
        await asyncio.gather(*works, return_exceptions=True)

    async def _delete_task(self, tenant: str, task_id: str) -> None:
        image_ids = await self._erased(erase_task, tenant, task_id)
        await self._erase_answers(task_id)
        await self._scrub(image_ids)

    async def _delete_image(self, tenant: str, image_id: str) -> None:
        await self._scrub(await self._erased(erase_image, tenant, image_id))

    async def _erased(self, unit: Callable[..., Collection[str]], tenant: str, name: str) -> Collection[str]:
        image_ids = await self._database.write(unit, tenant, name)
        failpoint("erase_after_commit")
        return image_ids

    async def _scrub(self, image_ids: Collection[str]) -> None:
        await self.erase_bytes(image_ids)
        failpoint("erase_after_bytes")
        await self._database.scrub()

    async def _nobodys(self, image_ids: Collection[str]) -> Collection[str]:
        return await self._database.read(unreferenced, image_ids)

    async def _to_the_end(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work, name="erasing")
        self._works.add(task)
        task.add_done_callback(self._ended)
        await asyncio.shield(task)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._works.discard(task)
        if not task.cancelled() and (error := task.exception()) and not isinstance(error, Refusal):
            _log.error("erasing broke off; the next start goes on: %s", error)
