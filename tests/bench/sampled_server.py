"""``imageedit-server`` with a sampler in it: ``python -m tests.bench.sampled_server serve …``.

Each thread of Python has a timer that counts its processor time. At a tick, what the thread took since the
last one is counted to the place where it is. That is seen in the main thread, between two steps of Python:
time in C is its caller's, and what another thread does while it holds the interpreter is seen where it lets
go. On SIGUSR1 a line of JSON says what was counted since the start, and when it was told.

Nothing is traced, so that what is cheap stays cheap. A tick comes 250 times for a second of processor time,
as often as Linux looks at such timers, and takes some ten microseconds.
"""

import asyncio
import ctypes
import gc
import json
import signal
import sys
import threading
import time
import types
from collections import defaultdict
from collections.abc import Callable, Coroutine, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

from imageedit_server import cli, process
from tests.bench.layers import GRPC, LOOP, REST, THREADS, layer_of, place_of

TICK_NANOSECONDS = 1_000_000
SIGEV_THREAD_ID = 4

Place = tuple[str, str]
"""A layer, and the function in it."""


class Sampler:
    """Counts this process's processor time by place. Lives in the main thread."""

    def __init__(self, jobs: "Jobs") -> None:
        self._jobs = jobs
        self._main = threading.main_thread()
        self._numbers = iter(range(signal.SIGRTMIN + 1, signal.SIGRTMAX))
        self._clocks: dict[threading.Thread, int] = {}
        self._seen: dict[threading.Thread, float] = {}
        self._counted: defaultdict[Place, float] = defaultdict(float)
        self._collecting = 0.0
        self._collected = 0.0
        gc.callbacks.append(self._collect)

    def watch_threads(self) -> None:
        """Begin to count the threads that are new, as long as there are signals."""
        for thread in set(threading.enumerate()) - set(self._clocks):
            number = next(self._numbers, None)
            if number is not None and thread.ident is not None:
                self._clocks[thread] = time.pthread_getcpuclockid(thread.ident)
                self._seen[thread] = 0.0
                signal.signal(number, partial(self._tick, thread))
                # To the main thread, which alone runs handlers: so no other one's calls are interrupted.
                start_timer(self._clocks[thread], number, self._main.native_id or 0)

    def told(self) -> dict[str, Any]:
        """Return what was counted, to this moment."""
        for thread in self._clocks:
            if thread is not self._main and thread.is_alive():
                self._count(thread, None)
        return {
            "monotonic": time.monotonic(),
            "threads": [thread.native_id for thread in self._clocks],
            "collected_seconds": self._collected,
            "counted": [[*place, seconds] for place, seconds in self._counted.items()],
        }

    def _tick(self, thread: threading.Thread, _number: int, frame: types.FrameType | None) -> None:
        if thread is self._main:
            self.watch_threads()
        self._count(thread, frame)

    def _count(self, thread: threading.Thread, frame: types.FrameType | None) -> None:
        try:
            took = time.clock_gettime(self._clocks[thread])
        except OSError:  # it has ended
            return
        place = _in_main(frame) if thread is self._main else self._in_other(thread)
        self._counted[place] += took - self._seen[thread]
        self._seen[thread] = took

    def _in_other(self, thread: threading.Thread) -> Place:
        """Return where it is, or whose work it did, also while it tells the loop of the end."""
        ident = thread.ident or 0
        layer, place = place_of(sys._current_frames().get(ident))
        if layer not in {"", LOOP}:
            return layer, place
        name = thread.name if thread.name in THREADS else thread.name.rpartition("_")[0]
        return self._jobs.done_by.get(ident) or (THREADS.get(name, REST), f"thread {thread.name}")

    def _collect(self, phase: str, _info: object) -> None:
        """Note what the collector of garbage takes; it counts to whoever made one object too many."""
        if phase == "start":
            self._collecting = time.thread_time()
        else:
            self._collected += time.thread_time() - self._collecting


def _in_main(frame: types.FrameType | None) -> Place:
    layer, place = place_of(frame)
    return (GRPC, "its callbacks") if layer == LOOP and _has_called_grpc(frame) else (layer or REST, place)


def _has_called_grpc(frame: types.FrameType | None) -> bool:
    """Whether asyncio's loop called gRPC just now, without a task."""
    if frame is None or frame.f_code.co_qualname != "Handle._run":
        return False
    callback = getattr(frame.f_locals["self"], "_callback", None)
    return "grpc" in str(type(getattr(callback, "__self__", callback)).__module__)


class Jobs(ThreadPoolExecutor):
    """The loop's own threads. Remembers whose job each had last: a tick may be handled just after its end."""

    def __init__(self) -> None:
        super().__init__(thread_name_prefix="asyncio")
        self.done_by: dict[int, Place] = {}

    def submit(self, function: Callable[..., Any], /, *given: Any, **named: Any) -> Future[Any]:
        """Do it in a thread."""
        module, name = _named(function)
        whose = layer_of(module) or place_of(sys._getframe(1))[0] or REST
        return super().submit(self._do, (whose, f"thread, {name}"), function, *given, **named)

    def _do(self, whose: Place, function: Callable[..., Any], /, *given: Any, **named: Any) -> Any:
        self.done_by[threading.get_ident()] = whose
        return function(*given, **named)


def _named(function: Any) -> tuple[str, str]:
    """Return module and name of a job, out of what ``asyncio.to_thread`` and others wrap it in."""
    while isinstance(function, partial):
        function = function.args[0] if isinstance(function.func, types.BuiltinMethodType) else function.func
    module = str(getattr(function, "__module__", ""))
    return module, str(getattr(function, "__qualname__", module))


async def of_cython(coroutine: Any) -> Any:
    """Give a coroutine without a frame one, which it is known by (``layers.CYTHON``)."""
    return await coroutine


def make_task(
    loop: asyncio.AbstractEventLoop,
    coroutine: Coroutine[Any, Any, Any] | Generator[Any, None, Any],
    **given: Any,
) -> asyncio.Task[Any]:
    """Make a task, for the loop."""
    is_ours = type(coroutine) is types.CoroutineType
    return asyncio.Task(coroutine if is_ours else of_cython(coroutine), loop=loop, **given)


class _Event(ctypes.Structure):
    """``struct sigevent`` of Linux."""

    _fields_ = (
        ("value", ctypes.c_void_p),
        ("signal", ctypes.c_int),
        ("notify", ctypes.c_int),
        ("thread", ctypes.c_int),
        ("rest", ctypes.c_byte * 44),
    )


class _Times(ctypes.Structure):
    """``struct itimerspec``."""

    _fields_ = tuple((name, ctypes.c_long) for name in ("every", "every_nanos", "first", "first_nanos"))


def start_timer(clock: int, number: int, thread: int) -> None:
    """Send the thread this signal again and again, as that clock goes on. Python knows no such timer."""
    libc, timer = ctypes.CDLL(None, use_errno=True), ctypes.c_void_p()
    event = _Event(signal=number, notify=SIGEV_THREAD_ID, thread=thread)
    times = _Times(0, TICK_NANOSECONDS, 0, TICK_NANOSECONDS)
    failed = libc.timer_create(clock, ctypes.byref(event), ctypes.byref(timer))
    if failed or libc.timer_settime(timer, 0, ctypes.byref(times), None):
        raise OSError(ctypes.get_errno(), "a timer of processor time")


def main() -> None:
    """Run the command, sampled from the moment that its loop runs."""
    jobs, serve = Jobs(), process.serve
    sampler = Sampler(jobs)

    async def sampled(*given: Any) -> int:
        loop = asyncio.get_running_loop()
        loop.set_task_factory(make_task)
        loop.set_default_executor(jobs)
        loop.add_signal_handler(signal.SIGUSR1, lambda: print(json.dumps(sampler.told()), flush=True))
        sampler.watch_threads()
        return await serve(*given)

    setattr(process, "serve", sampled)  # noqa: B010  mypy takes no new function for an old one
    cli.main()


if __name__ == "__main__":
    main()
