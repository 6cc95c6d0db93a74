"""Real server processes: started, watched, killed, and never left behind."""

import asyncio
import os
import re
import signal
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

COMMAND = Path(sys.executable).with_name("imageedit-server")
READY = re.compile(r"ready grpc=(?P<grpc>\S+:[1-9][0-9]*) http=(?P<http>\S+:[1-9][0-9]*)\n")
PATIENCE_SECONDS = 90.0

HELD = """
import sys
from imageedit_server import cli
sys.argv[1:] = sys.stdin.readline().split()
cli.main()
"""

CONFIG = """
[server]
default_model = "scripted/ok"
default_model_edit_model = "scripted/ok"

[engine]
lease_seconds = 3600

[providers.scripted]
adapter = "scripted"
seconds = {seconds}
steps = {steps}
poll_seconds = [0.05, 0.05, 0.05]
"""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a server lives: its data and its configuration stay when it dies."""

    folder: Path
    seconds: float = 0.2
    steps: int = 4

    @property
    def data_dir(self) -> Path:
        """Its data."""
        return self.folder / "data"

    def config(self) -> Path:
        """Write the file and return it."""
        path = self.folder / "config.toml"
        path.write_text(CONFIG.format(seconds=self.seconds, steps=self.steps))
        return path

    def arguments(self, listen: str = "127.0.0.1:0", http_listen: str = "127.0.0.1:0") -> list[str]:
        """The arguments of ``imageedit-server``."""
        return [
            *("serve", "--config", str(self.config()), "--data-dir", str(self.data_dir)),
            *("--listen", listen, "--http-listen", http_listen),
        ]


@dataclass
class Server:
    """A process; ``grpc`` and ``http`` are where it listens, once it is ready."""

    process: Process
    stderr_file: Path
    started: float = field(default_factory=time.monotonic)
    grpc: str = ""
    http: str = ""

    async def ready(self) -> "Server":
        """Wait for the one line on stdout."""
        assert self.process.stdout is not None
        async with asyncio.timeout(PATIENCE_SECONDS):
            line = (await self.process.stdout.readline()).decode()
        match = READY.fullmatch(line)
        assert match, f"{line!r} {self.stderr()}"
        self.grpc, self.http = match["grpc"], match["http"]
        return self

    async def ended(self, within: float = PATIENCE_SECONDS) -> int:
        """Wait for the end; return the exit code, negative for a signal."""
        async with asyncio.timeout(within):
            return await self.process.wait()

    async def kill(self) -> None:
        """Kill it as a power cut would, and wait until it is gone."""
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    async def rest_of_stdout(self) -> str:
        """Return what it printed after the line."""
        assert self.process.stdout is not None
        return (await self.process.stdout.read()).decode()

    def fork_servers(self) -> list[int]:
        """Return the pids of what the workers are forked from: one, and at times an old one beside it."""
        return _children(self.process.pid)

    def workers(self) -> list[int]:
        """Return the pids of the worker processes."""
        return [worker for fork_server in self.fork_servers() for worker in _children(fork_server)]

    def stderr(self) -> str:
        """Return what it logged so far."""
        return self.stderr_file.read_text()

    async def logs(self, text: str) -> None:
        """Wait until it logged ``text``."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            for _ in iter(lambda: text in self.stderr(), True):
                await asyncio.sleep(0.002)

    def memory_kib(self) -> int:
        """Return its peak resident memory."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.findall(r"VmHWM:\s+([0-9]+) kB", status)[0])


class Servers:
    """Starts servers and remembers them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._started: list[Server] = []
        self._numbers = count()

    async def start(
        self,
        place: Place,
        *,
        failpoint: str = "",
        environment: Mapping[str, str] | None = None,
        around: Sequence[str] = (),
        program: Sequence[str] = (str(COMMAND),),
        **listen: str,
    ) -> Server:
        """Start ``imageedit-server serve`` and wait until it serves.

        ``around`` is a command that runs the one given to it; ``program`` stands in for the command itself.
        """
        command = [*around, *program, *place.arguments(**listen)]
        server = await self._spawn(command, _environment(failpoint, environment or {}))
        return await server.ready()

    async def run(
        self,
        *arguments: str,
        command: Sequence[str] = (str(COMMAND),),
        failpoint: str = "",
        environment: Mapping[str, str] | None = None,
    ) -> Server:
        """Start ``imageedit-server``, or another ``command`` that takes its arguments."""
        return await self._spawn([*command, *arguments], _environment(failpoint, environment or {}))

    async def standby(self, place: Place, *, failpoint: str = "") -> "Standby":
        """Start the same program, held just before it begins: it imports while another one serves."""
        environment = _environment(failpoint, {})
        server = await self._spawn([sys.executable, "-c", HELD], environment, stdin=PIPE)
        return Standby(server, place)

    async def _spawn(
        self, command: list[str], environment: Mapping[str, str], stdin: int = DEVNULL
    ) -> Server:
        stderr_file = self._folder / f"stderr-{next(self._numbers)}.txt"
        with stderr_file.open("wb") as stderr:
            process = await asyncio.create_subprocess_exec(
                *command, stdin=stdin, stdout=PIPE, stderr=stderr, env=environment, cwd=self._folder
            )
        server = Server(process, stderr_file)
        self._started.append(server)
        return server

    async def kill_all(self) -> None:
        """Leave nothing behind."""
        for server in self._started:
            await server.kill()
            if server.process.stdin is not None:
                server.process.stdin.close()


@dataclass(frozen=True)
class Standby:
    """A process that waits for the word to begin."""

    server: Server
    place: Place

    async def begin(self, listen: str) -> Server:
        """Serve there; return when it does."""
        assert self.server.process.stdin is not None
        self.server.process.stdin.write(" ".join(self.place.arguments(listen)).encode() + b"\n")
        return await self.server.ready()


def _environment(failpoint: str, more: Mapping[str, str]) -> dict[str, str]:
    """The environment of this process, without what is a setting, ours to set or slows each start."""
    left_out = ("IMAGEEDIT_", "GRPC_VERBOSITY", "PYTHONDONTWRITEBYTECODE")
    ours = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
    armed = {"IMAGEEDIT_FAILPOINT": f"{failpoint}:kill"} if failpoint else {}
    return {**ours, **armed, **more}


def _children(pid: int) -> list[int]:
    threads = Path(f"/proc/{pid}/task").iterdir()
    return [int(child) for thread in threads for child in (thread / "children").read_text().split()]
