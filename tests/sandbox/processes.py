"""The workers of a process's pools, seen from outside: they open nothing, so they tell nothing by files."""

import asyncio
import os
import signal
from collections.abc import Awaitable
from pathlib import Path
from typing import NamedTuple

from imageedit_server.runtime.workers import Workers

STOPS = "import os, signal; os.kill(os.getpid(), signal.SIGSTOP)"
"""A job that stands still, where all can see it, until it is sent on."""
DEADLINE_SECONDS = 90


class Process(NamedTuple):
    """What the kernel says of a process; ``state`` is its letter, T for one that was stopped."""

    pid: int
    state: str
    parent: int


def workers_of(server: int) -> list[Process]:
    """Return the workers of a process that has pools: they are forked by its children."""
    processes = {process.pid: process for process in _all()}
    parents = {pid for pid, process in processes.items() if process.parent == server}
    return [process for process in processes.values() if process.parent in parents]


async def hang(workers: Workers) -> tuple[asyncio.Task[None], int]:
    """Start a job that never ends of itself; return it and the pid of its process."""
    before = set(_stopped())
    job = asyncio.create_task(workers.run(exec, STOPS))
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not (new := set(_stopped()) - before):  # noqa: ASYNC110  nobody tells
            await asyncio.sleep(0.005)
    return job, new.pop()


async def send_on(pid: int, job: Awaitable[None]) -> None:
    """Let a job that hangs end, which is a worker's of ours."""
    assert pid in _stopped()
    os.kill(pid, signal.SIGCONT)
    await job


async def gone(pid: int) -> None:
    """Wait until a process has ended, also one that nobody asked yet how, with a deadline."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        while any(process.pid == pid and process.state != "Z" for process in _all()):  # noqa: ASYNC110  nobody tells
            await asyncio.sleep(0.005)


def _stopped() -> list[int]:
    return [process.pid for process in workers_of(os.getpid()) if process.state == "T"]


def _all() -> list[Process]:
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = path.read_text().rpartition(")")[2].split()[:2]
        except OSError:  # it ended meanwhile
            continue
        found.append(Process(int(path.parent.name), state, int(parent)))
    return found
