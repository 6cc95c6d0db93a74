"""A loop and a store that take one step at a time, so that a run is the same at every repetition.

Nothing happens in threads: what the house gives to executors, commits included, runs on the spot, and is
heard of one step later. So a world can be dropped between any two awaits, and the same choices always drop it
at the same place.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any, TypeVar

from sqlalchemy import Connection, create_engine

from imageedit_server.store.attempts import begin_attempt
from imageedit_server.store.claims import Lease
from imageedit_server.store.decisions import change
from imageedit_server.store.queries import row_by_id
from imageedit_server.store.sqlite.database import ask
from tests.engine.house import MortalDatabase
from tests.engine.virtual_time import VirtualTimeLoop

T = TypeVar("T")

COMPILED: dict[Any, Any] = {}
DIALECT = create_engine("sqlite://").dialect
DECISIONS = (change, begin_attempt)

MAX_STEPS = 20_000
"""Most steps of one moment: after that many, somebody works without end and without waiting."""


class SteppingLoop(VirtualTimeLoop):
    """Runs only as far as it is told to; time passes only in ``advance``."""

    def run_in_executor(  # type: ignore[override]  # on the spot, whatever it is
        self, executor: Executor | None, func: Any, *args: Any
    ) -> "asyncio.Future[Any]":
        """Call ``func`` now; the caller learns of it one step later, so that there is an await to die at."""
        future = self.create_future()
        try:
            self.call_soon(_settle, future, future.set_result, func(*args))
        except BaseException as error:  # noqa: BLE001  it belongs to whoever awaits
            self.call_soon(_settle, future, future.set_exception, error)
        return future

    async def shutdown_default_executor(self) -> None:
        """There is none."""

    def step(self) -> None:
        """Run what is ready now, up to its next await."""
        self.stop()
        self.run_forever()

    def settle(self) -> None:
        """Run until nothing more happens at this moment."""
        for _ in range(MAX_STEPS):
            if not self._ready and self._next_timer() > self._now:  # type: ignore[attr-defined]
                return
            self.step()
        raise AssertionError("work went on without end and without waiting")

    def advance(self, seconds: float) -> None:
        """Let time pass, timer by timer."""
        end = self._now + seconds
        self.settle()
        while (due := self._next_timer()) <= end:
            self._now = max(self._now, due)
            self.settle()
        self._now = end

    def wait_for_timer(self, most_seconds: float) -> None:
        """Let time pass to the next timer, and stand there before anything happens."""
        self.settle()
        self._now = max(self._now, min(self._next_timer(), self._now + most_seconds))

    def _next_timer(self) -> float:
        scheduled = self._scheduled  # type: ignore[attr-defined]
        return scheduled[0].when() if scheduled else float("inf")


def _settle(future: "asyncio.Future[Any]", settle: Callable[[Any], None], value: Any) -> None:
    if not future.done():
        settle(value)


class SteppingDatabase(MortalDatabase):
    """The database of a house on a stepped loop, and a judge's view of it.

    ``stale`` names every decision that was made without the lease that was in force (P8).
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.stale: list[str] = []

    async def open(self) -> None:
        await super().open()
        _share_statements(self._writer)
        _share_statements(self._loop_reader)

    def _reader(self) -> Connection:
        return _share_statements(super()._reader())

    async def record(self, unit: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Run ``unit``, and look over its shoulder if it decides."""
        return await super().record(self._watched(unit) if unit in DECISIONS else unit, *args, **kwargs)

    def _watched(self, unit: Callable[..., T]) -> Callable[..., T]:
        def decide(connection: Connection, lease: Lease, *args: Any, **kwargs: Any) -> T:
            row = row_by_id(connection, lease.task_id)
            result = unit(connection, lease, *args, **kwargs)
            if row is None or row.lease_token != lease.token:
                self.stale.append(f"{unit.__name__} of {lease}")
            return result

        return decide

    def look(self, query: Callable[..., T], *args: Any) -> T:
        """Read at once, for whoever judges."""
        return ask(self._loop_reader, query, *args)


def _share_statements(connection: Connection) -> Connection:
    """Let every house of a run use the SQL that the first one compiled."""
    connection.dialect = DIALECT
    return connection.execution_options(compiled_cache=COMPILED)
