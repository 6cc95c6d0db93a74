"""The processes that are measured: started, asked for their memory and processor time, never left behind."""

import asyncio
import os
import signal
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 120.0
MIB = 1024 * 1024


@dataclass(frozen=True)
class Served:
    """A server process that is ready at ``address``, ``start_seconds`` after it was begun."""

    process: Process
    address: str
    start_seconds: float

    def memory_bytes(self, what: str = "VmRSS") -> int:
        """Return its resident memory, or with ``VmHWM`` the most it was since ``forget_peak``."""
        return _memory_bytes(self.process.pid, what)

    def forget_peak(self) -> None:
        """Let ``VmHWM`` begin anew."""
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def processor_seconds(self) -> float:
        """Return the processor time of all its threads so far."""
        clock = ~self.process.pid << 3 | 2  # clock_getcpuclockid(3), which Python does not have
        return time.clock_gettime(clock)

    def family_bytes(self) -> int:
        """Return the resident memory of it and its descendants together; shared pages count for each."""
        return self.memory_bytes() + sum(
            _memory_bytes(pid, "VmRSS") for pid in _descendants(self.process.pid)
        )


@asynccontextmanager
async def running(
    command: Sequence[str],
    log: Path,
    *,
    silent: bool = False,
    environment: Mapping[str, str] = MappingProxyType({}),
) -> AsyncIterator[Process]:
    """Run a program; its stderr, and if ``silent`` its stdout, goes to ``log``. Nothing of it is left."""
    with log.open("ab") as stderr:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=DEVNULL,
            stdout=stderr if silent else PIPE,
            stderr=stderr,
            cwd=ROOT,
            env={**_environment(), **environment},
            start_new_session=True,
        )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


@asynccontextmanager
async def serving(command: Sequence[str], log: Path) -> AsyncIterator[Served]:
    """Run a server of ours, which prints ``ready WHAT=HOST:PORT …``."""
    started = time.perf_counter()
    async with running(command, log) as process:
        assert process.stdout is not None
        async with asyncio.timeout(PATIENCE_SECONDS):
            line = (await process.stdout.readline()).decode()
        if not line.startswith("ready "):
            raise failed(command, log)
        address = line.split()[1].partition("=")[2]
        yield Served(process, address, time.perf_counter() - started)


async def run_to_end(command: Sequence[str], log: Path) -> str:
    """Run a program to its end; return what it printed. Raises ``RuntimeError`` when it failed."""
    async with running(command, log) as process:
        output, _ = await process.communicate()
    if process.returncode:
        raise failed(command, log)
    return output.decode()


def failed(command: Sequence[str], log: Path) -> RuntimeError:
    """Return the error of a program that did not do what it should, with what it said."""
    return RuntimeError(f"{' '.join(command)} failed:\n{log.read_text()[-4000:]}")


def module(name: str, *arguments: str, python: Path | str = sys.executable) -> list[str]:
    """The command that runs a module of this folder."""
    return [str(python), "-m", f"tests.bench.{name}", *arguments]


def _memory_bytes(pid: int, what: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{what}:"))


def _environment() -> dict[str, str]:
    """This environment, without what would be a setting or make each start compile anew."""
    left_out = ("IMAGEEDIT_", "PYTHONDONTWRITEBYTECODE")
    return {name: value for name, value in os.environ.items() if not name.startswith(left_out)}


def _descendants(pid: int) -> Iterator[int]:
    for thread in Path(f"/proc/{pid}/task").iterdir():
        for child in map(int, (thread / "children").read_text().split()):
            yield child
            yield from _descendants(child)
