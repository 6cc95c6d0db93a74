"""The one thread in which answers are written: the pictures' threads are full when it counts."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class AnswerThread:
    """Runs jobs one after the other, each to its end, also when whoever waits for it is cancelled."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="answers")
        self._jobs: set[asyncio.Future[object]] = set()

    def begin(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> asyncio.Future[T]:
        """Begin a job that does not raise, or whose end somebody waits for."""
        job: asyncio.Future[T] = asyncio.get_running_loop().run_in_executor(
            self._executor, partial(function, *args, **kwargs)
        )
        self._jobs.add(job)  # type: ignore[arg-type]  # of whatever it brings
        job.add_done_callback(self._jobs.discard)
        return job

    async def run(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what ``function`` returns."""
        return await asyncio.shield(self.begin(function, *args, **kwargs))

    async def aclose(self) -> None:
        """Wait for what was begun."""
        await asyncio.gather(*self._jobs, return_exceptions=True)
        self._executor.shutdown(wait=False)
