"""A real server that a test kills and starts again on the same data, behind doorways that stay."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from tests.servers import processes
from tests.servers.config import Table, write_config
from tests.servers.doorway import Doorway, doorway
from tests.servers.processes import KILLED, NotReady, Servers
from tests.servers.programs import serve_arguments


class Server:
    """``address`` stays, and so does that of the HTTP door, whatever process serves behind them."""

    def __init__(self, folder: Path, servers: Servers, config: Path, grpc: Doorway, http: Doorway) -> None:
        self._servers = servers
        self._config = config
        self._grpc, self._http = grpc, http
        self.address = grpc.url.removeprefix("http://")
        self.data_dir = folder / "data"
        self.log = folder / "server.log"
        self.running: processes.Server | None = None

    async def start(self, failpoint: str = "") -> None:
        """Start a process and wait until it serves; with ``failpoint`` it will kill itself there."""
        arguments = serve_arguments(self._config, self.data_dir)
        self.running = await self._servers.run(*arguments, failpoint=failpoint, log=self.log)
        try:
            await self.running.ready()
        except NotReady as error:
            if not failpoint or error.line:
                raise
            return  # it was there before it could say that it is ready
        self._grpc.target, self._http.target = self.running.grpc, self.running.http

    async def died(self) -> None:
        """Wait until the process was killed."""
        assert self.running is not None
        assert await self.running.ended() == KILLED, self.log.read_text()
        self._grpc.target = self._http.target = ""

    async def kill(self) -> None:
        """Kill the process."""
        assert self.running is not None
        self.running.process.kill()
        await self.died()

    def peak_bytes(self) -> int:
        """Return the most memory that the process has had."""
        assert self.running is not None
        return self.running.memory_bytes("VmHWM")


@asynccontextmanager
async def home(folder: Path, tables: Callable[[str], Mapping[str, Table]]) -> AsyncIterator[Server]:
    """Make a place for a server, which is not started; ``tables`` takes the URL of its HTTP door."""
    async with doorway() as grpc, doorway() as http, Servers(folder, forked=True) as servers:
        yield Server(folder, servers, write_config(folder, tables(http.url)), grpc, http)
