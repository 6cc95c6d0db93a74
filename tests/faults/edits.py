"""A paid edit under a fault: one payment, that very picture."""

import asyncio
import time

from imageedit_client import AsyncClient, ImageEditError, Task
from tests.chaos.words import billing_of, is_over, outcomes_of, state_of
from tests.faults.control import Call, Seen
from tests.faults.place import Operations, Place
from tests.faults.vendors import Paid
from tests.faults.verdicts import HOME, IN_DOUBT, LATE, LOST, OTHER_BYTES, STUCK, TWICE, UNPAID

LATE_SECONDS = 0.5
AGAIN_SECONDS = 0.02


class Edit:
    """An edit at the vendor with whose name it begins, else at the relay, from its creation to its end."""

    def __init__(self, place: Place, name: str) -> None:
        self.place = place
        self.name = name
        self.control = place.control
        self.paid: Paid = place.vendors.get(name.partition("-")[0], place.relay)

    async def begin(self) -> None:
        self._image_id = await self.place.upload(self.name)

    async def go(self) -> bool:
        return await self.place.gets_through(self.follow())

    async def follow(self) -> None:
        """Call until the edit has ended; who gets an error asks again, under the same request_id."""
        async with self.place.client() as client:
            while True:
                try:
                    task = await self.create(client)
                    async for _ in client.watch(task.task_id):
                        pass
                    return
                except ImageEditError:
                    await asyncio.sleep(AGAIN_SECONDS)

    async def create(self, client: AsyncClient) -> Task:
        """Create the task; the same one every time."""
        prompt = f"make it warmer {self.name}"
        return await client.edit_image(
            prompt, [self._image_id], request_id=self.name, model=self.paid.model, size=self.paid.size
        )

    async def judged(self, seen: Seen) -> tuple[str, str]:
        async with self.place.client() as client:
            task = await self.create(client)
            if self.paid.payments(self.name) and not task.images and is_over(task):
                task = await _with_late_images(client, task)
            story = " ".join(
                filter(None, (state_of(task), task.error.reason, billing_of(task), *outcomes_of(task)))
            )
            return await _verdict(client, task, self.paid, self.name, seen), story


async def _with_late_images(client: AsyncClient, task: Task) -> Task:
    """Return the task when its picture came late, or when that takes too long."""
    end = time.monotonic() + LATE_SECONDS
    while time.monotonic() < end and not any(attempt.late_images for attempt in task.attempts):
        await asyncio.sleep(0.02)
        task = await client.get(task.task_id)
    return task


async def _verdict(client: AsyncClient, task: Task, paid: Paid, name: str, seen: Seen) -> str:
    payments = paid.payments(name)
    if payments > 1:
        return TWICE
    if not is_over(task):
        return STUCK
    if task.images:
        content = await client.download(task.images[0].image_id)
        return HOME if payments and content == paid.made(name) else OTHER_BYTES
    if any(attempt.late_images for attempt in task.attempts):
        return LATE
    if _is_in_doubt(task) and may_be_in_doubt(paid, seen, payments):
        return IN_DOUBT
    return LOST if payments else UNPAID


def may_be_in_doubt(paid: Paid, seen: Seen, payments: int) -> bool:
    """Whether nobody can know: the call's own connection broke, or the fsync of its intent failed (F22)."""
    if seen.call is Call.FSYNC:
        return not payments
    return any(map(paid.is_called_by, seen.about)) and not (payments and paid.tells_again)


def _is_in_doubt(task: Task) -> bool:
    """P6: the one failure that a broken connection may cause, told as what it is."""
    told = billing_of(task) == "MAY_HAVE_BEEN_CHARGED" and outcomes_of(task) == ("UNKNOWN",)
    return told and task.error.reason == "SUBMIT_OUTCOME_UNKNOWN"


EDITS: Operations = {"relay": Edit, "kie": Edit}
"""By the vendor's name."""
