"""An event loop whose time passes only when nothing else can happen: hours of a task's life in no time.

Work in threads (the store's writer, readers, files) is waited for in earnest; while there is any, time stands
still. So every timeout, poll and deadline comes in its order, and no test sleeps.
"""

import asyncio
import selectors
from collections.abc import Mapping
from concurrent.futures import Executor
from datetime import UTC, datetime, timedelta
from typing import Any

EPOCH = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
PATIENCE_SECONDS = 90.0


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Knows of work in threads by ``run_in_executor``."""

    def __init__(self) -> None:
        self._now = 0.0
        self._in_executors = 0
        super().__init__(_Selector(self))

    def time(self) -> float:
        """Return the virtual seconds since the loop was made."""
        return self._now

    def pass_time(self, seconds: float) -> None:
        """Let time pass, at least to the next timer."""
        due = self._scheduled[0].when() if self._scheduled else 0.0  # type: ignore[attr-defined]
        self._now = max(self._now + seconds, due)

    def is_busy_outside(self) -> bool:
        """Whether a thread will call back."""
        return self._in_executors > 0

    def run_in_executor(  # type: ignore[override]  # counts, whatever it is
        self, executor: Executor | None, func: Any, *args: Any
    ) -> "asyncio.Future[Any]":
        """Count what runs in threads."""
        self._in_executors += 1
        future = super().run_in_executor(executor, func, *args)
        future.add_done_callback(self._came_back)
        return future

    async def shutdown_default_executor(self) -> None:
        """Wait for its threads."""
        self._in_executors += 1
        await super().shutdown_default_executor()
        self._in_executors -= 1

    def _came_back(self, _: object) -> None:
        self._in_executors -= 1


class _Selector(selectors.BaseSelector):
    """Waits for threads, and otherwise lets time pass instead of waiting."""

    def __init__(self, loop: VirtualTimeLoop) -> None:
        self._loop = loop
        self._real = selectors.DefaultSelector()

    def select(self, timeout: float | None = None) -> Any:
        events = self._real.select(0)
        if events or timeout == 0:
            return events
        if self._loop.is_busy_outside():
            return self._real.select(PATIENCE_SECONDS)
        if timeout is None:
            raise RuntimeError("nothing can happen any more: everybody waits for somebody else")
        self._loop.pass_time(timeout)
        return []

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._real.unregister(fileobj)

    def close(self) -> None:
        self._real.close()

    def get_key(self, fileobj: Any) -> selectors.SelectorKey:
        return self._real.get_key(fileobj)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._real.get_map()


class VirtualClock:
    """The clock of the running loop. ``step`` is what an operator or NTP did to the wall clock (F33)."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.step = timedelta()

    def now(self) -> datetime:
        """Return the wall time."""
        return EPOCH + timedelta(seconds=self._loop.time()) + self.step

    async def sleep(self, seconds: float) -> None:
        """Sleep in virtual time."""
        await asyncio.sleep(max(seconds, 0))
