"""Clients at work, a vendor that charges, and what each of them was told by when."""

import asyncio
import hashlib
import io
from collections.abc import Callable, Iterable, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from PIL import Image

from imageedit.v1 import task_pb2
from imageedit_client import AsyncClient
from tests.servers.config import Table, base_tables
from tests.vendors.kie.server import KieVendor, Task

SIDE = 24
LARGE_SIDE = 320
"""Of a picture that has a file before it is looked at, and is made durable meanwhile."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What was known when the journal had that size, so that no later power failure may undo it."""

    position: int


@dataclass(frozen=True, slots=True)
class Created(Heard):
    """A create was acknowledged."""

    task_id: str
    request_id: str
    image_id: str


@dataclass(frozen=True, slots=True)
class Kept(Heard):
    """An image can be downloaded: its upload was acknowledged, or a task was seen to end with it."""

    image_id: str


@dataclass(frozen=True, slots=True)
class Seen(Heard):
    """A watcher got an event."""

    event: task_pb2.TaskEvent


@dataclass(frozen=True, slots=True)
class Charged(Heard):
    """The vendor took a paid call; ``prompt`` says for which task."""

    prompt: str


@dataclass
class Promises:
    """All that was heard."""

    created: list[Created] = field(default_factory=list)
    kept: list[Kept] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    charged: list[Charged] = field(default_factory=list)

    def images(self) -> set[str]:
        """Return the ids of all images."""
        return {kept.image_id for kept in self.kept}

    def heard(self) -> list[Heard]:
        """Return what clients heard, in order."""
        return sorted([*self.created, *self.kept, *self.seen], key=lambda each: each.position)

    def by(self, position: int) -> "Promises":
        """Return what was heard before the journal was longer than that."""

        def until(heard: Iterable[Any]) -> list[Any]:
            return [each for each in heard if each.position <= position]

        return Promises(until(self.created), until(self.kept), until(self.seen), until(self.charged))

    def from_the_start(self) -> "Promises":
        """Return the same for a journal that begins after it all."""

        def early(heard: Iterable[Any]) -> list[Any]:
            return [replace(each, position=0) for each in heard]

        return Promises(early(self.created), early(self.kept), early(self.seen), early(self.charged))


class Vendor(KieVendor):
    """A kie.ai on loopback whose ledger others can follow."""

    def __init__(self) -> None:
        super().__init__(states=("waiting", "success"), creates_per_window=1_000_000, picture_side=SIDE)
        self._listeners: list[Callable[[str], None]] = []

    @contextmanager
    def telling(self, listener: Callable[[str], None]) -> Iterator[None]:
        """Tell of every charge, by the prompt that it was for."""
        self._listeners.append(listener)
        try:
            yield
        finally:
            self._listeners.remove(listener)

    def tables(self) -> dict[str, Table]:
        """Return the configuration of a server that works with it."""
        kie = {
            "adapter": "kie",
            "base_url": self.api_url,
            "upload_url": self.upload_url,
            "api_key": self.api_key,
            "poll_seconds": [0.05, 0.05, 0.05],
            "max_submits": "",
        }
        tables = base_tables(allow=[self.api_url, self.upload_url, self.result_url])
        return {**tables, "providers.kie": kie}

    def _charge(self, body: dict[str, Any], price: float) -> Task:
        for listener in self._listeners:
            listener(body["input"]["prompt"])
        return super()._charge(body, price)


class Workload:
    """Clients that upload, edit and watch, each in a loop; ``promises`` grows with every answer."""

    def __init__(self, journal: Path, vendor: Vendor, name: str) -> None:
        self._journal = journal
        self._vendor = vendor
        self._name = name
        self.promises = Promises()

    async def run(self, address: str, edits: int, at_once: int) -> None:
        """Make so many edits and follow each to its end."""
        numbers = iter(range(edits))
        with self._vendor.telling(self._charged):
            async with AsyncClient(address) as client, asyncio.TaskGroup() as group:
                for _ in range(at_once):
                    group.create_task(self._work(client, numbers))

    async def _work(self, client: AsyncClient, numbers: Iterator[int]) -> None:
        for number in numbers:
            side = LARGE_SIDE if number % 2 else SIDE
            image = await client.upload(picture(f"{self._name} {number}", side))
            self.promises.kept.append(Kept(self._position(), image.image_id))
            request_id = f"{self._name}-{number}"
            task = await edit(client, request_id, image.image_id)
            created = Created(self._position(), task.task_id, request_id, image.image_id)
            self.promises.created.append(created)
            await self._watch(client, task.task_id)

    async def _watch(self, client: AsyncClient, task_id: str) -> None:
        async with aclosing(client.watch(task_id)) as events:
            async for event in events:
                position = self._position()
                self.promises.seen.append(Seen(position, event))
                self.promises.kept += [Kept(position, image.image_id) for image in event.task.images]

    def _charged(self, prompt: str) -> None:
        self.promises.charged.append(Charged(self._position(), prompt))

    def _position(self) -> int:
        return self._journal.stat().st_size


async def edit(client: AsyncClient, request_id: str, image_id: str) -> task_pb2.Task:
    """Ask for the edit of this request id; the same words each time, which also are its prompt."""
    return await client.edit_image(
        request_id, [image_id], request_id=request_id, model="seedream/4.5-edit", size="1:1"
    )


def picture(seed: str, side: int = SIDE) -> bytes:
    """Return a PNG of its own for every seed, with three bytes for each pixel."""
    out = io.BytesIO()
    noise = hashlib.sha256(seed.encode()).digest() * (side * side * 3 // 32)
    Image.frombytes("RGB", (side, side), noise).save(out, "PNG", compress_level=0)
    return out.getvalue()
