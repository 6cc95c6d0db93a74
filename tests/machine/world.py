"""The whole service in one process, which a test moves by hand: calls, time, crashes, vendors' callbacks."""

import asyncio
import errno
import logging
import pickle
from collections.abc import AsyncIterable
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

from google.protobuf.message import Message
from sqlalchemy import Connection, select

from imageedit_server.answers.reading import asked_in, read_file, stored_in
from imageedit_server.core.image import Image
from imageedit_server.core.task import Event
from imageedit_server.editing import UseCases
from imageedit_server.images.library import ImageLibrary
from imageedit_server.providers.base import CallbackRefused, Finished, Output
from imageedit_server.store.queries import events_after
from imageedit_server.store.tables import IDEMPOTENCY, TASK
from tests.engine.house import ALL, MINUTE, PUBLIC_URL, House
from tests.engine.virtual_time import EPOCH
from tests.machine.door import Call, Door
from tests.machine.files import write_answer
from tests.machine.stepping import SteppingDatabase, SteppingLoop
from tests.machine.vendor import SYNCHRONOUS, HandDrivenVendor, Work, picture

PROVIDERS = ("plain", "keyed", "correlated", "free")
FREE = "free"
DRAIN_SECONDS = 20
FOREIGN = 90
"""A shade that is no vendor's."""
PLACES = 2
"""How many tasks a provider may have at once: few, so that others wait in the queue."""


class SteppingHouse(House):
    """The house on a loop that is stepped. ``refusals``: as many results find no file to be kept in."""

    database_class = SteppingDatabase
    unknown_window = MINUTE
    refusals = 0

    def library_of_results(self) -> ImageLibrary:
        return cast(ImageLibrary, _Scarce(self))

    @property
    def use_cases(self) -> UseCases:
        """What the doors ask."""
        return UseCases(
            creating=self.creating,
            tasks=self.tasks,
            watching=self.watching,
            pictures=self.pictures,
            erasing=self.erasing,
            callbacks=self.callbacks,
            catalog=self.catalog,
        )


class _Scarce:
    """The library of a process whose descriptor table is full at times (F27)."""

    def __init__(self, house: SteppingHouse) -> None:
        self._house = house

    def __getattr__(self, name: str) -> Any:
        return getattr(self._house.library, name)

    async def add(self, chunks: AsyncIterable[bytes], *, field: str) -> Image:
        """Keep a picture that comes in pieces."""
        self._open()
        return await self._house.library.add(chunks, field=field)

    async def add_bytes(self, data: bytes, *, field: str) -> Image:
        """Keep a picture."""
        self._open()
        return await self._house.library.add_bytes(data, field=field)

    def holding(self) -> Any:
        """Have in hand what is kept within the block."""
        return self._house.library.holding()

    def _open(self) -> None:
        if self._house.refusals:
            self._house.refusals -= 1
            raise OSError(errno.EMFILE, "Too many open files")


class World:
    """A service, its vendor and its clock. ``alarms`` are what the service itself called a defect."""

    def __init__(self, folder: Path) -> None:
        self.loop = SteppingLoop()
        self.loop.set_exception_handler(self._on_loop_error)
        self.alarms: list[str] = []
        self._log = _Alarms(self.alarms)
        logging.getLogger("imageedit_server").addHandler(self._log)
        self.vendor = HandDrivenVendor()
        self.vendor.call_back = self._called_back_first
        self.calls: list[Call] = []
        self.house: SteppingHouse = self._run(self._build(folder))
        self.start()

    async def _build(self, folder: Path) -> SteppingHouse:
        vendor = cast(Any, self.vendor)
        return SteppingHouse(
            folder, vendor, providers=PROVIDERS, public_url=PUBLIC_URL, concurrency_each=PLACES
        )

    # Its life

    def start(self) -> None:
        """Begin to serve, on whatever the folder holds."""
        self._run(self.house.start())
        self.door = Door(self.house.use_cases, self.loop.time)
        self.alive = True
        self.loop.settle()

    def crash(self) -> None:
        """End everything here and now: nothing that was under way reaches the store or the vendor."""
        self.alive = False
        self.house.refusals = 0
        self.database.dead = True
        while pending := asyncio.all_tasks(self.loop):
            for task in pending:
                task.cancel()
            self.loop.step()
        self._run(self.database.close())
        self._run(self.house.answers.aclose())
        self.vendor.lose_answers(self._torn())

    def _torn(self) -> set[str]:
        """The attempts whose answer was not written when the process died."""
        asked = {path: asked_in(path) for path in self.answers_folder.glob("*")}
        return {f"{who.task_id}-{who.attempt}" for path, who in asked.items() if who and not _said(path)}

    def leave_foreign_answers(self) -> None:
        """Put answers to attempts of ours into the folder that another database's server asked for."""
        foreign = Finished(outputs=(Output(content=picture(FOREIGN)),))
        for task_id in {work.task_id for work in self.vendor.works if work.provider == SYNCHRONOUS}:
            write_answer(self.answers_folder, task_id, pickle.dumps(foreign))

    def drain(self) -> None:
        """Stop in order: watches end, paid calls may end, everything else is let go."""
        draining = self.loop.create_task(self._drain())
        self.loop.settle()
        if not draining.done():
            self.loop.advance(DRAIN_SECONDS)
        draining.result()

    async def _drain(self) -> None:
        self.house.draining.begin()
        await self.house.dispatcher.drain(DRAIN_SECONDS)

    def close(self) -> None:
        """End, and leave nothing behind."""
        if self.alive:
            self.crash()
        logging.getLogger("imageedit_server").removeHandler(self._log)
        self._run(self.loop.shutdown_asyncgens())
        self.loop.close()

    @property
    def database(self) -> SteppingDatabase:
        return cast(SteppingDatabase, self.house.database)

    # What reaches it

    def begin(self, method: str, *requests: Message, tenant: str = "default") -> Call:
        """Make a call; nothing happens before the next step."""
        call = Call(method, tenant, requests, opened=self.loop.time())
        call.work = self.loop.create_task(self.door.handle(call), name=f"call {method}")
        self.calls.append(call)
        return call

    def call(self, method: str, *requests: Message, tenant: str = "default") -> Call:
        """Make a call that is answered at once."""
        call = self.begin(method, *requests, tenant=tenant)
        self.loop.settle()
        assert call.work.done(), f"{method} has no answer"
        return call

    def begin_callback(self, provider: str, token: str, vendor_task_id: str) -> "asyncio.Task[int]":
        """Send a callback; nothing happens before the next step."""
        return self.loop.create_task(self._receive(provider, token, vendor_task_id), name="callback")

    def call_back(self, provider: str, token: str, vendor_task_id: str) -> int:
        """Deliver a callback; return the status of HTTP that the vendor sees."""
        done = self.begin_callback(provider, token, vendor_task_id)
        self.loop.settle()
        return done.result()

    async def _receive(self, provider: str, token: str, vendor_task_id: str) -> int:
        try:
            await self.house.callbacks.receive(provider, token, {}, vendor_task_id.encode())
        except CallbackRefused as refused:
            return 401 if refused.forged else 400
        return 200

    async def _called_back_first(self, work: Work) -> None:
        if await self._receive(work.provider, work.token, work.vendor_task_id) == 200:
            work.noted = True

    def take_ended(self) -> list[Call]:
        """Return the calls that ended since the last time."""
        ended = [call for call in self.calls if call.work.done()]
        self.calls = [call for call in self.calls if not call.work.done()]
        return ended

    def _run(self, work: Any) -> Any:
        task = self.loop.create_task(work)
        for _ in range(1000):
            if task.done():
                return task.result()
            self.loop.step()
        raise AssertionError("this ends at once")

    def _on_loop_error(self, _loop: object, context: dict[str, Any]) -> None:
        self.alarms.append(f"{context.get('message')}: {context.get('exception')!r}")

    # What the judge sees

    @property
    def answers_folder(self) -> Path:
        """Where answers lie."""
        return self.house.folder / "answers"

    def kept(self) -> dict[str, bytes]:
        """What the kept answers say, by their attempts."""
        files = [stored for stored in stored_in(self.answers_folder) if stored.tried]
        return {f"{each.asked.task_id}-{each.asked.attempt}": _said(each.path) for each in files}

    def heads(self) -> dict[str, tuple[int, str]]:
        """Every stored task with its last seq and its state, newest first."""
        return self.database.look(_heads)

    def seconds_of(self, event: Event) -> float:
        """When an event was committed, in the loop's seconds, if no clock jumped since."""
        return (event.time - EPOCH - self.house.clock.step).total_seconds()

    def events(self, task_id: str, after_seq: int) -> list[Event]:
        """The log of a task."""
        return self.database.look(events_after, task_id, after_seq, ALL)

    def keys(self) -> dict[tuple[str, str, str], str]:
        """Every request_id in use, by tenant and kind, with the id of its task."""
        return self.database.look(_keys)


def _said(path: Path) -> bytes:
    answer = read_file(path)
    return answer.body if answer else b""


def _heads(connection: Connection) -> dict[str, tuple[int, str]]:
    rows = connection.execute(select(TASK.c.task_id, TASK.c.seq, TASK.c.state).order_by(TASK.c.number.desc()))
    return {row.task_id: (row.seq, row.state) for row in rows}


def _keys(connection: Connection) -> dict[tuple[str, str, str], str]:
    rows = connection.execute(
        select(IDEMPOTENCY.c.tenant, IDEMPOTENCY.c.method, IDEMPOTENCY.c.request_id, TASK.c.task_id).join(
            TASK, TASK.c.number == IDEMPOTENCY.c.task
        )
    )
    return {(row.tenant, row.method, row.request_id): row.task_id for row in rows}


class _Alarms(logging.Handler):
    """Keeps what the service logs as an error: there is no fault in this world that excuses one."""

    def __init__(self, alarms: list[str]) -> None:
        super().__init__(logging.ERROR)
        self._alarms = alarms

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(Exception):
            self._alarms.append(record.getMessage() + f" {record.exc_info and record.exc_info[1]!r}")
