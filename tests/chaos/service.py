"""A whole server in this process, with everything real: store, doors, engine, HTTP to vendors."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from imageedit_client import AsyncClient, Task
from imageedit_server.bootstrap import Server
from imageedit_server.outbound.network import Network
from imageedit_server.providers.base import Context
from imageedit_server.providers.kie.adapter import KieAdapter, KieOptions
from imageedit_server.providers.registry import ADAPTERS
from tests.servers.config import Table, write_config
from tests.servers.doorway import Doorway, doorway
from tests.servers.here import serving_here

PATIENCE_SECONDS = 60.0
STEP_SECONDS = 0.005


class KieAccount(KieAdapter):
    """kie.ai whose models bear their account's name: two providers may not serve one model."""

    def __init__(self, options: KieOptions, context: Context) -> None:
        super().__init__(options, context)
        self.models = [replace(model, name=f"{context.provider}/{model.name}") for model in self.models]


KIE_ACCOUNT = "kie_account"


@dataclass(frozen=True, slots=True)
class Service:
    """A server that serves, and a client of it."""

    running: Server
    client: AsyncClient
    data_dir: Path
    door: Doorway

    @property
    def http_url(self) -> str:
        """Where the HTTP door is."""
        return f"http://{self.running.http_address}"


@asynccontextmanager
async def serving(
    folder: Path, tables: Callable[[Doorway], Mapping[str, Table]] | Mapping[str, Table]
) -> AsyncIterator[Service]:
    """Serve; ``tables`` may need to know the doorway, whose URL is the ``public_url`` of some."""
    ADAPTERS[KIE_ACCOUNT] = KieAccount
    try:
        async with doorway() as door:
            config = write_config(folder, tables(door) if callable(tables) else tables)
            data_dir = folder / "data"
            with _no_accidents():
                async with (
                    serving_here(config, data_dir) as server,
                    AsyncClient(server.grpc_address) as client,
                ):
                    door.target = server.http_address
                    yield Service(server, client, data_dir, door)
    finally:
        del ADAPTERS[KIE_ACCOUNT]


class _Errors(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.seen: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.seen.append(logging.Formatter().format(record))


@contextmanager
def _no_accidents() -> Iterator[None]:
    """Fail for what the server takes for a bug of its own, logged or lost in the loop."""
    loop, log, errors = asyncio.get_running_loop(), logging.getLogger("imageedit_server"), _Errors()
    handler = loop.get_exception_handler()
    loop.set_exception_handler(lambda _, context: errors.seen.append(repr(context)))
    log.addHandler(errors)
    try:
        yield
    finally:
        log.removeHandler(errors)
        loop.set_exception_handler(handler)
    assert not [error for error in errors.seen if EXPECTED_ERROR not in error], errors.seen


EXPECTED_ERROR = "gave one id to two attempts"
"""The one thing that an operator is woken for (F46)."""


async def eventually(holds: Callable[[], object], what: str = "") -> None:
    """Return as soon as ``holds()``."""
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not holds():  # noqa: ASYNC110  vendors tell nobody what they have seen
                await asyncio.sleep(STEP_SECONDS)
    except TimeoutError:
        raise AssertionError(f"did not come true: {what or holds}") from None


async def reach(client: AsyncClient, task_id: str, holds: Callable[[Task], object]) -> Task:
    """Follow a task until ``holds(task)``."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        async for event in client.watch(task_id):
            if holds(event.task):
                return event.task
    raise AssertionError(f"the task ended before: {event.task}")


class Connects:
    """Every place that the server's network was connected to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.places: list[str] = []
        connect = Network.connect

        async def spied(network: Network, address: str, port: int, limit_seconds: float) -> object:
            self.places.append(f"{address}:{port}")
            return await connect(network, address, port, limit_seconds)

        monkeypatch.setattr(Network, "connect", spied)
