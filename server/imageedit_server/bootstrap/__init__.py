"""The one wiring diagram: the only place that reads settings and names concrete classes.

``running`` builds from below: storage, the work on it, the doors to that, and what serves by itself. One exit
stack holds everything that must be closed; read backwards, it is the order of the shutdown.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Any

from imageedit_server import __version__
from imageedit_server.answers.archive import AnswerArchive
from imageedit_server.answers.files import ANSWERS_FOLDER, Answers
from imageedit_server.answers.requests import Requests
from imageedit_server.bootstrap.access import Access, look_again, open_access
from imageedit_server.bootstrap.providers import (
    catalog_of,
    connector,
    defaults_of,
    tell_what_is_served,
    trust_of,
)
from imageedit_server.core.draining import Draining
from imageedit_server.core.errors import Refusal
from imageedit_server.editing import Callbacks, Creating, Erasing, Pictures, Tasks, UseCases, Watching
from imageedit_server.editing.page_tokens import PageTokens
from imageedit_server.engine.answered import Answered
from imageedit_server.engine.dispatcher import Dispatcher
from imageedit_server.engine.inputs import Inputs
from imageedit_server.engine.restoring import RestoredCopy, Said
from imageedit_server.engine.results import Results
from imageedit_server.engine.tools import Tools
from imageedit_server.feed.base import Feed
from imageedit_server.feed.local import LocalFeed
from imageedit_server.images.archive import ImageArchive, ImageFiles
from imageedit_server.images.blobs.base import BlobStore
from imageedit_server.images.blobs.files import IMAGES_FOLDER, FileBlobStore
from imageedit_server.images.in_hand import InHand
from imageedit_server.images.library import ImageLibrary
from imageedit_server.outbound.addresses import parse_allow, refuse_url
from imageedit_server.outbound.fetch import GuardedFetch
from imageedit_server.outbound.network import Trust
from imageedit_server.providers.catalog import Catalog
from imageedit_server.rpc.acceptance import Acceptance
from imageedit_server.rpc.server import GrpcDoor, grpc_door
from imageedit_server.runtime import descriptors
from imageedit_server.runtime.clock import Clock, SystemClock
from imageedit_server.runtime.files import secret_in
from imageedit_server.runtime.tasks import cancel, settle, settle_when_one_ends
from imageedit_server.sandbox.limits import KIB
from imageedit_server.sandbox.places import Lane
from imageedit_server.sandbox.pool import INSPECTION, WorkerPool
from imageedit_server.settings import Settings, parse_address
from imageedit_server.store.archive import Archive
from imageedit_server.store.database import Database, StoreRefused
from imageedit_server.store.quotas import Quota
from imageedit_server.store.restoring import COPIED, last_place, newest_task, served_from
from imageedit_server.store.sqlite.archive import SqliteArchive
from imageedit_server.store.sqlite.database import SqliteDatabase
from imageedit_server.telemetry.health import DiskSpace, OpenFiles, Readiness
from imageedit_server.telemetry.loop_lag import measure_loop_lag
from imageedit_server.upkeep.answers import KeptAnswers
from imageedit_server.upkeep.files import watch_files
from imageedit_server.upkeep.memory import give_memory_back
from imageedit_server.upkeep.orphans import Orphans
from imageedit_server.upkeep.periodic import DAY_SECONDS, keep_doing
from imageedit_server.upkeep.reporting import count_open, measure_backlog, report
from imageedit_server.upkeep.retention import Retention
from imageedit_server.web.app import http_app
from imageedit_server.web.server import MAX_CONNECTIONS as HTTP_CONNECTIONS
from imageedit_server.web.server import http_door

CALLS_GRACE_SECONDS = 3.0
LET_GO_SECONDS = 1.0
"""With a second for the HTTP door, these two keep the end within ``drain_seconds`` + 5 s (P24)."""
READ_AGAIN_SECONDS = 1.0
"""How soon an operator's request to read an answer again is seen."""
PAGE_KEY_NAME = "page-tokens.key"
RESULT_MAX_BYTES = 64 * 1024 * 1024

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Server:
    """A server that serves. ``broken`` is done when it must not go on.

    ``drain`` stops it in order and returns how many tasks are left open, None when that is not known.
    ``draining`` says whether that has begun, ``feed`` who follows what, ``database`` what is stored.
    """

    grpc_address: str
    http_address: str
    broken: asyncio.Future[BaseException]
    drain: Callable[[], Coroutine[Any, Any, int | None]]
    use_cases: UseCases
    database: Database
    feed: Feed
    draining: Draining


@asynccontextmanager
async def running(
    settings: Settings, *, clock: Clock | None = None, said: Said | None = None
) -> AsyncIterator[Server]:
    """Build and start everything; stop it when the block ends. ``said`` is the operator's word of the data.

    Raises ``SettingsError``, ``StoreRefused``, ``ModelClash``, ``Unusable``, ``Unsupported`` and
    ``CannotListen`` when it cannot start.
    """
    async with AsyncExitStack() as stack:
        storage = await _open_storage(settings, clock or SystemClock(), stack)
        restored = await _restored(settings, storage.database, said or Said())
        work = _build_work(settings, storage, stack, restored)
        stack.push_async_callback(work.dispatcher.stop)  # also where nobody drained it
        stack.push_async_callback(work.use_cases.erasing.close)
        doors = await _open_doors(settings, storage, work, stack)
        services = _start_services(settings, storage, work, doors)
        for service in services:
            stack.push_async_callback(cancel, service)
        settle_when_one_ends(storage.database.broken, *services)
        tell_what_is_served(settings, work.catalog)
        yield Server(
            grpc_address=doors.grpc_address,
            http_address=doors.http_address,
            broken=storage.database.broken,
            drain=partial(_drain, settings, storage, work, doors),
            use_cases=work.use_cases,
            database=storage.database,
            feed=storage.feed,
            draining=storage.draining,
        )


async def _restored(settings: Settings, database: Database, said: Said) -> RestoredCopy | None:
    """Return what is to be settled where the data are a copy. Raises ``StoreRefused`` where nobody knows."""
    place, known = database.place(), await database.read(last_place)
    if known == COPIED or said.restored or said.resubmit:
        through = await database.read(newest_task)
        return RestoredCopy(place=place, through=through, resubmit=said.resubmit)
    if known not in (None, place) and not said.moved:
        raise StoreRefused(
            f"{settings.server.data_dir} was last served from another place: it is a copy, or it was moved."
            " Start with --restored if it is a copy, so that nothing is paid for twice, or with --moved if it"
            " is the only one"
        )
    if known != place:
        await database.record(served_from, place)
    return None


@dataclass(frozen=True, kw_only=True, slots=True)
class _Storage:
    """What outlives the process, and what goes between those that write, work and watch in it."""

    database: Database
    blobs: BlobStore
    answers: Answers
    feed: Feed
    draining: Draining
    clock: Clock


async def _open_storage(settings: Settings, clock: Clock, stack: AsyncExitStack) -> _Storage:
    data_dir = settings.server.data_dir
    feed, draining = LocalFeed(), Draining()
    draining.listen(feed.wake_all)
    database: Database = SqliteDatabase(data_dir, publisher=feed)
    await database.open()
    stack.push_async_callback(database.close)
    blobs: BlobStore = FileBlobStore(data_dir / IMAGES_FOLDER, clock)
    await asyncio.to_thread(blobs.prepare)
    answers = Answers(
        data_dir / ANSWERS_FOLDER, clock, min_free_bytes=settings.store.min_free_bytes, version=__version__
    )
    stack.push_async_callback(answers.aclose)
    feed.listen(report)
    return _Storage(
        database=database, blobs=blobs, answers=answers, feed=feed, draining=draining, clock=clock
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Work:
    """What callers can ask for, and what moves their tasks forward."""

    use_cases: UseCases
    dispatcher: Dispatcher
    catalog: Catalog


def _build_work(
    settings: Settings, storage: _Storage, stack: AsyncExitStack, restored: RestoredCopy | None
) -> _Work:
    pool = WorkerPool()
    stack.push_async_callback(pool.aclose)
    trust = trust_of(settings.outbound)
    catalog = catalog_of(settings, storage.clock, pool, connector(stack, storage.clock, trust))
    in_hand = InHand()
    library, inputs_library, results_library = (
        ImageLibrary(
            storage.blobs,
            pool.within(replace(INSPECTION, content_bytes=max_bytes + KIB), lane),
            max_bytes=max_bytes,
            max_pixels=settings.images.max_pixels,
            paid=lane is Lane.RESULTS,
            in_hand=in_hand,
            on_broken=partial(settle, storage.database.broken),
        )
        for max_bytes, lane in (
            (settings.images.max_bytes, Lane.UPLOADS),
            (settings.images.max_bytes, Lane.TASKS),
            (RESULT_MAX_BYTES, Lane.RESULTS),
        )
    )
    use_cases = _use_cases(settings, storage, library, catalog)
    return _Work(
        use_cases=use_cases,
        dispatcher=Dispatcher(
            _tools(settings, storage, inputs_library, results_library, use_cases.erasing, trust),
            catalog,
            concurrency=settings.engine.concurrency,
            lease_seconds=settings.engine.lease_seconds,
            restored=restored,
        ),
        catalog=catalog,
    )


def _tools(
    settings: Settings,
    storage: _Storage,
    inputs_library: ImageLibrary,
    results_library: ImageLibrary,
    erasing: Erasing,
    trust: Trust,
) -> Tools:
    fetch, results_fetch = (
        GuardedFetch(settings.fetch.allow, http_as_https=is_paid_for, trust=trust)
        for is_paid_for in (False, True)
    )
    return Tools(
        database=storage.database,
        feed=storage.feed,
        draining=storage.draining,
        inputs=Inputs(inputs_library, fetch, max_bytes=settings.images.max_bytes),
        results=Results(results_library, results_fetch, storage.clock, max_bytes=RESULT_MAX_BYTES),
        answered=Answered(storage.answers, storage.database),
        clock=storage.clock,
        public_url=settings.server.public_url.rstrip("/"),
        result_grace=timedelta(seconds=settings.engine.result_grace_seconds),
        unknown_window=timedelta(seconds=settings.engine.unknown_window_seconds),
        erase_bytes=erasing.erase_bytes,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Doors:
    """Where calls come in, who may, and whether they are wanted."""

    http_address: str
    grpc_address: str
    grpc: GrpcDoor
    access: Access
    readiness: Readiness
    serving: asyncio.Task[None]
    """Ends when the gRPC door takes no calls any more."""
    accepting: Coroutine[Any, Any, None]
    """Looks whether it takes new connections."""


async def _open_doors(settings: Settings, storage: _Storage, work: _Work, stack: AsyncExitStack) -> _Doors:
    acceptance = Acceptance()
    readiness = _readiness(settings, storage, work, acceptance)
    app = http_app(
        readiness.reason,
        work.use_cases.callbacks.receive,
        lambda: measure_backlog(storage.database, storage.clock.now()),
    )
    http, grpc = parse_address(settings.server.http_listen), parse_address(settings.server.listen)
    http_port = await stack.enter_async_context(http_door(http.host, http.port, app))
    access = open_access(settings)
    door = await stack.enter_async_context(
        grpc_door(
            grpc.host,
            grpc.port,
            work.use_cases,
            access.admission,
            access.certificates,
            max_connections=descriptors.most_connections(
                tasks=settings.engine.concurrency, others=HTTP_CONNECTIONS
            ),
            is_broken=storage.database.broken.done,
        )
    )
    return _Doors(
        http_address=f"{http.host}:{http_port}",
        grpc_address=f"{grpc.host}:{door.port}",
        grpc=door,
        access=access,
        readiness=readiness,
        serving=asyncio.create_task(door.ended(), name="gRPC server"),
        accepting=acceptance.follow(grpc.host, door.port, tls=access.certificates is not None),
    )


def _readiness(settings: Settings, storage: _Storage, work: _Work, acceptance: Acceptance) -> Readiness:
    database = storage.database
    disk = DiskSpace(settings.server.data_dir, settings.store.min_free_bytes)
    open_files = OpenFiles()
    return Readiness(
        [
            storage.draining.trouble,
            database.trouble,
            disk.trouble,
            work.dispatcher.left_out.trouble,
            work.dispatcher.trouble,
            open_files.trouble,
            acceptance.trouble,
        ],
        [database.alarm, work.dispatcher.left_out.alarm],
    )


def _start_services(
    settings: Settings, storage: _Storage, work: _Work, doors: _Doors
) -> Sequence[asyncio.Task[None]]:
    database, clock = storage.database, storage.clock
    started = {
        "engine": work.dispatcher.serve(),
        "credentials": look_again(doors.access),
        "retention": Retention(database, clock, settings.retention.keep()).serve(),
        "erasing": keep_doing(work.use_cases.erasing.finish, clock, "the end of what was to be erased"),
        "orphan sweep": Orphans(database, storage.blobs, clock).serve(),
        "answers asked for": _read_again_for_ever(Requests(settings.server.data_dir), work.dispatcher),
        "kept answers": KeptAnswers(database, storage.answers, clock).serve(),
        "integrity": _look_over(database, clock),
        "new connections": doors.accepting,
        "files": watch_files([database.lost, storage.blobs.lost]),
        "readiness": doors.readiness.follow(doors.grpc.health.announce),
        "memory": give_memory_back(),
        "loop lag": measure_loop_lag(),
    }
    return [doors.serving, *(asyncio.create_task(each, name=name) for name, each in started.items())]


async def _drain(settings: Settings, storage: _Storage, work: _Work, doors: _Doors) -> int | None:
    drain_seconds = settings.server.drain_seconds
    await doors.grpc.health.enter_graceful_shutdown()  # callers are sent elsewhere before they are refused
    storage.draining.begin()
    left = None
    with suppress(TimeoutError, Refusal):  # a store that answers no more must not hold up the end
        async with asyncio.timeout(drain_seconds + LET_GO_SECONDS):
            await work.dispatcher.drain(drain_seconds)
            left = await count_open(storage.database)
    doors.serving.cancel()
    await doors.grpc.server.stop(CALLS_GRACE_SECONDS)
    return left


async def _read_again_for_ever(requests: Requests, dispatcher: Dispatcher) -> None:
    """Carry out what operators ask for, within a second."""
    while True:
        for task_id in await asyncio.to_thread(requests.waiting):
            try:
                await dispatcher.read_again(task_id)
            except Exception:  # noqa: BLE001  what cannot be read ends nothing
                _log.exception("an answer cannot be read again: %s", task_id)
            with suppress(OSError):
                requests.done(task_id)
        await asyncio.sleep(READ_AGAIN_SECONDS)


async def read_again_here(settings: Settings, task_id: str) -> int:
    """Read the kept answers of a task, without a server; return how many were recovered.

    Raises ``StoreInUse`` beside one, and as ``running`` does.
    """
    async with AsyncExitStack() as stack:
        storage = await _open_storage(settings, SystemClock(), stack)
        return await _build_work(settings, storage, stack, None).dispatcher.read_again(task_id)


async def _look_over(database: Database, clock: Clock) -> None:
    await keep_doing(database.look_over, clock, "the check of the database", every_seconds=DAY_SECONDS)


def archives_of(settings: Settings) -> tuple[Archive, ImageArchive]:
    """Return what is stored, data and images, for an operator's look and copies."""
    data_dir = settings.server.data_dir
    return SqliteArchive(data_dir), ImageFiles(data_dir)


def answers_of(settings: Settings) -> AnswerArchive:
    """Return the vendors' answers that are stored, for an operator's look and copies."""
    return AnswerArchive(settings.server.data_dir)


def _use_cases(settings: Settings, storage: _Storage, library: ImageLibrary, catalog: Catalog) -> UseCases:
    limits = settings.limits
    quota = Quota(queued_tasks=limits.queued_tasks, stored_bytes=limits.stored_bytes)
    database, clock, draining = storage.database, storage.clock, storage.draining
    tokens = PageTokens(secret_in(settings.server.data_dir / PAGE_KEY_NAME))
    tasks = Tasks(database, clock, tokens)
    pictures = Pictures(database, library, clock, draining=draining, quota=quota)
    creating = Creating(
        database=database,
        library=library,
        catalog=catalog,
        tasks=tasks,
        pictures=pictures,
        clock=clock,
        defaults=defaults_of(settings, catalog),
        refuse_url=partial(refuse_url, allow=parse_allow(settings.fetch.allow)),
        draining=draining,
        quota=quota,
    )
    return UseCases(
        creating=creating,
        tasks=tasks,
        watching=Watching(database, storage.feed, tasks, draining=draining),
        pictures=pictures,
        erasing=Erasing(database, library, erase_answers=storage.answers.erase),
        callbacks=Callbacks(database, catalog, clock),
        catalog=catalog,
    )
