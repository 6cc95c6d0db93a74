"""Callers: they upload, create, watch, cancel and ask again, and remember what they were promised."""

import asyncio
import io
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any

from PIL import Image

from imageedit_client import AsyncClient, ImageEditError, Task
from tests.history.checker import Stream
from tests.history.recorder import Recorder

if TYPE_CHECKING:
    from imageedit.v1.image_edit_service_pb2_grpc import ImageEditServiceAsyncStub

KIE, RELAY, SUITME, SCRIPTED, LOCAL = "kie", "relay", "suitme", "scripted", "local"
PAID = (KIE, RELAY, SUITME)
KINDS = (KIE, RELAY, SUITME, SCRIPTED, LOCAL)
MODELS = {
    KIE: {"model": "seedream/4.5-edit", "size": "1:1"},
    RELAY: {"model": "relay/model", "size": "64x64"},
    SUITME: {"model": "suitme/model-edit"},
    SCRIPTED: {"model": "scripted/ok"},
    LOCAL: {"model": "local/basic"},
}
TIMEOUT_SECONDS = 600.0
"""Of each task: no deadline may end what a crash got stuck."""
PICTURE_SIDE = 48


@dataclass(frozen=True, slots=True)
class Promise:
    """A create that was answered."""

    request_id: str
    kind: str
    task_id: str
    image_id: str
    seconds: float = TIMEOUT_SECONDS


@dataclass
class Promises:
    """What callers were told. ``broken`` is what they saw to be wrong themselves."""

    uploads: dict[str, bytes] = field(default_factory=dict)
    """Pictures by the ids that were answered."""
    tasks: dict[str, Promise] = field(default_factory=dict)
    """By request_id."""
    broken: list[tuple[str, str]] = field(default_factory=list)
    answers: int = 0
    answered: Callable[[], None] = lambda: None

    def keep_task(self, promise: Promise) -> None:
        """Remember the answer to a create; the same request must always get the same."""
        first = self.tasks.setdefault(promise.request_id, promise)
        if first != promise:
            self.broken.append(("twice", f"{promise.request_id} is {first.task_id} and {promise.task_id}"))
        self._count()

    def keep_upload(self, image_id: str, picture: bytes) -> None:
        """Remember the answer to an upload."""
        self.uploads[image_id] = picture
        self._count()

    def _count(self) -> None:
        self.answers += 1
        self.answered()


@dataclass
class Caller:
    """One that works on tasks of one kind, one after the other; all it does is drawn from ``dice``."""

    name: str
    kind: str
    dice: Random
    client: AsyncClient
    stub: "ImageEditServiceAsyncStub"
    promises: Promises
    recorder: Recorder
    cancels: float

    async def work(self, stop: asyncio.Event) -> None:
        """Go on until told to stop, then finish the task at hand."""
        number = 0
        while not stop.is_set():
            try:
                await self._one(f"{self.name}-{number}")
            except ImageEditError as error:
                self.promises.broken.append(("refused", f"{self.name}-{number}: {error!r}"))
            number += 1

    async def _one(self, request_id: str) -> None:
        content = picture(self.dice)
        image_id = (await self.client.upload(content)).image_id
        self.promises.keep_upload(image_id, content)
        for _ in range(self.dice.choice((1, 1, 2))):  # some ask twice, as a restarted caller does
            task = await create(self.client, self.kind, request_id, image_id)
            self.promises.keep_task(Promise(request_id, self.kind, task.task_id, image_id))
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow(task.task_id, 0))
            if self.dice.random() < 0.5:
                group.create_task(self._follow(task.task_id, 1))
            if self.dice.random() < self.cancels:
                group.create_task(self._cancel(task.task_id))

    async def _follow(self, task_id: str, after_seq: int) -> Stream:
        """Watch to the end; some leave now and then, and come back to where they were."""
        leaves = self.dice.random() < 0.3
        most = (lambda: self.dice.randint(1, 3)) if leaves else (lambda: None)
        return await self.recorder.follow(self.stub, task_id, after_seq, most=most)

    async def _cancel(self, task_id: str) -> None:
        """Watch until something happens, then cancel."""
        await self.recorder.watch(self.stub, task_id, 0, most=self.dice.randint(1, 4))
        await self.client.cancel(task_id)


async def create(
    client: AsyncClient, kind: str, request_id: str, image_id: str, seconds: float = TIMEOUT_SECONDS
) -> Task:
    """Ask for a task; whatever a vendor sees of it, its name is there too."""
    settings: Any = {**MODELS[kind], "request_id": request_id, "timeout": seconds}
    if kind == SUITME:
        return await client.create_default_model(image_id, user_id=request_id, **settings)
    return await client.edit_image(f"make it warmer, {request_id}", [image_id], **settings)


def picture(dice: Random) -> bytes:
    """A PNG that nobody uploaded before."""
    pixels = dice.randbytes(PICTURE_SIDE * PICTURE_SIDE * 3)
    out = io.BytesIO()
    Image.frombytes("RGB", (PICTURE_SIDE, PICTURE_SIDE), pixels).save(out, "PNG", compress_level=1)
    return out.getvalue()
