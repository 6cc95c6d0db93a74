"""The seam to the worker processes: picture code runs there, never on the event loop."""

from collections.abc import Awaitable, Callable
from typing import Concatenate, ParamSpec, Protocol, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
A = TypeVar("A")


class Workers(Protocol):
    """Runs picture code in another process."""

    async def run(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what ``function`` returns.

        ``function`` and its arguments must be picklable; its result must be what its annotation says, made
        of plain values, bytes, tuples, enums of strings and dataclasses of these. What is much, a picture as
        text too, is returned as bytes: all else together may take 256 KiB. Raises the ``JobRefused``
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
    """No worker process could be started. The job did not begin: it may be tried again."""
