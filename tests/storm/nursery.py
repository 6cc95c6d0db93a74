"""Real server processes: started, killed, and never left behind."""

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

ROOT = Path(__file__).parents[2]
COMMAND = Path(sys.executable).with_name("imageedit-server")
READY = re.compile(r"ready grpc=(\S+) http=(\S+)")
PATIENCE_SECONDS = 60.0
KILLED = -signal.SIGKILL
UNTOLD = 256
"""No exit code: the one who should have told it was gone."""


@dataclass
class Life:
    """A server process from its birth to its death. ``addresses`` is done when it serves, or dead."""

    lines: asyncio.StreamReader
    born: float = field(default_factory=time.monotonic)
    pid: int = 0
    ready_seconds: float = 0.0

    def __post_init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.addresses: asyncio.Future[tuple[str, str] | None] = loop.create_future()
        self.ended: asyncio.Future[int] = loop.create_future()
        self._was_born = asyncio.Event()
        self._listening = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        code = UNTOLD
        while raw := await self.lines.readline():
            line = raw.decode().strip()
            word, _, rest = line.partition(" ")
            if word == "pid":
                self.pid = int(rest)
                self._was_born.set()
            elif word == "ended":
                code = int(rest)
            elif ready := READY.fullmatch(line):
                self.ready_seconds = time.monotonic() - self.born
                self.addresses.set_result((ready[1], ready[2]))
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
            await self._was_born.wait()
        if self.pid:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    async def died(self, patience_seconds: float = PATIENCE_SECONDS) -> int:
        """Wait for the end; return the exit code, negative for a signal."""
        async with asyncio.timeout(patience_seconds):
            return await asyncio.shield(self.ended)


class Nursery:
    """Starts servers: forks, or fresh interpreters. When the block ends, none of the forks lives."""

    async def __aenter__(self) -> Self:
        self._channel, theirs = socket.socketpair()
        with theirs:
            self._forker = subprocess.Popen(  # noqa: ASYNC220  it does not wait
                [sys.executable, "-m", "tests.storm.forker", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                cwd=ROOT,
            )
        return self

    async def __aexit__(self, *_error: object) -> None:
        self._channel.close()
        self._forker.kill()
        await asyncio.to_thread(self._forker.wait)

    async def bear(
        self, arguments: Sequence[str], log: Path, *, failpoint: str = "", bug: str = "", cold: bool = False
    ) -> Life:
        """Start ``imageedit-server`` with these arguments.

        ``cold``: in a fresh interpreter, as an operator would; it cannot have a ``bug``.
        """
        reading, writing = os.pipe()
        with log.open("ab") as err:
            order = {
                "arguments": [str(COMMAND), *arguments],
                "environment": _environment(failpoint),
                "bug": bug,
                "cold": cold,
            }
            socket.send_fds(self._channel, [json.dumps(order).encode()], [writing, err.fileno()])
        os.close(writing)
        lines = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(lines), os.fdopen(reading, "rb")
        )
        return Life(lines)


def _environment(failpoint: str) -> Mapping[str, str]:
    """The environment of this process, without what would be a setting."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("IMAGEEDIT_")}
    return {**ours, "IMAGEEDIT_FAILPOINT": failpoint}
