"""Targets with a server process: what strangers send to its gRPC door as HTTP/2, and what others feel of it.

The rules: the process lives; its memory and CPU time stay below a bound; a caller with a key, on a connection
of its own, is answered all along; the log has no error and nothing of a secret; nothing is created.
"""

import asyncio
import sqlite3
import tempfile
import time
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import grpc

from imageedit.v1 import image_edit_service_pb2 as pb
from imageedit.v1.image_edit_service_pb2_grpc import ImageEditServiceStub
from tests.fuzz.blocks import KEY, STRANGERS_KEY, calls
from tests.fuzz.frames import orders
from tests.fuzz.fuzzing import Attack, Target
from tests.rpc import http2
from tests.rpc.callers import ALICE, AskingPlace, bearer
from tests.rpc.http2 import PING, frame
from tests.rpc.pictures import PNG
from tests.rpc.serving import TABLES, open_channel
from tests.servers.forks import shared_fork_server
from tests.servers.processes import Server
from tests.servers.programs import environment

if TYPE_CHECKING:
    from imageedit.v1.image_edit_service_pb2_grpc import ImageEditServiceAsyncStub

MIB = 1024 * 1024
ANSWERS = 1_800
"""How many answers one connection may cost in CPU time: those of 250 calls, and twice what else was seen."""
MOST_GROWN_BYTES = 512 * MIB
"""By how much strangers may let the server grow, also for a moment. What it has not yet read is held too."""
TIMES = 10
LATE_SECONDS = 1.0
TRIES = 3
"""What a machine that does much else may add to any answer, and how often it may add more."""
ANSWER_SECONDS = 20.0
HELD = 10
"""How many connections of strangers stay open."""
READ_SECONDS = 0.03
"""How long the server is given for what is not answered, such as a frame that is longer than it is."""
LAST = frame(PING, b"the last")
SECRETS = tuple(value.rpartition(b" ")[2].decode() for _, value in (KEY, STRANGERS_KEY))
ALARMS = ('"level": "error"', '"level": "critical"', "Traceback")
BUGS = "tests.fuzz.bugs"
BUG = ""
"""The one of ``BUGS`` that the server has."""


@dataclass
class Door:
    """A server that asks for keys, a caller that has one, and how the two were before."""

    server: Server
    place: AskingPlace
    channel: grpc.aio.Channel
    usual_seconds: float = 0.0
    answer_cost: float = 0.0
    memory_bytes: int = 0
    stored: Counter[str] = field(default_factory=Counter)
    held: deque[AsyncExitStack] = field(default_factory=deque)

    async def settle(self) -> None:
        """Keep a picture for the caller; note what is usual."""
        kept = self._stub.UploadImage(
            iter([pb.UploadImageRequest(info={}), pb.UploadImageRequest(chunk=PNG)]), metadata=bearer(ALICE)
        )
        await kept
        self.usual_seconds = max([await self.answer() for _ in range(20)])
        before = self.server.processor_seconds()
        await asyncio.gather(*(self.answer() for _ in range(100)))
        self.answer_cost = (self.server.processor_seconds() - before) / 100
        self.memory_bytes = self.server.memory_bytes()
        self.stored = self._stored()

    async def attack(self, data: bytes) -> None:
        """Send ``data``, and look; again where the server had no chance to read it in time."""
        for _ in range(TRIES):
            self.server.forget_peak()
            before = self.server.processor_seconds()
            late = await self._slow_beside(data)
            spent = self.server.processor_seconds() - before
            assert spent <= ANSWERS * self.answer_cost, (
                f"took the CPU time of {spent / self.answer_cost:.0f} answers"
            )
            grown = self.server.memory_bytes("VmHWM") - self.memory_bytes
            if late <= TIMES * self.usual_seconds + LATE_SECONDS and grown <= MOST_GROWN_BYTES:
                break
            await self.let_go()
        else:
            raise AssertionError(f"answered after {late:.1f} s, grew by {grown / MIB:.0f} MiB")
        assert self._stored() == self.stored, "something was created"
        self._look_at_the_log()

    async def answer(self) -> float:
        """Ask as the caller with a key; return how long the answer took."""
        began, request = time.monotonic(), pb.ListModelsRequest()
        told = await self._stub.ListModels(request, metadata=bearer(ALICE), timeout=ANSWER_SECONDS)
        assert told.models
        return time.monotonic() - began

    @property
    def _stub(self) -> "ImageEditServiceAsyncStub":
        return ImageEditServiceStub(self.channel)

    async def _slow_beside(self, data: bytes) -> float:
        """Ask while ``data`` comes in, and once more; return how long the slower answer took.

        The connection stays for a while, and the calls go on.
        """
        self.held.append(AsyncExitStack())
        stranger = await self.held[-1].enter_async_context(http2.peer(self.server.grpc, data))
        try:
            seconds, _ = await asyncio.gather(self.answer(), read_by(stranger))
            return max(seconds, await self.answer())
        finally:
            assert self.server.process.returncode is None, "the server is gone"
            await self.let_go(HELD)

    async def let_go(self, most: int = 0) -> None:
        """Close the oldest connections."""
        while len(self.held) > most:
            await self.held.popleft().aclose()

    def _stored(self) -> Counter[str]:
        """Count the rows of every table, and the pictures."""
        database = f"file:{self.place.data_dir}/imageedit.sqlite3?mode=ro"
        with closing(sqlite3.connect(database, uri=True)) as reader:
            counts = Counter[str]()
            for table in TABLES:
                counts[table] = reader.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
        counts["files"] = len([*self.place.data_dir.glob("images/[0-9a-f][0-9a-f]/*")])
        return counts

    def _look_at_the_log(self) -> None:
        log = self.server.stderr()
        found = [word for word in (*ALARMS, *SECRETS) if word in log]
        assert not found, log[max(log.index(found[0]) - 200, 0) :][:2000]


async def read_by(stranger: http2.Peer) -> None:
    """Wait until the server has read all, has closed the connection or waits for more."""
    await stranger.send(LAST)
    with suppress(TimeoutError):
        async with asyncio.timeout(READ_SECONDS):
            while not (stranger.ended or any(each.body == LAST[9:] for each in stranger.frames)):
                stranger.news.clear()
                await stranger.news.wait()


@asynccontextmanager
async def _door() -> AsyncIterator[Attack]:
    with tempfile.TemporaryDirectory() as folder:
        place, log = AskingPlace(folder=Path(folder)), Path(folder) / "stderr.txt"
        with log.open("ab") as stderr:
            process = await shared_fork_server(BUGS).fork(
                place.arguments(), stderr.fileno(), environment(), place.folder, bug=BUG
            )
        server = Server(process, log)
        try:
            await server.ready()
            async with open_channel(server.grpc) as channel:
                door = Door(server, place, channel)
                await door.settle()
                try:
                    yield door.attack
                finally:
                    await door.let_go()
        finally:
            await server.clear_away()


STRANGERS = (
    Target(name="header blocks", opened=_door, formed=calls(), executions=15),
    Target(name="frame order", opened=_door, formed=orders(), executions=30),
)
