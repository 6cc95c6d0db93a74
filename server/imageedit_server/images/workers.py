"""The worker pool: two processes that look into pictures and edit them (DESIGN §7).

Each call occupies one thread, which hands the job to a process that it has for itself and waits. Ours
rather than ``concurrent.futures``, whose pool is lost as a whole with one dead process and cannot end a hung
job, and rather than ``multiprocessing``, whose spawn imports the server's main module again.
"""

import asyncio
import os
import pickle
import select
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from subprocess import PIPE, Popen
from threading import Lock
from typing import IO, Any, ParamSpec, TypeVar, cast

from imageedit_server.core.errors import Reason, Refusal
from imageedit_server.core.workers import Overran, WorkerDied
from imageedit_server.images.sandbox import GIB, MIB, Allowance
from imageedit_server.images.worker_process import LENGTH_BYTES, READY
from imageedit_server.telemetry.metrics import WORKERS_LOST

P = ParamSpec("P")
T = TypeVar("T")
Job = tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]
_Call = Callable[[Allowance, Job], Any]

INSPECTION = Allowance(cpu_seconds=10, wall_seconds=30, memory_bytes=GIB)
EDIT = Allowance(cpu_seconds=60, wall_seconds=180, memory_bytes=2 * GIB)
"""Measured at 50 megapixels: looking at one takes up to 0.9 GiB and 2 s of CPU, editing 1.3 GiB and 12 s."""

RECYCLED_AFTER = 100

_START_SECONDS = 30.0
_BOOT = "from imageedit_server.images.worker_process import serve; serve()"
# What glibc would otherwise keep after a large picture (measured: 728 MB of 919), or reserve per thread.
_MALLOC = {"MALLOC_MMAP_THRESHOLD_": str(MIB), "MALLOC_ARENA_MAX": "1"}
_INHERITED = ("PATH", "TMPDIR", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PYTHONHOME")


class WorkerPool:
    """Implements ``core.workers.Workers`` with processes that start when first needed.

    A call that is killed or outlives its allowance fails alone; its process is replaced at the next call.
    Both belong to no event loop. A worker is a fresh interpreter without the parent's secrets, locks and main
    module, deaf to the terminal's signals, confined (``sandbox``), replaced after ``RECYCLED_AFTER`` jobs,
    and dies with its parent, also when that is killed (P18, F17).
    """

    def __init__(self, *, size: int = 2, allowance: Allowance = EDIT) -> None:
        self._allowance = allowance
        self._threads = ThreadPoolExecutor(size, "images", initializer=_block_signals)
        self._turns = ThreadPoolExecutor(max(size - 1, 1), "images-turn")
        self._lanes: list[ThreadPoolExecutor] = []
        self._lock = Lock()
        self._workers: set[_Worker] = set()
        self._idle: list[_Worker] = []
        self._closed = False

    async def run(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run ``function`` in a worker, within the pool's allowance.

        Raises what ``function`` raises (as ``RuntimeError`` what cannot be pickled), ``WorkerDied`` and
        ``Overran``; on a closed pool a ``Refusal`` (DRAINING), which says nothing about the picture. A call
        that is cancelled while it waits for a worker is dropped; one that runs is left to end unheard.
        """
        return cast(T, await self._run(self._threads, self._call, self._allowance, (function, args, kwargs)))

    def within(self, allowance: Allowance) -> "Share":
        """Return the same workers under another allowance."""
        return Share(lambda job: self._run(self._threads, self._call, allowance, job))

    def lane(self, allowance: Allowance = EDIT) -> "Share":
        """Return the workers for jobs that may take long: one of a lane at a time.

        The lanes take turns, and all of them together leave one process of the pool free for the rest: who
        waits for an inspection waits for inspections only.
        """
        lane = ThreadPoolExecutor(1, "images-lane")
        self._lanes.append(lane)
        return Share(lambda job: self._run(lane, self._call_in_turn, allowance, job))

    async def aclose(self) -> None:
        """Kill every worker, whatever it does, and wait until they are gone. May be called twice."""
        await asyncio.to_thread(self._close)

    async def _run(self, threads: ThreadPoolExecutor, call: _Call, allowance: Allowance, job: Job) -> Any:
        if self._closed:
            raise _closing()
        loop = asyncio.get_running_loop()
        result, error = await loop.run_in_executor(threads, call, allowance, job)
        if error is not None:
            raise error
        return result

    def _call_in_turn(self, allowance: Allowance, job: Job) -> Any:
        """Wait in a lane's thread, first for the lanes' turn, then among all."""

        def call() -> Any:
            return self._threads.submit(self._call, allowance, job).result()

        return self._turns.submit(call).result()

    def _call(self, allowance: Allowance, job: Job) -> Any:
        message = pickle.dumps((allowance, *job))
        worker = self._take()
        try:
            answer = worker.call(message, allowance.wall_seconds)
        except BaseException as error:
            self._drop(worker)
            if self._closed:
                raise _closing() from None
            WORKERS_LOST.labels("too slow" if isinstance(error, Overran) else "died").inc()
            raise
        if worker.jobs < RECYCLED_AFTER:
            self._idle.append(worker)
        else:
            self._drop(worker)
        return pickle.loads(answer)  # noqa: S301  our own process wrote it

    def _take(self) -> "_Worker":
        """Return an idle worker that lives, or a new one."""
        while self._idle:
            worker = self._idle.pop()
            if worker.lives():
                return worker
            self._drop(worker)
        with self._lock:
            if self._closed:
                raise _closing()
            worker = _Worker()
            self._workers.add(worker)
        return worker

    def _drop(self, worker: "_Worker") -> None:
        worker.stop()
        with self._lock:
            self._workers.discard(worker)

    def _close(self) -> None:
        with self._lock:
            self._closed = True
            workers = list(self._workers)
        for worker in workers:
            worker.kill()
        for threads in (*self._lanes, self._turns, self._threads):
            threads.shutdown()
        for worker in workers:
            self._drop(worker)


class Share:
    """Implements ``core.workers.Workers`` with a pool's workers, on terms of its own."""

    def __init__(self, run: Callable[[Job], Awaitable[Any]]) -> None:
        self._run = run

    async def run(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run ``function`` as ``WorkerPool.run`` does."""
        return cast(T, await self._run((function, args, kwargs)))


class _Worker:
    """One worker process; one thread at a time calls it, any thread may kill it."""

    def __init__(self) -> None:
        self._process = Popen(
            [sys.executable, "-P", "-c", _BOOT], stdin=PIPE, stdout=PIPE, env=_environment(), bufsize=0
        )
        self.jobs = 0
        self._greeted = False
        self._jobs = cast(IO[bytes], self._process.stdin)
        self._answers = cast(IO[bytes], self._process.stdout)
        for pipe in (self._jobs, self._answers):
            os.set_blocking(pipe.fileno(), False)

    def lives(self) -> bool:
        """Say whether the process can take a job."""
        return self._process.poll() is None

    def call(self, job: bytes, wall_seconds: float) -> bytes:
        """Return the answer to ``job``.

        Raises ``WorkerDied``, ``Overran`` and, for a process that does not even start, ``RuntimeError``.
        After any error only ``stop`` may be called.
        """
        if not self._greeted:
            self._greet()
        self.jobs += 1
        with self._killed_after(wall_seconds) as end:
            self._send(job, end)
            return self._receive(end)

    def kill(self) -> None:
        """End the process now, even a stopped one. A call that waits for it fails."""
        self._process.kill()

    def stop(self) -> None:
        """Kill the process and release what belongs to it. May be called twice."""
        self.kill()
        self._process.wait()
        self._answers.close()
        self._jobs.close()

    def _greet(self) -> None:
        try:
            with self._killed_after(_START_SECONDS) as end:
                self._greeted = self._receive(end) == READY
        except (WorkerDied, Overran) as error:
            raise RuntimeError("A worker process did not start.") from error

    @contextmanager
    def _killed_after(self, seconds: float) -> Iterator[float]:
        """Give the moment until which to wait for the process; what fails within, fails for its end."""
        try:
            yield time.monotonic() + seconds
        except TimeoutError as error:
            raise self._obituary(f"took longer than {seconds:g} s") from error
        except (EOFError, OSError) as error:
            raise self._obituary() from error

    def _obituary(self, late: str = "") -> WorkerDied | Overran:
        self.kill()
        if self._process.wait() == -signal.SIGXCPU:
            return Overran("took more CPU time than it may")
        return Overran(late) if late else WorkerDied("was killed")

    def _send(self, message: bytes, end: float) -> None:
        rest = memoryview(len(message).to_bytes(LENGTH_BYTES) + message)
        pipe = self._jobs.fileno()
        while rest:
            _wait(pipe, select.POLLOUT, end)
            rest = rest[os.write(pipe, rest) :]

    def _receive(self, end: float) -> bytes:
        return self._read(int.from_bytes(self._read(LENGTH_BYTES, end)), end)

    def _read(self, count: int, end: float) -> bytes:
        data = bytearray()
        pipe = self._answers.fileno()
        while len(data) < count:
            _wait(pipe, select.POLLIN, end)
            if not (piece := os.read(pipe, min(count - len(data), MIB))):
                raise EOFError
            data += piece
        return bytes(data)


def _wait(pipe: int, event: int, end: float) -> None:
    """Wait until the pipe can be used or is broken; raises ``TimeoutError`` at the moment ``end``."""
    poll = select.poll()
    poll.register(pipe, event)
    if not poll.poll(max(end - time.monotonic(), 0) * 1000):
        raise TimeoutError


def _block_signals() -> None:
    """Block the signals of the terminal and of service managers; workers inherit this from the thread.

    The server drains on them, and needs its workers for that.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})


def _environment() -> dict[str, str]:
    """Return what an interpreter needs to find the same modules, and none of the server's secrets."""
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    return inherited | _MALLOC | {"PYTHONPATH": os.pathsep.join(sys.path)}


def _closing() -> Refusal:
    return Refusal(Reason.DRAINING, "The server is shutting down.")
