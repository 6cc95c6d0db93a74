"""Servers that are forks of one process: a tenth of the cost of a start, where hundreds are killed.

Only where a server comes from differs from a fresh interpreter: what it is called with, inherits and says is
the same.
"""

import asyncio
import atexit
import json
import os
import signal
import socket
import subprocess
import sys
import time
from asyncio import StreamReader
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Self

from tests.servers.programs import COMMAND, PATIENCE_SECONDS, READY, ROOT, environment

UNTOLD = 256
"""No exit code: the one who should have told it was gone."""


class ForkServer:
    """The process that is forked. ``bugs`` is a module whose ``plant`` gets a bug's name before a fork.

    ``preload`` is a library that it has below Python, and so has every fork; what they start has it not.
    """

    def __init__(self, bugs: str = "", preload: Path | None = None) -> None:
        self._channel, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.servers.fork_server", str(theirs.fileno()), bugs],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                cwd=ROOT,
                env=environment(more={"LD_PRELOAD": str(preload)} if preload else {}),
            )

    async def fork(
        self,
        arguments: Sequence[str],
        stderr: int,
        variables: Mapping[str, str],
        folder: Path,
        *,
        module: str = "",
        bug: str = "",
        cold: bool = False,
    ) -> "ForkedProcess":
        """Start ``imageedit-server`` with these arguments in ``folder``; ``variables`` are all it inherits.

        ``module`` is run in its place, as ``python -m`` would. ``cold``: in a fresh interpreter, as an
        operator would; it can have neither a ``module`` nor a ``bug``.
        """
        order = {
            "arguments": [str(COMMAND), *arguments],
            "environment": dict(variables),
            "folder": str(folder),
            "module": module,
            "bug": bug,
            "cold": cold,
        }
        (out, their_out), (told, their_told) = os.pipe(), os.pipe()
        try:
            socket.send_fds(self._channel, [json.dumps(order).encode()], [their_out, stderr, their_told])
        finally:
            os.close(their_out)
            os.close(their_told)
        stdout, out_pipe = await _reader(out)
        telling, told_pipe = await _reader(told)
        process = ForkedProcess(stdout, telling, (out_pipe, told_pipe))
        await process.begun()
        return process

    def close(self) -> None:
        """End it, and with it what was forked of it."""
        self._channel.close()
        self._process.kill()
        self._process.wait()


@cache
def shared_fork_server(bugs: str = "") -> ForkServer:
    """Return the one that all tests of this process share; ``bugs`` as for ``ForkServer``."""
    fork_server = ForkServer(bugs)
    atexit.register(fork_server.close)
    return fork_server


async def _reader(descriptor: int) -> tuple[StreamReader, asyncio.ReadTransport]:
    reader = StreamReader()
    pipe, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(descriptor, "rb")
    )
    return reader, pipe


class ForkedProcess:
    """A fork, with what tests use of ``asyncio.subprocess.Process``."""

    stdin = None

    def __init__(
        self, stdout: StreamReader, telling: StreamReader, pipes: Sequence[asyncio.ReadTransport]
    ) -> None:
        self.stdout = stdout
        self.pid = 0
        self.returncode: int | None = None
        self._telling = telling
        self._pipes = pipes
        self._ending: asyncio.Task[int] | None = None

    async def begun(self) -> None:
        """Wait until it has a pid."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            self.pid = int(await self._telling.readline())
        self._ending = asyncio.create_task(self._end())

    async def wait(self) -> int:
        """Wait for the end; return the exit code, negative for a signal."""
        assert self._ending is not None
        return await asyncio.shield(self._ending)

    def send_signal(self, number: int) -> None:
        """Send it a signal, if it lives."""
        if self.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)

    async def close(self) -> None:
        """Close what it was heard through, when it has ended."""
        for pipe in self._pipes:
            pipe.close()
        await asyncio.sleep(0)  # a pipe is closed in the loop's next turn

    async def _end(self) -> int:
        line = await self._telling.readline()
        self.returncode = int(line) if line else UNTOLD
        return self.returncode


@dataclass
class ForkedServer:
    """A server process from its start to its end. ``addresses`` is done when it serves, or is dead."""

    process: ForkedProcess
    begun: float = field(default_factory=time.monotonic)
    ready_seconds: float = 0.0

    def __post_init__(self) -> None:
        self.addresses: asyncio.Future[tuple[str, str] | None] = asyncio.get_running_loop().create_future()
        self._listening = asyncio.create_task(self._listen())

    @property
    def pid(self) -> int:
        """Its id, 0 when it is gone."""
        return self.process.pid if self.process.returncode is None else 0

    async def _listen(self) -> None:
        while line := (await self.process.stdout.readline()).decode():
            if READY.fullmatch(line):
                self.ready_seconds = time.monotonic() - self.begun
                doors = dict(each.split("=") for each in line.split()[1:])
                self.addresses.set_result((doors["grpc"], doors["http"]))
        if not self.addresses.done():
            self.addresses.set_result(None)

    async def ready(self) -> tuple[str, str] | None:
        """Return where it serves, by gRPC and by HTTP; None when it died before."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await asyncio.shield(self.addresses)

    async def send(self, number: signal.Signals) -> None:
        """Send it a signal, if it lives."""
        self.process.send_signal(number)

    async def died(self, patience_seconds: float = PATIENCE_SECONDS) -> int:
        """Wait for the end; return the exit code, negative for a signal."""
        async with asyncio.timeout(patience_seconds):
            code = await self.process.wait()
            await self._listening
        return code

    async def clear_away(self) -> None:
        """End it, if it lives, and close what it was heard through."""
        self.process.kill()
        await self.died()
        await self.process.close()


class ForkedServers:
    """Starts servers of a fork server of their own. When the block ends, none of them lives.

    ``bugs`` and ``preload`` as for ``ForkServer``.
    """

    def __init__(self, bugs: str = "", preload: Path | None = None) -> None:
        self._bugs = bugs
        self._preload = preload
        self._started: list[ForkedServer] = []

    async def __aenter__(self) -> Self:
        self._fork_server = ForkServer(self._bugs, self._preload)
        return self

    async def __aexit__(self, *_error: object) -> None:
        for server in self._started:
            await server.clear_away()
        await asyncio.to_thread(self._fork_server.close)

    async def start(
        self, arguments: Sequence[str], log: Path, *, failpoint: str = "", bug: str = "", cold: bool = False
    ) -> ForkedServer:
        """Start ``imageedit-server`` with these arguments; ``bug`` and ``cold`` as for ``ForkServer``."""
        with log.open("ab") as err:
            process = await self._fork_server.fork(
                arguments, err.fileno(), environment(failpoint), log.parent, bug=bug, cold=cold
            )
        self._started.append(ForkedServer(process))
        return self._started[-1]
