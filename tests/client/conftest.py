"""A scripted service on a real loopback socket: tests write down, step by step, what each RPC does."""

import asyncio
import threading
from collections import defaultdict, deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from imageedit.v1 import image_edit_service_pb2 as service_pb2
from imageedit.v1 import image_pb2, task_pb2
from imageedit_client import Pace

MOST_CALLS = 16
"""At once, the hanging ones included."""
SERVICE = service_pb2.DESCRIPTOR.services_by_name["ImageEditService"]


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """A step that ends the call with an error as the service sends it."""

    code: grpc.StatusCode = grpc.StatusCode.UNAVAILABLE
    reason: str = ""
    message: str = "refused by the script"
    fields: dict[str, str] = field(default_factory=dict)
    retry_seconds: float | None = None

    def status(self) -> grpc.Status:
        """The rich status that goes over the wire."""
        status = status_pb2.Status(code=code_pb2.Code.Value(self.code.name), message=self.message)
        for detail in self._details():
            status.details.add().Pack(detail)
        return rpc_status.to_status(status)

    def _details(self) -> Iterator[Message]:
        if self.reason:
            yield error_details_pb2.ErrorInfo(reason=self.reason, domain="imageedit")
        if self.fields:
            violation = error_details_pb2.BadRequest.FieldViolation
            violations = [violation(field=name, description=text) for name, text in self.fields.items()]
            yield error_details_pb2.BadRequest(field_violations=violations)
        if self.retry_seconds is not None:
            delay = Duration()
            delay.FromNanoseconds(int(self.retry_seconds * 1e9))
            yield error_details_pb2.RetryInfo(retry_delay=delay)


class Hang:
    """A step that lasts until the server stops or the client leaves.

    Either sets `abandoned`, also where the client has left before this step was begun.
    """


class ScriptedServer(grpc.GenericRpcHandler):
    """Plays the script of each method, one step a call; a stream's step is the list of what it sends.

    Its calls run in threads and not in an event loop: gRPC wakes all loops of a process by one poller, and a
    loop that ends under its calls, as tests have it, may keep the events of another.
    """

    def __init__(self) -> None:
        self.received: dict[str, list[Any]] = defaultdict(list)
        self.metadata: list[dict[str, str | bytes]] = []
        self.port = 0
        self.abandoned = threading.Event()
        self._scripts: dict[str, deque[Any]] = defaultdict(deque)
        self._server: grpc.Server | None = None
        self._threads = ThreadPoolExecutor(MOST_CALLS)

    @property
    def address(self) -> str:
        """Where the server is, also while it is stopped."""
        return f"127.0.0.1:{self.port}"

    def on(self, method: str, *steps: Any) -> None:
        """Adds the steps for the next calls of the method."""
        self._scripts[method].extend(steps)

    def forget(self, method: str) -> None:
        """Takes the steps back that were not played."""
        self._scripts[method].clear()

    def start(self) -> None:
        """Serves, on the same port as before."""
        if self._server is None:
            self._server = grpc.server(self._threads, handlers=[self])
            self.port = self._server.add_insecure_port(self.address)
            self._server.start()

    def stop(self) -> None:
        """Ends all calls at once and closes the port."""
        if self._server is not None:
            self._server.stop(None).wait()
            self._server = None

    def close(self) -> None:
        """Ends the server and its threads."""
        self.stop()
        self._threads.shutdown()

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        """Finds the method by the contract's own description."""
        name = handler_call_details.method.rsplit("/", 1)[-1]
        method = SERVICE.methods_by_name[name]
        make = {
            (False, False): grpc.unary_unary_rpc_method_handler,
            (False, True): grpc.unary_stream_rpc_method_handler,
            (True, False): grpc.stream_unary_rpc_method_handler,
        }[(method.client_streaming, method.server_streaming)]
        play = {False: self._answer, True: self._stream}[method.server_streaming]
        return make(
            partial(play, name),
            request_deserializer=GetMessageClass(method.input_type).FromString,
            response_serializer=lambda message: message.SerializeToString(),
        )

    def _answer(self, name: str, request: Any, context: grpc.ServicerContext) -> Any:
        return self._play(self._begin(name, request, context), context)

    def _stream(self, name: str, request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        for step in self._begin(name, request, context):
            yield self._play(step, context)

    def _begin(self, name: str, request: Any, context: grpc.ServicerContext) -> Any:
        self.metadata.append(dict(context.invocation_metadata()))
        self.received[name].append(request if isinstance(request, Message) else list(request))
        assert self._scripts[name], f"the script of {name} is over"
        step = self._scripts[name].popleft()
        hangs = any(isinstance(each, Hang) for each in (step if isinstance(step, list) else [step]))
        if hangs and not context.add_callback(self.abandoned.set):
            self.abandoned.set()
        return step

    def _play(self, step: Any, context: grpc.ServicerContext) -> Any:
        if isinstance(step, Refusal):
            context.abort_with_status(step.status())
        if isinstance(step, Hang):
            ended = threading.Event()
            if context.add_callback(ended.set):
                ended.wait()
        return step


class Say:
    """Short ways to write what the service says."""

    Refusal = Refusal
    Hang = Hang

    @staticmethod
    def task(state: str = "RUNNING", **fields: Any) -> task_pb2.Task:
        """A task; `state` without its prefix."""
        return task_pb2.Task(**{"task_id": "task_" + "0" * 32, "state": f"STATE_{state}", **fields})

    @classmethod
    def event(cls, seq: int, state: str = "RUNNING", **fields: Any) -> service_pb2.WatchTaskResponse:
        """One event of a watch."""
        task = cls.task(state, seq=seq, **fields)
        return service_pb2.WatchTaskResponse(event=task_pb2.TaskEvent(seq=seq, task=task))

    @staticmethod
    def heartbeat(seq: int) -> service_pb2.WatchTaskResponse:
        """A sign of life of a watch."""
        return service_pb2.WatchTaskResponse(heartbeat={"seq": seq})

    @staticmethod
    def info(image: image_pb2.Image) -> service_pb2.DownloadImageResponse:
        """The first message of a download."""
        return service_pb2.DownloadImageResponse(info=image)

    @staticmethod
    def chunk(content: bytes) -> service_pb2.DownloadImageResponse:
        """The next bytes of a download."""
        return service_pb2.DownloadImageResponse(chunk=content)


class FakeTime:
    """A clock that only sleeping moves; `during_sleep` is what happens in the world meanwhile."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []
        self.during_sleep = lambda: None

    def sleep(self, seconds: float) -> None:
        """Passes the time at once."""
        self.slept.append(seconds)
        self.now += seconds
        self.during_sleep()

    async def sleep_async(self, seconds: float) -> None:
        """Passes the time at once."""
        await asyncio.to_thread(self.sleep, seconds)

    def pace(self, **settings: Any) -> Pace:
        """Tries by this clock, always with the longest jitter."""
        return Pace(clock=lambda: self.now, dice=lambda: 1.0, **settings)


@pytest.fixture
def say() -> type[Say]:
    return Say


@pytest.fixture
def fake_time() -> FakeTime:
    return FakeTime()


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    server = ScriptedServer()
    server.start()
    yield server
    server.close()
