"""Servers that are forks of one process: a tenth of the cost of a start, where hundreds are killed.

Only where a server comes from differs from ``processes``: what it is called with, inherits and says is the
same.
"""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from tests.servers.processes import READY
from tests.servers.programs import COMMAND, PATIENCE_SECONDS, ROOT, environment

UNTOLD = 256
"""No exit code: the one who should have told it was gone."""


@dataclass
class ForkedServer:
    """A server process from its start to its end. ``addresses`` is done when it serves, or is dead."""

    lines: asyncio.StreamReader
    pipe: asyncio.ReadTransport
    begun: float = field(default_factory=time.monotonic)
    pid: int = 0
    ready_seconds: float = 0.0

    def __post_init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.addresses: asyncio.Future[tuple[str, str] | None] = loop.create_future()
        self.ended: asyncio.Future[int] = loop.create_future()
        self._has_pid = asyncio.Event()
        self._listening = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        code = UNTOLD
        while raw := await self.lines.readline():
            line = raw.decode()
            word, _, rest = line.strip().partition(" ")
            if word == "pid":
                self.pid = int(rest)
                self._has_pid.set()
            elif word == "ended":
                code = int(rest)
            elif READY.fullmatch(line):
                self.ready_seconds = time.monotonic() - self.begun
                doors = dict(each.split("=") for each in rest.split())
                self.addresses.set_result((doors["grpc"], doors["http"]))
        self.pid = 0
        if not self.addresses.done():
            self.addresses.set_result(None)
        self.ended.set_result(code)

    async def ready(self) -> tuple[str, str] | None:
        """Return where it serves, by gRPC and by HTTP; None when it died before."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await asyncio.shield(self.addresses)

    async def send(self, number: signal.Signals) -> None:
        """Send it a signal, if it lives."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self._has_pid.wait()
        if self.pid:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    async def died(self, patience_seconds: float = PATIENCE_SECONDS) -> int:
        """Wait for the end; return the exit code, negative for a signal."""
        async with asyncio.timeout(patience_seconds):
            return await asyncio.shield(self.ended)

    async def clear_away(self) -> None:
        """End it, if it lives, and close what it was heard through."""
        if not self.ended.done():
            await self.send(signal.SIGKILL)
            await self.died()
        self.pipe.close()


class ForkedServers:
    """Starts servers: forks, or fresh interpreters. When the block ends, none of them lives.

    ``bugs`` is a module whose ``plant`` is called with the name of a bug before a fork with one serves.
    """

    def __init__(self, bugs: str = "") -> None:
        self._bugs = bugs
        self._started: list[ForkedServer] = []

    async def __aenter__(self) -> Self:
        self._channel, theirs = socket.socketpair()
        with theirs:
            self._fork_server = subprocess.Popen(  # noqa: ASYNC220  it does not wait
                [sys.executable, "-m", "tests.servers.fork_server", str(theirs.fileno()), self._bugs],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                cwd=ROOT,
            )
        return self

    async def __aexit__(self, *_error: object) -> None:
        for server in self._started:
            await server.clear_away()
        await asyncio.sleep(0)  # a pipe is closed in the loop's next turn
        self._channel.close()
        self._fork_server.kill()
        await asyncio.to_thread(self._fork_server.wait)

    async def start(
        self, arguments: Sequence[str], log: Path, *, failpoint: str = "", bug: str = "", cold: bool = False
    ) -> ForkedServer:
        """Start ``imageedit-server`` with these arguments.

        ``cold``: in a fresh interpreter, as an operator would; it cannot have a ``bug``.
        """
        reading, writing = os.pipe()
        with log.open("ab") as err:
            order = {
                "arguments": [str(COMMAND), *arguments],
                "environment": environment(failpoint),
                "bug": bug,
                "cold": cold,
            }
            socket.send_fds(self._channel, [json.dumps(order).encode()], [writing, err.fileno()])
        os.close(writing)
        lines = asyncio.StreamReader()
        pipe, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(lines), os.fdopen(reading, "rb")
        )
        self._started.append(ForkedServer(lines, pipe))
        return self._started[-1]
