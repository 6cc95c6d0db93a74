"""A noisy neighbour: a tenant with a valid key who does all that hurts, through kills and restarts.

Also to it is kept what was promised: what it creates in earnest is remembered, and judged as everybody's.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache
from random import Random
from typing import TYPE_CHECKING, Any, TypeVar

import grpc

from imageedit.v1 import image_edit_service_pb2 as pb
from imageedit.v1 import image_pb2
from imageedit.v1.image_edit_service_pb2_grpc import ImageEditServiceStub
from imageedit_client import AsyncClient, ImageEditError, Pace
from imageedit_client.connection import Connection
from tests.history.recorder import Recorder
from tests.images.pictures import png, progressive, zeros
from tests.servers.doorway import Doorway
from tests.storm.load import LOCAL, PAID, SCRIPTED, TIMEOUT_SECONDS, Promise, Promises, create, picture
from tests.storm.tenants import NOISY, NOISY_NAME, SHORT_NAME, shows
from tests.storm.traffic import Traffic

if TYPE_CHECKING:
    from imageedit.v1.image_edit_service_pb2_grpc import ImageEditServiceAsyncStub

CALL_SECONDS = 5.0
HASTY_SECONDS = 0.004
"""The deadline of one who does not wait for the answer."""
SHORT_SECONDS = 1.0
"""The shortest time that a task may be given."""
FLOOD = 30
WATCHES = 25
SLOW_SECONDS = 1.0
SLOW_PIECE_BYTES = 64

T = TypeVar("T")


@cache
def costly() -> tuple[bytes, ...]:
    """Pictures that cost a worker a tenth of a second, or would cost more and are refused for it."""
    return (
        progressive(60, 1500),
        progressive(2000, 500),
        progressive(150, 1000),
        png(zeros(3001 * 3000), (3000, 3000)),
        b"\xff\xd8" + b"\xff\xe0\0\2" * 150_000,
    )


@dataclass
class Neighbour:
    """One that floods, dawdles, leaves, cancels and trespasses through ``door``, until told to stop.

    ``honest`` are the promises to the other tenant, whose things it tries to get at; ``kinds`` are the kinds
    of tasks that it may pay for; it rests ``slower`` times as long as usually. Use once.
    """

    door: Doorway
    dice: Random
    kinds: tuple[str, ...]
    honest: Promises
    recorder: Recorder
    slower: float = 1.0
    promises: Promises = field(default_factory=Promises)
    traffic: Traffic = field(default_factory=Traffic)

    async def work(self, stop: asyncio.Event) -> None:
        """Keep all bad habits at once."""
        pace = Pace(call_seconds=CALL_SECONDS, patience_seconds=CALL_SECONDS)
        hasty = replace(pace, call_seconds=HASTY_SECONDS)
        channel = grpc.aio.insecure_channel(
            self.door.address, options=Connection(address=self.door.address).options()
        )
        self._number = 0
        self._watches: list[Any] = []
        async with (
            AsyncClient(self.door.address, api_key=NOISY, pace=pace) as self.client,
            AsyncClient(self.door.address, api_key=NOISY, pace=hasty) as self._hasty,
            channel,
        ):
            self._stub: ImageEditServiceAsyncStub = ImageEditServiceStub(channel)
            await asyncio.gather(*(self._keep(habit, rest, stop) for habit, rest in self._habits()))
            await self._go_beyond()
            await self._leave()

    def _habits(self) -> list[tuple[Callable[[], Awaitable[None]], float]]:
        """Return what it does, each with how many seconds it rests between."""
        return [
            (self._flood, 1.5),
            (self._pay, 1.0),
            (self._send_what_is_costly, 0.8),
            (self._send_slowly, 0.5),
            (self._be_hasty, 0.3),
            (self._watch_and_leave, 0.7),
            (self._cancel, 0.5),
            (self._trespass, 0.7),
            (self._delete_what_another_has_too, 0.7),
        ]

    async def _keep(self, habit: Callable[[], Awaitable[None]], rest: float, stop: asyncio.Event) -> None:
        while not stop.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(rest * self.slower * (0.5 + self.dice.random())):
                    await stop.wait()
            if self.door.target:  # nobody is there to hear it while there is none
                await habit()

    # Habits

    async def _flood(self) -> None:
        """Create more than may be queued, half of them with hardly time to be done."""
        image_id = await self._upload(picture(self.dice))
        kinds = [self.dice.choice((SCRIPTED, SCRIPTED, LOCAL)) for _ in range(FLOOD if image_id else 0)]
        await asyncio.gather(
            *(self._create(kind, image_id, short=at % 2 == 0) for at, kind in enumerate(kinds))
        )

    async def _go_beyond(self) -> None:
        """Flood until it is refused: on a slow machine kills may have cut each flood short."""
        while self.door.target and not self.traffic.answers["RESOURCE_EXHAUSTED"]:
            await self._flood()

    async def _pay(self) -> None:
        """Create what costs, to be judged as the honest tenant's are."""
        paid = [kind for kind in self.kinds if kind in PAID]
        if paid and (image_id := await self._upload(picture(self.dice))):
            await self._create(self.dice.choice(paid), image_id)

    async def _send_what_is_costly(self) -> None:
        """Upload it, or put it into a request."""
        content = self.dice.choice(costly())
        if self.dice.random() < 0.5:
            await self._call(self.client.upload(content))
            return
        source = image_pb2.ImageSource(content=content)
        settings: Any = {
            "model": "scripted/ok",
            "timeout": SHORT_SECONDS,
            "request_id": self._name(short=True),
        }
        await self._call(self.client.edit_image("costly", [source], **settings))

    async def _send_slowly(self) -> None:
        """Begin an upload, and never come to its end."""

        async def pieces() -> AsyncIterator[pb.UploadImageRequest]:
            while True:
                yield pb.UploadImageRequest(chunk=bytes(SLOW_PIECE_BYTES))
                await asyncio.sleep(SLOW_SECONDS / 10)

        await self._raw(self._stub.UploadImage(pieces(), metadata=shows(NOISY), timeout=SLOW_SECONDS))

    async def _be_hasty(self) -> None:
        """Create and upload with deadlines of milliseconds: nobody hears the answer, if there is one."""
        if self.promises.uploads:
            image_id = self.dice.choice(list(self.promises.uploads))
            await self._call(create(self._hasty, SCRIPTED, self._name(short=True), image_id, SHORT_SECONDS))
        await self._call(self._hasty.upload(self.dice.choice(costly())))

    async def _watch_and_leave(self) -> None:
        """Watch more than one looks at, read nothing, and hang up."""
        await self._leave()
        promises = list(self.promises.tasks.values())[-WATCHES:]
        for promise in promises * 3:
            request = pb.WatchTaskRequest(task_id=promise.task_id)
            self._watches.append(self._stub.WatchTask(request, metadata=shows(NOISY)))
            self.traffic.calls += 1
        for promise in promises[-2:]:
            await self.recorder.watch(self._stub, promise.task_id, most=1)

    async def _leave(self) -> None:
        for watch in self._watches:
            if watch.done():
                self.traffic.answers[(await watch.code()).name] += 1
            watch.cancel()
        self._watches.clear()

    async def _cancel(self) -> None:
        """Of what it created last."""
        promises = list(self.promises.tasks.values())[-FLOOD:]
        if promises:
            await self._call(self.client.cancel(self.dice.choice(promises).task_id))

    async def _trespass(self) -> None:
        """Ask for what is the other's: there is nothing of the kind, whatever is asked."""
        tasks = [each.task_id for each in self.honest.tasks.values()]
        images = [each for each in self.honest.uploads if not _is_had_by_both(each)]
        if not (tasks and images):
            return
        task_id, image_id = self.dice.choice(tasks), self.dice.choice(images)
        for name, asked in {
            "get": lambda: self.client.get(task_id),
            "wait for": lambda: self.client.wait(task_id),
            "cancel": lambda: self.client.cancel(task_id),
            "delete": lambda: self.client.delete(task_id),
            "download": lambda: self.client.download(image_id),
            "edit": lambda: create(self.client, SCRIPTED, self._name(), image_id),
            "delete the image": lambda: self.client.delete_image(image_id),
        }.items():
            if await self._is_allowed(asked()):
                self.promises.broken.append(("trespassed", f"it may {name} {task_id} or {image_id}"))

    async def _delete_what_another_has_too(self) -> None:
        """Upload a picture of the other's, as if one had it, and delete it."""
        both = [each for each in self.honest.uploads if _is_had_by_both(each)]
        if both:
            image_id = self.dice.choice(both)
            if await self._call(self.client.upload(self.honest.uploads[image_id])):
                await self._call(self.client.delete_image(image_id))

    # Calls

    async def _upload(self, content: bytes) -> str:
        image = await self._call(self.client.upload(content))
        if image is None:
            return ""
        self.promises.keep_upload(image.image_id, content)
        return image.image_id

    async def _create(self, kind: str, image_id: str, *, short: bool = False) -> None:
        request_id, seconds = self._name(short=short), SHORT_SECONDS if short else TIMEOUT_SECONDS
        task = await self._call(create(self.client, kind, request_id, image_id, seconds))
        if task is not None:
            self.promises.keep_task(Promise(request_id, kind, task.task_id, image_id, seconds))

    def _name(self, *, short: bool = False) -> str:
        self._number += 1
        return f"{SHORT_NAME if short else NOISY_NAME}{self._number}"

    async def _call(self, call: Awaitable[T]) -> T | None:
        """Return what came; None where it was refused, which is counted."""
        found: list[T] = []

        async def kept() -> None:
            found.append(await call)

        return found[0] if await self._is_allowed(kept()) else None

    async def _is_allowed(self, call: Awaitable[object]) -> bool:
        self.traffic.calls += 1
        try:
            await call
        except ImageEditError as error:
            self._is_told(error)
            return False
        self.traffic.answers["OK"] += 1
        return True

    async def _raw(self, call: Any) -> None:
        self.traffic.calls += 1
        with suppress(grpc.RpcError):
            await call
        self.traffic.answers[(await call.code()).name] += 1

    def _is_told(self, error: ImageEditError) -> None:
        self.traffic.answers[error.code.name if error.code else type(error).__name__] += 1
        if error.reason == "INTERNAL_ERROR" or error.code is grpc.StatusCode.DATA_LOSS:
            self.promises.broken.append(("refused", f"the neighbour: {error!r}"))


def _is_had_by_both(image_id: str) -> bool:
    """Whether the neighbour has it too now and then; the others it must never get."""
    return int(image_id[-1], 16) % 2 == 0
