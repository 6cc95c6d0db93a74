"""A real server process that a test kills and starts again on the same data, behind doorways that stay."""

import asyncio
import os
import re
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from tests.chaos.config import Table, write_config
from tests.chaos.doorway import Doorway, doorway

COMMAND = Path(sys.executable).with_name("imageedit-server")
READY = re.compile(rb"ready grpc=(\S+) http=(\S+)\n")
PATIENCE_SECONDS = 90.0
KILLED = -signal.SIGKILL


class Server:
    """``grpc`` and ``http`` are addresses that stay, whatever process serves behind them."""

    def __init__(self, folder: Path, config: Path, grpc: Doorway, http: Doorway) -> None:
        self._folder = folder
        self._config = config
        self._doors = (grpc, http)
        self._process: Process | None = None
        self.address = grpc.url.removeprefix("http://")
        self.data_dir = folder / "data"
        self.log = folder / "server.log"

    async def start(self, failpoint: str = "") -> None:
        """Start a process and wait until it serves; with ``failpoint`` it will kill itself there."""
        arguments = ["serve", "--config", str(self._config), "--data-dir", str(self.data_dir)]
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                str(COMMAND),
                *arguments,
                *("--listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0"),
                stdout=PIPE,
                stderr=log,
                env={**os.environ, "IMAGEEDIT_FAILPOINT": f"{failpoint}:kill" if failpoint else ""},
            )
        assert self._process.stdout is not None
        async with asyncio.timeout(PATIENCE_SECONDS):
            line = await self._process.stdout.readline()
        if failpoint and not line:  # it was there before it could say that it is ready
            return
        ready = READY.fullmatch(line)
        assert ready, f"{line!r}\n{self.log.read_text()}"
        for door, address in zip(self._doors, ready.groups(), strict=True):
            door.target = address.decode()

    async def died(self) -> None:
        """Wait until the process was killed."""
        assert self._process is not None
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert await self._process.wait() == KILLED, self.log.read_text()
        for door in self._doors:
            door.target = ""

    async def kill(self) -> None:
        """Kill the process."""
        assert self._process is not None
        self._process.kill()
        await self.died()

    def peak_bytes(self) -> int:
        """Return the most memory that the process has had."""
        assert self._process is not None
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024

    async def stop(self) -> None:
        """End what still runs."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()


@asynccontextmanager
async def home(folder: Path, tables: Callable[[str], Mapping[str, Table]]) -> AsyncIterator[Server]:
    """Make a place for a server, which is not started; ``tables`` takes the URL of its HTTP door."""
    async with doorway() as grpc, doorway() as http:
        server = Server(folder, write_config(folder, tables(http.url)), grpc, http)
        try:
            yield server
        finally:
            await server.stop()
