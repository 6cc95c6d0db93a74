"""The port to the worker processes: picture code runs there, never on the event loop."""

from collections.abc import Callable
from typing import ParamSpec, Protocol, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Workers(Protocol):
    """Runs picture code in another process."""

    async def run(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what ``function`` returns, or raise what it raises.

        ``function``, its arguments and its result must be picklable. Raises ``WorkerDied`` when the
        process was killed, ``Overran`` when it took longer than it may, and ``MemoryError`` when it needed
        more memory than that; the next call gets a new one.
        """
        ...


class WorkerDied(Exception):
    """The worker process was killed, for no fault of the job that we know: it may be tried again."""


class Overran(Exception):
    """The job took more time than it may, and would again."""
