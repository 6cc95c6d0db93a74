"""The one wiring diagram: the only place that reads settings and names concrete classes.

One exit stack holds everything that must be closed; read backwards, it is the order of the shutdown.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from imageedit_server.access.admission import Admission
from imageedit_server.access.callers import Callers
from imageedit_server.access.certificates import CertificateFiles, Certificates
from imageedit_server.access.keys import Keys, read_keys, summary_of
from imageedit_server.access.rates import RequestRates
from imageedit_server.access.reload import Reloaded, Unusable
from imageedit_server.access.uploads import UploadPlaces
from imageedit_server.access.watches import WatchBudget
from imageedit_server.core.draining import Draining
from imageedit_server.core.errors import Refusal
from imageedit_server.core.request import Kind
from imageedit_server.editing import Callbacks, Creating, Pictures, Tasks, UseCases, Watching
from imageedit_server.editing.creating import Defaults
from imageedit_server.editing.page_tokens import PageTokens
from imageedit_server.engine.dispatcher import Dispatcher
from imageedit_server.engine.inputs import Inputs
from imageedit_server.engine.recorder import Tools
from imageedit_server.engine.results import Results
from imageedit_server.feed.base import Feed
from imageedit_server.feed.local import LocalFeed
from imageedit_server.images.blobs.files import IMAGES_FOLDER, FileBlobStore
from imageedit_server.images.library import ImageLibrary
from imageedit_server.outbound.addresses import parse_allow, refuse_url
from imageedit_server.outbound.client import ApiClient, Trust
from imageedit_server.outbound.fetch import GuardedFetch
from imageedit_server.providers.base import Connect, Context
from imageedit_server.providers.catalog import Catalog, Provider
from imageedit_server.providers.registry import ADAPTERS
from imageedit_server.rpc.server import grpc_door
from imageedit_server.runtime.clock import Clock, SystemClock
from imageedit_server.runtime.files import secret_in
from imageedit_server.sandbox.pool import INSPECTION, WorkerPool
from imageedit_server.settings import (
    AuthSettings,
    LimitsSettings,
    ServerSettings,
    Settings,
    SettingsError,
    TlsSettings,
    parse_address,
)
from imageedit_server.store.archive import Archive
from imageedit_server.store.database import Database
from imageedit_server.store.quotas import Quota
from imageedit_server.store.sqlite.archive import SqliteArchive
from imageedit_server.store.sqlite.database import SqliteDatabase
from imageedit_server.telemetry.health import DiskSpace, Readiness
from imageedit_server.telemetry.loop_lag import measure_loop_lag
from imageedit_server.upkeep.orphans import Orphans
from imageedit_server.upkeep.periodic import DAY_SECONDS, keep_doing
from imageedit_server.upkeep.reporting import count_open, measure_backlog, report
from imageedit_server.upkeep.retention import Retention
from imageedit_server.web.app import http_app
from imageedit_server.web.server import http_door

CALLS_GRACE_SECONDS = 3.0
LET_GO_SECONDS = 1.0
"""With a second for the HTTP door, these two keep the end within ``drain_seconds`` + 5 s (P24)."""
RELOAD_SECONDS = 1.0
"""How soon a new key or certificate is taken up; the end of a revoked key's streams has 60 (P23)."""
PAGE_KEY_NAME = "page-tokens.key"
RESULT_MAX_BYTES = 64 * 1024 * 1024

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Server:
    """A server that serves. ``broken`` is done when it must not go on.

    ``drain`` stops it in order and returns how many tasks are left open, None when that is not known.
    ``draining`` says whether that has begun, ``feed`` who follows what.
    """

    grpc_address: str
    http_address: str
    broken: asyncio.Future[BaseException]
    drain: Callable[[], Coroutine[Any, Any, int | None]]
    use_cases: UseCases
    feed: Feed
    draining: Draining


@asynccontextmanager
async def running(settings: Settings, *, clock: Clock | None = None) -> AsyncIterator[Server]:
    """Build and start everything; stop it when the block ends.

    Raises ``SettingsError``, ``StoreRefused``, ``ModelClash``, ``Unusable``, ``Unsupported`` and
    ``CannotListen`` when it cannot start.
    """
    clock = clock or SystemClock()
    server = settings.server
    async with AsyncExitStack() as stack:
        feed, draining = LocalFeed(), Draining()
        draining.listen(feed.wake_all)
        database: Database = SqliteDatabase(server.data_dir, publisher=feed)
        await database.open()
        stack.push_async_callback(database.close)
        pool = WorkerPool()
        stack.push_async_callback(pool.aclose)
        blobs = FileBlobStore(server.data_dir / IMAGES_FOLDER, clock)
        await asyncio.to_thread(blobs.prepare)
        library, results_library = (
            ImageLibrary(
                blobs,
                pool.within(INSPECTION),
                max_bytes=max_bytes,
                max_pixels=settings.images.max_pixels,
                on_broken=partial(_settle, database.broken),
            )
            for max_bytes in (settings.images.max_bytes, RESULT_MAX_BYTES)
        )
        fetch = GuardedFetch(settings.fetch.allow)
        catalog = _catalog(settings, clock, pool, _connector(stack))
        use_cases = _use_cases(
            settings, database, feed, draining=draining, library=library, catalog=catalog, clock=clock
        )
        dispatcher = Dispatcher(
            Tools(
                database=database,
                feed=feed,
                draining=draining,
                inputs=Inputs(library, fetch, max_bytes=settings.images.max_bytes),
                results=Results(results_library, fetch, clock, max_bytes=RESULT_MAX_BYTES),
                clock=clock,
                public_url=server.public_url.rstrip("/"),
                unknown_window=timedelta(seconds=settings.engine.unknown_window_seconds),
            ),
            catalog,
            concurrency=settings.engine.concurrency,
            lease_seconds=settings.engine.lease_seconds,
        )
        disk = DiskSpace(server.data_dir, settings.store.min_free_bytes)
        readiness = Readiness(
            [draining.trouble, database.trouble, disk.trouble, dispatcher.trouble], [database.alarm]
        )
        feed.listen(report)

        async def measure() -> None:
            await measure_backlog(database, clock.now())

        http = parse_address(server.http_listen)
        http_port = await stack.enter_async_context(
            http_door(http.host, http.port, http_app(readiness.reason, use_cases.callbacks.receive, measure))
        )
        grpc = parse_address(server.listen)
        certificates = certificates_of(settings.tls)
        keys = keys_of(settings.auth)
        _warn_of_useless(settings.auth, keys, certificates)
        _warn_of_plaintext(settings)
        admission = _admission(keys, settings.limits)
        door = await stack.enter_async_context(
            grpc_door(grpc.host, grpc.port, use_cases, admission, certificates)
        )
        engine = asyncio.create_task(dispatcher.serve(), name="engine")
        retention = Retention(database, clock, settings.retention.keep())
        serving = asyncio.create_task(door.ended(), name="gRPC server")
        services = (
            serving,
            engine,
            asyncio.create_task(_look_again(admission.callers, keys, certificates), name="credentials"),
            asyncio.create_task(retention.serve(), name="retention"),
            asyncio.create_task(Orphans(database, blobs, clock).serve(), name="orphan sweep"),
            asyncio.create_task(_look_over(database, clock), name="integrity"),
            asyncio.create_task(readiness.follow(door.health.announce), name="readiness"),
            asyncio.create_task(measure_loop_lag(), name="loop lag"),
        )
        for service in services:
            stack.push_async_callback(cancel, service)
        broken = _first_of(database.broken, *services)

        async def drain() -> int | None:
            await door.health.enter_graceful_shutdown()  # callers are sent elsewhere before they are refused
            draining.begin()
            left = None
            with suppress(TimeoutError, Refusal):  # a store that answers no more must not hold up the end
                async with asyncio.timeout(server.drain_seconds + LET_GO_SECONDS):
                    await dispatcher.drain(server.drain_seconds)
                    left = await count_open(database)
            serving.cancel()
            await door.server.stop(CALLS_GRACE_SECONDS)
            return left

        yield Server(
            f"{grpc.host}:{door.port}", f"{http.host}:{http_port}", broken, drain, use_cases, feed, draining
        )


async def _look_over(database: Database, clock: Clock) -> None:
    await keep_doing(database.look_over, clock, "the check of the database", every_seconds=DAY_SECONDS)


def archive_of(folder: Path) -> Archive:
    """Return the stored data in a data folder, for an operator's look and copies."""
    return SqliteArchive(folder)


def open_catalog(settings: Settings, stack: AsyncExitStack) -> Catalog:
    """Build the providers without a server around them, for as long as ``stack`` lasts."""
    pool = WorkerPool()
    stack.push_async_callback(pool.aclose)
    return _catalog(settings, SystemClock(), pool, _connector(stack))


def _catalog(settings: Settings, clock: Clock, pool: WorkerPool, connect: Connect) -> Catalog:
    providers = []
    for name, options in settings.providers.items():
        context = Context(provider=name, clock=clock, workers=pool.lane(), connect=connect)
        try:
            adapter = ADAPTERS[options.adapter](options, context)
        except ValueError as error:
            raise SettingsError(f"providers.{name}: {error}") from None
        providers.append(Provider(name=name, adapter=adapter, options=options))
    return Catalog(providers)


def _connector(stack: AsyncExitStack) -> Connect:
    trust = Trust()

    def connect(base_url: str, headers: Mapping[str, str]) -> ApiClient:
        client = ApiClient(base_url, headers, trust=trust)
        stack.push_async_callback(client.aclose)
        return client

    return connect


def _use_cases(
    settings: Settings,
    database: Database,
    feed: Feed,
    *,
    draining: Draining,
    library: ImageLibrary,
    catalog: Catalog,
    clock: Clock,
) -> UseCases:
    limits = settings.limits
    quota = Quota(queued_tasks=limits.queued_tasks, stored_bytes=limits.stored_bytes)
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
        defaults=defaults_of(settings.server, catalog),
        refuse_url=partial(refuse_url, allow=parse_allow(settings.fetch.allow)),
        draining=draining,
        quota=quota,
    )
    return UseCases(
        creating=creating,
        tasks=tasks,
        watching=Watching(database, feed, tasks, draining=draining),
        pictures=pictures,
        callbacks=Callbacks(database, catalog, clock),
        catalog=catalog,
    )


def defaults_of(server: ServerSettings, catalog: Catalog) -> Defaults:
    """Find the models for requests that name none. Raises ``SettingsError`` when nobody serves them."""
    return Defaults(
        edit_model=_served("server.default_model", server.default_model, Kind.EDIT_IMAGE, catalog),
        model_edit_model=_served(
            "server.default_model_edit_model", server.default_model_edit_model, Kind.MODEL_EDIT, catalog
        ),
    )


def _served(setting: str, name: str, kind: Kind, catalog: Catalog) -> str:
    offer = catalog.find(name)
    if offer is not None and kind in offer.model.kinds:
        return name
    trouble = (
        f"does not serve {kind} tasks" if offer else f"is served by no provider here{catalog.near(name)}"
    )
    others = ", ".join(model.name for model in catalog.models() if kind in model.kinds)
    remedy = f"set it to one of {others}" if others else "enable a provider that has a model for such tasks"
    raise SettingsError(f"{setting}: {name!r} {trouble}; {remedy}")


def keys_of(auth: AuthSettings) -> Reloaded[Keys] | None:
    """Read the callers' keys, None when callers need none. Raises ``Unusable``."""
    if auth.mode == "none":
        return None
    return Reloaded([auth.keys_file], partial(read_keys, auth.keys_file))


def _warn_of_useless(
    auth: AuthSettings, keys: Reloaded[Keys] | None, certificates: Certificates | None
) -> None:
    """Not refused: the first key may come while it runs, and so may the next certificate."""
    try:
        if keys is not None:
            summary_of(auth.keys_file, keys.value)
        if certificates is not None:
            certificates.valid_until()
    except Unusable as useless:
        _log.warning("%s", useless)


def _admission(keys: Reloaded[Keys] | None, limits: LimitsSettings) -> Admission:
    """Callers are only looked at, on the way of every call, where there is something to look for."""
    asked = keys is not None or limits.requests_per_second
    return Admission(
        callers=Callers(keys, RequestRates(limits.requests_per_second)) if asked else None,
        watches=WatchBudget(per_tenant=limits.watches),
        uploads=UploadPlaces(),
    )


def certificates_of(tls: TlsSettings) -> Certificates | None:
    """Read the server's certificate, None when it speaks plaintext. Raises ``Unusable``."""
    if not tls.cert_file:
        return None
    client_ca = Path(tls.client_ca_file) if tls.client_ca_file else None
    files = CertificateFiles(cert=Path(tls.cert_file), key=Path(tls.key_file), client_ca=client_ca)
    return Certificates(files)


def _warn_of_plaintext(settings: Settings) -> None:
    """Not refused: behind a proxy or in a mesh that speaks TLS, plaintext is what the server is to speak."""
    if not settings.tls.cert_file and not parse_address(settings.server.listen).is_loopback:
        _log.warning(
            "%s can be reached from other machines without TLS: API keys and pictures travel readable for all"
            " on the way; set tls.cert_file and tls.key_file unless something in front of it speaks TLS",
            settings.server.listen,
        )


async def _look_again(
    callers: Callers | None, keys: Reloaded[Keys] | None, certificates: Certificates | None
) -> None:
    """Take up keys and certificates that were changed, and end what was open under a key that is gone."""
    while True:
        await asyncio.sleep(RELOAD_SECONDS)
        if certificates is not None:
            await asyncio.to_thread(certificates.look)
        if keys is not None and await asyncio.to_thread(keys.look) and callers is not None:
            callers.cut_off()


def _first_of(
    broken: asyncio.Future[BaseException], *services: asyncio.Task[None]
) -> asyncio.Future[BaseException]:
    """Done when the store broke or one of the services ended, which none does by itself."""

    def ended(task: asyncio.Task[None]) -> None:
        if not task.cancelled():
            _settle(broken, task.exception() or RuntimeError(f"{task.get_name()} ended"))

    for service in services:
        service.add_done_callback(ended)
    return broken


def _settle(broken: asyncio.Future[BaseException], error: BaseException) -> None:
    if not broken.done():
        broken.set_result(error)


async def cancel(task: asyncio.Task[Any]) -> None:
    """Cancel a task and wait for its end; what it broke off with is logged."""
    task.cancel()
    await asyncio.wait([task])
    if not task.cancelled() and (error := task.exception()):
        _log.error("%s broke off", task.get_name(), exc_info=error)
