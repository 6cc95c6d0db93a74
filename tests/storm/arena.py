"""One server on one data directory, killed as planned under load, and started again on what it left."""

import asyncio
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import grpc

from imageedit.v1.image_edit_service_pb2_grpc import ImageEditServiceStub
from imageedit_client import AsyncClient, Pace
from imageedit_client.connection import Connection
from imageedit_server.answers.files import ANSWERS_FOLDER
from imageedit_server.answers.reading import read_file, stored_in
from tests.history.recorder import Recorder
from tests.servers.config import Table, base_tables, write_config
from tests.servers.doorway import Doorway, doorway
from tests.servers.forks import ForkedServer, ForkedServers
from tests.servers.processes import KILLED
from tests.servers.programs import serve_arguments
from tests.storm import kills, tenants
from tests.storm.bugs import KNOWS_RIDDLES
from tests.storm.checks import Found, check_files, check_kept, check_log, check_served, check_tasks
from tests.storm.company import MOST_GROWN_BYTES, Asking, Company, Memory
from tests.storm.kills import MOMENTS, Kill
from tests.storm.load import KINDS, RELAY, Caller, Promises
from tests.storm.riddles import is_riddle
from tests.storm.traffic import Traffic
from tests.storm.vendors import Vendors

if TYPE_CHECKING:
    from imageedit.v1.image_edit_service_pb2_grpc import ImageEditServiceAsyncStub

WINDOW_SECONDS = 3.0
LEASE_SECONDS = 600
"""Longer than any storm: who waits for the lease of a dead worker waits for ever."""
PATIENCE_SECONDS = 60.0
STEP_SECONDS = 0.005


@dataclass(frozen=True, kw_only=True, slots=True)
class Storm:
    """What happens in an arena. ``callers`` is how many work on each kind of task, ``cancels`` the share
    of tasks that are cancelled, ``share`` how much of the usual a neighbour and a stranger send."""

    seed: str
    kills: Sequence[Kill]
    callers: int = 2
    kinds: Sequence[str] = KINDS
    cancels: float = 0.15
    bug: str = ""
    patience_seconds: float = PATIENCE_SECONDS
    share: float = 1.0
    alone: bool = False
    """Without a neighbour and a stranger, to compare."""


@dataclass
class Report:
    """What came of one storm, or of several together."""

    kills: Counter[str] = field(default_factory=Counter)
    recoveries: list[float] = field(default_factory=list)
    """Seconds from a kill to the next ready line of a fork."""
    cold_recoveries: list[float] = field(default_factory=list)
    """The same of a fresh interpreter."""
    tasks: int = 0
    uploads: int = 0
    streams: int = 0
    events: int = 0
    resumes: int = 0
    unknown: int = 0
    kept: int = 0
    """Answers that could not be read at first."""
    recovered: int = 0
    """Pictures that came home from them."""
    answers: list[float] = field(default_factory=list)
    """How long the honest tenant waited for each answer, in seconds."""
    grown_bytes: int = 0
    """The most that a server held beyond what it began with."""
    noisy_tasks: int = 0
    """What the neighbour was promised, and is judged too."""
    neighbour: Traffic = field(default_factory=Traffic)
    stranger: Traffic = field(default_factory=Traffic)
    found: list[Found] = field(default_factory=list)

    def add(self, other: "Report") -> None:
        """Take in what came of another."""
        self.kills += other.kills
        self.recoveries += other.recoveries
        self.cold_recoveries += other.cold_recoveries
        self.found += other.found
        self.answers += other.answers
        self.grown_bytes = max(self.grown_bytes, other.grown_bytes)
        self.neighbour.add(other.neighbour)
        self.stranger.add(other.stranger)
        for name in (
            *("tasks", "uploads", "streams", "events", "resumes", "unknown", "kept", "recovered"),
            "noisy_tasks",
        ):
            setattr(self, name, getattr(self, name) + getattr(other, name))


class Arena:
    """Use once: ``await Arena(...).run()``."""

    def __init__(
        self,
        folder: Path,
        storm: Storm,
        servers: ForkedServers,
        *,
        told: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._folder = folder
        self._data = folder / "data"
        self._log = folder / "server.log"
        self._storm = storm
        self._servers = servers
        self._told = told
        self._dice = Random(storm.seed)
        self._vendors = Vendors(Random(f"{storm.seed} vendors"))
        self._answer, self._event = asyncio.Event(), asyncio.Event()
        self._promises = Promises(answered=self._answer.set)
        self._recorder = Recorder(seen=lambda _: self._event.set(), metadata=tenants.shows(tenants.HONEST))
        self._memory = Memory()
        self._watching: list[asyncio.Task[None]] = []
        self._report = Report()
        self._killed_at = 0.0
        self._stopping = False

    async def run(self) -> Report:
        """Live through every kill, drain, and say what is wrong."""
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._vendors)
            self._doors = [await stack.enter_async_context(doorway()) for _ in range(3)]
            self._config = self._write_config(self._doors[1])
            address = self._doors[0].url.removeprefix("http://")
            self._client = await stack.enter_async_context(self._client_of(tenants.HONEST, address))
            self._noisy = await stack.enter_async_context(self._client_of(tenants.NOISY, address))
            channel = grpc.aio.insecure_channel(address, options=Connection(address=address).options())
            self._stub: ImageEditServiceAsyncStub = ImageEditServiceStub(
                await stack.enter_async_context(channel)
            )
            self._asking, self._company = Asking(self._stub), self._new_company()
            try:
                await self._storm_and_drain()
            except TimeoutError:
                self._find("stuck", "the storm did not get on")
        self._check_what_is_left()
        return self._report

    def _client_of(self, key: str, address: str) -> AsyncClient:
        """Callers try as long as a storm may take, so that no kill is more to them than a delay."""
        patience = self._storm.patience_seconds * 2
        pace = Pace(call_seconds=patience, patience_seconds=patience)
        return AsyncClient(address, api_key=key, pace=pace)

    def _new_company(self) -> Company:
        return Company(
            seed=self._storm.seed,
            doors=self._doors[:2],
            own_door=self._doors[2],
            vendors=self._vendors,
            honest=self._promises,
            kinds=self._storm.kinds,
            share=self._storm.share,
        )

    def _write_config(self, http: Doorway) -> Path:
        tables = base_tables(
            public_url=http.url,
            allow=self._vendors.urls(),
            unknown_window_seconds=WINDOW_SECONDS,
            lease_seconds=LEASE_SECONDS,
        )
        tenants.write(self._folder)
        own: dict[str, Table] = {
            "auth": {"mode": "api_key"},
            "limits": tenants.LIMITS,
            "providers.scripted": {"adapter": "scripted", "seconds": 0.2, "steps": 3, "concurrency": 8},
        }
        return write_config(self._folder, {**tables, **self._vendors.tables(), **own})

    async def _storm_and_drain(self) -> None:
        stop = asyncio.Event()
        working = [asyncio.create_task(caller.work(stop)) for caller in self._callers()]
        asking = asyncio.create_task(self._asking.work())
        if not self._storm.alone:
            self._company.start()
        try:
            for number, kill in enumerate(self._storm.kills, 1):
                await self._live(kill)
                self._told(f"{number}/{len(self._storm.kills)} {kill.point}")
            await self._hear_a_riddle()
            self._kept = self._kept_answers()
            life = await self._start(Kill(point=""), newer=not self._storm.bug)
            stop.set()
            drain: asyncio.Future[Any] = asyncio.create_task(self._drain(life, working))
            ended: asyncio.Future[Any] = asyncio.create_task(life.process.wait())
            await asyncio.wait([drain, ended], return_when=asyncio.FIRST_COMPLETED)
            if not drain.done() and not self._stopping:
                self._find("crashed", f"the last server ended with {ended.result()}")
                drain.cancel()
            await asyncio.wait([drain])
            if not drain.cancelled():
                drain.result()
        finally:
            for work in (*working, *self._watching, asking):
                work.cancel()
            await asyncio.gather(*working, *self._watching, asking, return_exceptions=True)
            await self._company.close()

    def _callers(self) -> list[Caller]:
        return [
            Caller(
                name=f"{kind}-{number}",
                kind=kind,
                dice=Random(f"{self._storm.seed} {kind} {number}"),
                client=self._client,
                stub=self._stub,
                promises=self._promises,
                recorder=self._recorder,
                cancels=self._storm.cancels,
            )
            for kind in self._storm.kinds
            for number in range(self._storm.callers)
        ]

    # Lives

    async def _live(self, kill: Kill) -> None:
        """Let a server live until it is killed as planned."""
        life = await self._start(kill)
        if not self._storm.bug:
            self._vendors.riddles()
        if kill.point in MOMENTS:
            await self._moment(kill, life)
            await life.send(signal.SIGKILL)
        code = await life.died()
        self._killed_at = time.monotonic()
        self._vendors.behave()
        self._close_doors()
        if code != KILLED:
            self._find("crashed", f"the server ended with {code} before {kill.point}")
        self._report.kills[kill.point] += 1

    async def _hear_a_riddle(self) -> None:
        """Let a server live until it has kept an answer that it could not read, if none did before."""
        if self._storm.bug or RELAY not in self._storm.kinds or self._kept_answers():
            return
        life = await self._start(Kill(point=""))
        self._vendors.riddles()
        async with asyncio.timeout(self._storm.patience_seconds):
            await _until(lambda: bool(self._kept_answers()))
        await life.send(signal.SIGKILL)
        await life.died()
        self._killed_at = time.monotonic()
        self._close_doors()

    def _kept_answers(self) -> set[str]:
        """The tasks whose answers came whole and could not be read: not those that a kill cut short."""
        folder = self._data / ANSWERS_FOLDER
        stored = stored_in(folder) if folder.exists() and not self._storm.bug else ()
        return {each.asked.task_id for each in stored if each.tried and is_riddle(read_file(each.path))}

    async def _start(self, kill: Kill, *, newer: bool = False) -> ForkedServer:
        life = await self._servers.start(
            serve_arguments(self._config, self._data),
            self._log,
            failpoint=kill.failpoint if kill.point else "",
            bug=KNOWS_RIDDLES if newer else self._storm.bug,
            cold=kill.cold,
        )
        if kill.point != kills.IN_RECOVERY and (addresses := await life.ready()):
            if self._killed_at:
                recoveries = self._report.cold_recoveries if kill.cold else self._report.recoveries
                recoveries.append(time.monotonic() - self._killed_at)
            for door, address in zip(self._doors, (*addresses, addresses[0]), strict=True):
                door.target = address
            self._watching.append(asyncio.create_task(self._watch_memory(life)))
        return life

    def _close_doors(self) -> None:
        for door in self._doors:
            door.target = ""

    async def _watch_memory(self, life: ForkedServer) -> None:
        """End a server that grows beyond all bounds, before the machine does."""
        if await self._memory.watch(life.pid):
            self._find("grown", f"a server by more than {MOST_GROWN_BYTES} bytes")
            await life.send(signal.SIGKILL)

    async def _moment(self, kill: Kill, life: ForkedServer) -> None:
        """Wait for the moment to kill."""
        async with asyncio.timeout(self._storm.patience_seconds):
            match kill.point:
                case kills.IN_THE_CALL:
                    paid = len(self._vendors.charges())
                    self._vendors.answers_nobody()
                    await _until(lambda: len(self._vendors.charges()) > paid)
                case kills.IN_THE_DOWNLOAD:
                    fetched = len(self._vendors.kie.calls("result"))
                    self._vendors.stalls_a_download()
                    await _until(lambda: len(self._vendors.kie.calls("result")) > fetched)
                case kills.AT_AN_ANSWER:
                    await _times(self._answer, kill.passes)
                case kills.AT_AN_EVENT:
                    await _times(self._event, kill.passes)
                case _:
                    with suppress(TimeoutError):
                        await life.died(kill.seconds)

    # After the storm

    async def _drain(self, life: ForkedServer, working: Sequence[asyncio.Task[None]]) -> None:
        """Let the callers finish, ask the server about everything, and stop it in good order."""
        _, late = await asyncio.wait(working, timeout=self._storm.patience_seconds)
        if late:
            self._find("stuck", f"{len(late)} callers' tasks do not end")
        await self._check_tenant(self._client, self._promises, lambda name: not tenants.is_noisy(name))
        if not self._storm.alone:
            await self._company.calm_neighbour()
            await self._check_tenant(self._noisy, self._company.neighbour.promises, tenants.is_noisy)
        await self._company.close()
        self._stopping = True
        await life.send(signal.SIGTERM)
        if code := await life.died():
            self._find("crashed", f"the last server ended with {code} when it was told to")

    async def _check_tenant(
        self, client: AsyncClient, promises: Promises, is_mine: Callable[[str], bool]
    ) -> None:
        """The neighbour is judged as the honest tenant is: nothing lost, nothing paid twice."""
        report, patience = self._report, self._storm.patience_seconds
        report.found += await check_served(client, promises)
        tasks = await check_tasks(client, promises, self._vendors, patience, is_mine)
        report.found += tasks.found
        report.unknown += tasks.unknown
        kept = self._kept & {task.task_id async for task in client.list()}
        recovered, lost = await check_kept(client, kept, patience)
        report.kept += len(kept)
        report.recovered += recovered
        report.found += lost

    def _check_what_is_left(self) -> None:
        """Look at what callers saw, and at the files."""
        promises, streams, report = self._promises, self._recorder.streams, self._report
        neighbour = self._company.neighbour
        witnesses = (promises, neighbour.promises, self._company.stranger)
        report.found += [Found(*broken) for each in witnesses for broken in each.broken]
        streams = [*streams, *neighbour.recorder.streams]
        report.neighbour, report.stranger = neighbour.traffic, self._company.stranger.traffic
        report.noisy_tasks, report.grown_bytes = len(neighbour.promises.tasks), self._memory.most
        report.answers = self._asking.seconds
        away = max([0.0, *report.recoveries, *report.cold_recoveries])
        report.found += [*check_log(self._data, streams, away), *check_files(self._data, self._log)]
        report.tasks, report.uploads, report.streams = (
            len(promises.tasks),
            len(promises.uploads),
            len(streams),
        )
        report.events = sum(len(stream.events) for stream in streams)
        report.resumes = sum(stream.after_seq > 0 for stream in streams)

    def _find(self, check: str, detail: str) -> None:
        self._report.found.append(Found(check, detail))


async def _until(holds: Callable[[], bool]) -> None:
    while not holds():  # noqa: ASYNC110  vendors tell nobody what they have seen
        await asyncio.sleep(STEP_SECONDS)


async def _times(event: asyncio.Event, times: int) -> None:
    for _ in range(times):
        event.clear()
        await event.wait()
