"""Late results: what a vendor finished after its task had ended is kept, and the task does not change."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator
from datetime import timedelta
from functools import partial
from itertools import chain, repeat

from imageedit_server.core.failure import Failure
from imageedit_server.core.image import Image
from imageedit_server.core.task import Attempt, Outcome, State, Task
from imageedit_server.engine.reading import best_of
from imageedit_server.engine.results import BadResult, ResultGone
from imageedit_server.engine.tools import Tools
from imageedit_server.engine.waiting import POLL_LIMIT_SECONDS, poll_delay
from imageedit_server.providers.base import Finished, InProgress, Output, SubmitError
from imageedit_server.providers.catalog import Catalog, Provider
from imageedit_server.runtime.clock import sleep_unless
from imageedit_server.runtime.signals import Signal
from imageedit_server.runtime.workers import on_behalf_of
from imageedit_server.store.attempts import (
    AttemptKey,
    Fact,
    late_callback,
    late_collected,
    learn_late,
    result_urls,
)
from imageedit_server.store.queries import look_for_task
from imageedit_server.telemetry.logs import note

FETCH_LIMIT_SECONDS = 600.0
AT_ONCE = 16
"""Results fetched at once, whatever a vendor that was away calls back about when it is back."""
COLLECTING = Signal()
"""Before the vendors of an ended task are asked."""
PAUSES = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
"""Seconds between the tries: a bad moment of the vendor must not cost what was paid for."""

Bring = Callable[[], Awaitable[tuple[Finished, tuple[Image, ...]]]]
"""One try to bring home what an attempt made: what its vendor said, and the pictures.

Raises ``BadResult`` when there is none to come, ``_NotDone`` to ask the vendor again for as long as that is
worth while, and anything else to be tried again for as long as it takes.
"""

_log = logging.getLogger(__name__)


class _NotDone(Exception):
    """The vendor is not done, or could not be asked."""


class LateResults:
    """Brings home what is left of ended tasks, and keeps it with its attempt (P6).

    The vendors are polled, or what they answered is fetched. What is to be collected is marked in the store
    until it was, so that nothing is lost by a crash, by a task that is forgotten meanwhile, or by a vendor
    that calls again meanwhile. Pictures that came with an answer are held in memory besides.
    """

    def __init__(self, catalog: Catalog, tools: Tools) -> None:
        self._catalog = catalog
        self._tools = tools
        self._places = asyncio.Semaphore(AT_ONCE)
        self._works: dict[str, asyncio.Task[None]] = {}
        self._called_again: set[str] = set()
        self._hints: dict[str, asyncio.Event] = {}
        """Of the tasks whose results are being collected: set when their vendor calls back meanwhile."""
        self._held: dict[AttemptKey, Finished] = {}
        self._stopped = False

    @property
    def under_way(self) -> Collection[str]:
        """The ids of the tasks whose late results are being collected."""
        return self._works.keys()

    def hold(self, key: AttemptKey, finished: Finished) -> None:
        """Take what an attempt's run could not bring home in time; ``collect`` begins."""
        self._held[key] = finished

    def holds(self, task_id: str) -> bool:
        """Whether something of a task is held."""
        return any(key.task_id == task_id for key in self._held)

    def collect(self, task_id: str) -> None:
        """Begin to collect what there is of a finished task."""
        if self._stopped:
            return
        if task_id in self._works:
            self._called_again.add(task_id)
            self._hints[task_id].set()
            return
        self._hints[task_id] = asyncio.Event()
        work = asyncio.create_task(self._collect_and_hold(task_id), name=f"late {task_id}")
        self._works[task_id] = work
        work.add_done_callback(partial(self._ended, task_id))

    async def stop(self) -> None:
        """Let go of everything; the next start goes on."""
        self._stopped = True
        works = list(self._works.values())
        for work in works:
            work.cancel()
        await asyncio.gather(*works, return_exceptions=True)

    def _ended(self, task_id: str, work: asyncio.Task[None]) -> None:
        del self._works[task_id], self._hints[task_id]
        if not work.cancelled() and (error := work.exception()):
            _log.error("collecting a late result broke off", exc_info=error, extra={"task_id": task_id})
        if task_id in self._called_again:
            self._called_again.discard(task_id)
            self.collect(task_id)

    async def _collect_and_hold(self, task_id: str) -> None:
        with self._tools.results.holding():
            await self._collect_all(task_id)

    async def _collect_all(self, task_id: str) -> None:
        for key in [key for key in self._held if key.task_id == task_id]:
            await self._collect_held(key)
        async with self._places:
            call = await self._tools.database.look_up(late_callback, task_id)
        if call is None:
            return
        COLLECTING()
        for attempt in call.task.status.attempts:
            provider = self._catalog.providers.get(attempt.provider)
            if provider and not _is_home(call.task, attempt):
                await self._collect_marked(call.task, attempt, provider)
        await self._tools.database.record(late_collected, call)

    async def _collect_held(self, key: AttemptKey) -> None:
        task = await self._tools.database.look_up(look_for_task, key.task_id)
        attempt = task and task.status.attempts[key.number - 1]
        provider = attempt and self._catalog.providers.get(attempt.provider)
        if task and attempt and provider and not _is_home(task, attempt):
            bring = partial(self._answered, self._held[key])
            await self._collect(task, attempt, provider, bring)
        del self._held[key]

    async def _collect_marked(self, task: Task, attempt: Attempt, provider: Provider) -> None:
        if attempt.vendor_task_id and provider.adapter.polls:
            bring: Bring = partial(self._polled, attempt.vendor_task_id, provider)
            await self._collect(task, attempt, provider, bring, self._pauses(task, attempt, provider))
            return
        key = AttemptKey(task.task_id, attempt.number)
        if self._tools.answered.is_unread(key):
            await self._collect(task, attempt, provider, partial(self._read, key, provider))
        elif urls := await self._tools.database.look_up(result_urls, key):
            finished = Finished(outputs=tuple(Output(url=url) for url in urls))
            await self._collect(task, attempt, provider, partial(self._answered, finished))

    async def _collect(
        self,
        task: Task,
        attempt: Attempt,
        provider: Provider,
        bring: Bring,
        patience: Iterable[float] = (),
    ) -> None:
        """Try until the result is home, or unusable, or the ``patience`` with its vendor is at an end.

        A vendor that calls back is asked at once, and then with the patience that a callback begins with.
        """
        note(tenant=task.tenant, task_id=task.task_id, provider=provider.name, attempt=attempt.number)
        key = AttemptKey(task.task_id, attempt.number)
        pauses, polls = chain(PAUSES, repeat(PAUSES[-1])), iter(patience)
        while True:
            try:
                with on_behalf_of(task.tenant):
                    async with self._places:
                        await self._keep(*await bring(), key, provider)
                return
            except BadResult as error:
                _log.info("the late result is unusable: %s", error)
                await self._tools.answered.keep(key)
                return
            except _NotDone:
                pause = next(polls, None)
            except Exception as error:  # noqa: BLE001  nothing of ours costs what was paid for
                _log.warning("the late result is not home yet: %s", type(error).__name__)
                pause = next(pauses)
            if pause is None:
                _log.warning("the late result was not collected")
                return
            if await sleep_unless(self._hints[task.task_id], self._tools.clock, pause):
                polls = iter(PAUSES)

    def _pauses(self, task: Task, attempt: Attempt, provider: Provider) -> Iterator[float]:
        """Ask at the provider's own pace while a failed task has its grace, then ever more rarely."""
        time, now = asyncio.get_running_loop().time, self._tools.clock.now()
        if task.status.state is State.FAILED and task.status.end_time:
            left = task.status.end_time + self._tools.result_grace - now
            end = time() + min(left, self._tools.result_grace).total_seconds()
            began = time() - (now - attempt.submit_time).total_seconds()
            while time() < end:
                yield poll_delay(provider.options.poll_seconds, timedelta(seconds=time() - began))
        yield from PAUSES

    async def _polled(self, vendor_task_id: str, provider: Provider) -> tuple[Finished, tuple[Image, ...]]:
        answer = await _asked(vendor_task_id, provider)
        if isinstance(answer, Failure):
            raise BadResult(answer.message)
        try:
            return answer, await self._brought(answer)
        except ResultGone:  # the vendor may say another place the next time
            raise _NotDone from None

    async def _read(self, key: AttemptKey, provider: Provider) -> tuple[Finished, tuple[Image, ...]]:
        answers = await self._tools.answered.read(key)
        try:
            _, meant = await best_of(provider.adapter, answers)
        except SubmitError as error:
            raise BadResult(error.failure.message) from error
        if isinstance(meant, Finished):
            return await self._answered(meant)
        raise BadResult("The provider took the work, and its answer names no result.")

    async def _answered(self, finished: Finished) -> tuple[Finished, tuple[Image, ...]]:
        """Bring home what nobody can be asked for again."""
        try:
            return finished, await self._brought(finished)
        except ResultGone:
            raise BadResult("The result was gone before it could be fetched.") from None

    async def _brought(self, finished: Finished) -> tuple[Image, ...]:
        async with asyncio.timeout(FETCH_LIMIT_SECONDS):
            return await self._tools.results.bring_home(finished.outputs)

    async def _keep(
        self, finished: Finished, images: tuple[Image, ...], key: AttemptKey, provider: Provider
    ) -> None:
        now = self._tools.clock.now()
        fact = Fact(
            outcome=Outcome.SUCCEEDED,
            billing=provider.adapter.charge.succeeded,
            vendor_request_id=finished.vendor_request_id,
            usage=finished.usage,
            end_time=now,
        )
        await self._tools.database.record(learn_late, key, fact, images, now)
        self._tools.answered.acted_on(key)


def _is_home(task: Task, attempt: Attempt) -> bool:
    succeeded = task.status.state is State.SUCCEEDED and attempt.outcome is Outcome.SUCCEEDED
    return succeeded or bool(attempt.late_images)


async def _asked(vendor_task_id: str, provider: Provider) -> Finished | Failure:
    """Ask once. Any exception of the adapter means to ask again."""
    try:
        async with asyncio.timeout(POLL_LIMIT_SECONDS):
            answer = await provider.adapter.poll(vendor_task_id, _unheard)
    except Exception as error:
        _log.info("the late result cannot be asked for: %s", type(error).__name__)
        raise _NotDone from error
    if isinstance(answer, InProgress):
        raise _NotDone
    return answer


async def _unheard(*, progress_percent: int | None = None, preview: bytes | None = None) -> None:
    """The task has ended: nobody is told of progress."""
