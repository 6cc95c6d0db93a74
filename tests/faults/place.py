"""A server, its vendors, and one operation after the other, each under a fault of its own."""

import asyncio
import io
import shutil
import signal
import time
from collections.abc import Callable, Collection, Coroutine, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol, Self

from PIL import Image

from imageedit_client import AsyncClient, ImageEditError, Pace
from tests.faults.control import Control, Fault, Seen
from tests.faults.vendors import CallingKie, Paid, Relay, tables_of
from tests.faults.verdicts import GONE, KEPT, SPOILT
from tests.servers.config import base_tables, write_config
from tests.servers.doorway import doorway
from tests.servers.forks import ForkedServer, ForkedServers
from tests.servers.programs import serve_arguments

SIDE = 32
WINDOW_SECONDS = 1.0
STUCK_SECONDS = 4.0
"""Who gets no further is killed and started again, as an operator would."""
PATIENT = Pace(call_seconds=120, patience_seconds=120, dice=lambda: 0.0)
MOST_RESTARTS = 3
DRAIN_SECONDS = 5


class DoesNotStart(Exception):
    """A server does not start on what another one left: only a person could help."""


class Operation(Protocol):
    """What is done under a fault, once, and judged afterwards. Made for a place and a name of its own.

    ``control`` arms the process whose calls fail.
    """

    control: Control

    async def begin(self) -> None:
        """Do what comes before it, while nothing fails."""

    async def go(self) -> bool:
        """Say whether it has ended; if not, another server is started, and this is called anew."""

    async def judged(self, seen: Seen) -> tuple[str, str]:
        """Return the verdict and what the caller saw, when nothing fails any more."""


Operations = Mapping[str, Callable[["Place", str], Operation]]
"""By name. A name of its own is given to each."""


@dataclass(frozen=True, slots=True)
class SetAside:
    """What a killed server left, and the ids of what was acknowledged in it."""

    folder: Path
    uploaded: Collection[str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Ended:
    """How one operation ended. ``story`` is what the caller sees of it in the end."""

    operation: str
    fault: Fault | None
    seen: Seen
    verdict: str
    story: str
    restarts: int
    seconds: float

    def __str__(self) -> str:
        about = f"{self.operation}: {self.fault} ({', '.join(self.seen.about)})"
        return f"{about}: {self.verdict}, {self.story}, restarts {self.restarts}, {self.seconds:.1f} s"


class Place:
    """One data directory and what serves on it. Used as a context manager.

    ``settings`` are those of the engine that differ.
    """

    def __init__(
        self, folder: Path, servers: ForkedServers, operations: Operations, bug: str = "", **settings: Any
    ) -> None:
        self._operations = operations
        self._bug = bug and f"{bug}:"
        self._settings = {"unknown_window_seconds": WINDOW_SECONDS, **settings}
        self._tried = 0
        self._once: dict[str, str] = {}
        self._set_aside: SetAside | None = None
        self.folder = folder
        self.servers = servers
        self.uploaded: dict[str, bytes] = {}
        """What was acknowledged, by image id."""

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            self.control = stack.enter_context(Control(self.folder / "control"))
            self.beside = stack.enter_context(Control(self.folder / "control-beside"))
            self.relay = await stack.enter_async_context(Relay())
            self.kie = await stack.enter_async_context(CallingKie())
            self.vendors: Mapping[str, Paid] = {"relay": self.relay, "kie": self.kie}
            self._door = await stack.enter_async_context(doorway())
            self.config = self._write_config()
            await self.start_to_serve()
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self._stack.aclose()

    def _write_config(self) -> Path:
        allow = [vendor.result_host() for vendor in self.vendors.values()]
        tables = base_tables(public_url=self._door.url, allow=allow, **self._settings)
        server = {**tables["server"], "drain_seconds": DRAIN_SECONDS}
        return write_config(self.folder, {**tables, "server": server, **tables_of(self.vendors)})

    # The server

    @property
    def data_dir(self) -> Path:
        """Where its data are."""
        return self.folder / "data"

    def client(self) -> AsyncClient:
        """Return a client of the server that there is."""
        return AsyncClient(self._address, pace=PATIENT)

    async def start(self, failpoint: str = "") -> None:
        """Start a server; it kills itself at ``failpoint``, if one is named."""
        self.life: ForkedServer = await self.servers.start(
            serve_arguments(self.config, self.data_dir),
            self.folder / "server.log",
            failpoint=failpoint,
            bug=self.bug_of(self.control),
        )

    def bug_of(self, control: Control) -> str:
        """Return the order for a process whose calls ``control`` counts."""
        return f"{self._bug}{control.path}"

    async def serves(self) -> bool:
        """Wait until the server serves, or has died before."""
        addresses = await self.life.ready()
        if addresses:
            self._address, self._door.target = addresses
        return addresses is not None

    async def stop(self) -> None:
        """Kill the server."""
        await self.life.send(signal.SIGKILL)
        await self.life.died()

    async def restart(self) -> None:
        """Kill the server and start another one. Raises ``DoesNotStart``."""
        await self.stop()
        await self.start_to_serve()

    async def start_to_serve(self) -> None:
        """Start a server, which must serve. Raises ``DoesNotStart``."""
        await self.start()
        if not await self.serves():
            code = await self.life.died()
            raise DoesNotStart(f"no server starts, it ended with {code}: {self.folder}/server.log")

    # One operation

    async def try_(self, operation: str, fault: Fault | None = None) -> Ended:
        """Let one operation go through, and say what came of it."""
        began = time.monotonic()
        self._tried += 1
        doing = self._operations[operation](self, f"{operation}-{self._tried}")
        await doing.begin()
        doing.control.arm(fault)
        seen, restarts, verdict, story = await self._judged(doing)
        return Ended(
            operation=operation,
            fault=fault,
            seen=seen,
            verdict=verdict,
            story=story,
            restarts=restarts,
            seconds=time.monotonic() - began,
        )

    async def _judged(self, doing: Operation) -> tuple[Seen, int, str, str]:
        try:
            seen, restarts = await self._live_through(doing)
            restarts += await self._let_in()
            return seen, restarts, *await doing.judged(seen)
        except DoesNotStart as error:
            await self._begin_anew()
            return doing.control.disarm(), MOST_RESTARTS, SPOILT, str(error)

    async def _begin_anew(self) -> None:
        """Set aside what no server starts on."""
        self.data_dir.rename(self.folder / f"data-{self._tried}")
        self.uploaded.clear()
        self._once.clear()
        await self.start_to_serve()

    async def _let_in(self) -> int:
        """Start a server anew that lets no caller in any more; return how often that was."""
        try:
            async with asyncio.timeout(STUCK_SECONDS), self.client() as client:
                await client.list_models()
        except (TimeoutError, ImageEditError):
            await self.restart()
            return 1
        return 0

    async def _live_through(self, doing: Operation) -> tuple[Seen, int]:
        """Return when it has ended, or nothing more helps; a server that stopped is started again."""
        seen, restarts = None, 0
        while not await doing.go() and restarts < MOST_RESTARTS:
            seen = seen or doing.control.disarm()
            await self.restart()
            restarts += 1
        return seen or doing.control.disarm(), restarts

    async def gets_through(self, calls: Coroutine[Any, Any, None]) -> bool:
        """Say whether these calls ended; if not, the server did, or gets no further."""
        going = asyncio.create_task(calls)
        died = asyncio.create_task(self.life.died())
        either: list[asyncio.Task[Any]] = [going, died]
        await asyncio.wait(either, timeout=STUCK_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        ended = going.done()
        for task in either:
            task.cancel()
        await asyncio.wait(either)
        if ended:
            going.result()
        return ended

    # What was acknowledged

    async def upload(self, seed: str, side: int = SIDE) -> str:
        """Upload a picture of its own for every seed, and remember it; return its id."""
        picture = picture_of(f"{self.folder} {seed}", side)
        async with self.client() as client:
            image_id = (await client.upload(picture)).image_id
        self.uploaded[image_id] = picture
        return image_id

    async def once(self, seed: str, side: int) -> str:
        """Return the id of a picture that is uploaded the first time that it is asked for."""
        if seed not in self._once:
            self._once[seed] = await self.upload(seed, side)
        return self._once[seed]

    async def set_aside(self) -> SetAside:
        """Return a copy of the data, taken the first time that it is asked for."""
        if self._set_aside is None:
            await self.upload("set aside")
            await self.stop()
            folder = self.folder / "set-aside"
            await asyncio.to_thread(shutil.copytree, self.data_dir, folder)
            self._set_aside = SetAside(folder, frozenset(self.uploaded))
            await self.start_to_serve()
        return self._set_aside

    async def verdict_of(self, image_id: str) -> str:
        """Say whether an uploaded picture is still what it was."""
        async with self.client() as client:
            try:
                content = await client.download(image_id)
            except ImageEditError:
                return GONE
        return KEPT if content == self.uploaded[image_id] else GONE

    async def lost(self) -> list[str]:
        """Kill the server, start another, and return the acknowledged pictures that are gone."""
        await self.restart()
        return [image_id for image_id in self.uploaded if await self.verdict_of(image_id) != KEPT]


def picture_of(seed: str, side: int = SIDE) -> bytes:
    """Return a PNG of its own for every seed, of noise."""
    out = io.BytesIO()
    bytes_of_pixels = side * side * 3
    noise = b"".join(sha256(f"{seed} {number}".encode()).digest() for number in range(bytes_of_pixels // 32))
    Image.frombytes("RGB", (side, side), noise).save(out, "PNG")
    return out.getvalue()
