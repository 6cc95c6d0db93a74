"""The programs that are measured: those of this folder, those of an installed server, and LiteLLM's."""

import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from tests.servers import programs
from tests.servers.processes import NotReady, Server, Servers
from tests.servers.programs import ROOT

MIB = 1024 * 1024


@asynccontextmanager
async def serving(
    command: Sequence[str], log: Path, *, doors: Sequence[str] = ("grpc", "http"), crashes: int = 0
) -> AsyncIterator[Server]:
    """Run a server of ours, which says where its doors are when it is ready.

    As often as ``crashes`` says it is begun again when it crashed before it was: grpcio 1.85.1 does that to
    plain servers of its own, now and then, in a thread of its own (``event_engine``).
    """
    async with Servers(log.parent) as servers:
        yield await _begun(servers, command, log, doors, crashes)


async def _begun(
    servers: Servers, command: Sequence[str], log: Path, doors: Sequence[str], crashes: int
) -> Server:
    server = await servers.spawn(command, log=log, cwd=ROOT)
    try:
        return await server.ready(doors)
    except NotReady as error:
        if crashes and error.code == -signal.SIGSEGV:
            return await _begun(servers, command, log, doors, crashes - 1)
        raise failed(command, server.stderr()) from error


@asynccontextmanager
async def silent(command: Sequence[str], log: Path, environment: Mapping[str, str]) -> AsyncIterator[Server]:
    """Run a server that does not say when it is ready; whatever it prints goes to ``log``."""
    async with Servers(log.parent) as servers:
        yield await servers.spawn(command, variables=environment, log=log, cwd=ROOT, tells=False)


async def run_to_end(command: Sequence[str]) -> str:
    """Run a program to its end; return what it printed. Raises ``RuntimeError`` when it failed."""
    inherited = programs.environment()
    ran = await programs.run_to_end(*command, cwd=ROOT, variables=inherited, patience_seconds=None)
    if ran.code:
        raise failed(command, ran.err)
    return ran.out


def failed(command: Sequence[str], said: str) -> RuntimeError:
    """Return the error of a program that did not do what it should, with what it said."""
    return RuntimeError(f"{' '.join(command)} failed:\n{said[-4000:]}")


def module(name: str, *arguments: str, python: Path | str = sys.executable) -> list[str]:
    """The command that runs a module of this folder."""
    return [str(python), "-m", f"tests.bench.{name}", *arguments]
