"""Server processes: started, watched, killed, and never left behind. There is no other way to start one.

``Servers`` starts them, in a session of their own each, and ends what is left of them::

    async with Servers(folder) as servers:
        server = await servers.start(Place(folder=folder))
        ...  # calls to server.grpc
        await server.kill()
"""

import asyncio
import os
import signal
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Self

from tests.servers import measuring
from tests.servers.forks import ForkedProcess, shared_fork_server
from tests.servers.places import Place
from tests.servers.programs import COMMAND, PATIENCE_SECONDS, READY
from tests.servers.programs import environment as variables_of

DOORS = ("grpc", "http")
KILLED = -signal.SIGKILL
COMMANDED = (str(COMMAND),)
"""As an operator starts it."""

HELD = """
import sys
import imageedit_server.cli.app
from imageedit_server import cli
sys.argv[1:] = sys.stdin.readline().split()
cli.main()
"""


class NotReady(AssertionError):
    """A server said something else than that it is ready; ``line`` is empty when it ended before.

    By which ``code`` is said too: who was ended by a signal has said nothing in its log.
    """

    def __init__(self, line: str, log: str, code: int | None = None) -> None:
        super().__init__(f"{line!r}, exit code {code}\n{log}")
        self.line = line
        self.code = code


@dataclass
class Server:
    """A process. Once it is ready, ``grpc`` and ``http`` are where it listens."""

    process: Process | ForkedProcess
    log: Path
    begun: float = field(default_factory=time.monotonic)
    grpc: str = ""
    http: str = ""
    ready_seconds: float = 0.0

    async def ready(self, doors: Sequence[str] = DOORS) -> "Server":
        """Wait for the one line on stdout, which names these doors. Raises ``NotReady``."""
        assert self.process.stdout is not None
        async with asyncio.timeout(PATIENCE_SECONDS):
            line = (await self.process.stdout.readline()).decode()
            code = None if line else await self.process.wait()
        found = dict(word.split("=") for word in line.split()[1:]) if READY.fullmatch(line) else {}
        if tuple(found) != tuple(doors):
            raise NotReady(line, self.stderr(), code)
        self.serves(**found)
        return self

    def serves(self, *, grpc: str = "", http: str = "") -> None:
        """Note that it is ready, and where it listens."""
        self.ready_seconds = time.monotonic() - self.begun
        self.grpc, self.http = grpc, http

    @property
    def address(self) -> str:
        """Where it is called: by gRPC if it has that door."""
        return self.grpc or self.http

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

    async def clear_away(self) -> None:
        """End it with everything that it started and left behind."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        await self.process.wait()
        if self.process.stdout is not None:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self.process.stdout.read()
        if isinstance(self.process, ForkedProcess):
            await self.process.close()
        if self.process.stdin is not None:
            self.process.stdin.close()

    # What it says

    async def rest_of_stdout(self) -> str:
        """Return what it printed after the line."""
        assert self.process.stdout is not None
        return (await self.process.stdout.read()).decode()

    def stderr(self) -> str:
        """Return what it logged so far."""
        return self.log.read_text()

    async def logs(self, text: str) -> None:
        """Wait until it logged ``text``."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            for _ in iter(lambda: text in self.stderr(), True):
                await asyncio.sleep(0.002)

    # What it takes

    def fork_servers(self) -> list[int]:
        """Return the pids of what the workers are forked from: one, and at times an old one beside it."""
        return measuring.children(self.process.pid)

    def workers(self) -> list[int]:
        """Return the pids of the worker processes."""
        return [worker for fork_server in self.fork_servers() for worker in measuring.children(fork_server)]

    def memory_bytes(self, what: str = "VmRSS") -> int:
        """Return its resident memory, or with ``VmHWM`` the most it was since ``forget_peak``."""
        return measuring.memory_bytes(self.process.pid, what)

    def memory_kib(self) -> int:
        """Return its peak resident memory."""
        return self.memory_bytes("VmHWM") // 1024

    def forget_peak(self) -> None:
        """Let ``VmHWM`` begin anew."""
        measuring.forget_peak(self.process.pid)

    def processor_seconds(self) -> float:
        """Return the processor time of all its threads so far."""
        return measuring.processor_seconds(self.process.pid)

    def family(self) -> list[int]:
        """Return the pids of it and its descendants."""
        return [self.process.pid, *measuring.descendants(self.process.pid)]

    def stay_on(self, core: int) -> None:
        """Let it, its descendants, and whatever they start, run on this core alone."""
        for pid in self.family():
            for thread in Path(f"/proc/{pid}/task").iterdir():
                os.sched_setaffinity(int(thread.name), {core})

    def family_bytes(self) -> int:
        """Return the resident memory of it and its descendants together; shared pages count for each."""
        return sum(map(measuring.memory_bytes, self.family()))

    def family_proportional_bytes(self) -> int:
        """Return the resident memory of it and its descendants together; shared pages count once."""
        return sum(map(measuring.proportional_bytes, self.family()))

    def family_seconds(self) -> float:
        """Return the processor time of it and its descendants so far, those that have ended included."""
        return measuring.family_seconds(self.process.pid)


class Servers:
    """Starts servers and remembers them. What one logs is in a file of its own in ``folder``.

    ``forked``: those that are started as an operator would, and not ``cold``, are forks of one process. That
    costs a tenth, and changes nothing that they do.
    """

    def __init__(self, folder: Path, *, forked: bool = False) -> None:
        self._folder = folder
        self._forked = forked
        self._started: list[Server] = []
        self._numbers = count()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.kill_all()

    async def start(
        self,
        place: Place,
        *,
        failpoint: str = "",
        environment: Mapping[str, str] | None = None,
        around: Sequence[str] = (),
        program: Sequence[str] = COMMANDED,
        cold: bool = False,
        **listen: str,
    ) -> Server:
        """Start ``imageedit-server serve`` and wait until it serves.

        ``around`` is a command that runs the one given to it; ``program`` stands in for the command itself.
        """
        command, arguments = [*around, *program], place.arguments(**listen)
        server = await self.run(
            *arguments, command=command, failpoint=failpoint, environment=environment, cold=cold
        )
        return await server.ready()

    async def run(
        self,
        *arguments: str,
        command: Sequence[str] = COMMANDED,
        failpoint: str = "",
        environment: Mapping[str, str] | None = None,
        log: Path | None = None,
        cold: bool = False,
    ) -> Server:
        """Start ``imageedit-server``, or another ``command`` that takes its arguments."""
        if cold or not self._forked or tuple(command) != COMMANDED:
            return await self.spawn(
                [*command, *arguments], failpoint=failpoint, variables=environment, log=log
            )
        log = log or self._next_log()
        inherited = variables_of(failpoint, environment)
        with log.open("ab") as stderr:
            process = await shared_fork_server().fork(arguments, stderr.fileno(), inherited, self._folder)
        self._started.append(Server(process, log))
        return self._started[-1]

    async def standby(self, place: Place, *, failpoint: str = "") -> "Standby":
        """Start the same program, held just before it begins: it imports while another one serves."""
        server = await self.spawn([sys.executable, "-c", HELD], failpoint=failpoint, stdin=PIPE)
        return Standby(server, place)

    async def spawn(
        self,
        command: Sequence[str],
        *,
        failpoint: str = "",
        variables: Mapping[str, str] | None = None,
        stdin: int = DEVNULL,
        log: Path | None = None,
        cwd: Path | None = None,
        tells: bool = True,
    ) -> Server:
        """Start any program; what it inherits is told in ``programs.environment``.

        ``log`` is where stderr is added, and stdout too unless it ``tells`` us something.
        """
        log = log or self._next_log()
        with log.open("ab") as stderr:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=stdin,
                stdout=PIPE if tells else stderr,
                stderr=stderr,
                env=variables_of(failpoint, variables),
                cwd=cwd or self._folder,
                start_new_session=True,
            )
        self._started.append(Server(process, log))
        return self._started[-1]

    def _next_log(self) -> Path:
        return self._folder / f"stderr-{next(self._numbers)}.txt"

    async def kill_all(self) -> None:
        """Leave nothing behind."""
        for server in self._started:
            await server.clear_away()


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
