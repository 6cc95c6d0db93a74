"""A server, its vendors, and one paid edit after the other, each under a fault of its own."""

import asyncio
import io
import signal
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Self

from PIL import Image

from imageedit_client import AsyncClient, ImageEditError, Pace, Task
from tests.chaos.words import billing_of, is_over, outcomes_of, state_of
from tests.faults.control import Call, Control, Fault, Seen
from tests.faults.vendors import CallingKie, Paid, Relay, tables_of
from tests.servers.config import base_tables, write_config
from tests.servers.doorway import doorway
from tests.servers.forks import ForkedServer, ForkedServers
from tests.servers.programs import serve_arguments

VENDORS = ("relay", "kie")
SIDE = 32
WINDOW_SECONDS = 1.0
STUCK_SECONDS = 4.0
"""Who gets no further is killed and started again, as an operator would."""
LATE_SECONDS = 0.5
AGAIN_SECONDS = 0.02
PATIENT = Pace(call_seconds=120, patience_seconds=120, dice=lambda: 0.0)
MOST_RESTARTS = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Ended:
    """How one edit ended. ``story`` is what the caller sees of it in the end."""

    vendor: str
    fault: Fault | None
    seen: Seen
    verdict: str
    story: str
    restarts: int
    seconds: float

    def __str__(self) -> str:
        about = f"{self.vendor}: {self.fault} ({', '.join(self.seen.about)})"
        return f"{about}: {self.verdict}, {self.story}, restarts {self.restarts}, {self.seconds:.1f} s"


HOME, IN_DOUBT, LATE, LOST, UNPAID = "home", "in doubt", "late", "paid and lost", "unpaid"
TWICE, OTHER_BYTES, STUCK = "paid twice", "other bytes", "stuck"
"""Verdicts: the first is good, the second where nobody can know: ``_may_be_in_doubt``."""


class Place:
    """One data directory and what serves on it. Used as a context manager."""

    def __init__(self, folder: Path, servers: ForkedServers, bug: str = "") -> None:
        self._bug = bug and f"{bug}:"
        self._folder = folder
        self._servers = servers
        self._vendors: Mapping[str, Paid] = {}
        self._edits = 0

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            self._control = stack.enter_context(Control(self._folder / "control"))
            relay = await stack.enter_async_context(Relay())
            kie = await stack.enter_async_context(CallingKie())
            self._vendors = dict(zip(VENDORS, (relay, kie), strict=True))
            self._door = await stack.enter_async_context(doorway())
            self._config = self._write_config()
            await self._start()
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self._stack.aclose()

    def _write_config(self) -> Path:
        allow = [vendor.result_host() for vendor in self._vendors.values()]
        tables = base_tables(public_url=self._door.url, allow=allow, unknown_window_seconds=WINDOW_SECONDS)
        return write_config(self._folder, {**tables, **tables_of(self._vendors)})

    async def _start(self) -> None:
        self._life: ForkedServer = await self._servers.start(
            serve_arguments(self._config, self._folder / "data"),
            self._folder / "server.log",
            bug=f"{self._bug}{self._control.path}",
        )
        addresses = await self._life.ready()
        assert addresses, f"the server does not start: {self._folder}/server.log"
        self._address, self._door.target = addresses

    async def _restart(self) -> None:
        await self._life.send(signal.SIGKILL)
        await self._life.died()
        await self._start()

    async def edit(self, vendor: str, fault: Fault | None = None) -> Ended:
        """Let one edit go through, and say what came of it and of the payment for it."""
        began = time.monotonic()
        self._edits += 1
        name = f"edit-{self._edits}"
        async with self._client() as client:
            image_id = (await client.upload(_picture(f"{self._folder} {name}"))).image_id
        self._control.arm(fault)
        seen, restarts = await self._live_through(vendor, name, image_id)
        restarts += await self._let_in()
        verdict, story = await self._judged(vendor, name, image_id, seen)
        return Ended(
            vendor=vendor,
            fault=fault,
            seen=seen,
            verdict=verdict,
            story=story,
            restarts=restarts,
            seconds=time.monotonic() - began,
        )

    async def _let_in(self) -> int:
        """Start a server anew that lets no caller in any more; return how often that was."""
        try:
            async with asyncio.timeout(STUCK_SECONDS), self._client() as client:
                await client.list_models()
        except (TimeoutError, ImageEditError):
            await self._restart()
            return 1
        return 0

    async def _live_through(self, vendor: str, name: str, image_id: str) -> tuple[Seen, int]:
        """Return when the edit has ended, or nothing more helps; a server that stopped is started again."""
        seen, restarts = None, 0
        while not await self._gets_through(vendor, name, image_id) and restarts < MOST_RESTARTS:
            seen = seen or self._control.disarm()
            await self._restart()
            restarts += 1
        return seen or self._control.disarm(), restarts

    async def _gets_through(self, vendor: str, name: str, image_id: str) -> bool:
        """Say whether the edit ended; if not, the server did, or gets no further."""
        edit = asyncio.create_task(self._follow(vendor, name, image_id))
        died = asyncio.create_task(self._life.died())
        either: list[asyncio.Task[Any]] = [edit, died]
        await asyncio.wait(either, timeout=STUCK_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        ended = edit.done()
        for task in either:
            task.cancel()
        await asyncio.wait(either)
        if ended:
            edit.result()
        return ended

    async def _follow(self, vendor: str, name: str, image_id: str) -> None:
        """Call until the edit has ended; who gets an error asks again, under the same request_id."""
        async with self._client() as client:
            while True:
                try:
                    task = await self._create(client, vendor, name, image_id)
                    async for _ in client.watch(task.task_id):
                        pass
                    return
                except ImageEditError:
                    await asyncio.sleep(AGAIN_SECONDS)

    async def _create(self, client: AsyncClient, vendor: str, name: str, image_id: str) -> Task:
        paid = self._vendors[vendor]
        return await client.edit_image(
            f"make it warmer {name}", [image_id], request_id=name, model=paid.model, size=paid.size
        )

    def _client(self) -> AsyncClient:
        return AsyncClient(self._address, pace=PATIENT)

    # Judging, when nothing fails any more

    async def _judged(self, vendor: str, name: str, image_id: str, seen: Seen) -> tuple[str, str]:
        paid = self._vendors[vendor]
        async with self._client() as client:
            task = await self._create(client, vendor, name, image_id)
            if paid.payments(name) and not task.images and is_over(task):
                task = await _with_late_images(client, task)
            story = " ".join(
                filter(None, (state_of(task), task.error.reason, billing_of(task), *outcomes_of(task)))
            )
            return await _verdict(client, task, paid, name, seen), story


async def _with_late_images(client: AsyncClient, task: Task) -> Task:
    """Return the task when its picture came late, or when that takes too long."""
    end = time.monotonic() + LATE_SECONDS
    while time.monotonic() < end and not any(attempt.late_images for attempt in task.attempts):
        await asyncio.sleep(0.02)
        task = await client.get(task.task_id)
    return task


async def _verdict(client: AsyncClient, task: Task, paid: Paid, name: str, seen: Seen) -> str:
    payments = paid.payments(name)
    if payments > 1:
        return TWICE
    if not is_over(task):
        return STUCK
    if task.images:
        content = await client.download(task.images[0].image_id)
        return HOME if payments and content == paid.made(name) else OTHER_BYTES
    if any(attempt.late_images for attempt in task.attempts):
        return LATE
    if _is_in_doubt(task) and _may_be_in_doubt(paid, seen, payments):
        return IN_DOUBT
    return LOST if payments else UNPAID


def _may_be_in_doubt(paid: Paid, seen: Seen, payments: int) -> bool:
    """Whether nobody can know: the call's own connection broke, or the fsync of its intent failed (F22)."""
    if seen.call is Call.FSYNC:
        return not payments
    return any(map(paid.is_called_by, seen.about)) and not (payments and paid.tells_again)


def _is_in_doubt(task: Task) -> bool:
    """P6: the one failure that a broken connection may cause, told as what it is."""
    told = billing_of(task) == "MAY_HAVE_BEEN_CHARGED" and outcomes_of(task) == ("UNKNOWN",)
    return told and task.error.reason == "SUBMIT_OUTCOME_UNKNOWN"


def _picture(seed: str) -> bytes:
    """Return a small PNG of its own for every seed."""
    out = io.BytesIO()
    noise = sha256(seed.encode()).digest() * (SIDE * SIDE * 3 // 32)
    Image.frombytes("RGB", (SIDE, SIDE), noise).save(out, "PNG")
    return out.getvalue()
