"""The channels of the async face: gRPC binds each to the event loop that it was made in.

None of them survives a fork: the thread that gRPC wakes the loops from is left behind. So what closed loops
left is let go before one, and the child begins anew; where a loop was at work, the child is told.
"""

import asyncio
import os
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
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
        self.line = Line(channel=channel, stub=ImageEditServiceStub(channel))

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
        _every.add(self)

    @property
    def line(self) -> Line:
        """The running loop's channel and its methods. Raises RuntimeError where no loop runs, or can."""
        loop = asyncio.get_running_loop()
        if _lost_in_fork:
            raise RuntimeError(FORKED)
        return self._lines.get(loop) or self._add(loop)

    async def close(self) -> None:
        """Ends the calls of the running loop. Connections of other loops end with the calls they have."""
        with self._lock:
            lines, self._lines = self._lines, {}
        if line := lines.get(asyncio.get_running_loop()):
            await line.channel.close()

    def forget_closed_loops(self) -> None:
        """Lets go of their channels: one that nobody holds closes itself, also when its loop is no more."""
        with self._lock:
            self._lines = {loop: line for loop, line in self._lines.items() if not loop.is_closed()}

    def begin_in_child(self) -> bool:
        """Whether a fork cut off channels of loops at work; they are kept, for none can be closed here."""
        self._lock = threading.Lock()  # which another thread may have held
        return bool(self._lines)

    def _add(self, loop: asyncio.AbstractEventLoop) -> Line:
        channel = self._connect()
        _mind_forks()
        line = Line(channel=channel, stub=ImageEditServiceStub(channel))
        self.forget_closed_loops()
        with self._lock:
            self._lines = {**self._lines, loop: line}
        return line


FORKED = (
    "this process was forked while an AsyncClient was at work, which gRPC does not survive; fork before its"
    " first call or after its loop has ended, start processes by spawn, or use Client"
)
_every: weakref.WeakSet[LoopChannels] = weakref.WeakSet()
_lost_in_fork = False


@cache
def _mind_forks() -> None:
    # After gRPC's own hooks were registered, which the first channel does: ours are then called before them.
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=_before_fork, after_in_child=_after_fork)


def _before_fork() -> None:
    for each in list(_every):
        each.forget_closed_loops()


def _after_fork() -> None:
    global _lost_in_fork  # noqa: PLW0603  it is the process that forked
    cut_off = [each.begin_in_child() for each in _every]
    _lost_in_fork = any(cut_off)
