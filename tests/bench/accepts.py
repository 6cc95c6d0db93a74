"""How many edits are accepted per second: durable, about 500 bytes each, the image named by its id.

The edits go to a provider whose only place is taken by work that never ends, so they wait in the queue and
the engine pays nobody: what is measured is the accept, with the look of a full engine at its queue that each
one causes. The baseline answers the same message, prepared.
"""

import asyncio
import io
import time
import uuid
from collections.abc import AsyncIterator
from functools import partial

from PIL import Image

from imageedit.v1 import image_edit_service_pb2 as pb
from imageedit.v1 import image_pb2, task_pb2
from tests.bench.bench import Bench, Stub, connected
from tests.bench.figures import Figure, Goal, Turn, compared, counted
from tests.servers.processes import Server

REQUEST_BYTES = 500
ENOUGH_CALLERS = 64
GOAL = Goal(bound=0.55)
MODEL = "full/never"
CONFIG = """
[providers.full]
adapter = "scripted"
concurrency = 1
poll_seconds = [60, 60, 60]
"""


async def measure(bench: Bench) -> list[Figure]:
    """Compare the rates."""
    figures = []
    async with bench.ours(CONFIG) as ours, connected(ours.address) as stub:
        image_id = await upload(stub)
        accepted = await fill(stub, image_id)
        async with bench.bare(accepted=accepted) as bare, connected(bare.address) as bare_stub:
            for callers in bench.scale.callers:
                turns, bare_turns = await bench.alternate(
                    f"accepts, {counted(callers, 'caller')}",
                    partial(_turn, ours, stub, image_id, callers, bench.scale.seconds),
                    partial(_turn, bare, bare_stub, image_id, callers, bench.scale.seconds),
                )
                goal = GOAL if callers >= ENOUGH_CALLERS else None
                figures += compared("accepts", counted(callers, "caller"), "edit", turns, bare_turns, goal)
    return figures


async def fill(stub: Stub, image_id: str) -> pb.EditImageResponse:
    """Take the provider's only place; return how an accepted edit is answered."""
    running = await stub.EditImage(edit(image_id))
    async for told in stub.WatchTask(pb.WatchTaskRequest(task_id=running.task.task_id)):
        if told.event.task.stage == task_pb2.Task.STAGE_WAITING:
            break
    return await stub.EditImage(edit(image_id))


async def _turn(server: Server, stub: Stub, image_id: str, callers: int, seconds: float) -> Turn:
    """Let so many callers ask again and again, each as soon as it was answered."""
    accepted = 0
    busy, started = server.processor_seconds(), time.perf_counter()

    async def call() -> None:
        nonlocal accepted
        while True:
            await stub.EditImage(edit(image_id))
            accepted += 1
            if time.perf_counter() > started + seconds:
                return

    await asyncio.gather(*(call() for _ in range(callers)))
    elapsed = time.perf_counter() - started
    return Turn(accepted / elapsed, 1e6 * (server.processor_seconds() - busy) / accepted)


def edit(image_id: str, model: str = MODEL) -> pb.EditImageRequest:
    """A request of about 500 bytes that no one made before."""
    request = pb.EditImageRequest(
        request_id=str(uuid.uuid4()),
        user_id="bench",
        model=model,
        images=[image_pb2.ImageSource(image_id=image_id)],
    )
    request.prompt = "x" * (REQUEST_BYTES - request.ByteSize() - 3)
    return request


async def upload(stub: Stub, picture: bytes | None = None) -> str:
    """Upload a picture, a small one unless one is given; return its id."""
    response = await stub.UploadImage(_messages(picture or small_picture()))
    return str(response.image.image_id)


async def _messages(picture: bytes) -> AsyncIterator[pb.UploadImageRequest]:
    yield pb.UploadImageRequest(info=image_pb2.UploadImageInfo())
    for start in range(0, len(picture), 256 * 1024):
        yield pb.UploadImageRequest(chunk=picture[start : start + 256 * 1024])


def small_picture() -> bytes:
    """A picture of a few hundred bytes."""
    with io.BytesIO() as content:
        Image.new("RGB", (64, 64), "teal").save(content, "PNG")
        return content.getvalue()
