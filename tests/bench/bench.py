"""What every measurement works with: its scale, its servers, and rounds that alternate."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, TypeVar

import grpc
from google.protobuf.message import Message

from imageedit.v1 import image_edit_service_pb2_grpc as pb_grpc
from tests.bench.processes import module, serving
from tests.servers.processes import Server
from tests.servers.programs import serve_arguments

if TYPE_CHECKING:
    from imageedit.v1.image_edit_service_pb2_grpc import ImageEditServiceAsyncStub

    Stub: TypeAlias = ImageEditServiceAsyncStub
else:
    Stub = pb_grpc.ImageEditServiceStub

T = TypeVar("T")

WATCHES_PER_CONNECTION = 500
CHANNEL_OPTIONS = (
    ("grpc.use_local_subchannel_pool", 1),  # a channel is a connection
    ("grpc.max_receive_message_length", 64 * 1024 * 1024),
)


@dataclass(frozen=True, kw_only=True)
class Crowd:
    """Watchers that share tasks, and connections."""

    tasks: int
    events: int
    watchers: int
    connections: int


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How much is measured.

    ``seconds`` is one turn of the accepts, ``peer_seconds`` one of edits; rounds that warm up are not
    counted. The sides of photographs are divided by ``shrunk``; ``photographs`` go in or out in one turn.
    """

    warm_ups: int = 1
    rounds: int
    seconds: float
    callers: tuple[int, ...]
    watchers: tuple[int, ...]
    deliveries: int
    crowd: Crowd
    live_events: int
    live_rounds: int
    live_at_a_time: int
    idle_watches: int
    image_mib: int
    stored_tasks: tuple[int, ...]
    samples: int
    shrunk: int = 1
    photographs: int = 64
    peer_callers: tuple[int, ...] = (1, 8, 16)
    peer_seconds: float
    starts: int


FULL = Scale(
    rounds=5,
    seconds=3,
    callers=(1, 64, 256),
    watchers=(1, 100, 1000),
    deliveries=40_000,
    crowd=Crowd(tasks=40, events=100, watchers=400, connections=8),
    live_events=25,
    live_rounds=3,
    live_at_a_time=16,
    idle_watches=1000,
    image_mib=64,
    stored_tasks=(1_000, 100_000, 1_000_000),
    samples=100,
    peer_seconds=2.5,
    starts=3,
)
QUICK = Scale(
    rounds=3,
    seconds=1,
    callers=(1, 64, 256),
    watchers=(1, 100, 1000),
    deliveries=10_000,
    crowd=Crowd(tasks=40, events=100, watchers=400, connections=8),
    live_events=10,
    live_rounds=1,
    live_at_a_time=16,
    idle_watches=500,
    image_mib=64,
    stored_tasks=(1_000, 100_000),
    samples=50,
    peer_seconds=0.7,
    starts=1,
)
SHORT = Scale(
    warm_ups=0,
    rounds=1,
    seconds=0.2,
    callers=(1, 4),
    watchers=(4,),
    deliveries=40,
    crowd=Crowd(tasks=2, events=10, watchers=4, connections=2),
    live_events=5,
    live_rounds=1,
    live_at_a_time=2,
    idle_watches=200,
    image_mib=1,
    stored_tasks=(20, 200),
    samples=3,
    shrunk=8,
    photographs=4,
    peer_callers=(1,),
    peer_seconds=0.1,
    starts=1,
)


@dataclass(frozen=True, kw_only=True)
class Bench:
    """One run: ``server`` is the ``imageedit-server`` that is measured, ``say`` tells how far it is."""

    folder: Path
    scale: Scale
    server: Path
    say: Callable[[str], None]
    _numbers: Iterator[int] = field(default_factory=count)

    def new_folder(self) -> Path:
        """Return an empty folder."""
        folder = self.folder / str(next(self._numbers))
        folder.mkdir()
        return folder

    def ours(
        self, config: str = "", folder: Path | None = None, program: Sequence[str] = ()
    ) -> AbstractAsyncContextManager[Server]:
        """Serve with these settings; ``folder`` holds the data of a server that ran before.

        ``program`` stands in for the command.
        """
        folder = folder or self.new_folder()
        (folder / "config.toml").write_text(config)
        arguments = serve_arguments(folder / "config.toml", folder / "data")
        return serving([*(program or [str(self.server)]), *arguments], folder / "server.log")

    def bare(self, **prepared: Message) -> AbstractAsyncContextManager[Server]:
        """Serve the baseline, which answers the ``prepared`` messages: ``accepted``, ``event``."""
        folder = self.new_folder()
        for name, message in prepared.items():
            (folder / name).write_bytes(message.SerializeToString())
        return serving(module("bare", str(folder)), folder / "server.log", doors=["grpc"], crashes=3)

    @property
    def python(self) -> Path:
        """The interpreter that sees the code that is measured."""
        return self.server.with_name("python")

    async def alternate(
        self, what: str, *contenders: Callable[[], Awaitable[T]], rounds: int | None = None
    ) -> tuple[tuple[T, ...], ...]:
        """Let the contenders take turns, round by round; return what each brought. Round 0 warms up."""
        first, last = 1 - self.scale.warm_ups, rounds or self.scale.rounds
        turns = []
        for number in range(first, last + 1):
            self.say(f"{what}: round {number} of {last}")
            turns.append([await contender() for contender in contenders])
        return tuple(zip(*turns[-last:], strict=True))


@asynccontextmanager
async def channels(address: str, connections: int = 1) -> AsyncIterator[list[grpc.aio.Channel]]:
    """Open connections; the same client for every server."""
    opened = [grpc.aio.insecure_channel(address, options=CHANNEL_OPTIONS) for _ in range(connections)]
    try:
        yield opened
    finally:
        for channel in opened:
            await channel.close()


@asynccontextmanager
async def connected(address: str) -> AsyncIterator[Stub]:
    """Open a connection; yield what calls the service over it."""
    async with channels(address) as (channel,):
        yield Stub(channel)
