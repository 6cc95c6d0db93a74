"""The ways to start a server on a disk: in this process, as a process, and as one that is recorded."""

import os
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from imageedit_server.engine.restoring import Said
from imageedit_server.store.database import StoreRefused
from tests.powerloss.workload import Vendor
from tests.servers.config import Table, write_config
from tests.servers.here import serving_here
from tests.servers.preloading import compiled
from tests.servers.processes import NotReady, Server, Servers
from tests.servers.programs import COMMAND, ROOT, serve_arguments

SHIM = Path(__file__).with_name("shim.c")
DATA = "var/data"
"""Where the data is on a disk: not even the folder above it is there when a server starts first."""

Start = Callable[[Path, Vendor], AbstractAsyncContextManager[str]]
"""Starts a server on a disk and yields where it listens. Raises ``StoreRefused``."""


class Configured(Protocol):
    """A vendor that knows how a server is told of it."""

    def tables(self) -> Mapping[str, Table]:
        """Return the configuration of a server that works with it."""
        ...


@dataclass(frozen=True, kw_only=True)
class Command:
    """A program that takes the arguments of ``imageedit-server``."""

    words: Sequence[str] = (str(COMMAND),)
    environment: Mapping[str, str] = field(default_factory=dict)

    def with_environment(self, more: Mapping[str, str]) -> "Command":
        """Return the same program with more variables."""
        return replace(self, environment={**self.environment, **more})


How = Callable[[Path, Path, str], Command]
"""Says how to record in a journal what is done to a disk, by which control build (empty: the whole one)."""


def by_itself(disk: Path, journal: Path, control: str) -> Command:
    """Let the process record what it does: needs no compiler."""
    return _build(control, "--record", str(disk), str(journal))


def preloaded(folder: Path) -> How | None:
    """Compile the shim into ``folder``; None where there is no C compiler.

    The server that it records is the installed program, untouched.
    """
    library = compiled(SHIM, folder)
    if library is None:
        return None

    def record(disk: Path, journal: Path, control: str) -> Command:
        command = _build(control) if control else Command()
        places = {"POWERLOSS_FOLDER": str(disk), "POWERLOSS_JOURNAL": str(journal)}
        return command.with_environment({"LD_PRELOAD": str(library), **places})

    return record


def _build(control: str, *options: str) -> Command:
    lacks = ("--control", control) if control else ()
    words = (sys.executable, "-m", "tests.powerloss.server", *options, *lacks, "--")
    return Command(words=words, environment={"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])})


@asynccontextmanager
async def in_this_process(disk: Path, vendor: Vendor) -> AsyncIterator[str]:
    """Serve with everything that the program has."""
    async with serving_here(_config(disk, vendor), disk / DATA, said=Said(moved=True)) as server:
        yield server.grpc_address


@asynccontextmanager
async def as_process(disk: Path, vendor: Vendor, command: Command | None = None) -> AsyncIterator[str]:
    """Serve with the installed program, or with another one, which is killed in the end."""
    async with process(disk, vendor, command or Command()) as server:
        yield server.grpc


@asynccontextmanager
async def process(disk: Path, vendor: Configured, command: Command) -> AsyncIterator[Server]:
    """Start a program, wait until it serves, and leave nothing of it behind."""
    arguments = [*serve_arguments(_config(disk, vendor), disk / DATA), "--moved"]  # the disk is made anew
    async with Servers(disk.parent) as servers:
        server = await servers.run(*arguments, command=command.words, environment=command.environment)
        try:
            await server.ready()
        except NotReady as error:
            raise StoreRefused(str(error)) from error
        yield server


def _config(disk: Path, vendor: Configured) -> Path:
    return write_config(disk.parent, vendor.tables())
