"""Those with a key of their own, who do what hurts: slowly, in large calls, with pictures that cost much."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, suppress
from functools import cache
from itertools import count
from typing import Any

import grpc

from imageedit.v1 import image_edit_service_pb2 as pb
from imageedit.v1 import image_pb2
from imageedit.v1.image_edit_service_pb2_grpc import ImageEditServiceStub
from tests.attacks.load import Load, Throttle
from tests.images.pictures import progressive
from tests.rpc.callers import BOB, bearer
from tests.rpc.pictures import PHOTO_FILE, noise
from tests.rpc.serving import open_channel

SLOW_UPLOADS = 32
"""Twice as many as one tenant has places."""
SLOW_SECONDS = 5.0
INLINE_CALLS = 400
INLINE_BYTES = 3_900_000
CHUNK_BYTES = 64 * 1024
CALLERS = 8
"""Who send costly pictures at once on each connection."""
CALL_SECONDS = 60.0
DEAR_SCANS = 20
"""Beside those that every progressive JPEG has; 30 are allowed at this size."""

Caller = Callable[[Any], Awaitable[object]]
"""Makes one call with a stub."""


async def honest_uploads(load: Load) -> int:
    """Bring pictures at the rate of the load, one after the other on each connection."""
    throttle, picture = Throttle(load), noise(CHUNK_BYTES)

    async def upload(stub: Any) -> None:
        messages = (
            pb.UploadImageRequest(info=image_pb2.UploadImageInfo()),
            pb.UploadImageRequest(chunk=picture),
        )
        await stub.UploadImage(iter(messages), metadata=bearer(BOB), timeout=CALL_SECONDS)
        await throttle.sent(len(picture))

    await _call(upload, load, at_once=1)
    return throttle.sent_bytes


async def slow_uploads(load: Load) -> int:
    """Send a byte every few seconds in each of more uploads than there are places."""
    throttle = Throttle(load)

    async def upload(stub: Any) -> None:
        await stub.UploadImage(_drops(throttle), metadata=bearer(BOB), timeout=CALL_SECONDS)

    await _call(upload, load, at_once=SLOW_UPLOADS)
    return throttle.sent_bytes


async def _drops(throttle: Throttle) -> AsyncIterator[pb.UploadImageRequest]:
    yield pb.UploadImageRequest(info=image_pb2.UploadImageInfo())
    while True:
        throttle.count(1)
        yield pb.UploadImageRequest(chunk=b"x")
        await asyncio.sleep(SLOW_SECONDS)


async def inline_storm(load: Load) -> int:
    """Edit pictures of 3.9 MiB that are in the call itself, no two alike, many at once."""
    return await _edit(large(), load, at_once=INLINE_CALLS)


async def costly_pictures(load: Load) -> int:
    """Edit pictures that a decoder would work on for seconds, in a few hundred KiB."""
    return await _edit(costly(), load, at_once=CALLERS)


async def dear_pictures(load: Load) -> int:
    """Edit pictures with as many scans as their size may have: the dearest that are taken."""
    return await _edit(dear(), load, at_once=CALLERS)


@cache
def large() -> Sequence[bytes]:
    """A photograph with much behind its end."""
    return [PHOTO_FILE.read_bytes().ljust(INLINE_BYTES, b"x")]


@cache
def costly() -> Sequence[bytes]:
    """Three that are refused for what they would cost."""
    return [progressive(2_000, 7_000), progressive(2_000, 500), progressive(40, 7_000)]


@cache
def dear() -> Sequence[bytes]:
    """One that is not."""
    return [progressive(DEAR_SCANS, 7_000)]


def one_of_the_dear() -> bytes:
    """Which keeps a worker for one turn."""
    return dear()[0]


async def _edit(contents: Sequence[bytes], load: Load, *, at_once: int) -> int:
    numbers, throttle = count(), Throttle(load)

    async def edit(stub: Any) -> None:
        number = next(numbers)
        content = contents[number % len(contents)][: INLINE_BYTES - 8] + number.to_bytes(8, "big")
        request = pb.EditImageRequest(prompt="blur", images=[image_pb2.ImageSource(content=content)])
        throttle.count(len(content))
        await stub.EditImage(request, metadata=bearer(BOB), timeout=CALL_SECONDS)

    await _call(edit, load, at_once=at_once)
    return throttle.sent_bytes


async def _call(caller: Caller, load: Load, *, at_once: int) -> None:
    """Call again and again, ``at_once`` times on each connection, refused or not."""

    async def keep(stub: Any) -> None:
        while not load.is_over():
            with suppress(grpc.aio.AioRpcError):
                await caller(stub)

    async with AsyncExitStack() as stack:
        channels = [await stack.enter_async_context(open_channel(load.grpc)) for _ in range(load.connections)]
        stubs = [ImageEditServiceStub(channel) for channel in channels]
        with suppress(TimeoutError):
            async with asyncio.timeout_at(load.end):
                await asyncio.gather(*(keep(stub) for stub in stubs for _ in range(at_once)))
