"""Every door that callers come in by: one joins the suite with one line in ``DOORS``."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import grpc
from grpc_health.v1.health_pb2 import HealthCheckResponse

from imageedit.v1 import image_edit_service_pb2 as pb
from tests.rpc.calls import Outcome, assert_presentable, call, outcome_of
from tests.rpc.serving import Served

Headers = Sequence[tuple[str, str]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """How a call ended: its canonical code and reason, and everything that the caller was told."""

    code: str
    reason: str = ""
    retry_seconds: float | None = None
    told: str = ""


class Watch(Protocol):
    """An open watch whose first event was read."""

    async def end(self) -> tuple[Answer, int]:
        """Read it to its end; return how it ended, and the cursor that its caller would resume after."""


class Door(Protocol):
    """How the suite comes in: with headers, or metadata, as they are given."""

    async def get(self, task_id: str, headers: Headers = ()) -> Answer:
        """Ask for a task."""

    async def watch(self, task_id: str, headers: Headers = ()) -> Watch:
        """Begin to watch a task from its first event on."""

    async def is_healthy(self) -> bool:
        """Ask for health, as a load balancer does."""


class GrpcDoor:
    """The door in ``rpc/``."""

    def __init__(self, served: Served) -> None:
        self._served = served

    async def get(self, task_id: str, headers: Headers = ()) -> Answer:
        request = pb.GetTaskRequest(task_id=task_id)
        return _answer(await call(self._served.channel, "GetTask", request, metadata=headers))

    async def watch(self, task_id: str, headers: Headers = ()) -> "GrpcWatch":
        request = pb.WatchTaskRequest(task_id=task_id)
        rpc: Any = self._served.stub.WatchTask(request, metadata=tuple(headers))
        return GrpcWatch(rpc, (await rpc.read()).event.seq)

    async def is_healthy(self) -> bool:
        path, read = "/grpc.health.v1.Health/Check", HealthCheckResponse.FromString
        answer: HealthCheckResponse = await self._served.channel.unary_unary(path, bytes, read)(b"")
        return answer.status == HealthCheckResponse.SERVING


class GrpcWatch:
    """A stream of WatchTask."""

    def __init__(self, rpc: Any, seq: int) -> None:
        self._rpc = rpc
        self._seq = seq

    async def end(self) -> tuple[Answer, int]:
        seq = self._seq
        try:
            while (response := await self._rpc.read()) is not grpc.aio.EOF:
                seq = max(seq, response.event.seq)
        except grpc.aio.AioRpcError:
            pass
        outcome = await outcome_of(self._rpc)
        told = outcome.trailer.get("last-seq", str(seq))
        assert told == str(seq)
        assert ("last-seq" in outcome.trailer) == (outcome.code is not grpc.StatusCode.OK)
        return _answer(outcome), seq


def _answer(outcome: Outcome) -> Answer:
    if outcome.code is not grpc.StatusCode.OK:
        assert_presentable(outcome)
    return Answer(
        code=outcome.code.name,
        reason=outcome.reason,
        retry_seconds=outcome.retry_seconds,
        told=f"{outcome.message}{outcome.trailer}",
    )


DOORS: dict[str, Callable[[Served], Door]] = {"grpc": GrpcDoor}
"""The HTTP face for callers will join with its line."""
