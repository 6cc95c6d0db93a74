"""A server that hears nobody any more ends, to be started again; one that hears again goes on (P25)."""

import asyncio
import errno
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from imageedit_client import AsyncClient
from tests.faults.control import Call, Control, Fault
from tests.faults.loops import SHIM
from tests.servers.forks import ForkedServer, ForkedServers
from tests.servers.preloading import compiled, compiler
from tests.servers.programs import PATIENCE_SECONDS, serve_arguments

pytestmark = pytest.mark.skipif(
    compiler() is None or sys.platform != "linux", reason="there is nothing to build the shim with"
)

FOR_EVER = (errno.EIO, errno.ENFILE)
"""gRPC gives up at these, also if they come once."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A server in a process of its own, and what arms its shim."""

    server: ForkedServer
    control: Control
    log: Path

    async def answers(self) -> None:
        """Connect anew and ask it something."""
        addresses = await self.server.ready()
        assert addresses
        async with AsyncClient(addresses[0]) as client:
            await client.list_models()


@asynccontextmanager
async def serving(folder: Path, servers: ForkedServers) -> AsyncIterator[Heard]:
    log = folder / "server.log"
    with Control(folder / "control") as control:
        server = await servers.start(serve_arguments(None, folder / "data"), log, bug=str(control.path))
        heard = Heard(server, control, log)
        await heard.answers()
        yield heard


async def test_a_server_that_hears_nobody_ends_and_one_that_hears_again_does_not(tmp_path: Path) -> None:
    """Real servers: two errors of accept after which gRPC gives up, and one that passes."""
    library = compiled(SHIM, tmp_path)
    async with (
        asyncio.timeout(PATIENCE_SECONDS),
        ForkedServers("tests.faults.hearing", library) as servers,
        AsyncExitStack() as stack,
    ):
        *deaf, short = [
            await stack.enter_async_context(serving(folder, servers)) for folder in _folders(tmp_path)
        ]
        await asyncio.gather(
            *(_ends(heard, error) for heard, error in zip(deaf, FOR_EVER, strict=True)),
            _goes_on(short),
        )


def _folders(within: Path) -> list[Path]:
    folders = [within / str(number) for number in range(len(FOR_EVER) + 1)]
    for folder in folders:
        folder.mkdir()
    return folders


async def _ends(heard: Heard, error: int) -> None:
    heard.control.arm(Fault(Call.ACCEPT, 1, error))
    assert await heard.server.died() == 1
    assert "gRPC takes no new connections any more" in heard.log.read_text()


async def _goes_on(heard: Heard) -> None:
    heard.control.arm(Fault(Call.ACCEPT, 1, errno.EMFILE))
    await heard.answers()
    assert heard.control.disarm().failed
    assert heard.server.pid
