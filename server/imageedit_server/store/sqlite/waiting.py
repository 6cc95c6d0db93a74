"""Units that wait for the one writer, and what became of them."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection

from imageedit_server.core.change import Change
from imageedit_server.store.sqlite.errors import for_caller
from imageedit_server.telemetry.metrics import STORE_COMMIT_SECONDS, STORE_GROUP_UNITS, STORE_WAIT_SECONDS


@dataclass(slots=True)
class Waiting:
    """A unit, its caller's future, and what its last run brought."""

    unit: Callable[[Connection], Any]
    future: asyncio.Future[Any]
    patient: bool
    since: float = field(default_factory=time.monotonic)
    result: Any = None
    error: BaseException | None = None
    changes: list[Change] = field(default_factory=list)

    def answer(self) -> None:
        """Tell the caller, unless it went away."""
        if self.future.done():
            return
        if self.error is None:
            self.future.set_result(self.result)
        else:
            self.future.set_exception(for_caller(self.error))


def changes_of(group: Sequence[Waiting]) -> list[Change]:
    """Return what a group changed, in its order."""
    return [change for waiting in group for change in waiting.changes]


def measure(group: Sequence[Waiting], began: float) -> None:
    """Count a group that began at a monotonic time, and how long its first unit had waited by then."""
    if group:
        STORE_WAIT_SECONDS.observe(max(began - group[0].since, 0))
        STORE_COMMIT_SECONDS.observe(time.monotonic() - began)
        STORE_GROUP_UNITS.observe(len(group))
