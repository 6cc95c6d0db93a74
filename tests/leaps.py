"""A limit that no slow machine is late for: half a minute, and over as soon as a test says so."""

import asyncio
from collections.abc import Callable
from contextvars import Context
from typing import TypeVarTuple

import uvloop

from imageedit_server.process import loop_factory

LIMIT = 30.0
Ts = TypeVarTuple("Ts")


def leap(seconds: float = LIMIT) -> None:
    """Put the running loop's clock ahead: what is due until then is due at once."""
    loop = asyncio.get_running_loop()
    if isinstance(loop, LeapingLoop):
        loop.leap(seconds)
        return
    now = loop.time
    setattr(loop, "time", lambda: now() + seconds)  # noqa: B010  a method, which mypy would not have replaced


async def for_ever() -> None:
    """Wait for nothing."""
    await asyncio.Event().wait()


class LeapingLoop(uvloop.Loop):
    """uvloop's, which asks nobody what time it is: here it is told whose time has come."""

    def __init__(self) -> None:
        self._ahead = 0.0
        self._timers: dict[int, tuple[_Timer, asyncio.TimerHandle]] = {}

    def time(self) -> float:
        """Return the seconds since some moment, with those of the leaps."""
        return float(super().time()) + self._ahead

    def leap(self, seconds: float) -> None:
        """Let so many seconds be over."""
        self._ahead += seconds
        for timer, inner in [*self._timers.values()]:
            if timer.when() <= self.time():
                inner.cancel()
                self.call_soon(self._run_timer, timer)

    def call_later(
        self, delay: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        timer = _Timer(when, callback, args, self, context)
        inner = super().call_later(max(when - self.time(), 0), self._run_timer, timer)
        self._timers[id(timer)] = timer, inner
        return timer

    def _run_timer(self, timer: "_Timer") -> None:
        self._timers.pop(id(timer), None)
        if not timer.cancelled():
            timer.run()

    def _timer_handle_cancelled(self, timer: asyncio.TimerHandle) -> None:
        if known := self._timers.pop(id(timer), None):
            known[1].cancel()


class _Timer(asyncio.TimerHandle):
    def run(self) -> None:
        """Call back."""
        self._run()


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run every test on the loop that a server would have, with a clock that can leap."""
    factory = loop_factory()
    return {"the server's": LeapingLoop if factory is uvloop.new_event_loop else factory}
