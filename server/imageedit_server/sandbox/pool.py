"""The worker pool: two processes that look into pictures and edit them (DESIGN §7).

Ours rather than ``concurrent.futures``, whose pool is lost as a whole with one dead process and cannot end a
hung job, and rather than ``multiprocessing``, whose fork server keeps the environment and imports the
server's main module again, and whose answers are pickles.
"""

import asyncio
import logging
import signal
import sys
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

from imageedit_server.core.errors import Reason, Refusal
from imageedit_server.runtime.workers import Overran, WorkerDied, WorkersBroken, owner
from imageedit_server.sandbox.fork_server import ForkServer
from imageedit_server.sandbox.idle_workers import IdleWorkers
from imageedit_server.sandbox.jobs import Packed, packed
from imageedit_server.sandbox.limits import GIB, Allowance
from imageedit_server.sandbox.places import Lane, Places
from imageedit_server.sandbox.results import BadAnswer
from imageedit_server.sandbox.worker import Unsent, Worker
from imageedit_server.telemetry.metrics import WORKERS_LOST

BUILTINS = "builtins"

P = ParamSpec("P")
T = TypeVar("T")
A = TypeVar("A")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Job:
    """A call for a worker; what ``load`` brings is its first argument."""

    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    load: Callable[[], Awaitable[Any]] | None = None

    @property
    def module(self) -> str:
        """What a worker must have imported for it; what is part of the interpreter is one for all."""
        module = getattr(self.function, "__module__", None) or BUILTINS
        return BUILTINS if module in sys.builtin_module_names else module

    async def packed(self, allowance: Allowance) -> Packed:
        """Return the call as it is sent to a worker."""
        args = (await self.load(), *self.args) if self.load else self.args
        call = (allowance, self.function, args, self.kwargs)
        has_files = any(isinstance(arg, Path) for arg in args)
        return await asyncio.to_thread(packed, call) if has_files else packed(call)


INSPECTION = Allowance(cpu_seconds=10, wall_seconds=30, memory_bytes=GIB, content_bytes=0)
EDIT = Allowance(cpu_seconds=60, wall_seconds=180, memory_bytes=2 * GIB)
"""Measured at 50 megapixels: looking at one takes up to 0.9 GiB and 2 s of CPU, editing 1.3 GiB and 12 s."""

RECYCLED_AFTER = 100
MOST_IDLE = 8
"""How many workers wait for their owners' next pictures; each takes some megabytes."""


class WorkerPool:
    """Implements ``runtime.workers.Workers`` with processes that start when first needed. Lives on one loop.

    A call that is killed or outlives its allowance fails alone; its process is replaced at the next call. A
    worker is a fork of a clean process (``fork_server``), deaf to the terminal's signals, confined
    (``confinement``), replaced after ``RECYCLED_AFTER`` jobs, and dies with the server, also when that is
    killed (P18, F17). After one that died, the next are forked from a new process, with new addresses: so
    nobody can try from picture to picture how to take one over.
    """

    def __init__(self, *, size: int = 2, allowance: Allowance = EDIT) -> None:
        self._size = size
        self._allowance = allowance
        self._places = Places(size)
        self._turns = Places(max(size - 1, 1))
        self._modules: set[str] = set()
        self._idle = IdleWorkers(MOST_IDLE, self._dismiss)
        self._thread = ThreadPoolExecutor(1, "workers", initializer=_block_signals)
        self._fork_servers: list[ForkServer] = []  # the thread's own; the last is the one in use
        self._closed = False

    @property
    def idle(self) -> int:
        """How many workers wait for a job."""
        return len(self._idle)

    async def run(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run ``function`` in a worker, within the pool's allowance.

        Raises as the seam says, and on a closed pool a ``Refusal`` (DRAINING), which says nothing about the
        picture. A call that is cancelled is dropped, its worker too when it ran already.
        """
        return cast(T, await self._run(self._allowance, Job(function, args, kwargs)))

    async def run_on(
        self,
        load: Callable[[], Awaitable[A]],
        function: Callable[Concatenate[A, P], T],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Run ``function`` as ``run`` does, on what ``load`` brings when there is a place for the job."""
        return cast(T, await self._run(self._allowance, Job(function, args, kwargs, load)))

    def within(self, allowance: Allowance, lane: Lane = Lane.TASKS) -> "Share":
        """Return the same workers under another allowance, for jobs that wait in ``lane``."""
        return Share(lambda job: self._run(allowance, job, lane))

    def lane(self, allowance: Allowance = EDIT) -> "Share":
        """Return the workers for jobs that may take long: one of a lane at a time.

        The lanes take turns, and all of them together leave one process of the pool free for the rest: who
        waits for an inspection waits for inspections only.
        """
        lane = Places(1)

        async def run(job: Job) -> Any:
            async with lane.hold(Lane.TASKS, owner()), self._turns.hold(Lane.TASKS, owner()):
                return await self._run(allowance, job)

        return Share(run)

    async def aclose(self) -> None:
        """Kill every worker, whatever it does, and wait until they are gone. May be called twice."""
        if not self._closed:
            self._closed = True
            await asyncio.get_running_loop().run_in_executor(self._thread, self._end_all)
            for worker in self._idle.clear():
                worker.close()
        await asyncio.to_thread(self._thread.shutdown)

    async def _run(self, allowance: Allowance, job: Job, lane: Lane = Lane.TASKS) -> Any:
        self._modules.add(job.module)
        async with self._places.hold(lane, owner()):
            with closing(await job.packed(allowance)) as sent:
                return await self._call(job, sent, allowance)

    async def _call(self, job: Job, sent: Packed, allowance: Allowance) -> Any:
        """Have a worker do a job; another one if it did not reach the first, which is no fault of the job."""
        with suppress(Unsent):
            return await self._call_one(job, sent, allowance)
        try:
            return await self._call_one(job, sent, allowance)
        except Unsent as unsent:
            raise WorkersBroken("no worker can be sent a job") from unsent

    async def _call_one(self, job: Job, sent: Packed, allowance: Allowance) -> Any:
        worker = await self._take(owner(), job.module)
        try:
            result, error = await worker.call(sent, job.function, allowance)
        except (EOFError, OSError, BadAnswer) as trouble:
            raise await self._obituary(worker, trouble, allowance) from trouble
        except BaseException:
            self._dismiss(worker)
            raise
        self._give_back(worker)
        if isinstance(error, WorkersBroken):
            _log.error("a worker lacks what a job needs: %r", str(error))
        if error is not None:
            raise error
        return result

    async def _take(self, tenant: str, module: str) -> Worker:
        """Return a worker that is ``tenant``'s, or was nobody's; have another ready for the next one."""
        while (worker := self._idle.take(tenant, module)) is None:
            await self._in_thread(self._hire, tuple(self._modules))
        if not self._idle.ready and not self._closed:
            self._thread.submit(self._hire, tuple(self._modules))
        return worker

    def _give_back(self, worker: Worker) -> None:
        if worker.jobs < RECYCLED_AFTER:
            self._idle.give_back(worker)
        else:
            self._dismiss(worker)

    def _dismiss(self, worker: Worker) -> None:
        """End a worker some time soon."""
        worker.close()
        if not self._closed:
            self._thread.submit(worker.end)

    async def _obituary(self, worker: Worker, trouble: Exception, allowance: Allowance) -> Exception:
        """Make sure that a worker is dead; return what it died of."""
        late = isinstance(trouble, TimeoutError)
        worker.close()
        how = await self._in_thread(worker.end)
        if how == -signal.SIGXCPU:
            error: Exception = Overran("took more CPU time than it may")
        elif late:
            error = Overran(f"took longer than {allowance.wall_seconds:g} s")
        else:
            await self._in_thread(worker.fork_server.retire)
            self._idle.drop_dead()
            error = WorkerDied("was killed")
        WORKERS_LOST.labels("too slow" if isinstance(error, Overran) else "died").inc()
        return error

    async def _in_thread(self, function: Callable[..., T], *args: Any) -> T:
        """Call ``function`` where processes are started and ended. Raises ``Refusal`` on a closed pool."""
        if self._closed:
            raise Refusal(Reason.DRAINING, "The server is shutting down.")
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, *args)

    # In the thread

    def _hire(self, modules: tuple[str, ...]) -> None:
        """Add a worker that is nobody's yet, also when nobody waits for it any more."""
        if self._idle.ready < self._size:
            fork_server = self._usable_fork_server()
            self._idle.add(Worker(fork_server, *fork_server.start(modules), modules))

    def _usable_fork_server(self) -> ForkServer:
        if not (self._fork_servers and self._fork_servers[-1].lives()):
            for old in self._fork_servers:
                old.retire()
            self._fork_servers = [old for old in self._fork_servers if not old.closed]
            self._fork_servers.append(ForkServer())
        return self._fork_servers[-1]

    def _end_all(self) -> None:
        for fork_server in self._fork_servers:
            fork_server.close()


class Share:
    """Implements ``runtime.workers.Workers`` with a pool's workers, on terms of its own."""

    def __init__(self, run: Callable[[Job], Awaitable[Any]]) -> None:
        self._run = run

    async def run(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run ``function`` as ``WorkerPool.run`` does."""
        return cast(T, await self._run(Job(function, args, kwargs)))

    async def run_on(
        self,
        load: Callable[[], Awaitable[A]],
        function: Callable[Concatenate[A, P], T],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Run ``function`` as ``WorkerPool.run_on`` does."""
        return cast(T, await self._run(Job(function, args, kwargs, load)))


def _block_signals() -> None:
    """Block the signals of the terminal and of service managers; what the thread starts inherits this.

    The server drains on them, and needs its workers for that.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
