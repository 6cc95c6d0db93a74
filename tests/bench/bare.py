"""The baseline: a bare grpc.aio server that speaks our contract and does nothing else.

No interceptor, no store, no checks: each handler answers prepared messages, byte for byte as large as those
that the service sent. ``python -m tests.bench.bare FOLDER`` reads them from ``FOLDER``; what is asked of a
stream is the id that the client names.
"""

import asyncio
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Sequence
from pathlib import Path
from typing import Any

import grpc

from imageedit.v1 import image_edit_service_pb2 as pb
from imageedit.v1 import image_edit_service_pb2_grpc as pb_grpc

CHUNK_BYTES = 256 * 1024
Context = grpc.aio.ServicerContext[Any, Any]


def burst(events: int) -> str:
    """The id of a stream of so many messages, as fast as they are taken."""
    return f"burst-{events}"


def ticking(pauses: Iterable[float], *, streams: int = 1) -> str:
    """The id of so many streams that tell the same events, each after its pause in s, once all are open."""
    return f"ticking-{streams}-{','.join(f'{pause:.4f}' for pause in pauses)}"


def idle() -> str:
    """The id of a stream of one message that never ends."""
    return "idle"


class Bare(pb_grpc.ImageEditServiceServicer):
    """Answers what was prepared."""

    def __init__(self, folder: Path) -> None:
        self._accepted = pb.EditImageResponse.FromString(read(folder, "accepted"))
        self._event = pb.WatchTaskResponse.FromString(read(folder, "event"))
        self._uploaded = pb.UploadImageResponse()
        self._listeners: defaultdict[str, list[asyncio.Queue[pb.WatchTaskResponse]]] = defaultdict(list)
        self._tickers: set[asyncio.Task[None]] = set()

    async def EditImage(self, request: pb.EditImageRequest, context: Context) -> pb.EditImageResponse:
        return self._accepted

    async def WatchTask(  # type: ignore[override]  # the stubs know only handlers that yield
        self, request: pb.WatchTaskRequest, context: Context
    ) -> None:
        plan, *numbers = request.task_id.split("-")
        if plan == "burst":
            for _ in range(int(numbers[0])):
                await context.write(self._event)
        elif plan == "ticking":
            pauses = [float(pause) for pause in numbers[1].split(",")]
            await self._tick_along(request.task_id, pauses, int(numbers[0]), context)
        else:
            await context.write(self._event)
            await asyncio.Event().wait()

    async def _tick_along(self, name: str, pauses: Sequence[float], streams: int, context: Context) -> None:
        """Say hello, wait until all are here, then pass on what the ticker tells."""
        await context.write(self._event)
        queue: asyncio.Queue[pb.WatchTaskResponse] = asyncio.Queue()
        self._listeners[name].append(queue)
        if len(self._listeners[name]) == streams:
            ticker = asyncio.create_task(tick(self._listeners.pop(name), self._event, pauses))
            self._tickers.add(ticker)
            ticker.add_done_callback(self._tickers.discard)
        for _ in pauses:
            await context.write(await queue.get())

    async def UploadImage(
        self, requests: AsyncIterator[pb.UploadImageRequest], context: Context
    ) -> pb.UploadImageResponse:
        async for _ in requests:
            pass
        return self._uploaded

    async def DownloadImage(  # type: ignore[override]  # the stubs know only handlers that yield
        self, request: pb.DownloadImageRequest, context: Context
    ) -> None:
        chunk = bytes(CHUNK_BYTES)
        for start in range(0, int(request.image_id), CHUNK_BYTES):
            rest = int(request.image_id) - start
            await context.write(pb.DownloadImageResponse(chunk=chunk[:rest]))


async def tick(
    listeners: list[asyncio.Queue[pb.WatchTaskResponse]],
    event: pb.WatchTaskResponse,
    pauses: Sequence[float],
) -> None:
    """Tell every listener an event after each pause, with the time of its making."""
    for pause in pauses:
        await asyncio.sleep(pause)
        told = pb.WatchTaskResponse()
        told.CopyFrom(event)
        told.event.time.GetCurrentTime()
        for listener in listeners:
            listener.put_nowait(told)


def read(folder: Path, name: str) -> bytes:
    """Return a prepared message, empty when there is none."""
    path = folder / name
    return path.read_bytes() if path.exists() else b""


async def main(folder: Path) -> None:
    """Serve until killed."""
    server = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
    bare = Bare(folder)  # type: ignore[abstract]  # the other methods are never called
    pb_grpc.add_ImageEditServiceServicer_to_server(bare, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f"ready grpc=127.0.0.1:{port}", flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
