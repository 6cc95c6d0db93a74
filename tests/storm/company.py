"""The company of a storm: a noisy neighbour and a stranger go on for its whole length, and are measured."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING

import grpc

from imageedit.v1 import image_edit_service_pb2 as pb
from tests.history.recorder import Recorder
from tests.servers.doorway import Doorway
from tests.servers.measuring import memory_bytes
from tests.storm.load import Promises
from tests.storm.neighbour import Neighbour
from tests.storm.stranger import BYTES_PER_SECOND, Stranger
from tests.storm.tenants import HONEST, NOISY, shows
from tests.storm.vendors import Vendors

if TYPE_CHECKING:
    from imageedit.v1.image_edit_service_pb2_grpc import ImageEditServiceAsyncStub

ANSWER_SECONDS = 60.0
PAUSE_SECONDS = 0.05
MOST_GROWN_BYTES = 1024 * 1024 * 1024
"""What a server may hold at the most beyond what it began with: the 3000 calls that gRPC may have in hand
before they are counted, each with metadata of a third of a megabyte, on a machine that is slow to count."""


@dataclass
class Company:
    """Who goes on beside the honest callers. ``doors`` lead the honest, by gRPC and HTTP; ``own_door`` is
    the neighbour's; ``share`` is how much they send of what they usually do."""

    seed: str
    doors: Sequence[Doorway]
    own_door: Doorway
    vendors: Vendors
    honest: Promises
    kinds: Sequence[str]
    share: float = 1.0

    def __post_init__(self) -> None:
        self.neighbour = Neighbour(
            door=self.own_door,
            dice=Random(f"{self.seed} neighbour"),
            kinds=tuple(self.kinds),
            honest=self.honest,
            recorder=Recorder(metadata=shows(NOISY)),
            slower=1 / self.share,
        )
        self.stranger = Stranger(
            grpc_door=self.doors[0],
            http_door=self.doors[1],
            vendors=self.vendors,
            dice=Random(f"{self.seed} stranger"),
            bytes_per_second=self.share * BYTES_PER_SECOND,
        )
        self._stops = [asyncio.Event(), asyncio.Event()]
        self._works: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Let both begin."""
        of_neighbour, of_stranger = self._stops
        self._works = [
            asyncio.create_task(self.neighbour.work(of_neighbour)),
            asyncio.create_task(self.stranger.work(of_stranger)),
        ]

    async def calm_neighbour(self) -> None:
        """Let the neighbour come to its end, so that its tasks can be judged; the stranger goes on."""
        await self._end(0)

    async def close(self) -> None:
        """End what goes on. Raises what ended one of them before."""
        for number, _ in enumerate(self._works):
            await self._end(number)

    async def _end(self, number: int) -> None:
        self._stops[number].set()
        await asyncio.wait([self._works[number]], timeout=ANSWER_SECONDS)
        self._works[number].cancel()
        with suppress(asyncio.CancelledError):
            await self._works[number]
        self.neighbour.traffic.sent_bytes = self.own_door.passed_bytes


@dataclass
class Asking:
    """The honest tenant asks all the time how its tasks are; ``seconds`` is how long each answer took.

    What a kill cut off is no answer.
    """

    stub: "ImageEditServiceAsyncStub"
    seconds: list[float] = field(default_factory=list)

    async def work(self) -> None:
        """Ask until cancelled."""
        while True:
            began = time.monotonic()
            with suppress(grpc.RpcError):
                await self.stub.ListTasks(
                    pb.ListTasksRequest(page_size=1), metadata=shows(HONEST), timeout=ANSWER_SECONDS
                )
                self.seconds.append(time.monotonic() - began)
            await asyncio.sleep(PAUSE_SECONDS)


@dataclass
class Memory:
    """How much the servers of a storm grew; ``most`` is the largest of them, in bytes."""

    most: int = 0

    async def watch(self, pid: int) -> bool:
        """Look at a server as long as it lives; return whether it grew beyond all bounds."""
        with suppress(OSError, StopIteration):
            begun = memory_bytes(pid)
            while True:
                self.most = max(self.most, memory_bytes(pid, "VmHWM") - begun)
                if self.most > MOST_GROWN_BYTES:
                    return True
                await asyncio.sleep(PAUSE_SECONDS)
        return False
