"""Calls as the server makes them, without a server: bytes in, through the border, bytes out.

A real ``grpc.aio`` server waits in a thread of its own, which virtual time cannot wait for. So this stands
where the library stands: it takes the handlers that the service registers, as the border wraps them, and
ends each call as the library would.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf.message_factory import GetMessageClass
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status

from imageedit.v1 import image_edit_service_pb2 as pb
from imageedit.v1 import image_edit_service_pb2_grpc as pb_grpc
from imageedit_server.access.inflight import BytesInFlight
from imageedit_server.access.uploads import UploadPlaces
from imageedit_server.access.watches import WatchBudget
from imageedit_server.editing import UseCases
from imageedit_server.rpc.border import Border
from imageedit_server.rpc.errors import DETAILS_KEY
from imageedit_server.rpc.service import ImageEditService
from imageedit_server.wire.errors import DOMAIN

METHODS = {method.name: method for method in pb.DESCRIPTOR.services_by_name["ImageEditService"].methods}
MAX_WATCHES = 2000
DEADLINE_SECONDS = 60.0
_TENANT: ContextVar[str] = ContextVar("tenant")


@dataclass(eq=False)
class Call:
    """One call, under way or ended. ``code`` is None while it goes on, and when the world ended first.

    ``opened``, ``closed`` and ``times``, one for each response, are the loop's seconds. ``reading`` is unset
    while the client does not read, and ``slept`` says that this happened.
    """

    method: str
    tenant: str
    requests: Sequence[Any]
    opened: float
    work: "asyncio.Task[None]" = field(init=False)
    responses: list[Any] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    code: grpc.StatusCode | None = None
    message: str = ""
    reason: str = ""
    trailer: dict[str, Any] = field(default_factory=dict)
    left: bool = False
    closed: float = 0.0
    slept: bool = False
    reading: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.reading.set()

    @property
    def response(self) -> Any:
        """The response of a unary call that was answered OK."""
        assert self.code is grpc.StatusCode.OK, (self.method, self.code, self.reason, self.message)
        return self.responses[0]

    @property
    def position(self) -> int:
        """The last event that a watch brought, or where it began."""
        seqs = [each.event.seq for each in self.responses if each.HasField("event")]
        return int(seqs[-1] if seqs else self.requests[0].after_seq)

    @property
    def refusal(self) -> tuple[str, str]:
        """The code and the reason of a call that was refused."""
        return (self.code.name if self.code else "", self.reason)

    def leave(self) -> None:
        """Go away, as a client that closes its connection."""
        self.left = True
        self.work.cancel()

    def sleep(self) -> None:
        """Stop reading."""
        self.slept = True
        self.reading.clear()


class Door:
    """Where calls come in."""

    def __init__(self, use_cases: UseCases, now: Callable[[], float]) -> None:
        self._registry = _Registry()
        self._now = now
        watches = WatchBudget(per_tenant=MAX_WATCHES)
        service = ImageEditService(use_cases, watches, UploadPlaces(), BytesInFlight(), _TENANT.get)
        pb_grpc.add_ImageEditServiceServicer_to_server(service, Border(self._registry))  # type: ignore[arg-type]

    async def handle(self, call: Call) -> None:
        """Carry a call to its end."""
        context = _Context(call, self._now)
        _TENANT.set(call.tenant)
        try:
            await self._behave(call, context)
        except grpc.aio.AbortError:
            assert context.aborted, "only abort may raise this"
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001  what the library makes of it
            call.code, call.message = grpc.StatusCode.UNKNOWN, f"Unexpected {type(error)}: {error}"
        else:
            call.code = grpc.StatusCode.OK
        finally:
            call.closed = self._now()

    async def _behave(self, call: Call, context: Any) -> None:
        handler = self._registry.handlers[call.method]
        serialize = handler.response_serializer or bytes
        requests = [handler.request_deserializer(each.SerializeToString()) for each in call.requests]
        if handler.unary_stream:
            context.serialize = serialize
            await handler.unary_stream(requests[0], context)
            return
        answer = (
            await handler.stream_unary(_each(requests), context)
            if handler.stream_unary
            else await handler.unary_unary(requests[0], context)
        )
        context.take(serialize(answer))


class _Registry:
    """Takes what the service registers, in the place of the server."""

    def __init__(self) -> None:
        self.handlers: dict[str, Any] = {}

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Any]) -> None:
        self.handlers.update(handlers)

    def add_generic_rpc_handlers(self, handlers: Any) -> None:
        """The same again, in the library's older way."""


class _Context:
    """What the library lends a handler, as far as handlers use it."""

    def __init__(self, call: Call, now: Callable[[], float]) -> None:
        self._call = call
        self._now = now
        self.aborted = False
        self.serialize: Callable[[Any], bytes] = bytes

    def peer(self) -> str:
        return f"ipv4:127.0.0.1:{1000 + len(self._call.tenant)}"

    def invocation_metadata(self) -> tuple[tuple[str, str], ...]:
        return _metadata(self._call.tenant)

    def time_remaining(self) -> float:
        """The time to the caller's deadline, which the library sees to."""
        return DEADLINE_SECONDS

    def done(self) -> bool:
        return self._call.left

    def cancelled(self) -> bool:
        return self._call.left

    async def send_initial_metadata(self, _: Sequence[tuple[str, Any]]) -> None:
        """Begin the answer, which no client keeps waiting."""
        await asyncio.sleep(0)

    async def write(self, message: Any) -> None:
        """Hand a message over; waits for as long as the client does not read."""
        data = self.serialize(message)
        await self._call.reading.wait()
        await asyncio.sleep(0)
        self.take(data)

    def take(self, data: bytes) -> None:
        """Give the client what arrived."""
        response_class = GetMessageClass(METHODS[self._call.method].output_type)
        self._call.responses.append(response_class.FromString(data))
        self._call.times.append(self._now())

    def code(self) -> grpc.StatusCode | int:
        return self._call.code or 0

    def trailing_metadata(self) -> tuple[tuple[str, Any], ...]:
        return tuple(self._call.trailer.items())

    def set_trailing_metadata(self, trailer: Sequence[tuple[str, Any]]) -> None:
        self._call.trailer = dict(trailer)

    async def abort(
        self, code: grpc.StatusCode, details: str = "", trailing_metadata: Sequence[tuple[str, Any]] = ()
    ) -> None:
        assert code is not grpc.StatusCode.OK
        self.aborted = True
        call = self._call
        call.code, call.message = code, details
        call.trailer |= dict(trailing_metadata)
        call.reason = _reason_of(call.trailer)
        raise grpc.aio.AbortError


def _metadata(tenant: str) -> tuple[tuple[str, str], ...]:
    return (("user-agent", f"grpc-test/{tenant}"),)


def _reason_of(trailer: dict[str, Any]) -> str:
    status = Status.FromString(trailer.get(DETAILS_KEY, b""))
    for detail in status.details:
        info = ErrorInfo()
        if detail.Unpack(info) and info.domain == DOMAIN:
            return str(info.reason)
    return ""


async def _each(requests: Sequence[Any]) -> AsyncIterator[Any]:
    for request in requests:
        await asyncio.sleep(0)
        yield request
