"""The watching client: the same for the service and for the baseline, and as light as Python allows."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc

from imageedit.v1 import image_edit_service_pb2 as pb
from tests.bench.bench import WATCHES_PER_CONNECTION, channels

WATCH = "/imageedit.v1.ImageEditService/WatchTask"


@dataclass(slots=True)
class Arrivals:
    """What one watcher received: when, in nanoseconds of the wall clock, and the bytes."""

    call: Any
    messages: list[tuple[int, bytes]] = field(default_factory=list)

    async def first(self) -> None:
        """Wait for one message."""
        self.messages.append((0, await self.call.read()))
        self.messages[-1] = (time.time_ns(), self.messages[-1][1])

    async def rest(self) -> None:
        """Receive to the end. Raises ``AioRpcError`` when the stream did not end well."""
        read, received, clock = self.call.read, self.messages.append, time.time_ns
        while (message := await read()) is not grpc.aio.EOF:
            received((clock(), message))
        if await self.call.code() is not grpc.StatusCode.OK:
            raise RuntimeError(f"a watch ended {await self.call.code()}: {await self.call.details()}")

    def latencies_ms(self, since_ns: int, until_ns: int) -> list[float]:
        """How long after its event's time each message came, for events between two times."""
        return [(arrived - happened) / 1e6 for arrived, happened in self._told(since_ns, until_ns)]

    def moments(self, since_ns: int, until_ns: int) -> list[float]:
        """When the events between two times happened, in s."""
        return [happened / 1e9 for _, happened in self._told(since_ns, until_ns)]

    def _told(self, since_ns: int, until_ns: int) -> Iterator[tuple[int, int]]:
        for arrived, message in self.messages:
            told = pb.WatchTaskResponse.FromString(message)
            happened = told.event.time.ToNanoseconds()
            if told.HasField("event") and since_ns < happened < until_ns:
                yield arrived, happened


@asynccontextmanager
async def watching(
    address: str, task_ids: Sequence[str], after_seq: int = 0, connections: int = 0
) -> AsyncIterator[list[Arrivals]]:
    """Open a watch of each task, over so many connections, or as many as that takes."""
    connections = connections or -(-len(task_ids) // WATCHES_PER_CONNECTION)
    async with channels(address, connections) as opened:
        watches: list[Any] = [channel.unary_stream(WATCH) for channel in opened]
        requests = [pb.WatchTaskRequest(task_id=task_id, after_seq=after_seq) for task_id in task_ids]
        yield [
            Arrivals(watches[index % connections](request.SerializeToString()))
            for index, request in enumerate(requests)
        ]


async def all_first(watchers: Sequence[Arrivals]) -> None:
    """Wait until every watch has told something, so that all are open."""
    await asyncio.gather(*(watcher.first() for watcher in watchers))


async def all_rest(watchers: Sequence[Arrivals]) -> None:
    """Receive every watch to its end."""
    await asyncio.gather(*(watcher.rest() for watcher in watchers))
