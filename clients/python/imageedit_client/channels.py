"""The channels of the async face: gRPC binds each to the event loop that it was made in."""

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import grpc

from imageedit.v1.image_edit_service_pb2_grpc import ImageEditServiceStub

if TYPE_CHECKING:  # a class that the generated types know, and the generated code does not
    from imageedit.v1.image_edit_service_pb2_grpc import ImageEditServiceAsyncStub


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """A channel and the methods that are called over it."""

    channel: grpc.aio.Channel
    stub: "ImageEditServiceAsyncStub"


class GivenChannel:
    """The channel of a caller, who made it in the loop that uses it and closes it."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.stub: ImageEditServiceAsyncStub = ImageEditServiceStub(channel)

    async def close(self) -> None:
        """Does nothing."""


class LoopChannels:
    """A channel for each event loop that calls, made at its first call. May be shared by threads.

    A loop that is closed tells nobody: its channel is let go when another loop comes, or at `close`.
    """

    def __init__(self, connect: Callable[[], grpc.aio.Channel]) -> None:
        """`connect` is called inside the loop that the channel is for."""
        self._connect = connect
        self._lines: dict[asyncio.AbstractEventLoop, Line] = {}
        self._lock = threading.Lock()

    @property
    def stub(self) -> "ImageEditServiceAsyncStub":
        """The methods, over the running loop's channel. Raises RuntimeError where no loop runs."""
        loop = asyncio.get_running_loop()
        return (self._lines.get(loop) or self._add(loop)).stub

    async def close(self) -> None:
        """Ends the calls of the running loop. Connections of other loops end with the calls they have."""
        with self._lock:
            lines, self._lines = self._lines, {}
        if line := lines.get(asyncio.get_running_loop()):
            await line.channel.close()

    def _add(self, loop: asyncio.AbstractEventLoop) -> Line:
        channel = self._connect()
        line = Line(channel=channel, stub=ImageEditServiceStub(channel))
        with self._lock:
            # A channel that nobody holds closes itself, also when its loop is no more.
            kept = {each: held for each, held in self._lines.items() if not each.is_closed()}
            self._lines = {**kept, loop: line}
        return line
