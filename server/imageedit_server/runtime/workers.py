"""The seam to the worker processes: picture code runs there, never on the event loop."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Concatenate, ParamSpec, Protocol, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
A = TypeVar("A")

_OWNER: ContextVar[str] = ContextVar("owner", default="")


@contextmanager
def on_behalf_of(tenant: str) -> Iterator[None]:
    """Say whose pictures are worked on within the block, also by tasks that it starts.

    A worker process serves one tenant; what is nobody's is as of one more.
    """
    before = _OWNER.set(tenant)
    try:
        yield
    finally:
        _OWNER.reset(before)


def owner() -> str:
    """Return whose pictures are worked on; nothing for nobody's."""
    return _OWNER.get()


class Workers(Protocol):
    """Runs picture code in another process."""

    async def run(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what ``function`` returns.

        ``function`` and its arguments must be picklable, and its module must import at its top what it uses:
        a worker opens no file. Of a path among the arguments it is given the bytes. The result must be what
        the annotation says, made of plain values, bytes, tuples, enums of strings and dataclasses of these.
        What is much, a picture as text too, is returned as bytes: all else together may take 256 KiB.
        Raises the ``JobRefused``
        of ``function``, ``JobFailed`` for its other errors, ``MemoryError`` when it needed more memory than
        it may, ``Overran`` when it took longer, ``WorkerDied`` when its process was killed, after which the
        next call gets a new one, and ``WorkersBroken``.
        """
        ...

    async def run_on(
        self,
        load: Callable[[], Awaitable[A]],
        function: Callable[Concatenate[A, P], T],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Like ``run``, with what ``load`` brings as the first argument; raises what ``load`` raises, too.

        It is loaded when it is the job's turn, so that pictures whose jobs wait take no memory.
        """
        return await self.run(function, await load(), *args, **kwargs)


class JobRefused(Exception):
    """What a job says of its input instead of a result: the only error that comes back as itself.

    A subclass is made from strings, which are its ``args``.
    """


class JobFailed(Exception):
    """The job broke off, and would again. The message is the traceback, for logs."""


class Overran(Exception):
    """The job took more time than it may, and would again."""


class WorkerDied(Exception):
    """The worker process was killed, for no fault of the job that we know: it may be tried again."""


class WorkersBroken(Exception):
    """No worker process could be started, or it lacks what a job imports: our fault, never the picture's.

    It may be tried again.
    """
