"""The seam to a database. The functions of this room run on every one that keeps these obligations.

What a database runs are units: small functions of a ``Connection``. A unit

- runs as if alone: nothing that others do meanwhile shows in it,
- may be run more than once before it is committed, each time with the same arguments, so it uses none of
  them up,
- reads no clock of its own: the time is one of its arguments,
- has no effect but on its connection and on ``CHANGES``, which is empty whenever it begins,
- keeps those who decide about a task apart: it locks the task before it reads it (``Dialect.lock_task``).
"""

import asyncio
from collections.abc import Callable
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from sqlalchemy import Connection

CHANGES = "changes"
"""Key of ``Connection.info``: the list of what the running unit changed."""

MOST_RUNS = 5
"""How often a unit is run before its caller is told that the store cannot keep up."""

P = ParamSpec("P")
T = TypeVar("T")


class StoreRefused(Exception):
    """The data cannot be served; the message is the whole sentence for the operator."""


class StoreInUse(StoreRefused):
    """Another process serves the data."""


class RunAgain(Exception):
    """A unit found that what it had read is so no longer. What it wrote is undone, and it is run anew.

    Never reaches a caller. A database whose engine tells it the same by an error of its own does the same.
    """


class Database(Protocol):
    """A transactional store of tasks, made with a ``Publisher`` that it hands every change to.

    Must announce changes before their commit and publish them after it, on the loop, in the order of the
    commits; a change that was undone is never published.
    """

    broken: asyncio.Future[BaseException]
    """Done when the data can no longer be trusted; the process must end."""

    async def open(self) -> None:
        """Get ready to serve, whatever schema the data has. Raises ``StoreRefused``.

        Must leave data that it refuses as they are, and hold on to nothing then.
        """
        ...

    async def close(self) -> None:
        """Make durable what was asked for, then let go of everything."""
        ...

    def place(self) -> int:
        """Return a number, not 0, by which a copy of the data is told from them: the same at every start.

        Known once it is open.
        """
        ...

    async def recover(self) -> None:
        """Let go of the leases of every owner that is known to be dead; others run out by themselves (P7).

        Must leave alone what a server that lives works on. May be refused like any ``record``.
        """
        ...

    async def look_over(self) -> None:
        """Look for damage that no reader met; ``broken`` is done where there is some (F23).

        Must not hold up what is asked for meanwhile, and must end soon when it is cancelled.
        """
        ...

    def lost(self) -> str:
        """Return which of its files is gone or replaced since ``open``, empty for none (F28).

        Called in a thread; blocks for as long as the disk does. From then on, and once ``broken`` is done
        because of files lost elsewhere, ``write`` and all that reads must refuse as DRAINING.
        """
        ...

    def trouble(self) -> str:
        """Return why nothing can be stored now, empty when it can. Must find out alone when that passed."""
        ...

    def alarm(self) -> str:
        """Return what an operator should look at although everything is served, empty for nothing."""
        ...

    async def write(
        self, unit: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run ``unit`` in a transaction and return its result once it is durable (P1).

        Must raise what ``unit`` raises, after undoing what it wrote; but for ``RunAgain``, after which it is
        run anew, up to ``MOST_RUNS`` times. Must refuse with STORE_BUSY when it cannot keep up, with
        STORAGE_FULL when there is no room. When the caller is cancelled the unit is committed or not, never
        half (P30).
        """
        ...

    async def record(
        self, unit: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Like ``write``, for facts and decisions that must not be dropped: not refused because others wait.

        What did not succeed in ``MOST_RUNS`` runs is refused as STORE_BUSY all the same; ask again.
        """
        ...

    async def read(
        self, query: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run ``query`` where it cannot write. Must return only what is durable, and all that is (P1)."""
        ...

    async def scrub(self) -> None:
        """Return when nothing on disk holds any more what was deleted before.

        Must overwrite what units delete, wait for whoever still reads older data, and go on to its end when
        it is asked again after a crash. Raises ``Refusal``.
        """
        ...

    async def look_up(
        self, query: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Like ``read``, for what a key leads to: a few rows, which may be read without leaving the loop."""
        ...
