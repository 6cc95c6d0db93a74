"""The seam to a database. The functions of this room run on every one that keeps these obligations."""

import asyncio
from collections.abc import Callable
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from sqlalchemy import Connection

CHANGES = "changes"
"""Key of ``Connection.info``: the list of what the running unit changed."""

P = ParamSpec("P")
T = TypeVar("T")


class Database(Protocol):
    """A transactional store of tasks, made with a ``Publisher`` that it hands every change to.

    Must announce changes before their commit and publish them after it, on the loop, in the order of the
    commits; a change that was undone is never published.
    """

    broken: asyncio.Future[BaseException]
    """Done when the data can no longer be trusted; the process must end."""

    def trouble(self) -> str:
        """Return why nothing can be stored now, empty when it can. Must find out alone when that passed."""
        ...

    async def write(
        self, unit: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run ``unit`` in a transaction and return its result once it is durable (P1).

        Must raise what ``unit`` raises, after undoing what it wrote. Must refuse with STORE_BUSY when it
        cannot keep up, with STORAGE_FULL when there is no room. When the caller is cancelled the unit is
        committed or not, never half (P30).
        """
        ...

    async def record(
        self, unit: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Like ``write``, but never refuses as busy: for facts and decisions that must not be dropped."""
        ...

    async def read(
        self, query: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run ``query`` where it cannot write. Must return only what is durable, and all that is (P1)."""
        ...

    async def look_up(
        self, query: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Like ``read``, for what a key leads to: a few rows, which may be read without leaving the loop."""
        ...
