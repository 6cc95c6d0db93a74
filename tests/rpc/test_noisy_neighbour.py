"""One tenant's costly pictures beside another's ordinary ones, with real pictures and real workers (P18).

What is counted is whose pictures are done before the other's, and no seconds: so the machine's load cancels.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from statistics import median

from PIL import Image

from imageedit.v1 import image_pb2
from imageedit_client import AsyncClient, succeeded
from tests.figures import Figures
from tests.images.pictures import PHOTO, encoded, progressive
from tests.rpc.callers import ALICE, BOB, asking
from tests.rpc.waiting import PATIENCE_SECONDS, eventually

HEADING = "noisy neighbour"
WORKERS = 2
LINE = 10
"""How many pictures of the noisy tenant are in hand at once, each followed by the next."""
TIMES = 3
RUNNING_AND_BESIDE = 2 * WORKERS
"""How many of the noisy tenant's may be done before one of the other's: those that the workers have already,
and as many while the other's is on its way in and its answer on its way out."""
STEPS_OF_AN_EDIT = 3
"""Its picture is looked at, it is edited, and what came of it is looked at."""


def photos() -> list[bytes]:
    """Ordinary photographs, each of its own content."""
    return [PHOTO + bytes([number]) for number in range(TIMES)]


def costly() -> list[bytes]:
    """Pictures inside of the budget: a tenth of a second of CPU each, for 6 KB or for 2 MB."""
    noise = Random(1).randbytes(800 * 800 * 3)
    png = encoded(Image.frombytes("RGB", (800, 800), noise), "PNG", compress_level=1)
    return [progressive(80, 1000), progressive(90, 950), progressive(100, 900), png]


@dataclass
class Flood:
    """``LINE`` pictures at a time through ``client``, uploaded and inside requests; ``done`` counts them."""

    client: AsyncClient
    done: int = 0
    begun: int = 0
    works: list[asyncio.Task[None]] = field(default_factory=list)

    async def one(self, content: bytes) -> None:
        """Send a picture one way or the other."""
        if self.begun % 4:
            await self.client.upload(content)
        else:
            source = image_pb2.ImageSource(content=content)
            await self.client.edit_image("make it warmer", [source], model="scripted/ok")

    async def work(self, pictures: list[bytes]) -> None:
        """Send one after the other, until cancelled."""
        while True:
            self.begun += 1
            await self.one(pictures[self.begun % len(pictures)])
            self.done += 1

    async def passed_by(self, call: Callable[[], Awaitable[object]]) -> int:
        """Return how many were done while the other tenant waited for one."""
        before = self.done
        async with asyncio.timeout(PATIENCE_SECONDS):
            await call()
        return self.done - before


@asynccontextmanager
async def flooding(client: AsyncClient) -> AsyncIterator[Flood]:
    """Flood, from when the first few are done."""
    flood, pictures = Flood(client), costly()
    flood.works = [asyncio.create_task(flood.work(pictures)) for _ in range(LINE)]
    try:
        await eventually(lambda: flood.done > WORKERS)
        yield flood
    finally:
        for work in flood.works:
            work.cancel()
        await asyncio.gather(*flood.works, return_exceptions=True)


async def test_costly_pictures_hold_up_nobody_else_s(tmp_path: Path, figures: Figures) -> None:
    """Bob's photographs wait for what runs already and not for the line. In it, they wait for all."""
    async with asking(tmp_path) as served:
        address = served.server.grpc_address
        async with AsyncClient(address, api_key=ALICE) as alice, AsyncClient(address, api_key=BOB) as bob:
            await edited(bob, PHOTO)  # the first of all waits for more to be imported
            async with flooding(alice) as flood:
                uploads = [await flood.passed_by(partial(bob.upload, photo)) for photo in photos()]
                edits = [await flood.passed_by(partial(edited, bob, photo)) for photo in photos()]
                in_line = await flood.passed_by(partial(alice.upload, PHOTO))
    figures.line(
        HEADING, f"of {LINE} costly pictures in hand, done before another tenant's upload: {uploads}"
    )
    figures.line(HEADING, f"before another tenant's edit: {edits}, before an upload behind them: {in_line}")
    assert median(uploads) <= RUNNING_AND_BESIDE
    assert median(edits) <= RUNNING_AND_BESIDE * STEPS_OF_AN_EDIT
    assert in_line >= LINE - WORKERS


async def edited(client: AsyncClient, photo: bytes) -> None:
    """Edit a photograph, from its upload to its result."""
    task = await client.edit_image("make it warmer", [photo], model="local/basic")
    succeeded(await client.wait(task.task_id))
