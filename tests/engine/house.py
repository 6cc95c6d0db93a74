"""The house as tests run it: the real store, library and engine around a vendor that does as it is told."""

import asyncio
import io
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, cast

import pytest
from PIL import Image as Pillow

from imageedit_server.answers import files, writing
from imageedit_server.answers.files import Answers
from imageedit_server.core.charge import FREE
from imageedit_server.core.draining import Draining
from imageedit_server.core.errors import Reason, Refusal
from imageedit_server.core.failure import Failure
from imageedit_server.core.model import MaskUse, Model
from imageedit_server.core.request import Content, Draft, Kind
from imageedit_server.core.sizes import ANY_PIXELS, ANY_RATIO, AUTO
from imageedit_server.core.task import TRANSITIONS, Event, Stage, State, Task
from imageedit_server.editing import Callbacks, Creating, Erasing, Heartbeat, Pictures, Tasks, Watching
from imageedit_server.editing.creating import Defaults
from imageedit_server.editing.page_tokens import PageTokens
from imageedit_server.engine import dispatcher as dispatcher_module
from imageedit_server.engine import downloading, paying, submitting
from imageedit_server.engine.answered import Answered
from imageedit_server.engine.dispatcher import Dispatcher
from imageedit_server.engine.inputs import Inputs
from imageedit_server.engine.results import Results
from imageedit_server.engine.tools import Tools
from imageedit_server.feed.local import LocalFeed
from imageedit_server.images.blobs.files import FileBlobStore
from imageedit_server.images.library import ImageLibrary
from imageedit_server.outbound.fetch import FetchFailed
from imageedit_server.providers.base import (
    Accepted,
    Callback,
    Context,
    Finished,
    InProgress,
    Job,
    Output,
    Prepared,
    ProviderOptions,
    Report,
    SubmitSafety,
)
from imageedit_server.providers.catalog import Catalog, Provider
from imageedit_server.runtime.workers import Workers
from imageedit_server.store.queries import events_after, find_task
from imageedit_server.store.sqlite.database import SqliteDatabase
from tests.engine.virtual_time import VirtualClock
from tests.providers.in_person import InPerson

TENANT = "acme"
PUBLIC_URL = "https://edits.test"
MINUTE = timedelta(minutes=1)
ALL = 10_000


def picture(colour: str = "white", size: tuple[int, int] = (4, 3)) -> bytes:
    """A small PNG."""
    out = io.BytesIO()
    Pillow.new("RGB", size, colour).save(out, "PNG")
    return out.getvalue()


INPUT = picture()
RESULT = picture("red")
RESULT_ID = f"sha256:{sha256(RESULT).hexdigest()}"
DONE = Finished(outputs=(Output(content=RESULT),))


class Door:
    """Where a test stops somebody: ``await door`` inside, ``await door.reached`` and ``open`` outside."""

    def __init__(self) -> None:
        self.arrived = asyncio.Event()
        self._open = asyncio.Event()

    async def wait(self) -> None:
        """Stand here until the door is opened."""
        self.arrived.set()
        await self._open.wait()

    def open(self) -> None:
        """Let everybody go on."""
        self._open.set()


Submit = Callable[[Job, Report], Awaitable[Accepted | Finished]]
Poll = Callable[[str, Report], Awaitable[InProgress | Finished | Failure]]
Prepare = Callable[[Job], Awaitable[Prepared]]


async def accept(job: Job, report: Report) -> Accepted:
    """Take the work, under an id of the attempt's key."""
    return Accepted(vendor_task_id=f"v-{job.attempt_key}")


async def finish_now(job: Job, report: Report) -> Finished:
    """Do the work while the caller waits."""
    return DONE


async def finish_poll(vendor_task_id: str, report: Report) -> Finished:
    """Be done."""
    return DONE


async def just_prepare(job: Job) -> Prepared:
    """Prepare nothing."""
    return Prepared(payload=job)


@dataclass
class Vendor:
    """The vendor's side, which outlives every crash of ours. ``paid`` is what it charged, by attempt key."""

    submit: Submit = accept
    poll: Poll = finish_poll
    prepare: Prepare = just_prepare
    paid: list[str] = field(default_factory=list)
    callback_urls: list[str] = field(default_factory=list)
    polled: list[str] = field(default_factory=list)
    files: dict[str, Any] = field(default_factory=dict)
    """What its URLs give: bytes, an HTTP status or a ``FetchFailed``; of a list one after the other."""

    @asynccontextmanager
    async def open(self, url: str, *, max_bytes: int, limit_seconds: float) -> Any:
        """Stand in for the guarded fetch."""
        found = self.files.get(url, 404)
        found = found.pop(0) if isinstance(found, list) else found
        if isinstance(found, FetchFailed):
            raise found
        if isinstance(found, int):
            raise FetchFailed(f"answered {found}", status=found)
        yield _Reply(found)


@dataclass
class _Reply:
    data: bytes

    async def chunks(self) -> Any:
        yield self.data


class Puppet(InPerson):
    """An adapter that asks its vendor at every step."""

    vendor: ClassVar[Vendor]

    def __init__(self, options: ProviderOptions, context: Context) -> None:
        self.limit_seconds = options.submit_seconds
        self.models = [
            Model(
                name=f"{context.provider}/m",
                provider=context.provider,
                kinds=frozenset({Kind.EDIT_IMAGE, Kind.MODEL_EDIT}),
                max_prompt_chars=100,
                max_images=2,
                max_reference_images=1,
                mask=MaskUse.OPTIONAL,
                sizes=(AUTO, ANY_PIXELS, ANY_RATIO),
                max_n=4,
                max_image_bytes=10_000,
            )
        ]

    async def prepare(self, job: Job) -> Prepared:
        return await self.vendor.prepare(job)

    async def submit(self, prepared: Prepared, report: Report) -> Accepted | Finished:
        job = cast(Job, prepared.payload)
        self.vendor.paid.append(job.attempt_key)
        self.vendor.callback_urls.append(job.callback_url)
        return await self.vendor.submit(job, report)

    async def poll(self, vendor_task_id: str, report: Report) -> InProgress | Finished | Failure:
        self.vendor.polled.append(vendor_task_id)
        return await self.vendor.poll(vendor_task_id, report)

    def read_callback(self, headers: Any, body: bytes) -> Callback:
        return Callback(vendor_task_id=body.decode())


class Keyed(Puppet):
    """One that takes our key."""

    submit_safety = SubmitSafety.NATIVE_KEY


class Correlated(Puppet):
    """One that calls back."""

    submit_safety = SubmitSafety.CALLBACK_CORRELATED


class Free(Keyed):
    """One that never bills."""

    charge = FREE


class Jealous(Puppet):
    """One that makes default models and edits only those."""

    edits_own_bases_only = True

    def __init__(self, options: ProviderOptions, context: Context) -> None:
        super().__init__(options, context)
        self.models = [replace(each, kinds=frozenset(Kind)) for each in self.models]


ADAPTERS: dict[str, type[Puppet]] = {
    "plain": Puppet,
    "keyed": Keyed,
    "correlated": Correlated,
    "free": Free,
    "jealous": Jealous,
}


class Killed(BaseException):
    """The process was killed here."""


class MortalDatabase(SqliteDatabase):
    """A database whose process can be killed: from then on nothing reaches it. Its disk can be full."""

    dead = False
    full = False

    async def _submit(self, unit: Any, *, patient: bool) -> Any:
        await self._if_alive()
        if self.full:
            raise Refusal(Reason.STORAGE_FULL, "The disk is full.")
        return await super()._submit(unit, patient=patient)

    async def read(self, query: Any, /, *args: Any, **kwargs: Any) -> Any:
        await self._if_alive()
        return await super().read(query, *args, **kwargs)

    async def look_up(self, query: Any, /, *args: Any, **kwargs: Any) -> Any:
        await self._if_alive()
        return await super().look_up(query, *args, **kwargs)

    async def _if_alive(self) -> None:
        if self.dead:
            await asyncio.get_running_loop().create_future()


class InlineWorkers(Workers):
    """Looks into pictures on the spot."""

    async def run(self, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Call ``function``."""
        return function(*args, **kwargs)


class House:
    """Everything that serves. ``restart`` after ``kill`` builds it anew on the same folder."""

    database_class: type[MortalDatabase] = MortalDatabase
    unknown_window = 30 * MINUTE
    version = "1"
    result_grace = MINUTE

    def __init__(
        self,
        folder: Path,
        vendor: Vendor,
        *,
        concurrency: int = 64,
        concurrency_each: int = 50,
        providers: Sequence[str] = tuple(ADAPTERS),
        public_url: str = "",
        **options: Any,
    ) -> None:
        self.folder = folder
        self.images = (
            folder.parent / "images"
        )  # shared by all tests: what a file is called says what it holds
        self.vendor = vendor
        self.concurrency = concurrency
        self.providers: dict[str, type[Puppet]] = {name: ADAPTERS[name] for name in providers}
        self.public_url = public_url
        self.options = {"submit_seconds": 60, "concurrency": concurrency_each, **options}
        self.rename: dict[str, str] = {}
        self.clock = VirtualClock()
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> "House":
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self, *, serve: bool = True) -> None:
        """Open the store and begin to work."""
        self.feed, self.draining = LocalFeed(), Draining()
        self.draining.listen(self.feed.wake_all)
        self.database = self.database_class(  # a crash is no power cut
            self.folder, publisher=self.feed, synchronous="OFF"
        )
        await self.database.open()
        blobs = FileBlobStore(self.images)
        if not self.images.exists():
            await asyncio.to_thread(blobs.prepare)
        self.library = ImageLibrary(blobs, InlineWorkers(), max_bytes=100_000, max_pixels=10_000)
        self.catalog = self._catalog()
        tokens = PageTokens(b"key of the house")
        self.tasks = Tasks(self.database, self.clock, tokens)
        self.watching = Watching(self.database, self.feed, self.tasks, draining=self.draining)
        self.pictures = Pictures(self.database, self.library, self.clock, draining=self.draining)
        self.answers = Answers(self.folder / "answers", self.clock, min_free_bytes=1, version=self.version)
        self.erasing = Erasing(self.database, self.library, erase_answers=self.answers.erase)
        self.callbacks = Callbacks(self.database, self.catalog, self.clock)
        self.creating = Creating(
            database=self.database,
            library=self.library,
            catalog=self.catalog,
            tasks=self.tasks,
            pictures=self.pictures,
            clock=self.clock,
            defaults=Defaults(edit_model="plain/m", model_edit_model="plain/m"),
            refuse_url=lambda url: None if url.startswith("https://") else "is not https",
            draining=self.draining,
        )
        fetch = cast(Any, self.vendor)
        tools = Tools(
            database=self.database,
            feed=self.feed,
            draining=self.draining,
            inputs=Inputs(self.library, fetch, max_bytes=100_000),
            results=Results(self.library_of_results(), fetch, self.clock, max_bytes=100_000),
            answered=Answered(self.answers, self.database),
            clock=self.clock,
            public_url=self.public_url,
            result_grace=self.result_grace,
            unknown_window=self.unknown_window,
            erase_bytes=self.erasing.erase_bytes,
        )
        self.dispatcher = Dispatcher(tools, self.catalog, concurrency=self.concurrency, lease_seconds=30)
        if serve:
            self.serving = asyncio.create_task(self.dispatcher.serve(), name="serve")

    def library_of_results(self) -> ImageLibrary:
        """Where results are kept: with all other pictures."""
        return self.library

    def _catalog(self) -> Catalog:
        providers = []
        for name, adapter in self.providers.items():
            options = ProviderOptions(adapter=name, **self.options)
            context = Context(
                provider=name, clock=self.clock, workers=InlineWorkers(), connect=cast(Any, None)
            )
            made = type(adapter.__name__, (adapter,), {"vendor": self.vendor})(options, context)
            made.models = [replace(each, name=self.rename.get(each.name, each.name)) for each in made.models]
            providers.append(Provider(name=name, adapter=made, options=options))
        return Catalog(providers)

    async def stop(self, drain_seconds: float = 0) -> None:
        """End in order: drain, stop serving, close the store."""
        if not self.database.dead:
            await self.dispatcher.drain(drain_seconds)
        await self.kill()

    async def kill(self) -> None:
        """Die: nothing that is under way writes any more. The folder stays as it is."""
        self.database.dead = True
        work = self.dispatcher.under_way.values()
        for task in (self.serving, *work):
            task.cancel()
        await asyncio.gather(self.serving, *work, self.dispatcher.late.stop(), return_exceptions=True)
        await self.answers.aclose()
        await self.database.close()

    async def restart(self) -> None:
        """Start again on what the killed house left."""
        if not self.database.dead:
            await self.kill()
        await self.start()

    def kill_at(self, point: str, monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
        """Die at the first pass through a failpoint; the event says that it happened."""
        killed = asyncio.Event()

        def failpoint(name: str) -> None:
            if name == point and not killed.is_set():
                self.die(killed)

        for module in (submitting, paying, downloading, dispatcher_module, files, writing):
            monkeypatch.setattr(module, "failpoint", failpoint)
        return killed

    def die(self, killed: asyncio.Event) -> None:
        """Die here and now."""
        self.database.dead = True
        killed.set()
        raise Killed

    # What tests do

    async def create(self, provider: str = "plain", *, tenant: str = TENANT, **fields: Any) -> str:
        """Create a task of one picture; return its id."""
        draft = Draft(
            **{"kind": Kind.EDIT_IMAGE, "prompt": "x", "images": (Content(INPUT),), "model": f"{provider}/m"}
            | fields
        )
        return (await self.creating.create(tenant, draft)).task_id

    async def get(self, task_id: str, tenant: str = TENANT) -> Task:
        """Return a task."""
        return await self.tasks.get(tenant, task_id)

    async def ended(self, task_id: str, tenant: str = TENANT) -> Task:
        """Follow a task to its end."""
        return await self._until(task_id, lambda task: task.status.state.terminal, tenant)

    async def reached(self, task_id: str, stage: Stage | State) -> Task:
        """Follow a task until it stands at ``stage``."""
        return await self._until(task_id, lambda task: stage in (task.status.stage, task.status.state))

    async def _until(self, task_id: str, condition: Callable[[Task], bool], tenant: str = TENANT) -> Task:
        async for item in self.watching.watch(tenant, task_id, 0):
            if not isinstance(item, Heartbeat) and condition(item.task):
                return await self.get(task_id, tenant)
        raise AssertionError(f"ended as {(await self.get(task_id, tenant)).status}")

    async def events_now(self, task_id: str) -> list[Event]:
        """Return the log of a task."""
        events: list[Event] = await self.database.read(events_after, task_id, 0, ALL)
        return events

    async def events(self, task_id: str) -> list[Event]:
        """Return the log of a task at rest, after looking whether it is sound."""
        events = await self.events_now(task_id)
        check(events, await self.database.read(find_task, task_id))
        return events

    async def story(self, task_id: str) -> list[str]:
        """Return the log in short: the state, or the stage within RUNNING, without repetitions."""
        steps = [
            str(event.task.status.stage or event.task.status.state) for event in await self.events(task_id)
        ]
        return [step for step, before in zip(steps, [None, *steps], strict=False) if step != before]


def check(events: Sequence[Event], task: Task) -> None:
    """Hold a task's log against P9, P12 and DESIGN §4."""
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    statuses = [event.task.status for event in events]
    assert statuses[0].state is State.QUEUED
    for before, after in pairwise(statuses):
        assert after.state in TRANSITIONS[before.state]
        assert after.progress_percent >= before.progress_percent
        assert [each.number for each in after.attempts] == list(range(1, len(after.attempts) + 1))
        assert len(before.attempts) <= len(after.attempts)
        assert set(before.warnings) <= set(after.warnings)
        assert (after.stage is None) == (after.state is not State.RUNNING)
        assert (after.billing is None) == (not after.state.terminal)
    last = statuses[-1]
    assert task.seq == len(events)
    assert (task.status.state, task.status.images, task.status.billing) == (
        last.state,
        last.images,
        last.billing,
    )
    assert (last.state is State.SUCCEEDED) == bool(last.images)
    assert (last.state is State.FAILED) == (last.error is not None)
