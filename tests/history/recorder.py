"""Watch clients that only write down what came: on the stubs, with no rule of the shipped client between."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import grpc

from imageedit.v1 import image_edit_service_pb2 as pb
from imageedit.v1 import task_pb2
from tests.history.checker import REFUSALS, Event, Heartbeat, Stream

if TYPE_CHECKING:
    from imageedit.v1.image_edit_service_pb2_grpc import ImageEditServiceAsyncStub

LEFT = "LEFT"
PAUSE_SECONDS = 0.05


@dataclass
class Recorder:
    """Every stream that its watchers had.

    ``clock`` tells the time that the log's entries have; ``seen`` is told each item as it comes; ``metadata``
    is what each watch carries.
    """

    clock: Callable[[], float] = time.time
    seen: Callable[[Event | Heartbeat], None] = lambda item: None
    metadata: Sequence[tuple[str, str]] = ()
    streams: list[Stream] = field(default_factory=list)

    async def watch(
        self,
        stub: "ImageEditServiceAsyncStub",
        task_id: str,
        after_seq: int = 0,
        *,
        most: int | None = None,
    ) -> Stream:
        """Make one call and record it to its end, or leave it after ``most`` items.

        A stream whose caller is cancelled is recorded as still open.
        """
        items: list[Event | Heartbeat] = []
        opened, code, last_seq = self.clock(), "", None
        request = pb.WatchTaskRequest(task_id=task_id, after_seq=after_seq)
        call = stub.WatchTask(request, wait_for_ready=True, metadata=tuple(self.metadata))
        try:
            async for response in call:
                items.append(item_of(response, self.clock()))
                self.seen(items[-1])
                if len(items) == most:
                    break
            code = LEFT if len(items) == most else (await call.code()).name
        except grpc.aio.AioRpcError as error:
            code, last_seq = error.code().name, _last_seq(error)
        finally:
            call.cancel()
            stream = Stream(
                task_id=task_id,
                after_seq=after_seq,
                items=items,
                code=code,
                last_seq=last_seq,
                opened=opened,
                closed=self.clock(),
            )
            self.streams.append(stream)
        return stream

    async def follow(
        self,
        stub: "ImageEditServiceAsyncStub",
        task_id: str,
        after_seq: int = 0,
        *,
        most: Callable[[], int | None] = lambda: None,
    ) -> Stream:
        """Watch again from where the last stream stood until one ends OK or is refused; return that one.

        ``most`` says for each stream after how many items to leave it.
        """
        while True:
            stream = await self.watch(stub, task_id, after_seq, most=most())
            if stream.code == "OK" or stream.code in REFUSALS:
                return stream
            after_seq = stream.position
            await asyncio.sleep(0 if stream.items else PAUSE_SECONDS)


def item_of(response: pb.WatchTaskResponse, at: float) -> Event | Heartbeat:
    """Turn a message of a stream into what the checker takes."""
    if not response.HasField("event"):
        return Heartbeat(seq=response.heartbeat.seq, at=at)
    event = response.event
    state = state_name(event.task.state)
    return Event(task_id=event.task.task_id, seq=event.seq, state=state, content=content_of(event), at=at)


def state_name(state: task_pb2.Task.State) -> str:
    """Return QUEUED, RUNNING …"""
    return task_pb2.Task.State.Name(state).removeprefix("STATE_")


def content_of(event: task_pb2.TaskEvent) -> bytes:
    """Return bytes that are equal when, and only when, two events say the same."""
    return event.SerializeToString(deterministic=True)


def _last_seq(error: grpc.aio.AioRpcError) -> int | None:
    found = dict(error.trailing_metadata() or ()).get("last-seq")
    return None if found is None else int(found)
