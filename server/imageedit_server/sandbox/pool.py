"""The worker pool: two processes that look into pictures and edit them (DESIGN §7).

Ours rather than ``concurrent.futures``, whose pool is lost as a whole with one dead process and cannot end a
hung job, and rather than ``multiprocessing``, whose fork server keeps the environment and imports the
server's main module again, and whose answers are pickles.
"""

import asyncio
import signal
import socket
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

from imageedit_server.core.errors import Reason, Refusal
from imageedit_server.runtime.workers import Overran, WorkerDied
from imageedit_server.sandbox.confinement import GIB, KIB, Allowance
from imageedit_server.sandbox.fork_server import ForkServer
from imageedit_server.sandbox.jobs import packed
from imageedit_server.sandbox.places import Lane, Places
from imageedit_server.sandbox.results import BadAnswer, lengths_of, read_answer
from imageedit_server.sandbox.worker_process import HEADER
from imageedit_server.telemetry.metrics import WORKERS_LOST

P = ParamSpec("P")
T = TypeVar("T")
A = TypeVar("A")


@dataclass(frozen=True, slots=True)
class Job:
    """A call for a worker; what ``load`` brings is its first argument."""

    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    load: Callable[[], Awaitable[Any]] | None = None

    async def pieces(self, allowance: Allowance) -> list[bytes]:
        """Return the call as the worker reads it, piece by piece."""
        args = (await self.load(), *self.args) if self.load else self.args
        return packed((allowance, self.function, args, self.kwargs))


INSPECTION = Allowance(cpu_seconds=10, wall_seconds=30, memory_bytes=GIB, content_bytes=0)
EDIT = Allowance(cpu_seconds=60, wall_seconds=180, memory_bytes=2 * GIB)
"""Measured at 50 megapixels: looking at one takes up to 0.9 GiB and 2 s of CPU, editing 1.3 GiB and 12 s."""

RECYCLED_AFTER = 100

_LEAST_BYTES, _MOST_BYTES = 4 * KIB, 256 * KIB


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
        self._turns = asyncio.Semaphore(max(size - 1, 1))
        self._modules: set[str] = set()
        self._idle: list[_Worker] = []
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

    def within(self, allowance: Allowance, lane: Lane = Lane.OTHERS) -> "Share":
        """Return the same workers under another allowance, for jobs that wait in ``lane``."""
        return Share(lambda job: self._run(allowance, job, lane))

    def lane(self, allowance: Allowance = EDIT) -> "Share":
        """Return the workers for jobs that may take long: one of a lane at a time.

        The lanes take turns, and all of them together leave one process of the pool free for the rest: who
        waits for an inspection waits for inspections only.
        """
        lane = asyncio.Semaphore(1)

        async def run(job: Job) -> Any:
            async with lane, self._turns:
                return await self._run(allowance, job)

        return Share(run)

    async def aclose(self) -> None:
        """Kill every worker, whatever it does, and wait until they are gone. May be called twice."""
        if not self._closed:
            self._closed = True
            await asyncio.get_running_loop().run_in_executor(self._thread, self._end_all)
            for worker in self._idle:
                worker.close()
        await asyncio.to_thread(self._thread.shutdown)

    async def _run(self, allowance: Allowance, job: Job, lane: Lane = Lane.OTHERS) -> Any:
        if module := getattr(job.function, "__module__", None):
            self._modules.add(module)
        async with self._places.hold(lane):
            pieces = await job.pieces(allowance)
            worker = await self._take()
            try:
                result, error = await worker.call(pieces, job.function, allowance)
            except (EOFError, OSError, BadAnswer) as trouble:
                raise await self._obituary(worker, trouble, allowance) from trouble
            except BaseException:
                self._dismiss(worker)
                raise
            self._give_back(worker)
        if error is not None:
            raise error
        return result

    async def _take(self) -> "_Worker":
        """Return an idle worker that lives, or a new one."""
        while True:
            while self._idle:
                worker = self._idle.pop()
                if worker.lives():
                    return worker
                self._dismiss(worker)
            await self._in_thread(self._hire, tuple(self._modules))

    def _give_back(self, worker: "_Worker") -> None:
        if worker.jobs < RECYCLED_AFTER:
            self._idle.append(worker)
        else:
            self._dismiss(worker)

    def _dismiss(self, worker: "_Worker") -> None:
        """End a worker some time soon."""
        worker.close()
        if not self._closed:
            self._thread.submit(worker.end)

    async def _obituary(self, worker: "_Worker", trouble: Exception, allowance: Allowance) -> Exception:
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
        """Add an idle worker, also when nobody waits for it any more."""
        if len(self._idle) < self._size:
            fork_server = self._usable_fork_server()
            self._idle.append(_Worker(fork_server, *fork_server.start(modules)))

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


class _Worker:
    """One worker process, with one call at a time."""

    def __init__(self, fork_server: ForkServer, pid: int, jobs: socket.socket) -> None:
        self.fork_server = fork_server
        self.jobs = 0
        self._pid = pid
        self._socket = jobs

    def lives(self) -> bool:
        """Say whether it can take a job: it waits, and what forked it may still be forked from."""
        if self.fork_server.retired:
            return False
        with suppress(ConnectionResetError):
            try:
                self._socket.recv(1, socket.MSG_PEEK)
            except BlockingIOError:
                return True
        return False  # it is gone, or says something unasked

    async def call(
        self, job: Sequence[bytes], function: Callable[..., Any], allowance: Allowance
    ) -> tuple[Any, Exception | None]:
        """Return the result of ``job``, or its error.

        Raises ``TimeoutError``, ``OSError``, ``EOFError`` and ``BadAnswer``; then, and when cancelled, the
        worker is of no more use.
        """
        self.jobs += 1
        answer = bytearray()
        async with asyncio.timeout(allowance.wall_seconds):
            for piece in job:
                await asyncio.get_running_loop().sock_sendall(self._socket, piece)
            await self._receive(answer, HEADER.size)
            words, content = lengths_of(answer, allowance.content_bytes)
            await self._receive(answer, HEADER.size + words + content)
        if len(answer) > HEADER.size + words + content:
            raise BadAnswer("A worker said more than it announced.")
        parts = memoryview(answer)[HEADER.size :]
        return read_answer(function, parts[:words], parts[words:])

    async def _receive(self, data: bytearray, count: int) -> None:
        """Add to ``data`` until it has ``count`` bytes. Most answers come in one piece."""
        loop = asyncio.get_running_loop()
        while (missing := count - len(data)) > 0:
            piece = await loop.sock_recv(self._socket, min(max(missing, _LEAST_BYTES), _MOST_BYTES))
            if not piece:
                raise EOFError
            data += piece

    def end(self) -> int:
        """Kill the process, unless it is dead; return how it ended. For the pool's thread."""
        return self.fork_server.end(self._pid)

    def close(self) -> None:
        """Let go of the process."""
        self._socket.close()


def _block_signals() -> None:
    """Block the signals of the terminal and of service managers; what the thread starts inherits this.

    The server drains on them, and needs its workers for that.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
