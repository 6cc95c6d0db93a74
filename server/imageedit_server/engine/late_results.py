"""Late results: what a vendor finished after its task had ended is kept, and the task does not change."""

import asyncio
import logging
from collections.abc import Collection
from functools import partial

from imageedit_server.core.failure import Failure
from imageedit_server.core.image import Image
from imageedit_server.core.task import Attempt, Outcome, State, Task
from imageedit_server.engine.recorder import Tools
from imageedit_server.engine.results import BadResult, ResultGone
from imageedit_server.engine.waiting import POLL_LIMIT_SECONDS
from imageedit_server.providers.base import InProgress
from imageedit_server.providers.catalog import Catalog, Provider
from imageedit_server.runtime.signals import Signal
from imageedit_server.store.attempts import (
    AttemptKey,
    Fact,
    add_late_images,
    late_callback,
    late_collected,
    learn,
)
from imageedit_server.telemetry.logs import note

FETCH_LIMIT_SECONDS = 600.0
AT_ONCE = 16
"""Results fetched at once, whatever a vendor that was away calls back about when it is back."""
COLLECTING = Signal()
"""Before the vendors of an ended task are asked."""
PAUSES = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
"""Seconds between the tries: a bad moment of the vendor must not cost what was paid for."""

_log = logging.getLogger(__name__)


class LateResults:
    """Polls every attempt of ended tasks that its vendor may have finished; keeps what it made (P6).

    What vendors called back about is marked in the store until it was collected, so that nothing is lost by
    a crash, by a task that is forgotten meanwhile, or by a vendor that calls again meanwhile.
    """

    def __init__(self, catalog: Catalog, tools: Tools) -> None:
        self._catalog = catalog
        self._tools = tools
        self._places = asyncio.Semaphore(AT_ONCE)
        self._works: dict[str, asyncio.Task[None]] = {}
        self._called_again: set[str] = set()
        self._stopped = False

    @property
    def under_way(self) -> Collection[str]:
        """The ids of the tasks whose late results are being collected."""
        return self._works.keys()

    def collect(self, task_id: str) -> None:
        """Begin to collect what the vendor of a finished task called back about."""
        if self._stopped:
            return
        if task_id in self._works:
            self._called_again.add(task_id)
            return
        work = asyncio.create_task(self._collect_all(task_id), name=f"late {task_id}")
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
        del self._works[task_id]
        if not work.cancelled() and (error := work.exception()):
            _log.error("collecting a late result broke off", exc_info=error, extra={"task_id": task_id})
        if task_id in self._called_again:
            self._called_again.discard(task_id)
            self.collect(task_id)

    async def _collect_all(self, task_id: str) -> None:
        async with self._places:
            call = await self._tools.database.look_up(late_callback, task_id)
        if call is None:
            return
        COLLECTING()
        task = call.task
        note(tenant=task.tenant, task_id=task_id)
        for attempt in task.status.attempts:
            provider = self._catalog.providers.get(attempt.provider)
            asked = provider and provider.adapter.polls and attempt.vendor_task_id
            if provider and asked and not _is_home(task, attempt):
                note(provider=provider.name, attempt=attempt.number)
                await self._collect(AttemptKey(task_id, attempt.number), attempt.vendor_task_id, provider)
        await self._tools.database.record(late_collected, call)

    async def _collect(self, key: AttemptKey, vendor_task_id: str, provider: Provider) -> None:
        for pause in (*PAUSES, None):
            try:
                async with self._places:
                    images = await _images(vendor_task_id, provider, self._tools)
                    await _keep(images, key, provider, self._tools)
            except BadResult as error:
                _log.info("the late result is unusable: %s", error)
                return
            except Exception as error:  # noqa: BLE001  the seam says: any exception means ask again
                _log.info("the late result is not there yet: %s", type(error).__name__)
            else:
                return
            if pause is not None:
                await self._tools.clock.sleep(pause)
        _log.warning("the late result was not collected")


def _is_home(task: Task, attempt: Attempt) -> bool:
    succeeded = task.status.state is State.SUCCEEDED and attempt.outcome is Outcome.SUCCEEDED
    return succeeded or bool(attempt.late_images)


async def _images(vendor_task_id: str, provider: Provider, tools: Tools) -> tuple[Image, ...]:
    """Return the result. Raises ``BadResult`` when there is none to come, anything else to ask again."""
    async with asyncio.timeout(POLL_LIMIT_SECONDS):
        answer = await provider.adapter.poll(vendor_task_id, _unheard)
    if isinstance(answer, InProgress):
        raise ResultGone
    if isinstance(answer, Failure):
        raise BadResult(answer.message)
    async with asyncio.timeout(FETCH_LIMIT_SECONDS):
        return await tools.results.bring_home(answer.outputs)


async def _keep(images: tuple[Image, ...], key: AttemptKey, provider: Provider, tools: Tools) -> None:
    now = tools.clock.now()
    billing = provider.adapter.charge.succeeded
    await tools.database.record(learn, key, Fact(outcome=Outcome.SUCCEEDED, billing=billing, end_time=now))
    await tools.database.record(add_late_images, key, images, now)


async def _unheard(*, progress_percent: int | None = None, preview: bytes | None = None) -> None:
    """The task has ended: nobody is told of progress."""
