"""What an honest caller with a key feels of an attack, and what it costs a server that only it has seen."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc

from imageedit.v1 import image_edit_service_pb2 as pb
from imageedit.v1 import image_pb2
from imageedit.v1.image_edit_service_pb2_grpc import ImageEditServiceStub
from tests.attacks.kinds import LIST, UPLOAD, Kind
from tests.attacks.sending import Sender
from tests.rpc.callers import ALICE, AskingPlace, bearer
from tests.rpc.pictures import PHOTO_FILE
from tests.rpc.serving import open_channel
from tests.servers.processes import Server, Servers

DESCRIPTORS = ("prlimit", "--nofile=1024:1024")
"""So few that connections of ours, who may have no more than the machine gives, use up what there is."""
PAUSE_SECONDS = 0.005
PATIENCE_SECONDS = 30.0
USUAL_SHARE = 0.4
"""Of an attack's time, so long the caller is watched alone before it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Answers:
    """How long each took, in seconds, and which were none."""

    seconds: Sequence[float]
    errors: Sequence[str] = ()

    @property
    def slow(self) -> float:
        """The 99th of a hundred."""
        return sorted(self.seconds)[int(len(self.seconds) * 0.99)]

    @property
    def slowest(self) -> float:
        """The worst of all."""
        return max(self.seconds)


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """One attack. ``ended`` is the exit code of a server that did not live through it."""

    kind: Kind
    usual: Answers
    during: Answers
    sent_bytes: int
    grown_bytes: int
    """The most resident memory of the server during it, above what it was before."""
    ended: int | None = field(default=None)


async def measure(
    folder: Path, kind: Kind, *, seconds: float, bytes_per_second: int, connections: int
) -> Measured:
    """Attack a server of its own. A rate of 0 is no limit."""
    place = _place(folder)
    async with Servers(folder) as servers:
        server = await servers.start(place, around=DESCRIPTORS)
        sender = await Sender.prepared(servers, kind.name, server, bytes_per_second, connections)
        async with open_channel(server.grpc) as channel:
            stub, photo = ImageEditServiceStub(channel), PHOTO_FILE.read_bytes()
            usually = _asking(stub, kind.asks, kind.turn() if kind.turn else photo)
            ask = _asking(stub, kind.asks, photo)
            usual = await answers(usually, time.monotonic() + USUAL_SHARE * seconds)
            return await _attacked(kind, server, sender, ask, usual, time.monotonic() + seconds)


def _place(folder: Path) -> AskingPlace:
    folder.mkdir()
    return AskingPlace(folder=folder)


async def _attacked(
    kind: Kind,
    server: Server,
    sender: Sender,
    ask: Callable[[], Awaitable[object]],
    usual: Answers,
    end: float,
) -> Measured:
    server.forget_peak()
    before = server.memory_bytes()
    sent, during = await asyncio.gather(sender.attack(end), answers(ask, end))
    ended = server.process.returncode
    peak = before if ended is not None else server.memory_bytes("VmHWM")
    return Measured(
        kind=kind,
        usual=usual,
        during=during,
        sent_bytes=sent,
        grown_bytes=peak - before,
        ended=ended,
    )


def _asking(stub: Any, method: str, picture: bytes) -> Callable[[], Awaitable[object]]:
    how = {"metadata": bearer(ALICE), "timeout": PATIENCE_SECONDS}
    upload = (
        pb.UploadImageRequest(info=image_pb2.UploadImageInfo()),
        pb.UploadImageRequest(chunk=picture),
    )
    return {
        LIST: lambda: stub.ListModels(pb.ListModelsRequest(), **how),
        UPLOAD: lambda: stub.UploadImage(iter(upload), **how),
    }[method]


async def answers(ask: Callable[[], Awaitable[object]], end: float) -> Answers:
    """Ask again and again, and at least once."""
    seconds: list[float] = []
    errors: list[str] = []
    while time.monotonic() < end or not seconds:
        began = time.monotonic()
        try:
            await ask()
        except grpc.aio.AioRpcError as error:
            errors.append(f"{error.code().name} {error.details()}")
        seconds.append(time.monotonic() - began)
        await asyncio.sleep(PAUSE_SECONDS)
    return Answers(seconds=seconds, errors=errors)
